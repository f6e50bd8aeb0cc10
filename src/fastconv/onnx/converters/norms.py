"""Converters of normalisations, softmax, dense layers and products of matrices."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from fastconv._arguments import Array
from fastconv.graph import Operator
from fastconv.graph import operators as ops
from fastconv.onnx.call import Call, Converter, OnnxFunction
from fastconv.onnx.converters.quantized import along

# -- normalisations --------------------------------------------------------------------------------


def batch_normalization(call: Call) -> None:
    """Convert BatchNormalization, as it is outside training."""
    call.ignore("consumed_inputs", "momentum")
    eps = call.get("epsilon", 1e-5)
    training = call.get("training_mode", 0) if call.opset >= 14 else not call.get("is_test", 1)
    by_channel = call.get("spatial", 1)
    if training:
        # What older versions did in training is not what the reference does.
        if call.opset < 14:
            raise NotImplementedError("is_test is 0: training is not served before opset 14")
        return call.fallback()
    if any(map(call.output, range(1, len(call.outputs)))):
        raise NotImplementedError(
            f"it has {len(call.outputs)} outputs: the statistics are those of training"
        )
    alike = len({call.dtype(i) for i in range(5)}) == 1
    if by_channel and call.rank() > 1 and alike and call.floating():
        return call.finish(ops.BatchNorm(eps=eps), *call.inputs)
    batch = partial(_batch_normalised, eps=eps, by_channel=bool(by_channel))
    return call.finish(OnnxFunction(call.op, batch), *call.inputs)


def _batch_normalised(
    x: Array, scale: Array, bias: Array, mean: Array, var: Array, eps: float, by_channel: bool
) -> Array:
    if by_channel:
        scale, bias, mean, var = (along(part, 1, x.ndim) for part in (scale, bias, mean, var))
    factor = scale / np.sqrt(var + var.dtype.type(eps))
    return ((x - mean) * factor + bias).astype(x.dtype)


def _normalised(x: Array, axes: tuple[int, ...], eps: float) -> Array:
    """Return x with mean 0 and variance 1 over the axes."""
    centred = x - x.mean(axes, keepdims=True)
    variance = (centred * centred).mean(axes, keepdims=True)
    return np.asarray(centred / np.sqrt(variance + x.dtype.type(eps)))


def instance_normalization(call: Call) -> Operator:
    """Convert InstanceNormalization."""
    call.ignore("consumed_inputs")
    return OnnxFunction(call.op, partial(_by_instance, eps=call.get("epsilon", 1e-5)))


def _by_instance(x: Array, scale: Array, bias: Array, eps: float) -> Array:
    y = _normalised(x, tuple(range(2, x.ndim)), eps)
    return y * along(scale, 1, x.ndim) + along(bias, 1, x.ndim)


def group_normalization(call: Call) -> Operator | None:
    """Convert GroupNormalization."""
    call.ignore("stash_type")
    if call.dtype() == np.float16 or not call.floating():
        call.fallback()
        return None
    form = {"eps": call.get("epsilon", 1e-5), "groups": call.get("num_groups")}
    # Before opset 21 scale and bias are those of groups.
    return OnnxFunction(call.op, partial(_by_group, **form, shared=call.opset < 21))


def _by_group(x: Array, scale: Array, bias: Array, eps: float, groups: int, shared: bool) -> Array:
    n, c = x.shape[:2]
    if groups < 1 or c % groups:
        raise ValueError(f"num_groups is {groups}, x has {c} channels")
    count = groups if shared else c
    if (scale.shape, bias.shape) != ((count,), (count,)):
        raise ValueError(
            f"scale and bias must have shape ({count},), got {scale.shape} and {bias.shape}"
        )
    if shared:
        scale, bias = np.repeat(scale, c // groups), np.repeat(bias, c // groups)
    y = _normalised(x.reshape(n, groups, -1), (2,), eps).reshape(x.shape)
    return y * along(scale, 1, x.ndim) + along(bias, 1, x.ndim)


def layer_normalization(call: Call) -> Operator | None:
    """Convert LayerNormalization."""
    call.ignore("stash_type")
    form = {"axis": call.get("axis", -1), "eps": call.get("epsilon", 1e-5)}
    if len(call.outputs) > 1 or call.dtype() == np.float16 or not call.floating():
        call.fallback()
        return None
    return OnnxFunction(call.op, partial(_by_layer, **form))


def _by_layer(x: Array, scale: Array, bias: Array | None = None, *, axis: int, eps: float) -> Array:
    y = _normalised(x, tuple(range(axis % x.ndim, x.ndim)), eps) * scale
    return y if bias is None else y + bias


def lrn(call: Call) -> None:
    """Convert LRN, whose window of an even size has the odd channel behind, not before."""
    size = call.get("size")
    numbers = {"alpha": call.get("alpha", 1e-4), "beta": call.get("beta", 0.75)}
    operator = ops.LocalResponseNorm(size=size, k=call.get("bias", 1.0), **numbers)
    if not call.floating():
        return call.fallback()
    if size % 2:
        return call.finish(operator, *call.inputs)
    mirrored = call.emit(operator, call.function(_mirrored, call.inputs[0]))
    return call.finish(OnnxFunction(call.op, _mirrored), mirrored)


def _mirrored(x: Array) -> Array:
    return x[:, ::-1]


def lp_normalization(call: Call) -> Operator:
    """Convert LpNormalization."""
    return OnnxFunction(call.op, partial(_by_norm, axis=call.get("axis", -1), p=call.get("p", 2)))


def _by_norm(x: Array, axis: int, p: int) -> Array:
    norm = np.linalg.norm(x, p, axis, keepdims=True).astype(x.dtype)
    return np.divide(x, norm, out=np.zeros_like(x), where=norm != 0)


def mean_variance_normalization(call: Call) -> Operator:
    """Convert MeanVarianceNormalization."""
    axes = tuple(call.get("axes", (0, 2, 3)))
    return OnnxFunction(call.op, partial(_by_variance, axes=axes))


def _by_variance(x: Array, axes: tuple[int, ...]) -> Array:
    deviation = x.std(axes, keepdims=True) + x.dtype.type(1e-9)
    return np.asarray((x - x.mean(axes, keepdims=True)) / deviation)


# -- softmax ---------------------------------------------------------------------------------------


def _along_axis(operator: type[Any] | None, function: Any) -> Converter:
    """Return the converter of a softmax; before opset 13 it runs over all axes from one on."""

    def convert(call: Call) -> None:
        old = call.opset < 13
        axis = call.get("axis", 1 if old else -1)
        kernel = operator if call.floating() else None
        flat = old and axis % max(call.rank(), 1) != call.rank() - 1
        if not flat and kernel is not None:
            return call.finish(kernel(-1 if old else axis), *call.inputs)
        if not flat:
            return call.finish(OnnxFunction(call.op, partial(function, axis=axis)), *call.inputs)
        shape = call.emit(ops.Shape(), call.inputs[0])
        rows = call.emit(ops.Flatten(axis), call.inputs[0])
        step = (
            kernel(-1) if kernel is not None else OnnxFunction(call.op, partial(function, axis=-1))
        )
        return call.finish(ops.Reshape(), call.emit(step, rows), shape)

    return convert


def _softmax(x: Array, axis: int) -> Array:
    y = np.exp(x - x.max(axis, keepdims=True))
    return np.asarray(y / y.sum(axis, keepdims=True))


def _log_softmax(x: Array, axis: int) -> Array:
    y = x - x.max(axis, keepdims=True)
    return np.asarray(y - np.log(np.exp(y).sum(axis, keepdims=True)))


def _hardmax(x: Array, axis: int) -> Array:
    y = np.zeros_like(x)
    np.put_along_axis(y, np.expand_dims(x.argmax(axis), axis), 1, axis)
    return y


# -- products --------------------------------------------------------------------------------------


def gemm(call: Call) -> None:
    """Convert Gemm, to a dense layer where its first factor is not transposed."""
    call.ignore("broadcast")  # whether c may be broadcast, which it may if it is
    alpha, beta = call.get("alpha", 1.0), call.get("beta", 1.0)
    x, weight, bias = call.input(0), call.input(1), call.input(2)
    flipped = call.get("transA", 0), call.get("transB", 0)
    if not call.floating(0, 1):
        form = {"alpha": alpha, "beta": beta, "flipped": flipped}
        return call.finish(OnnxFunction(call.op, partial(_product, **form)), x, weight, bias)
    if flipped[0]:
        x = call.emit(ops.Transpose((1, 0)), x)
    if not flipped[1]:
        weight = call.emit(ops.Transpose((1, 0)), weight)
    if alpha != 1:  # on the weight, where it is folded
        weight = call.emit(ops.Mul(), weight, call.constant(alpha, call.dtype()))
    if bias and beta != 1:
        bias = call.emit(ops.Mul(), bias, call.constant(beta, call.dtype()))
    if not bias:
        return call.finish(ops.Dense(), x, weight)
    features = call.sizes(1)[0 if flipped[1] else 1]
    if features is not None and call.sizes(2) == (features,):
        return call.finish(ops.Dense(), x, weight, bias)
    return call.finish(ops.Add(), call.emit(ops.Dense(), x, weight), bias)


def _product(
    a: Array,
    b: Array,
    c: Array | None,
    alpha: float,
    beta: float,
    flipped: tuple[int, int],
) -> Array:
    a, b = (factor.T if flip else factor for factor, flip in zip((a, b), flipped, strict=True))
    y = np.matmul(a, b)
    if alpha != 1:
        y = (y * alpha).astype(a.dtype)
    if c is None:
        return y
    return y + (c if beta == 1 else (c * beta).astype(a.dtype))


def mat_mul(call: Call) -> Operator:
    """Convert MatMul."""
    return ops.MatMul() if call.floating(0, 1) else OnnxFunction(call.op, np.matmul)


def einsum(call: Call) -> Operator:
    """Convert Einsum."""
    return OnnxFunction(call.op, partial(_einsum, equation=call.get("equation")))


def _einsum(*arrays: Array, equation: str) -> Array:
    return np.asarray(np.einsum(equation, *arrays, optimize=True))


CONVERTERS: dict[str, Converter] = {
    "BatchNormalization": batch_normalization,
    "Einsum": einsum,
    "Gemm": gemm,
    "GroupNormalization": group_normalization,
    "Hardmax": _along_axis(None, _hardmax),
    "InstanceNormalization": instance_normalization,
    "LRN": lrn,
    "LayerNormalization": layer_normalization,
    "LogSoftmax": _along_axis(ops.LogSoftmax, _log_softmax),
    "LpNormalization": lp_normalization,
    "MatMul": mat_mul,
    "MeanVarianceNormalization": mean_variance_normalization,
    "Softmax": _along_axis(ops.Softmax, _softmax),
}
