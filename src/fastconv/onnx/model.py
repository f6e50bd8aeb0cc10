"""From an ONNX file to a `Graph`: reading, checking, inferring types and converting every node."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnx
import onnx.checker
import onnx.defs
import onnx.helper
import onnx.inliner
import onnx.numpy_helper
from google.protobuf.message import DecodeError
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto
from onnx.external_data_helper import load_external_data_for_tensor

from fastconv._arguments import Array
from fastconv.graph import Graph, Node, Operator
from fastconv.graph.operators import Identity
from fastconv.onnx.call import Call, Known, Uncompiled, fresh
from fastconv.onnx.control import OPERATORS, controlled
from fastconv.onnx.inference import ForeignError, inferred, known_of
from fastconv.onnx.reference import Reference, are_pure, captures, fallback
from fastconv.onnx.translate import DEFAULT_DOMAIN, Operation, evaluated

NewOps: TypeAlias = Callable[[], Sequence[type]]

# Functions of a model are written out where they are called; more nodes than this are a bomb.
_MOST_NODES = 1_000_000


# -- reading ---------------------------------------------------------------------------------------


def read(source: Any) -> ModelProto:
    """Return the model of a file, of bytes or itself, with its external data in place.

    A file is not trusted: external data must lie in its folder.
    """
    folder = None
    if isinstance(source, ModelProto):
        model = source
    elif isinstance(source, (str, os.PathLike)):
        path = Path(source)
        folder = path.parent
        model = _parsed(path.read_bytes(), f"{path}")
    elif isinstance(source, (bytes, bytearray, memoryview)):
        model = _parsed(bytes(source), "the data")
    else:
        raise TypeError(f"model must be a path, bytes or a ModelProto, got {type(source).__name__}")
    for tensor in _tensors(model):
        if tensor.data_location == TensorProto.EXTERNAL:
            _load_external(tensor, folder)
    return model


def _parsed(data: bytes, name: str) -> ModelProto:
    try:
        model = ModelProto.FromString(data)
    except DecodeError as error:
        raise ValueError(f"{name} is not an ONNX model, or a truncated one: {error}") from None
    if not model.HasField("graph"):
        raise ValueError(f"{name} is not an ONNX model: it has no graph")
    return model


def _check_names(graph: GraphProto) -> None:
    """Read every name: protobuf may give bytes for one that is not UTF-8."""
    for node in graph.node:
        names = (node.op_type, node.domain, node.name, *node.input, *node.output)
        for name in (*names, *(attribute.name for attribute in node.attribute)):
            if not isinstance(name, str):
                name.decode()
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                _check_names(inner)
    for value in (*graph.input, *graph.output, *graph.initializer):
        if not isinstance(value.name, str):
            value.name.decode()


def _tensors(model: ModelProto) -> Iterable[TensorProto]:
    graphs = [model.graph]
    nodes = [node for function in model.functions for node in function.node]
    while graphs or nodes:
        if graphs:
            graph = graphs.pop()
            yield from graph.initializer
            nodes.extend(graph.node)
        while nodes:
            for attribute in nodes.pop().attribute:
                yield from (attribute.t, *attribute.tensors)
                graphs.extend((attribute.g, *attribute.graphs))


def _load_external(tensor: TensorProto, folder: Path | None) -> None:
    what = f"tensor {tensor.name}: external data"
    if folder is None:
        raise ValueError(f"{what} needs the folder of the model: load it from its path")
    location = next((e.value for e in tensor.external_data if e.key == "location"), "")
    try:
        # onnx looks at this too; versions differ in how closely.
        inside = (folder / location).resolve().is_relative_to(folder.resolve())
        if not inside or Path(location).is_absolute():
            raise ValueError("it is not in the folder of the model")
        load_external_data_for_tensor(tensor, os.fspath(folder))
        # What newer versions do by themselves.
        tensor.data_location = TensorProto.DEFAULT
        del tensor.external_data[:]
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        raise ValueError(f"{what} at {location!r}: {error}") from None


def array_of(tensor: TensorProto) -> Array:
    """Return a tensor as an array."""
    try:
        array: Array = onnx.numpy_helper.to_array(tensor)
    except (TypeError, ValueError, KeyError) as error:
        raise ValueError(f"tensor {tensor.name}: {error}") from None
    if array.shape != tuple(tensor.dims):
        raise ValueError(f"tensor {tensor.name} has the sizes {list(tensor.dims)}")
    return array


def _dense(sparse: onnx.SparseTensorProto) -> Array:
    """Return a sparse tensor as an array."""
    values, indices = array_of(sparse.values), array_of(sparse.indices)
    array = np.zeros(tuple(sparse.dims), values.dtype)
    if indices.ndim == 1:
        array.ravel()[indices] = values
    else:
        array[tuple(indices.T)] = values
    return array


# -- the parts of a model --------------------------------------------------------------------------


def _label(node: NodeProto) -> str:
    """Return how messages name a node."""
    return f"{node.name or ', '.join(filter(None, node.output))} ({node.op_type})"


def _inlined(model: ModelProto) -> ModelProto:
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


def _constants(graph: GraphProto) -> dict[str, Array]:
    """Return the initializers, and the constants that nodes hold."""
    constants = {tensor.name: array_of(tensor) for tensor in graph.initializer}
    if len(constants) < len(graph.initializer):
        names = [tensor.name for tensor in graph.initializer]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"initializer {twice!r} is there twice")
    constants.update((sparse.values.name, _dense(sparse)) for sparse in graph.sparse_initializer)
    for node in filter(_is_constant, graph.node):
        if node.output[0] in constants:
            raise ValueError(f"{_label(node)} makes {node.output[0]!r}, which is there already")
        constants[node.output[0]] = _constant(node)
    return constants


def _is_constant(node: NodeProto) -> bool:
    return (
        node.op_type == "Constant"
        and node.domain in DEFAULT_DOMAIN
        and len(node.output) == 1
        and len(node.attribute) == 1
        and not node.attribute[0].ref_attr_name
    )


def _constant(node: NodeProto) -> Array:
    attribute = node.attribute[0]
    match attribute.name:
        case "value":
            return array_of(attribute.t)
        case "sparse_value":
            return _dense(attribute.sparse_tensor)
        case "value_float" | "value_floats":
            return np.array(onnx.helper.get_attribute_value(attribute), np.float32)
        case "value_int" | "value_ints":
            return np.array(onnx.helper.get_attribute_value(attribute), np.int64)
        case "value_string" | "value_strings":
            return np.array(_python(attribute), object)
    raise ValueError(f"{_label(node)}: unknown attribute {attribute.name}")


def _python(attribute: AttributeProto) -> Any:
    """Return an attribute's value: numbers, text, arrays, or lists of them."""
    value = onnx.helper.get_attribute_value(attribute)
    if attribute.type == AttributeProto.STRING:
        return value.decode(errors="replace")
    if attribute.type == AttributeProto.STRINGS:
        return [text.decode(errors="replace") for text in value]
    if attribute.type == AttributeProto.TENSOR:
        return array_of(value)
    return value


def _sorted(nodes: Sequence[NodeProto], known: Iterable[str]) -> list[NodeProto]:
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
                    f"{_label(node)} takes {key!r}, which is no input, initializer or output"
                )
    if all(maker < i for i, makers_of in before.items() for maker in makers_of):
        return list(nodes)
    try:
        return [nodes[i] for i in TopologicalSorter(before).static_order()]
    except CycleError as error:
        circle = " -> ".join(_label(nodes[i]) for i in error.args[1])
        raise ValueError(f"the graph has a cycle: {circle}") from None


def _skeleton(
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


def _check(skeleton: ModelProto) -> None:
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
                    f"{_label(node)}: opset {version} has no operator {node.op_type}"
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
    try:
        onnx.checker.check_model(checked)
    except onnx.checker.ValidationError as error:
        raise ValueError(" ".join(f"{error}".split())) from None


def _check_required(node: NodeProto, schema: onnx.defs.OpSchema) -> None:
    """Refuse an input that is absent and not optional, which onnx's own check lets pass."""
    for form, name in zip(schema.inputs, node.input, strict=False):
        if not name and form.option == onnx.defs.OpSchema.FormalParameterOption.Single:
            raise ValueError(f"{_label(node)}: input {form.name} is missing")


# -- types -----------------------------------------------------------------------------------------


def _knowledge(
    nodes: Sequence[NodeProto],
    inputs: Iterable[ValueInfoProto],
    constants: Mapping[str, Array],
    opsets: Mapping[str, int],
) -> dict[str, Known]:
    """Return what is known of the model's values.

    `ForeignError` if one is not an array of numbers, as those of a graph are.
    """
    known = {name: Known.of(array) for name, array in constants.items()}
    if any(array.dtype.isbuiltin != 1 or array.dtype.kind == "O" for array in constants.values()):
        raise ForeignError
    for value in inputs:
        known[value.name] = _named_known(value)
    for node in nodes:
        results = inferred(node, opsets.get(node.domain, 1), known)
        known.update(zip(node.output, results, strict=True))
    known.pop("", None)
    return known


def _named_known(value: ValueInfoProto) -> Known:
    try:
        return known_of(value)
    except ValueError as error:
        raise ValueError(f"{value.name}: {error}") from None


def _declared(value: ValueInfoProto) -> tuple[Any, tuple[int | str | None, ...]] | None:
    """Return dtype and sizes of an input as `Graph` takes them; None if they are not declared."""
    try:
        dtype, shape, _ = known_of(value)
    except ForeignError:
        return None
    if dtype is None or shape is None:
        return None
    names = (size.dim_param for size in value.type.tensor_type.shape.dim)
    return dtype, tuple(
        (name or None) if size is None else size for size, name in zip(shape, names, strict=True)
    )


# -- the graph -------------------------------------------------------------------------------------


class Parts:
    """A model that has been read and checked.

    Parameters
    ----------
    model : ModelProto
        What `read` returns.
    new_ops : callable
        Returns the classes with which the reference implementation runs subgraphs.

    Attributes
    ----------
    inputs : list of ValueInfoProto
        Those of a call.
    outputs : list of str
    numbers_alone : bool
        Whether all its values are arrays of numbers, as those of a graph are.
    """

    def __init__(self, model: ModelProto, new_ops: NewOps) -> None:
        self._new_ops = new_ops
        try:
            self._prepare(model)
        except UnicodeDecodeError as error:
            raise ValueError(f"the model holds a name that is not text: {error}") from None

    def _prepare(self, model: ModelProto) -> None:
        _check_names(model.graph)
        self._model = _inlined(model)
        graph = self._model.graph
        self._constants = _constants(graph)
        self.inputs = [value for value in graph.input if value.name not in self._constants]
        self.outputs = [value.name for value in graph.output]
        names = [value.name for value in self.inputs]
        self._nodes = _sorted(
            [node for node in graph.node if not _is_constant(node)], (*names, *self._constants)
        )
        skeleton = _skeleton(self._model, self._nodes, self._constants)
        _check(skeleton)
        self._opsets = {item.domain: item.version for item in skeleton.opset_import}
        self._known: dict[str, Known] = {}
        self.numbers_alone = True
        try:
            self._known = _knowledge(self._nodes, self.inputs, self._constants, self._opsets)
        except ForeignError:
            self.numbers_alone = False

    @property
    def reference(self) -> Reference:
        """The whole model, run by the reference implementation with our operators."""
        return Reference(self._model, self._model.graph.name or "the model", self._new_ops)

    def graph(self) -> Graph:
        """Return the model as a graph."""
        if not self.numbers_alone:
            return self._whole()
        nodes: list[Node] = []
        constants = dict(self._constants)
        names = self._names()
        for proto in self._nodes:
            operation = operation_of(proto, self._opsets, self._new_ops)
            call = operation.converted(tuple(proto.input), self._known, names)
            constants.update(call.constants)
            pure = all(node.operator.pure for node in call.nodes)
            if pure and all(key in constants or not key for key in _read(call)):
                values = {"": None, **{key: constants[key] for key in _read(call) if key}}
                results = dict(zip(call.outputs, evaluated(call, values), strict=True))
                constants.update(results)
                self._known.update((key, Known.of(array)) for key, array in results.items())
            else:
                nodes.extend(call.nodes)
                # Once more than before, now that what is constant has been computed.
                opset = self._opsets.get(proto.domain, 1)
                again = inferred(proto, opset, self._known)
                self._known.update(zip(proto.output, again, strict=True))
        return self._made(nodes, constants, names)

    def _names(self) -> set[str]:
        """Return the names of all values; what nodes read is among them."""
        made = (key for node in self._nodes for key in node.output)
        return {*self._constants, *(value.name for value in self.inputs), *made}

    def _whole(self) -> Graph:
        """Return a graph of one node, for a model with values that no node of a graph can take."""
        for value in (*self.inputs, *self._model.graph.output):
            kind = value.type.WhichOneof("value")
            if kind not in (None, "tensor_type"):
                raise NotImplementedError(
                    f"{value.name} is of {kind}: graphs take and return arrays, Backend any type"
                )
        names = [value.name for value in self.inputs]
        operator = Uncompiled("model", self.reference, are_pure(self._nodes))
        node = Node(operator, tuple(names), tuple(self.outputs), "")
        return self._made([node], {}, self._names())

    def _made(self, nodes: list[Node], constants: Mapping[str, Array], names: set[str]) -> Graph:
        made = {key for node in nodes for key in node.outputs}
        nodes = list(nodes)
        outputs = []
        there = {*constants, *(value.name for value in self.inputs)}
        for key in self.outputs:
            if key not in made:
                if key not in there:
                    raise ValueError(f"output {key!r}: nothing makes it")
                source, key = key, fresh(key, names)
                nodes.append(Node(Identity(), (source,), (key,), source))
            outputs.append(key)
        used = {key for node in nodes for key in node.inputs}
        return Graph(
            nodes,
            {value.name: _declared(value) for value in self.inputs},
            outputs,
            {key: array for key, array in constants.items() if key in used},
            self._model.graph.name or "model",
        )


def operation_of(node: NodeProto, opsets: Mapping[str, int], new_ops: NewOps) -> Operation:
    """Return a node as an operation."""
    kinds = (AttributeProto.GRAPH, AttributeProto.GRAPHS)
    domain = "" if node.domain in DEFAULT_DOMAIN else node.domain
    return Operation(
        domain,
        node.op_type,
        node.name,
        tuple(node.output),
        {a.name: _python(a) for a in node.attribute if a.type not in kinds},
        opsets.get(node.domain, opsets.get(domain, 1)),
        partial(_left, node=node, opsets=opsets, new_ops=new_ops),
    )


def _left(
    call: Call, node: NodeProto, opsets: Mapping[str, int], new_ops: NewOps
) -> tuple[Operator, tuple[str, ...]]:
    """Return the operator of a node that has no converter, and what its subgraphs read."""
    if call.domain in DEFAULT_DOMAIN and node.op_type in OPERATORS:

        def build(model: ModelProto) -> Graph:
            return Parts(model, new_ops).graph()

        return controlled(call, node, opsets, build)
    return fallback(call, node, opsets, new_ops)


def _read(call: Any) -> set[str]:
    """Return what a converted node reads from around it."""
    made = {key for node in call.nodes for key in node.outputs}
    return {key for node in call.nodes for key in node.inputs} - made
