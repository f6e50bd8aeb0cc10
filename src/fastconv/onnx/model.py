"""From an ONNX model to a `Graph`: its constants, what is known of its values, all its nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import onnx.helper
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, ValueInfoProto

from fastconv._arguments import Array
from fastconv.graph import Graph, Node, Operator
from fastconv.graph.operators import Identity
from fastconv.onnx.call import Call, Known, Uncompiled, fresh
from fastconv.onnx.check import check_names, check_nodes, in_order, inlined, label, skeleton_of
from fastconv.onnx.control import OPERATORS, controlled
from fastconv.onnx.files import array_of, array_of_sparse
from fastconv.onnx.inference import ForeignError, known_of, known_outputs
from fastconv.onnx.reference import Reference, are_pure, fallback
from fastconv.onnx.translate import DEFAULT_DOMAIN, Operation, evaluated

NewOps: TypeAlias = Callable[[], Sequence[type]]


# -- constants -------------------------------------------------------------------------------------


def _constants(graph: GraphProto) -> dict[str, Array]:
    """Return the initializers, and the constants that nodes hold."""
    held = [
        *((tensor.name, array_of(tensor)) for tensor in graph.initializer),
        *((s.values.name, array_of_sparse(s)) for s in graph.sparse_initializer),
    ]
    constants = dict(held)
    if len(constants) < len(held):
        names = [name for name, _ in held]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"initializer {twice!r} is there twice")
    for node in filter(_is_constant, graph.node):
        if node.output[0] in constants:
            raise ValueError(f"{label(node)} makes {node.output[0]!r}, which is there already")
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
            return array_of_sparse(attribute.sparse_tensor)
        case "value_float" | "value_floats":
            return np.array(onnx.helper.get_attribute_value(attribute), np.float32)
        case "value_int" | "value_ints":
            return np.array(onnx.helper.get_attribute_value(attribute), np.int64)
        case "value_string" | "value_strings":
            return np.array(_python(attribute), object)
    raise ValueError(f"{label(node)}: unknown attribute {attribute.name}")


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
        try:
            results = known_outputs(node, opsets.get(node.domain, 1), known)
        except ValueError as error:
            raise ValueError(f"{label(node)}: {error}") from None
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
        check_names(model.graph)
        self._model = inlined(model)
        graph = self._model.graph
        self._constants = _constants(graph)
        self.inputs = [value for value in graph.input if value.name not in self._constants]
        self.outputs = [value.name for value in graph.output]
        names = [value.name for value in self.inputs]
        self._nodes = in_order(
            [node for node in graph.node if not _is_constant(node)], (*names, *self._constants)
        )
        skeleton = skeleton_of(self._model, self._nodes, self._constants)
        check_nodes(skeleton)
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
                again = known_outputs(proto, opset, self._known)
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
