"""Operators that rearrange values or tell their shape, and `Function`, which does anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import TypeAlias, cast

import numpy as np

from fastconv._arguments import Array
from fastconv.graph.node import DynamicShapeError, Operator, Spec, given
from fastconv.graph.node import Shape as Sizes


@dataclass(frozen=True)
class Concat(Operator):
    """Arrays one after the other along an axis.

    A compiled graph lets those that make them write where they belong, wherever it can.

    Parameters
    ----------
    axis : int
        The axis along which their sizes may differ.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.operators import Concat
    >>> Concat(1).evaluate(np.zeros((1, 2)), np.ones((1, 1)))
    (array([[0., 0., 1.]]),)
    """

    axis: int

    def evaluate(self, *inputs: Array | None) -> tuple[Array, ...]:
        """Join."""
        return (np.concatenate(cast("tuple[Array, ...]", inputs), self.axis),)

    def infer(self, *inputs: Spec | None) -> tuple[Spec, ...]:
        """Return the shape of the whole."""
        first, *rest = map(given, inputs)
        if not -len(first.shape) <= self.axis < len(first.shape):
            raise ValueError(f"axis {self.axis} does not fit the shape {first.shape}")
        axis = self.axis % len(first.shape)
        size = first.shape[axis]
        for spec in rest:
            if (*spec.shape[:axis], *spec.shape[axis + 1 :]) != (
                *first.shape[:axis],
                *first.shape[axis + 1 :],
            ) or len(spec.shape) != len(first.shape):
                raise ValueError(f"shapes {first.shape} and {spec.shape} differ beside axis {axis}")
            size += spec.shape[axis]
        dtype = np.result_type(*(given(spec).dtype for spec in inputs))
        return (Spec((*first.shape[:axis], size, *first.shape[axis + 1 :]), dtype),)


class View(Operator):
    """An operator that leaves the elements in their order."""

    def shape(self, *inputs: Spec | None) -> Sizes:
        """Return the shape of the result."""
        raise NotImplementedError

    def evaluate(self, *inputs: Array | None) -> tuple[Array, ...]:
        """Reshape."""
        specs = (None if array is None else Spec.of(array) for array in inputs)
        return (cast("Array", inputs[0]).reshape(self.shape(*specs)),)

    def infer(self, *inputs: Spec | None) -> tuple[Spec, ...]:
        """Return the shape and the dtype of the input."""
        return (Spec(self.shape(*inputs), given(inputs[0]).dtype),)


@dataclass(frozen=True)
class Identity(View):
    """The input itself; what dropout is once a network is trained.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.operators import Identity
    >>> Identity().evaluate(np.array([1, 2]))
    (array([1, 2]),)
    """

    def shape(self, *inputs: Spec | None) -> Sizes:
        """Return the shape of the input."""
        return given(inputs[0]).shape


@dataclass(frozen=True)
class Flatten(View):
    """The axes before one as one, and those from it on as another.

    Parameters
    ----------
    axis : int, default 1
        The first axis of the second group.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.operators import Flatten
    >>> Flatten().evaluate(np.zeros((2, 3, 4, 4)))[0].shape
    (2, 48)
    """

    axis: int = 1

    def shape(self, *inputs: Spec | None) -> Sizes:
        """Return two sizes."""
        x = given(inputs[0]).shape
        if not -len(x) <= self.axis <= len(x):
            raise ValueError(f"axis {self.axis} does not fit the shape {x}")
        at = self.axis + len(x) if self.axis < 0 else self.axis
        return prod(x[:at]), prod(x[at:])


@dataclass(frozen=True, kw_only=True)
class Reshape(View):
    """The elements of the first input in the shape that the second one, of integers, holds.

    In it 0 copies the size that stands there, and -1, of which there may be one, is what is left.
    A graph whose second input is not known before it runs is computed node by node.

    Parameters
    ----------
    allow_zero : bool, default False
        Whether 0 is a size like any other.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.operators import Reshape
    >>> Reshape().evaluate(np.zeros((2, 3, 4)), np.array([0, -1]))[0].shape
    (2, 12)
    """

    allow_zero: bool = False

    def shape(self, *inputs: Spec | None) -> Sizes:
        """Return the sizes."""
        x, form = map(given, inputs)
        if form.value is None:
            raise DynamicShapeError("the new shape is not known before the graph runs")
        sizes = [int(size) for size in form.value]
        if not self.allow_zero:
            if any(size == 0 and i >= len(x.shape) for i, size in enumerate(sizes)):
                raise ValueError(f"shape {sizes} copies a size that x, of shape {x.shape}, lacks")
            sizes = [size or x.shape[i] for i, size in enumerate(sizes)]
        if sizes.count(-1) > 1 or min(sizes, default=0) < -1:
            raise ValueError(f"shape {sizes} must hold sizes and at most one -1")
        if -1 in sizes:
            rest = -prod(tuple(sizes))
            sizes[sizes.index(-1)] = prod(x.shape) // rest if rest else 0
        if prod(tuple(sizes)) != prod(x.shape):
            raise ValueError(f"x of shape {x.shape} does not fit into shape {form.value.tolist()}")
        return tuple(sizes)


@dataclass(frozen=True)
class Transpose(Operator):
    """The axes in another order.

    Parameters
    ----------
    perm : tuple of int
        Which axis of the input each of the result is.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.operators import Transpose
    >>> Transpose((0, 2, 3, 1)).evaluate(np.zeros((1, 3, 8, 9)))[0].shape
    (1, 8, 9, 3)
    """

    perm: tuple[int, ...]

    def evaluate(self, *inputs: Array | None) -> tuple[Array, ...]:
        """Permute."""
        return (cast("Array", inputs[0]).transpose(self.perm),)

    def infer(self, *inputs: Spec | None) -> tuple[Spec, ...]:
        """Return the permuted shape."""
        x = given(inputs[0])
        if sorted(self.perm) != list(range(len(x.shape))):
            raise ValueError(f"perm {self.perm} does not fit the shape {x.shape}")
        return (Spec(tuple(x.shape[axis] for axis in self.perm), x.dtype),)


@dataclass(frozen=True)
class Shape(Operator):
    """The shape of the input, as an array of int64.

    A compiled graph takes it, and what follows from it, for constant.

    Parameters
    ----------
    start : int, default 0
        The first axis whose size it holds.
    end : int, optional
        The axis before which it ends.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.operators import Shape
    >>> Shape(start=2).evaluate(np.zeros((1, 3, 8, 9)))
    (array([8, 9]),)
    """

    start: int = 0
    end: int | None = None

    def evaluate(self, *inputs: Array | None) -> tuple[Array, ...]:
        """Tell the shape."""
        return (np.array(cast("Array", inputs[0]).shape[self.start : self.end], np.int64),)

    def infer(self, *inputs: Spec | None) -> tuple[Spec, ...]:
        """Return the shape, which is known."""
        return (Spec.of(np.array(given(inputs[0]).shape[self.start : self.end], np.int64)),)


_Result: TypeAlias = Array | tuple[Array, ...]


@dataclass(frozen=True)
class Function(Operator):
    """Any function of arrays.

    A compiled graph calls it between its own steps. It is called with zeros to tell the shapes of
    its results; where it raises on these, or the shapes turn out to depend on the data, the graph
    is computed node by node.

    Parameters
    ----------
    name : str
        What people call it.
    function : callable
        Called with the inputs, which it must not write; returns an array or a tuple of them.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph import Graph, Node
    >>> from fastconv.graph.operators import Function
    >>> nodes = [Node(Function("order", np.argsort), ("x",), ("y",), "")]
    >>> Graph(nodes, {"x": None}, ["y"], {})(np.array([3, 1, 2]))
    array([1, 2, 0])
    """

    name: str
    function: Callable[..., _Result]

    @property
    def label(self) -> str:
        """The given name."""
        return self.name

    def evaluate(self, *inputs: Array | None) -> tuple[Array, ...]:
        """Call it."""
        with np.errstate(all="ignore"):
            results = self.function(*inputs)
        if not isinstance(results, tuple):
            results = (results,)
        return tuple(map(np.asarray, results))
