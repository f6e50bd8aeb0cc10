"""What single elements of the results are, in float64 and by the definition.

Knows ``layers``, ``operators`` and ``data``.
"""

from __future__ import annotations

from functools import singledispatch
from itertools import starmap
from typing import Any

import numpy as np

from fastconv.bench.data import Arrays
from fastconv.bench.layers import ConvLayer, PoolLayer, Window
from fastconv.bench.operators import (
    Convolution,
    Gradient,
    Linear,
    Pad,
    Pooling,
    Timed,
    Transposed,
    Unfold,
)

Value = tuple[float, float]
"""The value, and the sum of the absolute values of its terms."""

Indices = tuple[Any, ...]
"""An array for every axis, such that they select an open mesh."""


@singledispatch
def value_at(case: Timed, arrays: Arrays, result: int, position: tuple[int, ...]) -> Value:
    """Return the exact value of one element of one of a case's results."""
    raise TypeError(f"{type(case).__name__} has no definition")


def _sum(terms: np.ndarray, bias: float = 0.0) -> Value:
    return float(terms.sum() + bias), float(np.abs(terms).sum() + abs(bias))


def _products(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    products: np.ndarray = a.astype(np.float64) * b.astype(np.float64)
    return products


def _at(array: np.ndarray, mesh: Indices) -> np.ndarray:
    """Return what a mesh selects of all axes but the first."""
    chosen: np.ndarray = array[(slice(None), *mesh)]
    return chosen


# ---- which taps and places meet, axis by axis


def _mesh(pairs: list[tuple[np.ndarray, np.ndarray]]) -> tuple[Indices, Indices]:
    first, second = zip(*pairs, strict=True)
    return np.ix_(*first), np.ix_(*second)


def _axes(window: Window) -> list[tuple[int, int, int, int, int, int]]:
    """Size, taps, stride, dilation, border before and places of the window, for every axis."""
    befores = window.padding[::2]
    rows = zip(
        window.size,
        window.kernel,
        window.stride,
        window.dilation,
        befores,
        window.out_size,
        strict=True,
    )
    return list(rows)


def _seen(window: Window, place: tuple[int, ...]) -> tuple[Indices, Indices]:
    """Taps of a window at one place that lie inside, and the inputs they meet."""
    pairs = []
    for (size, kernel, stride, dilation, before, _), at in zip(_axes(window), place, strict=True):
        index = at * stride - before + np.arange(kernel) * dilation
        taps = np.flatnonzero((index >= 0) & (index < size))
        pairs.append((taps, index[taps]))
    return _mesh(pairs)


def _seeing(window: Window, inputs: tuple[int, ...]) -> tuple[Indices, Indices]:
    """Taps by which windows meet one input, and the places of those windows."""
    pairs = []
    for (_, kernel, stride, dilation, before, places), at in zip(
        _axes(window), inputs, strict=True
    ):
        ahead = at + before - np.arange(kernel) * dilation
        place = ahead // stride
        taps = np.flatnonzero((ahead % stride == 0) & (place >= 0) & (place < places))
        pairs.append((taps, place[taps]))
    return _mesh(pairs)


def _met(window: Window, taps: tuple[int, ...]) -> tuple[Indices, Indices]:
    """Places whose windows meet the input by one tap, and the inputs."""
    pairs = []
    for (size, _, stride, dilation, before, places), tap in zip(_axes(window), taps, strict=True):
        index = np.arange(places) * stride - before + tap * dilation
        inside = np.flatnonzero((index >= 0) & (index < size))
        pairs.append((inside, index[inside]))
    return _mesh(pairs)


# ---- the operators


@value_at.register(ConvLayer)
@value_at.register(Convolution)
def _conv(
    case: ConvLayer | Convolution, arrays: Arrays, result: int, position: tuple[int, ...]
) -> Value:
    n, k, *place = position
    taps, inputs = _seen(case.window, tuple(place))
    cg = case.c // case.groups
    first = k // (case.k // case.groups) * cg
    window = _at(arrays.x[n, first : first + cg], inputs)
    return _sum(_products(window, _at(arrays.weight[k], taps)), float(arrays.bias[k]))


@value_at.register
def _gradient(case: Gradient, arrays: Arrays, result: int, position: tuple[int, ...]) -> Value:
    grad, cg, kg = arrays.grad_output, case.c // case.groups, case.k // case.groups
    wanted = case.wanted[result]
    if wanted == "x":
        n, c, *inputs = position
        first = c // cg * kg
        taps, places = _seeing(case.window, tuple(inputs))
        filters = _at(arrays.weight[first : first + kg, c % cg], taps)
        return _sum(_products(_at(grad[n, first : first + kg], places), filters))
    if wanted == "weight":
        k, c, *tap = position
        places, seen = _met(case.window, tuple(tap))
        x = _at(arrays.x[:, k // kg * cg + c], seen)
        return _sum(_products(x, _at(grad[:, k], places)))
    return _sum(grad[:, position[0]].astype(np.float64))


@value_at.register
def _transposed(case: Transposed, arrays: Arrays, result: int, position: tuple[int, ...]) -> Value:
    n, k, *inputs = position
    cg, kg = case.c // case.groups, case.k // case.groups
    first = k // kg * cg
    taps, places = _seeing(case.window, tuple(inputs))
    filters = _at(arrays.weight[first : first + cg, k % kg], taps)
    x = _at(arrays.x[n, first : first + cg], places)
    return _sum(_products(x, filters), float(arrays.bias[k]))


@value_at.register
def _linear(case: Linear, arrays: Arrays, result: int, position: tuple[int, ...]) -> Value:
    n, k = position
    return _sum(_products(arrays.x[n], arrays.weight[k]), float(arrays.bias[k]))


@value_at.register(PoolLayer)
@value_at.register(Pooling)
def _pool(
    case: PoolLayer | Pooling, arrays: Arrays, result: int, position: tuple[int, ...]
) -> Value:
    n, c, *place = position
    _, inputs = _seen(case.window, tuple(place))
    window = arrays.x[n, c][inputs].astype(np.float64)
    if result == 1:
        axes = starmap(np.take, zip(map(np.ravel, inputs), _first_largest(window), strict=True))
        return float(np.ravel_multi_index(tuple(axes), case.window.size)), 0.0
    if case.kind == "max":
        return window.max(), 0.0
    return _sum(window / case.window.taps)


def _first_largest(window: np.ndarray) -> tuple[np.intp, ...]:
    return np.unravel_index(window.argmax(), window.shape)


@value_at.register
def _unfold(case: Unfold, arrays: Arrays, result: int, position: tuple[int, ...]) -> Value:
    n, row, column = position
    c, *tap = np.unravel_index(row, (case.c, *case.window.kernel))
    place = np.unravel_index(column, case.window.out_size)
    at = [
        int(p * stride - before + t * dilation)
        for (_, _, stride, dilation, before, _), t, p in zip(
            _axes(case.window), tap, place, strict=True
        )
    ]
    inside = all(0 <= i < size for i, size in zip(at, case.window.size, strict=True))
    return float(arrays.x[n, c, *at]) if inside else 0.0, 0.0


_NUMPY_MODES = {"replicate": "edge", "circular": "wrap"}


@value_at.register
def _pad(case: Pad, arrays: Arrays, result: int, position: tuple[int, ...]) -> Value:
    n, c, *at = position
    # Axis by axis, which input an element comes from: numpy pads the axis' own indices.
    index = []
    for i, size, border in zip(at, case.size, case.borders, strict=True):
        mode = _NUMPY_MODES.get(case.mode, case.mode)
        outside = {"constant_values": -1} if mode == "constant" else {}
        # numpy's own stub knows modes as literals only.
        index.append(int(np.pad(np.arange(size), border, mode, **outside)[i]))  # type: ignore[call-overload]
    return 0.0 if min(index) < 0 else float(arrays.x[n, c, *index]), 0.0
