"""Graphs as those who carry them to other engines read them: shapes of all values, plain windows.

Also a layer to time as a graph of one node, so that there is one way to each engine's format.
Knows ``layers``, ``data`` and ``fastconv.graph``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from fastconv import _arguments
from fastconv._arguments import Array
from fastconv.bench.data import Arrays
from fastconv.bench.layers import Case, ConvLayer, Shape, Window
from fastconv.graph import Graph, Node, Operator, Spec
from fastconv.graph import operators as ops
from fastconv.graph.simplify import inferred


def graph_of(case: Case, arrays: Arrays) -> Graph:
    """A layer of a network as a graph from ``x`` to ``y``."""
    constants: dict[str, Array] = {}
    operator: Operator
    if isinstance(case, ConvLayer):
        constants = {"weight": arrays.weight, "bias": arrays.bias}
        operator = ops.Conv(
            stride=case.stride,
            padding=case.nested_padding,
            dilation=case.dilation,
            groups=case.groups,
        )
    elif case.kind == "global_avg":
        operator = ops.GlobalPool(kind="avg")
    else:
        pool = ops.MaxPool if case.kind == "max" else ops.AvgPool
        operator = pool(
            kernel=(case.kh, case.kw),
            stride=case.stride,
            padding=case.nested_padding,
            dilation=case.dilation,
            ceil_mode=case.ceil_mode,
        )
    node = Node(operator, ("x", *constants), ("y",), case.id)
    return Graph([node], {"x": None}, ["y"], constants, case.id)


def specs_of(graph: Graph, shape: Shape) -> dict[str, Spec]:
    """What is known of every value of a graph of one input, float32 and of the given shape."""
    (x,) = graph.input_names
    specs = {name: Spec.of(array) for name, array in graph.constants.items()}
    specs[x] = Spec(shape, np.dtype(np.float32))
    guessed: set[str] = set()
    for node in graph.nodes:
        specs.update(zip(node.outputs, inferred(node, specs, guessed), strict=False))
    return specs


def uses_of(graph: Graph) -> Counter[str]:
    """How often every value is taken, as the graph's output too."""
    taken = (name for node in graph.nodes for name in node.inputs)
    return Counter([*taken, *graph.output_names])


def unserved(node: Node, why: str) -> ValueError:
    """The error for a node that an export does not know."""
    return ValueError(f"{node}: {why} is not exported")


def window_of(node: Node, specs: Mapping[str, Spec]) -> Window:
    """The window of a convolution or a pooling by windows, its padding in numbers.

    Raises
    ------
    ValueError
        For a convolution with a fused activation or residual: exports are of plain graphs.
    """
    operator, x = node.operator, specs[node.inputs[0]]
    if isinstance(operator, ops.Conv):
        if operator.activation is not None or len(node.inputs) > 3:
            raise unserved(node, "a fused activation or residual")
        kernel = specs[node.inputs[1]].shape[2:]
        layer = operator.layer(x.shape, specs[node.inputs[1]].shape, x.dtype.name)
        return Window(x.shape[2:], kernel, layer.stride, layer.padding, layer.dilation)
    assert isinstance(operator, ops.MaxPool | ops.AvgPool)
    form = operator.window(x)
    assert form is not None  # they all have one
    padding = _arguments.padding(operator.padding_for(x.shape), *form)
    return Window(x.shape[2:], form.kernel, form.stride, padding, form.dilation, operator.ceil_mode)


def reference_output(graph: Graph, x: Array) -> Array:
    """What a graph of one input computes, node by node in float64, an image at a time.

    Nothing is folded, fused or packed on the way, and rounding errors are far below those of any
    engine.
    """
    constants = {
        name: array.astype(np.float64) if array.dtype == np.float32 else array
        for name, array in graph.constants.items()
    }
    ((given,), (wanted,)) = graph.input_names, graph.output_names
    wide = Graph(graph.nodes, {given: None}, [wanted], constants, graph.name)
    images = (image[None].astype(np.float64) for image in x)
    return np.concatenate([wide.evaluate({given: image})[wanted] for image in images])
