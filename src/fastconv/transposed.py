"""Transposed convolution: `conv_transpose1d` to `conv_transpose3d` and `ConvTranspose2d`.

Knows the argument forms, ``_plans``, and how ``_transposing`` makes ordinary convolutions of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np

from fastconv import _arguments
from fastconv._arguments import FLOATS, Activation, Array, Padding, Pair
from fastconv._core import ConvPlan, Packed
from fastconv._plans import Layer, layer_of
from fastconv._transposing import transpose
from fastconv._weights import Weighted
from fastconv.shapes import inverse_size

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["ConvTranspose2d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]


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
    """Convolve transposed: spread each input element over a window of the output.

    It is the gradient of `conv2d` with respect to its input: what `conv2d` with the same arguments
    maps back to the size of `x`. Output position o of an axis sums over the taps t and input
    positions i with ``o = i * stride + t * dilation - padding``; the size of the output is
    ``(size - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1``.
    Weights that serve many calls are better kept in a `ConvTranspose2d`.

    Parameters
    ----------
    x : array_like, (n, c, h, w) or (c, h, w)
        The images; (n, h, w, c) or (h, w, c) with `channels_last`. float16, float32 or float64.
    weight : array_like, (c, k/groups, kh, kw)
        The filters, in this order in both layouts, of the dtype of `x`.
    bias : array_like, (k,), optional
        Added to each output channel.
    stride : int or (int, int), default 1
        Distance between the windows of neighbouring input positions in the output.
    padding : int, (int, int) or nested pairs, default 0
        Positions that are cut off the output on each side.
    output_padding : int or (int, int), default 0
        Positions that the output has more at the end of an axis, below its stride or dilation: a
        convolution with a stride maps several sizes to the same one.
    groups : int, default 1
        Number of groups into which the channels of input and output are split.
    dilation : int or (int, int), default 1
        Distance between the positions of the window.
    channels_last : bool, default False
        Whether `x`, `residual` and the result have their channels in the last axis.
    activation, residual, out
        As for `conv2d`.

    Returns
    -------
    ndarray, (n, k, oh, ow) or (k, oh, ow)
        `out`, or a new C-contiguous array; (n, oh, ow, k) or (oh, ow, k) with `channels_last`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `conv2d`; also for an `output_padding` that is not below stride or dilation.

    See Also
    --------
    ConvTranspose2d : The same with weights that are packed once.

    Notes
    -----
    Names, order and meaning of the arguments are those of
    ``torch.nn.functional.conv_transpose2d``. With a stride, each phase of the outputs is computed
    as an ordinary convolution with its share of the taps.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import conv_transpose2d
    >>> x = np.array([[[1, 2], [3, 4]]], dtype=np.float32)
    >>> conv_transpose2d(x, np.ones((1, 1, 2, 2), np.float32), stride=2)
    array([[[1., 1., 2., 2.],
            [1., 1., 2., 2.],
            [3., 3., 4., 4.],
            [3., 3., 4., 4.]]], dtype=float32)
    """
    form = stride, padding, output_padding, groups, dilation, channels_last, activation
    return _conv_transpose(2, x, weight, bias, form, residual, out)


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
    """Convolve sequences transposed, as `conv_transpose2d` does images.

    Parameters
    ----------
    x : array_like, (n, c, w) or (c, w)
        The input; (n, w, c) or (w, c) with `channels_last`.
    weight : array_like, (c, k/groups, kw)
        The filters, in this order in both layouts.
    bias, stride, padding, output_padding, groups, dilation
        As for `conv_transpose2d`, with one integer for the only axis.
    channels_last, activation, residual, out
        As for `conv2d`.

    Returns
    -------
    ndarray, (n, k, ow) or (k, ow)
        `out`, or a new C-contiguous array; channels are last with `channels_last`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `conv_transpose2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import conv_transpose1d
    >>> conv_transpose1d(np.array([[1.0, 2.0, 3.0]]), np.array([[[1.0, 10.0]]]), stride=2)
    array([[ 1., 10.,  2., 20.,  3., 30.]])
    """
    form = stride, padding, output_padding, groups, dilation, channels_last, activation
    return _conv_transpose(1, x, weight, bias, form, residual, out)


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
    """Convolve volumes transposed, as `conv_transpose2d` does images.

    Parameters
    ----------
    x : array_like, (n, c, d, h, w) or (c, d, h, w)
        The input; (n, d, h, w, c) or (d, h, w, c) with `channels_last`.
    weight : array_like, (c, k/groups, kd, kh, kw)
        The filters, in this order in both layouts.
    bias, stride, padding, output_padding, groups, dilation
        As for `conv_transpose2d`, with one integer, or pair of padding, for each of three axes.
    channels_last, activation, residual, out
        As for `conv2d`.

    Returns
    -------
    ndarray, (n, k, od, oh, ow) or (k, od, oh, ow)
        `out`, or a new C-contiguous array; channels are last with `channels_last`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `conv_transpose2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import conv_transpose3d
    >>> x = np.ones((1, 2, 4, 4), np.float32)
    >>> conv_transpose3d(x, np.ones((1, 3, 2, 2, 2), np.float32), stride=2).shape
    (3, 4, 8, 8)
    """
    form = stride, padding, output_padding, groups, dilation, channels_last, activation
    return _conv_transpose(3, x, weight, bias, form, residual, out)


def _conv_transpose(
    axes: int,
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None,
    form: tuple[Any, ...],
    residual: ArrayLike | None,
    out: Array | None,
) -> Array:
    x, dtype = _arguments.as_array("x", x, FLOATS)
    weight, own = _arguments.as_array("weight", weight, FLOATS)
    _arguments.same_dtype("weight", own, "x", dtype)
    layer, output_padding = _layer_of(weight.shape, axes, dtype, *form)
    shape = _out_shape(x.shape, weight.shape, layer, output_padding)
    if bias is not None:
        bias = _arguments.operand("bias", bias, (weight.shape[1] * layer.groups,), dtype)
    return _run(x, weight, bias, layer, shape, residual, out)


def _run(
    x: Array,
    weight: Array,
    bias: Array | None,
    layer: Layer,
    shape: tuple[int, ...],
    residual: ArrayLike | None,
    out: Array | None,
    packed_for: Callable[[ConvPlan], Packed] | None = None,
) -> Array:
    """Run what fits; without `packed_for` the weights are packed for this once."""
    if residual is not None:
        residual = _arguments.operand("residual", residual, shape, layer.dtype)
    if out is not None:
        inputs = {"x": x, "residual": residual, "weight": weight, "bias": bias}
        _arguments.check_out(out, shape, layer.dtype, inputs, in_place="residual")
    result = _arguments.target(out, shape, layer.dtype)
    if result.size:
        transpose(x, weight, bias, residual, result, layer, packed_for)
    return _arguments.delivered(result, out)


def _layer_of(
    weight_shape: tuple[int, ...],
    axes: int,
    dtype: str,
    stride: Pair,
    padding: Padding,
    output_padding: Pair,
    groups: SupportsIndex,
    dilation: Pair,
    channels_last: bool,
    activation: Activation | None,
) -> tuple[Layer, tuple[int, ...]]:
    """Normalise the arguments; the second result is the output padding of each axis."""
    if isinstance(padding, str):
        raise ValueError(f"padding must be integers for a transposed convolution, got {padding!r}")
    # The axes of the weights are those of an ordinary convolution that maps the other way.
    layer = layer_of(
        weight_shape, axes, dtype, stride, padding, dilation, groups, channels_last, activation
    )
    for name, values, least in (
        ("stride", layer.stride, 1),
        ("dilation", layer.dilation, 1),
        ("padding", layer.padding, 0),
        ("groups", (layer.groups,), 1),
        ("weight's shape", weight_shape, 1),
    ):
        if min(values) < least:
            raise ValueError(f"{name} must be at least {least}, got {min(values)}")
    extra = _arguments.per_axis("output_padding", output_padding, axes)
    for more, step, spread in zip(extra, layer.stride, layer.dilation, strict=True):
        if not 0 <= more < max(step, spread):
            raise ValueError(
                f"output_padding must be at least 0 and below stride {step} or dilation {spread}, "
                f"got {more}"
            )
    return layer, extra


def _out_shape(
    shape: tuple[int, ...], weight_shape: tuple[int, ...], layer: Layer, extra: tuple[int, ...]
) -> tuple[int, ...]:
    c, kg, *kernel = weight_shape
    axes = len(kernel)
    n, channels, sizes = _arguments.image("x", shape, axes, layer.channels_last)
    if channels != c or c % layer.groups:
        raise ValueError(
            f"weight has {c} input channels, x has {channels} in {layer.groups} groups: they must "
            f"be the same, and a multiple of the groups"
        )
    out = []
    for size, taps, step, pads, spread, more in zip(
        sizes,
        kernel,
        layer.stride,
        _arguments.pairs(layer.padding),
        layer.dilation,
        extra,
        strict=True,
    ):
        length = inverse_size(size, step, spread * (taps - 1) + 1, sum(pads)) + more
        if size < 1 or length < 1:
            raise ValueError(
                f"x of size {size} with kernel {taps}, stride {step} and padding {pads} along an "
                f"axis gives an output of size {length}: it must be at least 1"
            )
        out.append(length)
    whole = (n, *out, kg * layer.groups) if layer.channels_last else (n, kg * layer.groups, *out)
    if max(whole) > _arguments.INT64_MAX:
        raise ValueError(f"the output would have the shape {whole}, which no array has")
    return whole[-len(shape) :]


class ConvTranspose2d(Weighted):
    """A transposed convolution with fixed weights: called with images, it returns larger ones.

    Weights are copied and packed once, as in `Conv2d`. Instances can be pickled and copied.

    Parameters
    ----------
    weight : array_like, (c, k/groups, kh, kw)
        The filters themselves, not their sizes; float16, float32 or float64.
    bias : array_like, (k,), optional
        Added to each output channel; of the dtype of `weight`.
    stride, padding, output_padding, groups, dilation, channels_last, activation
        As for `conv_transpose2d`.

    Attributes
    ----------
    weight, bias : ndarray
        Read-only; `update` replaces them.
    parameters : int
        How many numbers they are.
    receptive_field : tuple of int
        What an output sees of each axis of the input at most, in positions.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `conv_transpose2d`; what depends on the image is told by the call.

    See Also
    --------
    conv_transpose2d : The same as one function.

    Notes
    -----
    Call an instance as ``conv(x, *, out=None, residual=None)``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import ConvTranspose2d
    >>> double = ConvTranspose2d(np.ones((1, 1, 2, 2), np.float32), stride=2)
    >>> double(np.array([[[1, 2]]], dtype=np.float32))
    array([[[1., 1., 2., 2.],
            [1., 1., 2., 2.]]], dtype=float32)
    >>> double.parameters, double.receptive_field
    (4, (1, 1))
    """

    def __init__(
        self,
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
    ) -> None:
        if isinstance(weight, (int, np.integer)):
            raise TypeError(
                f"ConvTranspose2d takes the weights, an array of shape (c, k/groups, kh, kw), and "
                f"not their sizes as torch.nn.ConvTranspose2d does; got {weight!r}"
            )
        weight, dtype = _arguments.as_array("weight", weight, FLOATS)
        form = stride, padding, output_padding, groups, dilation, channels_last, activation
        self._layer, self._extra = _layer_of(weight.shape, 2, dtype, *form)
        self._dtype = dtype
        if weight.shape[0] % self._layer.groups:
            raise ValueError(
                f"groups {self._layer.groups} does not divide the weight's {weight.shape[0]} input "
                f"channels"
            )
        self._take(weight, bias)

    def _outputs(self, weight_shape: tuple[int, ...]) -> int:
        return weight_shape[1] * self._layer.groups

    @property
    def receptive_field(self) -> tuple[int, ...]:
        """What an output sees of each spatial axis of the input at most, in positions."""
        layer = self._layer
        return tuple(
            (taps - 1) * spread // step + 1
            for taps, spread, step in zip(
                self.weight.shape[2:], layer.dilation, layer.stride, strict=True
            )
        )

    def __call__(
        self, x: ArrayLike, /, *, out: Array | None = None, residual: ArrayLike | None = None
    ) -> Array:
        """Return the transposed convolution of `x`; the arguments are those of the function."""
        weights = self._weights  # read once: update() may replace it at any time
        x, dtype = _arguments.as_array("x", x, FLOATS)
        _arguments.same_dtype("x", dtype, "weight", self._dtype)
        shape = _out_shape(x.shape, weights.weight.shape, self._layer, self._extra)
        return _run(
            x, weights.weight, weights.bias, self._layer, shape, residual, out, weights.packed_for
        )

    def __repr__(self) -> str:
        layer = self._layer
        return self._describe(
            stride=layer.stride,
            padding=_arguments.pairs(layer.padding),
            output_padding=self._extra,
            groups=layer.groups,
            dilation=layer.dilation,
            channels_last=layer.channels_last,
            activation=_arguments.activation_form(layer.activation),
        )
