"""Convolution by the definition."""

from __future__ import annotations

from typing import TYPE_CHECKING, SupportsIndex

import numpy as np

from fastconv import _arguments
from fastconv._arguments import Activation, Array, Padding, Pair
from fastconv.reference.activation import activation_of
from fastconv.reference.windows import deliver, out_size

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["conv1d", "conv2d", "conv3d"]


def conv2d(
    x: ArrayLike,
    /,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: SupportsIndex = 1,
    *,
    channels_last: bool = False,
    padding_mode: str = "zeros",
    activation: Activation | None = None,
    residual: ArrayLike | None = None,
    out: Array | None = None,
    algorithm: str = "auto",
) -> Array:
    """Convolve as `fastconv.conv2d` does, by the definition.

    Every product and sum is a float64; the result is rounded once, to the dtype of `x`.

    Parameters
    ----------
    x, weight, bias, stride, padding, dilation, groups, channels_last, activation, residual, out
        As for `fastconv.conv2d`.
    padding_mode : str
        As for `fastconv.conv2d`.
    algorithm : str
        Accepted and ignored: there is one definition.

    Returns
    -------
    ndarray
        Shape and dtype as of `fastconv.conv2d`.

    Raises
    ------
    TypeError, ValueError
        For arguments of the wrong form, and where the shapes do not fit.

    Examples
    --------
    >>> import fastconv
    >>> import numpy as np
    >>> image = np.arange(9, dtype=np.float32).reshape(1, 3, 3)
    >>> corners = np.array([[[[1, 0], [0, 1]]]], dtype=np.float32)
    >>> fastconv.reference.conv2d(image, corners)
    array([[[ 4.,  6.],
            [10., 12.]]], dtype=float32)
    """
    form = stride, padding, dilation, groups, channels_last, padding_mode, activation
    return _convolve(2, x, weight, bias, *form, residual, out)


def conv1d(
    x: ArrayLike,
    /,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: SupportsIndex = 1,
    *,
    channels_last: bool = False,
    padding_mode: str = "zeros",
    activation: Activation | None = None,
    residual: ArrayLike | None = None,
    out: Array | None = None,
    algorithm: str = "auto",
) -> Array:
    """Convolve as `fastconv.conv1d` does, by the definition.

    Parameters
    ----------
    x, weight, bias, stride, padding, dilation, groups, channels_last, padding_mode, activation
        As for `fastconv.conv1d`.
    residual, out
        As for `fastconv.conv1d`.
    algorithm : str
        Accepted and ignored: there is one definition.

    Returns
    -------
    ndarray
        Shape and dtype as of `fastconv.conv1d`.

    Raises
    ------
    TypeError, ValueError
        For arguments of the wrong form, and where the shapes do not fit.

    Examples
    --------
    >>> import fastconv
    >>> import numpy as np
    >>> fastconv.reference.conv1d(np.array([[1.0, 2.0, 4.0]]), np.array([[[1.0, 1.0]]]))
    array([[3., 6.]])
    """
    form = stride, padding, dilation, groups, channels_last, padding_mode, activation
    return _convolve(1, x, weight, bias, *form, residual, out)


def conv3d(
    x: ArrayLike,
    /,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: SupportsIndex = 1,
    *,
    channels_last: bool = False,
    padding_mode: str = "zeros",
    activation: Activation | None = None,
    residual: ArrayLike | None = None,
    out: Array | None = None,
    algorithm: str = "auto",
) -> Array:
    """Convolve as `fastconv.conv3d` does, by the definition.

    Parameters
    ----------
    x, weight, bias, stride, padding, dilation, groups, channels_last, padding_mode, activation
        As for `fastconv.conv3d`.
    residual, out
        As for `fastconv.conv3d`.
    algorithm : str
        Accepted and ignored: there is one definition.

    Returns
    -------
    ndarray
        Shape and dtype as of `fastconv.conv3d`.

    Raises
    ------
    TypeError, ValueError
        For arguments of the wrong form, and where the shapes do not fit.

    Examples
    --------
    >>> import fastconv
    >>> import numpy as np
    >>> fastconv.reference.conv3d(np.ones((1, 2, 2, 2)), np.ones((1, 1, 2, 2, 2)))
    array([[[[8.]]]])
    """
    form = stride, padding, dilation, groups, channels_last, padding_mode, activation
    return _convolve(3, x, weight, bias, *form, residual, out)


# What np.pad calls the fillings of the padding.
_PAD_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def _convolve(
    axes: int,
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: SupportsIndex,
    channels_last: bool,
    padding_mode: str,
    activation: Activation | None,
    residual: ArrayLike | None,
    out: Array | None,
) -> Array:
    x, weight = np.asarray(x), np.asarray(weight)
    bias = None if bias is None else np.asarray(bias)
    groups = _arguments.positive("groups", groups)
    steps = _arguments.sizes("stride", stride, axes)
    spread = _arguments.sizes("dilation", dilation, axes)
    k, cg, *kernel = weight.shape
    pads = _arguments.pairs(_arguments.padding(padding, tuple(kernel), steps, spread))
    batched = x.ndim == axes + 2
    image = channels_first(x, batched, channels_last)
    n, c, *sizes = image.shape
    if c != cg * groups or k % groups:
        raise ValueError(
            f"weight {weight.shape} does not fit an input of {c} channels in {groups} groups"
        )
    out_sizes = [
        out_size(size, *pad, taps, step, apart)
        for size, pad, taps, step, apart in zip(sizes, pads, kernel, steps, spread, strict=True)
    ]
    # numpy's own stub knows modes as literals only.
    image = np.pad(image, ((0, 0), (0, 0), *pads), mode=_PAD_MODES[padding_mode])  # type: ignore[call-overload]
    if residual is not None:
        residual = channels_first(np.asarray(residual), batched, channels_last)
    finish = activation_of(activation)

    y = np.empty((n, k, *out_sizes))
    for b, o, *position in np.ndindex(y.shape):
        first_channel = o // (k // groups) * cg
        total = 0.0
        for ci, *tap in np.ndindex(cg, *kernel):
            at = [
                q * step + i * apart
                for q, step, i, apart in zip(position, steps, tap, spread, strict=True)
            ]
            total += float(image[b, first_channel + ci, *at]) * float(weight[o, ci, *tap])
        if bias is not None:
            total += float(bias[o])
        if residual is not None:
            total += float(residual[b, o, *position])
        y[b, o, *position] = finish(total)
    y = y if batched else y[0]
    return deliver(np.moveaxis(y, -axes - 1, -1) if channels_last else y, x.dtype, out)


def channels_first(array: Array, batched: bool, channels_last: bool) -> Array:
    """View an array, batched or not, in either layout as (n, c, ...)."""
    array = array if batched else array[np.newaxis]
    return np.moveaxis(array, -1, 1) if channels_last else array
