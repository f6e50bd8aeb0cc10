"""Locally connected layers by the definition."""

from __future__ import annotations

from math import isqrt
from typing import TYPE_CHECKING

import numpy as np

from fastconv import _arguments
from fastconv._arguments import Activation, Array, Padding, Pair
from fastconv.reference.activation import activation_of
from fastconv.reference.windows import deliver, from_nchw, out_size, to_nchw

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["locally_connected2d"]


def locally_connected2d(
    x: ArrayLike,
    /,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    kernel_size: Pair | None = None,
    *,
    channels_last: bool = False,
    activation: Activation | None = None,
    out: Array | None = None,
) -> Array:
    """Convolve without shared weights as `fastconv.locally_connected2d` does, by the definition.

    Every product and sum is a float64; the result is rounded once, to the dtype of `x`.

    Parameters
    ----------
    x, weight, bias, stride, padding, dilation, kernel_size, channels_last, activation, out
        As for `fastconv.locally_connected2d`.

    Returns
    -------
    ndarray
        Shape and dtype as of `fastconv.locally_connected2d`.

    Raises
    ------
    TypeError, ValueError
        For arguments of the wrong form, and where the shapes do not fit.

    Examples
    --------
    >>> import fastconv
    >>> import numpy as np
    >>> x = np.array([[[1, 2, 3]]], dtype=np.float32)
    >>> weight = np.array([[[[1]], [[10]], [[100]]]], dtype=np.float32)
    >>> fastconv.reference.locally_connected2d(x, weight)
    array([[[  1.,  20., 300.]]], dtype=float32)
    """
    x, weight = np.asarray(x), np.asarray(weight)
    sh, sw = _arguments.sizes("stride", stride, 2)
    dh, dw = _arguments.sizes("dilation", dilation, 2)
    image = to_nchw(x, 2, channels_last)
    n, c, h, w = image.shape
    if kernel_size is None:
        kernel_size = isqrt(weight.shape[-1] // c)
    kh, kw = _arguments.sizes("kernel_size", kernel_size, 2)
    top, bottom, left, right = _arguments.padding(padding, (kh, kw), (sh, sw), (dh, dw))
    oh = out_size(h, top, bottom, kh, sh, dh)
    ow = out_size(w, left, right, kw, sw, dw)
    k = weight.shape[2]
    if weight.shape != (oh, ow, k, c * kh * kw):
        raise ValueError(f"weight {weight.shape} does not fit {oh} x {ow} windows of {c * kh * kw}")
    filters = weight.reshape(oh, ow, k, c, kh, kw)
    image = np.pad(image, ((0, 0), (0, 0), (top, bottom), (left, right)))
    biases = np.zeros((k, 1, 1)) if bias is None else np.asarray(bias)
    biases = np.broadcast_to(biases[:, None, None] if biases.ndim == 1 else biases, (k, oh, ow))
    finish = activation_of(activation)

    y = np.empty((n, k, oh, ow))
    for b, o, i, j in np.ndindex(y.shape):
        total = float(biases[o, i, j])
        for ci, p, q in np.ndindex(c, kh, kw):
            pixel = image[b, ci, i * sh + p * dh, j * sw + q * dw]
            total += float(pixel) * float(filters[i, j, o, ci, p, q])
        y[b, o, i, j] = finish(total)
    return deliver(from_nchw(y, channels_last, x.ndim == 4), x.dtype, out)
