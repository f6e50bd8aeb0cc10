"""What is worked out once for all shapes of a graph's inputs: folded constants, packed weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias
from weakref import ref

from fastconv import _arguments
from fastconv._arguments import Array
from fastconv._core import ConvPlan, Packed

# The arrays that a constant was worked out from, or itself. A constant may depend on a shape, in
# which case it comes from other arrays for another shape.
Sources: TypeAlias = tuple[Array | None, ...]


class _Folded(NamedTuple):
    """A constant that was worked out, and may be forgotten once it is packed."""

    sources: Sources
    array: ref[Array]


class Cache:
    """Results by name, good for as long as they would be made from the very same arrays."""

    def __init__(self) -> None:
        self._folded: dict[str, _Folded] = {}
        self._packed: dict[tuple[str, int], tuple[Sources, Packed]] = {}

    def constant(self, name: str, sources: Sources, make: Callable[[], Array]) -> Array:
        """Return what `make` makes of the sources, now or before."""
        known = self._folded.get(name)
        array = known.array() if known is not None and _same(known.sources, sources) else None
        if array is None:
            array = make()
            self._folded[name] = _Folded(sources, ref(array))
        return array

    def packed(
        self, name: str, sources: Sources, plan: ConvPlan, weight: Callable[[], Array]
    ) -> Packed:
        """Return the weights of a convolution as a plan takes them, packed now or before."""
        key = name, plan.packing
        known = self._packed.get(key)
        if known is None or not _same(known[0], sources):
            known = self._packed[key] = sources, plan.pack(_arguments.contiguous(weight()))
        return known[1]


def _same(a: Sources, b: Sources) -> bool:
    return len(a) == len(b) and all(one is other for one, other in zip(a, b, strict=True))
