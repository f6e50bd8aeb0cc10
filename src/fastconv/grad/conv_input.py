"""Gradients of convolution with respect to its input.

Knows the argument forms, ``_plans``, and how ``_transposing`` makes ordinary convolutions of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, SupportsIndex

from fastconv import _arguments
from fastconv._arguments import FLOATS, Array, Padding, Pair
from fastconv._plans import layer_of, out_shape
from fastconv._transposing import transpose

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["conv1d_input", "conv2d_input", "conv3d_input"]


def conv2d_input(
    input_size: Sequence[SupportsIndex],
    weight: ArrayLike,
    grad_output: ArrayLike,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: SupportsIndex = 1,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Return the gradient of `conv2d` with respect to its input.

    Parameters
    ----------
    input_size : sequence of int
        Shape of the input: (n, c, h, w) or (c, h, w), with `channels_last` (n, h, w, c) or
        (h, w, c).
    weight : array_like, (k, c/groups, kh, kw)
        The filters of the convolution.
    grad_output : array_like
        Gradient with respect to the result, of its shape and the dtype of `weight`.
    stride, padding, dilation, groups, channels_last
        As for `conv2d`.
    out : ndarray, optional
        Where to write the gradient; any strided view of its shape and dtype that overlaps nothing.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array, of the shape `input_size`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `conv2d`; also where `grad_output` is not of the shape of the result.

    See Also
    --------
    conv_transpose2d : The same with the size of its result worked out.

    Notes
    -----
    Names and order of the arguments are those of ``torch.nn.grad.conv2d_input``. It is computed as
    a convolution of `grad_output` with the filters turned round, for a stride one for each phase.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import grad
    >>> weight = np.array([[[[1, 2], [3, 4]]]], dtype=np.float32)
    >>> grad.conv2d_input((1, 3, 3), weight, np.ones((1, 2, 2), np.float32))
    array([[[ 1.,  3.,  2.],
            [ 4., 10.,  6.],
            [ 3.,  7.,  4.]]], dtype=float32)
    """
    form = stride, padding, dilation, groups, channels_last
    return _conv_input(2, input_size, weight, grad_output, form, out)


def conv1d_input(
    input_size: Sequence[SupportsIndex],
    weight: ArrayLike,
    grad_output: ArrayLike,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: SupportsIndex = 1,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Return the gradient of `conv1d` with respect to its input.

    Parameters
    ----------
    input_size : sequence of int
        Shape of the input: (n, c, w) or (c, w), channels last with `channels_last`.
    weight : array_like, (k, c/groups, kw)
        The filters of the convolution.
    grad_output : array_like
        Gradient with respect to the result, of its shape and the dtype of `weight`.
    stride, padding, dilation, groups, channels_last
        As for `conv1d`.
    out : ndarray, optional
        Where to write the gradient; any strided view of its shape and dtype that overlaps nothing.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array, of the shape `input_size`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `conv1d`; also where `grad_output` is not of the shape of the result.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import grad
    >>> grad.conv1d_input((1, 4), np.array([[[1.0, 2.0]]]), np.array([[1.0, 0.0, 1.0]]))
    array([[1., 2., 1., 2.]])
    """
    form = stride, padding, dilation, groups, channels_last
    return _conv_input(1, input_size, weight, grad_output, form, out)


def conv3d_input(
    input_size: Sequence[SupportsIndex],
    weight: ArrayLike,
    grad_output: ArrayLike,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: SupportsIndex = 1,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Return the gradient of `conv3d` with respect to its input.

    Parameters
    ----------
    input_size : sequence of int
        Shape of the input: (n, c, d, h, w) or (c, d, h, w), channels last with `channels_last`.
    weight : array_like, (k, c/groups, kd, kh, kw)
        The filters of the convolution.
    grad_output : array_like
        Gradient with respect to the result, of its shape and the dtype of `weight`.
    stride, padding, dilation, groups, channels_last
        As for `conv3d`.
    out : ndarray, optional
        Where to write the gradient; any strided view of its shape and dtype that overlaps nothing.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array, of the shape `input_size`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `conv3d`; also where `grad_output` is not of the shape of the result.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import grad
    >>> grad.conv3d_input((1, 2, 2, 2), np.ones((1, 1, 2, 2, 2)), np.ones((1, 1, 1, 1))).sum()
    np.float64(8.0)
    """
    form = stride, padding, dilation, groups, channels_last
    return _conv_input(3, input_size, weight, grad_output, form, out)


def _conv_input(
    axes: int,
    input_size: Sequence[SupportsIndex],
    weight: ArrayLike,
    grad_output: ArrayLike,
    form: tuple[Any, ...],
    out: Array | None,
) -> Array:
    shape = _arguments.shape("input_size", input_size)
    weight, dtype = _arguments.as_array("weight", weight, FLOATS)
    layer = layer_of(weight.shape, axes, dtype, *form)
    result_shape = out_shape("input_size", shape, weight.shape, layer)
    grad_output = _arguments.operand("grad_output", grad_output, result_shape, dtype, "weight")
    if out is not None:
        _arguments.check_out(out, shape, dtype, {"weight": weight, "grad_output": grad_output})
    result = _arguments.target(out, shape, dtype)
    if result.size:
        transpose(grad_output, weight, None, None, result, layer)
    return _arguments.delivered(result, out)
