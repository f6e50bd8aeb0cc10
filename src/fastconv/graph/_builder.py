"""`Builder`: graphs layer by layer, with weights that are given by name or made by chance.

Knows graphs and their operators; what networks there are is for its users.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex

import numpy as np

from fastconv import _arguments
from fastconv._arguments import FLOATS, Activation, Array, Padding, Pair
from fastconv.graph import operators as ops
from fastconv.graph.graph import Graph
from fastconv.graph.node import Node, Operator, Spec, infer_node
from fastconv.graph.operators.convolution import spatial_axes

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["INPUT", "Builder", "is_counter"]

INPUT = "x"

# How many names of a kind a message lists.
_LISTED = 5


class Builder:
    """Adds layers to a graph; each is a node, a value and the first part of its weights' names.

    Weights are taken from a mapping under their names, and `graph` tells everything that is wrong
    with them at once. Without one they are uniform, scaled after He, Zhang, Ren and Sun (2015),
    "Delving deep into rectifiers", so that values keep their size from layer to layer.
    """

    def __init__(
        self,
        name: str,
        input_shape: Sequence[SupportsIndex],
        weights: Mapping[str, ArrayLike] | None,
        seed: int,
        *,
        any_size: bool = False,
        ignored: Callable[[str], bool] = lambda name: False,
    ) -> None:
        """Begin with an input of `input_shape` (c, ...), of `any_size` along its spatial axes.

        Weights whose names are `ignored` need not be used.
        """
        listed = _arguments.integer_list("input_shape", input_shape)
        shape = _arguments.sizes("input_shape", listed)
        if not shape:
            raise ValueError("input_shape must hold the number of channels, got ()")
        if weights is not None and not isinstance(weights, Mapping):
            raise TypeError(f"weights must be a mapping of arrays, got {type(weights).__name__}")
        self.name = name
        self._nodes: list[Node] = []
        self._constants: dict[str, Array] = {}
        self._given, self._ignored = weights, ignored
        self._missing: list[str] = []
        self._misfits: list[str] = []
        self._rng = np.random.default_rng(seed)
        self._dtype = _floating_dtype({} if weights is None else weights)
        free = (None,) * (len(shape) - 1) if any_size else shape[1:]
        self._input = self._dtype, (None, shape[0], *free)
        self._specs = {INPUT: Spec((1, *shape), self._dtype)}

    def shape(self, x: str) -> tuple[int, ...]:
        """Return the shape of a value for one image of the input shape."""
        return self._specs[x].shape

    def add(self, operator: Operator, name: str, *inputs: str) -> str:
        """Add a node and return the value that it makes, which has its name."""
        node = Node(operator, inputs, (name,), name)
        (self._specs[name],) = infer_node(node, [self._specs[key] for key in inputs])
        self._nodes.append(node)
        return name

    def weight(self, name: str, shape: tuple[int, ...], low: float, high: float) -> str:
        """Add a weight: the one that is given, or numbers between `low` and `high`."""
        if self._given is None:
            array = self._rng.random(shape, np.float32)
            array *= high - low
            array += low
        else:
            array = self._taken(name, shape)
        self._constants[name] = array
        self._specs[name] = Spec(shape, self._dtype)
        return name

    def constant(self, name: str, values: Array) -> str:
        """Add what belongs to the network itself, whatever its weights."""
        self._constants[name] = values.astype(self._dtype)
        self._specs[name] = Spec(values.shape, self._dtype)
        return name

    def conv(
        self,
        x: str,
        name: str,
        k: SupportsIndex,
        kernel_size: Pair,
        stride: Pair = 1,
        padding: Padding | Literal["same_upper", "same_lower"] = 0,
        dilation: Pair = 1,
        groups: SupportsIndex = 1,
        *,
        bias: bool = True,
        norm: str | None = None,
        eps: float = 1e-5,
        activation: Activation | None = None,
        gain: float | None = None,
    ) -> str:
        """Add a convolution, a batch normalisation if `norm` names one, and an activation.

        `gain` is by how much random weights scale the variance.
        """
        axes = spatial_axes("x", self.shape(x))
        kernel = _arguments.sizes(
            "kernel_size", _arguments.per_axis("kernel_size", kernel_size, axes)
        )
        k, groups = _arguments.positive("k", k), _arguments.positive("groups", groups)
        shape = (k, self.shape(x)[1] // groups, *kernel)
        operator = ops.Conv(stride=stride, padding=padding, dilation=dilation, groups=groups)
        y = self._weighted(operator, x, name, shape, bias and norm is None, activation, gain)
        if norm is not None:
            y = self.batch_norm(y, norm, eps)
        return self.activation(y, activation)

    def dense(
        self,
        x: str,
        name: str,
        k: SupportsIndex,
        *,
        bias: bool = True,
        activation: Activation | None = None,
    ) -> str:
        """Add a dense layer on the last axis, and an activation."""
        shape = _arguments.positive("k", k), self.shape(x)[-1]
        y = self._weighted(ops.Dense(), x, name, shape, bias, activation, None)
        return self.activation(y, activation)

    def batch_norm(self, x: str, name: str, eps: float = 1e-5) -> str:
        """Add a batch normalisation."""
        shape = self.shape(x)[1:2]
        ranges = {
            "weight": (0.8, 1.2),
            "bias": (-0.1, 0.1),
            "running_mean": (-0.1, 0.1),
            "running_var": (0.8, 1.2),
        }
        weights = [self.weight(f"{name}.{key}", shape, *ends) for key, ends in ranges.items()]
        return self.add(ops.BatchNorm(eps=eps), name, x, *weights)

    def activation(self, x: str, form: Activation | None) -> str:
        """Add an activation, if there is one."""
        if form is None:
            return x
        _arguments.activation(form)
        operator = ops.Activation(form)
        return self.add(operator, f"{x}.{operator.label}", x)

    def graph(self, output: str) -> Graph:
        """Return the graph that computes a value; a `ValueError` tells which weights do not fit."""
        return Graph(**self.parts(output))

    def parts(self, output: str) -> dict[str, Any]:
        """Return the arguments of `Graph`, after the same check."""
        given = self._given or {}
        unexpected = [
            name for name in given if name not in self._constants and not self._ignored(name)
        ]
        wrong = [
            f"{what} {_listed(names)}"
            for what, names in (
                ("missing:", self._missing),
                ("unexpected:", unexpected),
                ("misfits:", self._misfits),
            )
            if names
        ]
        if wrong:
            raise ValueError(f"the weights do not fit {self.name}; {'; '.join(wrong)}")
        return {
            "nodes": self._nodes,
            "inputs": {INPUT: self._input},
            "outputs": [output],
            "constants": self._constants,
            "name": self.name,
        }

    def _weighted(
        self,
        operator: Operator,
        x: str,
        name: str,
        shape: tuple[int, ...],
        bias: bool,
        activation: Activation | None,
        gain: float | None,
    ) -> str:
        if gain is None:  # what cuts off the negative half leaves half of the variance
            gain = 1 if activation in (None, "tanh") else 2
        # The variance of uniform numbers is a third of the square of their bound.
        bound = math.sqrt(3 * gain / max(1, math.prod(shape[1:])))
        names = [self.weight(f"{name}.weight", shape, -bound, bound)]
        if bias:
            names.append(self.weight(f"{name}.bias", shape[:1], -0.1, 0.1))
        return self.add(operator, name, x, *names)

    def _taken(self, name: str, shape: tuple[int, ...]) -> Array:
        """Return a given weight; what does not fit is noted, and replaced to find what else."""
        given = self._given or {}
        if name not in given:
            self._missing.append(name)
        else:
            try:
                array, dtype = _arguments.as_array(name, given[name], FLOATS)
                _arguments.same_dtype(name, dtype, "the first weight", self._dtype.name)
                if array.shape == shape:
                    return np.asarray(array, self._dtype, order="C")
                self._misfits.append(f"{name} has shape {array.shape}, it must be {shape}")
            except (TypeError, ValueError) as error:
                self._misfits.append(str(error))
        return np.broadcast_to(np.zeros((), self._dtype), shape)


def is_counter(name: str) -> bool:
    """Tell whether a weight's name is that of torch's count of batches, which nothing needs."""
    return name.endswith(".num_batches_tracked")


def _floating_dtype(weights: Mapping[str, ArrayLike]) -> np.dtype[Any]:
    """Return the dtype of the first weight that has a floating one, float32 if there is none."""
    for name, value in weights.items():
        with suppress(TypeError, ValueError):
            return np.dtype(_arguments.as_array(name, value, FLOATS)[1])
    return np.dtype(np.float32)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more} more" if more > 0 else "")
