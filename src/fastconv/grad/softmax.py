"""Gradients of softmax, its logarithm, and the loss that is made of it.

Knows the argument forms and ``fastconv.softmax``, whose parts it shares.
"""

from __future__ import annotations

from numbers import Real
from typing import TYPE_CHECKING, Literal, SupportsIndex

import numpy as np

from fastconv import _arguments
from fastconv._arguments import FLOATS, Array
from fastconv.softmax import axis_of, loss_of, shifted, wide

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["cross_entropy", "log_softmax", "softmax"]


def _shares(x: Array, axis: int) -> Array:
    shares = shifted(x, axis)
    np.exp(shares, out=shares)
    shares /= shares.sum(axis, keepdims=True)
    return shares


def _along(
    x: ArrayLike,
    grad_output: ArrayLike,
    dim: SupportsIndex,
    out: Array | None,
    *,
    logarithm: bool,
) -> Array:
    x, dtype = _arguments.as_array("x", x, FLOATS)
    grad_output = _arguments.operand("grad_output", grad_output, x.shape, dtype)
    axis = axis_of(dim, x.ndim)
    if out is not None:
        given = {"x": x, "grad_output": grad_output}
        _arguments.check_out(out, x.shape, dtype, given, in_place="grad_output")
    if not x.size:
        return np.empty(x.shape, dtype) if out is None else out
    form = x.shape or (1,)
    x, gradient = wide(x, dtype).reshape(form), wide(grad_output, dtype).reshape(form)
    with np.errstate(all="ignore"):
        shares = _shares(x, axis)
        if logarithm:
            shares *= gradient.sum(axis, keepdims=True)
            result = np.subtract(gradient, shares, out=shares)
        else:
            products = gradient * shares
            np.subtract(gradient, products.sum(axis, keepdims=True), out=products)
            result = np.multiply(shares, products, out=shares)
        result = result.reshape(grad_output.shape).astype(dtype, order="C", copy=False)
    return _arguments.delivered(result, out)


def softmax(
    x: ArrayLike, grad_output: ArrayLike, /, dim: SupportsIndex, *, out: Array | None = None
) -> Array:
    """Compute the gradient of `fastconv.softmax`.

    Parameters
    ----------
    x : array_like
        What softmax was applied to; float16, float32 or float64.
    grad_output : array_like
        The gradient with respect to its result; of the shape and dtype of `x`.
    dim : int
        As it was given to `fastconv.softmax`.
    out : ndarray, optional
        Where to write the result; any strided view of its shape and dtype. It may be `grad_output`
        itself, but must not overlap an argument otherwise.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array: the gradient with respect to `x`, of its shape and
        dtype.

    Raises
    ------
    TypeError
        For dtypes that are not supported or differ, and masked arrays.
    ValueError
        For shapes, a `dim` and an `out` that do not fit. Nothing has been written then.
    MemoryError
        If there is not enough memory.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import grad
    >>> grad.softmax(np.zeros(2), np.array([1.0, 0.0]), 0)
    array([ 0.25, -0.25])
    """
    return _along(x, grad_output, dim, out, logarithm=False)


def log_softmax(
    x: ArrayLike, grad_output: ArrayLike, /, dim: SupportsIndex, *, out: Array | None = None
) -> Array:
    """Compute the gradient of `fastconv.log_softmax`.

    Parameters
    ----------
    x : array_like
        What it was applied to; float16, float32 or float64.
    grad_output : array_like
        The gradient with respect to its result; of the shape and dtype of `x`.
    dim : int
        As it was given to `fastconv.log_softmax`.
    out : ndarray, optional
        Where to write the result; any strided view of its shape and dtype. It may be `grad_output`
        itself, but must not overlap an argument otherwise.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array: the gradient with respect to `x`, of its shape and
        dtype.

    Raises
    ------
    TypeError
        For dtypes that are not supported or differ, and masked arrays.
    ValueError
        For shapes, a `dim` and an `out` that do not fit. Nothing has been written then.
    MemoryError
        If there is not enough memory.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import grad
    >>> grad.log_softmax(np.zeros(2), np.array([1.0, 0.0]), 0)
    array([ 0.5, -0.5])
    """
    return _along(x, grad_output, dim, out, logarithm=True)


def cross_entropy(
    x: ArrayLike,
    grad_output: ArrayLike,
    /,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    *,
    ignore_index: SupportsIndex = -100,
    reduction: Literal["none", "mean", "sum"] = "mean",
    label_smoothing: float = 0.0,
    out: Array | None = None,
) -> Array:
    """Compute the gradient of `fastconv.cross_entropy` by its scores.

    Parameters
    ----------
    x : array_like, (c,), (n, c) or (n, c, ...)
        The scores of each class; float16, float32 or float64.
    grad_output : float or array_like
        The gradient with respect to the result, of its shape and the dtype of `x`; 1 if the result
        is the loss itself. A number is taken in the dtype of `x`.
    target, weight, ignore_index, reduction, label_smoothing
        As they were given to `fastconv.cross_entropy`.
    out : ndarray, optional
        Where to write the result; any strided view of its shape and dtype that does not overlap
        an argument.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array: the gradient with respect to `x`, of its shape and
        dtype.

    Raises
    ------
    TypeError
        For dtypes that are not supported or do not go together, and masked arrays.
    ValueError
        For shapes, values and an `out` that do not fit, a class that does not exist among them.
        Nothing has been written then.
    MemoryError
        If there is not enough memory.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import grad
    >>> grad.cross_entropy(np.zeros((2, 2)), 1, [0, -100])
    array([[-0.5,  0.5],
           [ 0. ,  0. ]])
    """
    loss = loss_of(x, target, weight, ignore_index, reduction, label_smoothing)
    dtype = loss.dtype
    if isinstance(grad_output, Real) and not isinstance(grad_output, np.generic):
        grad_output = np.asarray(grad_output, dtype)
    shape = loss.shape if loss.divisor is None else ()
    gradient = wide(_arguments.operand("grad_output", grad_output, shape, dtype), dtype)
    n, _, p = loss.logits.shape
    form = np.shape(x)
    if out is not None:
        given = _arguments.arrays_of(x=x, grad_output=grad_output, target=target, weight=weight)
        _arguments.check_out(out, form, dtype, given)
    if not loss.logits.size:
        return np.empty(form, dtype) if out is None else out
    with np.errstate(all="ignore"):
        gradient = (
            gradient.reshape(n, p)
            if loss.divisor is None
            else np.broadcast_to(gradient / loss.divided_by(), (n, p))
        )
        result = _shares(loss.logits, 1)
        if loss.shares is not None:
            shares = loss.weighed_shares()
            result *= shares.sum(1, keepdims=True)
            result -= shares
            result *= gradient[:, np.newaxis]
        else:
            assert loss.classes is not None
            weights = loss.class_weights()[:, np.newaxis] * (1 - loss.smoothing)
            at = loss.classes[:, np.newaxis]
            if loss.smoothing:
                even = loss.smoothed()
                result *= weights + even.sum(-2, keepdims=True)
                result -= even
            else:
                result *= weights
            picked = np.take_along_axis(result, at, 1) - weights
            np.put_along_axis(result, at, picked, 1)
            result *= gradient[:, np.newaxis]
            if loss.counted is not None:
                result[~np.broadcast_to(loss.counted[:, np.newaxis], result.shape)] = 0
        result = result.reshape(form).astype(dtype, copy=False)
    return _arguments.delivered(result, out)
