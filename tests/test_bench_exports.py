"""Graphs as other engines get them: ONNX models, ncnn's text and weights, calls of PyTorch.

What is written is read here; engines that are installed run it at the end.
"""

import io
import math
import re
import sys
import tempfile

import numpy as np
import pytest

from fastconv.bench.cases import CASES, select
from fastconv.bench.checks import check_output
from fastconv.bench.data import make_arrays
from fastconv.bench.engines import ENGINES
from fastconv.bench.export_ncnn import to_ncnn
from fastconv.bench.export_onnx import to_onnx
from fastconv.bench.graphs import graph_of, reference_output, specs_of, window_of
from fastconv.bench.layers import Window
from fastconv.graph import Graph, Node
from fastconv.graph import operators as ops

SHAPE = (2, 3, 18, 17)


@pytest.fixture
def net(rng):
    """Return a graph with every operator that is exported, small enough for any test."""
    nodes, constants = [], {}

    def weight(name, *shape):
        constants[name] = rng.standard_normal(shape, np.float32) / math.prod(shape[1:]) ** 0.5
        return name

    def add(operator, name, *inputs):
        nodes.append(Node(operator, inputs, (name,), name))
        return name

    def normalised(name, x):
        names = [weight(f"{name}.{part}", 8) for part in ("scale", "bias", "mean", "variance")]
        constants[names[-1]] = np.abs(constants[names[-1]]) + np.float32(0.5)
        return add(ops.BatchNorm(eps=1e-3), name, x, *names)

    def convolved(name, x, shape, **form):
        bias = weight(f"{name}.bias", shape[0])
        return add(ops.Conv(**form), name, x, weight(f"{name}.weight", *shape), bias)

    x = convolved("conv1", "x", (8, 3, 3, 3), stride=2, padding="same_upper")
    x = add(ops.Activation("relu6"), "act1", normalised("bn1", x))
    x = add(ops.MaxPool(kernel=3, stride=1, padding=1), "pool1", x)
    x = add(ops.LocalResponseNorm(size=5, alpha=0.1, beta=0.75, k=2), "norm", x)
    taps = weight("depthwise.weight", 8, 1, 3, 3)
    a = normalised("bn2", add(ops.Conv(padding=1, groups=8), "depthwise", x, taps))
    b = add(ops.Activation("relu"), "act2", convolved("pointwise", x, (8, 8, 1, 1)))
    # The sum's activation may not overwrite what the concatenation also takes.
    both = add(ops.Add(), "sum", a, b)
    rectified = add(ops.Activation(("leaky_relu", 0.1)), "act3", both)
    mean = add(ops.AvgPool(kernel=3, stride=1, padding=1), "mean", normalised("bn3", x))
    x = add(ops.Concat(1), "joined", both, rectified, mean)
    x = add(ops.AdaptivePool(kind="avg", output_size=(3, 3)), "parts", x)
    x = add(ops.Activation("tanh"), "act4", x)
    x = add(ops.Activation("sigmoid"), "act5", x)
    head = add(ops.GlobalPool(kind="max"), "global", x)
    x = add(ops.Flatten(), "flat", add(ops.Identity(), "dropout", x))
    x = add(ops.Dense(), "fc1", x, weight("fc1.weight", 24, 216), weight("fc1.bias", 24))
    x = add(ops.Activation(("clip", -0.5, 2)), "act6", x)
    x = add(ops.Add(), "skip", x, add(ops.Flatten(), "flat2", head))
    add(ops.Dense(), "y", x, weight("fc2.weight", 5, 24))
    return Graph(nodes, {"x": None}, ["y"], constants, "net")


@pytest.fixture
def x(rng):
    return rng.standard_normal(SHAPE, np.float32)


def one(operator, inputs=("x",), **constants):
    """Return a graph of one node."""
    node = Node(operator, (*inputs, *constants), ("y",), "node")
    return Graph([node], dict.fromkeys(inputs), ["y"], constants)


def close(found, expected):
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()


# ---- graphs


def test_reference_is_that_of_the_compiled_graph_in_float64(net, x):
    expected = reference_output(net, x)
    assert expected.dtype == np.float64
    close(net(x), expected)


@pytest.mark.parametrize("pattern", ["lenet5/(conv|pool)1", "googlenet/pool5", "random/(00|03|07)"])
def test_a_layer_as_a_graph(pattern):
    for case in select(CASES, pattern):
        arrays = make_arrays(case)
        out = graph_of(case, arrays)(arrays.x)
        assert check_output(case, arrays, out, winograd=True).failure is None, case


def test_specs_and_windows(net):
    specs = specs_of(net, SHAPE)
    assert specs["conv1"].shape == (2, 8, 9, 9)
    assert specs["y"].shape == (2, 5)
    nodes = {node.name: node for node in net.nodes}
    # 17 columns and stride 2 take one more column on each side, 18 rows one at the end.
    assert window_of(nodes["conv1"], specs) == Window(
        (18, 17), (3, 3), (2, 2), (0, 1, 1, 1), (1, 1)
    )
    assert window_of(nodes["mean"], specs).nested_padding == ((1, 1), (1, 1))


# ---- exports


def parsed(text):
    magic, counts, *lines = text.splitlines()
    assert magic == "7767517"
    layers = [line.split() for line in lines]
    blobs = sum(int(layer[3]) for layer in layers)
    assert counts == f"{len(layers)} {blobs}"
    return layers


def test_ncnn_text_is_fused_and_split(net):
    file = io.BytesIO()
    layers = parsed(to_ncnn(net, SHAPE, file))
    kinds = [layer[0] for layer in layers]
    # Of three normalisations the one that follows no convolution remains.
    assert kinds.count("BatchNorm") == 1
    assert "Clip" not in kinds
    by_name = {layer[1]: layer for layer in layers}
    assert {"9=3", "-23310=2,0,6"} <= set(by_name["act1"])  # conv1, bn1 and act1
    assert {"0=8", "4=1", "15=1", "14=0", "16=1", "5=1"} <= set(by_name["act1"])
    assert {"9=1", "5=1"} <= set(by_name["act2"])
    assert {"5=1", "7=8"} <= set(by_name["bn2"])  # without a bias of its own it gets that of bn2
    assert by_name["act6"][-2:] == ["9=3", "-23310=2,-0.5,2.0"]
    splits = {layer[4]: int(layer[3]) for layer in layers if layer[0] == "Split"}
    assert splits == {"norm": 3, "sum": 2, "act5": 2}
    taken = [name for layer in layers for name in layer[4 : 4 + int(layer[2])]]
    assert len(taken) == len(set(taken))
    # Weights in float32, a flag before each of five layers.
    norms = 2 * 2 * 8 - 8  # folded away, but for a bias that the depthwise layer did not have
    statistics = 2 * 8  # of the one that remains: they are no parameters
    assert len(file.getvalue()) == 4 * (net.parameters - norms + statistics + 5)


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        (one(ops.Activation("hardswish")), "node (hardswish): this activation"),
        (one(ops.LogSoftmax()), "node (LogSoftmax): this operator"),
        (one(ops.MaxPool(kernel=2, dilation=2)), "dilation (2, 2)"),
        (one(ops.Flatten(2)), "axis 2"),
        (one(ops.Add(), bias=np.ones(17, np.float32)), "two values of one shape"),
        (
            one(ops.Conv(activation="relu"), weight=np.ones((4, 3, 1, 1), np.float32)),
            "node (Conv): a fused activation or residual",
        ),
        (
            one(ops.Dense(activation="relu"), weight=np.ones((4, 17), np.float32)),
            "node (Dense): a fused activation or residual",
        ),
    ],
)
def test_what_ncnn_does_not_get(graph, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        to_ncnn(graph, SHAPE, io.BytesIO())


def test_onnx_model_is_valid_and_answers(net, x, skip):
    if ENGINES["onnxruntime"].missing:
        skip("no peers")
    import onnx
    import onnxruntime

    model = to_onnx(net, SHAPE)
    onnx.checker.check_model(model, full_check=True)
    assert [node.name for node in model.graph.node] == [node.name for node in net.nodes]
    (out,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    close(out, reference_output(net, x))
    for graph, said in (
        (one(ops.Activation("silu")), "node (silu): this activation"),
        (one(ops.LogSoftmax()), "node (LogSoftmax): this operator"),
        (one(ops.AdaptivePool(kind="max", output_size=5)), "a size of (18, 17) in (5, 5) parts"),
        (one(ops.Dense(), weight=np.ones((4, 17), np.float32)), "an input of shape"),
    ):
        with pytest.raises(ValueError, match=re.escape(said)):
            to_onnx(graph, SHAPE)


def test_onnx_missing_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match="pip install onnx"):
        to_onnx(one(ops.Flatten()), SHAPE)


@pytest.mark.slow
@pytest.mark.parametrize("channels_last", [False, True])
def test_torch_runs_a_graph(net, x, channels_last, skip):
    if ENGINES["torch"].missing:
        skip("no peers")
    import torch

    from fastconv.bench.engines.torch_graph import Program

    form = torch.channels_last if channels_last else torch.preserve_format
    with torch.inference_mode():
        program = Program(net, SHAPE, form)
        tensor = torch.from_numpy(x).to(memory_format=form)
        first = program(tensor).numpy()
        close(first, reference_output(net, x))
        assert np.array_equal(program(tensor).numpy(), first)  # nothing was overwritten
    with pytest.raises(ValueError, match=r"node \(hardswish\): this activation"):
        Program(one(ops.Activation("hardswish")), SHAPE, form)


@pytest.mark.slow
def test_ncnn_runs_a_graph(net, x, skip):
    if ENGINES["ncnn"].missing:
        skip("no peers")
    from fastconv.bench.engines import ncnn_net

    ncnn_net.start(1)
    with tempfile.NamedTemporaryFile() as file:
        text = to_ncnn(net, SHAPE, file)
        file.flush()
        prepared = ncnn_net.prepared(ncnn_net.net_of(text, file.name, 1), "x", "y", x)
    close(prepared.to_array(prepared.run()), reference_output(net, x))
