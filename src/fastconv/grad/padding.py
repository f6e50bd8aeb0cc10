"""Gradient of padding: what an element was copied to, added up.

Knows the argument forms and the operator of ``padding``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, SupportsIndex

import numpy as np

from fastconv import _arguments, padding
from fastconv._arguments import FLOATS, Array

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["pad"]


def pad(
    input_size: Sequence[SupportsIndex],
    grad_output: ArrayLike,
    pad: Sequence[SupportsIndex],
    mode: Literal["constant", "reflect", "replicate", "circular"] = "constant",
    *,
    out: Array | None = None,
) -> Array:
    """Return the gradient of `pad` with respect to its input.

    Parameters
    ----------
    input_size : sequence of int
        Shape of the input.
    grad_output : array_like
        Gradient with respect to the result, of its shape; float16, float32 or float64.
    pad, mode
        As for `pad`.
    out : ndarray, optional
        Where to write the gradient; any strided view of its shape and dtype that overlaps nothing.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array, of the shape `input_size`. float16 is added in float32
        and rounded once.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `pad`; also where `grad_output` is not of the shape of the result.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import grad
    >>> ones = np.ones((1, 6), np.float32)
    >>> grad.pad((1, 3), ones, (2, 1), mode="replicate")
    array([[3., 1., 2.]], dtype=float32)
    >>> grad.pad((1, 3), ones, (2, 1))
    array([[1., 1., 1.]], dtype=float32)
    """
    shape = _arguments.shape("input_size", input_size)
    gradient, dtype = _arguments.as_array("grad_output", grad_output, FLOATS)
    name, pairs = padding.normal_form(shape, pad, mode)
    result_shape = padding.padded_shape(shape, pairs, name)
    if gradient.shape != result_shape:
        raise ValueError(
            f"grad_output has shape {gradient.shape}, the result of input_size {shape} has "
            f"{result_shape}"
        )
    if name == "constant":
        return padding.pad(gradient, [-number for pair in pairs[::-1] for number in pair], out=out)
    if out is not None:
        _arguments.check_out(out, shape, dtype, {"grad_output": gradient})
    total = gradient.astype("float32" if dtype == "float16" else dtype)
    for axis, (before, after) in enumerate(pairs):
        if (before, after) != (0, 0):
            total = _added_back(total, axis, shape[axis], before, after, name)
    with np.errstate(over="ignore"):
        return _arguments.delivered(total.astype(dtype, order="C"), out)


def _added_back(gradient: Array, axis: int, size: int, before: int, after: int, mode: str) -> Array:
    """Return the gradient before one axis, which had `size` elements, was padded."""
    padded = np.moveaxis(gradient, axis, 0)
    total = np.zeros((size, *padded.shape[1:]), gradient.dtype)
    places = np.arange(-before, size + after)
    inside = (places >= 0) & (places < size)
    total[places[inside]] = padded[inside]
    first, end = max(0, -before), size + min(0, after)
    low, high = places < 0, places >= size
    if mode == "replicate":
        total[0] += padded[low].sum(axis=0)
        total[-1] += padded[high].sum(axis=0)
    elif mode == "reflect":
        total[-places[low]] += padded[low]
        total[2 * (size - 1) - places[high]] += padded[high]
    else:
        total[end + places[low]] += padded[low]
        total[first + places[high] - size] += padded[high]
    return np.moveaxis(total, 0, axis)
