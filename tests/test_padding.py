"""Padding and its gradient: every mode, against the oracle, facts worked by hand, bad input."""

import sys
from pathlib import Path

import numpy as np
import pytest

import child
import fastconv
from conftest import SKIPS
from fastconv import grad, padding, reference
from guarded import place
from test_bad_input import refused
from test_bits import one_hash
from test_conv2d import awkward_views

MODES = ["constant", "reflect", "replicate", "circular"]
DTYPES = ["float16", "float32", "float64", "bool", "int8", "int16", "int32", "int64", "uint8"]
DTYPES += ["uint16", "uint32", "uint64"]


def values(rng, shape, dtype):
    if dtype == "bool":
        return np.asarray(rng.random(shape) < 0.5)
    return np.asarray(rng.integers(0, 120, shape)).astype(dtype)


def problem(rng, mode, most=9):
    """Return a random shape and a padding that it takes, as torch writes it."""
    axes = int(rng.integers(1, 4))
    rank = axes + int(rng.integers(1, 3)) if mode != "constant" else int(rng.integers(axes, 6))
    shape = tuple(int(size) for size in rng.integers(1, most, rank))
    pad = []
    for size in shape[: -axes - 1 : -1]:
        limit = {"constant": 6, "reflect": size - 1, "replicate": 6, "circular": size}[mode]
        pair = [int(number) for number in rng.integers(0, limit + 1, 2)]
        if size > 2 and mode != "circular" and rng.random() < 0.3:
            pair[rng.integers(2)] = -int(rng.integers(1, size - 1))
        pad += pair
    return shape, pad


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_mode_is_the_oracles(mode, dtype, rng):
    for _ in range(40):
        shape, pad = problem(rng, mode)
        x = values(rng, shape, dtype)
        y = fastconv.pad(x, pad, mode)
        assert (type(y), y.dtype, y.flags.c_contiguous) == (np.ndarray, x.dtype, True)
        np.testing.assert_array_equal(y, reference.pad(x, pad, mode), f"{shape} {pad}")


def test_facts():
    x = np.arange(5)[np.newaxis]
    for mode, pad, wanted in [
        ("constant", (2, 1), [0, 0, 0, 1, 2, 3, 4, 0]),
        ("constant", (-2, 1), [2, 3, 4, 0]),
        ("constant", (-3, -2), []),
        ("reflect", (4, 0), [4, 3, 2, 1, 0, 1, 2, 3, 4]),
        ("reflect", (-6, 3), [2, 1]),
        ("reflect", (3, -4), [3, 2, 1, 0]),
        ("replicate", (2, 7), [0, 0, 0, 1, 2, 3, 4, 4, 4, 4, 4, 4, 4, 4]),
        ("replicate", (-6, 3), [4, 4]),
        ("circular", (5, 5), [0, 1, 2, 3, 4] * 3),
        ("circular", (-1, 2), [1, 2, 3, 4, 1, 2]),
        ("circular", (4, -1), [0, 1, 2, 3, 0, 1, 2, 3]),
    ]:
        assert fastconv.pad(x, pad, mode).tolist() == [wanted], (mode, pad)


def test_ranks_of_the_constant_mode(rng):
    assert fastconv.pad(np.float32(3), ()).tolist() == 3
    assert fastconv.pad(np.zeros(0, np.int8), (1, 2), value=7).tolist() == [7, 7, 7]
    assert fastconv.pad(np.zeros((0, 2)), (1, 1)).shape == (0, 4)
    x = values(rng, (2,) * 12, "int16")
    pad = [1, 0] * 3 + [0, 0] * 6 + [0, 1] * 3
    wanted = np.pad(x, [(0, 1)] * 3 + [(0, 0)] * 6 + [(1, 0)] * 3)
    np.testing.assert_array_equal(fastconv.pad(x, pad), wanted)
    deep = np.ones((1,) * 64, np.uint8)
    assert fastconv.pad(deep, [0] * 126 + [2, 3]).shape == (6, *(1,) * 63)


@pytest.mark.parametrize(
    ("dtype", "value", "wanted"),
    [
        ("float32", np.inf, np.inf),
        ("float16", 65504, 65504),
        ("float64", True, 1),
        ("int32", -1.5, -1),
        ("uint8", 255, 255),
        ("int64", 2**63 - 1, 2**63 - 1),
        ("uint64", 2**64 - 1, 2**64 - 1),
        ("bool", 0.5, True),
        ("bool", np.False_, False),
        ("int16", np.float32(7), 7),
        ("float32", np.array(2.5), 2.5),
    ],
)
def test_values(dtype, value, wanted):
    y = fastconv.pad(np.zeros((2, 2), dtype), (1, 0, 40, 30), value=value)
    assert y.dtype == dtype
    assert y[0, 0] == y[1, 0] == y[-1, -1] == wanted
    assert not y[40:42, 1:].any()


def test_zero_is_not_minus_zero():
    y = fastconv.pad(np.zeros((2, 40), np.float32), (40, 0), value=-0.0)
    assert np.signbit(y[:, :40]).all()
    assert not np.signbit(y[:, 40:]).any()


@pytest.mark.parametrize("mode", MODES)
def test_any_memory_layout(mode, rng):
    x = rng.standard_normal((2, 4, 7, 8))
    plain = fastconv.pad(x, (2, 1, 3, 0), mode)
    for name, view in awkward_views(x):
        y = fastconv.pad(view, (2, 1, 3, 0), mode)
        assert y.tobytes() == plain.tobytes(), name
        assert y.dtype.isnative, name


@pytest.mark.parametrize("mode", MODES)
def test_out_views(mode, rng):
    x = rng.standard_normal((2, 4, 7, 8)).astype(np.float32)
    wanted = fastconv.pad(x, (2, 1, 3, -2), mode)
    for step in (1, -1, 2):
        big = np.full([2 * size + 2 for size in wanted.shape], np.nan, np.float32)
        out = big[(slice(None, None, step),) * 4][tuple(slice(size) for size in wanted.shape)]
        assert fastconv.pad(x, (2, 1, 3, -2), mode, out=out) is out
        np.testing.assert_array_equal(out, wanted)
        assert np.isnan(big).sum() == big.size - wanted.size


def test_out_of_no_axes():
    out = np.zeros(())
    assert fastconv.pad(np.float64(3), (), out=out) is out
    assert out == 3


@pytest.mark.parametrize("mode", MODES)
def test_large_arrays(mode, rng):
    """Those that go past the caches, by any number of threads."""
    for shape, pad in [
        ((3, 5, 300, 1001), (3, 2, 1, 4)),
        ((2, 3, 2_000_003), (7, 11)),
        ((2, 40_000, 3, 23), (1, 1, 2, 0)),
    ]:
        x = rng.standard_normal(shape).astype(np.float32)
        pairs = [(0, 0)] * x.ndim
        for axis in range(len(pad) // 2):
            pairs[-1 - axis] = pad[2 * axis : 2 * axis + 2]
        names = {"replicate": "edge", "circular": "wrap"}
        wanted = np.pad(x, pairs, names.get(mode, mode))
        assert wanted.nbytes > 1 << 24
        np.testing.assert_array_equal(fastconv.pad(x, pad, mode), wanted)
        one_hash(lambda x=x, pad=pad: fastconv.pad(x, pad, mode))


def sweep(seed):
    """Pad arrays that lie flush against fences; for the level in force."""
    rng = np.random.default_rng(seed)
    for index in range(300):
        mode = MODES[index % 4]
        shape, pad = problem(rng, mode, most=40 if index % 3 else 9)
        while np.prod(shape) > 10_000:
            shape, pad = problem(rng, mode, most=20)
        x = values(rng, shape, DTYPES[index % 11])
        wanted = reference.pad(x, pad, mode, out=None)
        side = ("start", "end")[index % 2]
        out = place(np.zeros(wanted.shape, wanted.dtype), side) if wanted.size else None
        y = fastconv.pad(place(x, side, read_only=True), pad, mode, out=out)
        np.testing.assert_array_equal(y, wanted, f"{shape} {pad} {mode}")


@pytest.mark.skipif(sys.platform == "win32", reason=SKIPS["not linux"])
def test_no_byte_outside_at_any_level(level):
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})"
    child.run(f"{code}; import test_padding; test_padding.sweep(1)", FASTCONV_CPU=level)


X = np.ones((2, 3, 5), np.float32)


@pytest.mark.parametrize(
    ("x", "pad", "mode", "value", "words"),
    [
        (X, 1, "constant", None, ["pad", "1"]),
        (X, None, "constant", None, ["pad", "None"]),
        (X, "11", "constant", None, ["pad", "11"]),
        (X, (1, 1.0), "constant", None, ["pad", "1.0"]),
        (X, (1, True), "constant", None, ["pad", "True"]),
        (X, ((1, 1),), "constant", None, ["pad", "(1, 1)"]),
        (X, (1, 2**70), "constant", None, ["pad", str(2**70)]),
        (X, (1,), "constant", None, ["pad", "pairs", "1"]),
        (X, (1,) * 8, "constant", None, ["pad", "6", "8"]),
        (X, (-3, -3), "constant", None, ["-3", "axis 2", "5"]),
        (X, (-6, 3), "constant", None, ["-6", "axis 2", "5"]),
        (X, (2**62, 2**62), "constant", None, [str(2**62)]),
        (X, (2**57, 0, 2**57, 0), "constant", None, ["larger than any memory"]),
        (X, (1, 1), "same", None, ["mode", "same"]),
        (X, (1, 1), None, None, ["mode", "None"]),
        (X, (1, 1), "constant", "1", ["value", "1"]),
        (X, (1, 1), "constant", 1j, ["value", "1j"]),
        (X, (1, 1), "constant", 1e300, ["value", "1e+300", "float32"]),
        (X.astype(np.uint8), (1, 1), "constant", -1, ["value", "-1", "uint8"]),
        (X.astype(np.int8), (1, 1), "constant", 128, ["value", "128", "int8"]),
        (X.astype(int), (1, 1), "constant", np.nan, ["value", "nan", "int64"]),
        (X, (1, 1), "reflect", 1, ["value", "reflect", "1"]),
        (X, (5, 0), "reflect", None, ["(5, 0)", "axis 2", "reflect"]),
        (X, (0, 6), "circular", None, ["(0, 6)", "axis 2", "circular"]),
        (X, (-3, 4), "circular", None, ["(-3, 4)", "axis 2", "left"]),
        (X, (-2, -3), "replicate", None, ["pad", "(-2, -3)"]),
        (X, (), "reflect", None, ["pad", "reflect"]),
        (X, (1, 1) * 3, "reflect", None, ["pad", "3"]),
        (X[0, 0], (1, 1), "circular", None, ["pad", "(5,)"]),
        (X[:, :0], (1, 1), "reflect", None, ["empty", "(2, 0, 5)"]),
        (X[:, :, :0], (1, 1), "circular", None, ["(1, 1)", "axis 2"]),
        (X.astype(complex), (1, 1), "constant", None, ["x", "complex128"]),
        (np.ma.masked_array(X), (1, 1), "constant", None, ["masked"]),
    ],
)
def test_bad_input(x, pad, mode, value, words):
    refused(
        lambda: fastconv.pad(x, pad, mode, value),
        words,
        value if value is not None else "",
        (ValueError, TypeError, MemoryError),
    )


def test_more_than_there_is_memory():
    with pytest.raises(MemoryError):  # NumPy's own
        fastconv.pad(X, (2**40, 2**40))


def test_bad_out():
    kept = np.zeros((2, 3, 7), np.float32)
    for out, word in [
        (kept[..., :6], "shape"),
        (kept.astype(np.float64), "dtype"),
        (np.broadcast_to(np.float32(0), kept.shape), "read-only"),
    ]:
        with pytest.raises(ValueError, match=word):
            fastconv.pad(X, (1, 1), out=out)
    with pytest.raises(ValueError, match="overlaps"):
        fastconv.pad(kept[..., 1:6], (1, 1), out=kept)
    assert not kept.any()


def test_a_value_that_is_not_needed_may_be_anything():
    assert fastconv.pad(X.astype(np.uint8), (-1, 0), value=-1).shape == (2, 3, 4)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
def test_padding_of_convolutions(mode, channels_last, rng):
    x = rng.standard_normal((2, 3, 6, 7))
    pads = ((1, 2), (3, 0))
    wanted = fastconv.pad(x, (3, 0, 1, 2), mode if mode != "zeros" else "constant")
    given = np.moveaxis(x, 1, -1) if channels_last else x
    y = padding.padded(given, pads, mode, channels_last)
    np.testing.assert_array_equal(np.moveaxis(y, -1, 1) if channels_last else y, wanted)
    single = padding.padded(given[0], pads, mode, channels_last)
    np.testing.assert_array_equal(single, y[0])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_gradient_is_the_transpose(mode, dtype, rng):
    """<pad(x), g> = <x, pad(g)>, on integers that every dtype holds exactly."""
    for _ in range(40):
        shape, pad = problem(rng, mode)
        x = rng.integers(-3, 4, shape).astype(dtype)
        y = fastconv.pad(x, pad, mode)
        g = rng.integers(-3, 4, y.shape).astype(dtype)
        back = grad.pad(shape, g, pad, mode)
        assert (back.shape, back.dtype) == (shape, g.dtype)
        assert back.flags.c_contiguous
        forward = (y.astype(float) * g).sum()
        assert (back.astype(float) * x).sum() == forward, (shape, pad)
        out = np.empty_like(back)
        assert grad.pad(shape, g, pad, mode, out=out) is out
        np.testing.assert_array_equal(out, back)


def test_gradient_refuses_another_shape():
    with pytest.raises(ValueError, match=r"grad_output has shape \(2, 3, 5\).*\(2, 3, 7\)"):
        grad.pad((2, 3, 5), X, (1, 1))
