"""Gradients of unfold and fold: each is the other's.

Knows the operators of ``columns``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, SupportsIndex

from fastconv import _arguments, columns
from fastconv._arguments import Array, Pair

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["fold", "unfold"]


def unfold(
    input_size: Sequence[SupportsIndex],
    grad_output: ArrayLike,
    kernel_size: Pair,
    dilation: Pair = 1,
    padding: Pair = 0,
    stride: Pair = 1,
    *,
    out: Array | None = None,
) -> Array:
    """Return the gradient of `unfold` with respect to its input.

    Parameters
    ----------
    input_size : sequence of int
        Shape of the input: (n, c, h, w) or (c, h, w).
    grad_output : array_like
        Gradient with respect to the result, of its shape; float16, float32 or float64.
    kernel_size, dilation, padding, stride
        As for `unfold`.
    out : ndarray, optional
        Where to write the gradient; any strided view of its shape and dtype that overlaps nothing.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array, of the shape `input_size`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `fold`; also where `grad_output` is not of the shape of the result.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import grad
    >>> grad.unfold((1, 1, 3), np.array([[1.0, 2.0], [10.0, 20.0]]), (1, 2))
    array([[[ 1., 12., 20.]]])
    """
    shape = _arguments.shape("input_size", input_size)
    n, c, size = _arguments.image("input_size", shape, 2, False)
    gradient, _ = _arguments.as_array("grad_output", grad_output, _arguments.FLOATS)
    kh, kw = _arguments.sizes("kernel_size", kernel_size, 2)
    batch = (n,) if len(shape) == 4 else ()
    wanted = (*batch, c * kh * kw)
    if gradient.shape[:-1] != wanted:
        raise ValueError(
            f"grad_output has shape {gradient.shape}, the result of input_size {shape} has "
            f"{wanted} before its windows"
        )
    return columns.fold(gradient, size, (kh, kw), dilation, padding, stride, out=out)


def fold(
    grad_output: ArrayLike,
    kernel_size: Pair,
    dilation: Pair = 1,
    padding: Pair = 0,
    stride: Pair = 1,
    *,
    out: Array | None = None,
) -> Array:
    """Return the gradient of `fold` with respect to its input.

    Parameters
    ----------
    grad_output : array_like, (n, c, h, w) or (c, h, w)
        Gradient with respect to the result; float16, float32 or float64.
    kernel_size, dilation, padding, stride
        As for `fold`.
    out : ndarray, optional
        Where to write the gradient; any strided view of its shape and dtype that overlaps nothing.

    Returns
    -------
    ndarray, (n, c * kh * kw, windows) or (c * kh * kw, windows)
        `out`, or a new C-contiguous array.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `unfold`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import grad
    >>> grad.fold(np.array([[[1.0, 2.0, 3.0]]]), (1, 2))
    array([[1., 2.],
           [2., 3.]])
    """
    gradient, _ = _arguments.as_array("grad_output", grad_output, _arguments.FLOATS)
    return columns.unfold(gradient, kernel_size, dilation, padding, stride, out=out)
