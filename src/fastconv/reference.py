"""The oracle: every public operator as plain loops, in float64, written to be read and believed.

It shares the argument forms of the fast functions (``_arguments``) and nothing else: it works out
output sizes, windows and sums by itself, so that a mistake in the library cannot hide here. It
knows neither ``_core`` nor the operators.

Use it to see what a function means, and to check the fast one. It is thousands of times slower.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex, overload

import numpy as np

from fastconv import _arguments
from fastconv._arguments import Activation, Array, Padding, Pair

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["avg_pool2d", "conv2d", "global_avg_pool2d", "max_pool2d", "relu"]


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
    image = _to_nchw(x, channels_last)
    n, c, h, w = image.shape
    if c != cg * groups or k % groups:
        raise ValueError(
            f"weight {weight.shape} does not fit an input of {c} channels in {groups} groups"
        )
    oh = _out_size(h, top, bottom, kh, sh, dh)
    ow = _out_size(w, left, right, kw, sw, dw)
    image = np.pad(image, ((0, 0), (0, 0), (top, bottom), (left, right)))
    if residual is not None:
        residual = _to_nchw(np.asarray(residual), channels_last)
    finish = _activation(activation)

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
    return _deliver(_from_nchw(y, channels_last, x.ndim == 4), x.dtype, out)


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
    """Take the maximum of every window, as `fastconv.max_pool2d` does, by the definition.

    The window is walked in scan order; a value is taken if it is a NaN or greater than the one
    held, which at first is that of the first pixel.
    A window wholly in the padding gives the lowest value of the dtype and the index -1.

    Parameters
    ----------
    x, kernel_size, stride, padding, dilation, ceil_mode, return_indices, channels_last, out
        As for `fastconv.max_pool2d`.

    Returns
    -------
    ndarray, or a pair of them
        The maxima, with `return_indices` also their int64 positions ``ih * w + iw`` in the plane.

    Raises
    ------
    TypeError, ValueError
        For arguments of the wrong form, and where the window does not fit.

    Examples
    --------
    >>> import fastconv
    >>> import numpy as np
    >>> image = np.array([[[1, 7, 2], [7, 0, 3]]], dtype=np.uint8)
    >>> fastconv.reference.max_pool2d(image, 2, stride=1, return_indices=True)
    (array([[[7, 7]]], dtype=uint8), array([[[1, 1]]]))
    """
    x = np.asarray(x)
    batched = x.ndim == 4
    image = _to_nchw(x, channels_last)
    window = _Windows(image.shape[2:], kernel_size, stride, padding, dilation, ceil_mode)
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min

    y = np.empty((*image.shape[:2], *window.out_shape), x.dtype)
    indices = np.empty(y.shape, np.int64)
    for b, ci, i, j in np.ndindex(y.shape):
        best, at = lowest, -1
        for ih, iw in window.pixels(i, j):
            value = image[b, ci, ih, iw]
            if at < 0 or value > best or np.isnan(value):
                best, at = value, ih * window.w + iw
        y[b, ci, i, j] = best
        indices[b, ci, i, j] = at
    y = _deliver(_from_nchw(y, channels_last, batched), x.dtype, out)
    if return_indices:
        return y, np.ascontiguousarray(_from_nchw(indices, channels_last, batched))
    return y


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
    """Average every window, as `fastconv.avg_pool2d` does, by the definition.

    The divisor is `divisor_override`, or the number of positions of the window: those within the
    padded input (`count_include_pad`) or those within the input. A window without any pixel of the
    input gives zero.

    Parameters
    ----------
    x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        As for `fastconv.avg_pool2d`.
    channels_last, out
        As for `fastconv.avg_pool2d`.

    Returns
    -------
    ndarray
        Shape and dtype as of `fastconv.avg_pool2d`.

    Raises
    ------
    TypeError, ValueError
        For arguments of the wrong form, and where the window does not fit.

    Examples
    --------
    >>> import fastconv
    >>> import numpy as np
    >>> image = np.array([[[1, 2], [3, 6]]], dtype=np.float32)
    >>> fastconv.reference.avg_pool2d(image, 2)
    array([[[3.]]], dtype=float32)
    """
    x = np.asarray(x)
    batched = x.ndim == 4
    image = _to_nchw(x, channels_last)
    window = _Windows(image.shape[2:], kernel_size, stride, padding, 1, ceil_mode)

    y = np.empty((*image.shape[:2], *window.out_shape))
    for b, ci, i, j in np.ndindex(y.shape):
        total, pixels = 0.0, 0
        for ih, iw in window.pixels(i, j):
            total += float(image[b, ci, ih, iw])
            pixels += 1
        if divisor_override is not None:
            divisor = int(divisor_override)
        elif count_include_pad:
            divisor = window.padded_positions(i, j)
        else:
            divisor = pixels
        y[b, ci, i, j] = total / divisor if pixels else 0.0
    return _deliver(_from_nchw(y, channels_last, batched), x.dtype, out)


def global_avg_pool2d(
    x: ArrayLike, /, *, channels_last: bool = False, out: Array | None = None
) -> Array:
    """Average each whole plane, as `fastconv.global_avg_pool2d` does, by the definition.

    Parameters
    ----------
    x, channels_last, out
        As for `fastconv.global_avg_pool2d`.

    Returns
    -------
    ndarray
        The averages; both plane axes are kept, with length 1.

    Raises
    ------
    ValueError
        If the plane is empty.

    Examples
    --------
    >>> import fastconv
    >>> import numpy as np
    >>> fastconv.reference.global_avg_pool2d(np.array([[[1, 2, 6]]], dtype=np.float32))
    array([[[3.]]], dtype=float32)
    """
    x = np.asarray(x)
    plane = _to_nchw(x, channels_last).shape[2:]
    return avg_pool2d(x, plane, channels_last=channels_last, out=out)


def relu(x: ArrayLike, /, *, out: Array | None = None) -> Array:
    """Replace what is below zero by zero, as `fastconv.relu` does; a NaN stays.

    Parameters
    ----------
    x, out
        As for `fastconv.relu`.

    Returns
    -------
    ndarray
        Shape and dtype of `x`.

    Examples
    --------
    >>> import fastconv
    >>> import numpy as np
    >>> fastconv.reference.relu(np.array([-1, 2, np.nan], dtype=np.float32))
    array([ 0.,  2., nan], dtype=float32)
    """
    x = np.asarray(x)
    y = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        y[index] = _relu(float(x[index]))
    return _deliver(y, x.dtype, out)


class _Windows:
    """Where the windows of a pooling lie in a plane."""

    def __init__(
        self,
        plane: tuple[int, ...],
        kernel_size: Pair,
        stride: Pair | None,
        padding: Padding,
        dilation: Pair,
        ceil_mode: bool,
    ) -> None:
        self.h, self.w = plane
        self.kernel = kh, kw = _arguments.sizes("kernel_size", kernel_size, 2)
        self.stride = sh, sw = (
            self.kernel if stride is None else _arguments.sizes("stride", stride, 2)
        )
        self.dilation = dh, dw = _arguments.sizes("dilation", dilation, 2)
        top, bottom, left, right = _arguments.padding(padding, (kh, kw), (sh, sw), (dh, dw))
        self.begin = top, left
        self.end = self.h + bottom, self.w + right
        self.out_shape = (
            _out_size(self.h, top, bottom, kh, sh, dh, ceil_mode),
            _out_size(self.w, left, right, kw, sw, dw, ceil_mode),
        )

    def _taps(self, axis: int, index: int) -> list[int]:
        start = index * self.stride[axis] - self.begin[axis]
        return [start + p * self.dilation[axis] for p in range(self.kernel[axis])]

    def pixels(self, i: int, j: int) -> Iterator[tuple[int, int]]:
        """Yield the pixels of the input in window (i, j), in scan order."""
        for ih in self._taps(0, i):
            for iw in self._taps(1, j):
                if 0 <= ih < self.h and 0 <= iw < self.w:
                    yield ih, iw

    def padded_positions(self, i: int, j: int) -> int:
        """Count the positions of window (i, j) within input and padding.

        In ceil mode the last window may reach past the padding; what lies there never counts.
        """
        rows = sum(ih < self.end[0] for ih in self._taps(0, i))
        columns = sum(iw < self.end[1] for iw in self._taps(1, j))
        return rows * columns


def _out_size(
    size: int,
    pad_begin: int,
    pad_end: int,
    kernel: int,
    stride: int,
    dilation: int,
    ceil_mode: bool = False,
) -> int:
    slack = size + pad_begin + pad_end - (dilation * (kernel - 1) + 1)
    out = (-(-slack // stride) if ceil_mode else slack // stride) + 1
    if out < 1:
        raise ValueError(f"a window of {kernel}, dilation {dilation}, does not fit {size} pixels")
    # In ceil mode the last window must not start in the padding after the input.
    return out - 1 if ceil_mode and (out - 1) * stride >= size + pad_begin else out


def _to_nchw(array: Array, channels_last: bool) -> Array:
    if array.ndim == 3:
        array = array[np.newaxis]
    return np.moveaxis(array, -1, 1) if channels_last else array


def _from_nchw(array: Array, channels_last: bool, batched: bool) -> Array:
    if channels_last:
        array = np.moveaxis(array, 1, -1)
    return array if batched else array[0]


def _deliver(y: Array, dtype: np.dtype[Any], out: Array | None) -> Array:
    with np.errstate(over="ignore"):
        y = np.ascontiguousarray(y, dtype.newbyteorder("="))
    if out is None:
        return y
    out[...] = y
    return out


def _relu(v: float) -> float:
    return 0.0 if v < 0 else v


def _clip(v: float, low: float, high: float) -> float:
    return low if v < low else high if v > high else v


def _sigmoid(v: float) -> float:
    # Of the two equal forms, the one whose exponential cannot overflow.
    return 1 / (1 + math.exp(-v)) if v >= 0 else math.exp(v) / (1 + math.exp(v))


_ACTIVATIONS: dict[str, Callable[[float, float, float], float]] = {
    "none": lambda v, a, b: v,
    "relu": lambda v, a, b: _relu(v),
    "relu6": lambda v, a, b: _clip(v, 0.0, 6.0),
    "sigmoid": lambda v, a, b: _sigmoid(v),
    "tanh": lambda v, a, b: math.tanh(v),
    "silu": lambda v, a, b: v * _sigmoid(v),
    "hardswish": lambda v, a, b: v * _clip(v + 3, 0.0, 6.0) / 6,
    "leaky_relu": lambda v, a, b: v * a if v < 0 else v,
    "clip": _clip,
}


def _activation(activation: Activation | None) -> Callable[[float], float]:
    name, a, b = _arguments.activation(activation)
    return lambda v: _ACTIVATIONS[name](v, a, b)
