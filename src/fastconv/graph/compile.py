"""From a graph and the shapes of its inputs to steps that run, each by a plan, in places in memory.

Knows what graphs are made of, plans and the loop over steps (``_core.Steps``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from time import perf_counter
from typing import NamedTuple, Protocol

import numpy as np

from fastconv import _arguments
from fastconv._arguments import FLOATS, NUMBERS, Array
from fastconv._core import BLOCKS, FAST_AXES, ConvPlan, GraphBase, Packed, Steps
from fastconv._plans import layer_of, plan_for
from fastconv.graph.cache import Cache
from fastconv.graph.memory import SHARED, Home, Memory, Place, aligned_block
from fastconv.graph.node import DynamicShapeError, Node, Shape, Spec, evaluate_node, named_errors
from fastconv.graph.operators.convolution import Conv, Dense
from fastconv.graph.operators.elementwise import Activation, LocalResponseNorm
from fastconv.graph.operators.pooling import Pool
from fastconv.graph.operators.shaping import Concat, View
from fastconv.graph.simplify import Network, fuse, settle
from fastconv.linear import dense_plan, dots_serve
from fastconv.norm import response_of, response_served

# Of the dtypes that a place in memory can have: all but objects, dates and texts.
_PLACEABLE = "biufc"


class Step(NamedTuple):
    """What people are told about a step."""

    node: Node
    spec: Spec  # of its first result that is needed
    algorithm: str
    flops: int


class Stretch(Protocol):
    """What runs on blocks of memory: compiled steps, or one call of Python."""

    def run(self, blocks: list[Array], /) -> None:
        """Run it."""

    def profile(self, blocks: list[Array], /) -> list[float]:
        """Run it and return the seconds of each step."""


class _Timed:
    """One step of Python."""

    def run(self, blocks: list[Array]) -> None:
        """Run it."""
        raise NotImplementedError

    def profile(self, blocks: list[Array]) -> list[float]:
        """Run it and return the seconds that it took."""
        start = perf_counter()
        self.run(blocks)
        return [perf_counter() - start]


class Call(_Timed):
    """A node that Python computes."""

    def __init__(self, node: Node, network: Network, homes: Mapping[str, Home]) -> None:
        self._node = node
        self._inputs: list[Home | Array | None] = []
        for key in node.inputs:
            value = network.constant(key) if key else None
            self._inputs.append(value if value is not None or not key else homes[key])
        self._outputs = [homes[key] if key else None for key in node.outputs]

    def run(self, blocks: list[Array]) -> None:
        """Compute the node and write its results where they belong."""
        arrays = [
            source.view(blocks) if isinstance(source, Home) else source for source in self._inputs
        ]
        results = evaluate_node(self._node, arrays)
        for home, result in zip(self._outputs, results, strict=False):
            if home is None:
                continue
            if result.shape != home.shape or result.dtype != home.dtype:
                error = DynamicShapeError(f"{self._node}: its shape depends on data")
                error.value = next(filter(None, self._node.outputs))
                raise error
            np.copyto(home.view(blocks), result)


class Join(_Timed):
    """The parts of a concatenation that could not be written where they belong."""

    def __init__(self, parts: list[tuple[Home | Array, Home]]) -> None:
        self._parts = parts

    def run(self, blocks: list[Array]) -> None:
        """Copy them."""
        for source, target in self._parts:
            part = source.view(blocks) if isinstance(source, Home) else source
            np.copyto(target.view(blocks), part)


class Compiled:
    """A graph for inputs of certain shapes; immutable, and called by any number of threads."""

    def __init__(
        self,
        stretches: Sequence[Stretch],
        steps: Sequence[Step],
        memory: Memory,
        outputs: Sequence[Home | Array],
    ) -> None:
        self.steps = tuple(steps)
        self.shared_bytes = memory.shared_bytes
        self._stretches = tuple(stretches)
        self._results = memory.results
        self._outputs = tuple(outputs)
        # Blocks that no call uses now; as many are made as calls run at once.
        self._free: list[Array] = []
        self._whole = memory.is_whole_result(0)

    def publish(
        self, graph: GraphBase, inputs: Sequence[tuple[Shape, np.dtype[np.generic]]]
    ) -> None:
        """Let a graph's fast path serve these inputs, if it can."""
        steps = self._stretches[0] if len(self._stretches) == 1 else None
        if isinstance(steps, Steps) and len(inputs) == len(self._outputs) == 1 and self._whole:
            (shape, dtype), result = inputs[0], self._results[0]
            fits = len(shape) <= FAST_AXES and len(result.shape) <= FAST_AXES
            if fits and dtype in NUMBERS:
                form = shape, NUMBERS[dtype], result.shape, NUMBERS[result.dtype]
                graph._publish(steps, self._free, self.shared_bytes, *form)

    def run(self, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """Return new arrays of outputs."""
        blocks = self._blocks(inputs)
        try:
            for stretch in self._stretches:
                stretch.run(blocks)
            return self._delivered(blocks)
        finally:
            self._free.append(blocks[SHARED])

    def profile(self, inputs: Sequence[Array]) -> list[float]:
        """Run once and return the seconds of each step."""
        blocks = self._blocks(inputs)
        try:
            return [second for stretch in self._stretches for second in stretch.profile(blocks)]
        finally:
            self._free.append(blocks[SHARED])

    def _blocks(self, inputs: Sequence[Array]) -> list[Array]:
        try:
            shared = self._free.pop()
        except IndexError:
            shared = aligned_block(self.shared_bytes)
        results = [np.empty(spec.shape, spec.dtype) for spec in self._results]
        return [shared, *map(_arguments.contiguous, inputs), *results]

    def _delivered(self, blocks: Sequence[Array]) -> tuple[Array, ...]:
        """Return the outputs: new arrays, of which no two share memory."""
        returned: set[int] = set()
        arrays = []
        first = len(blocks) - len(self._results)
        for output in self._outputs:
            array = output.view(blocks) if isinstance(output, Home) else output
            if isinstance(output, Home) and output.block >= first and output.block not in returned:
                returned.add(output.block)
                block = blocks[output.block]
                arrays.append(block if block.shape == array.shape else array)
            else:
                arrays.append(array.copy())
        return tuple(arrays)


def compile_graph(
    nodes: Sequence[Node],
    inputs: Mapping[str, Spec],
    outputs: Sequence[str],
    constants: Mapping[str, Array],
    cache: Cache,
) -> Compiled:
    """Return the graph compiled for inputs of the given shapes.

    Raises `DynamicShapeError` if a shape depends on data.
    """
    network = fuse(settle(nodes, inputs, outputs, constants), cache)
    for key, spec in network.specs.items():
        if spec.value is None and spec.dtype.kind not in _PLACEABLE:
            raise DynamicShapeError(f"{key} has dtype {spec.dtype}, which shares no memory")
    memory = Memory(network, tuple(inputs))
    blocks = 1 + len(inputs) + len(memory.results)
    if blocks > BLOCKS:
        raise DynamicShapeError(f"{len(inputs)} inputs and {len(outputs)} outputs are too many")
    return _Compiler(network, memory, cache, blocks).run()


class _Compiler:
    """Turns node after node into steps."""

    def __init__(self, network: Network, memory: Memory, cache: Cache, blocks: int) -> None:
        self.network = network
        self.memory = memory
        self.homes = memory.homes
        self.cache = cache
        self.blocks = blocks
        self.stretches: list[Stretch] = []
        self.steps: list[Step] = []

    def run(self) -> Compiled:
        for node in self.network.nodes:
            with named_errors(node):
                done = self.step(node)
            if not done:
                self.stretches.append(Call(node, self.network, self.homes))
                self.tell(node)
        outputs = [
            self.homes[key] if (value := self.network.constant(key)) is None else value
            for key in self.network.outputs
        ]
        return Compiled(self.stretches, self.steps, self.memory, outputs)

    def step(self, node: Node) -> bool:
        """Add what computes a node, if it need not be Python."""
        match node.operator:
            case Conv():
                return self.conv(node, node.operator)
            case Dense():
                return self.dense(node, node.operator)
            case Pool():
                return self.pool(node, node.operator)
            case Activation():
                return self.activation(node, node.operator)
            case LocalResponseNorm():
                return self.response(node, node.operator)
            case View():
                return self.memory.is_same(node)
            case Concat():
                return self.join(node, node.operator)
        return False

    def tell(self, node: Node, algorithm: str = "", flops: int = 0) -> None:
        spec = self.network.specs[next(filter(None, node.outputs))]
        self.steps.append(Step(node, spec, algorithm, flops))

    def stretch(self) -> Steps:
        """Return the compiled steps that the next one joins."""
        last = self.stretches[-1] if self.stretches else None
        if not isinstance(last, Steps):
            last = Steps(self.blocks)
            self.stretches.append(last)
        return last

    def served(self, node: Node) -> bool:
        """Whether kernels can work on a node's values: floating, not constant, not empty."""
        keys = (node.inputs[0], *node.inputs[3:], node.outputs[0])
        return (
            all(
                key in self.homes
                and self.network.specs[key].dtype in FLOATS
                and 0 not in self.network.specs[key].shape
                for key in keys
            )
            and len({self.network.specs[key].dtype for key in keys}) == 1
        )

    def weights(self, node: Node) -> Spec | None:
        """Return the spec of a node's weight, if that and the bias are constant."""
        key, bias = node.inputs[1], node.inputs[2] if len(node.inputs) > 2 else ""
        network, spec = self.network, self.network.specs[node.inputs[1]]
        fits = network.is_constant(key) and spec.dtype == network.specs[node.inputs[0]].dtype
        if fits and bias:
            own = network.specs[bias]
            fits = network.is_constant(bias) and own[:2] == (spec.shape[:1], spec.dtype)
        return spec if fits else None

    def packed(self, node: Node, plan: ConvPlan) -> Packed:
        key = node.inputs[1]

        def weight() -> Array:
            array = np.asarray(self.network.constant(key))
            return array if array.ndim > 2 else array[..., np.newaxis]

        return self.cache.packed(key, self.network.sources(key), plan, weight)

    def bias(self, node: Node) -> Array | None:
        array = self.network.constant(node.inputs[2]) if len(node.inputs) > 2 else None
        return None if array is None else _arguments.contiguous(array)

    def conv(self, node: Node, operator: Conv) -> bool:
        weight = self.weights(node) if self.served(node) else None
        if weight is None:
            return False
        x = self.homes[node.inputs[0]]
        layer = operator.layer(x.shape, weight.shape, x.dtype.name)
        plan = plan_for("x", x.shape, weight.shape, layer)
        packed = self.packed(node, plan)
        self.stretch().conv(plan, packed, self.bias(node), x.place, *self.ends(node))
        self.tell(node, plan.algorithm, plan.flops)
        return True

    def ends(self, node: Node) -> tuple[Place | None, Place]:
        """Return the places of a node's residual, if it has one, and its result."""
        residual = self.homes[node.inputs[3]].place if len(node.inputs) > 3 else None
        return residual, self.homes[node.outputs[0]].place

    def dense(self, node: Node, operator: Dense) -> bool:
        weight = self.weights(node) if self.served(node) else None
        x, y = self.homes.get(node.inputs[0]), self.homes[node.outputs[0]]
        residual = self.homes[node.inputs[3]] if len(node.inputs) > 3 else None
        homes = [home for home in (x, y, residual) if home is not None]
        if weight is None or x is None or not all(home.contiguous for home in homes):
            return False
        (k, c), n = weight.shape, prod(x.shape[:-1])
        form = x.dtype.name
        if dots_serve(k * c * x.dtype.itemsize, n):
            matrices = [_matrix(home, n) for home in homes]
            added = matrices[2] if residual is not None else None
            plan = dense_plan(n, c, k, form, _arguments.activation(operator.activation))
            rows = _arguments.contiguous(np.asarray(self.network.constant(node.inputs[1])))
            self.stretch().dense(plan, rows, self.bias(node), matrices[0], added, matrices[1])
            self.tell(node, plan.algorithm, plan.flops)
            return True
        # Samples are the pixels of one image, whose channels are the features.
        lines = [_line(home, n) for home in homes]
        added = lines[2] if residual is not None else None
        filters = (k, c, 1)
        layer = layer_of(filters, 1, form, 1, 0, 1, 1, True, operator.activation)
        conv = plan_for("x", (n, c), filters, layer)
        packed = self.packed(node, conv)
        self.stretch().conv(conv, packed, self.bias(node), lines[0], added, lines[1])
        self.tell(node, conv.algorithm, conv.flops)
        return True

    def pool(self, node: Node, operator: Pool) -> bool:
        if not self.served(node) or operator.with_indices:
            return False
        x, y = self.homes[node.inputs[0]], self.homes[node.outputs[0]]
        plan = operator.plan(x.shape, x.dtype.name)
        self.stretch().pool(plan, x.place, y.place)
        self.tell(node)
        return True

    def activation(self, node: Node, operator: Activation) -> bool:
        if not self.served(node):
            return False
        x, y = self.homes[node.inputs[0]], self.homes[node.outputs[0]]
        if not (x.contiguous and y.contiguous):
            return False
        form = _arguments.activation(operator.form)
        self.stretch().activate(x.dtype.name, form, prod(x.shape), x.place[:2], y.place[:2])
        self.tell(node)
        return True

    def response(self, node: Node, operator: LocalResponseNorm) -> bool:
        x, y = self.homes.get(node.inputs[0]), self.homes[node.outputs[0]]
        if x is None or not (self.served(node) and x.contiguous and y.contiguous):
            return False
        dtype = x.dtype.name
        form = response_of(x.shape, operator.size, operator.alpha, operator.beta, operator.k)
        if not response_served(form, dtype):
            return False
        n, c, *plane = x.shape
        self.stretch().response(dtype, (n, c, prod(plane)), *form, x.place[:2], y.place[:2])
        self.tell(node)
        return True

    def join(self, node: Node, operator: Concat) -> bool:
        whole, start = self.homes[node.outputs[0]], 0
        axis = operator.axis % len(whole.shape)
        parts: list[tuple[Home | Array, Home]] = []
        for key in node.inputs:
            shape = self.network.specs[key].shape
            if not self.memory.is_in_place(key, node.outputs[0], start):
                value = self.network.constant(key)
                target = whole.part(axis, start, shape)
                parts.append((self.homes[key] if value is None else value, target))
            start += shape[axis]
        if parts:
            self.stretches.append(Join(parts))
            self.tell(node)
        return True


def _matrix(home: Home, n: int) -> Place:
    """Return the place of n samples."""
    c = home.shape[-1]
    return home.block, home.offset, (n, c), (c, 1)


def _line(home: Home, n: int) -> Place:
    """Return the place of n samples as an image of as many pixels, with channels last."""
    c = home.shape[-1]
    return home.block, home.offset, (1, c, n), (n * c, 1, c)
