"""Pooling by the definition: windows that follow from the size of the output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastconv._arguments import Array
from fastconv.reference.pool import averages, maxima, opened
from fastconv.reference.windows import AdaptiveWindows

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "global_avg_pool1d",
    "global_avg_pool2d",
    "global_avg_pool3d",
    "global_max_pool1d",
    "global_max_pool2d",
    "global_max_pool3d",
]


def adaptive_avg_pool2d(
    x: ArrayLike, /, output_size: object, *, channels_last: bool = False, out: Array | None = None
) -> Array:
    """As `fastconv.adaptive_avg_pool2d`, by the definition.

    Window i of an axis goes from ``floor(i * size / out)`` to ``ceil((i + 1) * size / out)``.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.reference.adaptive_avg_pool2d([[[1.0, 5.0, 2.0]]], (1, 2))
    array([[[3. , 3.5]]])
    """
    image, back = opened(x, 2, channels_last, out)
    return averages(image, AdaptiveWindows(image.shape[2:], output_size), back)


def adaptive_avg_pool1d(
    x: ArrayLike, /, output_size: object, *, channels_last: bool = False, out: Array | None = None
) -> Array:
    """As `fastconv.adaptive_avg_pool1d`, by the definition.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.reference.adaptive_avg_pool1d([[1.0, 5.0, 2.0]], 2)
    array([[3. , 3.5]])
    """
    image, back = opened(x, 1, channels_last, out)
    return averages(image, AdaptiveWindows(image.shape[2:], output_size), back)


def adaptive_avg_pool3d(
    x: ArrayLike, /, output_size: object, *, channels_last: bool = False, out: Array | None = None
) -> Array:
    """As `fastconv.adaptive_avg_pool3d`, by the definition.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.reference.adaptive_avg_pool3d([[[[1.0, 5.0, 2.0]]]], (1, 1, 2))
    array([[[[3. , 3.5]]]])
    """
    image, back = opened(x, 3, channels_last, out)
    return averages(image, AdaptiveWindows(image.shape[2:], output_size), back)


def adaptive_max_pool2d(
    x: ArrayLike,
    /,
    output_size: object,
    return_indices: bool = False,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array | tuple[Array, Array]:
    """As `fastconv.adaptive_max_pool2d`, by the definition.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.reference.adaptive_max_pool2d([[[1.0, 5.0, 2.0]]], (1, 2))
    array([[[5., 5.]]])
    """
    image, back = opened(x, 2, channels_last, out)
    return maxima(image, AdaptiveWindows(image.shape[2:], output_size), back, return_indices)


def adaptive_max_pool1d(
    x: ArrayLike,
    /,
    output_size: object,
    return_indices: bool = False,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array | tuple[Array, Array]:
    """As `fastconv.adaptive_max_pool1d`, by the definition.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.reference.adaptive_max_pool1d([[1.0, 5.0, 2.0]], 2)
    array([[5., 5.]])
    """
    image, back = opened(x, 1, channels_last, out)
    return maxima(image, AdaptiveWindows(image.shape[2:], output_size), back, return_indices)


def adaptive_max_pool3d(
    x: ArrayLike,
    /,
    output_size: object,
    return_indices: bool = False,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array | tuple[Array, Array]:
    """As `fastconv.adaptive_max_pool3d`, by the definition.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.reference.adaptive_max_pool3d([[[[1.0, 5.0, 2.0]]]], (1, 1, 2))
    array([[[[5., 5.]]]])
    """
    image, back = opened(x, 3, channels_last, out)
    return maxima(image, AdaptiveWindows(image.shape[2:], output_size), back, return_indices)


def global_avg_pool2d(
    x: ArrayLike, /, *, channels_last: bool = False, out: Array | None = None
) -> Array:
    """As `fastconv.global_avg_pool2d`, by the definition.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.reference.global_avg_pool2d([[[1.0, 5.0, 6.0]]])
    array([[[4.]]])
    """
    return adaptive_avg_pool2d(x, 1, channels_last=channels_last, out=out)


def global_avg_pool1d(
    x: ArrayLike, /, *, channels_last: bool = False, out: Array | None = None
) -> Array:
    """As `fastconv.global_avg_pool1d`, by the definition.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.reference.global_avg_pool1d([[1.0, 5.0, 6.0]])
    array([[4.]])
    """
    return adaptive_avg_pool1d(x, 1, channels_last=channels_last, out=out)


def global_avg_pool3d(
    x: ArrayLike, /, *, channels_last: bool = False, out: Array | None = None
) -> Array:
    """As `fastconv.global_avg_pool3d`, by the definition.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.reference.global_avg_pool3d([[[[1.0, 5.0, 6.0]]]])
    array([[[[4.]]]])
    """
    return adaptive_avg_pool3d(x, 1, channels_last=channels_last, out=out)


def global_max_pool2d(
    x: ArrayLike, /, *, channels_last: bool = False, out: Array | None = None
) -> Array:
    """As `fastconv.global_max_pool2d`, by the definition.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.reference.global_max_pool2d([[[1.0, 5.0, 6.0]]])
    array([[[6.]]])
    """
    return _global_max(2, x, channels_last, out)


def global_max_pool1d(
    x: ArrayLike, /, *, channels_last: bool = False, out: Array | None = None
) -> Array:
    """As `fastconv.global_max_pool1d`, by the definition.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.reference.global_max_pool1d([[1.0, 5.0, 6.0]])
    array([[6.]])
    """
    return _global_max(1, x, channels_last, out)


def global_max_pool3d(
    x: ArrayLike, /, *, channels_last: bool = False, out: Array | None = None
) -> Array:
    """As `fastconv.global_max_pool3d`, by the definition.

    Examples
    --------
    >>> import fastconv
    >>> fastconv.reference.global_max_pool3d([[[[1.0, 5.0, 6.0]]]])
    array([[[[6.]]]])
    """
    return _global_max(3, x, channels_last, out)


def _global_max(axes: int, x: ArrayLike, channels_last: bool, out: Array | None) -> Array:
    image, back = opened(x, axes, channels_last, out)
    result = maxima(image, AdaptiveWindows(image.shape[2:], 1), back, False)
    assert not isinstance(result, tuple)
    return result
