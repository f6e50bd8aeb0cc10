"""Where windows lie, and arrays in the form that the loops of the oracle take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastconv import _arguments
from fastconv._arguments import Array, Padding, Pair


class Windows:
    """Where the windows of a pooling lie in a plane."""

    def __init__(
        self,
        plane: tuple[int, ...],
        kernel_size: Pair,
        stride: Pair | None,
        padding: Padding,
        dilation: Pair,
        ceil_mode: bool,
    ) -> None:
        self.h, self.w = plane
        self.kernel = kh, kw = _arguments.sizes("kernel_size", kernel_size, 2)
        self.stride = sh, sw = (
            self.kernel if stride is None else _arguments.sizes("stride", stride, 2)
        )
        self.dilation = dh, dw = _arguments.sizes("dilation", dilation, 2)
        top, bottom, left, right = _arguments.padding(padding, (kh, kw), (sh, sw), (dh, dw))
        self.begin = top, left
        self.end = self.h + bottom, self.w + right
        self.out_shape = (
            out_size(self.h, top, bottom, kh, sh, dh, ceil_mode),
            out_size(self.w, left, right, kw, sw, dw, ceil_mode),
        )

    def _taps(self, axis: int, index: int) -> list[int]:
        start = index * self.stride[axis] - self.begin[axis]
        return [start + p * self.dilation[axis] for p in range(self.kernel[axis])]

    def pixels(self, i: int, j: int) -> Iterator[tuple[int, int]]:
        """Yield the pixels of the input in window (i, j), in scan order."""
        for ih in self._taps(0, i):
            for iw in self._taps(1, j):
                if 0 <= ih < self.h and 0 <= iw < self.w:
                    yield ih, iw

    def padded_positions(self, i: int, j: int) -> int:
        """Count the positions of window (i, j) within input and padding.

        In ceil mode the last window may reach past the padding; what lies there never counts.
        """
        rows = sum(ih < self.end[0] for ih in self._taps(0, i))
        columns = sum(iw < self.end[1] for iw in self._taps(1, j))
        return rows * columns


def out_size(
    size: int,
    pad_begin: int,
    pad_end: int,
    kernel: int,
    stride: int,
    dilation: int,
    ceil_mode: bool = False,
) -> int:
    """Return the number of windows along one axis."""
    slack = size + pad_begin + pad_end - (dilation * (kernel - 1) + 1)
    out = (-(-slack // stride) if ceil_mode else slack // stride) + 1
    if out < 1:
        raise ValueError(f"a window of {kernel}, dilation {dilation}, does not fit {size} pixels")
    # In ceil mode the last window must not start in the padding after the input.
    return out - 1 if ceil_mode and (out - 1) * stride >= size + pad_begin else out


def to_nchw(array: Array, channels_last: bool) -> Array:
    """View an image, or a batch of them, in either layout as (n, c, h, w)."""
    if array.ndim == 3:
        array = array[np.newaxis]
    return np.moveaxis(array, -1, 1) if channels_last else array


def from_nchw(array: Array, channels_last: bool, batched: bool) -> Array:
    """Undo `to_nchw`."""
    if channels_last:
        array = np.moveaxis(array, 1, -1)
    return array if batched else array[0]


def deliver(y: Array, dtype: np.dtype[Any], out: Array | None) -> Array:
    """Round the result to its dtype, once, and return it, or `out` filled with it."""
    with np.errstate(over="ignore"):
        y = np.asarray(y, dtype.newbyteorder("="), order="C")
    if out is None:
        return y
    out[...] = y
    return out
