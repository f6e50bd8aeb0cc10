"""Where windows lie, and arrays in the form that the loops of the oracle take."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from math import ceil, floor, prod
from typing import Any

import numpy as np

from fastconv import _arguments
from fastconv._arguments import Array, Padding, Pair


class Windows:
    """Where the windows of a pooling lie in an image of one, two or three axes."""

    def __init__(
        self,
        sizes: tuple[int, ...],
        kernel_size: Pair,
        stride: Pair | None,
        padding: Padding,
        dilation: Pair,
        ceil_mode: bool,
    ) -> None:
        axes = len(sizes)
        self.sizes = sizes
        self.kernel = tuple(
            [
                _arguments.positive("kernel_size", item)
                for item in _arguments.per_axis("kernel_size", kernel_size, axes)
            ]
        )
        self.stride = self.kernel if stride is None else _arguments.per_axis("stride", stride, axes)
        self.dilation = _arguments.per_axis("dilation", dilation, axes)
        form = self.kernel, self.stride, self.dilation
        pads = _arguments.pairs(_arguments.padding(padding, *form))
        self.begin = [before for before, _ in pads]
        self.end = [size + after for size, (_, after) in zip(sizes, pads, strict=True)]
        self.out_shape = tuple(
            [
                out_size(size, *pad, k, s, d, ceil_mode)
                for size, pad, k, s, d in zip(sizes, pads, *form, strict=True)
            ]
        )

    def _taps(self, axis: int, index: int) -> list[int]:
        start = index * self.stride[axis] - self.begin[axis]
        return [start + p * self.dilation[axis] for p in range(self.kernel[axis])]

    def pixels(self, window: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        """Yield the pixels of the input in a window, in scan order."""
        for place in product(*[self._taps(axis, index) for axis, index in enumerate(window)]):
            if all(0 <= at < size for at, size in zip(place, self.sizes, strict=True)):
                yield place

    def padded_positions(self, window: tuple[int, ...]) -> int:
        """Count the positions of a window within input and padding.

        In ceil mode the last window may reach past the padding; what lies there never counts.
        """
        return prod(
            sum(at < self.end[axis] for at in self._taps(axis, index))
            for axis, index in enumerate(window)
        )


class AdaptiveWindows:
    """Windows that follow from the size of the output, and cover the input."""

    def __init__(self, sizes: tuple[int, ...], output_size: object) -> None:
        if isinstance(output_size, (tuple, list)) and len(output_size) == len(sizes) > 1:
            output_size = [
                size if item is None else item
                for size, item in zip(sizes, output_size, strict=True)
            ]
        self.sizes = sizes
        self.out_shape = _arguments.integers("output_size", output_size, len(sizes))
        if min(sizes) < 1:
            raise ValueError(f"there are no windows in an image of {sizes}")
        if min(self.out_shape) < 0:
            raise ValueError(f"output_size must be at least 0, got {output_size}")

    def pixels(self, window: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
        """Yield the pixels of the input in a window, in scan order."""
        spans = [
            range(floor(Fraction(q * size, out)), ceil(Fraction((q + 1) * size, out)))
            for q, size, out in zip(window, self.sizes, self.out_shape, strict=True)
        ]
        yield from product(*spans)


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


def to_nchw(array: Array, axes: int, channels_last: bool) -> Array:
    """View an image of so many axes, or a batch of them, in either layout as (n, c, ...)."""
    if array.ndim not in (axes + 1, axes + 2):
        raise ValueError(f"an image has {axes} axes and channels, got shape {array.shape}")
    if array.ndim == axes + 1:
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
