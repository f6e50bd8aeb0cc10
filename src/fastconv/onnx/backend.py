"""The interface of ``onnx.backend``: models and nodes that are prepared, and run with a list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto, NodeProto
from onnx.backend.base import BackendRep, Device, DeviceType, namedtupledict

from fastconv.onnx.op_runs import classes
from fastconv.onnx.model import Parts, operation_of, read


class Prepared(BackendRep):
    """A model that runs with a list of inputs."""

    def __init__(self, model: ModelProto) -> None:
        parts = Parts(read(model), classes)
        self._inputs = [value.name for value in parts.inputs]
        self._outputs = parts.outputs
        # Lists, maps and strings go past the graph, which takes arrays of numbers.
        self._run = parts.graph().run if parts.numbers_alone else parts.reference.run

    def run(self, inputs: Any, **options: Any) -> tuple[Any, ...]:
        """Return the outputs, by position and by name."""
        named = inputs
        if not isinstance(inputs, Mapping):
            given = inputs if isinstance(inputs, (list, tuple)) else [inputs]
            if len(given) != len(self._inputs):
                raise ValueError(f"the model takes {len(self._inputs)} inputs, got {len(given)}")
            named = dict(zip(self._inputs, given, strict=True))
        found = self._run(named)
        values = found.values() if isinstance(found, dict) else found
        result: tuple[Any, ...] = namedtupledict("Outputs", self._outputs)(*values)
        return result


def run_node(node: NodeProto, inputs: Any, opset: int | None) -> tuple[Any, ...]:
    """Return the outputs of one node."""
    version = onnx.defs.onnx_opset_version() if opset is None else opset
    context = onnx.checker.DEFAULT_CONTEXT
    if opset is not None:
        context = onnx.checker.C.CheckerContext()
        context.ir_version = onnx.IR_VERSION
        context.opset_imports = {"": opset}
    try:
        onnx.checker.check_node(node, context)
    except onnx.checker.ValidationError as error:
        raise ValueError(" ".join(f"{error}".split())) from None
    given = _by_position(node, inputs)
    results = operation_of(node, {node.domain: version}, classes)(*given)
    return tuple(map(np.asarray, results))


def _by_position(node: NodeProto, inputs: Any) -> list[Any]:
    if isinstance(inputs, Mapping):
        return [np.asarray(inputs[key]) if key else None for key in node.input]
    arrays = iter(inputs if isinstance(inputs, (list, tuple)) else [inputs])
    return [np.asarray(next(arrays)) if key else None for key in node.input]


def has_device(device: str) -> bool:
    """Return whether a device, such as "CPU" or "CUDA:1", is the CPU."""
    try:
        return bool(Device(device).type == DeviceType.CPU)
    except (AttributeError, ValueError):
        return False
