"""Pooling: the maximum or the average of every window of an image.

Knows the argument forms and ``_core``; every rule of geometry is in the plan.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Literal, SupportsIndex, overload

import numpy as np

from fastconv import _arguments
from fastconv._arguments import FLOATS, NUMBERS, Array, Padding, Pair
from fastconv._core import PoolPlan, literal_types

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["avg_pool2d", "global_avg_pool2d", "max_pool2d"]

# As many as convolution keeps: networks pool less often than they convolve.
_PLANS = 512
_plan = lru_cache(maxsize=_PLANS)(PoolPlan)
# The same by the arguments as they were written, if they are literals: to bring them into normal
# form takes longer than to pool the planes of a small network.
_recent: dict[tuple[object, ...], PoolPlan] = {}


@overload
def max_pool2d(
    x: ArrayLike,
    /,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    return_indices: Literal[False] = False,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array: ...
@overload
def max_pool2d(
    x: ArrayLike,
    /,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    *,
    return_indices: Literal[True],
    channels_last: bool = False,
    out: Array | None = None,
) -> tuple[Array, Array]: ...
def max_pool2d(
    x: ArrayLike,
    /,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array | tuple[Array, Array]:
    """Take the maximum of every window.

    A NaN in a window makes its maximum NaN.

    Parameters
    ----------
    x : array_like, (n, c, h, w) or (c, h, w)
        The images; (n, h, w, c) or (h, w, c) with `channels_last`. float16, float32, float64, or
        an integer type of 8 to 64 bits, signed or not.
    kernel_size : int or (int, int)
        Height and width of the window.
    stride : int or (int, int), optional
        Step of the window; its size by default.
    padding : int, (int, int), nested pairs, "same" or "valid", default 0
        Positions around the input that never are the maximum, at most half of the window on each
        side; in the forms that `conv2d` takes.
    dilation : int or (int, int), default 1
        Distance between the positions of the window.
    ceil_mode : bool, default False
        Whether the last window of an axis may reach past the padded input. It must still start
        in the input or in the padding before it.
    return_indices : bool, default False
        Whether to return also where the maxima are.
    channels_last : bool, default False
        Whether `x` and the results have their channels in the last axis.
    out : ndarray, optional
        Where to write the maxima; any strided view of their shape and dtype that does not overlap
        `x`.

    Returns
    -------
    maxima : ndarray, (n, c, oh, ow) or (c, oh, ow)
        `out`, or a new C-contiguous array, of the dtype of `x`; (n, oh, ow, c) or (oh, ow, c) with
        `channels_last`.
    indices : ndarray of int64
        Only with `return_indices`: the position ``ih * w + iw`` of each maximum in the plane of
        its channel, the first of equal ones, the last NaN. Of the shape of `maxima`.

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
    Names, order and meaning of the arguments are those of ``torch.nn.functional.max_pool2d``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import max_pool2d
    >>> x = np.array([[[1, 5, 2, 0], [3, 4, 9, 9]]], dtype=np.uint8)
    >>> max_pool2d(x, 2)
    array([[[5, 9]]], dtype=uint8)
    >>> max_pool2d(x, 2, stride=1, return_indices=True)
    (array([[[5, 9, 9]]], dtype=uint8), array([[[1, 6, 6]]]))
    """
    maxima, indices = _pool(
        "max",
        *_arguments.as_array("x", x, NUMBERS),
        kernel_size,
        stride,
        padding,
        dilation=dilation,
        ceil_mode=ceil_mode,
        return_indices=_arguments.flag("return_indices", return_indices),
        channels_last=channels_last,
        out=out,
    )
    return maxima if indices is None else (maxima, indices)


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
    if divisor_override is not None:
        divisor_override = _arguments.integer("divisor_override", divisor_override)
        if divisor_override == 0:
            raise ValueError("divisor_override must not be 0")
    averages, _ = _pool(
        "avg",
        *_arguments.as_array("x", x, FLOATS),
        kernel_size,
        stride,
        padding,
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
        divisor=divisor_override or 0,
        channels_last=channels_last,
        out=out,
    )
    return averages


def global_avg_pool2d(
    x: ArrayLike, /, *, channels_last: bool = False, out: Array | None = None
) -> Array:
    """Take the average of each whole plane.

    Parameters
    ----------
    x : array_like, (n, c, h, w) or (c, h, w)
        The images; (n, h, w, c) or (h, w, c) with `channels_last`. float16, float32 or float64.
    channels_last : bool, default False
        Whether `x` and the result have their channels in the last axis.
    out : ndarray, optional
        Where to write the result; any strided view of its shape and dtype that does not overlap
        `x`.

    Returns
    -------
    ndarray, (n, c, 1, 1) or (c, 1, 1)
        `out`, or a new C-contiguous array, of the dtype of `x`; (n, 1, 1, c) or (1, 1, c) with
        `channels_last`.

    Raises
    ------
    TypeError
        For a dtype that is not supported, masked arrays, and arguments of the wrong kind.
    ValueError
        For an empty plane and an `out` that does not fit.
    MemoryError
        If there is not enough memory.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import global_avg_pool2d
    >>> x = np.array([[[1, 2], [4, 5]], [[0, 0], [0, 8]]], dtype=np.float32)
    >>> global_avg_pool2d(x)
    array([[[3.]],
    <BLANKLINE>
           [[2.]]], dtype=float32)
    """
    x, dtype = _arguments.as_array("x", x, FLOATS)
    channels_last = _arguments.flag("channels_last", channels_last)
    _, _, (h, w) = _arguments.image("x", x.shape, 2, channels_last)
    averages, _ = _pool("avg", x, dtype, (h, w), channels_last=channels_last, out=out)
    return averages


def _pool(
    kind: Literal["max", "avg"],
    x: Array,
    dtype: str,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    *,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor: int = 0,
    return_indices: bool = False,
    channels_last: bool,
    out: Array | None,
) -> tuple[Array, Array | None]:
    """Pool `x`; the second result is None unless `return_indices`."""
    forms = stride, padding, dilation, ceil_mode, count_include_pad, divisor, channels_last
    call = (kind, x.shape, dtype, kernel_size, *forms)
    types = literal_types(call)
    plan = _recent.get((types, call)) if types else None
    if plan is None:
        plan = _new_plan(kind, x.shape, dtype, kernel_size, *forms)
        if types:
            if len(_recent) >= _PLANS:
                _recent.clear()
            _recent[types, call] = plan
    if out is not None and not return_indices and plan.run_plain(x, out):
        return out, None
    shape = plan.out_shape[-x.ndim :]
    if out is not None:
        _arguments.check_out(out, shape, dtype, {"x": x})
    result = _arguments.target(out, shape, dtype)
    indices = np.empty(shape, np.int64) if return_indices else None
    if result.size:  # an empty batch has no rows to speak of
        plan.run(_arguments.rows(x), result, indices)
    return _arguments.delivered(result, out), indices


def _new_plan(
    kind: Literal["max", "avg"],
    input_shape: tuple[int, ...],
    dtype: str,
    kernel_size: Pair,
    stride: Pair | None,
    padding: Padding,
    dilation: Pair,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor: int,
    channels_last: bool,
) -> PoolPlan:
    """Check the arguments and return their plan, new or from the cache."""
    channels_last = _arguments.flag("channels_last", channels_last)
    kernel = _arguments.per_axis("kernel_size", kernel_size, 2)
    steps = kernel if stride is None else _arguments.per_axis("stride", stride, 2)
    spread = _arguments.per_axis("dilation", dilation, 2)
    n, c, sizes = _arguments.image("x", input_shape, 2, channels_last)
    return _plan(
        kind,
        n,
        c,
        *sizes,
        *kernel,
        steps,
        _arguments.padding(padding, kernel, steps, spread),
        spread,
        _arguments.flag("ceil_mode", ceil_mode),
        _arguments.flag("count_include_pad", count_include_pad),
        divisor,
        channels_last,
        dtype,
        None,
    )
