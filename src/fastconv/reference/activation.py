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

__all__ = ["relu"]


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
    x = np.asarray(x)
    y = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        y[index] = _relu(float(x[index]))
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
