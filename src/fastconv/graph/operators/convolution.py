"""Convolutions, dense layers and products of matrices, with what may be fused into them."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, Literal

import numpy as np

from fastconv import _arguments
from fastconv._arguments import Activation as Form
from fastconv._arguments import Array, Padding, Pair
from fastconv._plans import Layer, layer_of, out_shape
from fastconv.conv import conv1d, conv2d, conv3d
from fastconv.graph.node import Operator, Shape, Spec, Window, given
from fastconv.linear import linear
from fastconv.shapes import same_padding
from fastconv.transposed import conv_transpose1d, conv_transpose2d, conv_transpose3d

_CONVOLUTIONS = {1: conv1d, 2: conv2d, 3: conv3d}
_TRANSPOSED = {1: conv_transpose1d, 2: conv_transpose2d, 3: conv_transpose3d}


def spatial_axes(name: str, shape: Shape) -> int:
    """Return how many spatial axes an input or a weight has beside two others."""
    axes = len(shape) - 2
    if axes not in (1, 2, 3):
        raise ValueError(f"{name} must have 3 to 5 axes, got shape {shape}")
    return axes


def resolved_padding(
    padding: Padding | Literal["same_upper", "same_lower"],
    sizes: Shape,
    kernel: Pair,
    stride: Pair,
    dilation: Pair,
) -> Padding:
    """Return ONNX's "same_upper" and "same_lower" as numbers, and any other padding as it is."""
    if padding != "same_upper" and padding != "same_lower":
        return padding
    axes = len(sizes)
    return same_padding(
        sizes,
        _arguments.per_axis("kernel", kernel, axes),
        _arguments.per_axis("stride", stride, axes),
        _arguments.per_axis("dilation", dilation, axes),
        "end" if padding == "same_upper" else "begin",
    )


@dataclass(frozen=True, kw_only=True)
class Conv(Operator):
    """A convolution, over as many spatial axes as its weight has.

    Its inputs are x (n, c, ...), the weight (k, c/groups, ...), and, if they are given, a bias (k,)
    and a residual of the result's shape, which is added before the activation. All have one
    floating dtype. Both are what compiled graphs fuse into it.

    Parameters
    ----------
    stride : int or tuple of int, default 1
        As for `conv2d`.
    padding : int, tuple or str, default 0
        As for `conv2d`, or ``"same_upper"`` or ``"same_lower"``, as ONNX calls the paddings
        with which an output has ``ceil(size / stride)`` positions: where their sum is odd, one more
        stands at the end, or at the beginning.
    dilation : int or tuple of int, default 1
        As for `conv2d`.
    groups : int, default 1
        As for `conv2d`.
    activation : str or tuple, optional
        As for `conv2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.operators import Conv
    >>> x, weight = np.ones((1, 3, 8, 8), np.float32), np.ones((4, 3, 3, 3), np.float32)
    >>> Conv(stride=2, padding="same_upper").evaluate(x, weight)[0].shape
    (1, 4, 4, 4)
    """

    stride: Pair = 1
    padding: Padding | Literal["same_upper", "same_lower"] = 0
    dilation: Pair = 1
    groups: int = 1
    activation: Form | None = None

    def padding_for(self, shape: Shape, weight_shape: Shape) -> Padding:
        """Return the padding of an input of the given shape, as `conv2d` takes it."""
        form = shape[2:], weight_shape[2:], self.stride, self.dilation
        return resolved_padding(self.padding, *form)

    def layer(self, shape: Shape, weight_shape: Shape, dtype: str) -> Layer:
        """Return its arguments in normal form."""
        padding = self.padding_for(shape, weight_shape)
        form = self.stride, padding, self.dilation, self.groups, False, self.activation
        return layer_of(weight_shape, spatial_axes("weight", weight_shape), dtype, *form)

    def evaluate(self, *inputs: Array | None) -> tuple[Array, ...]:
        """Convolve."""
        x, weight, bias, residual = _filled(inputs, 4)
        return (
            _CONVOLUTIONS[spatial_axes("weight", weight.shape)](
                x,
                weight,
                bias,
                self.stride,
                self.padding_for(x.shape, weight.shape),
                self.dilation,
                self.groups,
                activation=self.activation,
                residual=residual,
            ),
        )

    def infer(self, *inputs: Spec | None) -> tuple[Spec, ...]:
        """Return the shape of the output."""
        x, weight = _both(inputs)
        layer = self.layer(x.shape, weight.shape, x.dtype.name)
        _check_image(x.shape, weight.shape)
        _arguments.same_dtype("weight", weight.dtype.name, "x", x.dtype.name)
        return (Spec(out_shape("x", x.shape, weight.shape, layer), x.dtype),)

    def window(self, *inputs: Spec | None) -> Window | None:
        """Return the weight's window."""
        _, weight = _both(inputs)
        axes = spatial_axes("weight", weight.shape)
        return Window(
            weight.shape[2:],
            _arguments.per_axis("stride", self.stride, axes),
            _arguments.per_axis("dilation", self.dilation, axes),
        )

    def macs(self, inputs: tuple[Spec | None, ...], outputs: tuple[Spec, ...]) -> int:
        """Return one for each output and element of its filter."""
        _, weight = _both(inputs)
        return prod(outputs[0].shape) * prod(weight.shape[1:])


@dataclass(frozen=True, kw_only=True)
class ConvTranspose(Operator):
    """A transposed convolution, over as many spatial axes as its weight has.

    Its inputs are x (n, c, ...), the weight (c, k/groups, ...), and, if it is given, a bias (k,).

    Parameters
    ----------
    stride, padding, output_padding, dilation, groups
        As for `conv_transpose2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.operators import ConvTranspose
    >>> x, weight = np.ones((1, 4, 8, 8), np.float32), np.ones((4, 2, 2, 2), np.float32)
    >>> ConvTranspose(stride=2).evaluate(x, weight)[0].shape
    (1, 2, 16, 16)
    """

    stride: Pair = 1
    padding: Padding = 0
    output_padding: Pair = 0
    dilation: Pair = 1
    groups: int = 1

    def evaluate(self, *inputs: Array | None) -> tuple[Array, ...]:
        """Convolve the other way."""
        x, weight, bias = _filled(inputs, 3)
        form = self.stride, self.padding, self.output_padding, self.groups, self.dilation
        return (_TRANSPOSED[spatial_axes("weight", weight.shape)](x, weight, bias, *form),)

    def macs(self, inputs: tuple[Spec | None, ...], outputs: tuple[Spec, ...]) -> int:
        """Return one for each input and element of its filter."""
        x, weight = _both(inputs)
        return prod(x.shape) * prod(weight.shape[1:])


@dataclass(frozen=True, kw_only=True)
class Dense(Operator):
    """A dense layer on the last axis.

    Its inputs are x (..., c), the weight (k, c), and, if they are given, a bias (k,) and a residual
    (..., k), which is added before the activation. All have one floating dtype.

    Parameters
    ----------
    activation : str or tuple, optional
        As for `linear`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.operators import Dense
    >>> x, weight = np.array([[1, 2]], np.float32), np.array([[3, 1], [-1, 0]], np.float32)
    >>> Dense(activation="relu").evaluate(x, weight)
    (array([[5., 0.]], dtype=float32),)
    """

    activation: Form | None = None

    def evaluate(self, *inputs: Array | None) -> tuple[Array, ...]:
        """Multiply."""
        x, weight, bias, residual = _filled(inputs, 4)
        return (linear(x, weight, bias, activation=self.activation, residual=residual),)

    def infer(self, *inputs: Spec | None) -> tuple[Spec, ...]:
        """Return the shape of the output."""
        x, weight = _both(inputs)
        if len(weight.shape) != 2 or not x.shape or x.shape[-1] != weight.shape[1]:
            raise ValueError(f"x has shape {x.shape}, weight {weight.shape}: features differ")
        _arguments.same_dtype("weight", weight.dtype.name, "x", x.dtype.name)
        _arguments.activation(self.activation)
        return (Spec((*x.shape[:-1], weight.shape[0]), x.dtype),)

    def macs(self, inputs: tuple[Spec | None, ...], outputs: tuple[Spec, ...]) -> int:
        """Return one for each output and input feature."""
        x, _ = _both(inputs)
        return prod(outputs[0].shape) * x.shape[-1]


@dataclass(frozen=True, kw_only=True)
class MatMul(Operator):
    """The product of two stacks of matrices, as ``numpy.matmul``.

    A compiled graph makes a dense layer of one whose second matrix is constant and floating.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph.operators import MatMul
    >>> MatMul().evaluate(np.array([[1, 2]]), np.array([[3], [4]]))
    (array([[11]]),)
    """

    def evaluate(self, *inputs: Array | None) -> tuple[Array, ...]:
        """Multiply."""
        a, b = _filled(inputs, 2)
        return (np.asarray(np.matmul(a, b)),)

    def infer(self, *inputs: Spec | None) -> tuple[Spec, ...]:
        """Return the shape of the product, by that of matrices without elements between them."""
        a, b = _both(inputs)
        if len(b.shape) == 2 and len(a.shape) > 1 and a.shape[-1] == b.shape[0]:
            return (Spec((*a.shape[:-1], b.shape[1]), np.result_type(a.dtype, b.dtype)),)
        return super().infer(*inputs)

    def macs(self, inputs: tuple[Spec | None, ...], outputs: tuple[Spec, ...]) -> int:
        """Return one for each output and element of a row."""
        a, _ = _both(inputs)
        return prod(outputs[0].shape) * (a.shape[-1] if a.shape else 1)


def _check_image(shape: Shape, weight_shape: Shape) -> None:
    # Functions take an image without the batch axis too; in a graph it would be a mistake.
    if len(shape) != len(weight_shape):
        raise ValueError(f"x must have {len(weight_shape)} axes as weight has, got shape {shape}")


def _both(inputs: tuple[Spec | None, ...]) -> tuple[Spec, Spec]:
    """Return the first two inputs, which are not optional."""
    x, weight = (*inputs, None, None)[:2]
    return given(x), given(weight)


def _filled(inputs: tuple[Array | None, ...], count: int) -> tuple[Any, ...]:
    """Return that many inputs, with None for those that are not given, beyond the first two."""
    if len(inputs) < 2 or inputs[0] is None or inputs[1] is None:
        raise ValueError("an input is missing that is not optional")
    return (*inputs, *(None,) * (count - len(inputs)))
