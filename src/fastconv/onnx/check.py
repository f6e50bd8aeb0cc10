"""What a model must be before its nodes are converted; all that it is not is a clear error."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Any

import onnx
import onnx.checker
import onnx.defs
import onnx.helper
import onnx.inliner
from onnx import GraphProto, ModelProto, NodeProto, TensorProto

from fastconv._arguments import Array
from fastconv.onnx.reference import captures
from fastconv.onnx.translate import DEFAULT_DOMAIN

# Functions of a model are written out where they are called; more nodes than this are a bomb.
_MOST_NODES = 1_000_000
# A domain of which onnx has no definitions.
_HIDDEN = "fastconv.hidden"


def label(node: NodeProto) -> str:
    """Return how messages name a node."""
    return f"{node.name or ', '.join(filter(None, node.output))} ({node.op_type})"


def check_names(graph: GraphProto) -> None:
    """Read every name: protobuf may give bytes for one that is not UTF-8."""
    for node in graph.node:
        names = (node.op_type, node.domain, node.name, *node.input, *node.output)
        for name in (*names, *(attribute.name for attribute in node.attribute)):
            if not isinstance(name, str):
                name.decode()
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                check_names(inner)
    for value in (*graph.input, *graph.output, *graph.initializer):
        if not isinstance(value.name, str):
            value.name.decode()


def inlined(model: ModelProto) -> ModelProto:
    """Return the model with its own functions written out where they are called."""
    if not model.functions:
        return model
    functions = {(f.domain, f.name): f for f in model.functions}
    called = {key: _calls(function.node, functions) for key, function in functions.items()}
    try:
        order = [
            *TopologicalSorter({key: set(calls) for key, calls in called.items()}).static_order()
        ]
    except CycleError as error:
        names = " -> ".join(name for _, name in error.args[1])
        raise ValueError(f"functions of the model call each other in a circle: {names}") from None
    sizes: dict[Any, int] = {}
    for key in order:
        sizes[key] = len(functions[key].node) + sum(sizes[inner] for inner in called[key])
    if sum(sizes[key] for key in _calls(model.graph.node, functions)) > _MOST_NODES:
        raise ValueError(f"the functions of the model have more than {_MOST_NODES:,} nodes")
    return onnx.inliner.inline_local_functions(model)


def _calls(nodes: Iterable[NodeProto], functions: Mapping[Any, Any]) -> list[Any]:
    """Return the functions that nodes and their subgraphs call, as often as they do."""
    found, ahead = [], list(nodes)
    while ahead:
        node = ahead.pop()
        if (node.domain, node.op_type) in functions:
            found.append((node.domain, node.op_type))
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                ahead.extend(graph.node)
    return found


def in_order(nodes: Sequence[NodeProto], known: Iterable[str]) -> list[NodeProto]:
    """Return nodes in an order in which they can run."""
    makers = {key: i for i, node in enumerate(nodes) for key in node.output if key}
    there = {*known, ""}
    before: dict[int, list[int]] = {}
    for i, node in enumerate(nodes):
        before[i] = []
        for key in (*node.input, *captures(node)):
            if key in makers:
                before[i].append(makers[key])
            elif key not in there:
                raise ValueError(
                    f"{label(node)} takes {key!r}, which is no input, initializer or output"
                )
    if all(maker < i for i, makers_of in before.items() for maker in makers_of):
        return list(nodes)
    try:
        return [nodes[i] for i in TopologicalSorter(before).static_order()]
    except CycleError as error:
        circle = " -> ".join(label(nodes[i]) for i in error.args[1])
        raise ValueError(f"the graph has a cycle: {circle}") from None


def skeleton_of(
    model: ModelProto, nodes: Sequence[NodeProto], constants: Mapping[str, Array]
) -> ModelProto:
    """Return the model without its weights, which become inputs, for the check of its nodes."""
    skeleton = ModelProto(ir_version=max(model.ir_version, 4))
    skeleton.opset_import.extend(model.opset_import)
    if not skeleton.opset_import:
        skeleton.opset_import.append(onnx.helper.make_opsetid("", 1))
    graph = skeleton.graph
    graph.name = model.graph.name or "graph"
    graph.node.extend(nodes)
    graph.input.extend(value for value in model.graph.input if value.name not in constants)
    for name, array in constants.items():
        kind = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
        graph.input.append(onnx.helper.make_tensor_value_info(name, kind, array.shape))
    return skeleton


def check_nodes(skeleton: ModelProto) -> None:
    """Check inputs, outputs and attributes of every node against its definition."""
    versions = {item.domain: item.version for item in skeleton.opset_import}
    for domain in DEFAULT_DOMAIN:
        version = versions.get(domain, 1)
        if version > onnx.defs.onnx_opset_version():
            raise ValueError(
                f"the model is of opset {version}; the installed onnx {onnx.__version__} knows "
                f"{onnx.defs.onnx_opset_version()} at most"
            )
        for node in skeleton.graph.node:
            if node.domain != domain:
                continue
            if not onnx.defs.has(node.op_type, version, ""):
                raise NotImplementedError(
                    f"{label(node)}: opset {version} has no operator {node.op_type}"
                )
            _check_required(node, onnx.defs.get_schema(node.op_type, version, ""))
    checked = ModelProto()
    checked.CopyFrom(skeleton)
    for value in checked.graph.input:
        # The check would have types and shapes, which not all models give.
        if value.type.WhichOneof("value") in (None, "tensor_type"):
            tensor = value.type.tensor_type
            tensor.elem_type = tensor.elem_type or TensorProto.FLOAT
            tensor.shape.SetInParent()
    for node in checked.graph.node:
        node.name = node.name or ", ".join(filter(None, node.output))  # which messages tell
    _hide_deprecated(checked)
    try:
        onnx.checker.check_model(checked)
    except onnx.checker.ValidationError as error:
        raise ValueError(" ".join(f"{error}".split())) from None


def _hide_deprecated(model: ModelProto) -> None:
    """Check and hide from onnx's own check what it refuses as deprecated, and we serve."""
    for node in model.graph.node:
        if node.op_type == "GroupNormalization" and node.domain in DEFAULT_DOMAIN:
            # Its newest definition has the same inputs and attributes.
            try:
                onnx.checker.check_node(node)
            except onnx.checker.ValidationError as error:
                raise ValueError(f"{label(node)}: {error}") from None
            node.domain = _HIDDEN
            if all(item.domain != _HIDDEN for item in model.opset_import):
                model.opset_import.append(onnx.helper.make_opsetid(_HIDDEN, 1))


def _check_required(node: NodeProto, schema: onnx.defs.OpSchema) -> None:
    """Refuse an input that is absent and not optional, which onnx's own check lets pass."""
    for form, name in zip(schema.inputs, node.input, strict=False):
        if not name and form.option == onnx.defs.OpSchema.FormalParameterOption.Single:
            raise ValueError(f"{label(node)}: input {form.name} is missing")
