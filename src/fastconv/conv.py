"""Convolution in one call, over one, two or three axes: `conv1d`, `conv2d`, `conv3d`.

Knows the argument forms, ``_plans`` and ``_core``; every rule of geometry and every choice of
algorithm is made there, by the plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, SupportsIndex

from fastconv import _arguments
from fastconv._arguments import FLOATS, Activation, Array, Padding, Pair
from fastconv._core import ConvPlan, Packed
from fastconv._plans import layer_of, plan_for
from fastconv.padding import filled

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
    """Convolve images with filters (cross-correlation, as neural networks mean it).

    ``y[n, k, i, j] = bias[k] + sum(x[n, c, i*sh + p*dh, j*sw + q*dw] * weight[k, c, p, q])`` over
    the channels c of k's group and the positions (p, q) of the window, on the padded input.
    Weights that serve many calls are better kept in a `Conv2d`, which packs them once.

    Parameters
    ----------
    x : array_like, (n, c, h, w) or (c, h, w)
        The images; (n, h, w, c) or (h, w, c) with `channels_last`. float16, float32 or float64,
        of any strides and byte order. float16 is computed in float32 and rounded once.
    weight : array_like, (k, c/groups, kh, kw)
        The filters, in this order in both layouts, of the dtype of `x`.
    bias : array_like, (k,), optional
        Added to each output channel.
    stride : int or (int, int), default 1
        Step of the window along height and width.
    padding : int, (int, int), nested pairs, "same" or "valid", default 0
        Positions around the input: the same on both sides of an axis, or ``((top, bottom), (left,
        right))``. "valid" is none. "same" keeps the size, for stride 1; where the two sides
        differ, the odd one comes at the end.
    dilation : int or (int, int), default 1
        Distance between the positions of the window.
    groups : int, default 1
        Number of groups into which the channels of input and output are split; each group of
        outputs sees its own group of inputs.
    channels_last : bool, default False
        Whether `x`, `residual` and the result have their channels in the last axis.
    padding_mode : {"zeros", "reflect", "replicate", "circular"}, default "zeros"
        What the padding is filled with; see `pad`.
    activation : str or tuple, optional
        Applied to the result: "relu", "relu6", "sigmoid", "tanh", "silu", "hardswish",
        ``("leaky_relu", slope)`` or ``("clip", lo, hi)``.
    residual : array_like, optional
        Added before the activation; of the shape and dtype of the result.
    out : ndarray, optional
        Where to write the result; any strided view of its shape and dtype. It may be `residual`
        itself, but must not overlap any other input.
    algorithm : str, default "auto"
        "direct", "im2col", "pointwise", "depthwise", "winograd_f43", "winograd_f23" or
        "winograd_f25" forces one, "winograd" the best of the last three; "auto" takes the one that
        should be fastest, the packing of the weights included.

    Returns
    -------
    ndarray, (n, k, oh, ow) or (k, oh, ow)
        `out`, or a new C-contiguous array; (n, oh, ow, k) or (oh, ow, k) with `channels_last`.

    Raises
    ------
    TypeError
        For a dtype that is not supported, mixed dtypes, masked arrays, and arguments of the wrong
        kind.
    ValueError
        For shapes, values and an `out` that do not fit, and for an `algorithm` that cannot serve.
        Nothing has been written then.
    MemoryError
        If there is not enough memory.

    See Also
    --------
    Conv2d : The same with weights that are packed once.
    conv_output_shape : The shape of the result.

    Notes
    -----
    Names, order and meaning of the arguments are those of ``torch.nn.functional.conv2d``; those
    after `groups` are extensions. The same input gives the same bits for any number of threads.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import conv2d
    >>> x = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    >>> laplace = np.array([[[[0, 1, 0], [1, -4, 1], [0, 1, 0]]]], dtype=np.float32)
    >>> conv2d(x, laplace)
    array([[[0., 0.],
            [0., 0.]]], dtype=float32)
    >>> conv2d(x, laplace, padding="same", activation="relu")
    array([[[5., 3., 2., 0.],
            [0., 0., 0., 0.],
            [0., 0., 0., 0.],
            [0., 0., 0., 0.]]], dtype=float32)
    """
    return _convolve(
        2,
        x,
        weight,
        bias,
        (stride, padding, dilation, groups, channels_last, activation, algorithm),
        padding_mode,
        residual,
        out,
    )


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
    """Convolve sequences with filters, as `conv2d` does images.

    ``y[n, k, j] = bias[k] + sum(x[n, c, j*s + q*d] * weight[k, c, q])`` over the channels c of k's
    group and the positions q of the window, on the padded input.

    Parameters
    ----------
    x : array_like, (n, c, w) or (c, w)
        The input; (n, w, c) or (w, c) with `channels_last`.
    weight : array_like, (k, c/groups, kw)
        The filters, in this order in both layouts.
    bias, stride, padding, dilation, groups
        As for `conv2d`, with one integer for the only axis.
    channels_last, padding_mode, activation, residual, out, algorithm
        As for `conv2d`.

    Returns
    -------
    ndarray, (n, k, ow) or (k, ow)
        `out`, or a new C-contiguous array; channels are last with `channels_last`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `conv2d`.

    See Also
    --------
    Conv1d : The same with weights that are packed once.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import conv1d
    >>> x = np.array([[1, 4, 9, 16, 25]], dtype=np.float32)
    >>> conv1d(x, np.array([[[-1, 1]]], dtype=np.float32))
    array([[3., 5., 7., 9.]], dtype=float32)
    """
    return _convolve(
        1,
        x,
        weight,
        bias,
        (stride, padding, dilation, groups, channels_last, activation, algorithm),
        padding_mode,
        residual,
        out,
    )


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
    """Convolve volumes with filters, as `conv2d` does images.

    The windows have a depth beside height and width; each plane of the result sums over the planes
    of the input that its windows reach.

    Parameters
    ----------
    x : array_like, (n, c, d, h, w) or (c, d, h, w)
        The input; (n, d, h, w, c) or (d, h, w, c) with `channels_last`.
    weight : array_like, (k, c/groups, kd, kh, kw)
        The filters, in this order in both layouts.
    bias, stride, padding, dilation, groups
        As for `conv2d`, with one integer, or pair of padding, for each of three axes.
    channels_last, padding_mode, activation, residual, out, algorithm
        As for `conv2d`.

    Returns
    -------
    ndarray, (n, k, od, oh, ow) or (k, od, oh, ow)
        `out`, or a new C-contiguous array; channels are last with `channels_last`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `conv2d`.

    See Also
    --------
    Conv3d : The same with weights that are packed once.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import conv3d
    >>> x = np.ones((1, 3, 4, 4), np.float32)
    >>> conv3d(x, np.ones((2, 1, 3, 3, 3), np.float32)).shape
    (2, 1, 2, 2)
    >>> float(conv3d(x, np.ones((1, 1, 3, 3, 3), np.float32)).max())
    27.0
    """
    return _convolve(
        3,
        x,
        weight,
        bias,
        (stride, padding, dilation, groups, channels_last, activation, algorithm),
        padding_mode,
        residual,
        out,
    )


def _convolve(
    axes: int,
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None,
    form: tuple[Any, ...],
    padding_mode: str,
    residual: ArrayLike | None,
    out: Array | None,
) -> Array:
    """Convolve over `axes` spatial axes; `form` is the rest of the arguments of `layer_of`."""
    x, dtype = _arguments.as_array("x", x, FLOATS)
    weight, own = _arguments.as_array("weight", weight, FLOATS)
    _arguments.same_dtype("weight", own, "x", dtype)
    layer, filling = filled(layer_of(weight.shape, axes, dtype, *form), padding_mode)
    given = x
    if filling:
        x = filling.apply(x)
    plan = plan_for("x", x.shape, weight.shape, layer, one_shot=True)
    if bias is not None:
        bias = _arguments.operand("bias", bias, weight.shape[:1], dtype)
    return run(
        plan,
        weight,
        x,
        dtype,
        bias,
        residual,
        out,
        {"x": given, "weight": weight, "bias": bias},
    )


def run(
    plan: ConvPlan,
    weights: Packed | Array,
    x: Array,
    dtype: str,
    bias: Array | None,
    residual: ArrayLike | None,
    out: Array | None,
    inputs: Mapping[str, Array | None],
) -> Array:
    """Run `plan` with packed weights, or with an array of them that is packed for this once.

    `inputs` are those beside the residual that `out` must not overlap.
    """
    shape = plan.out_shape[-x.ndim :]
    if residual is not None:
        residual = _arguments.operand("residual", residual, shape, dtype)
    if out is not None:
        inputs = {"residual": residual, **inputs}
        _arguments.check_out(out, shape, dtype, inputs, in_place="residual")
    result = _arguments.target(out, shape, dtype)
    if result.size:  # an empty batch has no rows to speak of
        x = _arguments.rows(x)
        plan.run(
            x,
            weights if isinstance(weights, Packed) else _arguments.contiguous(weights),
            None if bias is None else _arguments.contiguous(bias),
            None if residual is None else _arguments.rows(residual),
            result,
        )
    return _arguments.delivered(result, out)
