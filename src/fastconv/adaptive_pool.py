"""Adaptive pooling over one, two or three axes: windows that follow from the size of the output.

Knows the argument forms and ``_pooling``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, overload

from fastconv import _arguments
from fastconv._arguments import FLOATS, NUMBERS, Array, Pair, Supported
from fastconv._pooling import OutputSize, plan_for, run

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
]


def adaptive_avg_pool2d(
    x: ArrayLike,
    /,
    output_size: OutputSize,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Take averages of windows that cover the image, as many as the output shall have.

    Window i of an axis goes from ``floor(i * size / out)`` to ``ceil((i + 1) * size / out)``:
    neighbours overlap where the sizes do not divide.

    Parameters
    ----------
    x : array_like, (n, c, h, w) or (c, h, w)
        The images; (n, h, w, c) or (h, w, c) with `channels_last`. float16, float32 or float64.
    output_size : int or (int or None, int or None)
        Height and width of the output; None keeps that of the input.
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
    Names, order and meaning of the arguments are those of
    ``torch.nn.functional.adaptive_avg_pool2d``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import adaptive_avg_pool2d
    >>> x = np.array([[[1, 5, 2], [3, 3, 4]]], dtype=np.float32)
    >>> adaptive_avg_pool2d(x, (1, 2))
    array([[[3. , 3.5]]], dtype=float32)
    """
    return _pool("avg", 2, x, FLOATS, output_size, False, channels_last, out)[0]


def adaptive_avg_pool1d(
    x: ArrayLike,
    /,
    output_size: Pair,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Take averages of windows that cover lines; see `adaptive_avg_pool2d`.

    Parameters
    ----------
    x : array_like, (n, c, w) or (c, w)
        The lines; (n, w, c) or (w, c) with `channels_last`. float16, float32 or float64.
    output_size : int or (int,)
        Size of the output.
    channels_last, out
        As for `adaptive_avg_pool2d`.

    Returns
    -------
    ndarray, (n, c, ow) or (c, ow)
        `out`, or a new C-contiguous array, of the dtype of `x`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As `adaptive_avg_pool2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import adaptive_avg_pool1d
    >>> adaptive_avg_pool1d(np.array([[1, 5, 2]], dtype=np.float32), 2)
    array([[3. , 3.5]], dtype=float32)
    """
    return _pool("avg", 1, x, FLOATS, output_size, False, channels_last, out)[0]


def adaptive_avg_pool3d(
    x: ArrayLike,
    /,
    output_size: OutputSize,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Take averages of windows that cover volumes; see `adaptive_avg_pool2d`.

    Parameters
    ----------
    x : array_like, (n, c, d, h, w) or (c, d, h, w)
        The volumes; (n, d, h, w, c) or (d, h, w, c) with `channels_last`. float16, float32 or
        float64.
    output_size : int or three of int or None
        Size of the output; None keeps that of the input.
    channels_last, out
        As for `adaptive_avg_pool2d`.

    Returns
    -------
    ndarray, (n, c, od, oh, ow) or (c, od, oh, ow)
        `out`, or a new C-contiguous array, of the dtype of `x`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As `adaptive_avg_pool2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import adaptive_avg_pool3d
    >>> x = np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2)
    >>> adaptive_avg_pool3d(x, (None, 1, 1))
    array([[[[1.5]],
    <BLANKLINE>
            [[5.5]]]], dtype=float32)
    """
    return _pool("avg", 3, x, FLOATS, output_size, False, channels_last, out)[0]


@overload
def adaptive_max_pool2d(
    x: ArrayLike,
    /,
    output_size: OutputSize,
    return_indices: Literal[False] = False,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array: ...
@overload
def adaptive_max_pool2d(
    x: ArrayLike,
    /,
    output_size: OutputSize,
    *,
    return_indices: Literal[True],
    channels_last: bool = False,
    out: Array | None = None,
) -> tuple[Array, Array]: ...
def adaptive_max_pool2d(
    x: ArrayLike,
    /,
    output_size: OutputSize,
    return_indices: bool = False,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array | tuple[Array, Array]:
    """Take maxima of windows that cover the image, as many as the output shall have.

    The windows are those of `adaptive_avg_pool2d`. A NaN in a window makes its maximum NaN.

    Parameters
    ----------
    x : array_like, (n, c, h, w) or (c, h, w)
        The images; (n, h, w, c) or (h, w, c) with `channels_last`. Any dtype that `max_pool2d`
        takes.
    output_size : int or (int or None, int or None)
        Height and width of the output; None keeps that of the input.
    return_indices, channels_last, out
        As for `max_pool2d`.

    Returns
    -------
    maxima : ndarray, (n, c, oh, ow) or (c, oh, ow)
        `out`, or a new C-contiguous array, of the dtype of `x`; (n, oh, ow, c) or (oh, ow, c) with
        `channels_last`.
    indices : ndarray of int64
        Only with `return_indices`: as of `max_pool2d`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As `adaptive_avg_pool2d`.

    Notes
    -----
    Names, order and meaning of the arguments are those of
    ``torch.nn.functional.adaptive_max_pool2d``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import adaptive_max_pool2d
    >>> x = np.array([[[1, 5, 2], [3, 3, 4]]], dtype=np.float32)
    >>> adaptive_max_pool2d(x, (2, 2))
    array([[[5., 5.],
            [3., 4.]]], dtype=float32)
    """
    results = _pool("max", 2, x, NUMBERS, output_size, return_indices, channels_last, out)
    return _as_asked(*results)


@overload
def adaptive_max_pool1d(
    x: ArrayLike,
    /,
    output_size: Pair,
    return_indices: Literal[False] = False,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array: ...
@overload
def adaptive_max_pool1d(
    x: ArrayLike,
    /,
    output_size: Pair,
    *,
    return_indices: Literal[True],
    channels_last: bool = False,
    out: Array | None = None,
) -> tuple[Array, Array]: ...
def adaptive_max_pool1d(
    x: ArrayLike,
    /,
    output_size: Pair,
    return_indices: bool = False,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array | tuple[Array, Array]:
    """Take maxima of windows that cover lines; see `adaptive_max_pool2d`.

    Parameters
    ----------
    x : array_like, (n, c, w) or (c, w)
        The lines; (n, w, c) or (w, c) with `channels_last`. Any dtype that `max_pool2d`
        takes.
    output_size : int or (int,)
        Size of the output.
    return_indices, channels_last, out
        As for `max_pool1d`.

    Returns
    -------
    maxima : ndarray, (n, c, ow) or (c, ow)
        `out`, or a new C-contiguous array, of the dtype of `x`.
    indices : ndarray of int64
        Only with `return_indices`: as of `max_pool1d`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As `adaptive_max_pool2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import adaptive_max_pool1d
    >>> adaptive_max_pool1d(np.array([[1, 5, 2]], dtype=np.uint8), 2, return_indices=True)
    (array([[5, 5]], dtype=uint8), array([[1, 1]]))
    """
    results = _pool("max", 1, x, NUMBERS, output_size, return_indices, channels_last, out)
    return _as_asked(*results)


@overload
def adaptive_max_pool3d(
    x: ArrayLike,
    /,
    output_size: OutputSize,
    return_indices: Literal[False] = False,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array: ...
@overload
def adaptive_max_pool3d(
    x: ArrayLike,
    /,
    output_size: OutputSize,
    *,
    return_indices: Literal[True],
    channels_last: bool = False,
    out: Array | None = None,
) -> tuple[Array, Array]: ...
def adaptive_max_pool3d(
    x: ArrayLike,
    /,
    output_size: OutputSize,
    return_indices: bool = False,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array | tuple[Array, Array]:
    """Take maxima of windows that cover volumes; see `adaptive_max_pool2d`.

    Parameters
    ----------
    x : array_like, (n, c, d, h, w) or (c, d, h, w)
        The volumes; (n, d, h, w, c) or (d, h, w, c) with `channels_last`. Any dtype that
        `max_pool2d` takes.
    output_size : int or three of int or None
        Size of the output; None keeps that of the input.
    return_indices, channels_last, out
        As for `max_pool3d`.

    Returns
    -------
    maxima : ndarray, (n, c, od, oh, ow) or (c, od, oh, ow)
        `out`, or a new C-contiguous array, of the dtype of `x`.
    indices : ndarray of int64
        Only with `return_indices`: as of `max_pool3d`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As `adaptive_max_pool2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import adaptive_max_pool3d
    >>> x = np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2)
    >>> adaptive_max_pool3d(x, (1, 1, None))
    array([[[[6., 7.]]]], dtype=float32)
    """
    results = _pool("max", 3, x, NUMBERS, output_size, return_indices, channels_last, out)
    return _as_asked(*results)


def _as_asked(maxima: Array, indices: Array | None) -> Array | tuple[Array, Array]:
    return maxima if indices is None else (maxima, indices)


def _pool(
    kind: Literal["max", "avg"],
    axes: int,
    x: ArrayLike,
    supported: Supported,
    output_size: OutputSize,
    return_indices: bool,
    channels_last: bool,
    out: Array | None,
) -> tuple[Array, Array | None]:
    """Pool `x`; the second result is None unless `return_indices`."""
    with_indices = _arguments.flag("return_indices", return_indices)
    x, dtype = _arguments.as_array("x", x, supported)
    plan = plan_for(
        kind, x.shape, dtype, axes, output_size, adaptive=True, channels_last=channels_last
    )
    return run(plan, x, dtype, out, return_indices=with_indices)
