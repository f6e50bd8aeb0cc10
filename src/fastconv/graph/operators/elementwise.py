"""Operators that work element by element, or along the channels of each position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np

from fastconv import _arguments
from fastconv._arguments import FLOATS, Array
from fastconv._arguments import Activation as Form
from fastconv._core import activate
from fastconv.graph.node import Operator, Spec, given
from fastconv.norm import batch_norm, local_response_norm
from fastconv.softmax import log_softmax, softmax


class Alike(Operator):
    """An operator whose result has the shape and dtype of its first input."""

    def infer(self, *inputs: Spec | None) -> tuple[Spec, ...]:
        """Return shape and dtype of the first input."""
        x = given(inputs[0])
        return (Spec(x.shape, x.dtype),)


@dataclass(frozen=True)
class Activation(Alike):
    """An activation, in the form that `conv2d` takes."""

    form: Form

    @property
    def label(self) -> str:
        """The activation's name."""
        return self.form if isinstance(self.form, str) else str(self.form[0])

    def evaluate(self, *inputs: Array | None) -> tuple[Array, ...]:
        """Apply it."""
        x, _ = _arguments.as_array("x", cast("Array", inputs[0]), FLOATS)
        x = _arguments.contiguous(x)
        y = np.empty_like(x)
        activate(x, _arguments.activation(self.form), y)
        return (y,)


@dataclass(frozen=True, kw_only=True)
class BatchNorm(Alike):
    """Batch normalisation of x by scale, bias, mean and variance of each channel."""

    eps: float = 1e-5

    def evaluate(self, *inputs: Array | None) -> tuple[Array, ...]:
        """Normalise."""
        x, scale, bias, mean, variance = cast("tuple[Array, ...]", inputs)
        return (batch_norm(x, mean, variance, scale, bias, eps=self.eps),)


@dataclass(frozen=True, kw_only=True)
class LocalResponseNorm(Alike):
    """Normalisation by neighbour channels, with the arguments of `local_response_norm`."""

    size: int
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1.0

    def evaluate(self, *inputs: Array | None) -> tuple[Array, ...]:
        """Normalise."""
        (x,) = cast("tuple[Array, ...]", inputs)
        return (local_response_norm(x, self.size, self.alpha, self.beta, self.k),)


@dataclass(frozen=True)
class Softmax(Alike):
    """Exponentials along an axis, divided by their sum."""

    axis: int = -1

    def evaluate(self, *inputs: Array | None) -> tuple[Array, ...]:
        """Apply it."""
        (x,) = cast("tuple[Array, ...]", inputs)
        return (softmax(x, self.axis),)


@dataclass(frozen=True)
class LogSoftmax(Alike):
    """The logarithm of softmax."""

    axis: int = -1

    def evaluate(self, *inputs: Array | None) -> tuple[Array, ...]:
        """Apply it."""
        (x,) = cast("tuple[Array, ...]", inputs)
        return (log_softmax(x, self.axis),)


class Binary(Operator):
    """Arithmetic of two arrays by NumPy's rules of broadcasting."""

    ufunc: ClassVar[np.ufunc]

    def evaluate(self, *inputs: Array | None) -> tuple[Array, ...]:
        """Apply it."""
        a, b = cast("tuple[Array, ...]", inputs)
        with np.errstate(all="ignore"):
            return (np.asarray(self.ufunc(a, b)),)

    def infer(self, *inputs: Spec | None) -> tuple[Spec, ...]:
        """Return the broadcast shape."""
        a, b = map(given, inputs)
        dtypes = (a.dtype, b.dtype, None)
        return (Spec(np.broadcast_shapes(a.shape, b.shape), self.ufunc.resolve_dtypes(dtypes)[-1]),)


class Add(Binary):
    """The sum."""

    ufunc = np.add


class Sub(Binary):
    """The difference."""

    ufunc = np.subtract


class Mul(Binary):
    """The product."""

    ufunc = np.multiply


class Div(Binary):
    """The quotient."""

    ufunc = np.divide
