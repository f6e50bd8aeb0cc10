"""Gradients of dense layers.

Knows the argument forms and convolution (``conv``), which multiplies the matrices: one of them is
the image, the other one the filters of one element, whichever way leaves both as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fastconv import _arguments
from fastconv._arguments import FLOATS, Array
from fastconv.conv import conv1d

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["linear_bias", "linear_input", "linear_weight"]


def linear_input(weight: ArrayLike, grad_output: ArrayLike, *, out: Array | None = None) -> Array:
    """Return the gradient of `linear` with respect to its input.

    Parameters
    ----------
    weight : array_like, (k, c) or (c,)
        The weights of the layer.
    grad_output : array_like, (..., k) or (...)
        Gradient with respect to the result, of the dtype of `weight`.
    out : ndarray, optional
        Where to write the gradient; any strided view of its shape and dtype that overlaps nothing.

    Returns
    -------
    ndarray, (..., c)
        `out`, or a new C-contiguous array.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `linear`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import grad
    >>> grad.linear_input(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, -1.0]))
    array([-2., -2.])
    """
    weight, dtype = _arguments.as_array("weight", weight, FLOATS)
    grad_output, own = _arguments.as_array("grad_output", grad_output, FLOATS)
    _arguments.same_dtype("grad_output", own, "weight", dtype)
    if weight.ndim not in (1, 2):
        raise ValueError(f"weight must have the axes (k, c) or (c,), got shape {weight.shape}")
    *rows, c = weight.shape
    batch = grad_output.ndim - len(rows)
    if batch < 0 or grad_output.shape[batch:] != tuple(rows):
        raise ValueError(
            f"grad_output has shape {grad_output.shape}, for a weight of shape {weight.shape} it "
            f"must be {('...', *rows)}"
        )
    k = rows[0] if rows else 1
    shape = (*grad_output.shape[:batch], c)
    if out is not None:
        _arguments.check_out(out, shape, dtype, {"weight": weight, "grad_output": grad_output})
    result = _arguments.target(out, shape, dtype, in_one_run=True)
    if result.size:
        n = result.size // c
        _product(grad_output.reshape(n, k), weight.reshape(k, c), result.reshape(n, c))
    return _arguments.delivered(result, out)


def linear_weight(x: ArrayLike, grad_output: ArrayLike, *, out: Array | None = None) -> Array:
    """Return the gradient of `linear` with respect to its weights.

    Parameters
    ----------
    x : array_like, (..., c)
        The input of the layer.
    grad_output : array_like, (..., k) or (...)
        Gradient with respect to the result, of the dtype of `x`.
    out : ndarray, optional
        Where to write the gradient; any strided view of its shape and dtype that overlaps nothing.

    Returns
    -------
    ndarray, (k, c) or (c,)
        `out`, or a new C-contiguous array.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `linear`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import grad
    >>> x = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> grad.linear_weight(x, np.array([[1.0], [10.0]]))
    array([[31., 42.]])
    """
    x, dtype = _arguments.as_array("x", x, FLOATS)
    grad_output, own = _arguments.as_array("grad_output", grad_output, FLOATS)
    _arguments.same_dtype("grad_output", own, "x", dtype)
    batch = x.ndim - 1
    rows = grad_output.shape[batch:] if x.ndim else ()
    if not x.ndim or grad_output.shape[:batch] != x.shape[:-1] or len(rows) > 1:
        raise ValueError(
            f"grad_output has shape {grad_output.shape}, for an input of shape {x.shape} it must "
            f"be {x.shape[:-1]} or have one more axis"
        )
    k, c = rows[0] if rows else 1, x.shape[-1]
    shape = (*rows, c)
    if out is not None:
        _arguments.check_out(out, shape, dtype, {"x": x, "grad_output": grad_output})
    result = _arguments.target(out, shape, dtype, in_one_run=True)
    if result.size:
        n = x.size // c
        _product(grad_output.reshape(n, k).T, x.reshape(n, c), result.reshape(k, c))
    return _arguments.delivered(result, out)


def linear_bias(grad_output: ArrayLike, *, out: Array | None = None) -> Array:
    """Return the gradient of `linear` with respect to its bias: the sum over the samples.

    Parameters
    ----------
    grad_output : array_like, (..., k)
        Gradient with respect to the result.
    out : ndarray, optional
        Where to write the gradient; any strided view of its shape and dtype that overlaps nothing.

    Returns
    -------
    ndarray, (k,)
        `out`, or a new C-contiguous array. It is summed in float64 and rounded once.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `linear`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import grad
    >>> grad.linear_bias(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([4., 6.])
    """
    grad_output, dtype = _arguments.as_array("grad_output", grad_output, FLOATS)
    if grad_output.ndim == 0:
        raise ValueError("grad_output must have at least the axis of outputs, got shape ()")
    shape = grad_output.shape[-1:]
    if out is not None:
        _arguments.check_out(out, shape, dtype, {"grad_output": grad_output})
    axes = tuple(range(grad_output.ndim - 1))
    with np.errstate(over="ignore"):  # of a sum that its dtype cannot hold: infinity
        result = grad_output.sum(axis=axes, dtype=np.float64).astype(dtype)
    return _arguments.delivered(result, out)


def _product(a: Array, b: Array, out: Array) -> None:
    """Write the matrix product: the rows of `b` are channels of an image, those of `a` filters."""
    if len(b):
        conv1d(b, a[..., np.newaxis], out=out)
    else:
        out[...] = 0
