"""Padding: an array made larger, or smaller, at its borders.

Knows the argument forms, the layers of ``_plans`` and ``_core``; what fits where is C's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, SupportsFloat, SupportsIndex

import numpy as np

from fastconv import _arguments, _core
from fastconv._arguments import ELEMENTS, Array
from fastconv._plans import Layer

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["pad"]

_MODES = "constant", "reflect", "replicate", "circular"
_FILLINGS = "zeros", "reflect", "replicate", "circular"


def pad(
    x: ArrayLike,
    /,
    pad: Sequence[SupportsIndex],
    mode: Literal["constant", "reflect", "replicate", "circular"] = "constant",
    value: SupportsFloat | None = None,
    *,
    out: Array | None = None,
) -> Array:
    """Pad the last axes of an array; negative padding cuts elements off.

    Parameters
    ----------
    x : array_like
        Of any shape for the mode "constant"; for the others (n, c, ...) or (c, ...) with 1 to 3
        axes after the channels. float16, float32, float64, bool, or an integer type of 8 to 64
        bits, signed or not.
    pad : sequence of int
        How many elements to add before and after, in pairs that start from the last axis:
        (left, right, top, bottom) pads the last two. Modes other than "constant" need a pair
        for each axis after the channels.
    mode : {"constant", "reflect", "replicate", "circular"}, default "constant"
        What to add: `value`; the elements mirrored at the first and the last one, which are not
        repeated (fewer than the axis has); the first or the last element; or those of the other
        end (no more than are left of the axis).
    value : number, optional
        What to add in the mode "constant", 0 by default. For integers, what follows the point is
        dropped; all 64 bits of an int count.
    out : ndarray, optional
        Where to write the result; any strided view of its shape and dtype that does not overlap
        `x`.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array, of the dtype of `x`.

    Raises
    ------
    TypeError
        For a dtype that is not supported, masked arrays, and arguments of the wrong kind.
    ValueError
        For shapes, values and an `out` that do not fit. Nothing has been written then.
    MemoryError
        If there is not enough memory.

    Notes
    -----
    Names, order and meaning of the arguments are those of ``torch.nn.functional.pad``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import pad
    >>> x = np.array([[1, 2, 3], [4, 5, 6]], dtype=np.uint8)
    >>> pad(x, (1, 2))
    array([[0, 1, 2, 3, 0, 0],
           [0, 4, 5, 6, 0, 0]], dtype=uint8)
    >>> pad(x, (2, -1), mode="reflect")
    array([[3, 2, 1, 2],
           [6, 5, 4, 5]], dtype=uint8)
    """
    x, dtype = _arguments.as_array("x", x, ELEMENTS)
    name, pairs = normal_form(x.shape, pad, mode)
    fill = _fill(name, value, dtype, any(number > 0 for pair in pairs for number in pair))
    return _padded(x, dtype, pairs, name, fill, out)


def padded(
    x: Array, pads: Sequence[tuple[int, int]], mode: str, channels_last: bool = False
) -> Array:
    """Return an array padded for a convolution, a new one.

    `pads` has (before, after) for each spatial axis; `mode` is "zeros", "reflect", "replicate" or
    "circular", and what it allows is what `pad` allows.
    """
    if mode == "zeros":
        mode = "constant"
    array, dtype = _arguments.as_array("x", x, ELEMENTS)
    pairs = _all_axes(array.ndim, pads, channels_last)
    return _padded(array, dtype, pairs, mode, np.zeros(1, dtype), None)


def _all_axes(
    rank: int, pads: Sequence[tuple[int, int]], channels_last: bool
) -> tuple[tuple[int, int], ...]:
    """Return the padding of every axis from that of the spatial ones."""
    channels = ((0, 0),) if channels_last else ()
    return (*((0, 0),) * (rank - len(pads) - len(channels)), *pads, *channels)


def filled(layer: Layer, mode: object) -> tuple[Layer, Filling | None]:
    """Return a convolution with its padding left to a `Filling`, where that is not of zeros."""
    if not isinstance(mode, str):
        raise TypeError(f"padding_mode must be a string, got {mode!r}")
    if mode not in _FILLINGS:
        raise ValueError(f"padding_mode must be one of {', '.join(_FILLINGS)}, got {mode!r}")
    if mode == "zeros":
        return layer, None
    pads = _arguments.pairs(layer.padding)
    return layer._replace(padding=(0,) * len(layer.padding)), Filling(
        mode, pads, layer.channels_last
    )


class Filling(NamedTuple):
    """The padding of a convolution other than with zeros, which goes before it."""

    mode: str
    pads: tuple[tuple[int, int], ...]
    channels_last: bool

    def shape(self, name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of an image after padding; errors call it `name`."""
        _arguments.image(name, shape, len(self.pads), self.channels_last)
        pairs = _all_axes(len(shape), self.pads, self.channels_last)
        return padded_shape(shape, pairs, self.mode)

    def apply(self, x: Array) -> Array:
        """Return an image padded."""
        _arguments.image("x", x.shape, len(self.pads), self.channels_last)
        return padded(x, self.pads, self.mode, self.channels_last)


def normal_form(
    shape: tuple[int, ...], pad: object, mode: object
) -> tuple[str, tuple[tuple[int, int], ...]]:
    """Return the mode and (before, after) of every axis, for the arguments of `pad`."""
    name = _mode(mode)
    pairs = _pairs(pad, len(shape))
    if name != "constant":
        _check_rank(shape, pairs, name)
    return name, (*((0, 0),) * (len(shape) - len(pairs)), *pairs)


def padded_shape(
    shape: tuple[int, ...], pairs: tuple[tuple[int, int], ...], mode: str, itemsize: int = 8
) -> tuple[int, ...]:
    """Return the shape of what is padded, if it can be."""
    begin, end = zip(*pairs, strict=True) if pairs else ((), ())
    return _core.pad_shape(mode, shape, begin, end, itemsize)


def _mode(mode: object) -> str:
    """Return the name of a mode."""
    if not isinstance(mode, str):
        raise TypeError(f"mode must be a string, got {mode!r}")
    if mode not in _MODES:
        raise ValueError(f"mode must be one of {', '.join(_MODES)}, got {mode!r}")
    return mode


def _pairs(pad: object, rank: int) -> tuple[tuple[int, int], ...]:
    """Return (before, after) of the last axes, in their order, from torch's form."""
    numbers = _arguments.integer_list("pad", pad)
    if len(numbers) % 2:
        raise ValueError(f"pad must hold pairs of integers, got {len(numbers)} of them")
    if len(numbers) > 2 * rank:
        raise ValueError(
            f"pad must hold at most {2 * rank} integers for {rank} axes, got {len(numbers)}"
        )
    return tuple(zip(numbers[-2::-2], numbers[::-2], strict=True))


def _check_rank(shape: tuple[int, ...], pairs: tuple[tuple[int, int], ...], mode: str) -> None:
    """Refuse what only the constant mode takes."""
    if not 1 <= len(pairs) <= 3 or len(shape) - len(pairs) not in (1, 2):
        raise ValueError(
            f"pad in mode {mode} must hold a pair for each axis after the channels, 1 to 3 of "
            f"them, of x with the axes (n, c, ...) or (c, ...); got {len(pairs)} for shape {shape}"
        )
    if mode != "circular":
        spatial = len(shape) - len(pairs)
        if 0 in shape[spatial - 1 :]:
            raise ValueError(f"x must not be empty but for its batch in mode {mode}, got {shape}")
        if all(size + sum(pair) == 0 for size, pair in zip(shape[spatial:], pairs, strict=True)):
            raise ValueError(f"pad must leave something of x in mode {mode}, got {pairs}")


def _fill(mode: str, value: object, dtype: str, needed: bool) -> Array:
    """Return what to pad with; what does not fit matters only where it is needed."""
    if mode != "constant":
        if value is not None and _arguments.element("value", value, "float64")[0] != 0:
            raise ValueError(f"value must be None or 0 in mode {mode}, got {value}")
        value = None
    if value is None:
        return np.zeros(1, dtype)
    return _arguments.element("value", value, dtype if needed else "bool").astype(dtype)


def _padded(
    x: Array,
    dtype: str,
    pairs: tuple[tuple[int, int], ...],
    mode: str,
    fill: Array,
    out: Array | None,
) -> Array:
    """Pad every axis of `x` by its pair."""
    shape = padded_shape(x.shape, pairs, mode, x.itemsize)
    if out is not None:
        _arguments.check_out(out, shape, dtype, {"x": x})
    if not shape:  # rows need an axis
        return _arguments.delivered(x.astype(dtype, order="C"), out)
    result = _arguments.target(out, shape, dtype)
    if result.size:
        source = _arguments.rows(x) if x.size else np.empty(x.shape, dtype)
        begin, end = zip(*pairs, strict=True)
        _core.pad(mode, source, begin, end, fill, result)
    return _arguments.delivered(result, out)
