"""Convolution by the definition."""

from __future__ import annotations

from typing import TYPE_CHECKING, SupportsIndex

import numpy as np

from fastconv import _arguments
from fastconv._arguments import Activation, Array, Padding, Pair
from fastconv.reference.activation import activation_of
from fastconv.reference.windows import deliver, from_nchw, out_size, to_nchw

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["conv2d"]


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
    x, weight = np.asarray(x), np.asarray(weight)
    bias = None if bias is None else np.asarray(bias)
    groups = _arguments.positive("groups", groups)
    sh, sw = _arguments.sizes("stride", stride, 2)
    dh, dw = _arguments.sizes("dilation", dilation, 2)
    k, cg, kh, kw = weight.shape
    top, bottom, left, right = _arguments.padding(padding, (kh, kw), (sh, sw), (dh, dw))
    image = to_nchw(x, channels_last)
    n, c, h, w = image.shape
    if c != cg * groups or k % groups:
        raise ValueError(
            f"weight {weight.shape} does not fit an input of {c} channels in {groups} groups"
        )
    oh = out_size(h, top, bottom, kh, sh, dh)
    ow = out_size(w, left, right, kw, sw, dw)
    image = np.pad(image, ((0, 0), (0, 0), (top, bottom), (left, right)))
    if residual is not None:
        residual = to_nchw(np.asarray(residual), channels_last)
    finish = activation_of(activation)

    y = np.empty((n, k, oh, ow))
    for b, o, i, j in np.ndindex(y.shape):
        first_channel = o // (k // groups) * cg
        total = 0.0
        for ci, p, q in np.ndindex(cg, kh, kw):
            pixel = image[b, first_channel + ci, i * sh + p * dh, j * sw + q * dw]
            total += float(pixel) * float(weight[o, ci, p, q])
        if bias is not None:
            total += float(bias[o])
        if residual is not None:
            total += float(residual[b, o, i, j])
        y[b, o, i, j] = finish(total)
    return deliver(from_nchw(y, channels_last, x.ndim == 4), x.dtype, out)
