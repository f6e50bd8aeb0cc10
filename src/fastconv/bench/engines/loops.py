"""The naive loops of every textbook, in scalar Python.

On nested lists, which Python indexes faster than ndarrays: the kindest form of these loops.
"""

from __future__ import annotations

from functools import partial
from itertools import product

import numpy as np

from fastconv.bench.data import Arrays, Variant
from fastconv.bench.engines import Prepared
from fastconv.bench.layers import Case, ConvLayer, PoolLayer

Nested = list[list[list[list[float]]]]


def start(threads: int) -> None:
    """Nothing: there is one thread."""


def versions() -> dict[str, str]:
    return {}


def prepare(case: Case, variant: Variant, arrays: Arrays) -> Prepared:
    (oh, ow), (sh, sw), (dh, dw) = case.out_size, case.stride, case.dilation
    top, bottom, left, right = case.padding
    # ceil_mode may let the last window reach over the bottom or right border.
    bottom = max(bottom, (oh - 1) * sh + dh * (case.kh - 1) + 1 - case.h - top)
    right = max(right, (ow - 1) * sw + dw * (case.kw - 1) + 1 - case.w - left)
    fill = -np.inf if isinstance(case, PoolLayer) and case.kind == "max" else 0.0
    borders = ((0, 0), (0, 0), (top, bottom), (left, right))
    x = np.pad(arrays.x, borders, constant_values=fill).tolist()
    if isinstance(case, ConvLayer):
        return Prepared(
            partial(_conv, x, arrays.weight.tolist(), arrays.bias.tolist(), case, arrays.x.dtype)
        )
    return Prepared(partial(_pool, x, case, arrays.x.dtype))


def _conv(
    x: Nested, weight: Nested, bias: list[float], case: ConvLayer, dtype: np.dtype
) -> np.ndarray:
    out = np.empty(case.out_shape, dtype)
    (oh, ow), (sh, sw), (dh, dw) = case.out_size, case.stride, case.dilation
    cg, kg = case.c // case.groups, case.k // case.groups
    for n, k in product(range(case.n), range(case.k)):
        first = k // kg * cg
        for oy in range(oh):
            for ox in range(ow):
                total = bias[k]
                for c in range(cg):
                    for i in range(case.kh):
                        for j in range(case.kw):
                            total += (
                                x[n][first + c][oy * sh + i * dh][ox * sw + j * dw]
                                * weight[k][c][i][j]
                            )
                out[n, k, oy, ox] = total
    return out


def _pool(x: Nested, case: PoolLayer, dtype: np.dtype) -> np.ndarray:
    out = np.empty(case.out_shape, dtype)
    (oh, ow), (sh, sw), (dh, dw) = case.out_size, case.stride, case.dilation
    largest = case.kind == "max"
    for n, c, oy, ox in product(range(case.n), range(case.c), range(oh), range(ow)):
        total = -np.inf if largest else 0.0
        for i in range(case.kh):
            for j in range(case.kw):
                value = x[n][c][oy * sh + i * dh][ox * sw + j * dw]
                if not largest:
                    total += value
                elif value > total:
                    total = value
        out[n, c, oy, ox] = total if largest else total / case.reduction
    return out
