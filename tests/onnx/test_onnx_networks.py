"""Whole networks: the nine topologies of ONNX with random weights, and PP-OCR's, trained."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from conftest import SKIPS

pytest.importorskip("onnx.checker", reason=SKIPS["no onnx"])
pytest.importorskip("onnxruntime", reason=SKIPS["no peers"])

import onnx
from beside import run_theirs
from onnx.numpy_helper import from_array, to_array
from onnx.reference import ReferenceEvaluator

from fastconv.onnx import load, new_ops

LIGHT = sorted((Path(onnx.__file__).parent / "backend/test/data/light").glob("light_*.onnx"))


def roles(graph):
    """Return what each value is to the layers that read it, straight or with axes added."""
    found = {}
    for node in reversed(graph.node):
        kind = node.op_type
        for i, key in enumerate(node.input):
            if kind == "Unsqueeze":
                found[key] = found[node.output[0]]
            elif kind in ("Conv", "Gemm"):
                found[key] = ("x", "weight", "shift")[i]
            elif kind == "BatchNormalization":
                found[key] = ("x", "scale", "shift", "shift", "scale")[i]
            else:
                found[key] = {"Mul": "scale", "Add": "shift"}.get(kind, "x")
    return found


def with_random_weights(model, rng):
    """Give a model, whose weights are all .02, seeded ones, and its logits as another output."""
    graph = model.graph
    part = roles(graph)
    shapes = {tensor.name: tensor for tensor in graph.initializer}
    nodes = []
    for node in graph.node:
        if node.op_type == "ConstantOfShape":
            sizes = to_array(shapes[node.input[0]])
            graph.initializer.append(from_array(np.zeros(sizes, np.float32), node.output[0]))
        else:
            nodes.append(node)
    last = max(i for i, node in enumerate(nodes) if node.op_type in ("Conv", "Gemm"))
    for tensor in graph.initializer:
        value = to_array(tensor)
        if value.dtype != np.float32:
            continue
        if part.get(tensor.name) == "weight":
            scale = np.sqrt(2 / max(value[0].size, 1))
            # The last layer's is such that softmax tells more than the largest.
            scale *= 0.1 if tensor.name in nodes[last].input else 1
            value = (scale * rng.standard_normal(value.shape)).astype(np.float32)
        elif part.get(tensor.name) == "scale":
            value = rng.uniform(0.5, 1.5, value.shape).astype(np.float32)
        else:
            value = 0.1 * rng.standard_normal(value.shape, dtype=np.float32)
        tensor.CopyFrom(from_array(value, tensor.name))
    logits = nodes[-1].input[0] if nodes[-1].op_type == "Softmax" else nodes[-1].output[0]
    known = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in known]
    for field, values in (("node", nodes), ("input", inputs)):
        graph.ClearField(field)
        getattr(graph, field).extend(values)
    if logits != graph.output[0].name:
        graph.output.append(onnx.helper.make_empty_tensor_value_info(logits))
    model.ir_version = 8
    return {
        value.name: [size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in inputs
    }


@pytest.mark.slow
@pytest.mark.parametrize("path", LIGHT, ids=lambda path: path.stem)
def test_topologies(path, rng):
    model = onnx.load(path)
    shapes = with_random_weights(model, rng)
    inputs = {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}
    theirs = run_theirs(model, inputs)
    ours = [*load(model).run(inputs).values()]
    assert len(ours) == len(theirs)
    for mine, wanted in zip(ours, theirs, strict=True):
        assert np.ptp(wanted) > 0
        assert abs(mine - wanted).max() <= 1e-4 * abs(wanted).max()


def test_reference_with_new_ops(rng):
    """The smallest network, by ONNX's own evaluator."""
    (path,) = [path for path in LIGHT if "squeezenet" in path.stem]
    model = onnx.load(path)
    shapes = with_random_weights(model, rng)
    inputs = {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}
    for mine, wanted in zip(
        ReferenceEvaluator(model, new_ops=new_ops()).run(None, inputs),
        run_theirs(model, inputs),
        strict=True,
    ):
        assert abs(mine - wanted).max() <= 1e-4 * abs(wanted).max()


# Five letters, a row of dots after another.
LETTERS = ["1001 1111 1000 1000 0110", "1001 1000 1000 1000 1001", "1111 1110 1000 1000 1001"]
LETTERS += ["1001 1000 1000 1000 1001", "1001 1111 1111 1111 0110"]


def text(shape):
    """Return images of a word, black on white, as the networks take them."""
    dots = [[int(dot) for dot in row.replace(" ", "0")] for row in LETTERS]
    word = np.kron(np.array(dots), np.ones((6, 4)))
    h, w = shape[2:]
    page = np.ones((h, w), np.float32)
    top, left = (h - word.shape[0]) // 2, 8
    lines = page[top : top + word.shape[0], left : left + word.shape[1]]
    lines -= 2 * word[:, : lines.shape[1]]
    return np.broadcast_to(page, shape).copy()


OCR = {
    "ch_PP-OCRv4_det_infer": [(1, 3, 64, 128), (1, 3, 160, 320)],
    "ch_PP-OCRv4_rec_infer": [(1, 3, 48, 128), (2, 3, 48, 320)],
    "ch_ppocr_mobile_v2.0_cls_infer": [(1, 3, 48, 192), (3, 3, 48, 192)],
}


@pytest.mark.parametrize("name", OCR)
def test_text_recognition(name):
    """PP-OCR's trained detector, recogniser and classifier, on images of two sizes."""
    package = find_spec("rapidocr_onnxruntime")
    if package is None:
        pytest.skip(SKIPS["no weights"])
    path = Path(package.submodule_search_locations[0]) / "models" / f"{name}.onnx"
    model = onnx.load(path)
    last = next(n for n in reversed(model.graph.node) if n.op_type in ("Sigmoid", "Softmax"))
    model.graph.output.append(onnx.helper.make_empty_tensor_value_info(last.input[0]))
    graph = load(model)
    for shape in OCR[name]:
        x = text(shape)
        probability, logits = run_theirs(model, {graph.input_names[0]: x})
        assert probability.max() > 0.5  # it sees something
        ours = graph(x)
        # Where the sigmoid is steep, both are that far from the exact probability.
        np.testing.assert_allclose(ours[0], probability, rtol=0, atol=1e-4)
        assert abs(ours[1] - logits).max() <= 1e-5 * abs(logits).max()
