"""Dense layers by the definition."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastconv._arguments import Activation, Array
from fastconv.reference.activation import activation_of
from fastconv.reference.windows import deliver

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["linear"]


def linear(
    x: ArrayLike,
    /,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    activation: Activation | None = None,
    residual: ArrayLike | None = None,
    out: Array | None = None,
) -> Array:
    """Apply a dense layer as `fastconv.linear` does, by the definition.

    Every product and sum is a float64; the result is rounded once, to the dtype of `x`.

    Parameters
    ----------
    x, weight, bias, activation, residual, out
        As for `fastconv.linear`.

    Returns
    -------
    ndarray
        Shape and dtype as of `fastconv.linear`.

    Raises
    ------
    ValueError
        Where the shapes do not fit.

    Examples
    --------
    >>> import fastconv
    >>> import numpy as np
    >>> weight = np.array([[1, 2], [3, 4]], dtype=np.float32)
    >>> fastconv.reference.linear(np.array([1, -1], np.float32), weight, activation="relu")
    array([0., 0.], dtype=float32)
    """
    x, weight = np.asarray(x), np.asarray(weight)
    if x.ndim == 0 or weight.ndim not in (1, 2) or x.shape[-1] != weight.shape[-1]:
        raise ValueError(f"weight {weight.shape} does not fit an input of shape {x.shape}")
    y = np.zeros((*x.shape[:-1], *weight.shape[:-1]))
    for at in np.ndindex(y.shape):
        sample = x[at[: x.ndim - 1]]
        for v, w in zip(sample, weight[at[x.ndim - 1 :]], strict=True):
            y[at] += float(v) * float(w)
    for added in (bias, residual):
        if added is not None:
            # The bias of a batch of one may have the axis that a single sample lacks.
            y += np.asarray(added).astype(np.float64).reshape(np.shape(added)[-y.ndim or None :])
    finish = activation_of(activation)
    for at in np.ndindex(y.shape):
        y[at] = finish(float(y[at]))
    result = deliver(y, x.dtype, out)
    return result if out is not None else result.reshape(y.shape)
