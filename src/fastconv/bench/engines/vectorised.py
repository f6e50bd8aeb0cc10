"""What a NumPy user writes today: windows by ``sliding_window_view``, sums by BLAS.

The im2col matrix is made by one copy and multiplied by the weights, all groups and samples in
one ``matmul``; poolings reduce over the windows.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from fastconv.bench.data import Arrays, Variant
from fastconv.bench.engines import Prepared
from fastconv.bench.layers import Case, ConvLayer, PoolLayer


def start(threads: int) -> None:
    """Nothing: BLAS has read its limit from the environment of the process."""


def versions() -> dict[str, str]:
    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {"numpy": np.__version__, "BLAS": f"{blas.get('name')} {blas.get('version')}"}


def prepare(case: Case, variant: Variant, arrays: Arrays) -> Prepared:
    if isinstance(case, PoolLayer):
        return Prepared(partial(_pool, arrays.x, case))
    weight = arrays.weight.reshape(case.groups, case.k // case.groups, case.reduction)
    bias = arrays.bias[:, None, None]
    return Prepared(partial(_conv, arrays.x, weight, bias, case), "im2col")


def _windows(x: np.ndarray, case: Case, fill: float) -> np.ndarray:
    """View of shape (n, c, oh, ow, kh, kw) of the padded input."""
    (oh, ow), (sh, sw), (dh, dw) = case.out_size, case.stride, case.dilation
    span_h, span_w = dh * (case.kh - 1) + 1, dw * (case.kw - 1) + 1
    top, bottom, left, right = case.padding
    # ceil_mode may let the last window reach over the bottom or right border.
    bottom = max(bottom, (oh - 1) * sh + span_h - case.h - top)
    right = max(right, (ow - 1) * sw + span_w - case.w - left)
    if top or bottom or left or right:
        borders = ((0, 0), (0, 0), (top, bottom), (left, right))
        x = np.pad(x, borders, constant_values=fill)
    windows = sliding_window_view(x, (span_h, span_w), axis=(2, 3))
    return windows[:, :, ::sh, ::sw, ::dh, ::dw][:, :, :oh, :ow]


def _conv(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, case: ConvLayer) -> np.ndarray:
    windows = _windows(x, case, 0.0).transpose(0, 1, 4, 5, 2, 3)
    oh, ow = case.out_size
    columns = windows.reshape(case.n, case.groups, case.reduction, oh * ow)
    out: np.ndarray = (weight @ columns).reshape(case.out_shape)
    out += bias
    return out


def _pool(x: np.ndarray, case: PoolLayer) -> np.ndarray:
    if case.kind == "max":
        pooled: np.ndarray = _windows(x, case, -np.inf).max(axis=(4, 5))
    else:
        pooled = _windows(x, case, 0.0).mean(axis=(4, 5))
    return pooled
