"""Every converter gives what ONNX Runtime gives: in graphs, and as a class of the reference."""

import pickle

import numpy as np
import pytest

from conftest import SKIPS

pytest.importorskip("onnx.checker", reason=SKIPS["no onnx"])

from beside import assert_same, run_new_ops, run_ours, run_theirs, single
from cases import CASES, EQUIVALENT, Case, f
from onnx.reference import ReferenceEvaluator

from fastconv import local_response_norm
from fastconv.onnx import load, new_ops
from fastconv.onnx.converters import CONVERTERS


@pytest.fixture(scope="module")
def theirs():
    """Return ONNX Runtime's results of a case, computed once."""
    pytest.importorskip("onnxruntime", reason=SKIPS["no peers"])
    done = {}

    def results(case):
        # The case is kept: another one might get the number of one that is gone.
        if id(case) not in done:
            done[id(case)] = case, run_theirs(*single(*case.model))
        return done[id(case)][1]

    return results


@pytest.mark.parametrize("free", [False, True], ids=["declared", "free"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_graph(case, free, theirs):
    """Twice: with the sizes of inputs declared, and free."""
    model, inputs = single(*case.model, free)
    assert_same([*load(model).run(inputs).values()], theirs(case), case.tolerance)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_new_ops(case, theirs):
    model, inputs = single(*case.model)
    evaluator = ReferenceEvaluator(model, new_ops=new_ops())
    assert_same(evaluator.run(None, inputs), theirs(case), case.tolerance)


@pytest.mark.parametrize(("case", "same"), EQUIVALENT, ids=str)
def test_what_onnxruntime_refuses(case, same, theirs):
    model, inputs = single(*case.model)
    assert_same([*load(model).run(inputs).values()], theirs(same))


def test_all_converters_are_tested():
    """Legacy names of what others test apart."""
    tested = {case.op for case in CASES} | {case.op for case, _ in EQUIVALENT}
    assert CONVERTERS.keys() - tested == {"Scatter"}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_graphs_can_be_pickled(case):
    model, inputs = single(*case.model, True)
    graph = load(model)
    again = pickle.loads(pickle.dumps(graph))
    for mine, wanted in zip(again.run(inputs).values(), graph.run(inputs).values(), strict=True):
        np.testing.assert_array_equal(mine, wanted)


def test_lrn_of_an_even_size_has_the_odd_channel_behind():
    x = f(2, 6, 3, 3)
    model, inputs = single("LRN", (x,), {"size": 4, "alpha": 0.3, "beta": 0.6, "bias": 1.5})
    # Padded by a channel behind, a window of 5 without its first is one of 4.
    squares = np.pad(x * x, ((0, 0), (1, 2), (0, 0), (0, 0)))
    sums = sum(squares[:, i : i + 6] for i in range(4))
    wanted = x / (1.5 + 0.3 / 4 * sums) ** 0.6
    np.testing.assert_allclose(load(model).run(inputs)["y0"], wanted, rtol=1e-5)
    mirrored = local_response_norm(x, 4, 0.3, 0.6, 1.5)
    assert not np.allclose(mirrored, wanted)


@pytest.mark.parametrize("mode", ["linear", "nearest", "cubic"])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
def test_samples_far_outside(mode, padding):
    places = np.float32([1e30, -3e38, np.inf, -np.inf, np.nan, 0]).repeat(2).reshape(1, 2, 3, 2)
    attributes = {"mode": mode, "padding_mode": padding, "align_corners": 1}
    (y,) = run_ours(
        *single("GridSample", (np.ones((1, 1, 3, 5), np.float32), places), attributes, 20)
    )
    wanted = [1, 1, 1, 1, 1, 1] if padding != "zeros" else [0, 0, 0, 0, 0, 1]
    np.testing.assert_allclose(y.ravel(), wanted, rtol=1e-6)


def test_boxes_that_do_not_fit():
    boxes, scores = f(1, 5, 4), f(1, 2, 5)
    for arrays, message in (
        ((boxes, scores[..., 1:]), r"boxes have shape \(1, 5, 4\), scores have \(1, 2, 4\)"),
        ((boxes, scores, np.array([1]), np.float32([1.5])), "iou_threshold .* got 1.5"),
    ):
        with pytest.raises(ValueError, match=rf"y0 \(NonMaxSuppression\): {message}"):
            run_ours(*single("NonMaxSuppression", arrays))


@pytest.mark.parametrize("alpha", [1, 2])
@pytest.mark.parametrize("compute", [run_ours, run_new_ops])
def test_swish_keeps_its_digits_far_below_zero(compute, alpha):
    x = np.array([-80, -20, -15, -2, 0, 2, 80], np.float32) / alpha
    (y,) = compute(*single("Swish", (x,), {"alpha": float(alpha)}, 24))
    wanted = x / (1 + np.exp(-alpha * x.astype(float)))
    np.testing.assert_allclose(y, wanted, rtol=1e-5)


@pytest.mark.parametrize("attributes", [{"auto_pad": "SAME_UPPER"}, {"output_shape": [20, 25]}])
def test_windows_of_weights_whose_sizes_are_free(attributes, theirs):
    case = Case("ConvTranspose", (f(2, 6, 9, 11), f(6, 4, 3, 4)), {**attributes, "strides": [2, 2]})
    model, inputs = single(*case.model)
    for size in model.graph.input[1].type.tensor_type.shape.dim:
        size.Clear()
    assert_same([*load(model).run(inputs).values()], theirs(case))


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float16, 1e-3), (np.float64, 1e-6)])
def test_other_dtypes(dtype, tolerance, theirs):
    """ONNX Runtime convolves float32 alone."""
    arrays = [f(2, 6, 9, 11).astype(dtype), f(4, 6, 3, 3).astype(dtype)]
    model, inputs = single("Conv", arrays)
    wanted = theirs(Case("Conv", tuple(array.astype(np.float32) for array in arrays)))
    y = load(model).run(inputs)["y0"]
    assert y.dtype == dtype
    assert_same([y.astype(np.float32)], wanted, tolerance)
