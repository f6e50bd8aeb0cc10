"""Max pooling over one, two or three axes or over the channels, and what undoes it.

Knows the argument forms, ``_pooling`` and ``_core``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, SupportsIndex, overload

from fastconv import _arguments, _core
from fastconv._arguments import NUMBERS, Array, Padding, Pair
from fastconv._pooling import max_pool, plan_for, run
from fastconv._unpooling import unpool

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = [
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_pool_channels",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
]


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
        Positions around the input that never are the maximum, in the forms that `conv2d` takes: at
        most half of the window on each side, as nested pairs and as "same" half of its reach.
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
    return max_pool(
        2,
        *_arguments.as_array("x", x, NUMBERS),
        kernel_size,
        stride,
        padding,
        dilation,
        ceil_mode,
        return_indices,
        channels_last,
        out,
    )


@overload
def max_pool1d(
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
def max_pool1d(
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
def max_pool1d(
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
    """Take the maximum of every window of lines; see `max_pool2d`.

    Parameters
    ----------
    x : array_like, (n, c, w) or (c, w)
        The lines; (n, w, c) or (w, c) with `channels_last`. Any dtype that `max_pool2d`
        takes.
    kernel_size, stride, padding, dilation : int or (int,)
        As for `max_pool2d`, over one axis.
    ceil_mode, return_indices, channels_last, out
        As for `max_pool2d`.

    Returns
    -------
    maxima : ndarray, (n, c, ow) or (c, ow)
        `out`, or a new C-contiguous array, of the dtype of `x`.
    indices : ndarray of int64
        Only with `return_indices`: the position ``iw`` of each maximum in its channel.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As `max_pool2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import max_pool1d
    >>> max_pool1d(np.array([[1, 5, 2, 0]], dtype=np.uint8), 2, return_indices=True)
    (array([[5, 2]], dtype=uint8), array([[1, 2]]))
    """
    return max_pool(
        1,
        *_arguments.as_array("x", x, NUMBERS),
        kernel_size,
        stride,
        padding,
        dilation,
        ceil_mode,
        return_indices,
        channels_last,
        out,
    )


@overload
def max_pool3d(
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
def max_pool3d(
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
def max_pool3d(
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
    """Take the maximum of every window of volumes; see `max_pool2d`.

    Parameters
    ----------
    x : array_like, (n, c, d, h, w) or (c, d, h, w)
        The volumes; (n, d, h, w, c) or (d, h, w, c) with `channels_last`. Any dtype that
        `max_pool2d` takes.
    kernel_size, stride, padding, dilation : int or (int, int, int)
        As for `max_pool2d`, over three axes.
    ceil_mode, return_indices, channels_last, out
        As for `max_pool2d`.

    Returns
    -------
    maxima : ndarray, (n, c, od, oh, ow) or (c, od, oh, ow)
        `out`, or a new C-contiguous array, of the dtype of `x`.
    indices : ndarray of int64
        Only with `return_indices`: the position ``(id * h + ih) * w + iw`` of each maximum in its
        channel.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As `max_pool2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import max_pool3d
    >>> x = np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2)
    >>> max_pool3d(x, 2, return_indices=True)
    (array([[[[7.]]]], dtype=float32), array([[[[7]]]]))
    """
    return max_pool(
        3,
        *_arguments.as_array("x", x, NUMBERS),
        kernel_size,
        stride,
        padding,
        dilation,
        ceil_mode,
        return_indices,
        channels_last,
        out,
    )


def max_pool_channels(
    x: ArrayLike,
    /,
    kernel_size: SupportsIndex,
    stride: SupportsIndex | None = None,
    padding: Padding = 0,
    dilation: SupportsIndex = 1,
    ceil_mode: bool = False,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Take the maximum of every window of channels, pixel by pixel.

    This is what ``tf.nn.max_pool`` does with a window such as (1, 1, 1, 3).

    Parameters
    ----------
    x : array_like, (n, c, h, w) or (c, h, w)
        The images; (n, h, w, c) or (h, w, c) with `channels_last`. Any dtype that `max_pool2d`
        takes.
    kernel_size, stride, padding, dilation : int
        As for `max_pool2d`, over the channels; `padding` may be the pair ``((before, after),)``.
    ceil_mode, channels_last, out
        As for `max_pool2d`.

    Returns
    -------
    ndarray, (n, oc, h, w) or (oc, h, w)
        `out`, or a new C-contiguous array, of the dtype of `x`; (n, h, w, oc) or (h, w, oc) with
        `channels_last`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As `max_pool2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import max_pool_channels
    >>> x = np.array([[[1, 7]], [[5, 2]], [[3, 3]], [[4, 0]]], dtype=np.float32)
    >>> max_pool_channels(x, 2)
    array([[[5., 7.]],
    <BLANKLINE>
           [[4., 3.]]], dtype=float32)
    """
    x, dtype = _arguments.as_array("x", x, NUMBERS)
    form = kernel_size, stride, padding, dilation, ceil_mode
    view, pool, shape = channels_as_rows(x, dtype, *form, channels_last)
    if out is not None:
        _arguments.check_out(out, shape, dtype, {"x": x})
    result = _arguments.target(out, shape, dtype, in_one_run=True)
    if result.size:
        run(pool, view, dtype, result.reshape(pool.out_shape))
    return _arguments.delivered(result, out)


def channels_as_rows(
    x: Array,
    dtype: str,
    kernel_size: SupportsIndex,
    stride: SupportsIndex | None,
    padding: Padding,
    dilation: SupportsIndex,
    ceil_mode: bool,
    channels_last: bool,
) -> tuple[Array, _core.PoolPlan, tuple[int, ...]]:
    """Return `x` as planes with channels for rows or columns, their plan, and the result's shape.

    The planes are a copy where `x` is not contiguous.
    """
    n, c, sizes = _arguments.image("x", x.shape, 2, _arguments.flag("channels_last", channels_last))
    kernel = _arguments.per_axis("kernel_size", kernel_size, 1)
    steps = kernel if stride is None else _arguments.per_axis("stride", stride, 1)
    spread = _arguments.per_axis("dilation", dilation, 1)
    before, after = _arguments.padding(padding, kernel, steps, spread)
    ceil = _arguments.flag("ceil_mode", ceil_mode)
    # For its errors, which speak of channels.
    form = before, after, kernel[0], steps[0], spread[0], ceil
    channels, _ = _core.out_size("channels", c, *form)
    if 0 in sizes:
        raise ValueError(f"x must have pixels, got shape {x.shape}")
    pixels = sizes[0] * sizes[1]
    pads = (before, after), (0, 0)
    shape = [n, 1, c, pixels]
    forms = [(*kernel, 1), (*steps, 1), pads, (*spread, 1)]
    if channels_last:
        shape = [n, 1, pixels, c]
        forms = [form[::-1] for form in forms]
    window, step, border, gap = forms
    plan = plan_for(
        "max", tuple(shape), dtype, 2, window, step, border, dilation=gap, ceil_mode=ceil
    )
    out_shape = (n, *sizes, channels) if channels_last else (n, channels, *sizes)
    return _arguments.contiguous(x).reshape(shape), plan, out_shape[-x.ndim :]


def max_unpool2d(
    x: ArrayLike,
    /,
    indices: ArrayLike,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    output_size: Sequence[SupportsIndex] | None = None,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Put maxima back to where they were taken from, zeros elsewhere.

    Parameters
    ----------
    x : array_like, (n, c, h, w) or (c, h, w)
        The maxima; (n, h, w, c) or (h, w, c) with `channels_last`. Any dtype that `max_pool2d`
        takes.
    indices : array_like of int64
        Where they go, as `max_pool2d` returns them; of the shape of `x`. Where several go to one
        place, the last one stays.
    kernel_size : int or (int, int)
        The window of the pooling.
    stride : int or (int, int), optional
        Its step; `kernel_size` by default.
    padding : int or (int, int), default 0
        Its padding.
    output_size : sequence of int, optional
        The size of its input, (oh, ow) or the whole shape of a batch, which the rest tells only up
        to a stride: less than one more or less than ``(h - 1) * stride - 2 * padding +
        kernel_size``, the default.
    channels_last : bool, default False
        Whether `x`, `indices` and the result have their channels in the last axis.
    out : ndarray, optional
        Where to write the result; any strided view of its shape and dtype that overlaps neither
        `x` nor `indices`.

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
        For shapes, values, indices and an `out` that do not fit. Nothing has been written then.
    MemoryError
        If there is not enough memory.

    Notes
    -----
    Names, order and meaning of the arguments are those of ``torch.nn.functional.max_unpool2d``,
    which also takes strides and windows of 0 and below.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import max_pool2d, max_unpool2d
    >>> x = np.array([[[1, 5, 2, 0], [3, 4, 9, 9]]], dtype=np.float32)
    >>> maxima, indices = max_pool2d(x, 2, return_indices=True)
    >>> max_unpool2d(maxima, indices, 2)
    array([[[0., 5., 0., 0.],
            [0., 0., 9., 0.]]], dtype=float32)
    """
    form = kernel_size, stride, padding, output_size
    return unpool(2, x, indices, *form, channels_last, out)


def max_unpool1d(
    x: ArrayLike,
    /,
    indices: ArrayLike,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    output_size: Sequence[SupportsIndex] | None = None,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Put maxima of lines back to where they were taken from; see `max_unpool2d`.

    Parameters
    ----------
    x, indices : array_like, (n, c, w) or (c, w)
        The maxima and where they go, as `max_pool1d` returns them; (n, w, c) or (w, c)
        with `channels_last`.
    kernel_size, stride, padding : int or (int,)
        As for `max_unpool2d`, over one axis.
    output_size : sequence of int, optional
        As for `max_unpool2d`: (ow,) or the whole shape of a batch.
    channels_last, out
        As for `max_unpool2d`.

    Returns
    -------
    ndarray, (n, c, ow) or (c, ow)
        `out`, or a new C-contiguous array, of the dtype of `x`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As `max_unpool2d`.

    Examples
    --------
    >>> from fastconv import max_unpool1d
    >>> max_unpool1d([[5.0, 2.0]], [[1, 2]], 2)
    array([[0., 5., 2., 0.]])
    """
    form = kernel_size, stride, padding, output_size
    return unpool(1, x, indices, *form, channels_last, out)


def max_unpool3d(
    x: ArrayLike,
    /,
    indices: ArrayLike,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Pair = 0,
    output_size: Sequence[SupportsIndex] | None = None,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Put maxima of volumes back to where they were taken from; see `max_unpool2d`.

    Parameters
    ----------
    x, indices : array_like, (n, c, d, h, w) or (c, d, h, w)
        The maxima and where they go, as `max_pool3d` returns them; (n, d, h, w, c) or (d, h, w, c)
        with `channels_last`.
    kernel_size, stride, padding : int or (int, int, int)
        As for `max_unpool2d`, over three axes.
    output_size : sequence of int, optional
        As for `max_unpool2d`: (od, oh, ow) or the whole shape of a batch.
    channels_last, out
        As for `max_unpool2d`.

    Returns
    -------
    ndarray, (n, c, od, oh, ow) or (c, od, oh, ow)
        `out`, or a new C-contiguous array, of the dtype of `x`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As `max_unpool2d`.

    Examples
    --------
    >>> from fastconv import max_unpool3d
    >>> max_unpool3d([[[[7.0]]]], [[[[6]]]], 2)
    array([[[[0., 0.],
             [0., 0.]],
    <BLANKLINE>
            [[0., 0.],
             [7., 0.]]]])
    """
    form = kernel_size, stride, padding, output_size
    return unpool(3, x, indices, *form, channels_last, out)
