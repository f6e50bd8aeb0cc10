"""Converters of what looks through windows: convolutions, also of integers, and poolings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from math import prod
from typing import Any, Literal

import numpy as np

from fastconv._arguments import NUMBERS, Array
from fastconv.columns import fold
from fastconv.graph import Operator
from fastconv.graph import operators as ops
from fastconv.onnx.call import Call, Converter, OnnxFunction
from fastconv.onnx.converters.quantized import centred, requantized, wrapped

# -- the attributes of windows ---------------------------------------------------------------------

_SAME = {"SAME_UPPER": "same_upper", "SAME_LOWER": "same_lower"}


def _auto_pad(call: Call) -> str:
    auto: str = call.get("auto_pad", "NOTSET")
    if auto not in (*_SAME, "NOTSET", "VALID"):
        raise ValueError(f"auto_pad must be NOTSET, SAME_UPPER, SAME_LOWER or VALID, got {auto!r}")
    return auto


def _padding(call: Call, axes: int) -> Any:
    """Return `auto_pad` and `pads` as the operators of graphs take a padding."""
    auto = _auto_pad(call)
    pads = call.get("pads") or (0,) * 2 * axes
    if len(pads) != 2 * axes:
        raise ValueError(f"pads must hold {2 * axes} integers, got {list(pads)}")
    if auto == "VALID":
        return ((0, 0),) * axes
    return _SAME.get(auto) or tuple(zip(pads[:axes], pads[axes:], strict=True))


def _per_axis(call: Call, name: str, axes: int, default: int = 1) -> tuple[int, ...]:
    values = tuple(call.get(name) or (default,) * axes)
    if len(values) != axes:
        raise ValueError(f"{name} must hold {axes} integers, got {list(values)}")
    return values


def _kernel(call: Call, weight: int) -> tuple[int, ...]:
    """Return the window of the weight, an input, which `kernel_shape` may tell and must fit."""
    told = tuple(call.get("kernel_shape") or ())
    value = call.value(weight)
    if value is None and told:
        return told
    shape = call.sizes(weight) if value is None else value.shape
    if value is not None and told and told != shape[2:]:
        raise ValueError(f"kernel_shape is {list(told)}, the weight has shape {shape}")
    return told or tuple(size or 0 for size in shape[2:])


# -- convolutions ----------------------------------------------------------------------------------


def _conv(call: Call, weight: int) -> ops.Conv:
    axes = len(_kernel(call, weight))
    return ops.Conv(
        stride=_per_axis(call, "strides", axes),
        padding=_padding(call, axes),
        dilation=_per_axis(call, "dilations", axes),
        groups=call.get("group", 1),
    )


def conv(call: Call) -> ops.Conv | None:
    """Convert Conv."""
    if not call.floating() or len(_kernel(call, 1)) not in (1, 2, 3):
        call.fallback()
        return None
    return _conv(call, 1)


def conv_integer(call: Call) -> None:
    """Convert ConvInteger."""
    x = call.function(centred, call.input(0), call.input(2))
    weight = call.function(centred, call.input(1), call.input(3))
    call.finish(OnnxFunction(call.op, wrapped), call.emit(_conv(call, 1), x, weight))


def q_linear_conv(call: Call) -> None:
    """Convert QLinearConv."""
    x = call.function(centred, call.input(0), call.input(2))
    weight = call.function(centred, call.input(3), call.input(5))
    bias = call.function(centred, call.input(8), "") if call.input(8) else ""
    total = call.emit(_conv(call, 3), x, weight, bias)
    requantize = OnnxFunction(call.op, partial(requantized, axes=(1, 1)))
    call.finish(requantize, total, *(call.input(i) for i in (1, 4, 6, 7)))


def conv_transpose(call: Call) -> None:
    """Convert ConvTranspose, whose padding may follow from the output's size."""
    kernel = _kernel(call, 1)
    axes = len(kernel)
    if not call.floating() or axes not in (1, 2, 3):
        return call.fallback()
    stride = _per_axis(call, "strides", axes)
    dilation = _per_axis(call, "dilations", axes)
    extra = _per_axis(call, "output_padding", axes, 0)
    wanted = tuple(call.get("output_shape") or ())[-axes:]
    padding = _padding(call, axes)
    if wanted or isinstance(padding, str):
        kernel = call.spatial(1)
        wanted = wanted or tuple(map(int.__mul__, call.spatial(), stride))
        full = [
            s * (size - 1) + more + (k - 1) * d + 1
            for s, size, more, k, d in zip(
                stride, call.spatial(), extra, kernel, dilation, strict=True
            )
        ]
        totals = [max(0, all_ - size) for all_, size in zip(full, wanted, strict=True)]
        extra = tuple(
            more + max(0, size - all_) for more, all_, size in zip(extra, full, wanted, strict=True)
        )
        if any(more >= max(pair) for more, *pair in zip(extra, stride, dilation, strict=True)):
            raise ValueError(
                f"output_shape {list(wanted)} is too large: without padding the output has "
                f"{full}, and output_padding must be below the stride or the dilation"
            )
        odd_at_end = padding == "same_upper"
        padding = tuple(
            (total // 2, -(-total // 2)) if odd_at_end else (-(-total // 2), total // 2)
            for total in totals
        )
    operator = ops.ConvTranspose(
        stride=stride,
        padding=padding,
        output_padding=extra,
        dilation=dilation,
        groups=call.get("group", 1),
    )
    return call.finish(operator, *call.inputs)


def col2im(call: Call) -> None:
    """Convert Col2Im."""
    image, block = call.value(1), call.value(2)
    axes = 2 if block is None else block.size
    pads = tuple(call.get("pads") or (0,) * 2 * axes)
    forms = {name: _per_axis(call, name, axes) for name in ("dilations", "strides")}
    if image is None or block is None or axes != 2 or pads[:axes] != pads[axes:]:
        return call.fallback()
    form = image.tolist(), block.tolist(), forms["dilations"], pads[:axes], forms["strides"]
    call.finish(OnnxFunction(call.op, partial(_folded, form=form)), call.inputs[0])
    return None


def _folded(x: Array, form: tuple[Any, ...]) -> Array:
    return fold(x, *form)


# -- poolings --------------------------------------------------------------------------------------


def _pool_form(call: Call) -> dict[str, Any]:
    kernel = tuple(call.get("kernel_shape"))
    axes = len(kernel)
    stride, dilation = _per_axis(call, "strides", axes), _per_axis(call, "dilations", axes)
    for name, values in {"kernel_shape": kernel, "strides": stride, "dilations": dilation}.items():
        if min(values, default=0) < 1:
            raise ValueError(f"{name} must hold integers of at least 1, got {list(values)}")
    return {
        "kernel": kernel,
        "stride": stride,
        "padding": _padding(call, axes),
        "dilation": dilation,
        "ceil_mode": bool(call.get("ceil_mode", 0)),
    }


def _is_served(form: dict[str, Any]) -> bool:
    """Whether the pooling kernels have such windows: few axes, and padding of half their reach."""
    reach = [d * (k - 1) + 1 for k, d in zip(form["kernel"], form["dilation"], strict=True)]
    padding = form["padding"]
    return len(reach) <= 3 and (
        isinstance(padding, str)
        or all(max(pair) <= size // 2 for pair, size in zip(padding, reach, strict=True))
    )


def max_pool(call: Call) -> Operator | None:
    """Convert MaxPool; ONNX counts indices over the whole array, graphs within a plane."""
    form = _pool_form(call)
    columns_first = call.get("storage_order", 0)
    if call.dtype() not in NUMBERS:
        call.fallback()
        return None
    if not call.output(1):
        operator = ops.MaxPool(**form)
        if _is_served(form):
            return operator
        return OnnxFunction(call.op, partial(_maximum_by_taps, pool=operator))
    maxima, indices = call.outputs
    in_plane = call.fresh()
    pool: Operator = ops.MaxPool(**form, indices=True)
    if not _is_served(form):
        by_taps = partial(_maximum_and_position_by_taps, pool=ops.MaxPool(**form))
        pool = OnnxFunction(call.op, by_taps)
    call.emit(pool, call.inputs[0], outputs=(maxima, in_plane))
    shape = call.emit(ops.Shape(), call.inputs[0])
    over_all = partial(_over_all, columns_first=bool(columns_first))
    call.emit(OnnxFunction(call.op, over_all), in_plane, shape, outputs=(indices,))
    return None


def _over_all(position: Array, shape: Array, columns_first: bool) -> Array:
    n, c, *sizes = shape.tolist()
    if (position < 0).any():
        raise ValueError("a window lies in the padding alone: its maximum has no index")
    if columns_first:
        axes = np.unravel_index(position, sizes)
        position = np.ravel_multi_index(axes, sizes, order="F")
    planes = np.arange(n * c).reshape(n, c, *(1,) * len(sizes))
    return position + planes * prod(sizes)


def average_pool(call: Call) -> Operator | None:
    """Convert AveragePool."""
    form = _pool_form(call)
    operator = ops.AvgPool(**form, count_include_pad=bool(call.get("count_include_pad", 0)))
    if not call.floating():
        call.fallback()
        return None
    if _is_served(form) and set(form["dilation"]) == {1}:
        return operator
    return OnnxFunction(call.op, partial(_average_by_taps, pool=operator))


def _norm_order(call: Call) -> float:
    p: float = call.get("p", 2)
    if p <= 0:
        raise ValueError(f"p must be positive, got {p}")
    return p


def lp_pool(call: Call) -> OnnxFunction:
    """Convert LpPool."""
    pool = ops.AvgPool(**_pool_form(call))
    return OnnxFunction(call.op, partial(_norm_by_taps, pool=pool, p=_norm_order(call)))


def _norm_by_taps(x: Array, pool: ops.AvgPool, p: float) -> Array:
    return _root(_reduced_by_taps(_powers(x, p), pool, np.add, 0), p)


def _maximum_by_taps(x: Array, pool: ops.MaxPool) -> Array:
    return _reduced_by_taps(x, pool, np.maximum, _least(x))


def _least(x: Array) -> float:
    return -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min


def _maximum_and_position_by_taps(x: Array, pool: ops.MaxPool) -> tuple[Array, Array]:
    """Return also where in its plane each maximum first is, -1 where a window sees no element."""
    sizes = x.shape[2:]
    places = np.arange(prod(sizes)).reshape(1, 1, *sizes)
    least = _least(x)
    taps = zip(_taps(x, pool, least, least), _taps(places, pool, -1, -1), strict=True)
    maxima, position = (part.copy() for part in next(taps))
    position = np.broadcast_to(position, maxima.shape).copy()
    for values, where in taps:
        # The least number is a maximum too, if it is not of the padding.
        better = (where >= 0) & ((values > maxima) | (position < 0) | (values != values))
        np.copyto(maxima, values, where=better)
        np.copyto(position, where, where=better)
    return maxima, position


def _average_by_taps(x: Array, pool: ops.AvgPool) -> Array:
    total = _reduced_by_taps(x, pool, np.add, 0)
    counted = np.ones((1, 1, *x.shape[2:]), x.dtype)
    elements = _reduced_by_taps(counted, pool, np.add, 1 if pool.count_include_pad else 0)
    return np.asarray(total / elements)


def _reduced_by_taps(
    x: Array, pool: ops.AvgPool | ops.MaxPool, ufunc: np.ufunc, filling: float
) -> Array:
    """Reduce windows that no kernel serves; what they see beyond the padding is the identity."""
    taps = _taps(x, pool, filling, 0 if ufunc is np.add else filling)
    result: Any = next(taps).copy()
    for taken in taps:
        ufunc(result, taken, out=result)
    return np.asarray(result)


def _taps(
    x: Array, pool: ops.AvgPool | ops.MaxPool, filling: float, outside: float
) -> Iterator[Array]:
    """Yield, for each tap of the window, what all windows see there.

    That is `filling` in the padding, and `outside` beyond it, where `ceil_mode` lets them end.
    """
    windows = zip(x.shape[2:], *_window(pool, x.shape), strict=True)
    widths, beyond, counts = [], [], []
    for size, kernel, stride, dilation, (before, after) in windows:
        reach = dilation * (kernel - 1) + 1
        free = size + before + after - reach
        count = (-(-free // stride) if pool.ceil_mode else free // stride) + 1
        if pool.ceil_mode and (count - 1) * stride >= size + before:
            count -= 1
        if count < 1:
            raise ValueError(
                f"kernel of {kernel} with dilation {dilation} does not fit the input of {size} "
                f"with padding {before} and {after}"
            )
        counts.append(count)
        widths.append((before, after))
        beyond.append((0, max(0, (count - 1) * stride - free)))
    whole = ((0, 0), (0, 0))
    padded = np.pad(x, (*whole, *widths), constant_values=filling)
    padded = np.pad(padded, (*whole, *beyond), constant_values=outside)
    kernel, stride, dilation, _ = _window(pool, x.shape)
    for tap in np.ndindex(*kernel):
        part = tuple(
            slice(i * d, i * d + (count - 1) * s + 1, s)
            for i, d, s, count in zip(tap, dilation, stride, counts, strict=True)
        )
        yield padded[(slice(None), slice(None), *part)]


def _window(pool: ops.AvgPool | ops.MaxPool, shape: tuple[int, ...]) -> tuple[Any, Any, Any, Any]:
    return pool.kernel, pool.stride, pool.dilation, pool.padding_for(shape)


def _powers(x: Array, p: float) -> Array:
    return np.abs(x) ** x.dtype.type(p)


def _root(total: Array, p: float) -> Array:
    return np.asarray(total ** total.dtype.type(1 / p))


def global_lp_pool(call: Call) -> OnnxFunction:
    """Convert GlobalLpPool."""
    return OnnxFunction(call.op, partial(_global_norm, p=_norm_order(call)))


def _global_norm(x: Array, p: float) -> Array:
    total = _powers(x, p).sum(tuple(range(2, x.ndim)), keepdims=True)
    return _root(total, p)


def global_pool(call: Call) -> Any:
    """Convert GlobalAveragePool and GlobalMaxPool."""
    kind: Literal["avg", "max"] = "avg" if call.op == "GlobalAveragePool" else "max"
    supported = call.floating() if kind == "avg" else call.dtype() in NUMBERS
    if supported and call.rank() in (3, 4, 5):
        return ops.GlobalPool(kind=kind)
    reduce = np.mean if kind == "avg" else np.max
    return OnnxFunction(call.op, partial(_reduced, reduce=reduce))


def _reduced(x: Array, reduce: Callable[..., Array]) -> Array:
    return reduce(x, tuple(range(2, x.ndim)), keepdims=True)


CONVERTERS: dict[str, Converter] = {
    "AveragePool": average_pool,
    "Col2Im": col2im,
    "Conv": conv,
    "ConvInteger": conv_integer,
    "ConvTranspose": conv_transpose,
    "GlobalAveragePool": global_pool,
    "GlobalLpPool": global_lp_pool,
    "GlobalMaxPool": global_pool,
    "LpPool": lp_pool,
    "MaxPool": max_pool,
    "QLinearConv": q_linear_conv,
}
