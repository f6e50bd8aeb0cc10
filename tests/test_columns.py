"""Unfold, fold and their gradients: the oracle, facts worked by hand, bits, bad input."""

import sys
from pathlib import Path

import numpy as np
import pytest

import child
import expected
import fastconv
from conftest import SKIPS
from fastconv import grad, reference
from guarded import place
from test_bad_input import refused
from test_bits import one_hash
from test_conv2d import awkward_views

FLOATS = ["float16", "float32", "float64"]


def problem(rng):
    """Return a random shape and windows that fit it: kernel, dilation, padding, stride."""
    while True:
        shape = tuple(int(size) for size in rng.integers(1, [3, 4, 12, 20]))
        form = rng.integers([[1, 1, 0, 1]] * 2, [[5, 4, 4, 4]] * 2)
        if all(
            size + 2 * pad > dilation * (kernel - 1)
            for size, (kernel, dilation, pad, _) in zip(shape[2:], form, strict=True)
        ):
            return shape, [tuple(map(int, pair)) for pair in form.T]


def fold_bound(columns, size, form):
    """Return the images in float64 and how far rounded sums of their pixels may be off."""
    value = reference.fold(columns.astype(np.float64), size, *form)
    magnitude = reference.fold(np.abs(columns.astype(np.float64)), size, *form)
    dtype = columns.dtype.name
    taps = form[0][0] * form[0][1]
    bound = (8 + np.sqrt(taps)) * expected.UNIT_ROUNDOFF[dtype] * magnitude
    if dtype == "float16":
        bound += np.abs(value) * 2.0**-11 + 2.0**-25
    return value, bound


@pytest.mark.parametrize("dtype", [*FLOATS, "bool", "int8", "uint16", "int64"])
def test_unfold_is_the_oracles(dtype, rng):
    for _ in range(60):
        shape, form = problem(rng)
        x = rng.integers(0, 2 if dtype == "bool" else 100, shape).astype(dtype)
        y = fastconv.unfold(x, *form)
        assert (type(y), y.dtype, y.flags.c_contiguous) == (np.ndarray, x.dtype, True)
        np.testing.assert_array_equal(y, reference.unfold(x, *form), f"{shape} {form}")
        np.testing.assert_array_equal(fastconv.unfold(x[0], *form), y[0])


@pytest.mark.parametrize("dtype", FLOATS)
def test_fold_is_the_oracles(dtype, rng):
    for _ in range(60):
        shape, form = problem(rng)
        columns = fastconv.unfold(np.zeros(shape, dtype), *form)
        columns = rng.standard_normal(columns.shape).astype(dtype)
        y = fastconv.fold(columns, shape[2:], *form)
        assert (y.shape, y.dtype, y.flags.c_contiguous) == (shape, columns.dtype, True)
        value, bound = fold_bound(columns, shape[2:], form)
        assert (np.abs(y - value) <= bound).all(), f"{shape} {form}"
        np.testing.assert_array_equal(fastconv.fold(columns[0], shape[2:], *form), y[0])


def test_facts():
    x = np.arange(12, dtype=np.uint8).reshape(1, 3, 4)
    assert fastconv.unfold(x, 2, stride=2).tolist() == [[0, 2], [1, 3], [4, 6], [5, 7]]
    assert fastconv.unfold(x, (1, 2), dilation=(1, 3)).tolist() == [[0, 4, 8], [3, 7, 11]]
    assert fastconv.unfold(x[:, :1, :2], 2, padding=1).tolist() == [
        [0, 0, 0, 0, 0, 1],
        [0, 0, 0, 0, 1, 0],
        [0, 0, 1, 0, 0, 0],
        [0, 1, 0, 0, 0, 0],
    ]
    ones = np.ones((4, 6), np.float32)
    assert fastconv.fold(ones, (3, 4), 2).tolist() == [[[1, 2, 2, 1], [2, 4, 4, 2], [1, 2, 2, 1]]]


def test_float16_is_added_in_float32():
    columns = np.full((4, 4), 0.75, np.float16)
    columns[0, 3] = 2048  # the first that is added; a float16 would stay so, three times
    assert fastconv.fold(columns, 1, 2, padding=1) == 2050


def test_an_empty_batch_is_an_empty_result():
    assert fastconv.unfold(np.empty((0, 2, 4, 5), np.float32), 2).shape == (0, 8, 12)
    assert fastconv.fold(np.empty((0, 8, 12), np.float32), (4, 5), 2).shape == (0, 2, 4, 5)


def test_any_memory_layout(rng):
    form = 2, 1, 1, 2
    x = rng.standard_normal((2, 4, 7, 8))
    columns = fastconv.unfold(x, *form)
    images = fastconv.fold(columns, (7, 8), *form)
    for name, view in awkward_views(x):
        assert fastconv.unfold(view, *form).tobytes() == columns.tobytes(), name
    for name, view in awkward_views(columns):
        assert fastconv.fold(view, (7, 8), *form).tobytes() == images.tobytes(), name


def test_out_views(rng):
    x = rng.standard_normal((2, 4, 7, 8)).astype(np.float32)
    columns = fastconv.unfold(x, 3, padding=1)
    for compute, wanted in [
        (lambda out: fastconv.unfold(x, 3, padding=1, out=out), columns),
        (
            lambda out: fastconv.fold(columns, (7, 8), 3, padding=1, out=out),
            fastconv.fold(columns, (7, 8), 3, padding=1),
        ),
    ]:
        for step in (1, -1, 2):
            big = np.full([2 * size + 2 for size in wanted.shape], np.nan, np.float32)
            out = big[(slice(None, None, step),) * big.ndim]
            out = out[tuple(slice(size) for size in wanted.shape)]
            assert compute(out) is out
            np.testing.assert_array_equal(out, wanted)
            assert np.isnan(big).sum() == big.size - wanted.size


@pytest.mark.parametrize("dtype", FLOATS)
def test_same_bits_for_any_number_of_threads(dtype, rng):
    for shape, form in [
        ((1, 16, 56, 57), (3, 1, 1, 1)),
        ((9, 130, 7, 7), (3, 1, 1, 2)),
        ((1, 1, 700, 900), ((5, 4), 1, 2, 1)),  # past the caches
    ]:
        x = rng.standard_normal(shape).astype(dtype)
        columns = fastconv.unfold(x, *form)
        one_hash(lambda x=x, form=form: fastconv.unfold(x, *form))
        one_hash(lambda c=columns, s=shape, form=form: fastconv.fold(c, s[2:], *form))
        images = fastconv.fold(columns, shape[2:], *form)
        times = fastconv.fold(fastconv.unfold(np.ones_like(x), *form), shape[2:], *form)
        wide = x.astype(np.float64) * times
        rounding = 16 * np.finfo(dtype).eps
        np.testing.assert_allclose(images, wide, rtol=rounding, atol=1e-6)


def sweep(seed):
    """Unfold and fold arrays that lie flush against fences; for the level in force."""
    rng = np.random.default_rng(seed)
    for index in range(240):
        shape, form = problem(rng)
        side = ("start", "end")[index % 2]
        x = rng.standard_normal(shape).astype(FLOATS[index % 3])
        wanted = reference.unfold(x, *form)
        out = place(np.zeros_like(wanted), side)
        fastconv.unfold(place(x, side, read_only=True), *form, out=out)
        np.testing.assert_array_equal(out, wanted, f"{shape} {form}")
        value, bound = fold_bound(wanted, shape[2:], form)
        images = place(np.full_like(x, np.nan), side)
        fastconv.fold(place(wanted, side, read_only=True), shape[2:], *form, out=images)
        assert (np.abs(images - value) <= bound).all(), f"{shape} {form}"


@pytest.mark.skipif(sys.platform == "win32", reason=SKIPS["not linux"])
def test_no_byte_outside_at_any_level(level):
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})"
    child.run(f"{code}; import test_columns; test_columns.sweep(1)", FASTCONV_CPU=level)


X = np.ones((1, 2, 4, 5), np.float32)
COLUMNS = np.ones((1, 8, 12), np.float32)


@pytest.mark.parametrize(
    ("form", "words"),
    [
        *(({"kernel_size": k}, ["kernel"]) for k in [0, -1, 2.0, "2", None, True, 2**70]),
        *(({"kernel_size": k}, ["kernel_size"]) for k in [(2,), (2, 2, 2), ()]),
        *(({name: 0}, [name, "0"]) for name in ["stride", "dilation"]),
        *(({name: 1.5}, [name, "1.5"]) for name in ["stride", "dilation", "padding"]),
        *(({name: (1,)}, [name, "(1,)"]) for name in ["stride", "dilation", "padding"]),
        ({"padding": -1}, ["padding", "-1"]),
        ({"padding": "same"}, ["padding", "same"]),
        ({"padding": 2**40}, []),
        ({"kernel_size": 5}, ["5", "height", "4"]),
        ({"kernel_size": (2, 6)}, ["6", "width", "5"]),
        ({"dilation": 4}, ["4", "height"]),
        ({"kernel_size": 1250999896764, "dilation": 1250999896764}, ["1250999896764"]),
        ({"x": X[0, 0]}, ["x", "(4, 5)"]),
        ({"x": X[np.newaxis]}, ["x", "(1, 1, 2, 4, 5)"]),
        ({"x": X[:, :0]}, ["channels", "0"]),
        ({"x": X[:, :, :0]}, ["height", "0"]),
        ({"x": X.astype(complex)}, ["x", "complex128"]),
        ({"x": np.ma.masked_array(X)}, ["masked"]),
    ],
)
def test_bad_input_of_unfold(form, words):
    arguments = {"kernel_size": 2, **form}
    x = arguments.pop("x", X)
    errors = (ValueError, TypeError, MemoryError)
    refused(lambda: fastconv.unfold(x, **arguments), words, "", errors)


@pytest.mark.parametrize(
    ("form", "words"),
    [
        *(({"output_size": size}, ["output_size"]) for size in [0, -4, (4,), (4, 5, 1), 4.0, None]),
        ({"output_size": (4, 6)}, ["12", "15", "(4, 6)"]),
        ({"output_size": (1, 5)}, ["height"]),
        ({"padding": 1}, ["12", "30"]),
        ({"stride": 0}, ["stride", "0"]),
        ({"kernel_size": 0}, ["kernel_size", "0"]),
        ({"kernel_size": (2, 3)}, ["8 rows", "2 x 3"]),
        ({"x": COLUMNS[0, 0]}, ["x", "(12,)"]),
        ({"x": COLUMNS[np.newaxis]}, ["x", "(1, 1, 8, 12)"]),
        ({"x": COLUMNS[:, :0]}, ["0 rows"]),
        ({"x": COLUMNS[:, :, :0]}, ["0 columns"]),
        ({"x": COLUMNS.astype(int)}, ["x", "int64"]),
        ({"out": np.zeros((1, 2, 4, 6), np.float32)}, ["out", "shape"]),
        ({"out": COLUMNS[:, :2, :10].reshape(1, 2, 2, 5)}, ["out", "shape"]),
    ],
)
def test_bad_input_of_fold(form, words):
    arguments = {"output_size": (4, 5), "kernel_size": 2, **form}
    x = arguments.pop("x", COLUMNS)
    refused(lambda: fastconv.fold(x, **arguments), words, "")


def test_gradients_are_each_others(rng):
    for dtype in FLOATS:
        for _ in range(20):
            shape, form = problem(rng)
            x = rng.integers(-3, 4, shape).astype(dtype)
            columns = fastconv.unfold(x, *form)
            g = rng.integers(-3, 4, columns.shape).astype(dtype)
            back = grad.unfold(shape, g, *form)
            assert (back.shape, back.dtype) == (shape, g.dtype)
            assert (back.astype(float) * x).sum() == (columns.astype(float) * g).sum()
            np.testing.assert_array_equal(grad.fold(x, *form), columns)
            np.testing.assert_array_equal(grad.unfold(shape[1:], g[0], *form), back[0])


def test_gradient_refuses_another_shape():
    with pytest.raises(ValueError, match=r"grad_output has shape .* has \(1, 18\)"):
        grad.unfold((1, 2, 4, 5), COLUMNS, 3)
