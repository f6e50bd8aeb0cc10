"""Converters of what works element by element: activations, arithmetic, comparisons, choices."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial, reduce
from typing import Any

import numpy as np

from fastconv._arguments import Array
from fastconv.graph import Operator
from fastconv.graph import operators as ops
from fastconv.onnx.call import Call, Converter, OnnxFunction

# -- activations -----------------------------------------------------------------------------------


def _function(function: Callable[..., Array]) -> Converter:
    """Return the converter of an operator without attributes."""

    def convert(call: Call) -> OnnxFunction:
        call.ignore("consumed_inputs")  # a hint about memory, of the first versions
        return OnnxFunction(call.op, function)

    return convert


def _activation(form: str, function: Callable[[Array], Array]) -> Converter:
    """Return the converter of an activation, which `function` computes on other dtypes."""

    def convert(call: Call) -> Operator:
        call.ignore("consumed_inputs")
        return ops.Activation(form) if call.floating() else OnnxFunction(call.op, function)

    return convert


def leaky_relu(call: Call) -> Operator | None:
    """Convert LeakyRelu."""
    call.ignore("consumed_inputs")
    slope = call.get("alpha", 0.01)
    if not call.floating():
        call.fallback()
        return None
    return ops.Activation(("leaky_relu", slope))


def clip(call: Call) -> Operator | None:
    """Convert Clip, whose bounds are attributes before opset 11 and inputs from there on."""
    call.ignore("consumed_inputs")
    lo, hi = call.get("min"), call.get("max")
    for i in (1, 2):
        if call.input(i) and call.value(i) is None:
            return OnnxFunction(call.op, _clipped)
    if call.opset >= 11:
        lo, hi = ((None if v is None else v.item()) for v in map(call.value, (1, 2)))
    low = -math.inf if lo is None else lo
    high = math.inf if hi is None else hi
    if call.floating() and low <= high:
        call.finish(ops.Activation(("clip", low, high)), call.inputs[0])
        return None
    if call.opset >= 11:
        return OnnxFunction(call.op, _clipped)
    return OnnxFunction(call.op, partial(_clipped, lo=lo, hi=hi))


def _clipped(x: Array, lo: Any = None, hi: Any = None) -> Array:
    x = x if lo is None else np.maximum(x, np.asarray(lo, x.dtype))
    return x if hi is None else np.minimum(x, np.asarray(hi, x.dtype))


def _with(function: Callable[..., Array], **defaults: float) -> Converter:
    """Return the converter of a function whose keyword arguments are attributes."""

    def convert(call: Call) -> OnnxFunction:
        call.ignore("consumed_inputs")
        numbers = {name: call.get(name, default) for name, default in defaults.items()}
        return OnnxFunction(call.op, partial(function, **numbers))

    return convert


def _hard_sigmoid(x: Array, alpha: float, beta: float) -> Array:
    y = x * x.dtype.type(alpha)
    y += x.dtype.type(beta)
    return np.asarray(np.clip(y, 0, 1, out=y if y.ndim else None))


def _elu(x: Array, alpha: float) -> Array:
    return np.where(x > 0, x, x.dtype.type(alpha) * np.expm1(np.minimum(x, 0)))


def _selu(x: Array, alpha: float, gamma: float) -> Array:
    return x.dtype.type(gamma) * _elu(x, alpha)


def _celu(x: Array, alpha: float) -> Array:
    below = x.dtype.type(alpha) * np.expm1(np.minimum(x, 0) / x.dtype.type(alpha))
    return np.maximum(x, 0) + np.minimum(below, 0)


def _thresholded(x: Array, alpha: float) -> Array:
    return np.where(x > x.dtype.type(alpha), x, x.dtype.type(0))


def _shrink(x: Array, lambd: float, bias: float) -> Array:
    beyond = np.where(x > lambd, x - x.dtype.type(bias), x.dtype.type(0))
    return np.where(x < -lambd, x + x.dtype.type(bias), beyond)


def _sigmoid(x: Array) -> Array:
    # Of two forms the one that does not overflow; 1 - sigmoid(-x) would lose what is small.
    e = np.exp(-np.abs(x))
    return np.asarray(np.where(x < 0, e, x.dtype.type(1)) / (1 + e))


def _softplus(x: Array) -> Array:
    return np.asarray(np.logaddexp(x, x.dtype.type(0)))


def swish(call: Call) -> Operator:
    """Convert Swish."""
    alpha = call.get("alpha", 1.0)
    if alpha == 1 and call.floating():
        return ops.Activation("silu")
    return OnnxFunction(call.op, partial(_swish, alpha=alpha))


def _swish(x: Array, alpha: float) -> Array:
    return x * _sigmoid(x.dtype.type(alpha) * x)


def _relu(x: Array) -> Array:
    return np.maximum(x, x.dtype.type(0))


def _hard_swish(x: Array) -> Array:
    return x * _hard_sigmoid(x, 1 / 6, 0.5)


def _mish(x: Array) -> Array:
    return x * np.tanh(_softplus(x))


def _softsign(x: Array) -> Array:
    return x / (1 + np.abs(x))


def prelu(call: Call) -> Operator:
    """Convert PRelu; before opset 7 the slopes are those of the channels."""
    call.ignore("consumed_inputs")
    return OnnxFunction(call.op, partial(_prelu, by_channel=call.opset < 7))


def _prelu(x: Array, slope: Array, by_channel: bool) -> Array:
    if by_channel and slope.ndim == 1 and slope.size > 1:
        slope = slope.reshape(-1, *(1,) * (x.ndim - 2))
    return np.where(x < 0, x * slope, x)


# A rational minimax approximation on [-4, 4], beyond which float32 has 1: Eigen's (MPL-2.0 code,
# coefficients as published there), off by 2 units of float32 at most.
_ERF_TOP = (
    -2.72614225801306e-10,
    2.77068142495902e-08,
    -2.10102402082508e-06,
    -5.69250639462346e-05,
    -7.34990630326855e-04,
    -2.95459980854025e-03,
    -1.60960333262415e-02,
)
_ERF_BOTTOM = (
    -1.45660718464996e-05,
    -2.13374055278905e-04,
    -1.68282697438203e-03,
    -7.37332916720468e-03,
    -1.42647390514189e-02,
)
_exact_erf = np.frompyfunc(math.erf, 1, 1)


def erf(x: Array) -> Array:
    """Return the error function; NumPy has none."""
    if x.dtype not in (np.float16, np.float32):
        return np.asarray(_exact_erf(x)).astype(x.dtype)
    wide = np.clip(x.astype(np.float32), -4, 4)
    square = wide * wide
    return (wide * _polynomial(_ERF_TOP, square) / _polynomial(_ERF_BOTTOM, square)).astype(x.dtype)


def _polynomial(coefficients: Sequence[float], x: Array) -> Array:
    """Return a polynomial's values, from its coefficients of the highest power down."""
    y = np.zeros_like(x)
    for coefficient in coefficients:
        y = y * x + x.dtype.type(coefficient)
    return y


def gelu(call: Call) -> Operator:
    """Convert Gelu."""
    approximate = call.get("approximate", "none")
    if approximate not in ("none", "tanh"):
        raise ValueError(f"approximate must be none or tanh, got {approximate!r}")
    return OnnxFunction(call.op, _gelu if approximate == "none" else _gelu_by_tanh)


def _gelu(x: Array) -> Array:
    return x.dtype.type(0.5) * x * (1 + erf(x * x.dtype.type(math.sqrt(0.5))))


def _gelu_by_tanh(x: Array) -> Array:
    half, cubic = x.dtype.type(0.5), x.dtype.type(0.044715)
    inner = x.dtype.type(math.sqrt(2 / math.pi)) * (x + cubic * x * x * x)
    return half * x * (1 + np.tanh(inner))


# -- arithmetic ------------------------------------------------------------------------------------


def _binary(
    function: Callable[[Array, Array], Array], operator: Operator | None = None
) -> Converter:
    """Return the converter of an operator with two operands; before opset 7 some are aligned."""

    def convert(call: Call) -> Operator:
        call.ignore("consumed_inputs")
        axis = call.get("axis")
        if call.get("broadcast", 0) and axis is not None:
            return OnnxFunction(call.op, partial(_at_axis, function=function, axis=axis))
        if operator is not None and call.floating(0, 1):
            return operator
        return OnnxFunction(call.op, function)

    return convert


def _at_axis(a: Array, b: Array, function: Callable[[Array, Array], Array], axis: int) -> Array:
    return function(a, b.reshape(*b.shape, *(1,) * (a.ndim - (axis % a.ndim) - b.ndim)))


def _quotient(a: Array, b: Array) -> Array:
    if a.dtype.kind not in "iu":
        return np.asarray(a / b)
    quotient = np.asarray(a // b)
    # Division of integers drops the fraction; NumPy's goes down.
    return quotient + ((a % b != 0) & ((a < 0) != (b < 0))).astype(quotient.dtype)


def _power(a: Array, b: Array) -> Array:
    if a.dtype.kind in "iu" and b.dtype.kind in "iu" and (b < 0).any():
        a, dtype = a.astype(np.float64), a.dtype
        return np.power(a, b).astype(dtype)
    return np.power(a, b).astype(a.dtype)


def mod(call: Call) -> Operator:
    """Convert Mod: the sign is the divisor's, or the dividend's as in C."""
    return OnnxFunction(call.op, np.fmod if call.get("fmod", 0) else np.mod)


def _variadic(function: Callable[[Array, Array], Array]) -> Converter:
    def convert(call: Call) -> Operator:
        call.ignore("consumed_inputs")
        return OnnxFunction(call.op, partial(_folded, function))

    return convert


def _folded(function: Callable[[Array, Array], Array], *arrays: Array) -> Array:
    return np.asarray(reduce(function, arrays))


def sum_(call: Call) -> Operator | None:
    """Convert Sum, and Mean's sum."""
    call.ignore("consumed_inputs")
    total = call.inputs[0]
    for name in call.inputs[1:]:
        total = call.emit(ops.Add(), total, name)
    if call.op == "Mean":
        call.finish(OnnxFunction(call.op, partial(_divided, count=len(call.inputs))), total)
    else:
        call.finish(ops.Identity(), total)
    return None


def _divided(x: Array, count: int) -> Array:
    return x / x.dtype.type(count)


def bit_shift(call: Call) -> Operator:
    """Convert BitShift."""
    return OnnxFunction(
        call.op, np.left_shift if call.get("direction") == "LEFT" else np.right_shift
    )


def is_inf(call: Call) -> Operator:
    """Convert IsInf."""
    negative, positive = call.get("detect_negative", 1), call.get("detect_positive", 1)
    return OnnxFunction(call.op, partial(_is_inf, negative=bool(negative), positive=bool(positive)))


def _is_inf(x: Array, negative: bool, positive: bool) -> Array:
    return np.isinf(x) & ((negative & (x < 0)) | (positive & (x > 0)))


CONVERTERS: dict[str, Converter] = {
    "Add": _binary(np.add, ops.Add()),
    "BitShift": bit_shift,
    "Celu": _with(_celu, alpha=1.0),
    "Clip": clip,
    "Div": _binary(_quotient, ops.Div()),
    "Elu": _with(_elu, alpha=1.0),
    "Erf": _function(erf),
    "Gelu": gelu,
    "HardSigmoid": _with(_hard_sigmoid, alpha=0.2, beta=0.5),
    "HardSwish": _activation("hardswish", _hard_swish),
    "IsInf": is_inf,
    "LeakyRelu": leaky_relu,
    "Max": _variadic(np.maximum),
    "Mean": sum_,
    "Min": _variadic(np.minimum),
    "Mish": _function(_mish),
    "Mod": mod,
    "Mul": _binary(np.multiply, ops.Mul()),
    "PRelu": prelu,
    "Pow": _binary(_power),
    "Reciprocal": _function(np.reciprocal),
    "Relu": _activation("relu", _relu),
    "Selu": _with(_selu, alpha=1.67326319217681884765625, gamma=1.05070102214813232421875),
    "Shrink": _with(_shrink, lambd=0.5, bias=0.0),
    "Sigmoid": _activation("sigmoid", _sigmoid),
    "Softplus": _function(_softplus),
    "Softsign": _function(_softsign),
    "Sub": _binary(np.subtract, ops.Sub()),
    "Sum": sum_,
    "Swish": swish,
    "Tanh": _activation("tanh", np.tanh),
    "ThresholdedRelu": _with(_thresholded, alpha=1.0),
    "Where": _function(np.where),
    **{
        name: _function(function)
        for name, function in {
            "Abs": np.abs,
            "Acos": np.arccos,
            "Acosh": np.arccosh,
            "Asin": np.arcsin,
            "Asinh": np.arcsinh,
            "Atan": np.arctan,
            "Atanh": np.arctanh,
            "BitwiseNot": np.invert,
            "Ceil": np.ceil,
            "Cos": np.cos,
            "Cosh": np.cosh,
            "Exp": np.exp,
            "Floor": np.floor,
            "IsNaN": np.isnan,
            "Log": np.log,
            "Neg": np.negative,
            "Not": np.logical_not,
            "Round": np.rint,
            "Sign": np.sign,
            "Sin": np.sin,
            "Sinh": np.sinh,
            "Sqrt": np.sqrt,
            "Tan": np.tan,
        }.items()
    },
    **{
        name: _binary(function)
        for name, function in {
            "And": np.logical_and,
            "BitwiseAnd": np.bitwise_and,
            "BitwiseOr": np.bitwise_or,
            "BitwiseXor": np.bitwise_xor,
            "Equal": np.equal,
            "Greater": np.greater,
            "GreaterOrEqual": np.greater_equal,
            "Less": np.less,
            "LessOrEqual": np.less_equal,
            "Or": np.logical_or,
            "Xor": np.logical_xor,
        }.items()
    },
}
