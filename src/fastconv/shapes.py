"""Shape arithmetic: the padding that keeps a size, and the shape of a result.

Knows the argument forms, convolution's plans (``_plans``) and ``_core.out_size``, the one place for
the size of an output.
"""

from collections.abc import Sequence
from typing import Literal, SupportsIndex

from fastconv import _arguments
from fastconv._arguments import Padding, Pair
from fastconv._core import out_size
from fastconv._plans import layer_of, out_shape

__all__ = ["conv_output_shape", "same_padding"]

# Enough to name every stride that is used in practice.
_STRIDES_NAMED = 64


def same_padding(
    size: SupportsIndex | Sequence[SupportsIndex],
    kernel: SupportsIndex | Sequence[SupportsIndex],
    stride: SupportsIndex | Sequence[SupportsIndex] = 1,
    dilation: SupportsIndex | Sequence[SupportsIndex] = 1,
    odd: Literal["end", "begin"] = "end",
) -> tuple[tuple[int, int], ...]:
    """Return the padding with which an output has ``ceil(size / stride)`` positions.

    This is the "same" of TensorFlow and Keras and, by `odd`, ONNX's SAME_UPPER ("end") and
    SAME_LOWER ("begin"). For stride 1 it keeps the size, as ``padding="same"`` does by itself.

    Parameters
    ----------
    size : int or sequence of int
        Size of the input along each axis, such as (h, w).
    kernel : int or sequence of int
        Size of the window along each axis; like the next two, one int serves all axes.
    stride : int or sequence of int, default 1
        Step of the window.
    dilation : int or sequence of int, default 1
        Distance between the positions of the window.
    odd : {"end", "begin"}, default "end"
        The side of an axis that gets the odd one.

    Returns
    -------
    tuple of (int, int)
        The padding before and after, for each axis of `size`: for two axes what `conv2d` and the
        pools take as `padding`.

    Raises
    ------
    TypeError
        If an argument is not an int or a sequence of them.
    ValueError
        If a value is below 1, or the lengths differ.

    Examples
    --------
    >>> from fastconv import same_padding
    >>> same_padding((224, 224), 3, stride=2)
    ((0, 1), (0, 1))
    >>> same_padding((5, 7), (3, 2), odd="begin")
    ((1, 1), (1, 0))
    """
    if not isinstance(odd, str) or odd not in ("end", "begin"):
        raise ValueError(f'odd must be "end" or "begin", got {odd!r}')
    sizes = _arguments.sizes("size", size)
    axes = len(sizes)
    padding = []
    for extent, window, step, spread in zip(
        sizes,
        _arguments.sizes("kernel", kernel, axes),
        _arguments.sizes("stride", stride, axes),
        _arguments.sizes("dilation", dilation, axes),
        strict=True,
    ):
        last = (-(-extent // step) - 1) * step + spread * (window - 1)  # the last position needed
        total = max(last + 1 - extent, 0)
        less, more = total // 2, total - total // 2
        padding.append((less, more) if odd == "end" else (more, less))
    return tuple(padding)


def conv_output_shape(
    input_shape: Sequence[SupportsIndex],
    weight_shape: Sequence[SupportsIndex],
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: SupportsIndex = 1,
    *,
    channels_last: bool = False,
    strict: bool = False,
) -> tuple[int, ...]:
    """Return the shape of the result of `conv1d`, `conv2d` or `conv3d`.

    Parameters
    ----------
    input_shape : sequence of int
        Shape of the images: (n, c, h, w) or (c, h, w), with `channels_last` (n, h, w, c) or
        (h, w, c); with as many spatial axes as `weight_shape` has.
    weight_shape : sequence of int
        Shape of the weights: (k, c/groups, kw), (k, c/groups, kh, kw) or (k, c/groups, kd, kh, kw).
    stride, padding, dilation, groups, channels_last
        As for `conv2d`.
    strict : bool, default False
        Whether to refuse a stride that leaves rows or columns of the padded input over, which
        `conv2d` ignores.

    Returns
    -------
    tuple of int
        (n, k, oh, ow) or (k, oh, ow), with `channels_last` (n, oh, ow, k) or (oh, ow, k).

    Raises
    ------
    TypeError
        If an argument is of the wrong kind.
    ValueError
        If the shapes do not fit; with `strict` also if the stride does not divide evenly.
    MemoryError
        If an array would be larger than any memory.

    Examples
    --------
    >>> from fastconv import conv_output_shape
    >>> conv_output_shape((3, 32, 32), (6, 3, 5, 5))
    (6, 28, 28)
    >>> conv_output_shape((1, 7, 7), (1, 1, 3, 3), stride=3)
    (1, 2, 2)
    >>> conv_output_shape((1, 7, 7), (1, 1, 3, 3), stride=3, strict=True)
    Traceback (most recent call last):
        ...
    ValueError: height does not fit: (7 - 3) / 3 + 1 = 2.33; strides that fit: 1, 2, 4
    """
    shape = _arguments.shape("input_shape", input_shape)
    weights = _arguments.shape("weight_shape", weight_shape)
    axes = len(weights) - 2
    if axes not in (1, 2, 3):
        raise ValueError(f"weight must have the axes (k, c/groups, kh, kw) or so, got {weights}")
    layer = layer_of(weights, axes, "float32", stride, padding, dilation, groups, channels_last)
    result = out_shape("input_shape", shape, weights, layer)
    if _arguments.flag("strict", strict):
        _, _, sizes = _arguments.image("input_shape", shape, axes, layer.channels_last)
        for axis, size, (begin, end), kernel, step, spread in zip(
            ("depth", "height", "width")[-axes:],
            sizes,
            _arguments.pairs(layer.padding),
            weights[2:],
            layer.stride,
            layer.dilation,
            strict=True,
        ):
            _check_fit(axis, size, begin, end, kernel, step, spread)
    return result


def inverse_size(size: int, stride: int, window: int, padding: int) -> int:
    """Return the least size of an axis that windows of a stride bring to the given one.

    `window` is its reach, dilation included, and `padding` that of both sides.
    """
    return (size - 1) * stride + window - padding


def _check_fit(
    axis: str, size: int, begin: int, end: int, kernel: int, stride: int, dilation: int
) -> None:
    _, remainder = out_size(axis, size, begin, end, kernel, stride, dilation, False)
    if not remainder:
        return
    window = dilation * (kernel - 1) + 1
    slack = size + begin + end - window
    padded = f"{size} + {begin} + {end}" if begin or end else f"{size}"
    fitting = [step for step in range(1, min(slack, _STRIDES_NAMED) + 1) if slack % step == 0]
    up_to = f" up to {_STRIDES_NAMED}" if slack > _STRIDES_NAMED else ""
    raise ValueError(
        f"{axis} does not fit: ({padded} - {window}) / {stride} + 1 = {slack / stride + 1:.2f}; "
        f"strides{up_to} that fit: {', '.join(map(str, fitting))}"
    )
