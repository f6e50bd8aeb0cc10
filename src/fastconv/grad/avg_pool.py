"""Gradients of average pooling with respect to its input.

Knows the argument forms, ``_pooling`` and what the gradients of poolings share.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, SupportsIndex

from fastconv import _arguments
from fastconv._arguments import FLOATS, Array, Padding, Pair
from fastconv._pooling import OutputSize, check_volume, divisor_of, plan_for
from fastconv.grad._pooling import check_shape, spread

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "global_avg_pool1d",
    "global_avg_pool2d",
    "global_avg_pool3d",
]


def avg_pool2d(
    input_size: Sequence[SupportsIndex],
    grad_output: ArrayLike,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: SupportsIndex | None = None,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Return the gradient of `avg_pool2d` with respect to its input.

    Parameters
    ----------
    input_size : sequence of int
        Shape of the input: (n, c, h, w) or (c, h, w).
    grad_output : array_like
        Gradient with respect to the averages, of their shape. float16, float32 or float64.
    kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        As for `avg_pool2d`.
    channels_last
        Whether all arrays have their channels in the last axis.
    out : ndarray, optional
        Where to write the gradient; any strided view of its shape and dtype that overlaps nothing.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array, of the shape `input_size`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `avg_pool2d`; also where `grad_output` does not fit.

    Examples
    --------
    >>> from fastconv import grad
    >>> grad.avg_pool2d((1, 1, 4), [[[2.0, 4.0]]], (1, 2))
    array([[[1., 1., 2., 2.]]])
    """
    form = {
        "ceil_mode": ceil_mode,
        "count_include_pad": count_include_pad,
        "channels_last": channels_last,
        "divisor": divisor_of(divisor_override),
    }
    return _avg_pool(2, input_size, grad_output, out, kernel_size, stride, padding, **form)


def avg_pool1d(
    input_size: Sequence[SupportsIndex],
    grad_output: ArrayLike,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Return the gradient of `avg_pool1d` with respect to its input.

    Parameters
    ----------
    input_size : sequence of int
        Shape of the input: (n, c, w) or (c, w).
    grad_output : array_like
        Gradient with respect to the averages, of their shape. float16, float32 or float64.
    kernel_size, stride, padding, ceil_mode, count_include_pad
        As for `avg_pool1d`.
    channels_last
        Whether all arrays have their channels in the last axis.
    out : ndarray, optional
        Where to write the gradient; any strided view of its shape and dtype that overlaps nothing.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array, of the shape `input_size`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `avg_pool1d`; also where `grad_output` does not fit.

    Examples
    --------
    >>> from fastconv import grad
    >>> grad.avg_pool1d((1, 4), [[2.0, 4.0]], 2)
    array([[1., 1., 2., 2.]])
    """
    form = {
        "ceil_mode": ceil_mode,
        "count_include_pad": count_include_pad,
        "channels_last": channels_last,
    }
    return _avg_pool(1, input_size, grad_output, out, kernel_size, stride, padding, **form)


def avg_pool3d(
    input_size: Sequence[SupportsIndex],
    grad_output: ArrayLike,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: SupportsIndex | None = None,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Return the gradient of `avg_pool3d` with respect to its input.

    Parameters
    ----------
    input_size : sequence of int
        Shape of the input: (n, c, d, h, w) or (c, d, h, w).
    grad_output : array_like
        Gradient with respect to the averages, of their shape. float16, float32 or float64.
    kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        As for `avg_pool3d`.
    channels_last
        Whether all arrays have their channels in the last axis.
    out : ndarray, optional
        Where to write the gradient; any strided view of its shape and dtype that overlaps nothing.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array, of the shape `input_size`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `avg_pool3d`; also where `grad_output` does not fit.

    Examples
    --------
    >>> from fastconv import grad
    >>> grad.avg_pool3d((1, 1, 1, 4), [[[[2.0, 4.0]]]], (1, 1, 2))
    array([[[[1., 1., 2., 2.]]]])
    """
    form = {
        "ceil_mode": ceil_mode,
        "count_include_pad": count_include_pad,
        "channels_last": channels_last,
        "divisor": divisor_of(divisor_override),
    }
    return _avg_pool(3, input_size, grad_output, out, kernel_size, stride, padding, **form)


def adaptive_avg_pool2d(
    input_size: Sequence[SupportsIndex],
    grad_output: ArrayLike,
    output_size: OutputSize,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Return the gradient of `adaptive_avg_pool2d` with respect to its input.

    Parameters
    ----------
    input_size : sequence of int
        Shape of the input: (n, c, h, w) or (c, h, w).
    grad_output : array_like
        Gradient with respect to the averages, of their shape. float16, float32 or float64.
    output_size
        As for `adaptive_avg_pool2d`.
    channels_last
        Whether all arrays have their channels in the last axis.
    out : ndarray, optional
        Where to write the gradient; any strided view of its shape and dtype that overlaps nothing.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array, of the shape `input_size`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `adaptive_avg_pool2d`; also where `grad_output` does not fit.

    Examples
    --------
    >>> from fastconv import grad
    >>> grad.adaptive_avg_pool2d((1, 1, 4), [[[2.0, 4.0]]], (1, 2))
    array([[[1., 1., 2., 2.]]])
    """
    form = {"adaptive": True, "channels_last": channels_last}
    return _avg_pool(2, input_size, grad_output, out, output_size, **form)


def adaptive_avg_pool1d(
    input_size: Sequence[SupportsIndex],
    grad_output: ArrayLike,
    output_size: OutputSize,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Return the gradient of `adaptive_avg_pool1d` with respect to its input.

    Parameters
    ----------
    input_size : sequence of int
        Shape of the input: (n, c, w) or (c, w).
    grad_output : array_like
        Gradient with respect to the averages, of their shape. float16, float32 or float64.
    output_size
        As for `adaptive_avg_pool1d`.
    channels_last
        Whether all arrays have their channels in the last axis.
    out : ndarray, optional
        Where to write the gradient; any strided view of its shape and dtype that overlaps nothing.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array, of the shape `input_size`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `adaptive_avg_pool1d`; also where `grad_output` does not fit.

    Examples
    --------
    >>> from fastconv import grad
    >>> grad.adaptive_avg_pool1d((1, 4), [[2.0, 4.0]], 2)
    array([[1., 1., 2., 2.]])
    """
    form = {"adaptive": True, "channels_last": channels_last}
    return _avg_pool(1, input_size, grad_output, out, output_size, **form)


def adaptive_avg_pool3d(
    input_size: Sequence[SupportsIndex],
    grad_output: ArrayLike,
    output_size: OutputSize,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Return the gradient of `adaptive_avg_pool3d` with respect to its input.

    Parameters
    ----------
    input_size : sequence of int
        Shape of the input: (n, c, d, h, w) or (c, d, h, w).
    grad_output : array_like
        Gradient with respect to the averages, of their shape. float16, float32 or float64.
    output_size
        As for `adaptive_avg_pool3d`.
    channels_last
        Whether all arrays have their channels in the last axis.
    out : ndarray, optional
        Where to write the gradient; any strided view of its shape and dtype that overlaps nothing.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array, of the shape `input_size`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `adaptive_avg_pool3d`; also where `grad_output` does not fit.

    Examples
    --------
    >>> from fastconv import grad
    >>> grad.adaptive_avg_pool3d((1, 1, 1, 4), [[[[2.0, 4.0]]]], (1, 1, 2))
    array([[[[1., 1., 2., 2.]]]])
    """
    form = {"adaptive": True, "channels_last": channels_last}
    return _avg_pool(3, input_size, grad_output, out, output_size, **form)


def global_avg_pool2d(
    input_size: Sequence[SupportsIndex],
    grad_output: ArrayLike,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Return the gradient of `global_avg_pool2d` with respect to its input.

    Parameters
    ----------
    input_size : sequence of int
        Shape of the input: (n, c, h, w) or (c, h, w).
    grad_output : array_like
        Gradient with respect to the averages, of their shape. float16, float32 or float64.
    channels_last
        Whether all arrays have their channels in the last axis.
    out : ndarray, optional
        Where to write the gradient; any strided view of its shape and dtype that overlaps nothing.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array, of the shape `input_size`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `global_avg_pool2d`; also where `grad_output` does not fit.

    Examples
    --------
    >>> from fastconv import grad
    >>> grad.global_avg_pool2d((1, 1, 2), [[[4.0]]])
    array([[[2., 2.]]])
    """
    form = {"adaptive": True, "channels_last": channels_last}
    return _avg_pool(2, input_size, grad_output, out, 1, **form)


def global_avg_pool1d(
    input_size: Sequence[SupportsIndex],
    grad_output: ArrayLike,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Return the gradient of `global_avg_pool1d` with respect to its input.

    Parameters
    ----------
    input_size : sequence of int
        Shape of the input: (n, c, w) or (c, w).
    grad_output : array_like
        Gradient with respect to the averages, of their shape. float16, float32 or float64.
    channels_last
        Whether all arrays have their channels in the last axis.
    out : ndarray, optional
        Where to write the gradient; any strided view of its shape and dtype that overlaps nothing.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array, of the shape `input_size`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `global_avg_pool1d`; also where `grad_output` does not fit.

    Examples
    --------
    >>> from fastconv import grad
    >>> grad.global_avg_pool1d((1, 2), [[4.0]])
    array([[2., 2.]])
    """
    form = {"adaptive": True, "channels_last": channels_last}
    return _avg_pool(1, input_size, grad_output, out, 1, **form)


def global_avg_pool3d(
    input_size: Sequence[SupportsIndex],
    grad_output: ArrayLike,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Return the gradient of `global_avg_pool3d` with respect to its input.

    Parameters
    ----------
    input_size : sequence of int
        Shape of the input: (n, c, d, h, w) or (c, d, h, w).
    grad_output : array_like
        Gradient with respect to the averages, of their shape. float16, float32 or float64.
    channels_last
        Whether all arrays have their channels in the last axis.
    out : ndarray, optional
        Where to write the gradient; any strided view of its shape and dtype that overlaps nothing.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array, of the shape `input_size`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `global_avg_pool3d`; also where `grad_output` does not fit.

    Examples
    --------
    >>> from fastconv import grad
    >>> grad.global_avg_pool3d((1, 1, 1, 2), [[[[4.0]]]])
    array([[[[2., 2.]]]])
    """
    form = {"adaptive": True, "channels_last": channels_last}
    return _avg_pool(3, input_size, grad_output, out, 1, **form)


def _avg_pool(
    axes: int,
    input_size: Sequence[SupportsIndex],
    grad_output: ArrayLike,
    out: Array | None,
    *window: object,
    **form: Any,
) -> Array:
    shape = _arguments.shape("input_size", input_size)
    grad_output, dtype = _arguments.as_array("grad_output", grad_output, FLOATS)
    _arguments.image("input_size", shape, axes, False)
    plan = plan_for("avg", shape, dtype, axes, *window, **form)
    if not form.get("adaptive"):
        check_volume(axes, window[0], plan)
    check_shape(grad_output, plan.out_shape[-len(shape) :])
    if out is not None:
        _arguments.check_out(out, shape, dtype, {"grad_output": grad_output})
    return _arguments.delivered(spread(plan, grad_output, shape, dtype, out), out)
