"""Locally connected layers: convolution whose weights are not shared between positions.

Knows the argument forms and ``_core``, which makes every rule of geometry.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import isqrt
from typing import TYPE_CHECKING

import numpy as np

from fastconv import _arguments
from fastconv._arguments import FLOATS, Activation, Array, Padding, Pair
from fastconv._core import LocalPlan

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["locally_connected2d"]

_plan = lru_cache(maxsize=512)(LocalPlan)


def locally_connected2d(
    x: ArrayLike,
    /,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    kernel_size: Pair | None = None,
    *,
    channels_last: bool = False,
    activation: Activation | None = None,
    out: Array | None = None,
) -> Array:
    """Convolve images with filters that are others at every position: nothing is shared.

    ``y[n, k, i, j] = bias[k] + sum(x[n, c, i*sh + p*dh, j*sw + q*dw] * w[k, c, p, q])`` over the
    channels c and the positions (p, q) of the window, on the padded input, where w is
    ``weight[i, j]``: each output pixel has a dense layer of its own over its window.

    Parameters
    ----------
    x : array_like, (n, c, h, w) or (c, h, w)
        The images; (n, h, w, c) or (h, w, c) with `channels_last`. float16, float32 or float64,
        of any strides and byte order. float16 is computed in float32 and rounded once.
    weight : array_like, (oh, ow, k, c*kh*kw)
        For each output pixel its filters, in the order (c, kh, kw) in both layouts, of the dtype of
        `x`. ``np.broadcast_to(w.reshape(k, -1), (oh, ow, k, c*kh*kw))`` is what `conv2d` does with
        its weight w.
    bias : array_like, (k,) or (k, oh, ow), optional
        Added to each output channel, or to each output, in this order in both layouts.
    stride, padding, dilation
        As for `conv2d`.
    kernel_size : int or (int, int), optional
        Height and width of the window; square if not given, by the size of `weight`.
    channels_last : bool, default False
        Whether `x` and the result have their channels in the last axis.
    activation : str or tuple, optional
        Applied to the result, as by `conv2d`.
    out : ndarray, optional
        Where to write the result; any strided view of its shape and dtype that overlaps no input.

    Returns
    -------
    ndarray, (n, k, oh, ow) or (k, oh, ow)
        `out`, or a new C-contiguous array; (n, oh, ow, k) or (oh, ow, k) with `channels_last`.

    Raises
    ------
    TypeError
        For a dtype that is not supported, mixed dtypes, masked arrays, and arguments of the wrong
        kind.
    ValueError
        For shapes, values and an `out` that do not fit. Nothing has been written then.
    MemoryError
        If there is not enough memory.

    See Also
    --------
    conv2d : The same with one filter for all positions.
    linear : The same with one position that sees everything.

    Examples
    --------
    Each half of a row has a filter of its own:

    >>> import numpy as np
    >>> from fastconv import locally_connected2d
    >>> x = np.array([[[1, 2, 3, 4]]], dtype=np.float32)
    >>> weight = np.array([[[[1, 1]], [[1, -1]]]], dtype=np.float32)
    >>> locally_connected2d(x, weight, stride=(1, 2), kernel_size=(1, 2))
    array([[[ 3., -1.]]], dtype=float32)
    """
    x, dtype = _arguments.as_array("x", x, FLOATS)
    weight, own = _arguments.as_array("weight", weight, FLOATS)
    _arguments.same_dtype("weight", own, "x", dtype)
    if bias is not None:
        bias, own = _arguments.as_array("bias", bias, FLOATS)
        _arguments.same_dtype("bias", own, "x", dtype)
    last = _arguments.flag("channels_last", channels_last)
    plan = plan_for(
        x.shape,
        weight.shape,
        dtype,
        stride,
        padding,
        dilation,
        kernel_size,
        last,
        activation=activation,
        bias_per_pixel=bias is not None and bias.ndim == 3,
    )
    _, oh, ow, k = plan.out_shape
    if bias is not None and bias.shape not in ((k,), (k, oh, ow)):
        raise ValueError(f"bias has shape {bias.shape}, it must be {(k,)} or {(k, oh, ow)}")
    batch = x.shape[:-3]
    shape = (*batch, oh, ow, k) if last else (*batch, k, oh, ow)
    if out is not None:
        _arguments.check_out(out, shape, dtype, {"x": x, "weight": weight, "bias": bias})
    channels_out = (*batch, oh, ow, k)
    result = _arguments.target(out if last else None, channels_out, dtype)
    if result.size:
        if bias is not None:
            bias = _arguments.contiguous(np.moveaxis(bias, 0, -1))
        plan.run(_arguments.rows(x), _arguments.contiguous(weight), bias, None, result)
    if not last:
        planes = np.moveaxis(result, -1, -3)
        result = np.ascontiguousarray(planes) if out is None else planes
    return _arguments.delivered(result, out)


def plan_for(
    shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    dtype: str,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    kernel_size: Pair | None,
    channels_last: bool,
    *,
    activation: Activation | None = None,
    bias_per_pixel: bool = False,
) -> LocalPlan:
    """Return the plan for an input of the given shape, whose weights have theirs."""
    n, c, (h, w) = _arguments.image("x", shape, 2, channels_last)
    if len(weight_shape) != 4:
        raise ValueError(f"weight must have the axes (oh, ow, k, c*kh*kw), got {weight_shape}")
    kernel = kernel_of(weight_shape, c, kernel_size)
    steps = _arguments.per_axis("stride", stride, 2)
    spread = _arguments.per_axis("dilation", dilation, 2)
    pads = _arguments.padding(padding, kernel, steps, spread)
    k = weight_shape[2]
    form = steps, pads, spread, channels_last, bias_per_pixel, dtype
    plan = _plan(n, c, h, w, k, *kernel, *form, _arguments.activation(activation), None)
    _, oh, ow, _ = plan.out_shape
    if weight_shape[:2] != (oh, ow):
        raise ValueError(
            f"weight has shape {weight_shape}, for {oh} x {ow} output pixels it must be "
            f"{(oh, ow, *weight_shape[2:])}"
        )
    return plan


def kernel_of(weight_shape: Sequence[int], c: int, kernel_size: Pair | None) -> tuple[int, int]:
    """Return height and width of the window, which must be that of the weights."""
    length = weight_shape[-1]
    if kernel_size is None:
        side = isqrt(length // c) if c else 0
        if side * side * c != length or not length:
            raise ValueError(
                f"weight has {length} elements in its last axis, which is no square window of {c} "
                f"channels: kernel_size must say its height and width"
            )
        return side, side
    kh, kw = _arguments.sizes("kernel_size", kernel_size, 2)
    if c * kh * kw != length:
        raise ValueError(
            f"weight has {length} elements in its last axis, a window of {kh} x {kw} over {c} "
            f"channels has {c * kh * kw}"
        )
    return kh, kw
