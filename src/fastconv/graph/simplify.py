"""What a graph becomes once the shapes of its inputs are known: fewer nodes that do the same.

`settle` infers every shape and computes what is constant; `fuse` moves into convolutions and dense
layers what can be part of their weights or of their last pass.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from fastconv._arguments import FLOATS, Array
from fastconv.graph.cache import Cache, Sources
from fastconv.graph.node import DynamicShapeError, Node, Spec, evaluate_node, infer_node
from fastconv.graph.operators.convolution import Conv, Dense, MatMul
from fastconv.graph.operators.elementwise import Activation, Add, BatchNorm, Div, Mul, Sub
from fastconv.graph.operators.shaping import Function, Identity

Specs: TypeAlias = dict[str, Spec]


class Folded(NamedTuple):
    """A constant that is worked out from others when it is asked for: weights are large."""

    sources: Sources
    make: Callable[[], Array]


class Network(NamedTuple):
    """Nodes with the specs of all their values; constants are those whose specs have a value."""

    nodes: list[Node]
    specs: Specs
    outputs: tuple[str, ...]
    folded: dict[str, Folded]

    def is_constant(self, key: str) -> bool:
        """Whether it is a value that is known, or can be worked out."""
        return key in self.folded or (key in self.specs and self.specs[key].value is not None)

    def constant(self, key: str) -> Array | None:
        """Return the value of a constant, None of anything else."""
        if key in self.folded:
            return self.folded[key].make()
        spec = self.specs.get(key)
        return None if spec is None else spec.value

    def sources(self, key: str) -> Sources:
        """Return the arrays that a constant comes from."""
        return self.folded[key].sources if key in self.folded else (self.constant(key),)


def settle(
    nodes: Iterable[Node],
    inputs: Mapping[str, Spec],
    outputs: Sequence[str],
    constants: Mapping[str, Array],
) -> Network:
    """Infer all shapes, compute what is constant and leave out what does nothing."""
    specs = {key: Spec.of(array) for key, array in constants.items()} | dict(inputs)
    same: dict[str, str] = {}  # values that are others under another name
    guessed: set[str] = set()
    kept = []
    for original in nodes:
        node = original._replace(inputs=tuple(same.get(key, key) for key in original.inputs))
        if isinstance(node.operator, Identity):
            same[node.outputs[0]] = node.inputs[0]
            continue
        try:
            results = inferred(node, specs, guessed)
        except DynamicShapeError as error:
            error.value = next(filter(None, node.outputs))
            raise
        specs.update(zip(node.outputs, results, strict=False))
        if any(spec.value is None for spec in results):
            kept.append(node)
    ends = tuple(same.get(key, key) for key in outputs)
    return Network(_needed(kept, ends), specs, ends, {})


def inferred(node: Node, specs: Mapping[str, Spec], guessed: set[str]) -> tuple[Spec, ...]:
    """Return the specs of a node's results, with their values if its inputs are constant.

    `guessed` collects the values whose shapes depend on what some function makes of zeros.
    """
    known = [specs[key] if key else None for key in node.inputs]
    if node.operator.pure and all(spec is None or spec.value is not None for spec in known):
        values = [None if spec is None else spec.value for spec in known]
        return tuple(map(Spec.of, evaluate_node(node, values)))
    if not isinstance(node.operator, Function) and guessed.isdisjoint(node.inputs):
        return infer_node(node, known)
    guessed.update(filter(None, node.outputs))
    try:
        return infer_node(node, known)
    except Exception as error:  # zeros may not do where the real data will
        raise DynamicShapeError(str(error)) from error


def fuse(network: Network, cache: Cache) -> Network:
    """Return the network with everything moved into convolutions and dense layers that can be."""
    return _Fusion(network, cache).run()


def _needed(nodes: Sequence[Node], outputs: Iterable[str]) -> list[Node]:
    """Return the nodes that have a part in the outputs."""
    wanted = set(outputs)
    kept = []
    for node in reversed(nodes):
        if wanted.intersection(node.outputs):
            kept.append(node)
            wanted.update(filter(None, node.inputs))
    return kept[::-1]


class _Affine(NamedTuple):
    """A factor and a summand for each channel of a value."""

    x: str
    factor: Array
    shift: Array


class _Fusion:
    """One walk over the nodes; each is taken as it is, or becomes part of one before it."""

    def __init__(self, network: Network, cache: Cache) -> None:
        self.network = network._replace(specs=dict(network.specs), folded={})
        self.specs = self.network.specs
        self.given = frozenset(self.specs)  # names that folded constants must not take
        self.cache = cache
        self.uses = Counter(key for node in network.nodes for key in node.inputs)
        self.uses.update(network.outputs)
        self.nodes: dict[str, Node] = {}  # by the first result that is needed

    def run(self) -> Network:
        for node in self.network.nodes:
            fused = (
                self.product(node)
                or self.gated(node)
                or self.scaled(node)
                or self.added(node)
                or self.activated(node)
            )
            if not fused:
                self.nodes[next(filter(None, node.outputs))] = node
        nodes = _needed(list(self.nodes.values()), self.network.outputs)
        return self.network._replace(nodes=nodes)

    def open_maker(self, key: str) -> Node | None:
        """Return the convolution or dense layer that makes a value for one user alone."""
        maker = self.nodes.get(key)
        if (
            maker is None
            or self.uses[key] != 1
            or not isinstance(maker.operator, (Conv, Dense))
            or maker.operator.activation is not None
        ):
            return None
        return maker

    def fold(
        self, name: str, sources: Sources, like: Array | Spec, make: Callable[[], Array]
    ) -> str:
        """Return the name of a new constant, which is worked out from others when it is needed."""
        while name in self.given:
            name += "'"
        self.specs[name] = Spec(like.shape, like.dtype)
        self.network.folded[name] = Folded(
            sources, lambda: self.cache.constant(name, sources, make)
        )
        return name

    def product(self, node: Node) -> bool:
        """Make a dense layer of a product with a constant matrix."""
        if not isinstance(node.operator, MatMul):
            return False
        a, b = node.inputs
        matrix = self.network.constant(b)
        if matrix is None or matrix.ndim != 2 or matrix.dtype not in FLOATS:
            return False
        if self.specs[a].dtype != matrix.dtype or not self.specs[a].shape:
            return False
        weight = self.fold(
            f"{b} transposed", (matrix,), matrix.T, lambda: np.ascontiguousarray(matrix.T)
        )
        self.nodes[node.outputs[0]] = Node(Dense(), (a, weight), node.outputs, node.name)
        return True

    def scaled(self, node: Node) -> bool:
        """Make a factor and a summand for each channel part of weights and bias."""
        affine = self.affine(node)
        maker = None if affine is None else self.open_maker(affine.x)
        if affine is None or maker is None or len(maker.inputs) > 3:
            return False
        x, old, *given = maker.inputs
        spec, bias = self.specs[old], given[0] if given else ""
        known = self.network.is_constant
        # float16 weights would be rounded once more than the network's author saw.
        if not known(old) or spec.dtype == np.float16 or (bias and not known(bias)):
            return False
        k = spec.shape[0]
        if bias and self.specs[bias][:2] != ((k,), spec.dtype):
            return False
        if affine.factor.size not in (1, k) or affine.shift.size not in (1, k):
            return False
        # What overflows in a weight, as a quotient by zero does, or loses its digits, need not
        # do so in a result.
        largest = float(np.finfo(spec.dtype.name).max)
        size = np.abs(affine.factor)
        if not (
            (size <= math.sqrt(largest)) & ((size >= 1 / math.sqrt(largest)) | (size == 0))
        ).all():
            return False
        if not (np.abs(affine.shift) <= largest).all():
            return False
        network = self.network
        factor = np.broadcast_to(affine.factor, k)

        def new_weight() -> Array:
            columns = factor.reshape(-1, *(1,) * (len(spec.shape) - 1))
            result: Array = np.empty(spec.shape, spec.dtype)
            # In float64, rounded once, and without a float64 array of all weights.
            before = np.asarray(network.constant(old))
            with np.errstate(all="ignore"):
                np.multiply(before, columns, out=result, casting="same_kind")
            return result

        def new_bias() -> Array:
            before = 0.0 if not bias else np.asarray(network.constant(bias), np.float64)
            with np.errstate(all="ignore"):
                row = np.broadcast_to(before * factor + affine.shift, k)
                return np.asarray(row.astype(spec.dtype))

        origin = node.outputs[0]
        keys = (old, *filter(None, given), *(key for key in node.inputs if known(key)))
        sources = sum((network.sources(key) for key in keys), ())
        weight = old
        if np.any(factor != 1):
            weight = self.fold(f"weight of {origin}", sources, spec, new_weight)
        row = Spec((k,), spec.dtype)
        inputs = (x, weight, self.fold(f"bias of {origin}", sources, row, new_bias))
        self.take(maker, node, inputs=inputs)
        return True

    def affine(self, node: Node) -> _Affine | None:
        """Return what a node does to each channel, if that is all it does."""
        operator = node.operator
        if isinstance(operator, BatchNorm):
            constants = [self.network.constant(key) for key in node.inputs[1:]]
            if any(value is None for value in constants) or self.channels(node.inputs[0]) != 1:
                return None
            scale, bias, mean, variance = (np.asarray(v, np.float64) for v in constants)
            with np.errstate(all="ignore"):
                factor = scale / np.sqrt(variance + operator.eps)
                return _Affine(node.inputs[0], factor, bias - mean * factor)
        if not isinstance(operator, (Add, Sub, Mul, Div)):
            return None
        a, b = node.inputs
        if self.network.is_constant(a) and isinstance(operator, (Add, Mul)):
            a, b = b, a
        other, x = self.network.constant(b), self.specs[a]
        if other is None or self.network.is_constant(a) or other.dtype != x.dtype:
            return None
        numbers = _per_channel(other, x.shape, self.channels(a))
        if numbers is None:
            return None
        one, zero = np.ones(1), np.zeros(1)
        if isinstance(operator, Add):
            return _Affine(a, one, numbers)
        if isinstance(operator, Sub):
            return _Affine(a, one, -numbers)
        if isinstance(operator, Mul):
            return _Affine(a, numbers, zero)
        with np.errstate(all="ignore"):
            return _Affine(a, 1 / numbers, zero)

    def channels(self, key: str) -> int:
        """Return the axis of a value that its maker's weights have a row for."""
        maker = self.nodes.get(key)
        last = maker is not None and isinstance(maker.operator, Dense)
        return len(self.specs[key].shape) - 1 if last else 1

    def added(self, node: Node) -> bool:
        """Make a sum with a value of the same shape a residual."""
        if not isinstance(node.operator, Add):
            return False
        a, b = node.inputs
        if self.specs[a][:2] != self.specs[b][:2] or a == b:
            return False
        makers = {
            key: (maker, other)
            for key, other in ((a, b), (b, a))
            if (maker := self.open_maker(key)) is not None
            and len(maker.inputs) < 4
            and not self.network.is_constant(other)
        }
        if not makers:
            return False
        maker, other = makers[next(key for key in reversed(self.nodes) if key in makers)]
        inputs = (*maker.inputs, *("",) * (3 - len(maker.inputs)), other)
        # It runs where the sum stood: before that the other value may not be there.
        self.take(maker, node, inputs=inputs)
        return True

    def activated(self, node: Node) -> bool:
        """Make an activation part of the last pass."""
        if not isinstance(node.operator, Activation):
            return False
        maker = self.open_maker(node.inputs[0])
        if maker is None:
            return False
        self.take(maker, node, operator=replace(maker.operator, activation=node.operator.form))  # type: ignore[type-var]
        return True

    def gated(self, node: Node) -> bool:
        """Make SiLU of a value times its sigmoid, which is how exporters write it."""
        if not isinstance(node.operator, Mul):
            return False
        for x, gate in (node.inputs, node.inputs[::-1]):
            maker = self.nodes.get(gate)
            if (
                maker is not None
                and maker.operator == Activation("sigmoid")
                and maker.inputs[0] == x
                and self.uses[gate] == 1
            ):
                del self.nodes[gate]
                self.uses[x] -= 1
                silu = node._replace(operator=Activation("silu"), inputs=(x,))
                if not self.activated(silu):
                    self.nodes[node.outputs[0]] = silu
                return True
        return False

    def take(self, maker: Node, node: Node, **changes: Any) -> None:
        """Let `maker` do what `node` did, in its place."""
        del self.nodes[maker.outputs[0]]
        self.nodes[node.outputs[0]] = maker._replace(outputs=node.outputs, **changes)


def _per_channel(numbers: Array, shape: tuple[int, ...], axis: int) -> Array | None:
    """Return one number, or one for each channel, if that is how they broadcast to the shape."""
    own = (1,) * (len(shape) - numbers.ndim) + numbers.shape
    others = (*own[:axis], *own[axis + 1 :])
    if len(own) != len(shape) or axis >= len(shape) or any(size != 1 for size in others):
        return None
    return numbers.reshape(-1).astype(np.float64)
