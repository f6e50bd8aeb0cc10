"""The interface of ``onnx.backend``: models and nodes that are prepared, and run with a list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, defs, helper
from onnx.backend.base import BackendRep, Device, DeviceType, namedtupledict

from fastconv._arguments import Array
from fastconv.onnx.files import read
from fastconv.onnx.model import NewOps, Parts


class Prepared(BackendRep):
    """A model that runs with a list of inputs."""

    def __init__(self, model: ModelProto, new_ops: NewOps) -> None:
        parts = Parts(read(model), new_ops)
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


def model_of(
    node: NodeProto, inputs: Any, opset: int | None
) -> tuple[ModelProto, dict[str, Array]]:
    """Return a node as a model, of the opset or of the newest, and its inputs by name."""
    names = list(dict.fromkeys(filter(None, node.input)))
    if not isinstance(inputs, Mapping):
        given = inputs if isinstance(inputs, (list, tuple)) else [inputs]
        inputs = dict(zip(filter(None, node.input), given, strict=True))
    arrays = {name: np.asarray(inputs[name]) for name in names}
    graph = helper.make_graph(
        [node],
        node.name or node.op_type,
        [
            helper.make_tensor_value_info(
                name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
            )
            for name, array in arrays.items()
        ],
        [helper.make_empty_tensor_value_info(name) for name in filter(None, node.output)],
    )
    version = defs.onnx_opset_version() if opset is None else opset
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid(node.domain, version)])
    return model, arrays


def has_device(device: str) -> bool:
    """Return whether a device, such as "CPU" or "CUDA:1", is the CPU."""
    try:
        return bool(Device(device).type == DeviceType.CPU)
    except (AttributeError, ValueError):
        return False
