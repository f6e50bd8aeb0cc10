"""Softmax and the loss that is made of it, by the definition."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal, SupportsIndex

import numpy as np

from fastconv import _arguments
from fastconv._arguments import Array
from fastconv.reference.windows import deliver

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike

__all__ = ["cross_entropy", "log_softmax", "softmax"]


def softmax(
    x: ArrayLike,
    /,
    dim: SupportsIndex | None = None,
    *,
    dtype: DTypeLike | None = None,
    out: Array | None = None,
) -> Array:
    """Turn the values along one axis into shares of 1, as `fastconv.softmax` does.

    Parameters
    ----------
    x, dim, dtype, out
        As for `fastconv.softmax`.

    Returns
    -------
    ndarray
        Shape of `x`, its dtype or `dtype`.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.reference.softmax([0.0, 0.0], 0)
    array([0.5, 0.5])
    """
    x = np.asarray(x, dtype)
    y = np.empty(x.shape)
    for index, value in _logarithms(x, _axis(dim)).items():
        y[index] = math.exp(value)
    return deliver(y, x.dtype, out)


def log_softmax(
    x: ArrayLike,
    /,
    dim: SupportsIndex | None = None,
    *,
    dtype: DTypeLike | None = None,
    out: Array | None = None,
) -> Array:
    """Compute the logarithm of softmax, as `fastconv.log_softmax` does.

    Parameters
    ----------
    x, dim, dtype, out
        As for `fastconv.log_softmax`.

    Returns
    -------
    ndarray
        Shape of `x`, its dtype or `dtype`.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.reference.log_softmax([0.0, 1000.0], 0)
    array([-1000.,     0.])
    """
    x = np.asarray(x, dtype)
    y = np.empty(x.shape)
    for index, value in _logarithms(x, _axis(dim)).items():
        y[index] = value
    return deliver(y, x.dtype, out)


def _axis(dim: SupportsIndex | None) -> int:
    if dim is None:
        raise TypeError("dim must be given")
    return _arguments.integer("dim", dim)


def _logarithms(x: Array, dim: int) -> dict[tuple[int, ...], float]:
    """Return the logarithm of softmax at each index."""
    if not x.ndim:
        return {(): float(x) - float(x)}
    result = {}
    for index in np.ndindex(x.shape):
        line = [*index]
        values = []
        for i in range(x.shape[dim]):
            line[dim] = i
            values.append(float(x[*line]))
        greatest = max(values)
        total = math.fsum(math.exp(value - greatest) for value in values)
        result[index] = float(x[index]) - greatest - math.log(total)
    return result


def cross_entropy(
    x: ArrayLike,
    /,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    *,
    ignore_index: SupportsIndex = -100,
    reduction: Literal["none", "mean", "sum"] = "mean",
    label_smoothing: float = 0.0,
    out: Array | None = None,
) -> Array:
    """Compute the loss of a classification from its scores, as `fastconv.cross_entropy` does.

    Parameters
    ----------
    x, target, weight, ignore_index, reduction, label_smoothing, out
        As for `fastconv.cross_entropy`.

    Returns
    -------
    ndarray
        A scalar, or the shape of `x` without its classes.

    Examples
    --------
    >>> import fastconv
    >>> round(fastconv.reference.cross_entropy([[0.0, 0.0], [5.0, 1.0]], [1, -100]).item(), 6)
    0.693147
    """
    x, target = np.asarray(x), np.asarray(target)
    axis = 1 if x.ndim > 1 else 0
    count = x.shape[axis]
    of_class = [1.0] * count if weight is None else [float(w) for w in np.asarray(weight)]
    logarithms = _logarithms(x, axis)
    y = np.zeros(x.shape[:axis] + x.shape[axis + 1 :])
    total = 0.0
    for index in np.ndindex(y.shape):
        at = [(*index[:axis], c, *index[axis:]) for c in range(count)]
        if target.dtype.kind == "f":
            shares = [float(target[i]) for i in at]
            total += 1
        else:
            chosen = int(target[index])
            if chosen == ignore_index:
                continue
            shares = [float(c == chosen) for c in range(count)]
            total += of_class[chosen]
        loss = 0.0
        for c in range(count):
            share = shares[c] * (1 - label_smoothing) + label_smoothing / count
            loss -= of_class[c] * share * logarithms[at[c]]
        y[index] = loss
    if reduction == "mean":
        y = np.asarray(y.sum() / total if total else math.nan)
    elif reduction == "sum":
        y = np.asarray(y.sum())
    return deliver(y, x.dtype, out)
