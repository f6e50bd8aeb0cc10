"""A `Graph` as ncnn's parameter text and weights.

As its own tools would leave it: batch normalisation is folded into the convolution before it,
activations are part of convolutions and dense layers. Knows ``graphs``; needs no package.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import singledispatch
from typing import IO

import numpy as np

from fastconv import _arguments
from fastconv._arguments import Array
from fastconv.bench.graphs import specs_of, unserved, uses_of, window_of
from fastconv.bench.layers import Shape
from fastconv.graph import Graph, Node, Operator, Spec
from fastconv.graph import operators as ops

_MAGIC = 7767517

# What the loader looks for before weights, of which it then knows that they are float32.
_FLOAT32 = bytes(4)

_WEIGHTED = ("Convolution", "ConvolutionDepthWise", "InnerProduct")
"""The layers that have an activation as option 9, its numbers as option 10."""


@dataclass(slots=True)
class _Layer:
    """A line of the text, its options by ncnn's numbers, and its weights, each as flag and array.

    ``weights`` of the kinds `_WEIGHTED` are the filters and, with one, a bias.
    """

    kind: str
    inputs: list[str]
    outputs: list[str]
    options: dict[int, object] = field(default_factory=dict)
    weights: list[Array] = field(default_factory=list)

    @property
    def text(self) -> str:
        options = (f"{key}={value}" for key, value in self.options.items())
        counts = f"{len(self.inputs)} {len(self.outputs)}"
        names = (*self.inputs, *self.outputs)
        return " ".join((self.kind, self.outputs[0], counts, *names, *options))

    def write(self, file: IO[bytes]) -> None:
        if self.kind in _WEIGHTED:
            file.write(_FLOAT32)
        for array in self.weights:
            file.write(np.ascontiguousarray(array, np.float32).data)


def to_ncnn(graph: Graph, shape: Shape, weights: IO[bytes]) -> str:
    """Write the weights of a graph of one input, and return its parameter text.

    Parameters
    ----------
    graph : Graph
        Of float32 weights.
    shape : tuple of int
        The shape of its input, batch first; the text holds for any batch.
    weights : binary file
        Written to from where it stands.

    Returns
    -------
    str
        With the graph's names of inputs and outputs.

    Raises
    ------
    ValueError
        For an operator that is not exported; the message names the node.
    """
    layers = _layers(graph, specs_of(graph, shape))
    for layer in layers:
        layer.write(weights)
    lines = _split(layers)
    blobs = sum(len(layer.outputs) for layer in lines)
    return "\n".join((str(_MAGIC), f"{len(lines)} {blobs}", *(line.text for line in lines), ""))


def _layers(graph: Graph, specs: Mapping[str, Spec]) -> list[_Layer]:
    layers = [_Layer("Input", [], list(graph.input_names))]
    makers: dict[str, _Layer] = {}
    uses = uses_of(graph)
    for node in graph.nodes:
        x, y = node.inputs[0], node.outputs[0]
        maker = makers.get(x)
        if maker and uses[x] == 1 and _absorbed(node.operator, node, specs, maker):
            maker.outputs = [y]
            makers[y] = maker
            continue
        layer = _convert(node.operator, node, specs)
        layer.inputs = [name for name in node.inputs if name not in graph.constants]
        layer.outputs = [y]
        layers.append(layer)
        makers[y] = layer
    return layers


def _split(layers: Iterable[_Layer]) -> list[_Layer]:
    """A blob is taken once: a layer in between gives every taker its own."""
    takers: dict[str, list[_Layer]] = {}
    for layer in layers:
        for name in layer.inputs:
            takers.setdefault(name, []).append(layer)
    lines = []
    for layer in layers:
        lines.append(layer)
        (name,) = layer.outputs
        shared = takers.get(name, [])
        if len(shared) > 1:
            own = [f"{name}_{i}" for i in range(len(shared))]
            for taker, mine in zip(shared, own, strict=True):
                taker.inputs[taker.inputs.index(name)] = mine
            lines.append(_Layer("Split", [name], own))
    return lines


# ---- what becomes part of the layer before


@singledispatch
def _absorbed(operator: Operator, node: Node, specs: Mapping[str, Spec], layer: _Layer) -> bool:
    """Make an operator part of the layer that makes its input, if it can be that."""
    return False


@_absorbed.register
def _fold(operator: ops.BatchNorm, node: Node, specs: Mapping[str, Spec], layer: _Layer) -> bool:
    if layer.kind not in _WEIGHTED or 9 in layer.options:
        return False
    scale, bias, mean, variance = _values(node.inputs[1:], specs)
    factor = scale / np.sqrt(variance + operator.eps)
    weight, *own = layer.weights
    layer.weights = [
        weight * factor.reshape(-1, *(1,) * (weight.ndim - 1)),
        bias + (sum(own) - mean) * factor,
    ]
    layer.options[1 if layer.kind == "InnerProduct" else 5] = 1
    return True


@_absorbed.register
def _activate(
    operator: ops.Activation, node: Node, specs: Mapping[str, Spec], layer: _Layer
) -> bool:
    if layer.kind not in _WEIGHTED or 9 in layer.options:
        return False
    match _arguments.activation(operator.form):
        case "relu", _, _:
            layer.options[9] = 1
        case "leaky_relu", slope, _:
            layer.options |= {9: 2, -23310: f"1,{slope}"}
        case "relu6", _, _:
            layer.options |= {9: 3, -23310: "2,0,6"}
        case "clip", low, high:
            layer.options |= {9: 3, -23310: f"2,{low},{high}"}
        case _:
            return False
    return True


# ---- layers of their own


@singledispatch
def _convert(operator: Operator, node: Node, specs: Mapping[str, Spec]) -> _Layer:
    """A layer but for the names."""
    raise unserved(node, "this operator")


def _layer(
    kind: str, options: dict[int, object] | None = None, weights: Iterable[Array] = ()
) -> _Layer:
    return _Layer(kind, [], [], options or {}, list(weights))


def _values(names: Iterable[str], specs: Mapping[str, Spec]) -> list[Array]:
    """The arrays of constants; an optional one that is absent is left out."""
    arrays = []
    for name in filter(None, names):
        array = specs[name].value
        if array is None:
            raise ValueError(f"{name} is no constant: it is not exported as a weight")
        arrays.append(array)
    return arrays


@_convert.register
def _conv(operator: ops.Conv, node: Node, specs: Mapping[str, Spec]) -> _Layer:
    window = window_of(node, specs)
    weights = _values(node.inputs[1:], specs)
    top, bottom, left, right = window.padding
    options: dict[int, object] = {
        0: weights[0].shape[0],
        1: window.kernel[1],
        11: window.kernel[0],
        2: window.dilation[1],
        12: window.dilation[0],
        3: window.stride[1],
        13: window.stride[0],
        4: left,
        15: right,
        14: top,
        16: bottom,
        5: len(weights) - 1,
        6: weights[0].size,
    }
    if operator.groups == 1:
        return _layer("Convolution", options, weights)
    return _layer("ConvolutionDepthWise", options | {7: operator.groups}, weights)


@_convert.register
def _dense(operator: ops.Dense, node: Node, specs: Mapping[str, Spec]) -> _Layer:
    if operator.activation is not None or len(node.inputs) > 3:
        raise unserved(node, "a fused activation or residual")
    weights = _values(node.inputs[1:], specs)
    size = weights[0].size
    return _layer("InnerProduct", {0: len(weights[0]), 1: len(weights) - 1, 2: size}, weights)


@_convert.register(ops.MaxPool)
@_convert.register(ops.AvgPool)
def _pool(operator: ops.MaxPool | ops.AvgPool, node: Node, specs: Mapping[str, Spec]) -> _Layer:
    window = window_of(node, specs)
    if set(window.dilation) != {1}:
        raise unserved(node, f"dilation {window.dilation} of a pooling")
    top, bottom, left, right = window.padding
    full, valid = 0, 1
    options: dict[int, object] = {
        0: int(isinstance(operator, ops.AvgPool)),
        1: window.kernel[1],
        11: window.kernel[0],
        2: window.stride[1],
        12: window.stride[0],
        3: left,
        14: right,
        13: top,
        15: bottom,
        5: full if window.ceil_mode else valid,
    }
    if isinstance(operator, ops.AvgPool):
        options[6] = int(operator.count_include_pad)
    return _layer("Pooling", options)


@_convert.register
def _global_pool(operator: ops.GlobalPool, node: Node, specs: Mapping[str, Spec]) -> _Layer:
    return _layer("Pooling", {0: int(operator.kind == "avg"), 4: 1})


@_convert.register
def _adaptive_pool(operator: ops.AdaptivePool, node: Node, specs: Mapping[str, Spec]) -> _Layer:
    height, width = specs[node.outputs[0]].shape[2:]
    return _layer("Pooling", {0: int(operator.kind == "avg"), 7: 1, 8: width, 18: height})


@_convert.register
def _activation(operator: ops.Activation, node: Node, specs: Mapping[str, Spec]) -> _Layer:
    match _arguments.activation(operator.form):
        case "relu", _, _:
            return _layer("ReLU")
        case "leaky_relu", slope, _:
            return _layer("ReLU", {0: slope})
        case "relu6", _, _:
            return _layer("Clip", {0: 0.0, 1: 6.0})
        case "clip", low, high:
            return _layer("Clip", {0: low, 1: high})
        case "sigmoid", _, _:
            return _layer("Sigmoid")
        case "tanh", _, _:
            return _layer("TanH")
    raise unserved(node, "this activation")


@_convert.register
def _batch_norm(operator: ops.BatchNorm, node: Node, specs: Mapping[str, Spec]) -> _Layer:
    scale, bias, mean, variance = _values(node.inputs[1:], specs)
    weights = (scale, mean, variance, bias)
    return _layer("BatchNorm", {0: scale.size, 1: operator.eps}, weights)


@_convert.register
def _lrn(operator: ops.LocalResponseNorm, node: Node, specs: Mapping[str, Spec]) -> _Layer:
    across = 0
    return _layer(
        "LRN", {0: across, 1: operator.size, 2: operator.alpha, 3: operator.beta, 4: operator.k}
    )


@_convert.register
def _concat(operator: ops.Concat, node: Node, specs: Mapping[str, Spec]) -> _Layer:
    # ncnn's axes begin after the batch.
    axis = operator.axis % len(specs[node.inputs[0]].shape)
    return _layer("Concat", {0: axis - 1})


@_convert.register
def _flatten(operator: ops.Flatten, node: Node, specs: Mapping[str, Spec]) -> _Layer:
    if operator.axis != 1:
        raise unserved(node, f"axis {operator.axis}")
    return _layer("Flatten")


@_convert.register
def _identity(operator: ops.Identity, node: Node, specs: Mapping[str, Spec]) -> _Layer:
    return _layer("Noop")


@_convert.register
def _add(operator: ops.Add, node: Node, specs: Mapping[str, Spec]) -> _Layer:
    shapes = {specs[name].shape for name in node.inputs}
    if len(shapes) > 1 or any(specs[name].value is not None for name in node.inputs):
        raise unserved(node, "an addition but of two values of one shape")
    return _layer("BinaryOp", {0: 0})
