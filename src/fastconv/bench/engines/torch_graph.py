"""A `Graph` as calls of PyTorch's ``nn.functional``, in the order and form of an eager model.

Activations work in place where a model would say ``inplace=True``; a value is let go after its last
use. Serves ``torch_module`` and is no engine itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial, singledispatch
from typing import Any

from fastconv import _arguments
from fastconv.bench.graphs import specs_of, unserved, uses_of, window_of
from fastconv.bench.layers import Shape
from fastconv.graph import Graph, Node, Operator, Spec
from fastconv.graph import operators as ops

_FRESH = (ops.Conv, ops.Dense, ops.BatchNorm, ops.Add)
"""What makes a tensor of its own, which an activation may overwrite."""


class Program:
    """A graph of one input, called with a tensor; its weights share the graph's memory.

    Parameters
    ----------
    graph : Graph
    shape : tuple of int
        The shape of its input.
    memory_format : torch.memory_format
        Of the weights of convolutions.

    Raises
    ------
    ValueError
        For an operator that is not served; the message names the node.
    """

    def __init__(self, graph: Graph, shape: Shape, memory_format: Any) -> None:
        specs, left = specs_of(graph, shape), uses_of(graph)
        uses = left.copy()
        fresh = {node.outputs[0] for node in graph.nodes if isinstance(node.operator, _FRESH)}
        self._input, self._output = graph.input_names[0], graph.output_names[0]
        self._weights = {
            name: _tensor(array, memory_format) for name, array in graph.constants.items()
        }
        self._steps: list[tuple[Callable[..., Any], tuple[str, ...], str, list[str]]] = []
        for node in graph.nodes:
            function = _function(node.operator, node, specs)
            x = node.inputs[0]
            if _has_inplace(node.operator) and x in fresh and uses[x] == 1:
                function = partial(function, inplace=True)
            left.subtract(node.inputs)
            gone = [
                name
                for name in dict.fromkeys(node.inputs)
                if name and not left[name] and name not in self._weights
            ]
            self._steps.append((function, node.inputs, node.outputs[0], gone))

    def __call__(self, x: Any) -> Any:
        values = {"": None, **self._weights, self._input: x}
        for function, inputs, output, gone in self._steps:
            values[output] = function(*[values[name] for name in inputs])
            for name in gone:
                del values[name]
        return values[self._output]


def _has_inplace(operator: Operator) -> bool:
    return isinstance(operator, ops.Activation) and operator.form in ("relu", "relu6")


def _tensor(array: Any, memory_format: Any) -> Any:
    import torch

    tensor = torch.from_numpy(array)
    return tensor.to(memory_format=memory_format) if tensor.ndim == 4 else tensor


@singledispatch
def _function(operator: Operator, node: Node, specs: Mapping[str, Spec]) -> Callable[..., Any]:
    """What is called with the tensors of a node's inputs."""
    raise unserved(node, "this operator")


def pads_of(nested: tuple[tuple[int, int], ...]) -> list[int]:
    """A border as ``functional.pad`` takes it, the last axis first."""
    return [side for pair in reversed(nested) for side in pair]


@_function.register
def _conv(operator: ops.Conv, node: Node, specs: Mapping[str, Spec]) -> Callable[..., Any]:
    from torch.nn import functional

    window = window_of(node, specs)
    even = window.even_padding
    form = (window.stride, even or 0, window.dilation, operator.groups)
    borders = None if even else pads_of(window.nested_padding)

    def conv(x: Any, weight: Any, bias: Any = None) -> Any:
        # It takes one number for two borders; uneven ones are added before it.
        padded = functional.pad(x, borders) if borders else x
        return functional.conv2d(padded, weight, bias, *form)

    return conv


@_function.register
def _dense(operator: ops.Dense, node: Node, specs: Mapping[str, Spec]) -> Any:
    from torch.nn import functional

    return functional.linear


@_function.register(ops.MaxPool)
@_function.register(ops.AvgPool)
def _pool(
    operator: ops.MaxPool | ops.AvgPool, node: Node, specs: Mapping[str, Spec]
) -> Callable[..., Any]:
    from torch.nn import functional

    window = window_of(node, specs)
    if window.even_padding is None:
        raise unserved(node, f"padding {window.nested_padding} of a pooling")
    options: dict[str, Any] = {
        "kernel_size": window.kernel,
        "stride": window.stride,
        "padding": window.even_padding,
        "ceil_mode": window.ceil_mode,
    }
    if isinstance(operator, ops.MaxPool):
        return partial(functional.max_pool2d, **options, dilation=window.dilation)
    options["count_include_pad"] = operator.count_include_pad
    return partial(functional.avg_pool2d, **options)


@_function.register
def _adaptive_pool(operator: ops.AdaptivePool, node: Node, specs: Mapping[str, Spec]) -> Any:
    from torch.nn import functional

    pool = {"avg": functional.adaptive_avg_pool2d, "max": functional.adaptive_max_pool2d}
    return partial(pool[operator.kind], output_size=operator.output_size)


@_function.register
def _activation(operator: ops.Activation, node: Node, specs: Mapping[str, Spec]) -> Any:
    import torch
    from torch.nn import functional

    match _arguments.activation(operator.form):
        case ("relu" | "relu6") as name, _, _:
            return functional.relu if name == "relu" else functional.relu6
        case "leaky_relu", slope, _:
            return partial(functional.leaky_relu, negative_slope=slope)
        case "clip", low, high:
            return partial(torch.clamp, min=low, max=high)
        case ("sigmoid" | "tanh") as name, _, _:
            return torch.sigmoid if name == "sigmoid" else torch.tanh
    raise unserved(node, "this activation")


@_function.register
def _batch_norm(operator: ops.BatchNorm, node: Node, specs: Mapping[str, Spec]) -> Any:
    from torch.nn import functional

    def normalise(x: Any, scale: Any, bias: Any, mean: Any, variance: Any) -> Any:
        return functional.batch_norm(x, mean, variance, scale, bias, eps=operator.eps)

    return normalise


@_function.register
def _lrn(operator: ops.LocalResponseNorm, node: Node, specs: Mapping[str, Spec]) -> Any:
    from torch.nn import functional

    form = (operator.size, operator.alpha, operator.beta, operator.k)
    return lambda x: functional.local_response_norm(x, *form)


@_function.register
def _concat(operator: ops.Concat, node: Node, specs: Mapping[str, Spec]) -> Any:
    import torch

    return lambda *parts: torch.cat(parts, operator.axis)


@_function.register
def _flatten(operator: ops.Flatten, node: Node, specs: Mapping[str, Spec]) -> Any:
    import torch

    if operator.axis != 1:
        raise unserved(node, f"axis {operator.axis}")
    return partial(torch.flatten, start_dim=1)


@_function.register
def _add(operator: ops.Add, node: Node, specs: Mapping[str, Spec]) -> Any:
    import torch

    return torch.add


@_function.register
def _identity(operator: ops.Identity, node: Node, specs: Mapping[str, Spec]) -> Any:
    return lambda x: x
