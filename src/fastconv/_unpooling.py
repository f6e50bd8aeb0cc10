"""What goes by the indices of a max pooling: unpooling here, and gradients in ``fastconv.grad``.

Knows the argument forms, the arithmetic of ``shapes`` and ``_core``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, SupportsIndex

import numpy as np

from fastconv import _arguments
from fastconv._arguments import NUMBERS, Array, Pair
from fastconv._core import scatter
from fastconv.shapes import inverse_size

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def unpool(
    axes: int,
    x: ArrayLike,
    indices: ArrayLike,
    kernel_size: Pair,
    stride: Pair | None,
    padding: Pair,
    output_size: Sequence[SupportsIndex] | None,
    channels_last: bool,
    out: Array | None,
) -> Array:
    """Put maxima to where their indices say, zeros elsewhere."""
    x, dtype = _arguments.as_array("x", x, NUMBERS)
    form = kernel_size, stride, padding, output_size
    shape = unpooled_shape(axes, x.shape, *form, channels_last)
    where = indices_of(indices, x.shape)
    if out is not None:
        _arguments.check_out(out, shape, dtype, {"x": x, "indices": where})
    result = _arguments.target(out, shape, dtype, in_one_run=True)
    if result.size:  # torch looks at no index where there is no place
        move("set", axes, channels_last, where, _arguments.contiguous(x), result)
    return _arguments.delivered(result, out)


def indices_of(indices: ArrayLike, shape: tuple[int, ...] | None = None) -> Array:
    """Return indices, of the given shape if there is one, as an array of int64."""
    array, _ = _arguments.as_array("indices", indices, {np.dtype(np.int64): "int64"})
    if shape is not None and array.shape != shape:
        raise ValueError(f"indices has shape {array.shape}, it must be {shape}")
    return array


def move(
    kind: Literal["set", "add", "take"],
    axes: int,
    channels_last: bool,
    indices: Array,
    pooled: Array,
    image: Array,
) -> None:
    """Bring values between an image and what was pooled from it, both of which are C-contiguous."""
    indices = _arguments.contiguous(indices)
    if pooled.ndim == axes + 1:
        indices, pooled, image = indices[np.newaxis], pooled[np.newaxis], image[np.newaxis]
    scatter(kind, channels_last, indices, pooled, image)


def unpooled_shape(
    axes: int,
    shape: tuple[int, ...],
    kernel_size: Pair,
    stride: Pair | None,
    padding: Pair,
    output_size: Sequence[SupportsIndex] | None,
    channels_last: bool,
) -> tuple[int, ...]:
    """Return the shape that an unpooled array has, by the rules of torch."""
    last = _arguments.flag("channels_last", channels_last)
    n, c, sizes = _arguments.image("x", shape, axes, last)
    if min(c, *sizes) < 1:
        raise ValueError(f"x must not be empty but for its batch, got shape {shape}")
    kernel = _positive("kernel_size", kernel_size, axes)
    steps = kernel if stride is None else _positive("stride", stride, axes)
    pads = _arguments.per_axis("padding", padding, axes)
    if min(pads) < 0:
        raise ValueError(f"padding must be at least 0, got {padding}")
    default = [
        inverse_size(size, step, window, 2 * pad)
        for size, step, pad, window in zip(sizes, steps, pads, kernel, strict=True)
    ]
    wanted = tuple(default)
    if output_size is not None:
        wanted = _arguments.shape("output_size", output_size)
        if len(wanted) == axes + 2:
            wanted = wanted[1:-1] if last else wanted[2:]
        if len(wanted) != axes:
            raise ValueError(
                f"output_size must hold {axes} or {axes + 2} integers, got {output_size}"
            )
        for size, usual, step in zip(wanted, default, steps, strict=True):
            if not usual - step < size < usual + step:
                raise ValueError(
                    f"output_size must be between {usual - step + 1} and {usual + step - 1} where "
                    f"the window steps by {step}, got {size}"
                )
    if not 0 <= min(wanted) <= max(wanted) <= _arguments.INT64_MAX:
        raise ValueError(f"an output of {wanted} is impossible: see kernel_size, stride, padding")
    full = (n, *wanted, c) if last else (n, c, *wanted)
    return full[-len(shape) :]


def _positive(name: str, value: Pair, axes: int) -> tuple[int, ...]:
    return tuple([_arguments.positive(name, i) for i in _arguments.per_axis(name, value, axes)])
