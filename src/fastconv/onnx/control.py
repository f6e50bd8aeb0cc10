"""Operators that run graphs within the model: If, Loop and Scan.

Those of the reference implementation stack what a loop yields along the wrong axis, and know fewer
attributes of Scan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto, helper, numpy_helper

from fastconv._arguments import Array
from fastconv.graph import Graph, Operator
from fastconv.onnx.call import Call, OnnxFunction, Uncompiled
from fastconv.onnx.reference import captures_of

OPERATORS = ("If", "Loop", "Scan")
Build: TypeAlias = Callable[[ModelProto], Graph]


@dataclass(frozen=True)
class Body:
    """A graph within the model, and which of the captured values it takes."""

    graph: Graph
    captured: tuple[int, ...]
    empty: tuple[Array, ...]  # for each output, an array without elements of its type and axes

    @property
    def pure(self) -> bool:
        """Whether none of its nodes is random."""
        return all(node.operator.pure for node in self.graph.nodes)

    def __call__(self, arguments: Sequence[Array], captured: Sequence[Array]) -> tuple[Array, ...]:
        """Return the outputs."""
        names = self.graph.input_names
        values = (*arguments, *(captured[i] for i in self.captured))
        return tuple(self.graph.run(dict(zip(names, values, strict=True))).values())


@dataclass(frozen=True)
class If:
    """One of two graphs, by a condition."""

    then: Body
    otherwise: Body

    def __call__(self, condition: Array, *captured: Array) -> tuple[Array, ...]:
        """Return the outputs of the graph that is chosen."""
        if condition.size != 1:
            raise ValueError(f"the condition must be one bool, got shape {condition.shape}")
        return (self.then if condition.item() else self.otherwise)((), captured)


@dataclass(frozen=True)
class Loop:
    """A graph that runs again and again on what it returned."""

    body: Body
    carried: int

    def __call__(
        self, most: Array | None, condition: Array | None, *values: Array
    ) -> tuple[Array, ...]:
        """Return the carried values and what each run yielded, stacked."""
        if most is None and condition is None:
            raise ValueError("a loop without a count and a condition would not end")
        carried, captured = values[: self.carried], values[self.carried :]
        going = np.array(True) if condition is None else condition.reshape(())
        yielded: list[tuple[Array, ...]] = []
        while going and (most is None or len(yielded) < most.item()):
            count = np.array(len(yielded), np.int64)
            going, *results = self.body((count, going, *carried), captured)
            carried = tuple(results[: self.carried])
            yielded.append(tuple(results[self.carried :]))
        empty = self.body.empty[1 + self.carried :]
        return (*carried, *_stacked(yielded, empty, [0] * len(empty), [0] * len(empty)))


@dataclass(frozen=True)
class Scan:
    """A graph that runs on each slice of arrays, along the attributes' axes."""

    body: Body
    carried: int
    scanned: int
    input_axes: tuple[int, ...]
    input_directions: tuple[int, ...]
    output_axes: tuple[int, ...]
    output_directions: tuple[int, ...]
    by_sample: bool  # as before opset 9: the first axis of all values is that of a batch

    def __call__(self, *values: Array) -> tuple[Array, ...]:
        """Return the carried values and what each run yielded, stacked."""
        values = values[self.by_sample :]  # sequence_lens came first
        arguments = values[: self.carried + self.scanned]
        captured = values[self.carried + self.scanned :]
        if not self.by_sample:
            return self._scanned(arguments, captured)
        samples = [self._scanned(sample, captured) for sample in zip(*arguments, strict=True)]
        return tuple(map(np.stack, zip(*samples, strict=True)))

    def _scanned(self, arguments: Sequence[Array], captured: Sequence[Array]) -> tuple[Array, ...]:
        carried = tuple(arguments[: self.carried])
        slices = [
            np.moveaxis(array, axis, 0)[:: -1 if backwards else 1]
            for array, axis, backwards in zip(
                arguments[self.carried :], self.input_axes, self.input_directions, strict=True
            )
        ]
        yielded = []
        for parts in zip(*slices, strict=True):
            results = self.body((*carried, *parts), captured)
            carried = results[: self.carried]
            yielded.append(results[self.carried :])
        empty = self.body.empty[self.carried :]
        return (*carried, *_stacked(yielded, empty, self.output_axes, self.output_directions))


def _stacked(
    yielded: Sequence[Sequence[Array]],
    empty: Sequence[Array],
    axes: Sequence[int],
    directions: Sequence[int],
) -> tuple[Array, ...]:
    """Return what each run yielded as arrays with an axis for the runs."""
    results = []
    for i, (none, axis, backwards) in enumerate(zip(empty, axes, directions, strict=True)):
        parts = [run[i] for run in yielded][:: -1 if backwards else 1]
        shape = list(none.shape)
        shape.insert(axis if axis >= 0 else axis + none.ndim + 1, 0)
        results.append(np.stack(parts, axis) if parts else np.empty(shape, none.dtype))
    return tuple(results)


def controlled(
    call: Call, node: NodeProto, opsets: Mapping[str, int], build: Build
) -> tuple[Operator, tuple[str, ...]]:
    """Return the operator of a node that runs graphs, and the values around it that they read."""
    graphs = {a.name: a.g for a in node.attribute if a.HasField("g")}
    captured = tuple(dict.fromkeys(key for graph in graphs.values() for key in captures_of(graph)))
    bodies = {name: _body(call, graph, captured, opsets, build) for name, graph in graphs.items()}
    pure = all(body.pure for body in bodies.values())
    if node.op_type == "If":
        chosen = If(bodies["then_branch"], bodies["else_branch"])
        return OnnxFunction(node.op_type, chosen, pure), captured
    body = bodies["body"]
    if node.op_type == "Loop":
        carried = len(node.input) - 2
        return Uncompiled(node.op_type, Loop(body, carried), pure), captured
    return Uncompiled(node.op_type, _scan(call, body), pure), captured


def _scan(call: Call, body: Body) -> Scan:
    old = call.opset < 9
    if old and call.input(0):
        raise NotImplementedError("sequence_lens of the first Scan is not served")
    scanned = call.get("num_scan_inputs")
    carried = len(call.inputs) - scanned - old
    yielded = len(body.empty) - carried
    forms = {
        "input_axes": call.get("scan_input_axes"),
        "input_directions": call.get("directions" if old else "scan_input_directions"),
        "output_axes": call.get("scan_output_axes"),
        "output_directions": call.get("scan_output_directions"),
    }
    filled: dict[str, Any] = {
        name: tuple(form or (0,) * (scanned if name.startswith("input") else yielded))
        for name, form in forms.items()
    }
    return Scan(body, carried, scanned, **filled, by_sample=old)


def _body(
    call: Call,
    graph: GraphProto,
    captured: Sequence[str],
    opsets: Mapping[str, int],
    build: Build,
) -> Body:
    """Return a graph within the model; captured constants become its own."""
    model = ModelProto(ir_version=8)
    model.opset_import.extend(helper.make_opsetid(*item) for item in opsets.items())
    own = model.graph
    own.CopyFrom(graph)
    own.name = own.name or call.op
    for value in own.input:
        # What a loop carries may change its shape, whatever the model declares.
        value.type.tensor_type.ClearField("shape")
    read = set(captures_of(graph))
    taken = []
    for i, key in enumerate(captured):
        known = call.known(key)
        if key not in read:
            continue
        if known.value is not None:
            own.initializer.append(numpy_helper.from_array(np.asarray(known.value), key))
            continue
        taken.append(i)
        kind = 0 if known.dtype is None else helper.np_dtype_to_tensor_dtype(known.dtype)
        own.input.append(helper.make_tensor_value_info(key, kind, known.shape))
    return Body(build(model), tuple(taken), tuple(map(_empty, graph.output)))


def _empty(value: ValueInfoProto) -> Array:
    tensor = value.type.tensor_type
    dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type or 1)
    return np.empty([size.dim_value for size in tensor.shape.dim], dtype)
