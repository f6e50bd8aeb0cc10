"""Is an output right? The error bound, and the comparison with float64 at random positions.

Knows ``definitions`` and what that knows.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np

from fastconv.bench.data import Arrays
from fastconv.bench.definitions import value_at
from fastconv.bench.layers import Result
from fastconv.bench.operators import Timed

POSITIONS = 600

WINOGRAD_FACTOR = 4
"""By which the error of Winograd algorithms may exceed that of a plain sum."""

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


def random_positions(case: Timed, result: int = 0, count: int = POSITIONS) -> np.ndarray:
    """Distinct indices of a result, at most ``count``, the last element's among them.

    Small outputs are looked at in full.
    """
    shape = case.results[result].shape
    size = int(np.prod(shape))
    if size <= count:
        flat = np.arange(size)
    else:
        rng = np.random.default_rng(zlib.crc32(case.id.encode()) + 1 + result)
        flat = np.append(rng.choice(size - 1, count - 1, replace=False, shuffle=False), size - 1)
    return np.stack(np.unravel_index(flat, shape), axis=1)


def reference_at(
    case: Timed, arrays: Arrays, positions: np.ndarray, result: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Float64 results and sums of absolute products at some positions."""
    pairs = [value_at(case, arrays, result, tuple(position)) for position in positions.tolist()]
    reference, magnitude = np.array(pairs, dtype=np.float64).reshape(-1, 2).T
    return reference, magnitude


def check_output(
    case: Timed,
    arrays: Arrays,
    out: np.ndarray | tuple[np.ndarray, ...],
    winograd: bool = False,
) -> Check:
    """Compare an output, or all of several, with float64 at random positions.

    Maxima are compared exactly. NaN, a wrong shape and a wrong dtype fail.

    Parameters
    ----------
    winograd : bool
        Whether a Winograd algorithm may have computed it. The error of such a one scales with the
        largest magnitude in a tile, not with the pixel's own, and its transforms add to it: the
        bound is `WINOGRAD_FACTOR` times that of the largest magnitude among the positions.
    """
    outs = out if isinstance(out, tuple) else (out,)
    if len(outs) != len(case.results):
        return Check(np.inf, 0, f"{len(outs)} results, expected {len(case.results)}")
    checks = [_check(case, arrays, result, each, winograd) for result, each in enumerate(outs)]
    worst = next((check for check in checks if check.failure), None)
    return worst or Check(
        max(check.error for check in checks), sum(check.positions for check in checks)
    )


def _misfit(expected: Result, dtype: np.dtype, out: np.ndarray) -> str | None:
    """What is wrong with an output whatever its values."""
    dtype = np.dtype(np.int64) if expected.integer else dtype
    if out.shape != expected.shape:
        return f"shape {out.shape}, expected {expected.shape}"
    return f"dtype {out.dtype}, expected {dtype}" if out.dtype != dtype else None


def _check(case: Timed, arrays: Arrays, result: int, out: np.ndarray, winograd: bool) -> Check:
    expected = case.results[result]
    misfit = _misfit(expected, arrays.x.dtype, out)
    if misfit:
        return Check(np.inf, 0, misfit)
    positions = random_positions(case, result)
    reference, magnitude = reference_at(case, arrays, positions, result)
    if winograd:
        magnitude = np.full_like(magnitude, WINOGRAD_FACTOR * magnitude.max())
    bound = error_bound(reference, magnitude, expected.terms, arrays.x.dtype.name)
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
