"""A `Graph` as an ONNX model, for the engines that read ONNX.

Served is what the networks of the benchmark are made of; any other operator is an error that names
its node. Knows ``graphs``; needs the package ``onnx``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import singledispatch
from typing import Any, NamedTuple

import numpy as np

from fastconv import _arguments
from fastconv.bench.graphs import specs_of, unserved, window_of
from fastconv.bench.layers import Shape, Window
from fastconv.graph import Graph, Node, Operator, Spec
from fastconv.graph import operators as ops

# Old enough for every runtime in use, new enough for all that is exported.
_OPSET, _IR_VERSION = 17, 8


class _Onnx(NamedTuple):
    """ONNX's name of an operator, its attributes, and numbers that follow the node's inputs."""

    name: str
    attributes: Mapping[str, Any] = {}
    numbers: tuple[float, ...] = ()


def to_onnx(graph: Graph, shape: Shape) -> Any:
    """Return a graph of one input as an ONNX model for inputs of one shape.

    Parameters
    ----------
    graph : Graph
        Of float32 weights.
    shape : tuple of int
        The shape of its input, batch first.

    Returns
    -------
    onnx.ModelProto
        With the graph's names of inputs, outputs, weights and nodes.

    Raises
    ------
    ValueError
        For an operator that is not exported; the message names the node.
    ImportError
        If ``onnx`` is not installed.
    """
    try:
        from onnx import TensorProto, helper, numpy_helper
    except ImportError:
        raise ImportError("writing ONNX models takes the package onnx: pip install onnx") from None

    specs = specs_of(graph, shape)
    nodes, constants = [], dict(graph.constants)
    for node in graph.nodes:
        form = _convert(node.operator, node, specs)
        numbers = {f"{node.outputs[0]}.{i}": np.float32(n) for i, n in enumerate(form.numbers)}
        constants.update((name, np.asarray(number)) for name, number in numbers.items())
        inputs = (*node.inputs, *numbers)
        nodes.append(
            helper.make_node(form.name, inputs, node.outputs, node.name, **form.attributes)
        )

    def infos(names: tuple[str, ...]) -> list[Any]:
        return [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, specs[name].shape)
            for name in names
        ]

    return helper.make_model(
        helper.make_graph(
            nodes,
            graph.name,
            infos(graph.input_names),
            infos(graph.output_names),
            [numpy_helper.from_array(array, name) for name, array in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
    )


@singledispatch
def _convert(operator: Operator, node: Node, specs: Mapping[str, Spec]) -> _Onnx:
    raise unserved(node, "this operator")


def _attributes(window: Window) -> dict[str, Any]:
    return {
        "kernel_shape": window.kernel,
        "strides": window.stride,
        "pads": (*window.padding[::2], *window.padding[1::2]),
    }


@_convert.register
def _conv(operator: ops.Conv, node: Node, specs: Mapping[str, Spec]) -> _Onnx:
    window = window_of(node, specs)
    own = {"dilations": window.dilation, "group": operator.groups}
    return _Onnx("Conv", _attributes(window) | own)


@_convert.register
def _dense(operator: ops.Dense, node: Node, specs: Mapping[str, Spec]) -> _Onnx:
    if operator.activation is not None or len(node.inputs) > 3:
        raise unserved(node, "a fused activation or residual")
    if len(specs[node.inputs[0]].shape) != 2:
        raise unserved(node, f"an input of shape {specs[node.inputs[0]].shape}")
    return _Onnx("Gemm", {"transB": 1})


@_convert.register(ops.MaxPool)
@_convert.register(ops.AvgPool)
def _pool(operator: ops.MaxPool | ops.AvgPool, node: Node, specs: Mapping[str, Spec]) -> _Onnx:
    window = window_of(node, specs)
    common = _attributes(window) | {"ceil_mode": int(window.ceil_mode)}
    if isinstance(operator, ops.MaxPool):
        return _Onnx("MaxPool", common | {"dilations": window.dilation})
    return _Onnx("AveragePool", common | {"count_include_pad": int(operator.count_include_pad)})


@_convert.register
def _global_pool(operator: ops.GlobalPool, node: Node, specs: Mapping[str, Spec]) -> _Onnx:
    return _Onnx("GlobalMaxPool" if operator.kind == "max" else "GlobalAveragePool")


@_convert.register
def _adaptive_pool(operator: ops.AdaptivePool, node: Node, specs: Mapping[str, Spec]) -> _Onnx:
    size = specs[node.inputs[0]].shape[2:]
    out = specs[node.outputs[0]].shape[2:]
    if any(whole % parts for whole, parts in zip(size, out, strict=True)):
        raise unserved(node, f"a size of {size} in {out} parts")
    if size == out:
        return _Onnx("Identity")
    kernel = tuple(whole // parts for whole, parts in zip(size, out, strict=True))
    name = "MaxPool" if operator.kind == "max" else "AveragePool"
    return _Onnx(name, {"kernel_shape": kernel, "strides": kernel})


@_convert.register
def _activation(operator: ops.Activation, node: Node, specs: Mapping[str, Spec]) -> _Onnx:
    name, a, b = _arguments.activation(operator.form)
    match name:
        case "relu" | "sigmoid" | "tanh":
            return _Onnx(name.capitalize())
        case "relu6":
            return _Onnx("Clip", {}, (0.0, 6.0))
        case "clip":
            return _Onnx("Clip", {}, (a, b))
        case "leaky_relu":
            return _Onnx("LeakyRelu", {"alpha": a})
    raise unserved(node, "this activation")


@_convert.register
def _batch_norm(operator: ops.BatchNorm, node: Node, specs: Mapping[str, Spec]) -> _Onnx:
    return _Onnx("BatchNormalization", {"epsilon": operator.eps})


@_convert.register
def _lrn(operator: ops.LocalResponseNorm, node: Node, specs: Mapping[str, Spec]) -> _Onnx:
    # An int would become an attribute of another type.
    numbers = {"alpha": operator.alpha, "beta": operator.beta, "bias": operator.k}
    return _Onnx("LRN", {"size": operator.size, **{key: float(n) for key, n in numbers.items()}})


@_convert.register(ops.Concat)
@_convert.register(ops.Flatten)
def _along_axis(operator: ops.Concat | ops.Flatten, node: Node, specs: Mapping[str, Spec]) -> _Onnx:
    return _Onnx(type(operator).__name__, {"axis": operator.axis})


@_convert.register(ops.Add)
@_convert.register(ops.Identity)
def _same_name(operator: Operator, node: Node, specs: Mapping[str, Spec]) -> _Onnx:
    return _Onnx(type(operator).__name__)
