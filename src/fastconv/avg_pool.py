"""Average pooling and power-average pooling over one, two or three axes.

Knows the argument forms and ``_pooling``.
"""

from __future__ import annotations

from math import inf, prod
from typing import TYPE_CHECKING, SupportsIndex

import numpy as np

from fastconv import _arguments
from fastconv._arguments import FLOATS, Array, Padding, Pair
from fastconv._pooling import avg_pool, divisor_of, max_pool

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["avg_pool1d", "avg_pool2d", "avg_pool3d", "lp_pool1d", "lp_pool2d", "lp_pool3d"]


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
    """Take the average of every window.

    Parameters
    ----------
    x : array_like, (n, c, h, w) or (c, h, w)
        The images; (n, h, w, c) or (h, w, c) with `channels_last`. float16, float32 or float64.
    kernel_size : int or (int, int)
        Height and width of the window.
    stride : int or (int, int), optional
        Step of the window; its size by default.
    padding : int, (int, int), nested pairs, "same" or "valid", default 0
        Zeros around the input, at most half of the window on each side; in the forms that `conv2d`
        takes.
    ceil_mode : bool, default False
        Whether the last window of an axis may reach past the padded input. It must still start
        in the input or in the padding before it.
    count_include_pad : bool, default True
        Whether the zeros of the padding count in the divisor.
    divisor_override : int, optional
        Divide the sum of every window by this instead of the number of its positions.
    channels_last : bool, default False
        Whether `x` and the result have their channels in the last axis.
    out : ndarray, optional
        Where to write the result; any strided view of its shape and dtype that does not overlap
        `x`.

    Returns
    -------
    ndarray, (n, c, oh, ow) or (c, oh, ow)
        `out`, or a new C-contiguous array, of the dtype of `x`; (n, oh, ow, c) or (oh, ow, c) with
        `channels_last`.

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
    Names, order and meaning of the arguments are those of ``torch.nn.functional.avg_pool2d``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import avg_pool2d
    >>> x = np.array([[[1, 5, 2, 0], [3, 3, 4, 2]]], dtype=np.float32)
    >>> avg_pool2d(x, 2)
    array([[[3., 2.]]], dtype=float32)
    >>> avg_pool2d(x, 2, divisor_override=1)
    array([[[12.,  8.]]], dtype=float32)
    """
    return avg_pool(
        2,
        *_arguments.as_array("x", x, FLOATS),
        kernel_size,
        stride,
        padding,
        ceil_mode,
        count_include_pad,
        divisor_of(divisor_override),
        channels_last,
        out,
    )


def avg_pool1d(
    x: ArrayLike,
    /,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Take the average of every window of lines; see `avg_pool2d`.

    Parameters
    ----------
    x : array_like, (n, c, w) or (c, w)
        The lines; (n, w, c) or (w, c) with `channels_last`. float16, float32 or float64.
    kernel_size, stride, padding : int or (int,)
        As for `avg_pool2d`, over one axis.
    ceil_mode, count_include_pad, channels_last, out
        As for `avg_pool2d`.

    Returns
    -------
    ndarray, (n, c, ow) or (c, ow)
        `out`, or a new C-contiguous array, of the dtype of `x`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As `avg_pool2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import avg_pool1d
    >>> avg_pool1d(np.array([[1, 5, 2, 0]], dtype=np.float32), 2)
    array([[3., 1.]], dtype=float32)
    """
    return avg_pool(
        1,
        *_arguments.as_array("x", x, FLOATS),
        kernel_size,
        stride,
        padding,
        ceil_mode,
        count_include_pad,
        0,
        channels_last,
        out,
    )


def avg_pool3d(
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
    """Take the average of every window of volumes; see `avg_pool2d`.

    Parameters
    ----------
    x : array_like, (n, c, d, h, w) or (c, d, h, w)
        The volumes; (n, d, h, w, c) or (d, h, w, c) with `channels_last`. float16, float32 or
        float64.
    kernel_size, stride, padding : int or (int, int, int)
        As for `avg_pool2d`, over three axes.
    ceil_mode, count_include_pad, divisor_override, channels_last, out
        As for `avg_pool2d`.

    Returns
    -------
    ndarray, (n, c, od, oh, ow) or (c, od, oh, ow)
        `out`, or a new C-contiguous array, of the dtype of `x`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As `avg_pool2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import avg_pool3d
    >>> avg_pool3d(np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2), 2)
    array([[[[3.5]]]], dtype=float32)
    """
    return avg_pool(
        3,
        *_arguments.as_array("x", x, FLOATS),
        kernel_size,
        stride,
        padding,
        ceil_mode,
        count_include_pad,
        divisor_of(divisor_override),
        channels_last,
        out,
    )


def lp_pool2d(
    x: ArrayLike,
    /,
    norm_type: float,
    kernel_size: Pair,
    stride: Pair | None = None,
    ceil_mode: bool = False,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Take the p-norm of every window: ``sum(x ** p) ** (1 / p)``.

    Parameters
    ----------
    x : array_like, (n, c, h, w) or (c, h, w)
        The images; (n, h, w, c) or (h, w, c) with `channels_last`. float16, float32 or float64.
    norm_type : float
        The exponent p, not 0. Powers are those of `x` itself, not of its magnitude: odd ones and
        fractions of negative numbers keep their sign or are NaN. With inf and -inf it is the
        greatest magnitude and the least.
    kernel_size : int or (int, int)
        Height and width of the window.
    stride : int or (int, int), optional
        Step of the window; its size by default.
    ceil_mode : bool, default False
        Whether the last window of an axis may reach past the input. What it holds is averaged then
        and counts as if it filled the window.
    channels_last, out
        As for `avg_pool2d`.

    Returns
    -------
    ndarray, (n, c, oh, ow) or (c, oh, ow)
        `out`, or a new C-contiguous array, of the dtype of `x`; (n, oh, ow, c) or (oh, ow, c) with
        `channels_last`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As `avg_pool2d`, and for a `norm_type` that is 0 or no number.

    Notes
    -----
    Names, order and meaning of the arguments are those of ``torch.nn.functional.lp_pool2d``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import lp_pool2d
    >>> x = np.array([[[3, 0, 1, 2], [0, 4, 2, 4]]], dtype=np.float32)
    >>> lp_pool2d(x, 2, 2)
    array([[[5., 5.]]], dtype=float32)
    """
    return _lp_pool(2, x, norm_type, kernel_size, stride, ceil_mode, channels_last, out)


def lp_pool1d(
    x: ArrayLike,
    /,
    norm_type: float,
    kernel_size: Pair,
    stride: Pair | None = None,
    ceil_mode: bool = False,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Take the p-norm of every window of lines; see `lp_pool2d`.

    Parameters
    ----------
    x : array_like, (n, c, w) or (c, w)
        The lines; (n, w, c) or (w, c) with `channels_last`. float16, float32 or float64.
    norm_type : float
        The exponent.
    kernel_size, stride : int or (int,)
        As for `lp_pool2d`, over one axis.
    ceil_mode, channels_last, out
        As for `lp_pool2d`.

    Returns
    -------
    ndarray, (n, c, ow) or (c, ow)
        `out`, or a new C-contiguous array, of the dtype of `x`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As `lp_pool2d`.

    Examples
    --------
    >>> from fastconv import lp_pool1d
    >>> lp_pool1d([[3.0, 4.0, 0.0, 2.0]], 2, 2)
    array([[5., 2.]])
    """
    return _lp_pool(1, x, norm_type, kernel_size, stride, ceil_mode, channels_last, out)


def lp_pool3d(
    x: ArrayLike,
    /,
    norm_type: float,
    kernel_size: Pair,
    stride: Pair | None = None,
    ceil_mode: bool = False,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Take the p-norm of every window of volumes; see `lp_pool2d`.

    Parameters
    ----------
    x : array_like, (n, c, d, h, w) or (c, d, h, w)
        The volumes; (n, d, h, w, c) or (d, h, w, c) with `channels_last`. float16, float32 or
        float64.
    norm_type : float
        The exponent.
    kernel_size, stride : int or (int, int, int)
        As for `lp_pool2d`, over three axes.
    ceil_mode, channels_last, out
        As for `lp_pool2d`.

    Returns
    -------
    ndarray, (n, c, od, oh, ow) or (c, od, oh, ow)
        `out`, or a new C-contiguous array, of the dtype of `x`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As `lp_pool2d`.

    Examples
    --------
    >>> from fastconv import lp_pool3d
    >>> lp_pool3d([[[[2.0, 2.0], [2.0, 2.0]]]], 2, (1, 2, 2))
    array([[[[4.]]]])
    """
    return _lp_pool(3, x, norm_type, kernel_size, stride, ceil_mode, channels_last, out)


def _lp_pool(
    axes: int,
    x: ArrayLike,
    norm_type: float,
    kernel_size: Pair,
    stride: Pair | None,
    ceil_mode: bool,
    channels_last: bool,
    out: Array | None,
) -> Array:
    x, dtype = _arguments.as_array("x", x, FLOATS)
    p = exponent_of(norm_type)
    with np.errstate(all="ignore"):  # overflow and 0 / 0 are answers here, as elsewhere
        result = _norms(axes, x, dtype, p, kernel_size, stride, ceil_mode, channels_last)
    if out is None:
        return result
    _arguments.check_out(out, result.shape, dtype, {"x": x})
    return _arguments.delivered(result, out)


def _norms(
    axes: int,
    x: Array,
    dtype: str,
    p: float,
    kernel_size: Pair,
    stride: Pair | None,
    ceil_mode: bool,
    channels_last: bool,
) -> Array:
    if abs(p) == inf:
        magnitude = np.abs(x) if p > 0 else -np.abs(x)
        form = kernel_size, stride, 0, 1, ceil_mode, False, channels_last, None
        maxima = max_pool(axes, magnitude, dtype, *form)
        assert not isinstance(maxima, tuple)
        return maxima if p > 0 else -maxima
    wide = "float32" if dtype == "float16" else dtype
    powers = power(x.astype(wide, copy=False), p)
    averages = avg_pool(
        axes, powers, wide, kernel_size, stride, 0, ceil_mode, channels_last=channels_last
    )
    averages *= prod(_arguments.per_axis("kernel_size", kernel_size, axes))
    averages += 0.0  # as torch has it, -0 is 0 before it is raised to 1 / p
    return power(averages, 1 / p).astype(dtype, copy=False)


def exponent_of(norm_type: float) -> float:
    """Return the exponent of a power average."""
    p = _arguments.real("norm_type", norm_type)
    if p == 0:
        raise ValueError("norm_type must not be 0")
    return p


def power(x: Array, exponent: float) -> Array:
    """Return the powers of a floating array, the cheap ones without a logarithm."""
    match exponent:
        case 1:
            return x
        case 2:
            return x * x
        case 0.5:
            return np.sqrt(x)
    return np.power(x, exponent)
