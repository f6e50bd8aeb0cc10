"""What graphs tell about themselves: summaries, by values worked out by hand, and profiles."""

import builtins

import numpy as np
import pytest

from fastconv import models
from fastconv.graph import Graph, Node
from fastconv.graph import operators as ops


def node(operator, inputs, output):
    return Node(operator, tuple(inputs.split()), (output,), output)


# Of an image of 224 x 224: parameters and multiply-adds as torchvision counts them; the receptive
# field before what makes one vector of the image, and that of the last layer.  By hand for AlexNet:
# 11; a pool of 3 at 4 apart 19; 5 at 8 apart 51; a pool 67; three of 3 at 16 apart 163; a pool 195;
# and 6 positions 32 apart 355.  ResNet-50, whose strides are in its 3 x 3: 7, 11, 35, 91, 267, 427.
PUBLISHED = {
    "alexnet": (61_100_840, 714_188_480, "features.12", 195, 355),
    "vgg16": (138_357_544, 15_470_264_320, "features.30", 212, 404),
    "resnet50": (25_557_032, 4_089_184_256, "layer4.2.conv3", 427, 619),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_networks(name):
    parameters, macs, layer, before, last = PUBLISHED[name]
    net = getattr(models, name)()
    summary = net.summary((1, 3, 224, 224))
    assert (summary.parameters, summary.macs) == (parameters, macs)
    assert net.parameters == parameters
    fields = {row.name: row.receptive_field for row in summary.layers}
    assert fields[layer] == (before, before)
    assert summary.layers[-1].receptive_field == (last, last)


def test_windows_of_all_kinds():
    ones = np.ones
    nodes = [
        node(ops.Conv(dilation=(1, 3)), "x w", "a"),
        node(ops.MaxPool(kernel=(2, 1), stride=2), "a", "b"),
        node(ops.AvgPool(kernel=3, padding=1), "b", "c"),
        node(ops.Add(), "b c", "d"),
        node(ops.Activation("relu"), "d", "e"),
        Node(ops.Function("any", lambda x: x), ("e",), ("f",), "f"),
        node(ops.Flatten(), "e", "g"),
        node(ops.Dense(), "g v", "y"),
    ]
    constants = {"w": ones((4, 3, 3, 3), np.float32), "v": ones((2, 4 * 6 * 6), np.float32)}
    graph = Graph(nodes, {"x": ("float32", (1, 3, 14, 18))}, ["y", "f"], constants)
    rows = {row.name: row for row in graph.summary().layers}
    assert rows["a"].receptive_field == (3, 7)
    assert rows["b"].receptive_field == (4, 7)
    assert rows["c"].receptive_field == rows["d"].receptive_field == (4 + 2 * 2, 7 + 2 * 2)
    assert rows["f"].receptive_field == ()  # nobody knows
    assert rows["y"].receptive_field == (8 + 5 * 2, 11 + 5 * 2)
    assert rows["a"].macs == 4 * 12 * 12 * 27
    assert rows["y"].macs == 288
    assert [row.parameters for row in graph.summary().layers] == [108, 0, 0, 0, 0, 0, 0, 288]
    assert graph.summary() == graph.summary((1, 3, 14, 18))


def test_a_summary_is_a_table():
    text = str(models.lenet5().summary((1, 1, 32, 32)))
    lines = text.splitlines()
    assert lines[0].startswith("lenet5: x 1x1x32x32")
    assert lines[2].split()[0] == "layer"
    assert lines[3].split()[:3] == ["conv1", "Conv", "1x6x28x28"]
    assert lines[-1].startswith("61,706 parameters, ")


def test_weights_that_are_shared_count_once_and_statistics_never():
    norm = "m m m"
    nodes = [
        node(ops.Conv(padding=1), "x w", "a"),
        node(ops.Conv(padding=1), "a w", "b"),
        node(ops.BatchNorm(), f"b scale {norm}", "y"),
    ]
    constants = {
        "w": np.ones((3, 3, 3, 3), np.float32),
        "scale": np.ones(3, np.float32),
        "m": np.ones(3, np.float32),
        "sizes": np.array([1, 2]),
    }
    graph = Graph(nodes, {"x": None}, ["y"], constants)
    assert graph.summary((1, 3, 5, 5)).parameters == graph.parameters == 81 + 3


@pytest.mark.parametrize(
    ("shapes", "error", "message"),
    [
        ((), ValueError, "net: the shape of input x is not given"),
        (((1, 3, 5, 5), (1,)), ValueError, "net has 1 inputs, got more shapes"),
        (((1, 2, 5, 5),), ValueError, r"a \(Conv\): weight has 3 input channels"),
        (((1, 3, 5),), ValueError, r"a \(Conv\): x must have 4 axes"),
        (("1, 3",), TypeError, "the shape of x must be a sequence of integers"),
        (((1, 3, 5, 2.5),), TypeError, "each size of the shape of x must be an integer"),
        (((1, 3, -5, 5),), ValueError, "the shape of x must not hold negative sizes"),
    ],
)
def test_shapes_that_do_not_fit(shapes, error, message):
    nodes = [node(ops.Conv(), "x w", "a")]
    graph = Graph(nodes, {"x": None}, ["a"], {"w": np.ones((4, 3, 3, 3), np.float32)}, "net")
    with pytest.raises(error, match=message):
        graph.summary(*shapes)


def test_shapes_that_depend_on_data():
    nodes = [node(ops.Reshape(), "x shape", "y")]
    graph = Graph(nodes, {"x": None, "shape": ("int64", (2,))}, ["y"], {}, "net")
    with pytest.raises(ValueError, match="net has shapes that depend on data"):
        graph.summary((2, 3))
    first = ops.Function("first", lambda x: x[np.argwhere(x > 0)[0][0]])
    graph = Graph([node(first, "x", "y")], {"x": None}, ["y"], {}, "net")
    with pytest.raises(ValueError, match="net has shapes that depend on data"):
        graph.summary((2, 3))


def test_a_profile_tells_every_step():
    net = models.lenet5()
    profile = net.profile(np.ones((3, 1, 32, 32), np.float32), runs=3)
    assert profile.runs == 3
    assert [step.kind for step in profile.steps] == [
        *["Conv", "MaxPool", "Conv", "MaxPool", "Conv", "Dense", "Dense"]
    ]
    assert all(step.seconds > 0 for step in profile.steps)
    assert profile.seconds == sum(step.seconds for step in profile.steps)
    macs = net.summary((3, 1, 32, 32)).macs
    assert sum(step.flops for step in profile.steps) == 2 * macs
    assert all(
        bool(step.flops) == bool(step.gflops) == bool(step.algorithm) for step in profile.steps
    )
    lines = str(profile).splitlines()
    assert lines[0] == "lenet5: median of 3 runs"
    assert lines[3].split()[:3] == ["conv1", "Conv", "3x6x28x28"]
    # Which step is the longest one is the machine's to say.
    longest = max(range(7), key=lambda i: profile.steps[i].seconds)
    bars = [line.count("█") for line in lines[3:10]]
    assert bars[longest] == max(bars) > 0
    assert lines[-1].startswith("7 steps in ")
    assert lines[-1].endswith(" KiB of activations")


def test_profiles_that_are_refused():
    net, x = models.lenet5(), np.ones((1, 1, 32, 32), np.float32)
    with pytest.raises(ValueError, match="lenet5 takes x; the call lacks 'x'"):
        net.profile()
    with pytest.raises(TypeError, match="lenet5 has 1 inputs, got 2"):
        net.profile(x, x)
    with pytest.raises(ValueError, match="runs must be at least 1, got 0"):
        net.profile(x, runs=0)
    with pytest.raises(TypeError, match="runs must be an integer"):
        net.profile(x, runs=1.5)


def test_a_profile_of_nothing():
    graph = Graph([node(ops.Identity(), "x", "y")], {"x": None}, ["y"], {})
    profile = graph.profile(np.ones((1, 2), np.float32))
    assert profile.steps == ()
    assert "0 steps in 0.000 ms" in str(profile)


def test_a_picture(tmp_path, skip):
    try:
        import matplotlib.image
    except ImportError:
        skip("no extras")
    profile = models.lenet5().profile(np.ones((1, 1, 32, 32), np.float32), runs=1)
    path = tmp_path / "lenet5.png"
    profile.save(path)
    pixels = matplotlib.image.imread(path)
    assert pixels.shape[1] == 960
    bar = np.abs(pixels[..., :3] - np.array([0x3B, 0x6E, 0xA5]) / 255).max(axis=-1) < 0.01
    assert bar.any(axis=1).sum() > 7  # a row of them for each step


def test_a_picture_needs_matplotlib(tmp_path, monkeypatch):
    profile = models.lenet5().profile(np.ones((1, 1, 32, 32), np.float32), runs=1)
    importer = builtins.__import__

    def without(name, *args):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return importer(name, *args)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        profile.save(tmp_path / "no.png")
