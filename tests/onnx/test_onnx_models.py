"""Models of several nodes: free sizes, data-dependent shapes, control flow, functions."""

import pickle
import sys

import numpy as np
import pytest

from conftest import SKIPS

pytest.importorskip("onnx.checker", reason=SKIPS["no onnx"])

import onnx
from beside import assert_same, run_theirs
from onnx.parser import parse_model

from fastconv.onnx import load


def parsed(text, opset=17):
    return parse_model(f'<ir_version: 8, opset_import: ["" : {opset}, "local" : 1]>\n{text}')


@pytest.fixture
def agree():
    """Return the function that compares a model's results for several inputs."""
    pytest.importorskip("onnxruntime", reason=SKIPS["no peers"])

    def compare(model, *samples):
        graph = load(model)
        for inputs in samples:
            assert_same([*graph.run(inputs).values()], run_theirs(model, inputs), 1e-5)
        return graph

    return compare


SMALL = """
small (float[N, 3, H, W] x) => (float[N, K] y)
<int64[2] shape = {0, -1}>
{
    a = Conv <pads = [1, 1, 1, 1]> (x, w, b)
    r = Relu (a)
    p = MaxPool <kernel_shape = [2, 2], strides = [2, 2]> (r)
    up = Identity (p)
    sizes = Shape (up)
    g = GlobalAveragePool (up)
    f = Reshape (g, shape)
    y = Gemm <transB = 1> (f, dense)
}"""


def small(rng):
    """Return the small network with random weights."""
    model = parsed(SMALL)
    for name, shape in {"w": (8, 3, 3, 3), "b": (8,), "dense": (4, 8)}.items():
        value = rng.standard_normal(shape).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    return model


def test_free_batch_and_image(rng, agree):
    model = small(rng)
    shapes = [(1, 3, 8, 8), (5, 3, 9, 13), (1, 3, 8, 8), (2, 3, 31, 5)]
    samples = [{"x": rng.standard_normal(shape).astype(np.float32)} for shape in shapes]
    graph = agree(model, *samples)
    again = pickle.loads(pickle.dumps(graph))
    np.testing.assert_array_equal(again(samples[1]["x"]), graph(samples[1]["x"]))


def test_negative_sizes_are_free(rng):
    """As PaddlePaddle's exporter writes them."""
    model = small(rng)
    for dim, size in zip(
        model.graph.input[0].type.tensor_type.shape.dim, (-1, 3, -1, -1), strict=True
    ):
        dim.dim_value = size
    graph = load(model)
    for shape in [(1, 3, 8, 8), (2, 3, 9, 13)]:
        assert graph(rng.standard_normal(shape).astype(np.float32)).shape == (shape[0], 4)
    with pytest.raises(ValueError, match=r"input x has shape \(1, 4, 8, 8\), it must be \(any, 3"):
        graph(np.zeros((1, 4, 8, 8), np.float32))


def test_shapes_computed_from_shapes(rng, agree):
    """What exporters write for x.view(x.size(0), -1) and for a resize to the size of another."""
    model = parsed("""
    views (float[N, C, H, W] x, float[N, C, P, Q] z) => (float[N, M] flat, float[A, B, D, E] like)
    {
        sizes = Shape (x)
        zero = Constant <value = int64 {0}> ()
        n = Gather <axis = 0> (sizes, zero)
        axes = Constant <value = int64[1] {0}> ()
        row = Unsqueeze (n, axes)
        rest = Constant <value = int64[1] {-1}> ()
        form = Concat <axis = 0> (row, rest)
        flat = Reshape (x, form)
        wanted = Shape (z)
        like = Resize <mode = "linear"> (x, , , wanted)
    }""")
    agree(
        model,
        *(
            {
                "x": rng.standard_normal((n, 2, h, 6)).astype(np.float32),
                "z": rng.standard_normal((n, 2, 9, h)).astype(np.float32),
            }
            for n, h in ((1, 4), (3, 7))
        ),
    )


def test_shapes_that_depend_on_data(rng, agree):
    model = parsed("""
    chosen (float[N, C] x) => (float[K] positive, int64[2, K] where, float[J] most)
    {
        zero = Constant <value = float {0.0}> ()
        is = Greater (x, zero)
        where = NonZero (is)
        pairs = Transpose <perm = [1, 0]> (where)
        found = GatherND (x, pairs)
        positive = Relu (found)
        three = Constant <value = int64[1] {3}> ()
        most, places = TopK (positive, three)
    }""")
    samples = [rng.standard_normal((4, 6)).astype(np.float32) for _ in range(4)]
    agree(model, *({"x": x} for x in samples))


def test_if_with_captured_values(rng, agree):
    model = parsed("""
    branch (float[N] x, bool cond) => (float[M] y)
    <float[1] two = {2.0}>
    {
        twice = Mul (x, two)
        y = If (cond) <
            then_branch = left () => (float[M] a) { a = Concat <axis = 0> (x, twice) },
            else_branch = right () => (float[M] b) { c = Neg (twice)  b = Mul (c, two) }
        >
    }""")
    x = rng.standard_normal(5).astype(np.float32)
    graph = agree(model, *({"x": x, "cond": np.array(c)} for c in (True, False, True)))
    pickle.loads(pickle.dumps(graph))


@pytest.mark.parametrize("count", [0, 1, 4])
def test_loop(count, rng, agree):
    """Carried values, values captured from around it, and two yields of different rank."""
    model = parsed("""
    again (int64 n, float[2] x, float[2, 2] m) => (float[2] last, float[K] sums, float[K, 2] all)
    {
        go = Constant <value = bool {1}> ()
        last, sums, all = Loop (n, go, x) <body = step (int64 i, bool was, float[2] v)
            => (bool still, float[2] w, float sum, float[2] copy)
            {
                still = Identity (was)
                w = MatMul (v, m)
                sum = ReduceSum <keepdims = 0> (w)
                copy = Identity (w)
            }>
    }""")
    x, m = rng.standard_normal(2), rng.standard_normal((2, 2))
    inputs = {"n": np.array(count), "x": x.astype(np.float32), "m": m.astype(np.float32)}
    agree(model, inputs)


def test_loop_by_condition(agree):
    """It must not be tried on zeros, with which it would not end."""
    model = parsed("""
    grow (float x, float step) => (float y)
    {
        none = Constant <value = int64 {9223372036854775807}> ()
        go = Constant <value = bool {1}> ()
        limit = Constant <value = float {100.0}> ()
        y = Loop (none, go, x) <body = more (int64 i, bool was, float v) => (bool still, float w)
            { w = Add (v, step)  still = Less (w, limit) }>
    }""")
    agree(model, {"x": np.array(1, np.float32), "step": np.array(30, np.float32)})


def test_scan_backwards_along_other_axes(rng, agree):
    model = parsed("""
    sweep (float[2] x, float[3, N] seq) => (float[2] last, float[2, N] all)
    <float[3, 2] m = {1.0, 2.0, -1.0, 0.5, 0.25, 3.0}>
    {
        last, all = Scan <num_scan_inputs = 1, scan_input_axes = [1], scan_output_axes = [1],
            scan_input_directions = [1], scan_output_directions = [1],
            body = step (float[2] state, float[3] item) => (float[2] next, float[2] out)
            { p = MatMul (item, m)  next = Add (state, p)  out = Tanh (next) }
        > (x, seq)
    }""")
    x, seq = rng.standard_normal(2), rng.standard_normal((3, 5))
    agree(model, {"x": x.astype(np.float32), "seq": seq.astype(np.float32)})


RANDOM = {
    "RandomNormal": "y = RandomNormal <shape = [9]> ()",
    "RandomUniformLike": "y = RandomUniformLike (c)",
    "Bernoulli": "y = Bernoulli (half)",
    "Dropout": "y = Dropout (c, p, yes)",
    "what is computed of one": "r = RandomNormalLike (c)  y = Relu (r)",
    "If": """
        y = If (yes) <
            then_branch = a () => (float[1, 9] r) { r = RandomUniformLike (c) },
            else_branch = b () => (float[1, 9] s) { s = Identity (c) }>""",
    "Loop": """
        y = Loop (four, yes, c) <body = step (int64 i, bool was, float[1, 9] v)
            => (bool still, float[1, 9] w)
            { still = Identity (was)  r = RandomNormalLike (v)  w = Add (v, r) }>""",
    "If in a Loop": """
        y = Loop (four, yes, c) <body = step (int64 i, bool was, float[1, 9] v)
            => (bool still, float[1, 9] w)
            {
                still = Identity (was)
                w = If (was) <
                    then_branch = a () => (float[1, 9] r) { r = RandomUniformLike (v) },
                    else_branch = b () => (float[1, 9] s) { s = Identity (v) }>
            }>""",
    "Scan": """
        y = Scan <num_scan_inputs = 1, body = step (float[9] v) => (float[9] w)
            { w = RandomNormalLike (v) }> (c)""",
    "a list": """
        r = RandomNormalLike (c)  s = SequenceConstruct (r, c)
        y = ConcatFromSequence <axis = 0> (s)""",
}


@pytest.mark.parametrize("op", RANDOM)
def test_random_numbers_are_drawn_in_every_call(op):
    """Also where all inputs are constants, which are else computed once."""
    constants = {
        "c": np.full((1, 9), 0.1, np.float32),
        "half": np.full(64, 0.5),
        "p": np.array(0.5, np.float32),
        "yes": np.array(True),
        "four": np.array(4),
    }
    model = parsed(f"drawn () => (y) {{ {RANDOM[op]} }}")
    for name, value in constants.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(value, name))
    graph = load(model)
    first, *others = (graph.run({})["y"] for _ in range(5))
    assert any((first != other).any() for other in others)


def test_functions_of_the_model(rng, agree):
    model = parsed("""
    main (float[N] x) => (float[N] y) { h = local.Scaled <factor = 3.0> (x)  y = local.Twice (h) }
    <domain: "local", opset_import: ["" : 17]>
    Scaled <factor> (a) => (b) { c = Constant <value_float: float = @factor> ()  b = Mul (a, c) }
    <domain: "local", opset_import: ["" : 17, "local" : 1]>
    Twice (a) => (b) { one = local.Scaled <factor = 1.0> (a)  b = Add (one, a) }
    """)
    agree(model, {"x": rng.standard_normal(5).astype(np.float32)})


def test_what_has_no_converter_is_the_references(rng, agree):
    model = parsed("""
    rare (float[N, C] x) => (float[N, C] y, float[N, C] z)
    { one = Constant <value = int64 {1}> ()  s = CumSum (x, one)  y = Relu (s)
      z = Trilu <upper = 0> (y) }""")
    graph = agree(model, {"x": rng.standard_normal((4, 5)).astype(np.float32)})
    assert {"CumSum", "Trilu"} <= {node.operator.label for node in graph.nodes}


def test_inputs_and_constants_as_outputs(agree):
    model = parsed("""
    through (float[2] x) => (float[2] x, float[2] c, float[2] d)
    <float[2] c = {1.0, 2.0}> { d = Add (c, c) }""")
    model.graph.output[0].name = "same"
    model.graph.node.append(onnx.helper.make_node("Identity", ["x"], ["same"]))
    agree(model, {"x": np.array([5, 6], np.float32)})


@pytest.mark.parametrize("own", ["y#0", "y#1", "y#2", "c#0"])
def test_names_that_a_converter_would_choose(own, agree):
    model = parsed("""
    scaled (float[1, 2] x, float[2, 2] m) => (float[1, 2] z, float[1, 2] c)
    <float[1, 2] c = {1.0, 2.0}, float[1, 2] weight = {100.0, 200.0}>
    { y = Gemm <alpha = 3.0> (x, m)  z = Add (y, weight) }""")
    model.graph.initializer[1].name = model.graph.node[1].input[1] = own
    agree(model, {"x": np.ones((1, 2), np.float32), "m": np.eye(2, dtype=np.float32)})


def test_nodes_in_any_order(agree):
    model = parsed("mixed (float[2] x) => (float[2] y) { y = Relu (h)  h = Neg (x) }")
    agree(model, {"x": np.array([5, -6], np.float32)})


def test_initializers_may_be_inputs_too(agree):
    model = parsed("old (float[2] x, float[2] w) => (float[2] y) <float[2] w> { y = Mul (x, w) }")
    value = onnx.numpy_helper.from_array(np.array([2, 3], np.float32), "w")
    del model.graph.initializer[:]
    model.graph.initializer.append(value)
    graph = agree(model, {"x": np.array([5, -6], np.float32)})
    assert graph.input_names == ("x",)


def test_sources(tmp_path, rng):
    model = small(rng)
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    before = model.SerializeToString()
    x = rng.standard_normal((1, 3, 6, 6)).astype(np.float32)
    results = [load(source)(x) for source in (path, str(path), path.read_bytes(), model)]
    for y in results[1:]:
        np.testing.assert_array_equal(y, results[0])
    assert model.SerializeToString() == before
    with pytest.raises(TypeError, match="model must be a path, bytes or a ModelProto, got int"):
        load(3)
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "none.onnx")


def test_external_data(tmp_path, rng):
    model = small(rng)
    x = rng.standard_normal((1, 3, 6, 6)).astype(np.float32)
    wanted = load(model)(x)
    path = tmp_path / "model.onnx"
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    np.testing.assert_array_equal(load(path)(x), wanted)
    with pytest.raises(ValueError, match="external data needs the folder of the model"):
        load(path.read_bytes())


def test_names_and_tables(rng):
    graph = load(small(rng))
    assert graph.name == "small"
    assert (graph.input_names, graph.output_names) == (("x",), ("y",))
    assert "Conv" in str(graph.summary((1, 3, 16, 16)))


def test_bfloat16(rng):
    """A dtype that NumPy lacks goes to the reference, which has it."""
    model = parsed("""
    brief (float[N] x) => (float[N] y)
    { b = Cast <to = 16> (x)  s = Add (b, b)  y = Cast <to = 1> (s) }""")
    x = rng.standard_normal(9).astype(np.float32)
    np.testing.assert_allclose(load(model)(x), 2 * x, rtol=2**-7)


def test_without_onnx(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx.checker", None)
    with pytest.raises(ModuleNotFoundError, match="needs the package onnx: pip install onnx"):
        load(b"")
