"""How graphs are called: forms of input, threads, processes, shapes; and what they refuse."""

import copy
import pickle
import sys
from contextlib import nullcontext
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

import child
import fastconv
from fastconv import _core, models
from fastconv.graph import Graph, Node
from fastconv.graph import operators as ops
from test_memory import with_failing_allocation
from test_threads import together


def node(operator, inputs, output):
    return Node(operator, tuple(inputs.split()), (output,), output)


def network(rng, dtype="float32", **declared):
    """Return a graph with a bit of everything, of images with 3 channels."""

    def normal(*shape):
        return (rng.standard_normal(shape) / 4).astype(dtype)

    conv = ops.Conv(padding=1)
    nodes = [
        node(conv, "x w1 b1", "a"),
        node(ops.Activation("relu"), "a", "r"),
        node(conv, "r w2", "c"),
        node(ops.BatchNorm(), "c s s s s", "n"),
        node(ops.Add(), "n r", "sum"),
        node(ops.Activation("silu"), "sum", "d"),
        node(ops.MaxPool(kernel=3, stride=2, padding=1), "d", "p"),
        node(ops.AvgPool(kernel=3, stride=2, padding=1), "d", "q"),
        node(ops.Concat(1), "p q", "e"),
        node(ops.LocalResponseNorm(size=3), "e", "l"),
        node(ops.GlobalPool(kind="avg"), "l", "g"),
        node(ops.Flatten(), "g", "f"),
        node(ops.Dense(), "f w3", "h"),
        node(ops.Softmax(), "h", "y"),
    ]
    constants = {
        "w1": normal(8, 3, 3, 3),
        "b1": normal(8),
        "w2": normal(8, 8, 3, 3),
        "s": np.ones(8, dtype),
        "w3": normal(5, 16),
    }
    return Graph(nodes, {"x": declared.get("x")}, ["y", "e"], constants, "net")


def chain(rng, dtype="float32", **declared):
    """Return a graph like it that C serves alone, from its second call with a shape on."""
    nodes = [
        node(ops.Conv(padding=1), "x w b", "a"),
        node(ops.MaxPool(kernel=3, stride=2), "a", "p"),
        node(ops.Activation("relu"), "p", "r"),
        node(ops.GlobalPool(kind="avg"), "r", "g"),
        node(ops.Flatten(), "g", "f"),
        node(ops.Dense(), "f v", "y"),
    ]
    constants = {
        "w": (rng.standard_normal((8, 3, 3, 3)) / 4).astype(dtype),
        "b": rng.standard_normal(8).astype(dtype),
        "v": rng.standard_normal((5, 8)).astype(dtype),
    }
    return Graph(nodes, {"x": declared.get("x")}, ["y"], constants, "net")


both = pytest.mark.parametrize("make", [network, chain])


def in_c(make):
    """Return a context in which no call may reach Python, if the graph is one that C serves."""
    if make is not chain:
        return nullcontext()
    return patch.object(Graph, "_general", side_effect=AssertionError("the call reached Python"))


def image(rng, *shape, dtype="float32"):
    return rng.standard_normal(shape or (2, 3, 12, 13)).astype(dtype)


def several(result):
    """Return a call's result as the tuple that it is where there are several outputs."""
    return result if isinstance(result, tuple) else (result,)


def same_bytes(a, b):
    a, b = several(a), several(b)
    assert [(x.shape, x.dtype) for x in a] == [(x.shape, x.dtype) for x in b]
    return [x.tobytes() for x in a] == [x.tobytes() for x in b]


# -- inputs ----------------------------------------------------------------------------------------

LAYOUTS = {
    "swapped": lambda x: x.astype(x.dtype.newbyteorder()),
    "strided": lambda x: np.repeat(x, 2, axis=3)[..., ::2],
    "reversed": lambda x: x[:, :, ::-1].copy()[:, :, ::-1],
    "fortran": np.asfortranarray,
    "list": lambda x: x.astype(float).tolist(),
    "unaligned": lambda x: np.frombuffer(b"\0" + x.tobytes(), x.dtype, offset=1).reshape(x.shape),
    "subclass": lambda x: x.view(type("Own", (np.ndarray,), {})),
}


@pytest.mark.parametrize(
    "declared", [None, ("float64", (None, 3, "h", "w"))], ids=["any", "declared"]
)
@pytest.mark.parametrize("layout", LAYOUTS)
@both
def test_any_layout(make, layout, declared, rng):
    graph = make(rng, "float64", x=declared)
    x = image(rng, dtype="float64")
    wanted = graph(x)
    other = LAYOUTS[layout](x)
    for _ in range(2):
        got = graph(other)
        assert same_bytes(got, wanted)
        assert all(type(array) is np.ndarray and array.dtype == "=f8" for array in several(got))
        with in_c(make):
            assert same_bytes(graph(x), wanted)
    assert np.array_equal(other, x)


@both
def test_a_read_only_input(make, rng):
    graph, x = make(rng), image(rng)
    wanted = graph(x)
    x.flags.writeable = False
    before = x.tobytes()
    with in_c(make):
        assert same_bytes(graph(x), wanted)
    assert x.tobytes() == before


@both
def test_outputs_are_new(make, rng):
    graph, x = make(rng), image(rng)
    first = several(graph(x))
    kept = [array.copy() for array in first]
    with in_c(make):
        for _ in range(2):
            later = several(graph(-x))
            assert not any(np.shares_memory(a, b) for a in first for b in later)
            assert not same_bytes(later, tuple(kept))
    assert same_bytes(first, tuple(kept))


@both
def test_swapped_constants(make, rng):
    graph, x = make(rng), image(rng)
    swapped = {key: value.astype(">f4") for key, value in graph.constants.items()}
    again = Graph(graph.nodes, {"x": None}, graph.output_names, swapped)
    wanted = graph(x)
    assert same_bytes(again(x), wanted)
    with in_c(make):
        assert same_bytes(again(x), wanted)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@both
def test_what_is_not_finite(make, value, rng):
    """It spreads as it does from node to node, never to another sample."""
    graph, x = make(rng), image(rng)
    clean = several(graph(x))
    x[1, 2, 5, 5] = value
    with np.errstate(all="ignore"):
        wanted = graph._evaluate((x,))
        with in_c(make):
            got = several(graph(x))
    for a, b, c in zip(got, wanted, clean, strict=True):
        assert a[0].tobytes() == c[0].tobytes()
        assert np.isnan(b[1]).any() <= np.isnan(a[1]).any()
        assert not np.isfinite(a[1]).all()


def test_by_name(rng):
    nodes = [node(ops.Sub(), "a b", "y")]
    graph = Graph(nodes, {"a": None, "b": None}, ["y"], {})
    a, b = image(rng), image(rng)
    for got in (graph(a, b), graph(a=a, b=b), graph(a, b=b), graph.run({"b": b, "a": a})["y"]):
        np.testing.assert_array_equal(got, a - b)


def test_no_inputs_and_many(rng):
    constants = {"c": image(rng)}
    graph = Graph([node(ops.Activation("relu"), "c", "y")], {}, ["y"], constants)
    np.testing.assert_array_equal(graph(), np.maximum(constants["c"], 0))
    # More than compiled steps can be given blocks of memory.
    names = [f"x{i}" for i in range(_core.BLOCKS + 3)]
    graph = Graph([node(ops.Concat(0), " ".join(names), "y")], dict.fromkeys(names), ["y"], {})
    arrays = [image(rng, 1, 2) for _ in names]
    for _ in range(2):
        np.testing.assert_array_equal(graph(*arrays), np.concatenate(arrays))


@pytest.mark.parametrize("axes", range(11))
def test_any_number_of_axes(axes, rng):
    x = image(rng, *([2] * axes)) if axes else np.asarray(rng.standard_normal(), np.float32)
    graph = Graph([node(ops.Activation("relu"), "x", "y")], {"x": None}, ["y"], {})
    for _ in range(3):
        y = graph(x)
        assert y.shape == x.shape
        np.testing.assert_array_equal(y, np.maximum(x, 0))


@both
def test_declared_shapes_are_checked_by_every_call(make, rng):
    graph = make(rng, x=("float32", (None, 3, np.int64(12), "width")))
    graph(image(rng))
    for _ in range(3):
        with in_c(make):
            graph(image(rng))
        with pytest.raises(ValueError, match=r"input x has shape \(2, 3, 11, 13\), it must be"):
            graph(image(rng, 2, 3, 11, 13))
        with pytest.raises(TypeError, match="input x has dtype float64, it must be float32"):
            graph(image(rng, dtype="float64"))


# -- bits, threads, processes ----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@both
def test_bits_do_not_depend_on_threads_or_the_place_in_the_batch(make, dtype, rng):
    graph = make(rng, dtype)
    x = image(rng, 5, 3, 40, 41, dtype=dtype)
    wanted = graph(x)
    with in_c(make):
        for threads in (1, 2, 3, 7):
            with fastconv.num_threads(threads):
                assert same_bytes(graph(x), wanted)
        order = [3, 0, 4, 1, 2]
        assert same_bytes(graph(x[order]), tuple(array[order] for array in several(wanted)))


@both
def test_threads_call_one_graph(make, rng):
    """From the first call on, with more shapes than are kept."""
    images = [image(rng, 1, 3, 8 + i, 12) for i in range(12)]
    alone = make(np.random.default_rng(1))
    wanted = [alone(x) for x in images]
    shared = make(np.random.default_rng(1))

    def work(i):
        for j in range(30):
            k = (i + j // 3) % len(images)
            assert same_bytes(shared(images[k]), wanted[k])

    together(4, work)


@both
def test_shapes_come_and_go(make, rng):
    graph = make(rng)
    images = [image(rng, 1, 3, 8 + i, 12) for i in range(12)]
    wanted = [graph(x) for x in images]
    for _ in range(2):
        for x, y in zip(images, wanted, strict=True):
            assert same_bytes(graph(x), y)
            with in_c(make):
                assert same_bytes(graph(x), y)
    assert len(graph._compiled) <= 8
    # What is used stays: the first is asked for between all others.
    kept = Graph(graph.nodes, {"x": None}, graph.output_names, graph.constants)
    kept(images[0])
    first = next(iter(kept._compiled.values()))
    for x in images[1:]:
        kept(x)
        kept(images[0])
    assert first in kept._compiled.values()


@pytest.mark.parametrize("called", [False, True])
@both
def test_copies(make, called, rng):
    graph, x = make(rng, x=("float32", (None, 3, None, None))), image(rng)
    wanted = graph(x)
    if not called:
        graph = Graph(graph.nodes, {"x": None}, graph.output_names, graph.constants, "net")
    for twin in (copy.copy(graph), copy.deepcopy(graph), pickle.loads(pickle.dumps(graph))):
        assert (repr(twin), twin.input_names) == (repr(graph), ("x",))
        assert same_bytes(twin(x), wanted)
        with in_c(make):
            assert same_bytes(twin(x), wanted)


def test_a_fork_while_another_thread_compiles():
    """The child does not wait for a lock whose holder it has not."""
    child.run(
        """
        import os, threading
        import numpy as np
        from fastconv.graph import Graph, Node, operators as ops

        inside, go = threading.Event(), threading.Event()
        def slow(x):
            if threading.current_thread() is not threading.main_thread():
                inside.set()
                go.wait()
            return x + 1
        nodes = [Node(ops.Function("slow", slow), ("x",), ("y",), "slow")]
        graph = Graph(nodes, {"x": None}, ["y"], {})
        x = np.ones((1, 2), np.float32)
        thread = threading.Thread(target=graph, args=(x,), daemon=True)
        thread.start()
        inside.wait()
        pid = os.fork()
        if pid == 0:
            os._exit(0 if (graph(x) == 2).all() else 1)
        for _ in range(100):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                break
            threading.Event().wait(0.1)
        else:
            os.kill(pid, 9)
            raise SystemExit("the child hangs")
        go.set()
        thread.join()
        raise SystemExit(os.waitstatus_to_exitcode(status))
        """,
    )


# -- what is refused -------------------------------------------------------------------------------

W = np.ones((4, 3, 3, 3), np.float32)

GRAPHS = {
    "circle": (
        [node(ops.Add(), "x b", "a"), node(ops.Identity(), "a", "b")],
        r"the graph has a cycle: (a \(Add\) -> b|b \(Identity\) -> a)",
    ),
    "itself": ([node(ops.Add(), "x a", "a")], r"the graph has a cycle: a \(Add\)"),
    "missing": ([node(ops.Add(), "x b", "a")], r"a \(Add\) takes 'b', which nothing makes"),
    "two makers": (
        [node(ops.Identity(), "x", "a"), node(ops.Activation("relu"), "x", "a")],
        r"a \(relu\) makes 'a', which is there already",
    ),
    "makes an input": ([node(ops.Identity(), "x", "x")], r"x \(Identity\) makes 'x'"),
    "makes a constant": ([node(ops.Identity(), "x", "w")], r"w \(Identity\) makes 'w'"),
    "no such output": ([node(ops.Identity(), "x", "b")], "output 'a': nothing makes it"),
}


@pytest.mark.parametrize("case", GRAPHS)
def test_graphs_that_are_none(case):
    nodes, message = GRAPHS[case]
    with pytest.raises(ValueError, match=message):
        Graph(nodes, {"x": None}, ["a"], {"w": W})


def test_other_arguments_that_are_none():
    nodes = [node(ops.Identity(), "x", "a")]
    with pytest.raises(ValueError, match="net has no outputs"):
        Graph(nodes, {"x": None}, [], {}, "net")
    with pytest.raises(ValueError, match="constant 'x': the name is used twice"):
        Graph(nodes, {"x": None}, ["a"], {"x": W})
    with pytest.raises(TypeError, match="node 'n' has no operator but 'Add'"):
        Graph([Node("Add", ("x", "x"), ("a",), "n")], {"x": None}, ["a"], {})
    with pytest.raises(TypeError, match="w is a masked array"):
        Graph(nodes, {"x": None}, ["a"], {"w": np.ma.masked_array(W)})
    with pytest.raises(TypeError, match=r"size of x must be an integer.*got 2\.5"):
        Graph(nodes, {"x": ("float32", (None, 2.5))}, ["a"], {})


def one(operator, inputs="x", **constants):
    return [Node(operator, tuple(inputs.split(",")), ("y",), "it")], constants


TOO_LARGE = "kernel of 9 .* does not fit the input of 6"
ones = {size: np.ones(size, np.float32) for size in (3, 4)}
NODES = {
    "channels": (one(ops.Conv(), "x,w", w=np.ones((2, 4, 1, 1), np.float32)), "4 input channels"),
    "dtype": (one(ops.Conv(), "x,w", w=W.astype(float)), "weight has dtype float64, x has dtype"),
    "axes": (one(ops.Conv(), "x,w", w=W[0]), "must have 3 axes"),
    "weight axes": (one(ops.Conv(), "x,w", w=W[0, 0]), "weight must have 3 to 5 axes"),
    "bias": (one(ops.Conv(), "x,w,b", w=W, b=ones[3]), r"bias has shape \(3,\)"),
    "window": (one(ops.Conv(), "x,w", w=np.ones((1, 3, 9, 9), np.float32)), TOO_LARGE),
    "no weight": (one(ops.Conv(), "x"), "an input is missing that is not optional"),
    "no image": (one(ops.Conv(), ",w", w=W), "an input is missing that is not optional"),
    "features": (one(ops.Dense(), "x,w", w=ones[3].reshape(1, 3)), "features differ"),
    "stride": (one(ops.Conv(stride=0), "x,w", w=W), "stride .* must be at least 1, got 0"),
    "activation": (one(ops.Activation("swish")), "activation must be one of .* got 'swish'"),
    "fused": (one(ops.Conv(activation="gelu"), "x,w", w=W), "activation must be one of .* 'gelu'"),
    "fused dense": (
        one(ops.Dense(activation="gelu"), "x,w", w=np.ones((1, 6), np.float32)),
        "activation must be one of .* got 'gelu'",
    ),
    "norm": (one(ops.BatchNorm(), "x,s,s,s,s", s=ones[4]), r"has shape \(4,\), it must be \(3,\)"),
    "norm's dtype": (one(ops.BatchNorm(), "x,s,s,s,s", s=np.ones(3)), "has dtype float64, x has"),
    "pool": (one(ops.MaxPool(kernel=9)), TOO_LARGE),
    "response": (one(ops.LocalResponseNorm(size=0)), "size must be at least 1, got 0"),
    "softmax": (one(ops.Softmax(axis=4)), "dim must be from -4 to 3"),
    "broadcast": (one(ops.Add(), "x,s", s=ones[4]), "objects cannot be broadcast"),
    "one of two": (one(ops.Add(), "x"), r"expected 2, got 1"),
    "concat": (one(ops.Concat(1), "x,w", w=W), "differ beside axis 1"),
    "concat's axis": (one(ops.Concat(4), "x,x"), "axis 4 does not fit"),
    "flatten": (one(ops.Flatten(5)), "axis 5 does not fit"),
    "reshape": (
        one(ops.Reshape(), "x,s", s=np.array([7, -1])),
        r"does not fit into shape \[7, -1\]",
    ),
    "perm": (one(ops.Transpose((0, 1, 2))), "does not fit the shape"),
    "matmul": (
        one(ops.MatMul(), "x,w", w=np.ones((5, 2), np.float32)),
        "mismatch in its core dimension",
    ),
    "results": (
        ([Node(ops.Function("f", lambda x: x), ("x",), ("y", "z"), "it")], {}),
        "makes 1 of y, z",
    ),
}


@pytest.mark.parametrize("case", NODES)
def test_errors_name_the_node(case, rng):
    (nodes, constants), message = NODES[case]
    graph = Graph(nodes, {"x": None}, ["y"], constants)
    for _ in range(2):
        with pytest.raises((ValueError, TypeError), match=rf"^it \(\w+\): .*({message})"):
            graph(image(rng, 2, 3, 6, 6))


@both
def test_calls_that_do_not_fit(make, rng):
    graph, x = make(rng), image(rng)
    for _ in range(2):
        with pytest.raises(TypeError, match="net has 1 inputs, got 2"):
            graph(x, x)
        with pytest.raises(TypeError, match="input x is given twice"):
            graph(x, x=x)
        with pytest.raises(ValueError, match="net takes x; the call lacks 'x'"):
            graph()
        with pytest.raises(ValueError, match="the call lacks 'x' and has no input 'z'"):
            graph.run({"z": x})
        with pytest.raises(TypeError, match="x is a masked array"):
            graph(np.ma.masked_array(x))
        with pytest.raises(TypeError, match=r"a \(Conv\): .*int64"):
            graph(x.astype(np.int64))
        with pytest.raises(ValueError, match=r"a \(Conv\): "):
            graph(x[:, :2])
        with pytest.raises(ValueError, match="x is not an array"):
            graph([[1.0], [1.0, 2.0]])
        graph(x)
        with in_c(make):
            graph(x)


# -- memory ----------------------------------------------------------------------------------------


def test_every_allocation_may_fail(rng, skip):
    """A MemoryError that says where, and the next call is right."""
    if not hasattr(_core, "_fail_allocation"):
        skip("no allocation hook")
    source, x = network(rng), image(rng, 1, 3, 30, 31)
    parts = source.nodes, {"x": None}, source.output_names, source.constants
    wanted = source(x)
    failed = 0
    for n in range(60):
        graph = Graph(*parts)
        result = with_failing_allocation(n, lambda graph=graph: graph(x))
        failed += result is None
        assert result is None or same_bytes(result, wanted)
        assert same_bytes(graph(x), wanted)
    assert failed > 5
    assert result is not None, "more than 60 allocations in a call"


def test_nothing_is_left_behind(rng, skip, no_sanitizer):
    if sys.platform != "linux":
        skip("not linux")

    def resident():
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    source = models.squeezenet()
    x = image(rng, 1, 3, 64, 64)

    def build_and_call():
        graph = Graph(source.nodes, {"x": None}, source.output_names, source.constants)
        graph(x)
        graph(x)
        with pytest.raises(ValueError, match="channels"):
            graph(x[:, :2])

    for _ in range(6):
        build_and_call()
    before = resident()
    for _ in range(20):
        build_and_call()
    # Packed weights are 5 MB; those of a fifth of the graphs would be 20 MB.
    assert resident() - before < 12 * 2**20


def test_a_call_that_fails_gives_its_memory_back(rng):
    def picky(x):
        if (x > 100).any():
            raise ValueError("too large")
        return x + 1

    nodes = [
        node(ops.Activation("relu"), "x", "a"),
        Node(ops.Function("picky", picky), ("a",), ("b",), "picky"),
        node(ops.Softmax(1), "b", "y"),
    ]
    graph = Graph(nodes, {"x": None}, ["y"], {})
    x = image(rng)
    graph(x)
    (compiled,) = graph._compiled.values()
    for _ in range(3):
        with pytest.raises(ValueError, match=r"picky \(picky\): too large"):
            graph(x + 200)
    assert len(compiled._free) == 1


@pytest.mark.parametrize(
    ("changes", "error", "match"),
    [
        ({"inputs": None}, TypeError, "inputs must be a mapping"),
        ({"constants": []}, TypeError, "constants must be a mapping"),
        ({"inputs": {"x": "float32"}}, TypeError, r"input x is declared by \(dtype, shape\)"),
        ({"inputs": {"x": ("f4", (-1,))}}, ValueError, "input x is declared with a negative size"),
        ({"nodes": [None]}, TypeError, "nodes must be of Node, got None"),
        ({"nodes": [("relu",)]}, TypeError, "nodes must be of Node"),
    ],
)
def test_graphs_of_other_things_are_refused(changes, error, match):
    good = {
        "nodes": [node(ops.Activation("relu"), "x", "y")],
        "inputs": {"x": None},
        "outputs": ["y"],
        "constants": {},
    }
    with pytest.raises(error, match=match):
        Graph(**(good | changes))


def test_calls_of_other_things_are_refused():
    graph = Graph([node(ops.Activation("relu"), "x", "y")], {"x": None}, ["y"], {})
    with pytest.raises(TypeError, match="inputs must be a mapping of names, got NoneType"):
        graph.run(None)
    with pytest.raises(ValueError, match="must not hold negative sizes"):
        graph.summary((-1, 2))


def test_a_long_chain_of_values_in_values():
    nodes = [node(ops.Concat(1), f"v{i} v{i}", f"v{i + 1}") for i in range(1)]
    nodes += [node(ops.Flatten(), f"v{i}", f"v{i + 1}") for i in range(1, 2000)]
    graph = Graph(nodes, {"v0": None}, ["v2000"], {})
    np.testing.assert_array_equal(graph(np.ones((2, 3))), np.ones((2, 6)))
