"""Gradients of convolution with respect to its weights and bias.

Knows the argument forms, the plans of ``_plans`` and, for sums over whole planes, pooling.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np

from fastconv import _arguments
from fastconv._arguments import FLOATS, Array, Padding, Pair
from fastconv._plans import layer_of, weight_plan_for
from fastconv.avg_pool import avg_pool2d

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = [
    "conv1d_bias",
    "conv1d_weight",
    "conv2d_bias",
    "conv2d_weight",
    "conv3d_bias",
    "conv3d_weight",
]


def conv2d_weight(
    x: ArrayLike,
    /,
    weight_size: Sequence[SupportsIndex],
    grad_output: ArrayLike,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: SupportsIndex = 1,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Return the gradient of `conv2d` with respect to its weights.

    Parameters
    ----------
    x : array_like, (n, c, h, w) or (c, h, w)
        The input of the convolution; channels are last with `channels_last`. float16 is
        computed in float32 and rounded once.
    weight_size : sequence of int
        Shape of the weights: (k, c/groups, kh, kw), in both layouts.
    grad_output : array_like, (n, k, oh, ow) or (k, oh, ow)
        Gradient with respect to the result, of its shape and the dtype of `x`.
    stride, padding, dilation, groups, channels_last
        As for `conv2d`.
    out : ndarray, optional
        Where to write the gradient; any strided view of its shape and dtype that overlaps nothing.

    Returns
    -------
    ndarray, (k, c/groups, kh, kw)
        `out`, or a new C-contiguous array.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `conv2d`; also where `grad_output` is not of the shape of the result.

    See Also
    --------
    conv2d_input : The gradient with respect to the input.
    conv2d_bias : That with respect to the bias.

    Notes
    -----
    Names and order of the arguments are those of ``torch.nn.grad.conv2d_weight``; float16,
    unbatched inputs, padding that differs from side to side or is "same", and what comes after
    `groups` are extensions. The same arguments give the same bits for any number of threads.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import grad
    >>> x = np.arange(9, dtype=np.float32).reshape(1, 3, 3)
    >>> grad.conv2d_weight(x, (1, 1, 2, 2), np.ones((1, 2, 2), np.float32))
    array([[[[ 8., 12.],
             [20., 24.]]]], dtype=float32)
    """
    form = stride, padding, dilation, groups, channels_last
    return _conv_weight(2, x, weight_size, grad_output, form, out)


def conv1d_weight(
    x: ArrayLike,
    /,
    weight_size: Sequence[SupportsIndex],
    grad_output: ArrayLike,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: SupportsIndex = 1,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Return the gradient of `conv1d` with respect to its weights.

    Parameters
    ----------
    x : array_like, (n, c, w) or (c, w)
        The input of the convolution; channels are last with `channels_last`.
    weight_size : sequence of int
        Shape of the weights: (k, c/groups, kw), in both layouts.
    grad_output : array_like, (n, k, ow) or (k, ow)
        Gradient with respect to the result, of its shape and the dtype of `x`.
    stride, padding, dilation, groups, channels_last
        As for `conv1d`.
    out : ndarray, optional
        Where to write the gradient; any strided view of its shape and dtype that overlaps nothing.

    Returns
    -------
    ndarray, (k, c/groups, kw)
        `out`, or a new C-contiguous array.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `conv1d`; also where `grad_output` is not of the shape of the result.

    See Also
    --------
    conv1d_input : The gradient with respect to the input.
    conv1d_bias : That with respect to the bias.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import grad
    >>> x = np.array([[1.0, 2.0, 4.0]])
    >>> grad.conv1d_weight(x, (1, 1, 2), np.array([[1.0, 1.0]]))
    array([[[3., 6.]]])
    """
    form = stride, padding, dilation, groups, channels_last
    return _conv_weight(1, x, weight_size, grad_output, form, out)


def conv3d_weight(
    x: ArrayLike,
    /,
    weight_size: Sequence[SupportsIndex],
    grad_output: ArrayLike,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: SupportsIndex = 1,
    *,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Return the gradient of `conv3d` with respect to its weights.

    Parameters
    ----------
    x : array_like, (n, c, d, h, w) or (c, d, h, w)
        The input of the convolution; channels are last with `channels_last`.
    weight_size : sequence of int
        Shape of the weights: (k, c/groups, kd, kh, kw), in both layouts.
    grad_output : array_like, (n, k, od, oh, ow) or (k, od, oh, ow)
        Gradient with respect to the result, of its shape and the dtype of `x`.
    stride, padding, dilation, groups, channels_last
        As for `conv3d`.
    out : ndarray, optional
        Where to write the gradient; any strided view of its shape and dtype that overlaps nothing.

    Returns
    -------
    ndarray, (k, c/groups, kd, kh, kw)
        `out`, or a new C-contiguous array.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `conv3d`; also where `grad_output` is not of the shape of the result.

    See Also
    --------
    conv3d_input : The gradient with respect to the input.
    conv3d_bias : That with respect to the bias.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import grad
    >>> x = np.ones((1, 3, 3, 3))
    >>> grad.conv3d_weight(x, (1, 1, 2, 2, 2), np.ones((1, 2, 2, 2))).sum()
    np.float64(64.0)
    """
    form = stride, padding, dilation, groups, channels_last
    return _conv_weight(3, x, weight_size, grad_output, form, out)


def conv2d_bias(grad_output: ArrayLike, *, channels_last: bool = False) -> Array:
    """Return the gradient of `conv2d` with respect to its bias: the sums over all pixels.

    Parameters
    ----------
    grad_output : array_like, (n, k, oh, ow) or (k, oh, ow)
        Gradient with respect to the result; channels are last with `channels_last`.
    channels_last : bool, default False
        Whether the channels are in the last axis.

    Returns
    -------
    ndarray, (k,)
        Of the dtype of `grad_output`; float16 is summed in float32 and rounded once.

    Raises
    ------
    TypeError
        For a dtype that is not supported, a masked array, and a `channels_last` that is no bool.
    ValueError
        For an array without the axes of a result.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import grad
    >>> grad.conv2d_bias(np.ones((2, 3, 4, 4), np.float32))
    array([32., 32., 32.], dtype=float32)
    """
    return _conv_bias(2, grad_output, channels_last)


def conv1d_bias(grad_output: ArrayLike, *, channels_last: bool = False) -> Array:
    """Return the gradient of `conv1d` with respect to its bias: the sums over all pixels.

    Parameters
    ----------
    grad_output : array_like, (n, k, ow) or (k, ow)
        Gradient with respect to the result; channels are last with `channels_last`.
    channels_last : bool, default False
        Whether the channels are in the last axis.

    Returns
    -------
    ndarray, (k,)
        Of the dtype of `grad_output`; float16 is summed in float32 and rounded once.

    Raises
    ------
    TypeError
        For a dtype that is not supported, a masked array, and a `channels_last` that is no bool.
    ValueError
        For an array without the axes of a result.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import grad
    >>> grad.conv1d_bias(np.array([[1.0, 2.0, 4.0]]))
    array([7.])
    """
    return _conv_bias(1, grad_output, channels_last)


def conv3d_bias(grad_output: ArrayLike, *, channels_last: bool = False) -> Array:
    """Return the gradient of `conv3d` with respect to its bias: the sums over all pixels.

    Parameters
    ----------
    grad_output : array_like, (n, k, od, oh, ow) or (k, od, oh, ow)
        Gradient with respect to the result; channels are last with `channels_last`.
    channels_last : bool, default False
        Whether the channels are in the last axis.

    Returns
    -------
    ndarray, (k,)
        Of the dtype of `grad_output`; float16 is summed in float32 and rounded once.

    Raises
    ------
    TypeError
        For a dtype that is not supported, a masked array, and a `channels_last` that is no bool.
    ValueError
        For an array without the axes of a result.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import grad
    >>> grad.conv3d_bias(np.ones((2, 1, 2, 2, 2)))
    array([16.])
    """
    return _conv_bias(3, grad_output, channels_last)


def _conv_weight(
    axes: int,
    x: ArrayLike,
    weight_size: Sequence[SupportsIndex],
    grad_output: ArrayLike,
    form: tuple[Any, ...],
    out: Array | None,
) -> Array:
    x, dtype = _arguments.as_array("x", x, FLOATS)
    shape = _arguments.shape("weight_size", weight_size)
    layer = layer_of(shape, axes, dtype, *form)
    plan = weight_plan_for("x", x.shape, shape, layer)
    result_shape = plan.out_shape[-x.ndim :]
    grad_output = _arguments.operand("grad_output", grad_output, result_shape, dtype)
    if out is not None:
        _arguments.check_out(out, shape, dtype, {"x": x, "grad_output": grad_output})
    result = _arguments.target(out, shape, dtype, in_one_run=True)
    if x.size:
        plan.run(_arguments.rows(x), _arguments.rows(grad_output), result)
    else:  # an empty batch has no rows to speak of
        result.fill(0)
    return _arguments.delivered(result, out)


def _conv_bias(axes: int, grad_output: ArrayLike, channels_last: bool) -> Array:
    grad_output, dtype = _arguments.as_array("grad_output", grad_output, FLOATS)
    channels_last = _arguments.flag("channels_last", channels_last)
    n, k, sizes = _arguments.image("grad_output", grad_output.shape, axes, channels_last)
    if not grad_output.size:
        return np.zeros(k, dtype)
    if dtype == "float16":
        grad_output = grad_output.astype(np.float32)
    *rows, width = sizes
    plane = prod(rows), width
    shape = (n, *plane, k) if channels_last else (n, k, *plane)
    sums = avg_pool2d(
        grad_output.reshape(shape), plane, divisor_override=1, channels_last=channels_last
    )
    with np.errstate(over="ignore"):  # of a sum that its dtype cannot hold: infinity
        total: Array = sums.reshape(n, k).sum(axis=0, dtype=np.float64).astype(dtype, copy=False)
    return total
