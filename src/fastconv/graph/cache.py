"""What is worked out once for all shapes of a graph's inputs: folded constants, packed weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from fastconv import _arguments
from fastconv._arguments import Array
from fastconv._weights import Weights

_Made = TypeVar("_Made")


class Cache:
    """Results by name, good for as long as they would be made from the very same arrays.

    A constant may depend on a shape, in which case it is another array for another shape.
    """

    def __init__(self) -> None:
        self._made: dict[tuple[str, ...], tuple[tuple[Array | None, ...], Any]] = {}

    def get(
        self, key: tuple[str, ...], sources: tuple[Array | None, ...], make: Callable[[], _Made]
    ) -> _Made:
        """Return what `make` makes of the sources, now or before."""
        known = self._made.get(key)
        if known is None or any(a is not b for a, b in zip(known[0], sources, strict=True)):
            known = self._made[key] = sources, make()
        made: _Made = known[1]
        return made

    def weights(self, name: str, weight: Array, bias: Array | None) -> Weights:
        """Return the weights of a convolution, with what was packed from them."""

        def make() -> Weights:
            return Weights(*_plain(weight, bias), {})

        return self.get(("weights", name), (weight, bias), make)

    def filters(self, name: str, weight: Array, bias: Array | None) -> Weights:
        """Return the weights of a dense layer as those of a convolution with a window of one."""

        def make() -> Weights:
            matrix, row = _plain(weight, bias)
            return Weights(matrix[..., np.newaxis], row, {})

        return self.get(("filters", name), (weight, bias), make)


def _plain(weight: Array, bias: Array | None) -> tuple[Array, Array | None]:
    return _arguments.contiguous(weight), None if bias is None else _arguments.contiguous(bias)
