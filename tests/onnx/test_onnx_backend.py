"""ONNX's own tests of backends: those about windows, and the nine networks."""

import re

import numpy as np
import pytest

from conftest import SKIPS

pytest.importorskip("onnx.checker", reason=SKIPS["no onnx"])

import onnx
from beside import single
from onnx.backend.test import BackendTest
from onnx.helper import make_node

from fastconv.onnx import Backend

NETWORKS = [
    "bvlc_alexnet",
    "densenet121",
    "inception_v1",
    "inception_v2",
    "resnet50",
    "shufflenet",
    "squeezenet",
    "vgg19",
    "zfnet512",
]
WINDOWS = r"conv(?!ert)|pool|lrn|col2im"


@pytest.fixture(autouse=True)
def onnx_home(tmp_path, monkeypatch):
    """Where the networks are unpacked to."""
    monkeypatch.setenv("ONNX_HOME", str(tmp_path))


def cases(pattern):
    with np.errstate(all="ignore"):
        groups = BackendTest(Backend, __name__).test_cases.values()
    return [
        pytest.param(group, name, id=name)
        for group in groups
        for name in vars(group)
        if re.search(pattern, name, re.IGNORECASE) and name.endswith("_cpu")
    ]


@pytest.mark.parametrize(("group", "name"), cases(WINDOWS))
def test_windows(group, name):
    getattr(group(name), name)()


@pytest.mark.slow
@pytest.mark.parametrize(("group", "name"), cases(rf"^test_({'|'.join(NETWORKS)})_cpu"))
def test_networks(group, name):
    getattr(group(name), name)()


def test_all_networks_are_there():
    assert len(cases(rf"^test_({'|'.join(NETWORKS)})_cpu")) == len(NETWORKS)
    assert len(cases(WINDOWS)) > 120


def test_prepared_model_takes_lists_and_names():
    x = np.array([-1, 2], np.float32)
    model, inputs = single("Relu", [x])
    prepared = Backend.prepare(model)
    for given in ([x], (x,), x, inputs):
        np.testing.assert_array_equal(prepared.run(given)[0], [0, 2])
    assert prepared.run([x])["y0"] is not None
    np.testing.assert_array_equal(Backend.run_model(model, [x])[0], [0, 2])
    with pytest.raises(ValueError, match="the model takes 1 inputs, got 2"):
        prepared.run([x, x])


def test_node_of_an_opset():
    x = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    node = make_node("Softmax", ["x"], ["y"])
    (new,) = Backend.run_node(node, [x])
    (old,) = Backend.run_node(node, {"x": x}, opset_version=11)
    np.testing.assert_allclose(new.sum(-1), 1, rtol=1e-6)
    np.testing.assert_allclose(old.sum(), 1, rtol=1e-6)
    with pytest.raises(ValueError, match=r"Unrecognized attribute: slope for operator Relu"):
        Backend.run_node(make_node("Relu", ["x"], ["y"], slope=1), [x])


def test_lists_and_texts_go_through():
    a, b = np.ones(2, np.float32), np.zeros(3, np.float32)
    text = """<ir_version: 8, opset_import: ["" : 17]>
    pick (float[N] a, float[M] b) => (float[K] y)
    { s = SequenceConstruct (a, b)  one = Constant <value = int64 {1}> ()
      y = SequenceAt (s, one) }"""
    (y,) = Backend.run_model(onnx.parser.parse_model(text), [a, b])
    np.testing.assert_array_equal(y, b)


def test_devices():
    assert Backend.supports_device("CPU")
    assert Backend.supports_device("CPU:0")
    assert not Backend.supports_device("CUDA")
    assert not Backend.supports_device("toaster")
    model, _ = single("Relu", [np.zeros(1, np.float32)])
    with pytest.raises(ValueError, match="device must be CPU, got 'CUDA'"):
        Backend.prepare(model, "CUDA")


def test_compatibility():
    good, _ = single("Relu", [np.zeros(1, np.float32)])
    bad, _ = single("Relu", [np.zeros(1, np.float32)])
    bad.graph.node[0].op_type = "Flux"
    assert Backend.is_compatible(good)
    assert not Backend.is_compatible(bad)
