"""Gradients of max pooling with respect to its input.

Knows what the gradients of poolings share, and how `max_pool_channels` lays out its input.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, SupportsIndex

from fastconv import _arguments
from fastconv._arguments import Array, Padding, Pair
from fastconv._pooling import OutputSize, run
from fastconv._unpooling import move
from fastconv.grad._pooling import check_shape, max_gradient, operands
from fastconv.max_pool import channels_as_rows

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = [
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "global_max_pool1d",
    "global_max_pool2d",
    "global_max_pool3d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_pool_channels",
]


def max_pool2d(
    x: ArrayLike,
    grad_output: ArrayLike,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    *,
    indices: ArrayLike | None = None,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Return the gradient of `max_pool2d` with respect to its input.

    Parameters
    ----------
    x : array_like, (n, c, h, w) or (c, h, w)
        The input. float16, float32 or float64.
    grad_output : array_like
        Gradient with respect to the maxima, of their shape and the dtype of `x`.
    kernel_size, stride, padding, dilation, ceil_mode
        As for `max_pool2d`.
    indices : array_like of int64, optional
        What `max_pool2d` returned with `return_indices`; without them they are found again.
    channels_last
        Whether all arrays have their channels in the last axis.
    out : ndarray, optional
        Where to write the gradient; any strided view of its shape and dtype that overlaps nothing.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array, of the shape of the input.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `max_pool2d`; also where `grad_output` or `indices` do not fit.

    Notes
    -----
    All of a window's gradient goes to its first maximum, as in torch.

    Examples
    --------
    >>> from fastconv import grad
    >>> grad.max_pool2d([[[1.0, 5.0, 2.0]]], [[[1.0, 10.0]]], (1, 2), 1)
    array([[[ 0., 11.,  0.]]])
    """
    form = {"dilation": dilation, "ceil_mode": ceil_mode, "channels_last": channels_last}
    return max_gradient(2, x, grad_output, indices, out, kernel_size, stride, padding, **form)


def max_pool1d(
    x: ArrayLike,
    grad_output: ArrayLike,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    *,
    indices: ArrayLike | None = None,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Return the gradient of `max_pool1d` with respect to its input.

    Parameters
    ----------
    x : array_like, (n, c, w) or (c, w)
        The input. float16, float32 or float64.
    grad_output : array_like
        Gradient with respect to the maxima, of their shape and the dtype of `x`.
    kernel_size, stride, padding, dilation, ceil_mode
        As for `max_pool1d`.
    indices : array_like of int64, optional
        What `max_pool1d` returned with `return_indices`; without them they are found again.
    channels_last
        Whether all arrays have their channels in the last axis.
    out : ndarray, optional
        Where to write the gradient; any strided view of its shape and dtype that overlaps nothing.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array, of the shape of the input.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `max_pool1d`; also where `grad_output` or `indices` do not fit.

    Examples
    --------
    >>> from fastconv import grad
    >>> grad.max_pool1d([[1.0, 5.0, 2.0]], [[1.0, 10.0]], 2, 1)
    array([[ 0., 11.,  0.]])
    """
    form = {"dilation": dilation, "ceil_mode": ceil_mode, "channels_last": channels_last}
    return max_gradient(1, x, grad_output, indices, out, kernel_size, stride, padding, **form)


def max_pool3d(
    x: ArrayLike,
    grad_output: ArrayLike,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    *,
    indices: ArrayLike | None = None,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Return the gradient of `max_pool3d` with respect to its input.

    Parameters
    ----------
    x : array_like, (n, c, d, h, w) or (c, d, h, w)
        The input. float16, float32 or float64.
    grad_output : array_like
        Gradient with respect to the maxima, of their shape and the dtype of `x`.
    kernel_size, stride, padding, dilation, ceil_mode
        As for `max_pool3d`.
    indices : array_like of int64, optional
        What `max_pool3d` returned with `return_indices`; without them they are found again.
    channels_last
        Whether all arrays have their channels in the last axis.
    out : ndarray, optional
        Where to write the gradient; any strided view of its shape and dtype that overlaps nothing.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array, of the shape of the input.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `max_pool3d`; also where `grad_output` or `indices` do not fit.

    Examples
    --------
    >>> from fastconv import grad
    >>> grad.max_pool3d([[[[1.0, 5.0, 2.0]]]], [[[[1.0, 10.0]]]], (1, 1, 2), 1)
    array([[[[ 0., 11.,  0.]]]])
    """
    form = {"dilation": dilation, "ceil_mode": ceil_mode, "channels_last": channels_last}
    return max_gradient(3, x, grad_output, indices, out, kernel_size, stride, padding, **form)


def max_pool_channels(
    x: ArrayLike,
    grad_output: ArrayLike,
    kernel_size: SupportsIndex,
    stride: SupportsIndex | None = None,
    padding: Padding = 0,
    dilation: SupportsIndex = 1,
    ceil_mode: bool = False,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Return the gradient of `max_pool_channels` with respect to its input.

    Parameters
    ----------
    x : array_like, (n, c, h, w) or (c, h, w)
        The input. float16, float32 or float64.
    grad_output : array_like
        Gradient with respect to the maxima, of their shape and the dtype of `x`.
    kernel_size, stride, padding, dilation, ceil_mode
        As for `max_pool_channels`.
    channels_last
        Whether all arrays have their channels in the last axis.
    out : ndarray, optional
        Where to write the gradient; any strided view of its shape and dtype that overlaps nothing.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array, of the shape of the input.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `max_pool_channels`; also where `grad_output` does not fit.

    Examples
    --------
    >>> from fastconv import grad
    >>> grad.max_pool_channels([[[1.0]], [[5.0]], [[2.0]]], [[[1.0]], [[10.0]]], 2, 1)
    array([[[ 0.]],
    <BLANKLINE>
           [[11.]],
    <BLANKLINE>
           [[ 0.]]])
    """
    x, grad_output, dtype = operands(x, grad_output)
    form = kernel_size, stride, padding, dilation, ceil_mode
    view, plan, shape = channels_as_rows(x, dtype, *form, channels_last)
    check_shape(grad_output, shape)
    if out is not None:
        _arguments.check_out(out, x.shape, dtype, {"x": x, "grad_output": grad_output})
    result = _arguments.target(out, x.shape, dtype, in_one_run=True)
    if result.size:
        _, indices = run(plan, view, dtype, None, return_indices=True)
        assert indices is not None
        pooled = _arguments.contiguous(grad_output).reshape(plan.out_shape)
        move("add", 2, False, indices, pooled, result.reshape(plan.in_shape))
    return _arguments.delivered(result, out)


def adaptive_max_pool2d(
    x: ArrayLike,
    grad_output: ArrayLike,
    output_size: OutputSize,
    *,
    indices: ArrayLike | None = None,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Return the gradient of `adaptive_max_pool2d` with respect to its input.

    Parameters
    ----------
    x : array_like, (n, c, h, w) or (c, h, w)
        The input. float16, float32 or float64.
    grad_output : array_like
        Gradient with respect to the maxima, of their shape and the dtype of `x`.
    output_size
        As for `adaptive_max_pool2d`.
    indices : array_like of int64, optional
        What `adaptive_max_pool2d` returned with `return_indices`; without them they are found
        again.
    channels_last
        Whether all arrays have their channels in the last axis.
    out : ndarray, optional
        Where to write the gradient; any strided view of its shape and dtype that overlaps nothing.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array, of the shape of the input.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `adaptive_max_pool2d`; also where `grad_output` or `indices` do not fit.

    Examples
    --------
    >>> from fastconv import grad
    >>> grad.adaptive_max_pool2d([[[1.0, 5.0, 2.0]]], [[[1.0, 10.0]]], (1, 2))
    array([[[ 0., 11.,  0.]]])
    """
    form = {"adaptive": True, "channels_last": channels_last}
    return max_gradient(2, x, grad_output, indices, out, output_size, **form)


def adaptive_max_pool1d(
    x: ArrayLike,
    grad_output: ArrayLike,
    output_size: OutputSize,
    *,
    indices: ArrayLike | None = None,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Return the gradient of `adaptive_max_pool1d` with respect to its input.

    Parameters
    ----------
    x : array_like, (n, c, w) or (c, w)
        The input. float16, float32 or float64.
    grad_output : array_like
        Gradient with respect to the maxima, of their shape and the dtype of `x`.
    output_size
        As for `adaptive_max_pool1d`.
    indices : array_like of int64, optional
        What `adaptive_max_pool1d` returned with `return_indices`; without them they are found
        again.
    channels_last
        Whether all arrays have their channels in the last axis.
    out : ndarray, optional
        Where to write the gradient; any strided view of its shape and dtype that overlaps nothing.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array, of the shape of the input.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `adaptive_max_pool1d`; also where `grad_output` or `indices` do not fit.

    Examples
    --------
    >>> from fastconv import grad
    >>> grad.adaptive_max_pool1d([[1.0, 5.0, 2.0]], [[1.0, 10.0]], 2)
    array([[ 0., 11.,  0.]])
    """
    form = {"adaptive": True, "channels_last": channels_last}
    return max_gradient(1, x, grad_output, indices, out, output_size, **form)


def adaptive_max_pool3d(
    x: ArrayLike,
    grad_output: ArrayLike,
    output_size: OutputSize,
    *,
    indices: ArrayLike | None = None,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Return the gradient of `adaptive_max_pool3d` with respect to its input.

    Parameters
    ----------
    x : array_like, (n, c, d, h, w) or (c, d, h, w)
        The input. float16, float32 or float64.
    grad_output : array_like
        Gradient with respect to the maxima, of their shape and the dtype of `x`.
    output_size
        As for `adaptive_max_pool3d`.
    indices : array_like of int64, optional
        What `adaptive_max_pool3d` returned with `return_indices`; without them they are found
        again.
    channels_last
        Whether all arrays have their channels in the last axis.
    out : ndarray, optional
        Where to write the gradient; any strided view of its shape and dtype that overlaps nothing.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array, of the shape of the input.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `adaptive_max_pool3d`; also where `grad_output` or `indices` do not fit.

    Examples
    --------
    >>> from fastconv import grad
    >>> grad.adaptive_max_pool3d([[[[1.0, 5.0, 2.0]]]], [[[[1.0, 10.0]]]], (1, 1, 2))
    array([[[[ 0., 11.,  0.]]]])
    """
    form = {"adaptive": True, "channels_last": channels_last}
    return max_gradient(3, x, grad_output, indices, out, output_size, **form)


def global_max_pool2d(
    x: ArrayLike,
    grad_output: ArrayLike,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Return the gradient of `global_max_pool2d` with respect to its input.

    Parameters
    ----------
    x : array_like, (n, c, h, w) or (c, h, w)
        The input. float16, float32 or float64.
    grad_output : array_like
        Gradient with respect to the maxima, of their shape and the dtype of `x`.
    channels_last
        Whether all arrays have their channels in the last axis.
    out : ndarray, optional
        Where to write the gradient; any strided view of its shape and dtype that overlaps nothing.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array, of the shape of the input.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `global_max_pool2d`; also where `grad_output` does not fit.

    Examples
    --------
    >>> from fastconv import grad
    >>> grad.global_max_pool2d([[[1.0, 5.0, 2.0]]], [[[10.0]]])
    array([[[ 0., 10.,  0.]]])
    """
    form = {"adaptive": True, "channels_last": channels_last}
    return max_gradient(2, x, grad_output, None, out, 1, **form)


def global_max_pool1d(
    x: ArrayLike,
    grad_output: ArrayLike,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Return the gradient of `global_max_pool1d` with respect to its input.

    Parameters
    ----------
    x : array_like, (n, c, w) or (c, w)
        The input. float16, float32 or float64.
    grad_output : array_like
        Gradient with respect to the maxima, of their shape and the dtype of `x`.
    channels_last
        Whether all arrays have their channels in the last axis.
    out : ndarray, optional
        Where to write the gradient; any strided view of its shape and dtype that overlaps nothing.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array, of the shape of the input.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `global_max_pool1d`; also where `grad_output` does not fit.

    Examples
    --------
    >>> from fastconv import grad
    >>> grad.global_max_pool1d([[1.0, 5.0, 2.0]], [[10.0]])
    array([[ 0., 10.,  0.]])
    """
    form = {"adaptive": True, "channels_last": channels_last}
    return max_gradient(1, x, grad_output, None, out, 1, **form)


def global_max_pool3d(
    x: ArrayLike,
    grad_output: ArrayLike,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Return the gradient of `global_max_pool3d` with respect to its input.

    Parameters
    ----------
    x : array_like, (n, c, d, h, w) or (c, d, h, w)
        The input. float16, float32 or float64.
    grad_output : array_like
        Gradient with respect to the maxima, of their shape and the dtype of `x`.
    channels_last
        Whether all arrays have their channels in the last axis.
    out : ndarray, optional
        Where to write the gradient; any strided view of its shape and dtype that overlaps nothing.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array, of the shape of the input.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `global_max_pool3d`; also where `grad_output` does not fit.

    Examples
    --------
    >>> from fastconv import grad
    >>> grad.global_max_pool3d([[[[1.0, 5.0, 2.0]]]], [[[[10.0]]]])
    array([[[[ 0., 10.,  0.]]]])
    """
    form = {"adaptive": True, "channels_last": channels_last}
    return max_gradient(3, x, grad_output, None, out, 1, **form)
