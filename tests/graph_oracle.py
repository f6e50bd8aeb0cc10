"""What a graph must return and how far it may be off: node by node in float64, with the errors.

Knows what nodes are made of, and the references of ``expected.py``; no compiler and no kernel.
"""

import math

import numpy as np

import expected
from fastconv import _arguments
from fastconv.graph import operators as ops


def results(graph, inputs, dtype):
    """Return (value, bound) of each output; inputs and constants by name, computed as `dtype`."""
    known = {}
    for key, array in {**graph.constants, **inputs}.items():
        known[key] = array.astype(np.float64), np.zeros(array.shape)
    for node in graph.nodes:
        rule = _RULES[type(node.operator)]
        given = [known[key] for key in node.inputs]
        with np.errstate(all="ignore"):
            value, bound = rule(node.operator, dtype, *given)
            # What is stored between two nodes is rounded, if they are not fused.
            bound = bound + expected.UNIT_ROUNDOFF[dtype] * np.abs(value)
            bound = bound + expected.final_rounding(value, bound, dtype)
        known[node.outputs[0]] = np.asarray(value, np.float64), np.asarray(bound, np.float64)
    return [known[key] for key in graph.output_names]


def called(graph, inputs):
    """Return the tuple of what a call with inputs by name returns."""
    outputs = graph(*(inputs[key] for key in graph.input_names))
    return outputs if isinstance(outputs, tuple) else (outputs,)


def assert_right(graph, inputs):
    """Assert that a call, and a walk from node to node, return what they must; return it."""
    dtype = next(iter(inputs.values())).dtype.name
    outputs = called(graph, inputs)
    evaluated = graph._evaluate(graph._checked(inputs))
    wanted = results(graph, inputs, dtype)
    for key, a, b, (value, bound) in zip(
        graph.output_names, outputs, evaluated, wanted, strict=True
    ):
        assert a.dtype == b.dtype == np.dtype(dtype), key
        assert a.flags.c_contiguous
        assert b.flags.c_contiguous
        expected.assert_within(a, value, bound, f"compiled {key}")
        expected.assert_within(b, value, bound, f"evaluated {key}")
    return outputs


def _conv(operator, dtype, x, weight, bias=None):
    form = {
        "stride": operator.stride,
        "padding": operator.padding,
        "dilation": operator.dilation,
        "groups": operator.groups,
    }

    def convolved(x, weight, bias):
        return np.asarray(expected.conv(x, weight, bias, **form)[0], np.float64)

    (x, e), (w, _), b = x, weight, None if bias is None else bias[0]
    magnitude = convolved(np.abs(x), np.abs(w), None if b is None else np.abs(b))
    # Winograd's errors are those of the largest sum of a tile.
    largest = 4 * magnitude.max(axis=tuple(range(2, x.ndim)), keepdims=True, initial=0)
    bound = expected.error_bound(largest, math.prod(w.shape[1:]), dtype)
    return convolved(x, w, b), bound + convolved(e, np.abs(w), None)


def _dense(operator, dtype, x, weight, bias=None):
    (x, e), (w, _) = x, weight
    b = 0 if bias is None else bias[0]
    bound = expected.error_bound(np.abs(x) @ np.abs(w.T) + np.abs(b), w.shape[1], dtype)
    return x @ w.T + b, bound + e @ np.abs(w.T)


def _activation(operator, dtype, x):
    name, a, b = _arguments.activation(operator.form)
    x, e = x
    value = expected.activate(x, name, a, b)
    slope = max({"silu": 1.1, "hardswish": 1.5}.get(name, 1), abs(a), 1)
    return value, slope * e + 4 * expected.UNIT_ROUNDOFF[dtype] * (1 + np.abs(x))


def _norm(operator, dtype, x, scale, bias, mean, variance):
    (x, e), shape = x, (-1, *[1] * (x[0].ndim - 2))
    scale, bias, mean, variance = (
        array.reshape(shape) for array, _ in (scale, bias, mean, variance)
    )
    factor = scale / np.sqrt(variance + operator.eps)
    size = np.abs(factor) * (np.abs(x) + np.abs(mean)) + np.abs(bias)
    return (x - mean) * factor + bias, np.abs(factor) * e + expected.error_bound(size, 1, dtype)


def _sum(operator, dtype, a, b):
    (a, ea), (b, eb) = a, b
    return a + b, ea + eb + expected.UNIT_ROUNDOFF[dtype] * (np.abs(a) + np.abs(b))


def _product(operator, dtype, a, b):
    (a, ea), (b, eb) = a, b
    rounding = 4 * expected.UNIT_ROUNDOFF[dtype] * np.abs(a * b)
    return a * b, np.abs(a) * eb + np.abs(b) * ea + ea * eb + rounding


def _max_pool(operator, dtype, x):
    form = operator.kernel, operator.stride, operator.padding, operator.dilation, operator.ceil_mode
    return tuple(expected.max_pool2d(array, *form) for array in x)


def _avg_pool(operator, dtype, x):
    form = operator.kernel, operator.stride, operator.padding
    value, error, magnitude = (
        np.asarray(expected.avg_pool2d(array, *form)[0], np.float64) for array in (*x, np.abs(x[0]))
    )
    return value, error + expected.error_bound(magnitude, operator.kernel**2, dtype)


def _global_pool(operator, dtype, x):
    axes = tuple(range(2, x[0].ndim))
    value, error, magnitude = (array.mean(axis=axes, keepdims=True) for array in (*x, np.abs(x[0])))
    return value, error + expected.error_bound(magnitude, math.prod(x[0].shape[2:]), dtype)


def _concat(operator, dtype, *parts):
    return tuple(np.concatenate(arrays, operator.axis) for arrays in zip(*parts, strict=True))


def _response(operator, dtype, x):
    x, e = x
    size, c = operator.size, x.shape[1]
    energy = np.zeros_like(x)
    for i in range(c):
        first = max(0, i - size // 2)
        energy[:, i] = (x[:, first : i + (size - 1) // 2 + 1] ** 2).sum(axis=1)
    power = (operator.k + operator.alpha / size * energy) ** operator.beta
    bound = expected.error_bound(4 * np.abs(x) / power, size, dtype)
    # With k of at least 1 the slope is at most 1 along each of the channels.
    return x / power, bound + size * e.max(axis=1, keepdims=True)


_RULES = {
    ops.Conv: _conv,
    ops.Dense: _dense,
    ops.Activation: _activation,
    ops.BatchNorm: _norm,
    ops.Add: _sum,
    ops.Mul: _product,
    ops.MaxPool: _max_pool,
    ops.AvgPool: _avg_pool,
    ops.GlobalPool: _global_pool,
    ops.Concat: _concat,
    ops.LocalResponseNorm: _response,
    ops.Identity: lambda operator, dtype, x: x,
    ops.Flatten: lambda operator, dtype, x: [a.reshape(len(a), -1) for a in x],
    ops.Reshape: lambda operator, dtype, x, shape: [
        a.reshape(shape[0].astype(int).tolist()) for a in x
    ],
}
