"""Normalisations by the definition."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, SupportsIndex

import numpy as np

from fastconv import _arguments
from fastconv._arguments import Array
from fastconv.reference.windows import deliver

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["batch_norm", "local_response_norm"]


def batch_norm(
    x: ArrayLike,
    /,
    running_mean: ArrayLike,
    running_var: ArrayLike,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    out: Array | None = None,
) -> Array:
    """Normalise each channel by a given mean and variance, as `fastconv.batch_norm` does.

    Parameters
    ----------
    x, running_mean, running_var, weight, bias, training, momentum, eps, out
        As for `fastconv.batch_norm`.

    Returns
    -------
    ndarray
        Shape and dtype of `x`.

    Raises
    ------
    ValueError
        For ``training=True``.

    Examples
    --------
    >>> import fastconv
    >>> import numpy as np
    >>> x = np.array([[1.0, 5.0]])
    >>> fastconv.reference.batch_norm(x, [1.0, 2.0], [4.0, 9.0], eps=0)
    array([[0., 1.]])
    """
    if training:
        raise ValueError("training must be False")
    x = np.asarray(x)
    mean, var = np.asarray(running_mean, np.float64), np.asarray(running_var, np.float64)
    gain = np.ones(x.shape[1]) if weight is None else np.asarray(weight, np.float64)
    shift = np.zeros(x.shape[1]) if bias is None else np.asarray(bias, np.float64)
    y = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        c = index[1]
        normal = (float(x[index]) - mean[c]) / math.sqrt(var[c] + eps)
        y[index] = normal * gain[c] + shift[c]
    return deliver(y, x.dtype, out)


def local_response_norm(
    x: ArrayLike,
    /,
    size: SupportsIndex,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1.0,
    *,
    out: Array | None = None,
) -> Array:
    """Divide by a power of neighbours' energy, as `fastconv.local_response_norm` does.

    Parameters
    ----------
    x, size, alpha, beta, k, out
        As for `fastconv.local_response_norm`.

    Returns
    -------
    ndarray
        Shape and dtype of `x`.

    Examples
    --------
    >>> import fastconv
    >>> import numpy as np
    >>> x = np.array([[[3.0], [4.0]]])
    >>> fastconv.reference.local_response_norm(x, 2, alpha=2, beta=0.5, k=0)
    array([[[1. ],
            [0.8]]])
    """
    x = np.asarray(x)
    size = _arguments.positive("size", size)
    y = np.empty(x.shape)
    for n, c, *rest in np.ndindex(x.shape):
        energy = 0.0
        for other in range(c - size // 2, c + (size - 1) // 2 + 1):
            if 0 <= other < x.shape[1]:
                energy += float(x[n, other, *rest]) ** 2
        y[n, c, *rest] = float(x[n, c, *rest]) / (k + alpha / size * energy) ** beta
    return deliver(y, x.dtype, out)
