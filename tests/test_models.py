"""Networks by name and `Sequential`: weights are checked, tables say what the papers and Keras say.

That they compute what torch does is shown in ``beside_torch/``.
"""

import math
import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import fastconv
from conftest import SKIPS
from fastconv import models
from fastconv.graph import Sequential, layers

EXAMPLES = Path(__file__).parents[1] / "examples"

SMALL = {
    "lenet5": models.lenet5,
    "googlenet": models.googlenet,
    "resnet18": models.resnet18,
    "squeezenet": models.squeezenet,
    "efficientnet_lite0": models.efficientnet_lite0,
}


@pytest.fixture(scope="module")
def squeezenet():
    """Return the weights of a network, as a dictionary that a test may change."""
    constants = models.squeezenet().constants
    return lambda: dict(constants)


def layer(net, name, shape):
    return next(row for row in net.summary(shape).layers if row.name == name)


# -- random weights --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SMALL)
def test_a_seed_is_a_network(name):
    build = SMALL[name]
    first, again, other = build(seed=1), build(seed=1), build(seed=2)
    for key, array in first.constants.items():
        assert array.dtype == np.float32
        assert np.array_equal(array, again.constants[key])
        assert not np.array_equal(array, other.constants[key])


def test_random_logits_are_neither_lost_nor_huge(rng):
    images = rng.standard_normal((2, 3, 224, 224), np.float32)
    for build in (models.resnet152, models.googlenet, models.efficientnet_lite0):
        scores = build()(images)
        assert 0.1 < scores.std() < 30
        assert not np.allclose(scores[0], scores[1], atol=0.1)


@pytest.mark.parametrize(
    ("build", "arguments", "shape", "out"),
    [
        (models.lenet5, {"classes": 26}, (1, 32, 32), 26),
        (models.alexnet, {"classes": 3}, (3, 63, 63), 3),
        (models.googlenet, {"variant": "paper", "classes": 5}, (3, 100, 130), 5),
        (models.resnet50, {"classes": 2}, (3, 65, 33), 2),
        (models.squeezenet, {"classes": 7}, (3, 21, 21), 7),
        (models.efficientnet_lite0, {"classes": 4}, (3, 33, 65), 4),
    ],
)
def test_classes_and_sizes(build, arguments, shape, out):
    net = build(**arguments)
    assert net(np.ones((3, *shape), np.float32)).shape == (3, out)
    assert net(np.ones((0, *shape), np.float32)).shape == (0, out)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"classes": 0}, ValueError, "classes must be at least 1, got 0"),
        ({"classes": 2.5}, TypeError, "classes must be an integer, got 2.5"),
        ({"variant": "caffe"}, ValueError, "variant must be .* got 'caffe'"),
        ({"weights": 3}, TypeError, "weights must be a mapping of arrays, got int"),
        ({"weights": [np.ones(3)]}, TypeError, "weights must be a mapping of arrays, got list"),
        ({"weights": "weights.onnx"}, ValueError, "weights.onnx: weights are in files that end in"),
        ({"seed": -1}, ValueError, "non-negative"),
    ],
)
def test_arguments_that_are_not_served(arguments, error, message):
    for build in (models.squeezenet, models.googlenet, models.alexnet):
        with pytest.raises(error, match=message):
            build(**arguments)


def test_inputs_that_do_not_fit():
    net = models.lenet5()
    with pytest.raises(ValueError, match=r"shape \(1, 1, 28, 28\), it must be \(any, 1, 32, 32\)"):
        net(np.ones((1, 1, 28, 28), np.float32))
    with pytest.raises(TypeError, match="float64, it must be float32"):
        net(np.ones((1, 1, 32, 32)))
    with pytest.raises(ValueError, match=r"it must be \(any, 3, any, any\)"):
        models.squeezenet()(np.ones((3, 224, 224), np.float32))
    with pytest.raises(ValueError, match=r"^features\.\d+"):
        models.alexnet(classes=2)(np.ones((1, 3, 40, 40), np.float32))
    with pytest.raises(ValueError, match='pooling must be "max" or "avg"'):
        models.lenet5(pooling="min")


# -- given weights ---------------------------------------------------------------------------------


def test_all_that_does_not_fit_is_told_at_once(squeezenet):
    weights = squeezenet()
    del weights["features.3.squeeze.bias"], weights["classifier.1.weight"]
    weights["fc.weight"] = np.ones(3, np.float32)
    weights["features.0.weight"] = np.ones((64, 3, 3, 4), np.float32)
    weights["features.0.bias"] = np.ones(64)
    weights["features.4.squeeze.bias"] = np.ones(16, np.int64)
    weights["features.6.squeeze.bias"] = np.ma.ones(32, np.float32)
    with pytest.raises(ValueError, match=r"^the weights do not fit squeezenet; ") as caught:
        models.squeezenet(weights)
    told = str(caught.value)
    assert "missing: features.3.squeeze.bias, classifier.1.weight;" in told
    assert "unexpected: fc.weight;" in told
    assert "features.0.weight has shape (64, 3, 3, 4), it must be (64, 3, 3, 3)" in told
    assert "features.0.bias has dtype float64, the first weight has dtype float32" in told
    assert "features.4.squeeze.bias has dtype int64; supported are" in told
    assert "features.6.squeeze.bias is a masked array" in told


def test_a_long_list_is_cut(squeezenet):
    with pytest.raises(ValueError, match=r"missing: (\S+, ){4}\S+ and 47 more$"):
        models.squeezenet({})
    many = {f"extra{i}": np.ones(1, np.float32) for i in range(9)}
    with pytest.raises(ValueError, match=r"unexpected: (extra\d, ){4}extra4 and 4 more$"):
        models.squeezenet(squeezenet() | many)


def test_another_number_of_classes_is_told(squeezenet):
    message = r"classifier.1.weight has shape \(1000, 512, 1, 1\), it must be \(10, 512, 1, 1\)"
    with pytest.raises(ValueError, match=message):
        models.squeezenet(squeezenet(), classes=10)


def test_weights_of_any_strides_and_byte_order(squeezenet, rng):
    weights = squeezenet()
    for i, (name, array) in enumerate(weights.items()):
        weights[name] = np.asfortranarray(array) if i % 2 else array.astype(">f4")
    images = rng.standard_normal((1, 3, 64, 64), np.float32)
    found = models.squeezenet(weights)(images)
    assert np.array_equal(found, models.squeezenet(squeezenet())(images))


def test_what_only_training_needs_is_ignored():
    weights = dict(models.googlenet().constants)
    weights["aux1.fc1.weight"] = np.ones(1, np.float32)
    weights["conv1.bn.num_batches_tracked"] = np.array(7)
    assert models.googlenet(weights).constants.keys() == models.googlenet().constants.keys()
    with pytest.raises(ValueError, match="unexpected: aux3"):
        models.googlenet(weights | {"aux3": np.ones(1, np.float32)})


def test_a_path_is_read(squeezenet, tmp_path, rng):
    path = tmp_path / "squeezenet.npz"
    np.savez(path, **squeezenet())
    images = rng.standard_normal((1, 3, 64, 64), np.float32)
    assert np.array_equal(models.squeezenet(path)(images), models.squeezenet()(images))
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ValueError, match=f"{re.escape(str(path))} cannot be read"):
        models.squeezenet(str(path))


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_what_the_example_trains_is_loaded(activation, tmp_path):
    """LeNet-5 as the example trained it tells the digits that the example tests it with."""
    pytest.importorskip("sklearn", reason=SKIPS["no extras"])
    path = tmp_path / "digits.npz"
    command = [sys.executable, "train_lenet5.py", "--epochs", "4", "-o", str(path)]
    subprocess.run(
        [*command, "--activation", activation],
        cwd=EXAMPLES,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
    )
    read = "from image_sets import load; import numpy; d = load('digits', 0);"
    read += f"numpy.savez({str(tmp_path / 'test.npz')!r}, x=d.test_images, y=d.test_labels)"
    subprocess.run([sys.executable, "-c", read], cwd=EXAMPLES, check=True)
    with np.load(tmp_path / "test.npz") as test:
        scores = models.lenet5(path, activation=activation)(test["x"])
        assert (scores.argmax(axis=1) == test["y"]).mean() > 0.9


# -- what the papers and the courses count ---------------------------------------------------------


def test_the_numbers_of_alexnet():
    """The weights of each layer, in thousands, and the sizes between them."""
    net = models.alexnet(variant="paper")
    count = {
        name.removesuffix(".weight"): array.size
        for name, array in net.constants.items()
        if name.endswith(".weight")
    }
    assert count["conv1"] == 11 * 11 * 3 * 48 * 2
    assert count["conv2"] == 5 * 5 * 48 * 128 * 2
    assert count["conv3"] == 3 * 3 * 256 * 192 * 2
    assert count["conv4"] == 3 * 3 * 192 * 192 * 2
    assert count["conv5"] == 3 * 3 * 192 * 128 * 2
    assert count["fc6"] == 6 * 6 * 256 * 4096
    assert count["fc7"] == 4096 * 4096
    assert count["fc8"] == 4096 * 1000
    rows = {row.name: row.out_shape[1:] for row in net.summary((1, 3, 227, 227)).layers}
    assert rows["conv1"] == (96, 55, 55)
    assert rows["pool1"] == (96, 27, 27)
    assert rows["pool2"] == (256, 13, 13)
    assert rows["pool5"] == (256, 6, 6)


def test_the_maps_of_googlenet():
    """The output sizes of table 1 of the paper."""
    net = models.googlenet(variant="paper")
    rows = {row.name: row.out_shape[1:] for row in net.summary((1, 3, 224, 224)).layers}
    wanted = {
        "conv1.conv": (64, 112, 112),
        "maxpool1": (64, 56, 56),
        "conv3.conv": (192, 56, 56),
        "maxpool2": (192, 28, 28),
        "inception3a": (256, 28, 28),
        "inception3b": (480, 28, 28),
        "maxpool3": (480, 14, 14),
        "inception4a": (512, 14, 14),
        "inception4e": (832, 14, 14),
        "maxpool4": (832, 7, 7),
        "inception5b": (1024, 7, 7),
        "avgpool": (1024, 1, 1),
    }
    assert wanted.items() <= rows.items()


def test_the_work_of_the_networks():
    """Multiply-adds of one image, in units of the last published digit."""
    for build, size, published in (
        (models.alexnet, 224, 0.71),
        (models.resnet18, 224, 1.81),
        (models.resnet50, 224, 4.09),
        (models.googlenet, 224, 1.50),
        (models.squeezenet, 224, 0.35),
    ):
        assert math.isclose(
            build().summary((1, 3, size, size)).macs / 1e9, published, abs_tol=0.006
        )


CONVOLUTIONS = [
    layers.conv(32, 3, activation="relu"),
    layers.max_pool(2),
    layers.conv(64, 3, activation="relu"),
    layers.max_pool(2),
    layers.conv(64, 3, activation="relu"),
]


def test_the_keras_model_with_pooling():
    net = Sequential(CONVOLUTIONS, input_shape=(1, 28, 28))
    told = net.summary((1, 1, 28, 28))
    rows = [row for row in told.layers if row.kind in ("Conv", "MaxPool")]
    assert [row.name for row in rows] == ["conv1", "max_pool1", "conv2", "max_pool2", "conv3"]
    assert [row.out_shape[2] for row in rows] == [26, 13, 11, 5, 3]
    assert [row.parameters for row in rows] == [320, 0, 18496, 0, 36928]
    assert net.parameters == told.parameters == 55744


def test_the_keras_model_without_pooling():
    net = Sequential([one for one in CONVOLUTIONS if one.kind == "conv"], input_shape=(1, 28, 28))
    rows = [row for row in net.summary((1, 1, 28, 28)).layers if row.kind == "Conv"]
    assert [row.out_shape[1:] for row in rows] == [(32, 26, 26), (64, 24, 24), (64, 22, 22)]
    assert [row.parameters for row in rows] == [320, 18496, 36928]
    assert [row.receptive_field for row in rows] == [(3, 3), (5, 5), (7, 7)]


# -- Sequential ------------------------------------------------------------------------------------


def test_sequential_is_its_layers_one_after_the_other(rng):
    net = Sequential(
        [
            layers.conv(5, (3, 1), stride=(1, 2), bias=False),
            layers.batch_norm(eps=0.1),
            layers.activation(("leaky_relu", 0.1)),
            layers.avg_pool(2, stride=1),
            layers.global_avg_pool(),
            layers.flatten(),
            layers.dense(4, bias=False, activation="tanh", name="last"),
            layers.softmax(),
        ],
        input_shape=(2, 8, 9),
    )
    weights = net.constants
    norm = [
        weights[f"batch_norm1.{key}"] for key in ("running_mean", "running_var", "weight", "bias")
    ]
    x = rng.standard_normal((3, 2, 8, 9), np.float32)
    y = fastconv.conv2d(x, weights["conv1.weight"], stride=(1, 2))
    y = fastconv.leaky_relu(fastconv.batch_norm(y, *norm, eps=0.1), 0.1)
    y = fastconv.avg_pool2d(y, 2, 1).mean(axis=(2, 3))
    y = fastconv.softmax(fastconv.linear(y, weights["last.weight"], activation="tanh"), 1)
    assert np.abs(net(x) - y).max() < 1e-5
    assert [node.name for node in net.nodes][-2:] == ["last.tanh", "softmax1"]
    again = Sequential(CONVOLUTIONS, input_shape=(1, 28, 28), seed=3)
    given = Sequential(CONVOLUTIONS, input_shape=(1, 28, 28), weights=again.constants)
    image = rng.standard_normal((1, 1, 28, 28), np.float32)
    assert np.array_equal(again(image), given(image))
    assert np.array_equal(again(image), pickle.loads(pickle.dumps(again))(image))


@pytest.mark.parametrize(
    ("given", "shape", "error", "message"),
    [
        ([], (1, 8, 8), ValueError, "at least one layer"),
        ([3], (1, 8, 8), TypeError, r"layers\[0\] must be made by a function of .* got int"),
        ([layers.conv], (1, 8, 8), TypeError, r"layers\[0\] must be made by a function"),
        ([layers.dropout()], (), ValueError, "input_shape must hold the number of channels"),
        ([layers.dropout()], (0, 8), ValueError, "input_shape must be at least 1, got 0"),
        ([layers.dropout()], 8, TypeError, "input_shape must be a sequence of integers, got 8"),
        (
            [layers.dropout()],
            (8, 2.5),
            TypeError,
            "each number of input_shape must be an integer, got 2.5",
        ),
        (
            [layers.max_pool(2), layers.conv(4, 5)],
            (1, 8, 8),
            ValueError,
            r"layers\[1\], conv1: conv1 \(Conv\): .*",
        ),
        (
            [layers.flatten(), layers.conv(4, 3)],
            (1, 8, 8),
            ValueError,
            r"layers\[1\], conv1: x must have 3 to 5 axes, got shape \(1, 64\)",
        ),
        ([layers.conv(4, 3)], (1, 2, 2), ValueError, "conv1"),
        ([layers.conv(0, 3)], (1, 8, 8), ValueError, "k must be at least 1, got 0"),
        ([layers.conv(4, 0)], (1, 8, 8), ValueError, "kernel_size must be at least 1, got 0"),
        ([layers.conv(4, (3, 3, 3))], (1, 8, 8), ValueError, "kernel_size must hold 2 integers"),
        ([layers.conv(4, 3, stride=0)], (1, 8, 8), ValueError, "stride"),
        ([layers.conv(4, 3, groups=2)], (3, 8, 8), ValueError, "group"),
        ([layers.conv(4, 3, groups=0)], (3, 8, 8), ValueError, "groups must be at least 1, got 0"),
        ([layers.conv(4, 3, padding="half")], (3, 8, 8), ValueError, "padding must be"),
        ([layers.conv(4, 3, activation="rely")], (3, 8, 8), ValueError, "activation must be one"),
        ([layers.dense(4, activation="rely")], (3,), ValueError, "activation must be one of"),
        ([layers.max_pool(9)], (1, 8, 8), ValueError, r"layers\[0\], max_pool1: max_pool1 \(MaxP"),
        (
            [layers.dense(4, name="a"), layers.dense(4, name="a")],
            (8,),
            ValueError,
            r"layers\[1\] is named 'a' as another value is",
        ),
        ([layers.dense(4, name="x")], (8,), ValueError, r"layers\[0\] is named 'x'"),
    ],
)
def test_layers_that_do_not_fit(given, shape, error, message):
    with pytest.raises(error, match=message):
        Sequential(given, input_shape=shape)


def test_descriptions_that_are_wrong_at_once():
    with pytest.raises(ValueError, match="p must be from 0 to below 1, got 1"):
        layers.dropout(1)
    with pytest.raises(ValueError, match="activation must be one of"):
        layers.activation("rely")


def test_weights_of_sequential_are_checked():
    shape = (1, 28, 28)
    weights = dict(Sequential(CONVOLUTIONS, input_shape=shape).constants)
    weights["conv4.weight"] = weights.pop("conv3.weight")
    with pytest.raises(
        ValueError,
        match=r"do not fit sequential; missing: conv3.weight; unexpected: conv4.weight$",
    ):
        Sequential(CONVOLUTIONS, input_shape=shape, weights=weights)
