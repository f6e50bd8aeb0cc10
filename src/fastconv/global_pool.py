"""Global pooling over one, two or three axes: one value for each channel of an image.

Knows the argument forms and ``_pooling``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from fastconv import _arguments
from fastconv._arguments import FLOATS, NUMBERS, Array, Supported
from fastconv._pooling import plan_for, run

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = [
    "global_avg_pool1d",
    "global_avg_pool2d",
    "global_avg_pool3d",
    "global_max_pool1d",
    "global_max_pool2d",
    "global_max_pool3d",
]


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
    return _pool("avg", 2, x, FLOATS, channels_last, out)


def global_avg_pool1d(
    x: ArrayLike, /, *, channels_last: bool = False, out: Array | None = None
) -> Array:
    """Take the average of each whole line.

    Parameters
    ----------
    x : array_like, (n, c, w) or (c, w)
        The lines; (n, w, c) or (w, c) with `channels_last`. float16, float32 or float64.
    channels_last, out
        As for `global_avg_pool2d`.

    Returns
    -------
    ndarray, (n, c, 1) or (c, 1)
        `out`, or a new C-contiguous array, of the dtype of `x`; (n, 1, c) or (1, c) with
        `channels_last`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As `global_avg_pool2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import global_avg_pool1d
    >>> global_avg_pool1d(np.array([[1, 2, 6]], dtype=np.float32))
    array([[3.]], dtype=float32)
    """
    return _pool("avg", 1, x, FLOATS, channels_last, out)


def global_avg_pool3d(
    x: ArrayLike, /, *, channels_last: bool = False, out: Array | None = None
) -> Array:
    """Take the average of each whole volume.

    Parameters
    ----------
    x : array_like, (n, c, d, h, w) or (c, d, h, w)
        The volumes; (n, d, h, w, c) or (d, h, w, c) with `channels_last`. float16, float32 or
        float64.
    channels_last, out
        As for `global_avg_pool2d`.

    Returns
    -------
    ndarray, (n, c, 1, 1, 1) or (c, 1, 1, 1)
        `out`, or a new C-contiguous array, of the dtype of `x`; (n, 1, 1, 1, c) or (1, 1, 1, c)
        with `channels_last`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As `global_avg_pool2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import global_avg_pool3d
    >>> global_avg_pool3d(np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2))
    array([[[[3.5]]]], dtype=float32)
    """
    return _pool("avg", 3, x, FLOATS, channels_last, out)


def global_max_pool2d(
    x: ArrayLike, /, *, channels_last: bool = False, out: Array | None = None
) -> Array:
    """Take the maximum of each whole plane.

    Parameters
    ----------
    x : array_like, (n, c, h, w) or (c, h, w)
        The images; (n, h, w, c) or (h, w, c) with `channels_last`. Any dtype that `max_pool2d`
        takes.
    channels_last, out
        As for `global_avg_pool2d`.

    Returns
    -------
    ndarray, (n, c, 1, 1) or (c, 1, 1)
        `out`, or a new C-contiguous array, of the dtype of `x`; (n, 1, 1, c) or (1, 1, c) with
        `channels_last`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As `global_avg_pool2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import global_max_pool2d
    >>> global_max_pool2d(np.array([[[1, 7], [3, 6]]], dtype=np.uint8))
    array([[[7]]], dtype=uint8)
    """
    return _pool("max", 2, x, NUMBERS, channels_last, out)


def global_max_pool1d(
    x: ArrayLike, /, *, channels_last: bool = False, out: Array | None = None
) -> Array:
    """Take the maximum of each whole line.

    Parameters
    ----------
    x : array_like, (n, c, w) or (c, w)
        The lines; (n, w, c) or (w, c) with `channels_last`. Any dtype that `max_pool2d`
        takes.
    channels_last, out
        As for `global_avg_pool2d`.

    Returns
    -------
    ndarray, (n, c, 1) or (c, 1)
        `out`, or a new C-contiguous array, of the dtype of `x`; (n, 1, c) or (1, c) with
        `channels_last`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As `global_avg_pool2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import global_max_pool1d
    >>> global_max_pool1d(np.array([[1, 7, 6]], dtype=np.uint8))
    array([[7]], dtype=uint8)
    """
    return _pool("max", 1, x, NUMBERS, channels_last, out)


def global_max_pool3d(
    x: ArrayLike, /, *, channels_last: bool = False, out: Array | None = None
) -> Array:
    """Take the maximum of each whole volume.

    Parameters
    ----------
    x : array_like, (n, c, d, h, w) or (c, d, h, w)
        The volumes; (n, d, h, w, c) or (d, h, w, c) with `channels_last`. Any dtype that
        `max_pool2d` takes.
    channels_last, out
        As for `global_avg_pool2d`.

    Returns
    -------
    ndarray, (n, c, 1, 1, 1) or (c, 1, 1, 1)
        `out`, or a new C-contiguous array, of the dtype of `x`; (n, 1, 1, 1, c) or (1, 1, 1, c)
        with `channels_last`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As `global_avg_pool2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import global_max_pool3d
    >>> global_max_pool3d(np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2))
    array([[[[7.]]]], dtype=float32)
    """
    return _pool("max", 3, x, NUMBERS, channels_last, out)


def _pool(
    kind: Literal["max", "avg"],
    axes: int,
    x: ArrayLike,
    supported: Supported,
    channels_last: bool,
    out: Array | None,
) -> Array:
    x, dtype = _arguments.as_array("x", x, supported)
    last = _arguments.flag("channels_last", channels_last)
    _, _, sizes = _arguments.image("x", x.shape, axes, last)
    return run(plan_for(kind, x.shape, dtype, axes, sizes, channels_last=last), x, dtype, out)[0]
