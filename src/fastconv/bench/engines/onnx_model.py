"""A case as an ONNX model of one node with constant weights, for the engines that read ONNX.

ONNX has every border by itself, ``ceil_mode`` and dilated poolings, so one node is enough.
"""

from __future__ import annotations

from typing import Any

from fastconv.bench.data import Arrays
from fastconv.bench.layers import Case, ConvLayer, PoolLayer

# Old enough for every runtime in use, new enough for all that the cases need.
_OPSET, _IR_VERSION = 17, 8


def model_of(case: Case, arrays: Arrays) -> bytes:
    """The serialised model: input ``x``, output ``y``, of fixed shapes."""
    from onnx import TensorProto, helper, numpy_helper

    top, bottom, left, right = case.padding
    window = {
        "kernel_shape": (case.kh, case.kw),
        "strides": case.stride,
        "pads": (top, left, bottom, right),
    }
    constants = []
    if isinstance(case, ConvLayer):
        constants = [
            numpy_helper.from_array(arrays.weight, "weight"),
            numpy_helper.from_array(arrays.bias, "bias"),
        ]
        node = helper.make_node(
            "Conv",
            ["x", "weight", "bias"],
            ["y"],
            dilations=case.dilation,
            group=case.groups,
            **window,
        )
    else:
        node = _pool(case, window)
    graph = helper.make_graph(
        [node],
        "case",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, case.x_shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, case.out_shape)],
        constants,
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION
    )
    serialised: bytes = model.SerializeToString()
    return serialised


def _pool(case: PoolLayer, window: dict[str, tuple[int, ...]]) -> Any:
    from onnx import helper

    if case.kind == "global_avg":
        return helper.make_node("GlobalAveragePool", ["x"], ["y"])
    ceil_mode = int(case.ceil_mode)
    if case.kind == "max":
        return helper.make_node(
            "MaxPool", ["x"], ["y"], dilations=case.dilation, ceil_mode=ceil_mode, **window
        )
    return helper.make_node(
        "AveragePool", ["x"], ["y"], count_include_pad=1, ceil_mode=ceil_mode, **window
    )
