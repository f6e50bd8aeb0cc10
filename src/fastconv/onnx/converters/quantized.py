"""Converters of quantised tensors: their conversion and the exact products of integers.

Integers are multiplied as float64, in which every sum of fewer than 2**37 products of bytes is
exact. What follows is done in float32, step by step as ONNX Runtime does, so that results are
rounded alike.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from fastconv._arguments import Array
from fastconv.graph import operators as ops
from fastconv.onnx.call import Call, Converter, OnnxFunction

_NATIVE = tuple(map(np.dtype, ("int8", "uint8", "int16", "uint16", "int32", "uint32")))


def centred(x: Array, zero: Array | None, axis: int = 0) -> Array:
    """Return x minus its zero point as float64; one for each index of an axis is along `axis`."""
    y = x.astype(np.float64)
    if zero is not None:
        y -= along(zero, axis, x.ndim)
    return y


def along(values: Array, axis: int, rank: int) -> Array:
    """Return one value, or one for each index of an axis, in a shape that broadcasts."""
    if values.ndim != 1:
        return values
    if values.size == 1:
        return values.reshape(())
    shape = [1] * rank
    shape[axis] = -1
    return values.reshape(shape)


def wrapped(total: Array) -> Array:
    """Return exact sums as int32, in which they wrap around as additions in int32 would."""
    return total.astype(np.int64).astype(np.int32)


def requantized(
    total: Array, a: Array, b: Array, y: Array, zero: Array, axes: tuple[int, int]
) -> Array:
    """Return exact sums of products, scaled, rounded and saturated to the type of `zero`.

    The scales of the first operand and of the result are along the first of `axes`, those of the
    second operand along the second.
    """
    first, second = axes
    rank = total.ndim
    scale = along(a, first, rank) * along(b, second, rank) / along(y, first, rank)
    scaled = wrapped(total).astype(np.float32) * scale.astype(np.float32)
    return _saturated(scaled, along(zero, first, rank))


def _saturated(x: Array, zero: Array) -> Array:
    limits = np.iinfo(zero.dtype)
    return np.clip(np.rint(x) + zero.astype(x.dtype), limits.min, limits.max).astype(zero.dtype)


def _per_axis(call: Call) -> int | None:
    """Return the axis of one scale for each index; None if the reference has to do it."""
    axis: int = call.get("axis", 1)
    call.ignore("saturate")  # of types of 8-bit floats
    special = call.get("block_size", 0) or call.get("output_dtype", 0) or call.get("precision", 0)
    return None if special else axis


def quantize_linear(call: Call) -> OnnxFunction | None:
    """Convert QuantizeLinear."""
    axis = _per_axis(call)
    zero = call.dtype(2) if call.input(2) else np.dtype(np.uint8)
    if axis is None or zero not in _NATIVE or not call.floating(0, 1):
        call.fallback()
        return None
    return OnnxFunction(call.op, partial(_quantized, axis=axis))


def _quantized(x: Array, scale: Array, zero: Array | None = None, *, axis: int) -> Array:
    zero = np.zeros((), np.uint8) if zero is None else along(zero, axis, x.ndim)
    return _saturated(x / along(scale, axis, x.ndim), zero)


def dequantize_linear(call: Call) -> OnnxFunction | None:
    """Convert DequantizeLinear."""
    axis = _per_axis(call)
    if axis is None or call.dtype(0) not in _NATIVE or not call.floating(1):
        call.fallback()
        return None
    return OnnxFunction(call.op, partial(_dequantized, axis=axis))


def _dequantized(x: Array, scale: Array, zero: Array | None = None, *, axis: int) -> Array:
    # Integers are subtracted before they are rounded to float32.
    y = x if zero is None else x.astype(np.int64) - along(zero, axis, x.ndim)
    return y.astype(scale.dtype) * along(scale, axis, x.ndim)


def _product(call: Call, a: tuple[int, int], b: tuple[int, int]) -> str:
    """Emit the exact product of two (value, zero point), given as input numbers."""
    rows = call.function(partial(centred, axis=-2), call.input(a[0]), call.input(a[1]))
    columns = call.function(partial(centred, axis=-1), call.input(b[0]), call.input(b[1]))
    return call.emit(ops.MatMul(), rows, columns)


def mat_mul_integer(call: Call) -> None:
    """Convert MatMulInteger."""
    call.finish(OnnxFunction(call.op, wrapped), _product(call, (0, 2), (1, 3)))


def q_linear_mat_mul(call: Call) -> None:
    """Convert QLinearMatMul."""
    rest = (call.input(i) for i in (1, 4, 6, 7))
    requantize = OnnxFunction(call.op, partial(requantized, axes=(-2, -1)))
    call.finish(requantize, _product(call, (0, 2), (3, 5)), *rest)


CONVERTERS: dict[str, Converter] = {
    "DequantizeLinear": dequantize_linear,
    "MatMulInteger": mat_mul_integer,
    "QLinearMatMul": q_linear_mat_mul,
    "QuantizeLinear": quantize_linear,
}
