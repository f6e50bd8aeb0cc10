"""Gradients of unpooling with respect to the maxima.

Knows the argument forms and ``_unpooling``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastconv import _arguments
from fastconv._arguments import FLOATS, Array
from fastconv._unpooling import indices_of, move

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["max_unpool1d", "max_unpool2d", "max_unpool3d"]


def max_unpool2d(
    indices: ArrayLike,
    grad_output: ArrayLike,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Return the gradient of `max_unpool2d` with respect to the maxima.

    Parameters
    ----------
    indices : array_like of int64, (n, c, h, w) or (c, h, w)
        Those that the maxima were put back by.
    grad_output : array_like
        Gradient with respect to the result. float16, float32 or float64.
    channels_last
        Whether all arrays have their channels in the last axis.
    out : ndarray, optional
        Where to write the gradient; any strided view of its shape and dtype that overlaps nothing.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array, of the shape of `indices`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        For dtypes, shapes, indices and an `out` that do not fit.

    Examples
    --------
    >>> from fastconv import grad
    >>> grad.max_unpool2d([[[1, 2]]], [[[1.0, 2.0], [3.0, 4.0]]])
    array([[[2., 3.]]])
    """
    return _unpool(2, indices, grad_output, channels_last, out)


def max_unpool1d(
    indices: ArrayLike,
    grad_output: ArrayLike,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Return the gradient of `max_unpool1d` with respect to the maxima.

    Parameters
    ----------
    indices : array_like of int64, (n, c, w) or (c, w)
        Those that the maxima were put back by.
    grad_output : array_like
        Gradient with respect to the result. float16, float32 or float64.
    channels_last
        Whether all arrays have their channels in the last axis.
    out : ndarray, optional
        Where to write the gradient; any strided view of its shape and dtype that overlaps nothing.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array, of the shape of `indices`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        For dtypes, shapes, indices and an `out` that do not fit.

    Examples
    --------
    >>> from fastconv import grad
    >>> grad.max_unpool1d([[1, 2]], [[1.0, 2.0, 3.0, 4.0]])
    array([[2., 3.]])
    """
    return _unpool(1, indices, grad_output, channels_last, out)


def max_unpool3d(
    indices: ArrayLike,
    grad_output: ArrayLike,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Return the gradient of `max_unpool3d` with respect to the maxima.

    Parameters
    ----------
    indices : array_like of int64, (n, c, d, h, w) or (c, d, h, w)
        Those that the maxima were put back by.
    grad_output : array_like
        Gradient with respect to the result. float16, float32 or float64.
    channels_last
        Whether all arrays have their channels in the last axis.
    out : ndarray, optional
        Where to write the gradient; any strided view of its shape and dtype that overlaps nothing.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array, of the shape of `indices`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        For dtypes, shapes, indices and an `out` that do not fit.

    Examples
    --------
    >>> from fastconv import grad
    >>> grad.max_unpool3d([[[[1, 2]]]], [[[[1.0, 2.0], [3.0, 4.0]]]])
    array([[[[2., 3.]]]])
    """
    return _unpool(3, indices, grad_output, channels_last, out)


def _unpool(
    axes: int,
    indices: ArrayLike,
    grad_output: ArrayLike,
    channels_last: bool,
    out: Array | None,
) -> Array:
    image, dtype = _arguments.as_array("grad_output", grad_output, FLOATS)
    where = indices_of(indices)
    last = _arguments.flag("channels_last", channels_last)
    n, c, _ = _arguments.image("grad_output", image.shape, axes, last)
    if (
        where.ndim != image.ndim
        or (n, c) != _arguments.image("indices", where.shape, axes, last)[:2]
    ):
        raise ValueError(
            f"indices has shape {where.shape}, grad_output {image.shape}: batch and channels differ"
        )
    if out is not None:
        inputs = {"indices": where, "grad_output": image}
        _arguments.check_out(out, where.shape, dtype, inputs)
    result = _arguments.target(out, where.shape, dtype, in_one_run=True)
    if result.size:
        move("take", axes, last, where, result, _arguments.contiguous(image))
    return _arguments.delivered(result, out)
