"""Is an output right? The error bound, and the comparison with float64 at random positions.

Knows ``layers`` and ``data``.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from fastconv.bench.data import Arrays
from fastconv.bench.layers import Case, ConvLayer, PoolLayer

POSITIONS = 600

WINOGRAD_FACTOR = 4
"""By which the error of Winograd algorithms may exceed that of a plain sum."""

Taps = tuple[np.ndarray, np.ndarray]

_UNIT_ROUNDOFF = {"float16": 2.0**-24, "float32": 2.0**-24, "float64": 2.0**-53}
"""Of the arithmetic, not of the result: float16 is computed in float32."""


def error_bound(
    reference: np.ndarray, magnitude: np.ndarray, length: int, dtype: str
) -> np.ndarray:
    """How far a computed sum of products may lie from the exact one.

    ``(8 + sqrt(length)) * u * magnitude``: rounding errors of a sum behave like a random walk.
    A bound proportional to ``length`` would let half-precision arithmetic pass, and a fixed
    relative one fails where terms cancel.

    Parameters
    ----------
    reference : ndarray of float64
        The exact results; used for float16 only, whose final rounding is added.
    magnitude : ndarray of float64
        Sum of the absolute values of the products, the bias included.
    length : int
        Number of products in a sum.
    dtype : str
        ``"float16"``, ``"float32"`` or ``"float64"``.

    Returns
    -------
    ndarray of float64
        Largest absolute error, element by element.

    Examples
    --------
    >>> float(error_bound(np.zeros(1), np.ones(1), 64, "float32")[0]) == 16 * 2.0**-24
    True
    """
    bound: np.ndarray = (8 + length**0.5) * _UNIT_ROUNDOFF[dtype] * magnitude
    if dtype == "float16":
        bound = bound + 2.0**-11 * np.abs(reference) + 2.0**-25
    return bound


@dataclass(frozen=True, slots=True)
class Check:
    """What a comparison found; ``error`` is the worst error as a share of its bound."""

    error: float
    positions: int
    failure: str | None = None


def random_positions(case: Case, count: int = POSITIONS) -> np.ndarray:
    """Distinct (n, channel, oy, ox) of the output, at most ``count``, the last corner among them.

    Small outputs are looked at in full.
    """
    size = int(np.prod(case.out_shape))
    if size <= count:
        flat = np.arange(size)
    else:
        rng = np.random.default_rng(zlib.crc32(case.id.encode()) + 1)
        flat = np.append(rng.choice(size - 1, count - 1, replace=False, shuffle=False), size - 1)
    return np.stack(np.unravel_index(flat, case.out_shape), axis=1)


def reference_at(
    case: Case, arrays: Arrays, positions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Float64 results and sums of absolute products at positions (n, channel, oy, ox)."""
    if isinstance(case, ConvLayer):
        pairs = [_conv_at(case, arrays, *map(int, position)) for position in positions]
    else:
        pairs = [_pool_at(case, arrays, *map(int, position)) for position in positions]
    reference, magnitude = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
    return reference, magnitude


def _taps(size: int, at: int, pad: int, kernel: int, stride: int, dilation: int) -> Taps:
    """Tap numbers whose input lies inside, and the input indices."""
    index = at * stride - pad + np.arange(kernel) * dilation
    taps = np.flatnonzero((index >= 0) & (index < size))
    return taps, index[taps]


def _window(case: Case, oy: int, ox: int) -> tuple[Taps, Taps]:
    rows = _taps(case.h, oy, case.padding[0], case.kh, case.stride[0], case.dilation[0])
    columns = _taps(case.w, ox, case.padding[2], case.kw, case.stride[1], case.dilation[1])
    return rows, columns


def _conv_at(
    case: ConvLayer, arrays: Arrays, n: int, k: int, oy: int, ox: int
) -> tuple[float, float]:
    (tap_y, y), (tap_x, x) = _window(case, oy, ox)
    cg = case.c // case.groups
    first = k // (case.k // case.groups) * cg
    window = arrays.x[n, first : first + cg][:, y[:, None], x].astype(np.float64)
    products = window * arrays.weight[k][:, tap_y[:, None], tap_x].astype(np.float64)
    bias = float(arrays.bias[k])
    return products.sum() + bias, np.abs(products).sum() + abs(bias)


def _pool_at(
    case: PoolLayer, arrays: Arrays, n: int, c: int, oy: int, ox: int
) -> tuple[float, float]:
    (_, y), (_, x) = _window(case, oy, ox)
    window = arrays.x[n, c][y[:, None], x].astype(np.float64)
    if case.kind == "max":
        return window.max(), 0.0
    return window.sum() / case.reduction, np.abs(window).sum() / case.reduction


def check_output(case: Case, arrays: Arrays, out: np.ndarray, winograd: bool = False) -> Check:
    """Compare an output (n, k, oh, ow) with float64 at random positions.

    Maxima are compared exactly. NaN, a wrong shape and a wrong dtype fail.

    Parameters
    ----------
    winograd : bool
        Whether a Winograd algorithm may have computed it. The error of such a one scales with the
        largest magnitude in a tile, not with the pixel's own, and its transforms add to it: the
        bound is `WINOGRAD_FACTOR` times that of the largest magnitude among the positions.
    """
    if out.shape != case.out_shape:
        return Check(np.inf, 0, f"shape {out.shape}, expected {case.out_shape}")
    if out.dtype != arrays.x.dtype:
        return Check(np.inf, 0, f"dtype {out.dtype}, expected {arrays.x.dtype}")
    positions = random_positions(case)
    reference, magnitude = reference_at(case, arrays, positions)
    if winograd:
        magnitude = np.full_like(magnitude, WINOGRAD_FACTOR * magnitude.max())
    bound = error_bound(reference, magnitude, case.reduction, out.dtype.name)
    found = out[tuple(positions.T)].astype(np.float64)
    wrong_by = np.abs(found - reference)
    excess = np.where(wrong_by == 0, 0.0, wrong_by / np.maximum(bound, np.finfo(float).tiny))
    # A NaN anywhere must win over every number, and argmax gives it precedence.
    worst = int(np.argmax(excess))
    error = float(excess[worst])
    if error <= 1:
        return Check(error, len(positions))
    where = tuple(map(int, positions[worst]))
    text = f"{found[worst]!r} at {where}, expected {reference[worst]!r} +- {bound[worst]:.3g}"
    return Check(error, len(positions), text)
