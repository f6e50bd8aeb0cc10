"""Transposed convolution by the definition."""

from __future__ import annotations

from typing import TYPE_CHECKING, SupportsIndex

import numpy as np

from fastconv import _arguments
from fastconv._arguments import Activation, Array, Padding, Pair
from fastconv.reference.activation import activation_of
from fastconv.reference.conv import channels_first
from fastconv.reference.windows import deliver

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]


def conv_transpose1d(
    x: ArrayLike,
    /,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Pair = 1,
    padding: Padding = 0,
    output_padding: Pair = 0,
    groups: SupportsIndex = 1,
    dilation: Pair = 1,
    *,
    channels_last: bool = False,
    activation: Activation | None = None,
    residual: ArrayLike | None = None,
    out: Array | None = None,
) -> Array:
    """Convolve transposed as `fastconv.conv_transpose1d` does, by the definition.

    Parameters
    ----------
    x, weight, bias, stride, padding, output_padding, groups, dilation
        As for `fastconv.conv_transpose1d`.
    channels_last, activation, residual, out
        As for `fastconv.conv_transpose1d`.

    Returns
    -------
    ndarray
        Shape and dtype as of `fastconv.conv_transpose1d`.

    Examples
    --------
    >>> import fastconv
    >>> import numpy as np
    >>> weight = np.ones((1, 1, 2))
    >>> fastconv.reference.conv_transpose1d(np.ones((1, 3)), weight).sum()
    np.float64(6.0)
    """
    form = stride, padding, output_padding, groups, dilation, channels_last, activation
    return _conv_transpose(1, x, weight, bias, *form, residual, out)


def conv_transpose2d(
    x: ArrayLike,
    /,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Pair = 1,
    padding: Padding = 0,
    output_padding: Pair = 0,
    groups: SupportsIndex = 1,
    dilation: Pair = 1,
    *,
    channels_last: bool = False,
    activation: Activation | None = None,
    residual: ArrayLike | None = None,
    out: Array | None = None,
) -> Array:
    """Convolve transposed as `fastconv.conv_transpose2d` does, by the definition.

    Parameters
    ----------
    x, weight, bias, stride, padding, output_padding, groups, dilation
        As for `fastconv.conv_transpose2d`.
    channels_last, activation, residual, out
        As for `fastconv.conv_transpose2d`.

    Returns
    -------
    ndarray
        Shape and dtype as of `fastconv.conv_transpose2d`.

    Examples
    --------
    >>> import fastconv
    >>> import numpy as np
    >>> weight = np.ones((1, 1, 2, 2))
    >>> fastconv.reference.conv_transpose2d(np.ones((1, 3, 3)), weight).sum()
    np.float64(36.0)
    """
    form = stride, padding, output_padding, groups, dilation, channels_last, activation
    return _conv_transpose(2, x, weight, bias, *form, residual, out)


def conv_transpose3d(
    x: ArrayLike,
    /,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Pair = 1,
    padding: Padding = 0,
    output_padding: Pair = 0,
    groups: SupportsIndex = 1,
    dilation: Pair = 1,
    *,
    channels_last: bool = False,
    activation: Activation | None = None,
    residual: ArrayLike | None = None,
    out: Array | None = None,
) -> Array:
    """Convolve transposed as `fastconv.conv_transpose3d` does, by the definition.

    Parameters
    ----------
    x, weight, bias, stride, padding, output_padding, groups, dilation
        As for `fastconv.conv_transpose3d`.
    channels_last, activation, residual, out
        As for `fastconv.conv_transpose3d`.

    Returns
    -------
    ndarray
        Shape and dtype as of `fastconv.conv_transpose3d`.

    Examples
    --------
    >>> import fastconv
    >>> import numpy as np
    >>> weight = np.ones((1, 1, 2, 2, 2))
    >>> fastconv.reference.conv_transpose3d(np.ones((1, 3, 3, 3)), weight).sum()
    np.float64(216.0)
    """
    form = stride, padding, output_padding, groups, dilation, channels_last, activation
    return _conv_transpose(3, x, weight, bias, *form, residual, out)


def _conv_transpose(
    axes: int,
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None,
    stride: Pair,
    padding: Padding,
    output_padding: Pair,
    groups: SupportsIndex,
    dilation: Pair,
    channels_last: bool,
    activation: Activation | None,
    residual: ArrayLike | None,
    out: Array | None,
) -> Array:
    x, weight = np.asarray(x), np.asarray(weight)
    groups = _arguments.positive("groups", groups)
    steps = _arguments.sizes("stride", stride, axes)
    spread = _arguments.sizes("dilation", dilation, axes)
    extra = _arguments.integers("output_padding", output_padding, axes)
    c, kg, *kernel = weight.shape
    pads = _arguments.pairs(_arguments.padding(padding, tuple(kernel), steps, spread))
    batched = x.ndim == axes + 2
    image = channels_first(x, batched, channels_last)
    n, channels, *sizes = image.shape
    if channels != c or c % groups:
        raise ValueError(
            f"weight {weight.shape} does not fit {channels} channels in {groups} groups"
        )
    whole = [
        (size - 1) * step + apart * (taps - 1) + more + 1
        for size, step, apart, taps, more in zip(sizes, steps, spread, kernel, extra, strict=True)
    ]
    # Every input spreads over its window; the padding is cut off at the end.
    sums = np.zeros((n, kg * groups, *whole))
    for b, ci, *position in np.ndindex(image.shape):
        for o, *tap in np.ndindex(kg, *kernel):
            at = [
                q * step + i * apart
                for q, step, i, apart in zip(position, steps, tap, spread, strict=True)
            ]
            k = ci // (c // groups) * kg + o
            sums[b, k, *at] += float(image[b, ci, *position]) * float(weight[ci, o, *tap])
    y = sums[
        :,
        :,
        *(slice(a, size - b) for (a, b), size in zip(pads, whole, strict=True)),
    ]
    if bias is not None:
        y = y + np.asarray(bias, np.float64).reshape(-1, *[1] * axes)
    if residual is not None:
        y = y + channels_first(np.asarray(residual), batched, channels_last)
    y = np.reshape([activation_of(activation)(v) for v in y.flat], y.shape)
    y = y if batched else y[0]
    return deliver(np.moveaxis(y, -axes - 1, -1) if channels_last else y, x.dtype, out)
