"""What a graph becomes once the shapes of its inputs are known: fewer nodes that do the same.

`settle` infers every shape and computes what is constant; `fuse` moves into convolutions and dense
layers what can be part of their weights or of their last pass.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from fastconv._arguments import Array
from fastconv.graph.cache import Cache
from fastconv.graph.node import Node, Spec, evaluate_node, named_errors
from fastconv.graph.operators.convolution import Conv, Dense, MatMul
from fastconv.graph.operators.elementwise import Activation, Add, BatchNorm, Div, Mul, Sub
from fastconv.graph.operators.shaping import DynamicShapeError, Function, Identity

Specs: TypeAlias = dict[str, Spec]


class Network(NamedTuple):
    """Nodes with the specs of all their values; constants are those whose specs have a value."""

    nodes: list[Node]
    specs: Specs
    outputs: tuple[str, ...]

    def constant(self, key: str) -> Array | None:
        """Return the value of a constant, None of anything else."""
        spec = self.specs.get(key)
        return None if spec is None else spec.value


def settle(
    nodes: Iterable[Node],
    inputs: Mapping[str, Spec],
    outputs: Sequence[str],
    constants: Mapping[str, Array],
) -> Network:
    """Infer all shapes, compute what is constant and leave out what does nothing."""
    specs = {key: Spec.of(array) for key, array in constants.items()} | dict(inputs)
    same: dict[str, str] = {}  # values that are others under another name
    kept = []
    for original in nodes:
        node = original._replace(inputs=tuple(same.get(key, key) for key in original.inputs))
        if isinstance(node.operator, Identity):
            same[node.outputs[0]] = node.inputs[0]
            continue
        results = inferred(node, specs)
        specs.update(zip(node.outputs, results, strict=False))
        if any(spec.value is None for spec in results):
            kept.append(node)
    ends = tuple(same.get(key, key) for key in outputs)
    return Network(_needed(kept, ends), specs, ends)


def inferred(node: Node, specs: Mapping[str, Spec]) -> tuple[Spec, ...]:
    """Return the specs of a node's results, with their values if its inputs are constant."""
    known = [specs[key] if key else None for key in node.inputs]
    if all(spec is None or spec.value is not None for spec in known):
        values = [None if spec is None else spec.value for spec in known]
        return tuple(map(Spec.of, evaluate_node(node, values)))
    try:
        with named_errors(node):
            return node.operator.infer(*known)
    except (TypeError, ValueError, MemoryError) as error:
        if isinstance(node.operator, Function):  # zeros may not do where the real data will
            raise DynamicShapeError(str(error)) from error
        raise


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
            wanted.update(node.inputs)
    return kept[::-1]


class _Affine(NamedTuple):
    """A factor and a summand for each channel of a value."""

    x: str
    factor: Array
    shift: Array


class _Fusion:
    """One walk over the nodes; each is taken as it is, or becomes part of one before it."""

    def __init__(self, network: Network, cache: Cache) -> None:
        self.specs = dict(network.specs)
        self.outputs = network.outputs
        self.source = network.nodes
        self.cache = cache
        self.uses = Counter(key for node in network.nodes for key in node.inputs)
        self.uses.update(network.outputs)
        self.nodes: dict[str, Node] = {}  # by their first result

    def run(self) -> Network:
        for node in self.source:
            fused = (
                self.product(node)
                or self.scaled(node)
                or self.added(node)
                or (self.activated(node))
            )
            if not fused:
                self.nodes[node.outputs[0]] = node
        nodes = _needed(list(self.nodes.values()), self.outputs)
        return Network(nodes, self.specs, self.outputs)

    def value(self, key: str) -> Array | None:
        spec = self.specs.get(key)
        return None if spec is None else spec.value

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

    def constant(
        self, kind: str, origin: str, sources: tuple[Array | None, ...], make: Callable[[], Array]
    ) -> str:
        """Return the name of a constant that is worked out from others, once for all shapes."""
        name = f"{kind} of {origin}"
        self.specs[name] = Spec.of(self.cache.get((kind, origin), sources, make))
        return name

    def product(self, node: Node) -> bool:
        """Make a dense layer of a product with a constant matrix."""
        if not isinstance(node.operator, MatMul):
            return False
        a, b = node.inputs
        matrix = self.value(b)
        if matrix is None or matrix.ndim != 2 or matrix.dtype.kind != "f":
            return False
        if self.specs[a].dtype != matrix.dtype or not self.specs[a].shape:
            return False
        weight = self.constant("transposed", b, (matrix,), lambda: np.ascontiguousarray(matrix.T))
        dense = Node(Dense(), (a, weight), node.outputs, node.name)
        self.nodes[node.outputs[0]] = dense
        return True

    def scaled(self, node: Node) -> bool:
        """Make a factor and a summand for each channel part of weights and bias."""
        affine = self.affine(node)
        if affine is None:
            return False
        maker = self.open_maker(affine.x)
        if maker is None or len(maker.inputs) > 3:
            return False
        weight = self.value(maker.inputs[1])
        bias = self.value(maker.inputs[2]) if len(maker.inputs) > 2 and maker.inputs[2] else None
        # float16 weights would be rounded once more than the network's author saw.
        if weight is None or weight.dtype == np.float16:
            return False
        if bias is None and len(maker.inputs) > 2 and maker.inputs[2]:
            return False
        k = len(weight)
        if affine.factor.size not in (1, k) or affine.shift.size not in (1, k):
            return False
        factor = np.broadcast_to(affine.factor, k)

        def new_weight() -> Array:
            columns = factor.reshape(-1, *(1,) * (weight.ndim - 1))
            return np.asarray((weight * columns).astype(weight.dtype))

        def new_bias() -> Array:
            old = 0.0 if bias is None else bias.astype(np.float64)
            return np.asarray(np.broadcast_to(old * factor + affine.shift, k).astype(weight.dtype))

        origin = node.outputs[0]
        sources = (weight, bias, *map(self.value, node.inputs))
        first = maker.inputs[1]
        if np.any(factor != 1):
            first = self.constant("weight", origin, sources, new_weight)
        inputs = (maker.inputs[0], first, self.constant("bias", origin, sources, new_bias))
        self.take(maker, node, inputs=inputs)
        return True

    def affine(self, node: Node) -> _Affine | None:
        """Return what a node does to each channel, if that is all it does."""
        operator = node.operator
        if isinstance(operator, BatchNorm):
            constants = [self.value(key) for key in node.inputs[1:]]
            if any(value is None for value in constants) or self.channels(node.inputs[0]) != 1:
                return None
            scale, bias, mean, variance = (np.asarray(v, np.float64) for v in constants)
            with np.errstate(all="ignore"):
                factor = scale / np.sqrt(variance + operator.eps)
            return _Affine(node.inputs[0], factor, bias - mean * factor)
        if not isinstance(operator, (Add, Sub, Mul, Div)):
            return None
        a, b = node.inputs
        if self.value(a) is not None and isinstance(operator, (Add, Mul)):
            a, b = b, a
        other, x = self.value(b), self.specs[a]
        if other is None or x.value is not None or other.dtype != x.dtype:
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
        order = {key: i for i, key in enumerate(self.nodes)}
        makers = [
            (order[key], maker, other)
            for key, other in ((a, b), (b, a))
            if (maker := self.open_maker(key)) is not None
            and len(maker.inputs) < 4
            and self.value(other) is None
        ]
        if not makers:
            return False
        _, maker, other = max(makers, key=lambda item: item[0])
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
