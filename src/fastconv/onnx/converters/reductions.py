"""Converters of reductions over axes, and of casts between dtypes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from fastconv._arguments import Array
from fastconv.graph import Operator
from fastconv.graph import operators as ops
from fastconv.onnx.call import Call, Converter, OnnxFunction

Reduction = Callable[..., Any]


def _reduction(function: Reduction) -> Converter:
    """Return the converter of a reduction; its axes are an attribute before opset 13 or 18."""

    def convert(call: Call) -> Operator | None:
        keep = bool(call.get("keepdims", 1))
        none_is_all = not call.get("noop_with_empty_axes", 0)
        attribute = call.get("axes")
        axes = call.value(1) if attribute is None else np.array(attribute)
        if call.op == "ReduceMean" and axes is not None and _is_spatial(call, axes):
            return _global_mean(call, keep)
        form: dict[str, Any] = {"function": function, "keep": keep, "none_is_all": none_is_all}
        if attribute is not None:
            form["axes"] = np.array(attribute, np.int64)
        return OnnxFunction(call.op, partial(_reduced, **form))

    return convert


def _is_spatial(call: Call, axes: Array) -> bool:
    rank = call.rank()
    if not call.floating() or rank not in (3, 4, 5):
        return False
    return sorted(int(axis) % rank for axis in axes.ravel()) == list(range(2, rank))


def _global_mean(call: Call, keep: bool) -> Operator | None:
    pool = ops.GlobalPool(kind="avg")
    if keep:
        call.finish(pool, call.inputs[0])
    else:
        call.finish(ops.Flatten(), call.emit(pool, call.inputs[0]))
    return None


def _reduced(
    x: Array,
    axes: Array | None = None,
    *,
    function: Reduction,
    keep: bool,
    none_is_all: bool,
) -> Array:
    if axes is None or axes.size == 0:
        chosen: tuple[int, ...] | None = None if none_is_all else ()
    else:
        chosen = tuple(axes.ravel().tolist())
    y = function(x, chosen, keep)
    return np.asarray(y).astype(x.dtype, copy=False)


def _of(ufunc: np.ufunc, before: Any = None, after: Any = None) -> Reduction:
    """Return a reduction by a ufunc, of what `before` makes of x, made into the result."""
    return partial(_by_ufunc, ufunc, before, after)


def _by_ufunc(
    ufunc: np.ufunc, before: Any, after: Any, x: Array, axes: tuple[int, ...] | None, keep: bool
) -> Any:
    x = x if before is None else before(x)
    if ufunc is np.add:  # whose pairwise sums along rows are more accurate than reduce's
        y: Any = np.sum(x, axes, dtype=x.dtype, keepdims=keep)
    else:
        y = ufunc.reduce(x, axes, dtype=x.dtype, keepdims=keep)
    return y if after is None else after(y)


def _mean(x: Array, axes: tuple[int, ...] | None, keep: bool) -> Any:
    return np.mean(x, axes, keepdims=keep)


def _extreme(
    x: Array, axes: tuple[int, ...] | None, keep: bool, *, ufunc: np.ufunc, lowest: bool
) -> Any:
    if x.size:
        return ufunc.reduce(x, axes, keepdims=keep)
    if x.dtype.kind in "iu":
        limits = np.iinfo(x.dtype)
        bound: Any = limits.min if lowest else limits.max
    else:
        bound = x.dtype.type(-np.inf if lowest else np.inf)
        if x.dtype == bool:
            bound = not lowest
    return ufunc.reduce(x, axes, keepdims=keep, initial=bound)


def _log_sum_exp(x: Array, axes: tuple[int, ...] | None, keep: bool) -> Any:
    if not x.size:
        return np.log(np.sum(x, axes, keepdims=keep))
    largest = x.max(axes, keepdims=True)
    largest = np.where(np.isfinite(largest), largest, x.dtype.type(0))
    total = np.log(np.exp(x - largest).sum(axes, keepdims=True)) + largest
    return total if keep else np.squeeze(total, axes)


def arg_extreme(call: Call) -> Operator:
    """Convert ArgMax and ArgMin."""
    form = {
        "function": np.argmax if call.op == "ArgMax" else np.argmin,
        "axis": call.get("axis", 0),
        "keep": bool(call.get("keepdims", 1)),
        "last": bool(call.get("select_last_index", 0)),
    }
    return OnnxFunction(call.op, partial(_arg_extreme, **form))


def _arg_extreme(x: Array, function: Any, axis: int, keep: bool, last: bool) -> Array:
    if last:
        position = x.shape[axis] - 1 - function(np.flip(x, axis), axis, keepdims=keep)
    else:
        position = function(x, axis, keepdims=keep)
    return np.asarray(position, np.int64)


def cast(call: Call) -> Operator | None:
    """Convert Cast, among the numbers that NumPy has."""
    call.ignore("saturate", "round_mode")  # of types of 8-bit floats
    to: Any = call.get("to")
    if call.opset < 6 or to not in _NUMBERS or call.dtype() not in _NUMBERS.values():
        call.fallback()
        return None
    if call.dtype() == _NUMBERS[to]:
        return ops.Identity()
    return OnnxFunction(call.op, partial(_cast, dtype=_NUMBERS[to]))


def _cast(x: Array, dtype: Any) -> Array:
    return x.astype(dtype)


# As numbered by TensorProto.DataType.
_NUMBERS = {
    1: np.dtype(np.float32),
    2: np.dtype(np.uint8),
    3: np.dtype(np.int8),
    4: np.dtype(np.uint16),
    5: np.dtype(np.int16),
    6: np.dtype(np.int32),
    7: np.dtype(np.int64),
    9: np.dtype(np.bool_),
    10: np.dtype(np.float16),
    11: np.dtype(np.float64),
    12: np.dtype(np.uint32),
    13: np.dtype(np.uint64),
}

CONVERTERS: dict[str, Converter] = {
    "ArgMax": arg_extreme,
    "ArgMin": arg_extreme,
    "Cast": cast,
    "ReduceL1": _reduction(_of(np.add, before=np.abs)),
    "ReduceL2": _reduction(_of(np.add, before=np.square, after=np.sqrt)),
    "ReduceLogSum": _reduction(_of(np.add, after=np.log)),
    "ReduceLogSumExp": _reduction(_log_sum_exp),
    "ReduceMax": _reduction(partial(_extreme, ufunc=np.maximum, lowest=True)),
    "ReduceMean": _reduction(_mean),
    "ReduceMin": _reduction(partial(_extreme, ufunc=np.minimum, lowest=False)),
    "ReduceProd": _reduction(_of(np.multiply)),
    "ReduceSum": _reduction(_of(np.add)),
    "ReduceSumSquare": _reduction(_of(np.add, before=np.square)),
}
