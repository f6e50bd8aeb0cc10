"""Pooling by the definition: windows of a given size.

The loops over windows serve the adaptive and global ones, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, prod
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np

from fastconv import _arguments
from fastconv._arguments import Array, Padding, Pair
from fastconv.reference.windows import AdaptiveWindows, Windows, deliver, from_nchw, to_nchw

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = [
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_pool_channels",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
]


def max_pool2d(
    x: ArrayLike,
    /,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array | tuple[Array, Array]:
    """As `fastconv.max_pool2d`, by the definition.

    The window is walked in scan order; a value is taken if it is a NaN or greater than the one
    held, which at first is that of the first pixel. A window wholly in the padding gives the
    lowest value of the dtype and the index -1.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.reference.max_pool2d([[[1.0, 5.0, 2.0]]], (1, 2), 1, return_indices=True)
    (array([[[5., 5.]]]), array([[[1, 1]]]))
    """
    image, back = opened(x, 2, channels_last, out)
    form = kernel_size, stride, padding, dilation, ceil_mode
    return maxima(image, Windows(image.shape[2:], *form), back, return_indices)


def max_pool1d(
    x: ArrayLike,
    /,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array | tuple[Array, Array]:
    """As `fastconv.max_pool1d`, by the definition.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.reference.max_pool1d([[1.0, 5.0, 2.0]], 2, 1, return_indices=True)
    (array([[5., 5.]]), array([[1, 1]]))
    """
    image, back = opened(x, 1, channels_last, out)
    form = kernel_size, stride, padding, dilation, ceil_mode
    return maxima(image, Windows(image.shape[2:], *form), back, return_indices)


def max_pool3d(
    x: ArrayLike,
    /,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array | tuple[Array, Array]:
    """As `fastconv.max_pool3d`, by the definition.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.reference.max_pool3d([[[[1.0, 5.0, 2.0]]]], (1, 1, 2), 1, return_indices=True)
    (array([[[[5., 5.]]]]), array([[[[1, 1]]]]))
    """
    image, back = opened(x, 3, channels_last, out)
    form = kernel_size, stride, padding, dilation, ceil_mode
    return maxima(image, Windows(image.shape[2:], *form), back, return_indices)


def avg_pool2d(
    x: ArrayLike,
    /,
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
    """As `fastconv.avg_pool2d`, by the definition.

    The divisor is `divisor_override`, or the number of positions of the window: those within the
    padded input (`count_include_pad`) or those within the input. A window without any pixel of the
    input gives zero.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.reference.avg_pool2d([[[1.0, 5.0, 2.0]]], (1, 2), 1)
    array([[[3. , 3.5]]])
    """
    image, back = opened(x, 2, channels_last, out)
    window = Windows(image.shape[2:], kernel_size, stride, padding, 1, ceil_mode)
    return averages(image, window, back, count_include_pad, divisor_override)


def avg_pool1d(
    x: ArrayLike,
    /,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """As `fastconv.avg_pool1d`, by the definition.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.reference.avg_pool1d([[1.0, 5.0, 2.0]], 2, 1)
    array([[3. , 3.5]])
    """
    image, back = opened(x, 1, channels_last, out)
    window = Windows(image.shape[2:], kernel_size, stride, padding, 1, ceil_mode)
    return averages(image, window, back, count_include_pad)


def avg_pool3d(
    x: ArrayLike,
    /,
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
    """As `fastconv.avg_pool3d`, by the definition.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.reference.avg_pool3d([[[[1.0, 5.0, 2.0]]]], (1, 1, 2), 1)
    array([[[[3. , 3.5]]]])
    """
    image, back = opened(x, 3, channels_last, out)
    window = Windows(image.shape[2:], kernel_size, stride, padding, 1, ceil_mode)
    return averages(image, window, back, count_include_pad, divisor_override)


def lp_pool2d(
    x: ArrayLike,
    /,
    norm_type: float,
    kernel_size: Pair,
    stride: Pair | None = None,
    ceil_mode: bool = False,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """As `fastconv.lp_pool2d`, by the definition.

    The powers are averaged and the average multiplied by the size of the window.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.reference.lp_pool2d([[[3.0, 4.0]]], 2, (1, 2))
    array([[[5.]]])
    """
    image, back = opened(x, 2, channels_last, out)
    window = Windows(image.shape[2:], kernel_size, stride, 0, 1, ceil_mode)
    return _norms(image, window, norm_type, back)


def lp_pool1d(
    x: ArrayLike,
    /,
    norm_type: float,
    kernel_size: Pair,
    stride: Pair | None = None,
    ceil_mode: bool = False,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """As `fastconv.lp_pool1d`, by the definition.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.reference.lp_pool1d([[3.0, 4.0]], 2, 2)
    array([[5.]])
    """
    image, back = opened(x, 1, channels_last, out)
    window = Windows(image.shape[2:], kernel_size, stride, 0, 1, ceil_mode)
    return _norms(image, window, norm_type, back)


def lp_pool3d(
    x: ArrayLike,
    /,
    norm_type: float,
    kernel_size: Pair,
    stride: Pair | None = None,
    ceil_mode: bool = False,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """As `fastconv.lp_pool3d`, by the definition.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.reference.lp_pool3d([[[[3.0, 4.0]]]], 2, (1, 1, 2))
    array([[[[5.]]]])
    """
    image, back = opened(x, 3, channels_last, out)
    window = Windows(image.shape[2:], kernel_size, stride, 0, 1, ceil_mode)
    return _norms(image, window, norm_type, back)


def max_pool_channels(
    x: ArrayLike,
    /,
    kernel_size: SupportsIndex,
    stride: SupportsIndex | None = None,
    padding: Padding = 0,
    dilation: SupportsIndex = 1,
    ceil_mode: bool = False,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """As `fastconv.max_pool_channels`, by the definition.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.reference.max_pool_channels([[[1.0]], [[5.0]], [[2.0]]], 2, 1)
    array([[[5.]],
    <BLANKLINE>
           [[5.]]])
    """
    image, back = opened(x, 2, channels_last, out)
    window = Windows(image.shape[1:2], kernel_size, stride, padding, dilation, ceil_mode)
    n, _, h, w = image.shape
    y = np.full((n, *window.out_shape, h, w), _lowest(image.dtype), image.dtype)
    for b, q, i, j in np.ndindex(y.shape):
        values = [image[b, c, i, j] for (c,) in window.pixels((q,))]
        if values:
            y[b, q, i, j] = np.max(values)
    return back(y)


def max_unpool2d(
    x: ArrayLike,
    /,
    indices: ArrayLike,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    output_size: Sequence[SupportsIndex] | None = None,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """As `fastconv.max_unpool2d`, by the definition.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.reference.max_unpool2d([[[5.0]]], [[[1]]], (1, 2))
    array([[[0., 5.]]])
    """
    image, back = opened(x, 2, channels_last, out)
    where = to_nchw(np.asarray(indices), 2, channels_last)
    form = kernel_size, stride, padding, output_size
    return back(_unpooled(image, where, *form, channels_last))


def max_unpool1d(
    x: ArrayLike,
    /,
    indices: ArrayLike,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    output_size: Sequence[SupportsIndex] | None = None,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """As `fastconv.max_unpool1d`, by the definition.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.reference.max_unpool1d([[5.0]], [[1]], 2)
    array([[0., 5.]])
    """
    image, back = opened(x, 1, channels_last, out)
    where = to_nchw(np.asarray(indices), 1, channels_last)
    form = kernel_size, stride, padding, output_size
    return back(_unpooled(image, where, *form, channels_last))


def max_unpool3d(
    x: ArrayLike,
    /,
    indices: ArrayLike,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    output_size: Sequence[SupportsIndex] | None = None,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """As `fastconv.max_unpool3d`, by the definition.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.reference.max_unpool3d([[[[5.0]]]], [[[[1]]]], (1, 1, 2))
    array([[[[0., 5.]]]])
    """
    image, back = opened(x, 3, channels_last, out)
    where = to_nchw(np.asarray(indices), 3, channels_last)
    form = kernel_size, stride, padding, output_size
    return back(_unpooled(image, where, *form, channels_last))


class _Back:
    """How a result gets the layout, the dtype and the place that the caller wants."""

    def __init__(self, x: Array, axes: int, channels_last: bool, out: Array | None) -> None:
        self.batched = x.ndim == axes + 2
        self.dtype = x.dtype
        self.channels_last = channels_last
        self.out = out

    def __call__(self, y: Array) -> Array:
        return deliver(from_nchw(y, self.channels_last, self.batched), self.dtype, self.out)

    def indices(self, y: Array) -> Array:
        return np.ascontiguousarray(from_nchw(y, self.channels_last, self.batched))


def opened(x: ArrayLike, axes: int, channels_last: bool, out: Array | None) -> tuple[Array, _Back]:
    """Return `x` as (n, c, ...) and how to bring a result back."""
    array = np.asarray(x)
    return to_nchw(array, axes, channels_last), _Back(array, axes, channels_last, out)


def _lowest(dtype: np.dtype[Any]) -> float:
    return -inf if dtype.kind == "f" else np.iinfo(dtype).min


def maxima(
    image: Array, window: Windows | AdaptiveWindows, back: _Back, return_indices: bool
) -> Array | tuple[Array, Array]:
    """Return the maximum of every window."""
    y = np.empty((*image.shape[:2], *window.out_shape), image.dtype)
    indices = np.empty(y.shape, np.int64)
    for at in np.ndindex(y.shape):
        best, index = _lowest(image.dtype), -1
        for pixel in window.pixels(at[2:]):
            value = image[*at[:2], *pixel]
            if index < 0 or value > best or np.isnan(value):
                best, index = value, int(np.ravel_multi_index(pixel, window.sizes))
        y[at], indices[at] = best, index
    return (back(y), back.indices(indices)) if return_indices else back(y)


def averages(
    image: Array,
    window: Windows | AdaptiveWindows,
    back: _Back,
    count_include_pad: bool = False,
    divisor_override: SupportsIndex | None = None,
) -> Array:
    """Return the average of every window."""
    y = np.empty((*image.shape[:2], *window.out_shape))
    for at in np.ndindex(y.shape):
        values = [float(image[*at[:2], *pixel]) for pixel in window.pixels(at[2:])]
        divisor = len(values)
        if divisor_override is not None:
            divisor = int(divisor_override)
        elif count_include_pad and isinstance(window, Windows):
            divisor = window.padded_positions(at[2:])
        y[at] = sum(values) / divisor if values else 0.0
    return back(y)


def _norms(image: Array, window: Windows, norm_type: float, back: _Back) -> Array:
    p = float(norm_type)
    if p == 0:
        raise ValueError("norm_type must not be 0")
    y = np.empty((*image.shape[:2], *window.out_shape))
    for at in np.ndindex(y.shape):
        values = np.array([image[*at[:2], *pixel] for pixel in window.pixels(at[2:])], np.float64)
        if abs(p) == inf:
            y[at] = np.max(np.abs(values)) if p > 0 else np.min(np.abs(values))
            continue
        with np.errstate(all="ignore"):
            y[at] = np.power(np.mean(np.power(values, p)) * prod(window.kernel) + 0.0, 1 / p)
    return back(y)


def _unpooled(
    image: Array,
    where: Array,
    kernel_size: Pair,
    stride: Pair | None,
    padding: Pair,
    output_size: Sequence[SupportsIndex] | None,
    channels_last: bool,
) -> Array:
    n, c, *sizes = image.shape
    axes = len(sizes)
    if where.shape != image.shape:
        raise ValueError(f"indices has shape {where.shape}, x {image.shape}")
    kernel = _arguments.per_axis("kernel_size", kernel_size, axes)
    steps = kernel if stride is None else _arguments.per_axis("stride", stride, axes)
    pads = _arguments.per_axis("padding", padding, axes)
    wanted = default = [
        (size - 1) * s - 2 * p + k for size, k, s, p in zip(sizes, kernel, steps, pads, strict=True)
    ]
    if output_size is not None:
        wanted = [int(size) for size in output_size]
        if len(wanted) == axes + 2:
            wanted = wanted[1:-1] if channels_last else wanted[2:]
        for size, usual, s in zip(wanted, default, steps, strict=True):
            if abs(size - usual) >= s:
                raise ValueError(f"output_size {output_size} is too far from {default}")
    y = np.zeros((n, c, prod(wanted)), image.dtype)
    for at in np.ndindex(image.shape):
        index = where[at]
        if not 0 <= index < y.shape[2]:
            raise ValueError(f"indices must be places of an output of {wanted}, got {index}")
        y[*at[:2], index] = image[at]
    return y.reshape(n, c, *wanted)
