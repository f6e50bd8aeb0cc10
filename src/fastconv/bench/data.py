"""Seeded random arrays for a case: every process makes the same ones by itself.

Never zeros: denormals and zeros would change what is timed, and hide wrong indices. Knows
``operators``.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from fastconv.bench.operators import Timed


@dataclass(frozen=True, slots=True)
class Variant:
    """How a case is run: the same case may be timed in several of these."""

    threads: int = 1
    dtype: str = "float32"
    channels_last: bool = False

    @property
    def label(self) -> str:
        """What differs from float32 in NCHW on one thread, or nothing.

        Examples
        --------
        >>> Variant(2, "float64").label
        '2 threads float64'
        """
        parts = []
        if self.threads > 1:
            parts.append(f"{self.threads} threads")
        if self.dtype != "float32":
            parts.append(self.dtype)
        if self.channels_last:
            parts.append("channels_last")
        return " ".join(parts)


@dataclass(frozen=True, slots=True)
class Arrays:
    """What a case takes: input, weight, bias, and the gradient of its result; some are empty."""

    x: np.ndarray
    weight: np.ndarray = field(default_factory=partial(np.empty, 0))
    bias: np.ndarray = field(default_factory=partial(np.empty, 0))
    grad_output: np.ndarray = field(default_factory=partial(np.empty, 0))


def make_arrays(case: Timed, dtype: str = "float32") -> Arrays:
    """Standard normal input; weights scaled so that outputs are of the same order."""
    rng = np.random.default_rng(zlib.crc32(case.id.encode()))
    # Drawn in the dtype itself: float64 values must not be representable in float32.
    draw: Callable[..., np.ndarray] = partial(rng.standard_normal, dtype=dtype)  # type: ignore[assignment]
    drawn = {name: draw(shape) for name, shape in case.operands.items()}
    if "weight" in drawn:
        drawn["weight"] *= case.reduction**-0.5
    return Arrays(**drawn)


def to_layout(x: np.ndarray, channels_last: bool) -> np.ndarray:
    """A (n, c, h, w) array, contiguous in the layout asked for."""
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)) if channels_last else x
