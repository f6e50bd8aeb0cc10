"""Gradients of locally connected layers.

Knows the argument forms and how ``local`` reads them; NumPy multiplies the matrices, one for each
output pixel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np

from fastconv import _arguments
from fastconv._arguments import FLOATS, Array, Padding, Pair
from fastconv.local import kernel_of, plan_for

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = [
    "locally_connected2d_bias",
    "locally_connected2d_input",
    "locally_connected2d_weight",
]


def locally_connected2d_input(
    input_size: Sequence[SupportsIndex],
    weight: ArrayLike,
    grad_output: ArrayLike,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    kernel_size: Pair | None = None,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Return the gradient of `locally_connected2d` with respect to its input.

    Parameters
    ----------
    input_size : sequence of int
        Shape of the input: (n, c, h, w) or (c, h, w), with `channels_last` (n, h, w, c) or
        (h, w, c).
    weight : array_like, (oh, ow, k, c*kh*kw)
        The filters of the layer.
    grad_output : array_like
        Gradient with respect to the result, of its shape and the dtype of `weight`.
    stride, padding, dilation, kernel_size, channels_last
        As for `locally_connected2d`.
    out : ndarray, optional
        Where to write the gradient; any strided view of its shape and dtype that overlaps nothing.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array, of the shape `input_size`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `locally_connected2d`; also where `grad_output` is not of the shape of the result.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import grad
    >>> weight = np.array([[[[1.0, 2.0]], [[3.0, 4.0]]]])
    >>> ones = np.ones((1, 1, 2))
    >>> grad.locally_connected2d_input((1, 1, 3), weight, ones, kernel_size=(1, 2))
    array([[[1., 5., 4.]]])
    """
    shape = _arguments.shape("input_size", input_size)
    weight, dtype = _arguments.as_array("weight", weight, FLOATS)
    layer = _Layer(
        shape, weight.shape, dtype, stride, padding, dilation, kernel_size, channels_last
    )
    grads = layer.gradients(grad_output, "weight")
    if out is not None:
        _arguments.check_out(out, shape, dtype, {"weight": weight, "grad_output": grads})
    with np.errstate(all="ignore"):
        columns = np.matmul(
            layer.by_pixel(grads),
            weight.astype(layer.wide, copy=False).reshape(layer.pixels, *layer.matrix),
        ).reshape(*layer.out, layer.n, layer.c, *layer.kernel)
    image = np.zeros((layer.n, layer.c, *layer.plane), layer.wide)
    with np.errstate(all="ignore"):
        for (p, q), positions, pixels in layer.taps():
            image[:, :, *pixels] += columns[*positions, ..., p, q].transpose(2, 3, 0, 1)
    return _deliver(layer.from_nchw(image), dtype, out)


def locally_connected2d_weight(
    x: ArrayLike,
    weight_size: Sequence[SupportsIndex],
    grad_output: ArrayLike,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    kernel_size: Pair | None = None,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Return the gradient of `locally_connected2d` with respect to its weights.

    Parameters
    ----------
    x : array_like
        The images.
    weight_size : sequence of int
        Shape of the weights: (oh, ow, k, c*kh*kw).
    grad_output : array_like
        Gradient with respect to the result, of its shape and the dtype of `x`.
    stride, padding, dilation, kernel_size, channels_last
        As for `locally_connected2d`.
    out : ndarray, optional
        Where to write the gradient; any strided view of its shape and dtype that overlaps nothing.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array, of the shape `weight_size`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `locally_connected2d`; also where `grad_output` is not of the shape of the result.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import grad
    >>> x = np.array([[[1.0, 2.0, 3.0]]])
    >>> ones = np.ones((1, 1, 2))
    >>> grad.locally_connected2d_weight(x, (1, 2, 1, 2), ones, kernel_size=(1, 2))
    array([[[[1., 2.]],
    <BLANKLINE>
            [[2., 3.]]]])
    """
    x, dtype = _arguments.as_array("x", x, FLOATS)
    shape = _arguments.shape("weight_size", weight_size)
    layer = _Layer(x.shape, shape, dtype, stride, padding, dilation, kernel_size, channels_last)
    grads = layer.gradients(grad_output, "x")
    if out is not None:
        _arguments.check_out(out, shape, dtype, {"x": x, "grad_output": grads})
    image = layer.to_nchw(x)
    columns = np.zeros((*layer.out, layer.n, layer.c, *layer.kernel), layer.wide)
    for (p, q), positions, pixels in layer.taps():
        columns[*positions, ..., p, q] = image[:, :, *pixels].transpose(2, 3, 0, 1)
    matrices = columns.reshape(layer.pixels, layer.n, layer.matrix[1])
    with np.errstate(all="ignore"):
        result = np.matmul(layer.by_pixel(grads).swapaxes(1, 2), matrices)
    return _deliver(result.reshape(shape), dtype, out)


def locally_connected2d_bias(
    bias_size: Sequence[SupportsIndex],
    grad_output: ArrayLike,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Return the gradient of `locally_connected2d` with respect to its bias.

    Parameters
    ----------
    bias_size : sequence of int
        Shape of the bias: (k,) or (k, oh, ow).
    grad_output : array_like, (n, k, oh, ow) or (k, oh, ow)
        Gradient with respect to the result; (n, oh, ow, k) or (oh, ow, k) with `channels_last`.
    channels_last : bool, default False
        As for `locally_connected2d`.
    out : ndarray, optional
        Where to write the gradient; any strided view of its shape and dtype that overlaps nothing.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array, of the shape `bias_size`. It is summed in float64 and
        rounded once.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `locally_connected2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import grad
    >>> grad.locally_connected2d_bias((1,), np.array([[[1.0, 2.0]]]))
    array([3.])
    """
    shape = _arguments.shape("bias_size", bias_size)
    grads, dtype = _arguments.as_array("grad_output", grad_output, FLOATS)
    last = _arguments.flag("channels_last", channels_last)
    _, k, plane = _arguments.image("grad_output", grads.shape, 2, last)
    if shape not in ((k,), (k, *plane)):
        raise ValueError(f"bias_size is {shape}, it must be {(k,)} or {(k, *plane)}")
    if out is not None:
        _arguments.check_out(out, shape, dtype, {"grad_output": grads})
    planes = np.moveaxis(grads, -1, -3) if last else grads
    axes = (*range(planes.ndim - 3), *((-2, -1) if len(shape) == 1 else ()))
    return _deliver(planes.sum(axis=axes, dtype=np.float64), dtype, out)


class _Layer:
    """A layer's geometry, and its arrays in the forms that the products take."""

    def __init__(
        self,
        shape: tuple[int, ...],
        weight_shape: tuple[int, ...],
        dtype: str,
        stride: Pair,
        padding: Padding,
        dilation: Pair,
        kernel_size: Pair | None,
        channels_last: bool,
    ) -> None:
        self.last = _arguments.flag("channels_last", channels_last)
        form = stride, padding, dilation, kernel_size, self.last
        plan = plan_for(shape, weight_shape, dtype, *form)
        self.n, self.c, plane = _arguments.image("x", shape, 2, self.last)
        self.plane = plane
        self.batch = shape[:-3]
        self.dtype, self.wide = dtype, np.float64 if dtype == "float64" else np.float32
        self.out = plan.out_shape[1:3]
        self.pixels = self.out[0] * self.out[1]
        self.matrix = weight_shape[2:]
        self.kernel = kernel_of(weight_shape, self.c, kernel_size)
        self.stride = _arguments.per_axis("stride", stride, 2)
        self.dilation = _arguments.per_axis("dilation", dilation, 2)
        pads = _arguments.padding(padding, self.kernel, self.stride, self.dilation)
        self.before = pads[::2]

    def gradients(self, grad_output: ArrayLike, other: str) -> Array:
        """Return `grad_output`, which must have the shape of the result."""
        k = self.matrix[0]
        result = (*self.out, k) if self.last else (k, *self.out)
        shape = (*self.batch, *result)
        return _arguments.operand("grad_output", grad_output, shape, self.dtype, other)

    def to_nchw(self, array: Array) -> Array:
        """View an array of images as (n, c, h, w), widened."""
        array = array.reshape(self.n, *array.shape[-3:]).astype(self.wide, copy=False)
        return np.moveaxis(array, -1, 1) if self.last else array

    def from_nchw(self, array: Array) -> Array:
        """Undo `to_nchw`, but for the width."""
        array = np.moveaxis(array, 1, -1) if self.last else array
        return array.reshape(*self.batch, *array.shape[1:])

    def by_pixel(self, grads: Array) -> Array:
        """Return (n, k, oh, ow) as (oh * ow, n, k)."""
        pixels = self.to_nchw(grads).transpose(2, 3, 0, 1)
        return pixels.reshape(self.pixels, self.n, self.matrix[0])

    def taps(self) -> Iterator[tuple[Any, Any, Any]]:
        """Yield each position of the window, the outputs that see the image there, and its pixels.

        The last two are slices of height and width.
        """
        for tap in np.ndindex(*self.kernel):
            spans = [self._span(axis, t) for axis, t in enumerate(tap)]
            yield tap, [positions for positions, _ in spans], [pixels for _, pixels in spans]

    def _span(self, axis: int, tap: int) -> tuple[slice, slice]:
        step, shift = self.stride[axis], tap * self.dilation[axis] - self.before[axis]
        first = max(0, -(shift // step))
        last = min(self.out[axis], (self.plane[axis] - 1 - shift) // step + 1)
        if last <= first:
            return slice(0), slice(0)
        begin = first * step + shift
        return slice(first, last), slice(begin, begin + (last - first - 1) * step + 1, step)


def _deliver(result: Array, dtype: str, out: Array | None) -> Array:
    with np.errstate(over="ignore"):  # what the dtype cannot hold is infinity
        return _arguments.delivered(np.ascontiguousarray(result, dtype), out)
