"""Padding by the definition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, SupportsFloat, SupportsIndex

import numpy as np

from fastconv import _arguments
from fastconv._arguments import Array
from fastconv.reference.windows import deliver

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["pad"]


def pad(
    x: ArrayLike,
    /,
    pad: Sequence[SupportsIndex],
    mode: Literal["constant", "reflect", "replicate", "circular"] = "constant",
    value: SupportsFloat | None = None,
    *,
    out: Array | None = None,
) -> Array:
    """Pad as `fastconv.pad` does, by the definition, element by element.

    Parameters
    ----------
    x, pad, mode, value, out
        As for `fastconv.pad`.

    Returns
    -------
    ndarray
        Shape and dtype as of `fastconv.pad`.

    Raises
    ------
    TypeError, ValueError
        For arguments of the wrong form, and where the padding does not fit.

    Examples
    --------
    >>> import fastconv
    >>> import numpy as np
    >>> fastconv.reference.pad(np.array([[1, 2, 3]]), (2, 1), mode="circular")
    array([[2, 3, 1, 2, 3, 1]])
    """
    x = np.asarray(x)
    numbers = _arguments.integer_list("pad", pad)
    pairs = [(0, 0)] * x.ndim
    for axis in range(len(numbers) // 2):
        pairs[-1 - axis] = numbers[2 * axis], numbers[2 * axis + 1]
    fill = _arguments.element("value", 0 if value is None else value, x.dtype.name)[0]
    sources = [
        [_source(mode, place, size, before, after) for place in range(-before, size + after)]
        for size, (before, after) in zip(x.shape, pairs, strict=True)
    ]
    y = np.empty([len(source) for source in sources], x.dtype)
    for index in np.ndindex(y.shape):
        place = [source[i] for source, i in zip(sources, index, strict=True)]
        y[index] = fill if None in place else x[tuple(place)]
    return deliver(y, x.dtype, out)


def _source(mode: str, place: int, size: int, before: int, after: int) -> int | None:
    """Return the index of what stands at `place`, counted from the first element; None: value."""
    if 0 <= place < size:
        return place
    if mode == "constant":
        return None
    if mode == "replicate":
        source = min(max(place, 0), size - 1)
    elif mode == "reflect":
        source = -place if place < 0 else 2 * (size - 1) - place
    else:
        first, end = max(0, -before), size + min(0, after)  # what negative padding leaves
        source = end + place if place < 0 else first + place - size
        if not first <= source < end:
            raise ValueError(f"circular padding ({before}, {after}) of {size} elements")
    if not 0 <= source < size:
        raise ValueError(f"{mode} padding ({before}, {after}) of {size} elements")
    return source
