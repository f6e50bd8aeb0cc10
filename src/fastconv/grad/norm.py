"""Gradients of the normalisations.

Knows the argument forms and the normalisations, whose parts it shares.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, SupportsIndex

import numpy as np

from fastconv import _arguments
from fastconv._arguments import FLOATS, Array
from fastconv.norm import (
    averaged_over_channels,
    bases_of,
    channels_of,
    raised,
    response_of,
    scaled,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["batch_norm", "local_response_norm"]

# Elements that are multiplied at once: they stay in L2.
_BLOCK = 1 << 15


def batch_norm(
    x: ArrayLike,
    grad_output: ArrayLike,
    /,
    running_mean: ArrayLike,
    running_var: ArrayLike,
    weight: ArrayLike | None = None,
    eps: float = 1e-5,
) -> tuple[Array, Array, Array]:
    """Compute the gradients of `fastconv.batch_norm`, the statistics being constants.

    Parameters
    ----------
    x : array_like, (n, c, ...)
        What was normalised; float16, float32 or float64.
    grad_output : array_like, (n, c, ...)
        The gradient with respect to the result; of the shape and dtype of `x`.
    running_mean, running_var, weight, eps
        As they were given to `fastconv.batch_norm`.

    Returns
    -------
    grad_x : ndarray, (n, c, ...)
        The gradient with respect to `x`, of its dtype.
    grad_weight, grad_bias : ndarray, (c,)
        Those with respect to weight and bias, also if there were none; of the dtype of
        `running_mean`.

    Raises
    ------
    TypeError
        For dtypes that are not supported or do not go together, and masked arrays.
    ValueError
        For shapes and an `eps` that do not fit.
    MemoryError
        If there is not enough memory.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import grad
    >>> x = np.array([[1.0, 5.0], [3.0, 8.0]])
    >>> mean, var = np.array([1.0, 5.0]), np.array([4.0, 9.0])
    >>> grad.batch_norm(x, np.ones((2, 2)), mean, var, np.array([2.0, 6.0]), eps=0)
    (array([[1., 2.],
           [1., 2.]]), array([1., 1.]), array([2., 2.]))
    """
    x, dtype = _arguments.as_array("x", x, FLOATS)
    grad_output = _arguments.operand("grad_output", grad_output, x.shape, dtype)
    channels = channels_of(x.shape, dtype, running_mean, running_var, weight, None, eps)
    _, parameters = _arguments.as_array("running_mean", running_mean, FLOATS)
    grad_x = np.empty(x.shape, dtype)
    with np.errstate(all="ignore"):
        factor = channels.inverse_deviation * channels.weight
        scaled(grad_output, factor, np.zeros_like(factor), grad_x)
        grad_weight, grad_bias = _sums(x, grad_output, channels.mean)
        grad_weight *= channels.inverse_deviation
        return grad_x, grad_weight.astype(parameters), grad_bias.astype(parameters)


def _sums(x: Array, grad_output: Array, mean: Array) -> tuple[Array, Array]:
    """Return for each channel the sums of ``grad_output * (x - mean)`` and of `grad_output`.

    Sums are in float64. The mean is subtracted before: what is left has the size of the result.
    """
    wide = np.float64 if x.dtype == np.float64 else np.float32
    n, c, *plane = x.shape
    # Images of one pixel have no rows worth summing, the axis of the samples is theirs.
    form = (n, c, prod(plane)) if prod(plane) != 1 else (1, n, c)
    row = -1 if prod(plane) != 1 else 1
    x, grad_output = x.reshape(form), grad_output.reshape(form)
    mean = mean.astype(wide).reshape((-1, 1) if row == -1 else (1, -1))
    products, gradients = np.zeros(c), np.zeros(c)
    samples = max(1, _BLOCK // max(1, x[:1].size))
    for first in range(0, len(x), samples):
        block = np.subtract(x[first : first + samples], mean, dtype=wide)
        gradient = grad_output[first : first + samples].astype(wide, copy=False)
        block *= gradient
        products += block.sum(row).sum(0, dtype=np.float64)
        gradients += gradient.sum(row).sum(0, dtype=np.float64)
    return products, gradients


def local_response_norm(
    x: ArrayLike,
    grad_output: ArrayLike,
    /,
    size: SupportsIndex,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1.0,
    *,
    out: Array | None = None,
) -> Array:
    """Compute the gradient of `fastconv.local_response_norm`.

    Parameters
    ----------
    x : array_like, (n, c, ...)
        What was normalised; float16, float32 or float64.
    grad_output : array_like, (n, c, ...)
        The gradient with respect to the result; of the shape and dtype of `x`.
    size, alpha, beta, k
        As they were given to `fastconv.local_response_norm`.
    out : ndarray, optional
        Where to write the result; any strided view of its shape and dtype. It may be `grad_output`
        itself, but must not overlap an argument otherwise.

    Returns
    -------
    ndarray, (n, c, ...)
        `out`, or a new C-contiguous array: the gradient with respect to `x`, of its dtype.

    Raises
    ------
    TypeError
        For dtypes that are not supported or differ, masked arrays, and arguments of the wrong kind.
    ValueError
        For shapes, a `size` and an `out` that do not fit. Nothing has been written then.
    MemoryError
        If there is not enough memory.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import grad
    >>> x = np.array([[[3.0], [4.0]]])
    >>> grad.local_response_norm(x, np.array([[[0.0], [1.0]]]), 2, alpha=2, beta=1, k=0)
    array([[[-0.0384],
            [-0.0112]]])
    """
    x, dtype = _arguments.as_array("x", x, FLOATS)
    grad_output = _arguments.operand("grad_output", grad_output, x.shape, dtype)
    form = response_of(x.shape, size, alpha, beta, k)
    if out is not None:
        given = {"x": x, "grad_output": grad_output}
        _arguments.check_out(out, x.shape, dtype, given, in_place="grad_output")
    result = _arguments.target(out, x.shape, dtype, in_one_run=True)
    if not x.size:
        return _arguments.delivered(result, out)
    wide = np.float64 if dtype == "float64" else np.float32
    x, gradient = np.ascontiguousarray(x, wide), np.ascontiguousarray(grad_output, wide)
    with np.errstate(all="ignore"):
        bases = bases_of(x, form)
        direct = gradient / raised(bases, form.beta)
        # Through its neighbours' divisors: those whose sums a channel is part of lie on the other
        # side of it, hence the mirrored window.
        through = direct * x
        through /= bases
        through = averaged_over_channels(through, form.size, (form.size - 1) // 2)
        through *= x
        through *= -2 * form.alpha * form.beta
        np.add(through, direct, out=result, casting="same_kind")
    return _arguments.delivered(result, out)
