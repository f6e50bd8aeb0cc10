"""Unfold and fold by the definition."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from fastconv import _arguments
from fastconv._arguments import Array, Pair
from fastconv.reference.windows import deliver, out_size

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["fold", "unfold"]


def unfold(
    x: ArrayLike,
    /,
    kernel_size: Pair,
    dilation: Pair = 1,
    padding: Pair = 0,
    stride: Pair = 1,
    *,
    out: Array | None = None,
) -> Array:
    """Lay windows out as columns, as `fastconv.unfold` does, by the definition.

    Parameters
    ----------
    x, kernel_size, dilation, padding, stride, out
        As for `fastconv.unfold`.

    Returns
    -------
    ndarray
        Shape and dtype as of `fastconv.unfold`.

    Raises
    ------
    TypeError, ValueError
        For arguments of the wrong form, and where the window does not fit.

    Examples
    --------
    >>> import fastconv
    >>> import numpy as np
    >>> fastconv.reference.unfold(np.array([[[1, 2, 3]]]), (1, 2))
    array([[1, 2],
           [2, 3]])
    """
    x = np.asarray(x)
    images = x if x.ndim == 4 else x[np.newaxis]
    n, c, h, w = images.shape
    windows = _Windows((h, w), kernel_size, dilation, padding, stride)
    y = np.zeros((n, c * windows.taps, windows.count), x.dtype)
    for image in range(n):
        for channel in range(c):
            for tap, window, ih, iw in windows.pixels():
                y[image, channel * windows.taps + tap, window] = images[image, channel, ih, iw]
    return deliver(y if x.ndim == 4 else y[0], x.dtype, out)


def fold(
    x: ArrayLike,
    /,
    output_size: Pair,
    kernel_size: Pair,
    dilation: Pair = 1,
    padding: Pair = 0,
    stride: Pair = 1,
    *,
    out: Array | None = None,
) -> Array:
    """Add columns up to images, as `fastconv.fold` does, by the definition, in float64.

    Parameters
    ----------
    x, output_size, kernel_size, dilation, padding, stride, out
        As for `fastconv.fold`.

    Returns
    -------
    ndarray
        Shape and dtype as of `fastconv.fold`.

    Raises
    ------
    TypeError, ValueError
        For arguments of the wrong form, and where the columns do not fit.

    Examples
    --------
    >>> import fastconv
    >>> import numpy as np
    >>> fastconv.reference.fold(np.array([[1.0, 2.0], [10.0, 20.0]]), (1, 3), (1, 2))
    array([[[ 1., 12., 20.]]])
    """
    x = np.asarray(x)
    columns = x if x.ndim == 3 else x[np.newaxis]
    n, rows, length = columns.shape
    size = _arguments.sizes("output_size", output_size, 2)
    windows = _Windows(size, kernel_size, dilation, padding, stride)
    if rows % windows.taps or length != windows.count:
        raise ValueError(f"{rows} x {length} columns for {windows.taps} taps, {windows.count}")
    y = np.zeros((n, rows // windows.taps, *size))
    for image, channel in np.ndindex(y.shape[:2]):
        for tap, window, ih, iw in windows.pixels():
            row = channel * windows.taps + tap
            y[image, channel, ih, iw] += float(columns[image, row, window])
    return deliver(y if x.ndim == 3 else y[0], x.dtype, out)


class _Windows:
    """The windows over an image."""

    def __init__(
        self,
        size: tuple[int, ...],
        kernel_size: Pair,
        dilation: Pair,
        padding: Pair,
        stride: Pair,
    ) -> None:
        self.size = size
        self.kernel = _arguments.sizes("kernel_size", kernel_size, 2)
        self.dilation = _arguments.sizes("dilation", dilation, 2)
        self.stride = _arguments.sizes("stride", stride, 2)
        self.padding = _arguments.integers("padding", padding, 2)
        self.out = tuple(
            out_size(extent, pad, pad, kernel, step, spread)
            for extent, pad, kernel, step, spread in zip(
                size, self.padding, self.kernel, self.stride, self.dilation, strict=True
            )
        )
        self.taps = self.kernel[0] * self.kernel[1]
        self.count = self.out[0] * self.out[1]

    def pixels(self) -> Iterator[tuple[int, int, int, int]]:
        """Yield tap, window and the pixel that they meet, of those within the image."""
        for i, j, oh, ow in np.ndindex(*self.kernel, *self.out):
            ih = oh * self.stride[0] + i * self.dilation[0] - self.padding[0]
            iw = ow * self.stride[1] + j * self.dilation[1] - self.padding[1]
            if 0 <= ih < self.size[0] and 0 <= iw < self.size[1]:
                yield i * self.kernel[1] + j, oh * self.out[1] + ow, ih, iw
