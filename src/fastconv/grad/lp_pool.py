"""Gradients of power-average pooling with respect to its input.

Knows what the gradients of poolings share, and how power averages are computed.
"""

from __future__ import annotations

from math import inf, prod
from typing import TYPE_CHECKING

import numpy as np

from fastconv import _arguments
from fastconv._arguments import Array, Pair
from fastconv._pooling import check_volume, plan_for, run
from fastconv.avg_pool import exponent_of, power
from fastconv.grad._pooling import check_shape, max_gradient, operands, spread

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["lp_pool1d", "lp_pool2d", "lp_pool3d"]


def lp_pool2d(
    x: ArrayLike,
    grad_output: ArrayLike,
    norm_type: float,
    kernel_size: Pair,
    stride: Pair | None = None,
    ceil_mode: bool = False,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Return the gradient of `lp_pool2d` with respect to its input.

    Parameters
    ----------
    x : array_like, (n, c, h, w) or (c, h, w)
        The input. float16, float32 or float64.
    grad_output : array_like
        Gradient with respect to the result, of its shape and the dtype of `x`.
    norm_type, kernel_size, stride, ceil_mode
        As for `lp_pool2d`.
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
        As for `lp_pool2d`; also where `grad_output` does not fit.

    Notes
    -----
    Where the sum of a window's powers is 0, so is its gradient, as in torch.

    Examples
    --------
    >>> from fastconv import grad
    >>> grad.lp_pool2d([[[3.0, 4.0]]], [[[10.0]]], 2, (1, 2))
    array([[[6., 8.]]])
    """
    form = norm_type, kernel_size, stride, ceil_mode, channels_last
    return _lp_pool(2, x, grad_output, out, *form)


def lp_pool1d(
    x: ArrayLike,
    grad_output: ArrayLike,
    norm_type: float,
    kernel_size: Pair,
    stride: Pair | None = None,
    ceil_mode: bool = False,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Return the gradient of `lp_pool1d` with respect to its input.

    Parameters
    ----------
    x : array_like, (n, c, w) or (c, w)
        The input. float16, float32 or float64.
    grad_output : array_like
        Gradient with respect to the result, of its shape and the dtype of `x`.
    norm_type, kernel_size, stride, ceil_mode
        As for `lp_pool1d`.
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
        As for `lp_pool1d`; also where `grad_output` does not fit.

    Examples
    --------
    >>> from fastconv import grad
    >>> grad.lp_pool1d([[3.0, 4.0]], [[10.0]], 2, 2)
    array([[6., 8.]])
    """
    form = norm_type, kernel_size, stride, ceil_mode, channels_last
    return _lp_pool(1, x, grad_output, out, *form)


def lp_pool3d(
    x: ArrayLike,
    grad_output: ArrayLike,
    norm_type: float,
    kernel_size: Pair,
    stride: Pair | None = None,
    ceil_mode: bool = False,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Return the gradient of `lp_pool3d` with respect to its input.

    Parameters
    ----------
    x : array_like, (n, c, d, h, w) or (c, d, h, w)
        The input. float16, float32 or float64.
    grad_output : array_like
        Gradient with respect to the result, of its shape and the dtype of `x`.
    norm_type, kernel_size, stride, ceil_mode
        As for `lp_pool3d`.
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
        As for `lp_pool3d`; also where `grad_output` does not fit.

    Examples
    --------
    >>> from fastconv import grad
    >>> grad.lp_pool3d([[[[3.0, 4.0]]]], [[[[10.0]]]], 2, (1, 1, 2))
    array([[[[6., 8.]]]])
    """
    form = norm_type, kernel_size, stride, ceil_mode, channels_last
    return _lp_pool(3, x, grad_output, out, *form)


def _lp_pool(
    axes: int,
    x: ArrayLike,
    grad_output: ArrayLike,
    out: Array | None,
    norm_type: float,
    kernel_size: Pair,
    stride: Pair | None,
    ceil_mode: bool,
    channels_last: bool,
) -> Array:
    x, grad_output, dtype = operands(x, grad_output)
    p = exponent_of(norm_type)
    greatest = abs(p) == inf
    form = {"ceil_mode": ceil_mode, "channels_last": channels_last}
    wide = "float32" if dtype == "float16" else dtype
    plan = plan_for("max" if greatest else "avg", x.shape, wide, axes, kernel_size, stride, **form)
    if not greatest:
        check_volume(axes, kernel_size, plan)
    check_shape(grad_output, plan.out_shape[-x.ndim :])
    if out is not None:
        _arguments.check_out(out, x.shape, dtype, {"x": x, "grad_output": grad_output})
    x, grad_output = x.astype(wide, copy=False), grad_output.astype(wide, copy=False)
    with np.errstate(all="ignore"):  # overflow and 0 / 0 are answers here, as elsewhere
        if greatest:
            magnitude = np.abs(x) if p > 0 else -np.abs(x)
            window = kernel_size, stride
            found = max_gradient(axes, magnitude, grad_output, None, None, *window, **form)
            result = np.sign(x) * found
        else:
            count = prod(_arguments.per_axis("kernel_size", kernel_size, axes))
            averages, _ = run(plan, power(x, p), wide, None)
            slope = power(averages * count, 1 / p - 1) * (count / p)
            shared = np.where(averages == 0, 0, grad_output * slope).astype(wide, copy=False)
            result = spread(plan, shared, x.shape, wide, None) * (p * power(x, p - 1))
    result = result.astype(dtype, order="C", copy=False)
    return _arguments.delivered(result, out)
