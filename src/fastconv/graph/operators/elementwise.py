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
from fastconv.norm import batch_norm, channels_of, local_response_norm
from fastconv.softmax import log_softmax, softmax


class Alike(Operator):
    """An operator whose result has the shape and dtype of its first input."""

    def infer(self, *inputs: Spec | None) -> tuple[Spec, ...]:
        """Return shape and dtype of the first input."""
        x = given(inputs[0])
        return (Spec(x.shape, x.dtype),)


@dataclass(frozen=True)
class Activation(Alike):
    """An activation of a floating array.

    Parameters
    ----------
    form : str or tuple
        As `conv2d` takes it: ``"relu"``, ``("leaky_relu", 0.1)`` and so on.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.operators import Activation
    >>> Activation(("clip", 0, 6)).evaluate(np.array([-1, 2, 9], np.float32))
    (array([0., 2., 6.], dtype=float32),)
    """

    form: Form

    @property
    def label(self) -> str:
        """The activation's name."""
        return self.form if isinstance(self.form, str) else str(self.form[0])

    def infer(self, *inputs: Spec | None) -> tuple[Spec, ...]:
        """Return shape and dtype of the input."""
        _arguments.activation(self.form)
        if len(inputs) != 1:
            raise ValueError(f"takes one input, got {len(inputs)}")
        return super().infer(*inputs)

    def evaluate(self, *inputs: Array | None) -> tuple[Array, ...]:
        """Apply it."""
        x, _ = _arguments.as_array("x", cast("Array", inputs[0]), FLOATS)
        x = _arguments.contiguous(x)
        y = np.empty_like(x)
        activate(x, _arguments.activation(self.form), y)
        return (y,)


@dataclass(frozen=True, kw_only=True)
class BatchNorm(Alike):
    """Batch normalisation of inference.

    Its inputs are x (n, c, ...), and scale, bias, mean and variance, all (c,): another order than
    that of `batch_norm`'s arguments, and ONNX's.

    Parameters
    ----------
    eps : float, default 1e-5
        Added to the variance.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.operators import BatchNorm
    >>> numbers = (np.array([number], np.float32) for number in (2, 1, 10, 4))
    >>> BatchNorm(eps=0).evaluate(np.array([[[10, 14]]], np.float32), *numbers)
    (array([[[1., 5.]]], dtype=float32),)
    """

    eps: float = 1e-5

    def evaluate(self, *inputs: Array | None) -> tuple[Array, ...]:
        """Normalise."""
        x, scale, bias, mean, variance = cast("tuple[Array, ...]", inputs)
        return (batch_norm(x, mean, variance, scale, bias, eps=self.eps),)

    def infer(self, *inputs: Spec | None) -> tuple[Spec, ...]:
        """Return shape and dtype of x, which the others fit."""
        x, scale, bias, mean, variance = map(given, inputs)
        form = mean.sample(), variance.sample(), scale.sample(), bias.sample()
        channels_of(x.shape, x.dtype.name, *form, self.eps)
        return super().infer(*inputs)


@dataclass(frozen=True, kw_only=True)
class LocalResponseNorm(Alike):
    """Normalisation by neighbouring channels.

    Parameters
    ----------
    size, alpha, beta, k
        As for `local_response_norm`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.operators import LocalResponseNorm
    >>> x = np.array([[[[1, 2]]]], np.float32)
    >>> LocalResponseNorm(size=1, alpha=1, beta=1, k=0).evaluate(x)
    (array([[[[1. , 0.5]]]], dtype=float32),)
    """

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
    """Exponentials along an axis, divided by their sum.

    Parameters
    ----------
    axis : int, default -1
        The axis.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.operators import Softmax
    >>> Softmax().evaluate(np.zeros((1, 4), np.float32))
    (array([[0.25, 0.25, 0.25, 0.25]], dtype=float32),)
    """

    axis: int = -1

    def evaluate(self, *inputs: Array | None) -> tuple[Array, ...]:
        """Apply it."""
        (x,) = cast("tuple[Array, ...]", inputs)
        return (softmax(x, self.axis),)


@dataclass(frozen=True)
class LogSoftmax(Alike):
    """The logarithm of softmax.

    Parameters
    ----------
    axis : int, default -1
        The axis.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.operators import LogSoftmax
    >>> LogSoftmax().evaluate(np.zeros((1, 2)))[0].round(4)
    array([[-0.6931, -0.6931]])
    """

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


@dataclass(frozen=True)
class Add(Binary):
    """The sum of two arrays, by NumPy's rules of broadcasting and dtypes.

    A compiled graph makes it the residual of the convolution or dense layer before it.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.operators import Add
    >>> Add().evaluate(np.array([1.0, 2.0]), np.array([10.0]))
    (array([11., 12.]),)
    """

    ufunc = np.add


@dataclass(frozen=True)
class Sub(Binary):
    """The difference of two arrays, by NumPy's rules of broadcasting and dtypes.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.operators import Sub
    >>> Sub().evaluate(np.array([1.0, 2.0]), np.array([10.0]))
    (array([-9., -8.]),)
    """

    ufunc = np.subtract


@dataclass(frozen=True)
class Mul(Binary):
    """The product of two arrays, by NumPy's rules of broadcasting and dtypes.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.operators import Mul
    >>> Mul().evaluate(np.array([1.0, 2.0]), np.array([10.0]))
    (array([10., 20.]),)
    """

    ufunc = np.multiply


@dataclass(frozen=True)
class Div(Binary):
    """The quotient of two arrays, by NumPy's rules of broadcasting and dtypes.

    That of integers is floating, as NumPy's is; division by zero gives infinities and NaN.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.operators import Div
    >>> Div().evaluate(np.array([1.0, 2.0]), np.array([10.0]))
    (array([0.1, 0.2]),)
    """

    ufunc = np.divide
