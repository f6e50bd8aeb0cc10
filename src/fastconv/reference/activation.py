"""Activations by the definition."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from fastconv import _arguments
from fastconv._arguments import Activation, Array
from fastconv.reference.windows import deliver

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["hardswish", "leaky_relu", "relu", "relu6", "sigmoid", "silu", "tanh"]


def relu(x: ArrayLike, /, *, out: Array | None = None) -> Array:
    """Replace what is below zero by zero, as `fastconv.relu` does; a NaN stays.

    Parameters
    ----------
    x, out
        As for `fastconv.relu`.

    Returns
    -------
    ndarray
        Shape and dtype of `x`.

    Examples
    --------
    >>> import fastconv
    >>> import numpy as np
    >>> fastconv.reference.relu(np.array([-1, 2, np.nan], dtype=np.float32))
    array([ 0.,  2., nan], dtype=float32)
    """
    return _each(x, "relu", out)


def relu6(x: ArrayLike, /, *, out: Array | None = None) -> Array:
    """Clip to the range from zero to six, as `fastconv.relu6` does; a NaN stays.

    Parameters
    ----------
    x, out
        As for `fastconv.relu6`.

    Returns
    -------
    ndarray
        Shape and dtype of `x`.

    Examples
    --------
    >>> import fastconv
    >>> import numpy as np
    >>> fastconv.reference.relu6(np.array([-1, 2, 8], dtype=np.float32))
    array([0., 2., 6.], dtype=float32)
    """
    return _each(x, "relu6", out)


def leaky_relu(x: ArrayLike, /, negative_slope: float = 0.01, *, out: Array | None = None) -> Array:
    """Multiply what is below zero by a slope, as `fastconv.leaky_relu` does.

    Parameters
    ----------
    x, negative_slope, out
        As for `fastconv.leaky_relu`.

    Returns
    -------
    ndarray
        Shape and dtype of `x`.

    Examples
    --------
    >>> import fastconv
    >>> import numpy as np
    >>> fastconv.reference.leaky_relu(np.array([-2, 3], dtype=np.float32), 0.25)
    array([-0.5,  3. ], dtype=float32)
    """
    return _each(x, ("leaky_relu", negative_slope), out)


def sigmoid(x: ArrayLike, /, *, out: Array | None = None) -> Array:
    """Compute the logistic function, as `fastconv.sigmoid` does.

    Parameters
    ----------
    x, out
        As for `fastconv.sigmoid`.

    Returns
    -------
    ndarray
        Shape and dtype of `x`.

    Examples
    --------
    >>> import fastconv
    >>> import numpy as np
    >>> fastconv.reference.sigmoid(np.array([0, 100], dtype=np.float32))
    array([0.5, 1. ], dtype=float32)
    """
    return _each(x, "sigmoid", out)


def tanh(x: ArrayLike, /, *, out: Array | None = None) -> Array:
    """Compute the hyperbolic tangent, as `fastconv.tanh` does.

    Parameters
    ----------
    x, out
        As for `fastconv.tanh`.

    Returns
    -------
    ndarray
        Shape and dtype of `x`.

    Examples
    --------
    >>> import fastconv
    >>> import numpy as np
    >>> fastconv.reference.tanh(np.array([0, 100], dtype=np.float32))
    array([0., 1.], dtype=float32)
    """
    return _each(x, "tanh", out)


def silu(x: ArrayLike, /, *, out: Array | None = None) -> Array:
    """Compute ``x * sigmoid(x)``, as `fastconv.silu` does.

    Parameters
    ----------
    x, out
        As for `fastconv.silu`.

    Returns
    -------
    ndarray
        Shape and dtype of `x`.

    Examples
    --------
    >>> import fastconv
    >>> import numpy as np
    >>> fastconv.reference.silu(np.array([0, 100], dtype=np.float32))
    array([  0., 100.], dtype=float32)
    """
    return _each(x, "silu", out)


def hardswish(x: ArrayLike, /, *, out: Array | None = None) -> Array:
    """Compute ``x * relu6(x + 3) / 6``, as `fastconv.hardswish` does.

    Parameters
    ----------
    x, out
        As for `fastconv.hardswish`.

    Returns
    -------
    ndarray
        Shape and dtype of `x`.

    Examples
    --------
    >>> import fastconv
    >>> import numpy as np
    >>> fastconv.reference.hardswish(np.array([-1.5, 4], dtype=np.float32))
    array([-0.375,  4.   ], dtype=float32)
    """
    return _each(x, "hardswish", out)


def _each(x: ArrayLike, activation: Activation, out: Array | None) -> Array:
    x = np.asarray(x)
    of = activation_of(activation)
    y = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        y[index] = of(float(x[index]))
    return deliver(y, x.dtype, out)


def _relu(v: float) -> float:
    return 0.0 if v < 0 else v


def _clip(v: float, low: float, high: float) -> float:
    return low if v < low else high if v > high else v


def _sigmoid(v: float) -> float:
    # Of the two equal forms, the one whose exponential cannot overflow.
    return 1 / (1 + math.exp(-v)) if v >= 0 else math.exp(v) / (1 + math.exp(v))


_ACTIVATIONS: dict[str, Callable[[float, float, float], float]] = {
    "none": lambda v, a, b: v,
    "relu": lambda v, a, b: _relu(v),
    "relu6": lambda v, a, b: _clip(v, 0.0, 6.0),
    "sigmoid": lambda v, a, b: _sigmoid(v),
    "tanh": lambda v, a, b: math.tanh(v),
    "silu": lambda v, a, b: v * _sigmoid(v),
    "hardswish": lambda v, a, b: v * _clip(v + 3, 0.0, 6.0) / 6,
    "leaky_relu": lambda v, a, b: v * a if v < 0 else v,
    "clip": _clip,
}


def activation_of(activation: Activation | None) -> Callable[[float], float]:
    name, a, b = _arguments.activation(activation)
    return lambda v: _ACTIVATIONS[name](v, a, b)
