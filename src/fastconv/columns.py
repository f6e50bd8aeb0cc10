"""Columns: the pixels of every window of an image as a matrix, and their sums as an image again.

Knows the argument forms and ``_core``; every rule of geometry is in C.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastconv import _arguments
from fastconv._arguments import ELEMENTS, FLOATS, Array, Pair
from fastconv._core import Columns

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
    """Lay the pixels of every window out as a column (im2col).

    Parameters
    ----------
    x : array_like, (n, c, h, w) or (c, h, w)
        The images. float16, float32, float64, bool, or an integer type of 8 to 64 bits, signed
        or not.
    kernel_size : int or (int, int)
        Height and width of the window.
    dilation : int or (int, int), default 1
        Distance between the positions of the window.
    padding : int or (int, int), default 0
        Zeros around the images, on both sides of each axis.
    stride : int or (int, int), default 1
        Step of the window.
    out : ndarray, optional
        Where to write the result; any strided view of its shape and dtype that does not overlap
        `x`.

    Returns
    -------
    ndarray, (n, c * kh * kw, windows) or (c * kh * kw, windows)
        `out`, or a new C-contiguous array, of the dtype of `x`. The windows come row by row, the
        pixels of each by channel, then row by row.

    Raises
    ------
    TypeError
        For a dtype that is not supported, masked arrays, and arguments of the wrong kind.
    ValueError
        For shapes, values and an `out` that do not fit. Nothing has been written then.
    MemoryError
        If there is not enough memory.

    See Also
    --------
    fold : Adds the columns up to images.
    conv2d : Convolves without them.

    Notes
    -----
    Names, order and meaning of the arguments are those of ``torch.nn.functional.unfold``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import unfold
    >>> unfold(np.arange(6, dtype=np.float32).reshape(1, 2, 3), (2, 1))
    array([[0., 1., 2.],
           [3., 4., 5.]], dtype=float32)
    """
    x, dtype = _arguments.as_array("x", x, ELEMENTS)
    n, c, size = _arguments.image("x", x.shape, 2, False)
    columns = _columns(n, c, size, kernel_size, dilation, padding, stride)
    shape = columns.columns_shape if x.ndim == 4 else columns.columns_shape[1:]
    if out is not None:
        _arguments.check_out(out, shape, dtype, {"x": x})
    result = _arguments.target(out, shape, dtype)
    if result.size:
        columns.unfold(_arguments.rows(x), result)
    return _arguments.delivered(result, out)


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
    """Add the columns of windows up to images (col2im); where windows overlap, their pixels add.

    Parameters
    ----------
    x : array_like, (n, c * kh * kw, windows) or (c * kh * kw, windows)
        The columns, as `unfold` lays them out. float16, float32 or float64.
    output_size : int or (int, int)
        Height and width of the images.
    kernel_size, dilation, padding, stride
        As for `unfold`.
    out : ndarray, optional
        Where to write the result; any strided view of its shape and dtype that does not overlap
        `x`.

    Returns
    -------
    ndarray, (n, c, h, w) or (c, h, w)
        `out`, or a new C-contiguous array, of the dtype of `x`. A pixel's sum is in scan order of
        the window; float16 is added in float32 and rounded once.

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
    Names, order and meaning of the arguments are those of ``torch.nn.functional.fold``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import fold
    >>> fold(np.array([[1, 2], [10, 20]], dtype=np.float32), (1, 3), (1, 2))
    array([[[ 1., 12., 20.]]], dtype=float32)
    """
    x, dtype = _arguments.as_array("x", x, FLOATS)
    if x.ndim not in (2, 3):
        raise ValueError(
            f"x must have the axes (c * kh * kw, windows) or (n, c * kh * kw, windows), "
            f"got shape {x.shape}"
        )
    n = x.shape[0] if x.ndim == 3 else 1
    rows, length = x.shape[-2:]
    size = _arguments.sizes("output_size", output_size, 2)
    kh, kw = _arguments.sizes("kernel_size", kernel_size, 2)
    if rows % (kh * kw) or not rows:
        raise ValueError(
            f"x has {rows} rows, they must be a multiple of the {kh} x {kw} positions of "
            f"kernel_size"
        )
    columns = _columns(n, rows // (kh * kw), size, (kh, kw), dilation, padding, stride)
    oh, ow = columns.windows
    if length != oh * ow:
        raise ValueError(
            f"x has {length} columns, the windows over output_size {size} are "
            f"{oh} x {ow} = {oh * ow}"
        )
    shape = columns.image_shape if x.ndim == 3 else columns.image_shape[1:]
    if out is not None:
        _arguments.check_out(out, shape, dtype, {"x": x})
    result = _arguments.target(out, shape, dtype)
    if result.size:
        columns.fold(_arguments.rows(x), result)
    return _arguments.delivered(result, out)


def _columns(
    n: int,
    c: int,
    size: tuple[int, ...],
    kernel_size: Pair,
    dilation: Pair,
    padding: Pair,
    stride: Pair,
) -> Columns:
    """Check the arguments and return the problem they state."""
    h, w = size
    vertical, horizontal = _arguments.integers("padding", padding, 2)
    return Columns(
        n,
        c,
        h,
        w,
        _arguments.integers("kernel_size", kernel_size, 2),
        _arguments.integers("stride", stride, 2),
        (vertical, vertical, horizontal, horizontal),
        _arguments.integers("dilation", dilation, 2),
    )
