"""Pooling by the definition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, SupportsIndex, overload

import numpy as np

from fastconv._arguments import Array, Padding, Pair
from fastconv.reference.windows import Windows, deliver, from_nchw, to_nchw

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["avg_pool2d", "global_avg_pool2d", "max_pool2d"]


@overload
def max_pool2d(
    x: ArrayLike,
    /,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    return_indices: Literal[False] = False,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array: ...
@overload
def max_pool2d(
    x: ArrayLike,
    /,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    *,
    return_indices: Literal[True],
    channels_last: bool = False,
    out: Array | None = None,
) -> tuple[Array, Array]: ...
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
    """Take the maximum of every window, as `fastconv.max_pool2d` does, by the definition.

    The window is walked in scan order; a value is taken if it is a NaN or greater than the one
    held, which at first is that of the first pixel.
    A window wholly in the padding gives the lowest value of the dtype and the index -1.

    Parameters
    ----------
    x, kernel_size, stride, padding, dilation, ceil_mode, return_indices, channels_last, out
        As for `fastconv.max_pool2d`.

    Returns
    -------
    ndarray, or a pair of them
        The maxima, with `return_indices` also their int64 positions ``ih * w + iw`` in the plane.

    Raises
    ------
    TypeError, ValueError
        For arguments of the wrong form, and where the window does not fit.

    Examples
    --------
    >>> import fastconv
    >>> import numpy as np
    >>> image = np.array([[[1, 7, 2], [7, 0, 3]]], dtype=np.uint8)
    >>> fastconv.reference.max_pool2d(image, 2, stride=1, return_indices=True)
    (array([[[7, 7]]], dtype=uint8), array([[[1, 1]]]))
    """
    x = np.asarray(x)
    batched = x.ndim == 4
    image = to_nchw(x, channels_last)
    window = Windows(image.shape[2:], kernel_size, stride, padding, dilation, ceil_mode)
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min

    y = np.empty((*image.shape[:2], *window.out_shape), x.dtype)
    indices = np.empty(y.shape, np.int64)
    for b, ci, i, j in np.ndindex(y.shape):
        best, at = lowest, -1
        for ih, iw in window.pixels(i, j):
            value = image[b, ci, ih, iw]
            if at < 0 or value > best or np.isnan(value):
                best, at = value, ih * window.w + iw
        y[b, ci, i, j] = best
        indices[b, ci, i, j] = at
    y = deliver(from_nchw(y, channels_last, batched), x.dtype, out)
    if return_indices:
        return y, np.ascontiguousarray(from_nchw(indices, channels_last, batched))
    return y


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
    """Average every window, as `fastconv.avg_pool2d` does, by the definition.

    The divisor is `divisor_override`, or the number of positions of the window: those within the
    padded input (`count_include_pad`) or those within the input. A window without any pixel of the
    input gives zero.

    Parameters
    ----------
    x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        As for `fastconv.avg_pool2d`.
    channels_last, out
        As for `fastconv.avg_pool2d`.

    Returns
    -------
    ndarray
        Shape and dtype as of `fastconv.avg_pool2d`.

    Raises
    ------
    TypeError, ValueError
        For arguments of the wrong form, and where the window does not fit.

    Examples
    --------
    >>> import fastconv
    >>> import numpy as np
    >>> image = np.array([[[1, 2], [3, 6]]], dtype=np.float32)
    >>> fastconv.reference.avg_pool2d(image, 2)
    array([[[3.]]], dtype=float32)
    """
    x = np.asarray(x)
    batched = x.ndim == 4
    image = to_nchw(x, channels_last)
    window = Windows(image.shape[2:], kernel_size, stride, padding, 1, ceil_mode)

    y = np.empty((*image.shape[:2], *window.out_shape))
    for b, ci, i, j in np.ndindex(y.shape):
        total, pixels = 0.0, 0
        for ih, iw in window.pixels(i, j):
            total += float(image[b, ci, ih, iw])
            pixels += 1
        if divisor_override is not None:
            divisor = int(divisor_override)
        elif count_include_pad:
            divisor = window.padded_positions(i, j)
        else:
            divisor = pixels
        y[b, ci, i, j] = total / divisor if pixels else 0.0
    return deliver(from_nchw(y, channels_last, batched), x.dtype, out)


def global_avg_pool2d(
    x: ArrayLike, /, *, channels_last: bool = False, out: Array | None = None
) -> Array:
    """Average each whole plane, as `fastconv.global_avg_pool2d` does, by the definition.

    Parameters
    ----------
    x, channels_last, out
        As for `fastconv.global_avg_pool2d`.

    Returns
    -------
    ndarray
        The averages; both plane axes are kept, with length 1.

    Raises
    ------
    ValueError
        If the plane is empty.

    Examples
    --------
    >>> import fastconv
    >>> import numpy as np
    >>> fastconv.reference.global_avg_pool2d(np.array([[[1, 2, 6]]], dtype=np.float32))
    array([[[3.]]], dtype=float32)
    """
    x = np.asarray(x)
    plane = to_nchw(x, channels_last).shape[2:]
    return avg_pool2d(x, plane, channels_last=channels_last, out=out)
