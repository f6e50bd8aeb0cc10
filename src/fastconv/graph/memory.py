"""Where values lie while a graph runs: in what is given or returned, or in one shared block.

Knows what graphs are made of, and which steps can work on a slice of a larger array.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import prod
from typing import NamedTuple, TypeAlias

import numpy as np

from fastconv._arguments import Array
from fastconv.graph.node import Node, Operator, Shape, Spec
from fastconv.graph.operators.convolution import Conv, Dense
from fastconv.graph.operators.elementwise import Activation, LocalResponseNorm
from fastconv.graph.operators.shaping import Concat, View
from fastconv.graph.simplify import Network

# Of the shared block and of each array in it: a cache line, and what vectors want.
ALIGNMENT = 64
SHARED = 0  # the number of the shared block; inputs follow, then outputs

# Operators whose steps take and make contiguous arrays alone.
_WHOLE = (View, Activation, Dense, LocalResponseNorm)

# An array as the steps take it: block, offset in bytes, shape, strides in elements.
Place: TypeAlias = tuple[int, int, Shape, Shape]


class Home(NamedTuple):
    """Where a value lies: block, offset and strides in bytes."""

    block: int
    offset: int
    shape: Shape
    strides: Shape
    dtype: np.dtype[np.generic]

    @classmethod
    def whole(cls, block: int, offset: int, spec: Spec) -> Home:
        """Return the home of a contiguous array."""
        return cls(block, offset, spec.shape, contiguous_strides(spec), spec.dtype)

    @property
    def contiguous(self) -> bool:
        """Whether it is an array in one run."""
        return self.strides == contiguous_strides(Spec(self.shape, self.dtype))

    @property
    def place(self) -> Place:
        """Itself as the steps take it."""
        size = self.dtype.itemsize
        return self.block, self.offset, self.shape, tuple(stride // size for stride in self.strides)

    def part(self, axis: int, start: int, shape: Shape) -> Home:
        """Return the home of a slice."""
        return self._replace(offset=self.offset + start * self.strides[axis], shape=shape)

    def view(self, blocks: Sequence[Array]) -> Array:
        """Return it as an array."""
        if 0 in self.shape:
            return np.empty(self.shape, self.dtype)
        block = blocks[self.block]
        return np.ndarray(self.shape, self.dtype, block.data, self.offset, self.strides)


def contiguous_strides(spec: Spec) -> Shape:
    """Return the strides, in bytes, of a C-contiguous array."""
    strides, step = [], spec.dtype.itemsize
    for size in reversed(spec.shape):
        strides.append(step)
        step *= size
    return tuple(reversed(strides))


class _Slice(NamedTuple):
    """A value that lies in another one, from `start` on along an axis."""

    whole: str
    axis: int
    start: int


class Memory:
    """The homes of all values of a network that are not constant."""

    def __init__(self, network: Network, inputs: Sequence[str]) -> None:
        self._network = network
        self._specs = network.specs
        self._uses = Counter(key for node in network.nodes for key in node.inputs)
        self._uses.update(network.outputs)
        self._users: dict[str, list[Operator]] = {}
        for node in network.nodes:
            for key in filter(None, node.inputs):
                self._users.setdefault(key, []).append(node.operator)
        self._makers = {key: node.operator for node in network.nodes for key in node.outputs}
        self._slices: dict[str, _Slice] = {}
        self._same: dict[str, str] = {}  # values in the memory of another one, all of it
        self._lasting: set[str] = set()  # hold parts that others than their concatenation need
        self._share()
        self.homes = {key: Home.whole(1 + i, 0, self._specs[key]) for i, key in enumerate(inputs)}
        self.results = self._place_outputs(1 + len(inputs))
        self.shared_bytes = self._place_shared()
        for node in network.nodes:
            for key in filter(None, node.outputs):
                self._home(key)

    def _share(self) -> None:
        """Decide which values lie in the memory of others."""
        for node in self._network.nodes:
            if isinstance(node.operator, Concat):
                self._take_slices(node, node.operator)
        self._lasting = {self._root(key) for key in self._slices if self._uses[key] > 1}
        for node in self._network.nodes:
            match node.operator:
                case View():
                    if node.inputs[0] not in self._slices:
                        self._same[node.outputs[0]] = node.inputs[0]
                case Activation():
                    self._take_over(node.inputs[0], node)
                case Conv() | Dense():
                    if len(node.inputs) > 3:
                        self._take_over(node.inputs[3], node)

    def _take_slices(self, node: Node, operator: Concat) -> None:
        """Let the parts of a concatenation be written where they belong, where they can be."""
        whole = node.outputs[0]
        axis = operator.axis % len(self._specs[whole].shape)
        start = 0
        for key in node.inputs:
            maker = self._makers.get(key)
            if (
                maker is not None
                and not isinstance(maker, _WHOLE)
                and not any(isinstance(user, _WHOLE) for user in self._users[key])
                and key not in self._slices
                and key not in self._network.outputs
                and self._specs[key].dtype == self._specs[whole].dtype
            ):
                self._slices[key] = _Slice(whole, axis, start)
            start += self._specs[key].shape[axis]

    def _take_over(self, key: str, node: Node) -> None:
        """Let a result replace an input that nothing else needs, element by element."""
        result = node.outputs[0]
        if result in self._slices or self._specs[key][:2] != self._specs[result][:2]:
            return
        at = key
        while True:
            if at in self._slices or at not in self._makers or self._uses[at] != 1:
                return
            if at not in self._same:
                break
            at = self._same[at]
        if at not in self._lasting:
            self._same[result] = key

    def _root(self, key: str) -> str:
        """Return the value whose memory holds this one's."""
        while True:
            if key in self._slices:
                key = self._slices[key].whole
            elif key in self._same:
                key = self._same[key]
            else:
                return key

    def _place_outputs(self, first_block: int) -> list[Spec]:
        """Give outputs blocks of their own; return what is to be allocated for them."""
        results: list[Spec] = []
        for key in self._network.outputs:
            root = self._root(key)
            if root in self._makers and root not in self.homes:
                spec = self._specs[root]
                self.homes[root] = Home.whole(first_block + len(results), 0, spec)
                results.append(Spec(spec.shape, spec.dtype))
        return results

    def _place_shared(self) -> int:
        """Give all other values a place in the shared block; return its size."""
        born: dict[str, int] = {}
        dead: dict[str, int] = {}
        for i, node in enumerate(self._network.nodes):
            for key in filter(None, (*node.inputs, *node.outputs)):
                root = self._root(key)
                if root in self._makers and root not in self.homes:
                    born.setdefault(root, i)
                    dead[root] = i
        placed: list[tuple[int, int, str]] = []  # begin, end, value
        # Large arrays first, each at the lowest place that is free during its life.
        for key in sorted(born, key=lambda key: (-self._bytes(key), born[key])):
            size, begin = self._bytes(key), 0
            for low, high, other in placed:
                alive = born[other] <= dead[key] and born[key] <= dead[other]
                if alive and begin < high and low < begin + size:
                    begin = high
            placed.append((begin, begin + size, key))
            placed.sort()
            self.homes[key] = Home.whole(SHARED, begin, self._specs[key])
        return max((end for _, end, _ in placed), default=0)

    def _bytes(self, key: str) -> int:
        spec = self._specs[key]
        return -(-prod(spec.shape) * spec.dtype.itemsize // ALIGNMENT) * ALIGNMENT

    def _home(self, key: str) -> Home:
        """Return the home of a value, found by that of the one that it lies in."""
        inner = []
        while key not in self.homes:
            inner.append(key)
            key = self._slices[key].whole if key in self._slices else self._same[key]
        home = self.homes[key]
        for key in reversed(inner):
            spec = self._specs[key]
            if key in self._slices:
                _, axis, start = self._slices[key]
                home = home.part(axis, start, spec.shape)
            else:
                home = Home.whole(home.block, home.offset, spec)
            self.homes[key] = home
        return home

    def is_whole_result(self, i: int) -> bool:
        """Whether an output is a block by itself, as it is allocated."""
        key = self._network.outputs[i]
        return key in self._makers and self._root(key) == key and len(self.results) > i

    def is_in_place(self, part: str, whole: str, start: int) -> bool:
        """Whether a part of a concatenation is written where it belongs, once of many times."""
        own = self._slices.get(part)
        return own is not None and (own.whole, own.start) == (whole, start)

    def is_same(self, node: Node) -> bool:
        """Whether a view needs no step: its result lies where its input does."""
        return self._same.get(node.outputs[0]) == node.inputs[0]


def aligned_block(size: int) -> Array:
    """Return a block of bytes whose address is a multiple of the alignment."""
    block = np.empty(size + ALIGNMENT, np.uint8)
    start = -block.ctypes.data % ALIGNMENT
    return block[start : start + size]
