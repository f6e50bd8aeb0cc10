"""Convolution over one and three axes: the same plans as over two, held to the same bounds."""

import copy
import pickle

import numpy as np
import pytest

import expected
import fastconv
from fastconv import _core
from plans import ALGORITHMS, FLOATS, NO_ACTIVATION, run

FUNCTIONS = {1: fastconv.conv1d, 2: fastconv.conv2d, 3: fastconv.conv3d}
CLASSES = {1: fastconv.Conv1d, 2: fastconv.Conv2d, 3: fastconv.Conv3d}

# n, c, sizes, k, kernel, stride, padding, dilation, groups; c and k count the channels of a group.
VOLUMES = [
    (2, 3, (5, 9, 11), 5, (3, 3, 3), (1, 1, 1), (1, 1, 1, 1, 1, 1), (1, 1, 1), 1),
    (1, 17, (4, 6, 15), 33, (3, 3, 3), (2, 1, 1), (2, 0, 1, 1, 0, 2), (1, 1, 1), 1),
    (1, 4, (7, 8, 9), 18, (2, 3, 3), (1, 2, 2), (0, 1, 1, 1, 1, 1), (2, 1, 1), 2),
    (2, 2, (6, 9, 9), 7, (3, 5, 5), (3, 1, 1), (1, 1, 2, 2, 2, 2), (1, 1, 1), 1),
    (1, 3, (3, 12, 10), 4, (1, 3, 3), (2, 1, 1), (0, 0, 1, 1, 1, 1), (1, 1, 1), 1),
    (1, 1, (4, 7, 20), 1, (1, 3, 3), (1, 1, 1), (0, 0, 1, 1, 1, 1), (1, 1, 1), 9),
    (1, 1, (5, 7, 9), 2, (3, 3, 3), (1, 2, 1), (1, 1, 1, 1, 1, 1), (1, 1, 1), 6),
    (2, 16, (3, 5, 6), 17, (1, 1, 1), (1, 1, 1), (0, 0, 0, 0, 0, 0), (1, 1, 1), 1),
    (2, 8, (3, 5, 6), 17, (1, 1, 1), (2, 1, 2), (1, 0, 0, 0, 0, 0), (1, 1, 1), 1),
    (1, 5, (9, 1, 1), 6, (4, 1, 1), (2, 1, 1), (3, 3, 0, 0, 0, 0), (2, 1, 1), 1),
    (1, 2, (2, 8, 8), 3, (3, 3, 3), (1, 1, 1), (4, 5, 1, 1, 1, 1), (1, 2, 2), 1),
]
LINES = [
    (2, 3, (29,), 17, (5,), (1,), (2, 1), (1,), 1),
    (1, 40, (100,), 33, (3,), (2,), (1, 1), (2,), 1),
    (1, 1, (64,), 1, (7,), (1,), (3, 3), (1,), 12),
    (3, 64, (10,), 31, (1,), (1,), (0, 0), (1,), 2),
]


def arrays(case, rng, dtype, channels_last=False):
    n, c, sizes, k, kernel, *_, groups = case
    x = rng.standard_normal((n, c * groups, *sizes)).astype(dtype)
    if channels_last:
        x = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    return x, rng.standard_normal((k * groups, c, *kernel)).astype(dtype)


def keywords(case):
    *_, stride, padding, dilation, groups = case
    pads = tuple(zip(padding[::2], padding[1::2], strict=True))
    return {"stride": stride, "padding": pads, "dilation": dilation, "groups": groups}


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("case", VOLUMES + LINES, ids=str)
def test_every_algorithm_and_level(case, channels_last, dtype, rng):
    n, c, sizes, k, kernel, stride, padding, dilation, groups = case
    x, weight = arrays(case, rng, dtype, channels_last)
    served = set()
    for level in _core.config()["levels"]:
        for algorithm in ALGORITHMS:
            try:
                plan = _core.ConvPlan(
                    *(n, c * groups, sizes, k * groups, c, kernel, stride, padding, dilation),
                    *(groups, channels_last, dtype, NO_ACTIVATION, algorithm, level, False),
                )
            except ValueError:
                continue
            form = {"channels_last": channels_last, "algorithm": algorithm, **keywords(case)}
            expected.assert_conv(
                run(plan, x, weight), x, weight, what=f"{algorithm} {level}", **form
            )
            served.add(algorithm)
    assert "im2col" in served
    square = dtype != "float64" and max(stride[-2:]) == 1 and len(sizes) == 3
    assert ("winograd_f43" in served) == (square and kernel[-2:] == (3, 3))
    assert ("winograd_f25" in served) == (square and kernel[-2:] == (5, 5))


@pytest.mark.parametrize("case", VOLUMES + LINES, ids=str)
def test_functions_and_objects(case, rng):
    x, weight = arrays(case, rng, "float32")
    axes = len(case[2])
    form = keywords(case)
    bias = rng.standard_normal(len(weight)).astype(np.float32)
    y = FUNCTIONS[axes](x, weight, bias, **form, activation="relu")
    expected.assert_conv(y, x, weight, bias, **form, activation="relu")
    residual = rng.standard_normal(y.shape).astype(np.float32)
    conv = CLASSES[axes](weight, bias, **form)
    z = conv(x[:, :, ::-1], residual=residual)
    expected.assert_conv(z, x[:, :, ::-1], weight, bias, **form, residual=residual)
    for other in (pickle.loads(pickle.dumps(conv)), copy.deepcopy(conv)):
        assert other(x[0]).shape == y.shape[1:]
        assert np.array_equal(other(x), conv(x))
    out = np.zeros((*y.shape[:-1], 2 * y.shape[-1]), np.float32)[..., ::2]
    assert conv(x, out=out) is out
    assert np.array_equal(out, conv(x))
    assert fastconv.conv_output_shape(x.shape, weight.shape, **form) == y.shape


@pytest.mark.parametrize("axes", [1, 3])
def test_oracle(axes, rng):
    sizes, kernel = (4, 5, 6)[-axes:], (2, 3, 2)[-axes:]
    x = rng.standard_normal((2, 4, *sizes))
    weight = rng.standard_normal((6, 2, *kernel))
    form = {"stride": 2, "padding": [(1, 0)] * axes, "groups": 2}
    for channels_last in (False, True):
        image = np.moveaxis(x, 1, -1) if channels_last else x
        oracle = getattr(fastconv.reference, f"conv{axes}d")
        wanted = oracle(image, weight, **form, channels_last=channels_last)
        y = FUNCTIONS[axes](image, weight, **form, channels_last=channels_last)
        assert np.allclose(y, wanted, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("channels_last", [False, True])
def test_padding_modes(mode, axes, channels_last, rng):
    sizes, kernel = (4, 5, 6)[-axes:], (2, 3, 3)[-axes:]
    x = rng.standard_normal((2, *sizes, 3) if channels_last else (2, 3, *sizes))
    weight = rng.standard_normal((4, 3, *kernel))
    form = {
        "padding": ((1, 0), (2, 1), (0, 2))[-axes:],
        "stride": 2,
        "padding_mode": mode,
        "channels_last": channels_last,
    }
    wanted = getattr(fastconv.reference, f"conv{axes}d")(x, weight, **form)
    y = FUNCTIONS[axes](x, weight, **form)
    assert np.allclose(y, wanted, rtol=1e-13, atol=1e-13)
    conv = CLASSES[axes](weight, **form)
    for _ in range(2):
        assert np.array_equal(conv(x), conv(np.asfortranarray(x)))
        assert np.allclose(conv(x), wanted, rtol=1e-13, atol=1e-13)
    assert np.array_equal(pickle.loads(pickle.dumps(conv))(x[1]), conv(x)[1])
    assert conv.explain(x.shape).out_shape == y.shape
    assert f"padding_mode='{mode}'" in repr(conv)
    padded = fastconv.padding.padded(x, form["padding"], mode, channels_last)
    with pytest.raises(ValueError, match="out overlaps x"):
        conv(x, out=x.reshape(-1)[: y.size].reshape(y.shape))
    assert conv(padded).shape != y.shape  # no padding is taken for done


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"padding_mode": "mirror"}, ["padding_mode", "reflect", "mirror"]),
        ({"padding_mode": None}, ["padding_mode", "None"]),
        ({"padding_mode": "reflect", "padding": 5}, ["5", "reflect"]),
        ({"padding_mode": "circular", "padding": 6}, ["6", "circular"]),
    ],
)
def test_bad_padding_modes(change, words):
    form = {"padding": 1, **change}
    with pytest.raises((ValueError, TypeError)) as refusal:
        fastconv.conv2d(np.ones((3, 5, 5)), np.ones((1, 3, 3, 3)), **form)
    assert not [word for word in words if word not in str(refusal.value)], str(refusal.value)


def test_same_bits_on_any_number_of_threads(openmp, rng):
    x = rng.standard_normal((2, 24, 9, 20, 21)).astype(np.float32)
    weight = rng.standard_normal((40, 24, 3, 3, 3)).astype(np.float32)
    results = set()
    for threads in (1, 2, 3, 7):
        with fastconv.num_threads(threads):
            results.add(fastconv.conv3d(x, weight, padding=1).tobytes())
    assert len(results) == 1


def test_facts():
    conv = fastconv.Conv3d(np.ones((4, 2, 3, 3, 3), np.float32), np.ones(4, np.float32), dilation=2)
    assert conv.parameters == 4 * 2 * 27 + 4
    assert conv.receptive_field == (5, 5, 5)
    assert fastconv.Conv1d(np.ones((1, 1, 7))).receptive_field == (7,)


def test_a_single_number_in_a_sequence_stands_for_all_axes(rng):
    x = rng.standard_normal((1, 2, 9, 9))
    weight = rng.standard_normal((3, 2, 3, 3))
    y = fastconv.conv2d(x, weight, stride=(2,), padding=[1], dilation=(1,))
    assert np.array_equal(y, fastconv.conv2d(x, weight, stride=2, padding=1))


@pytest.mark.parametrize(
    ("axes", "change", "words"),
    [
        (1, {"x": np.ones((2, 3, 4, 5))}, ["x", "(c, w)", "(n, c, w)", "(2, 3, 4, 5)"]),
        (3, {"x": np.ones((3, 4, 5))}, ["x", "(c, d, h, w)", "(3, 4, 5)"]),
        (3, {"x": np.ones((3, 2, 9, 9))}, ["kernel of 3", "depth", "input of 2"]),
        (3, {"stride": (1, 2)}, ["stride", "3 integers", "(1, 2)"]),
        (3, {"stride": (0, 1, 1)}, ["stride along the depth", "0"]),
        (3, {"padding": ((1, 1), (1, 1))}, ["padding", "3", "((1, 1), (1, 1))"]),
        (1, {"padding": (1, 1)}, ["padding", "1", "(1, 1)"]),
        (3, {"weight": np.ones((4, 3, 3, 3))}, ["weight", "kd, kh, kw", "(4, 3, 3, 3)"]),
        (3, {"dilation": (2**61, 1, 1)}, ["dilation", str(2**61), "depth"]),
        (3, {"padding": ((2**57, 0), (0, 0), (0, 0))}, ["output", "memory"]),
        (3, {"x": np.broadcast_to(np.float64(1), (3, 2**53, 5, 5))}, ["allocate"]),
    ],
)
def test_bad_input(axes, change, words):
    weight = np.ones((4, 3, *(3, 3, 3)[-axes:]))
    arguments = {"x": np.ones((3, *(9, 9, 9)[-axes:])), "weight": weight, **change}
    with pytest.raises((ValueError, MemoryError)) as refusal:
        FUNCTIONS[axes](arguments.pop("x"), **arguments)
    assert not [word for word in words if word not in str(refusal.value)], str(refusal.value)


def test_objects_explain_themselves():
    with pytest.raises(TypeError, match=r"Conv3d takes the weights.*\(k, c/groups, kd, kh, kw\)"):
        fastconv.Conv3d(3, 64, 3)
    conv = fastconv.Conv1d(np.ones((2, 1, 3), np.float32), padding=1)
    assert "padding=((1, 1),)" in repr(conv)
    assert conv.explain((1, 8)).out_shape == (2, 8)
