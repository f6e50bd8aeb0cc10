"""What graphs become: each fusion and each rule of memory, right and where it is expected.

``test_graph_random.py`` mixes all of it, ``test_graph_calls.py`` has how graphs are called and what
they refuse, ``test_graph_steps.py`` what compiled steps refuse.
"""

import numpy as np
import pytest

import expected
import fastconv
import graph_oracle
from fastconv.graph import Graph, Node
from fastconv.graph import operators as ops


def node(operator, inputs, output):
    return Node(operator, tuple(inputs.split()), (output,), output)


def conv(x, output, weight="w", *rest, **form):
    return Node(ops.Conv(**{"padding": 1, **form}), (x, weight, *rest), (output,), output)


def relu(x, output):
    return node(ops.Activation("relu"), x, output)


def concat(inputs, output, axis=1):
    return node(ops.Concat(axis), inputs, output)


def constants(rng, dtype="float32"):
    """Return weights that take 3 channels to 3, and what else nodes need."""

    def normal(*shape):
        return rng.standard_normal(shape).astype(dtype)

    return {
        "w": normal(3, 3, 3, 3),
        "w2": normal(3, 3, 3, 3),
        "b": normal(3),
        "scale": normal(3),
        "mean": normal(3),
        "var": np.abs(normal(3)) + np.asarray(0.5, dtype),
        "row": normal(1, 3, 1, 1),
        "column": normal(3, 1, 1),
        "number": normal(1),
        "image": normal(2, 3, 6, 7),
        "dense": normal(4, 7),
        "matrix": normal(7, 4),
        "four": normal(4),
        "long": normal(5, 126),
    }


def graph_of(nodes, outputs, rng, dtype="float32", inputs=("x",)):
    known = constants(rng, dtype)
    used = {key for item in nodes for key in item.inputs} | set(outputs.split())
    return Graph(
        nodes,
        dict.fromkeys(inputs),
        outputs.split(),
        {key: known[key] for key in known if key in used},
    )


def image(rng, dtype="float32"):
    return rng.standard_normal((2, 3, 6, 7)).astype(dtype)


def kinds(graph, x):
    """Return the operators of a graph's steps."""
    return [step.kind for step in graph.profile(x, runs=1).steps]


NORM = node(ops.BatchNorm(), "a scale b mean var", "n")

FUSED = {
    "activation": ([conv("x", "a"), relu("a", "y")], ["Conv"]),
    "norm": ([conv("x", "a"), NORM, relu("n", "y")], ["Conv"]),
    "norm after a bias": ([conv("x", "a", "w", "b"), NORM, relu("n", "y")], ["Conv"]),
    "norm, sum, activation": (
        [conv("x", "a"), NORM, node(ops.Add(), "n x", "s"), relu("s", "y")],
        ["Conv"],
    ),
    "sum on the other side": ([conv("x", "a"), node(ops.Add(), "x a", "y")], ["Conv"]),
    "sum of two": (
        [conv("x", "a"), conv("x", "c", "w2"), node(ops.Add(), "a c", "s"), relu("s", "y")],
        ["Conv", "Conv"],
    ),
    "product": ([conv("x", "a"), node(ops.Mul(), "row a", "y")], ["Conv"]),
    "constant sum": ([conv("x", "a"), node(ops.Add(), "a column", "y")], ["Conv"]),
    "difference": ([conv("x", "a"), node(ops.Sub(), "a number", "y")], ["Conv"]),
    "quotient": ([conv("x", "a"), node(ops.Div(), "a row", "y")], ["Conv"]),
    "scale and shift": (
        [conv("x", "a"), node(ops.Mul(), "a row", "m"), node(ops.Add(), "m column", "y")],
        ["Conv"],
    ),
    "dense": ([node(ops.Dense(), "x dense four", "d"), relu("d", "y")], ["Dense"]),
    "product of matrices": (
        [node(ops.MatMul(), "x matrix", "m"), node(ops.Add(), "m four", "s"), relu("s", "y")],
        ["Dense"],
    ),
    "dropout": ([node(ops.Identity(), "x", "i"), conv("i", "y")], ["Conv"]),
    "only what is needed": ([conv("x", "a"), conv("x", "y", "w2")], ["Conv"]),
    # What must stay apart.
    "used twice": (
        [conv("x", "a"), relu("a", "r"), node(ops.Add(), "a r", "y")],
        ["Conv", "relu", "Add"],
    ),
    "twice the same": ([conv("x", "a"), node(ops.Add(), "a a", "y")], ["Conv", "Add"]),
    "after an activation": (
        [conv("x", "a", activation="relu"), node(ops.Mul(), "a row", "y")],
        ["Conv", "Mul"],
    ),
    "a sum of all elements": ([conv("x", "a"), node(ops.Add(), "a image", "y")], ["Conv", "Add"]),
    "less than a constant": ([conv("x", "a"), node(ops.Sub(), "row a", "y")], ["Conv", "Sub"]),
}


def in_numpy(graph, x):
    """Compute a graph in float64 by NumPy and the references, any operator."""
    values = {"x": x.astype(np.float64)}
    values.update((key, array.astype(np.float64)) for key, array in graph.constants.items())
    binary = {ops.Add: np.add, ops.Sub: np.subtract, ops.Mul: np.multiply, ops.Div: np.divide}
    for item in graph.nodes:
        a, *rest = (values[key] for key in item.inputs)
        operator = item.operator
        if type(operator) in binary:
            with np.errstate(all="ignore"):
                y = binary[type(operator)](a, *rest)
        elif isinstance(operator, ops.Conv):
            y = expected.conv(a, *rest, padding=1, activation=operator.activation)[0]
        elif isinstance(operator, ops.BatchNorm):
            scale, bias, mean, var = (array.reshape(3, 1, 1) for array in rest)
            y = (a - mean) / np.sqrt(var + operator.eps) * scale + bias
        elif isinstance(operator, ops.Dense):
            y = a @ rest[0].T + rest[1]
        elif isinstance(operator, ops.MatMul):
            y = a @ rest[0]
        elif isinstance(operator, ops.Activation):
            y = np.maximum(a, 0)
        else:
            y = a
        values[item.outputs[0]] = np.asarray(y, np.float64)
    return [values[key] for key in graph.output_names]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", FUSED)
def test_fusion(case, dtype, rng):
    nodes, steps = FUSED[case]
    graph = graph_of(nodes, "y", rng, dtype)
    for batch in (2, 1, 2):
        # The sum with a whole image is for that batch alone.
        x = image(rng, dtype)[: batch if "image" not in graph.constants else None]
        (wanted,) = in_numpy(graph, x)
        limit = 300 * expected.UNIT_ROUNDOFF[dtype] * np.abs(wanted).max()
        expected.assert_within(graph(x), wanted, np.full(wanted.shape, limit), case)
        expected.assert_within(graph._evaluate((x,))[0], wanted, np.full(wanted.shape, limit), case)
        assert kinds(graph, x) == steps


def test_half_precision_weights_are_not_rounded_twice(rng):
    graph = graph_of([conv("x", "a"), NORM, relu("n", "y")], "y", rng, "float16")
    x = image(rng, "float16")
    graph_oracle.assert_right(graph, {"x": x})
    assert kinds(graph, x) == ["Conv", "BatchNorm", "relu"]


@pytest.mark.parametrize("operator", [ops.Div(), ops.Mul()])
def test_what_overflows_in_weights_is_not_folded(operator, rng):
    """A quotient by zero is infinite; weights that are would make it NaN."""
    form = np.array([0, 1, 2], np.float32) if isinstance(operator, ops.Div) else np.float32(3e38)
    nodes = [conv("x", "a"), node(operator, "a form", "y")]
    graph = Graph(
        nodes, {"x": None}, ["y"], {"w": constants(rng)["w"], "form": form.reshape(-1, 1, 1)}
    )
    x = image(rng) * np.float32(0.01)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(graph(x), graph._evaluate((x,))[0])


def test_a_residual_may_be_made_later_than_its_convolution(rng):
    """The convolution then runs where the sum stood."""
    nodes = [
        conv("x", "a"),
        relu("x", "r"),
        node(ops.Softmax(1), "r", "other"),
        node(ops.Add(), "a other", "y"),
    ]
    graph = graph_of(nodes, "y", rng)
    x = image(rng)
    np.testing.assert_allclose(graph(x), graph._evaluate((x,))[0], 1e-5, 1e-5)
    assert kinds(graph, x) == ["relu", "Softmax", "Conv"]


def test_names_of_users_are_left_alone(rng):
    """Folded constants have names of their own."""
    nodes = [
        conv("x", "a"),
        node(ops.Mul(), "a row", "y"),
        node(ops.Add(), "x weight", "u"),
    ]
    nodes[2] = nodes[2]._replace(inputs=("x", "weight of y"))
    known = constants(rng)
    own = {"w": known["w"], "row": known["row"], "weight of y": known["image"]}
    graph = Graph(nodes, {"x": None}, ["y", "u"], own)
    x = image(rng)
    for _ in range(2):
        np.testing.assert_array_equal(graph(x)[1], x + known["image"])


def test_constants_that_depend_on_a_shape(rng):
    """Folded weights are made anew where their sources are."""
    pixels = ops.Function(
        "pixels", lambda shape: np.prod(shape).astype(np.float32).reshape(1, 1, 1)
    )
    nodes = [
        node(ops.Shape(start=2), "x", "sizes"),
        Node(pixels, ("sizes",), ("count",), "count"),
        conv("x", "a"),
        node(ops.Div(), "a count", "y"),
    ]
    graph = graph_of(nodes, "y", rng)
    for size in (6, 3, 6, 4, 3):
        x = image(rng)[:, :, :size]
        (wanted,) = graph._evaluate((x,))
        np.testing.assert_allclose(graph(x), wanted, 1e-5, 1e-6)
        assert kinds(graph, x) == ["Conv"]


# -- memory ----------------------------------------------------------------------------------------

IN_PLACE = {
    "two parts": ([conv("x", "a"), conv("x", "c", "w2"), concat("a c", "y")], ["Conv", "Conv"]),
    "any axis": (
        [conv("x", "a"), conv("x", "c", "w2"), concat("a c", "y", -1)],
        ["Conv", "Conv"],
    ),
    "batches": ([conv("x", "a"), conv("x", "c", "w2"), concat("a c", "y", 0)], ["Conv", "Conv"]),
    "a concatenation of concatenations": (
        [
            conv("x", "a"),
            conv("x", "c", "w2"),
            concat("a c", "t", 2),
            conv("t", "d"),
            concat("t d", "u"),
            conv("x", "e"),
            concat("e e", "v", 2),
            concat("u v", "y"),
        ],
        ["Conv", "Conv", "Conv", "Conv", "Concat"],
    ),
    "a part that others need": (
        [
            conv("x", "a"),
            conv("x", "c", "w2"),
            concat("a c", "t"),
            relu("t", "r"),
            conv("a", "d"),
            concat("r d", "y"),
        ],
        ["Conv", "Conv", "relu", "Conv", "Concat"],
    ),
    "a part of a residual": (
        [
            conv("x", "a"),
            conv("x", "c", "w2"),
            concat("a c", "t", 0),
            concat("x x", "z", 0),
            conv("z", "d", "w2"),
            node(ops.Add(), "d t", "s"),
            conv("a", "e"),
            concat("s e", "y", 0),
        ],
        ["Conv", "Conv", "Concat", "Conv", "Conv"],
    ),
    "the same part twice": ([conv("x", "a"), concat("a a", "y")], ["Conv", "Concat"]),
    "the same part in two": (
        [conv("x", "a"), concat("a x", "t"), concat("x a", "u"), concat("t u", "y")],
        ["Conv", "Concat", "Concat"],
    ),
    "inputs and constants": ([concat("x image x", "y")], ["Concat"]),
    "the result of a view": (
        [
            conv("x", "a"),
            node(ops.Flatten(), "a", "f"),
            node(ops.Flatten(), "x", "g"),
            concat("f g", "y"),
        ],
        ["Conv", "Concat"],
    ),
    "a part that is viewed": (
        [
            conv("x", "a"),
            concat("a x", "t"),
            node(ops.Flatten(), "a", "f"),
            node(ops.Flatten(), "t", "g"),
            concat("f g", "y"),
        ],
        ["Conv", "Concat", "Concat"],
    ),
    "pools": (
        [
            node(ops.MaxPool(kernel=3, padding=1), "x", "a"),
            node(ops.AvgPool(kernel=3, padding=1), "x", "c"),
            concat("a c", "y"),
        ],
        ["MaxPool", "AvgPool"],
    ),
    "activations one after the other": (
        [conv("x", "a"), relu("a", "r"), node(ops.Activation("tanh"), "r", "y")],
        ["Conv", "tanh"],
    ),
    "an activation of a view of what is needed": (
        [
            conv("x", "a"),
            node(ops.Flatten(), "a", "f"),
            relu("f", "r"),
            node(ops.Flatten(), "a", "g"),
            concat("r g", "y"),
        ],
        ["Conv", "relu", "Concat"],
    ),
    "an activation of an input": ([relu("x", "r"), concat("r x", "y")], ["relu", "Concat"]),
    "dense parts": (
        [
            node(ops.Flatten(), "x", "f"),
            node(ops.Dense(), "f long", "d"),
            node(ops.Dense(), "f long", "e"),
            concat("d e", "y"),
        ],
        ["Dense", "Dense", "Concat"],
    ),
    "responses": (
        [conv("x", "a"), node(ops.LocalResponseNorm(size=3), "a", "r"), concat("r x", "y")],
        ["Conv", "LocalResponseNorm", "Concat"],
    ),
}


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("case", IN_PLACE)
def test_memory(case, dtype, rng):
    nodes, steps = IN_PLACE[case]
    graph = graph_of(nodes, "y", rng, dtype)
    if dtype != "float16" or "LocalResponseNorm" not in steps:
        assert kinds(graph, image(rng, dtype)) == steps
    # As the result, and as something on the way to it.
    for outputs in ("y", "z2", "y z2"):
        graph = graph_of([*nodes, relu("y", "z2")], outputs, rng, dtype)
        for _ in range(2):
            graph_oracle.assert_right(graph, {"x": image(rng, dtype)})


@pytest.mark.parametrize(
    "nodes",
    [
        [node(ops.Softmax(1), "x", "s"), relu("s", "r"), node(ops.Softmax(1), "r", "y")],
        [
            node(ops.Softmax(1), "x", "s"),
            node(ops.Flatten(), "s", "f"),
            relu("f", "r"),
            node(ops.Softmax(1), "r", "y"),
        ],
        [
            node(ops.Softmax(1), "x", "s"),
            conv("x", "c"),
            node(ops.Add(), "c s", "sum"),
            node(ops.Softmax(1), "sum", "y"),
        ],
    ],
    ids=["activation", "of a view", "residual"],
)
def test_what_takes_no_memory_of_its_own(nodes, rng):
    graph = graph_of(nodes, "y", rng)
    x = rng.standard_normal((2, 3, 50, 60)).astype(np.float32)
    np.testing.assert_allclose(graph(x), graph._evaluate((x,))[0], 1e-5, 1e-5)
    assert graph.profile(x, runs=1).shared_bytes == x.nbytes


def test_outputs_of_all_kinds(rng):
    """Inputs, constants, views, duplicates: new arrays, of which no two share memory."""
    nodes = [
        conv("x", "a"),
        node(ops.Flatten(), "a", "f"),
        node(ops.Identity(), "x", "i"),
        node(ops.Flatten(), "x", "g"),
        relu("f", "r"),
        node(ops.Shape(), "x", "shape"),
        Node(ops.Reshape(), ("r", "shape"), ("back",), "back"),
    ]
    names = "a a f x i g w shape back r back"
    graph = graph_of(nodes, names, rng)
    x = image(rng)
    for _ in range(2):
        got = graph(x)
        for key, a, b in zip(graph.output_names, got, graph._evaluate((x,)), strict=True):
            np.testing.assert_allclose(a, b, 1e-5, 1e-5, err_msg=key)
            assert a.dtype == b.dtype
            assert a.flags.c_contiguous
            assert a.flags.writeable
        held = [x, graph.constants["w"], *got]
        compiled = next(iter(graph._compiled.values()))
        held += compiled._free
        for i, a in enumerate(held):
            assert not any(np.shares_memory(a, b) for b in held[:i])
        for a in got:
            a[...] = 0
    assert x.any()
    assert graph.constants["w"].any()


@pytest.mark.parametrize("batch", [0, 1])
def test_zero_sizes(batch, rng):
    nodes = [
        Node(ops.Function("first", lambda x: x[:, :0]), ("x",), ("none",), "none"),
        concat("x none", "c"),
        relu("c", "r"),
        node(ops.Flatten(), "r", "f"),
        node(ops.Flatten(), "none", "g"),
        concat("f g", "y"),
    ]
    graph = graph_of(nodes, "y none g", rng)
    x = image(rng)[:batch]
    y, none, g = graph(x)
    np.testing.assert_array_equal(y, np.maximum(x, 0).reshape(batch, 126))
    assert (none.shape, g.shape) == ((batch, 0, 6, 7), (batch, 0))


def test_integers_and_booleans(rng):
    nodes = [
        node(ops.Add(), "x x", "twice"),
        Node(ops.Function("large", lambda x: x > 4), ("twice",), ("large",), "large"),
        node(ops.Div(), "twice x", "two"),
        node(ops.MaxPool(kernel=2, stride=2), "twice", "pooled"),
        concat("twice x", "y"),
    ]
    graph = Graph(nodes, {"x": None}, ["twice", "large", "two", "pooled", "y"], {})
    for dtype in (np.uint8, np.int64):
        x = rng.integers(1, 9, (1, 2, 4, 4)).astype(dtype)
        twice, large, two, pooled, y = graph(x)
        np.testing.assert_array_equal(twice, x + x)
        np.testing.assert_array_equal(large, x + x > 4)
        np.testing.assert_array_equal(two, np.full(x.shape, 2.0))
        assert np.array_equal(pooled, (x + x).reshape(1, 2, 2, 2, 2, 2).max(axis=(3, 5)))
        assert np.array_equal(y, np.concatenate([x + x, x], 1))
        assert [a.dtype for a in (twice, large, two, pooled, y)] == [
            dtype,
            bool,
            two.dtype,
            dtype,
            dtype,
        ]


def test_results_that_nobody_wants(rng):
    """An empty name is no value, for results as for inputs."""
    pool = ops.MaxPool(kernel=2, stride=2, indices=True)
    nodes = [
        Node(pool, ("x",), ("", "i"), "p"),
        Node(ops.Conv(padding=1), ("x", "w", ""), ("a",), "a"),
        Node(pool, ("a",), ("", "j"), "q"),
        Node(pool, ("a",), ("m",), "r"),
    ]
    graph = graph_of(nodes, "i a j m", rng)
    x = image(rng)
    i, a, j, m = graph(x)
    _, indices = fastconv.max_pool2d(x, 2, return_indices=True)
    np.testing.assert_array_equal(i, indices)
    np.testing.assert_array_equal(j, fastconv.max_pool2d(a, 2, return_indices=True)[1])
    np.testing.assert_array_equal(m, fastconv.max_pool2d(a, 2))
    evaluated = graph._evaluate((x,))
    np.testing.assert_array_equal(evaluated[0], indices)
    np.testing.assert_allclose(evaluated[1], a, 1e-5, 1e-5)


# -- shapes that depend on data --------------------------------------------------------------------

positive = ops.Function("positive", lambda x: x[x > 0])
# The channels that hold something; zeros have none.
used = ops.Function("used", lambda x: x[:, x.any(axis=(0, 2, 3))])
strongest = ops.Function("strongest", lambda x: x[np.argwhere(x > 0)[0][0]])

DYNAMIC = {
    "a function": [Node(positive, ("x",), ("y",), "f")],
    "in between": [conv("x", "a"), Node(positive, ("a",), ("p",), "f"), relu("p", "y")],
    "zeros do not do for the next node": [
        Node(used, ("x",), ("u",), "f"),
        relu("u", "r"),
        conv("r", "y"),
    ],
    "zeros do not do at all": [Node(strongest, ("x",), ("y",), "f")],
    "a new shape that is computed": [
        Node(
            ops.Function("sizes", lambda x: np.array([-1, 2 + (x[0, 0, 0, 0] > 9)])),
            ("x",),
            ("s",),
            "f",
        ),
        Node(ops.Reshape(), ("x", "s"), ("y",), "r"),
    ],
    "another dtype": [
        Node(ops.Function("f", lambda x: x if x.any() else x.astype(int)), ("x",), ("y",), "f")
    ],
}


@pytest.mark.parametrize("case", DYNAMIC)
def test_shapes_that_depend_on_data(case, rng):
    graph = graph_of(DYNAMIC[case], "y", rng)
    for _ in range(3):
        x = image(rng)
        np.testing.assert_array_equal(graph(x), graph._evaluate((x,))[0])
    with pytest.raises(ValueError, match="graph has shapes that depend on data"):
        graph.profile(image(rng))


def test_functions_that_are_alike_for_zeros_and_data_are_compiled(rng):
    double = ops.Function("double", lambda x: x + x)
    graph = graph_of([conv("x", "a"), Node(double, ("a",), ("d",), "d"), conv("d", "y")], "y", rng)
    x = image(rng)
    np.testing.assert_allclose(graph(x), graph._evaluate((x,))[0], 1e-4, 1e-4)
    assert kinds(graph, x) == ["Conv", "double", "Conv"]


@pytest.mark.parametrize(
    "x",
    [
        np.array(["a", None, 3], object),
        np.array(["a", "bcd"]),
        np.array(["2020-01-01", "2021-02-03"], "M8[D]"),
    ],
    ids=str,
)
def test_what_shares_no_memory_is_evaluated(x):
    turn = ops.Function("turn", lambda x: x[::-1])
    graph = Graph([Node(turn, ("x",), ("y",), "f")], {"x": None}, ["y"], {})
    assert graph(x).tolist() == x[::-1].tolist()


@pytest.mark.parametrize("order", ["a s", "s a"])
def test_a_value_times_its_sigmoid_is_silu(order, rng):
    nodes = [conv("x", "a"), node(ops.Activation("sigmoid"), "a", "s"), node(ops.Mul(), order, "y")]
    graph = graph_of(nodes, "y", rng)
    x = image(rng)
    np.testing.assert_allclose(graph(x), graph._evaluate((x,))[0], 1e-5, 1e-5)
    assert len(graph.profile(x, runs=1).steps) == 1


def test_a_gate_that_others_read_stays(rng):
    nodes = [conv("x", "a"), node(ops.Activation("sigmoid"), "a", "s"), node(ops.Mul(), "a s", "y")]
    graph = graph_of(nodes, "y s", rng)
    x = image(rng)
    for got, wanted in zip(graph(x), graph._evaluate((x,)), strict=True):
        np.testing.assert_allclose(got, wanted, 1e-5, 1e-5)


def test_parameters_that_constants_are_made_of_count_where_they_are_used(rng):
    nodes = [
        node(ops.Transpose((1, 0)), "m", "turned"),
        node(ops.Flatten(), "x", "f"),
        node(ops.Dense(), "f turned", "y"),
    ]
    weight = rng.standard_normal((4 * 5 * 6, 7)).astype(np.float32)
    graph = Graph(nodes, {"x": None}, ["y"], {"m": weight})
    assert graph.summary((1, 4, 5, 6)).parameters == graph.parameters == weight.size


def test_what_comes_before_a_shape_that_depends_on_data_is_compiled(rng):
    """Only the rest is evaluated node by node, and outputs may come of both parts."""
    calls = []

    def positive(y):
        calls.append(y)
        return y[y > 0]

    nodes = [
        conv("x", "a"),
        relu("a", "r"),
        node(ops.Function("positive", positive), "r", "p"),
        node(ops.Add(), "p p", "twice"),
        node(ops.Mul(), "r r", "square"),
    ]
    graph = graph_of(nodes, "twice r square", rng)
    for size in (9, 9, 12):
        x = rng.standard_normal((2, 3, size, size)).astype(np.float32)
        for got, wanted in zip(graph(x), graph._evaluate((x,)), strict=True):
            np.testing.assert_allclose(got, wanted, 1e-5, 1e-5)
    (head,) = filter(None, graph._heads.values())
    assert len(head.nodes) == 2
    assert len(head.profile(x, runs=1).steps) == 1
    assert calls
