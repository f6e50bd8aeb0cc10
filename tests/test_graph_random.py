"""Graphs of whatever hypothesis puts together: compiled they return what their nodes do."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import fastconv
import graph_oracle
from fastconv.graph import Graph, Node
from fastconv.graph import operators as ops

# Seeded by the test's name: the same examples in every run.
bounded = settings(max_examples=150, deadline=None, derandomize=True, database=None)

ACTIVATIONS = [
    "relu",
    "relu6",
    "tanh",
    "sigmoid",
    "hardswish",
    ("leaky_relu", 0.25),
    ("clip", -1, 1),
]
KINDS = [
    *["conv", "conv", "conv", "activation", "activation", "norm", "add", "add", "concat", "concat"],
    *["pool", "scale", "view", "flatten", "dense", "global", "identity", "response"],
]


class Drawn:
    """A graph that grows node by node, each on values that are there."""

    def __init__(self, seed, dtype):
        self.rng, self.dtype = np.random.default_rng(seed), dtype
        images = tuple(self.number(*ends) for ends in ((1, 3), (1, 5), (2, 7), (2, 9)))
        self.shapes = {"x": images}
        if self.chance():
            self.shapes["z"] = images
        self.inputs = dict(self.shapes)
        self.nodes, self.constants = [], {}

    def number(self, low, high):
        return int(self.rng.integers(low, high, endpoint=True))

    def one_of(self, values):
        return values[self.number(0, len(values) - 1)]

    def chance(self):
        return self.number(0, 1)

    def value(self, rank=None):
        """Draw a value, most often one of the last."""
        fitting = [key for key, shape in self.shapes.items() if rank in (None, len(shape))]
        return self.one_of([*fitting[-3:], *fitting]) if fitting else None

    def constant(self, shape, low=-1, high=1):
        key = f"c{len(self.constants)}"
        self.constants[key] = self.rng.uniform(low, high, shape).astype(self.dtype)
        return key

    def add(self, operator, inputs, shape):
        key = f"v{len(self.nodes)}"
        self.nodes.append(Node(operator, tuple(inputs), (key,), f"node{len(self.nodes)}"))
        self.shapes[key] = shape

    def grow(self):
        kind = self.one_of(KINDS)
        rank = {"conv": 4, "pool": 4, "global": 4, "response": 4, "dense": 2}.get(kind)
        x = self.value(rank)
        if x is not None:
            getattr(self, f"draw_{kind}")(x, self.shapes[x])

    def draw_conv(self, x, shape):
        n, c, h, w = shape
        k, kernel = self.number(1, 5), self.one_of([1, 3])
        stride, groups = self.one_of([1, 1, 1, 2]), self.one_of([1, 1, c])
        bound = 1 / (c // groups * kernel)  # values keep their size
        inputs = [x, self.constant((k * groups, c // groups, kernel, kernel), -bound, bound)]
        if self.chance():
            inputs.append(self.constant((k * groups,)))
        operator = ops.Conv(stride=stride, padding=kernel // 2, groups=groups)
        self.add(operator, inputs, (n, k * groups, -(-h // stride), -(-w // stride)))

    def draw_activation(self, x, shape):
        self.add(ops.Activation(self.one_of(ACTIVATIONS)), [x], shape)

    def draw_norm(self, x, shape):
        if len(shape) > 1:
            form = [self.constant(shape[1:2], *ends) for ends in ((0.5, 2), (-1, 1), (-1, 1))]
            self.add(ops.BatchNorm(), [x, *form, self.constant(shape[1:2], 0.5, 2)], shape)

    def draw_add(self, x, shape):
        alike = [key for key, own in self.shapes.items() if own == shape]
        self.add(ops.Add(), [x, self.one_of(alike)], shape)

    def draw_scale(self, x, shape):
        other = self.constant((shape[1], *[1] * (len(shape) - 2)))
        operator = self.one_of([ops.Add(), ops.Mul()])
        self.add(operator, [x, other] if self.chance() else [other, x], shape)

    def draw_concat(self, x, shape):
        axis = self.number(0, len(shape) - 1)
        beside = [
            key
            for key, own in self.shapes.items()
            if (own[:axis], own[axis + 1 :]) == (shape[:axis], shape[axis + 1 :])
        ]
        parts = [x, *(self.one_of(beside) for _ in range(self.number(0, 2)))]
        if self.chance():
            parts.append(self.constant(shape))
        size = sum(
            self.constants[p].shape[axis] if p[0] == "c" else self.shapes[p][axis] for p in parts
        )
        self.add(
            ops.Concat(self.one_of([axis, axis - len(shape)])),
            parts,
            (*shape[:axis], size, *shape[axis + 1 :]),
        )

    def draw_pool(self, x, shape):
        n, c, h, w = shape
        operator = self.one_of([ops.MaxPool, ops.AvgPool])(kernel=3, stride=2, padding=1)
        self.add(operator, [x], (n, c, (h + 1) // 2, (w + 1) // 2))

    def draw_view(self, x, shape):
        key = f"c{len(self.constants)}"
        new = (shape[0], *shape[1:][::-1])
        self.constants[key] = np.array(new)
        self.add(ops.Reshape(), [x, key], new)

    def draw_flatten(self, x, shape):
        self.add(ops.Flatten(), [x], (shape[0], int(np.prod(shape[1:]))))

    def draw_dense(self, x, shape):
        k = self.number(1, 5)
        inputs = [x, self.constant((k, shape[1]), -1 / shape[1], 1 / shape[1])]
        if self.chance():
            inputs.append(self.constant((k,)))
        self.add(ops.Dense(), inputs, (shape[0], k))

    def draw_identity(self, x, shape):
        self.add(ops.Identity(), [x], shape)

    def draw_response(self, x, shape):
        self.add(ops.LocalResponseNorm(size=self.number(1, 4)), [x], shape)

    def draw_global(self, x, shape):
        self.add(ops.GlobalPool(kind="avg"), [x], (*shape[:2], 1, 1))

    def graph(self):
        used = {key for node in self.nodes for key in node.inputs}
        ends = [key for key in self.shapes if key not in used]
        floats = [key for key, array in self.constants.items() if array.dtype == self.dtype]
        others = [self.one_of([*self.shapes, *floats[:1]]) for _ in range(self.number(0, 2))]
        outputs = [str(key) for key in self.rng.permutation([*ends, *others])]
        # In any order, as front ends may have them.
        nodes = [self.nodes[i] for i in self.rng.permutation(len(self.nodes))]
        return Graph(nodes, dict.fromkeys(self.inputs), outputs, self.constants)

    def arrays(self):
        return {
            key: self.rng.standard_normal(shape).astype(self.dtype)
            for key, shape in self.inputs.items()
        }


@bounded
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["float32", "float32", "float64", "float16"]),
    st.integers(1, 20),
)
def test_compiled_graphs_return_what_their_nodes_do(seed, dtype, count):
    drawn = Drawn(seed, dtype)
    for _ in range(count):
        drawn.grow()
    graph = drawn.graph()
    first, second = drawn.arrays(), drawn.arrays()
    copies = {key: array.copy() for key, array in first.items()}
    got = graph_oracle.assert_right(graph, first)
    graph_oracle.assert_right(graph, second)
    for key, array in copies.items():
        assert np.array_equal(first[key], array), f"{key} was written"
    arrays = [*first.values(), *graph.constants.values(), *got]
    for i, a in enumerate(got, len(arrays) - len(got)):
        assert not any(np.shares_memory(a, b) for b in arrays[:i])
    for threads in (1, 2, 3, 7):
        with fastconv.num_threads(threads):
            again = graph_oracle.called(graph, first)
        assert [a.tobytes() for a in again] == [a.tobytes() for a in got]
