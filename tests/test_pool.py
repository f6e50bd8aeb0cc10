"""The public pools: argument forms, layouts, dtypes, indices, views, and the answers of torch."""

import numpy as np
import pytest

import expected
import fastconv
from fastconv import reference
from test_conv2d import awkward_views

INTEGERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("batch", [None, 1, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "uint8", "int64"])
def test_max_pool(dtype, batch, channels_last, rng):
    shape = (9, 8, 5) if channels_last else (5, 9, 8)
    shape = shape if batch is None else (batch, *shape)
    x = rng.integers(0, 9, shape).astype(dtype)
    form = {"ceil_mode": True, "channels_last": channels_last}
    args = (3, 2, 1, (1, 2))
    y = fastconv.max_pool2d(x, *args, **form)
    assert (type(y), y.dtype, y.flags.c_contiguous) == (np.ndarray, x.dtype, True)
    np.testing.assert_array_equal(y, expected.max_pool2d(x, *args, **form))
    y, at = fastconv.max_pool2d(x, *args, return_indices=True, **form)
    wanted = reference.max_pool2d(x, *args, return_indices=True, **form)
    assert (at.dtype, at.flags.c_contiguous) == (np.int64, True)
    np.testing.assert_array_equal(y, wanted[0])
    np.testing.assert_array_equal(at, wanted[1])


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integers_are_exact_to_their_limits(dtype):
    limits = np.iinfo(dtype)
    x = np.full((1, 6, 37), limits.min, dtype)
    x[0, 1, ::3] = limits.max
    x[0, 4, 1::5] = limits.max - 1
    y = fastconv.max_pool2d(x, 3, 1, 1)
    np.testing.assert_array_equal(y, expected.max_pool2d(x, 3, 1, 1))
    assert y.max() == limits.max


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [
        (2, None, 0),
        ((3, 2), None, (1, 0)),
        ([3, 3], [2, 1], [1, 1]),
        (3, 1, "same"),
        ((2, 4), 1, "same"),
        (3, 2, "valid"),
        (5, 3, ((2, 1), (0, 2))),
        (np.int32(2), np.int64(1), np.uint8(1)),
    ],
)
def test_argument_forms(kernel, stride, padding, rng):
    x = rng.standard_normal((2, 3, 10, 11)).astype(np.float32)
    y = fastconv.max_pool2d(x, kernel, stride, padding)
    np.testing.assert_array_equal(y, expected.max_pool2d(x, kernel, stride, padding))
    for counted in (True, False):
        y = fastconv.avg_pool2d(x, kernel, stride, padding, count_include_pad=counted)
        wanted = expected.avg_pool2d(x, kernel, stride, padding, count_include_pad=counted)
        expected.assert_within(y, *wanted)


@pytest.mark.parametrize("kernel", [(1, 2), (2, 3), (20, 4), (3, 9)])
@pytest.mark.parametrize("step", [2, 3, 4, 8, 9, 17])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_strides_along_the_rows(kernel, step, dtype, rng):
    """Those that lanes take up by pairs, by doubling and one by one, with rows few and many."""
    x = rng.standard_normal((2, 3, 41, 170)).astype(dtype)
    form = kernel, (2, step), (kernel[0] // 2, 1)
    np.testing.assert_array_equal(fastconv.max_pool2d(x, *form), expected.max_pool2d(x, *form))
    expected.assert_within(fastconv.avg_pool2d(x, *form), *expected.avg_pool2d(x, *form))


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("batch", [None, 2])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize("divisor", [None, 1, 5])
def test_avg_pool(dtype, batch, channels_last, ceil_mode, divisor, rng):
    shape = (9, 12, 5) if channels_last else (5, 9, 12)
    x = rng.standard_normal(shape if batch is None else (batch, *shape)).astype(dtype)
    form = {"ceil_mode": ceil_mode, "divisor_override": divisor, "channels_last": channels_last}
    y = fastconv.avg_pool2d(x, (3, 4), (2, 3), 1, **form)
    assert (y.dtype, y.flags.c_contiguous) == (x.dtype, True)
    expected.assert_within(y, *expected.avg_pool2d(x, (3, 4), (2, 3), 1, **form))


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize(
    ("side", "form"),
    [
        (14, {"kernel_size": 2}),
        (14, {"kernel_size": 3, "stride": 2, "padding": 1}),
        (9, {"kernel_size": 3, "stride": 1}),
        (13, {"kernel_size": (2, 9), "stride": (2, 1), "padding": (1, 4)}),
        (12, {"kernel_size": (3, 4), "stride": 3}),
    ],
)
def test_small_planes_go_together(side, form, dtype, rng):
    """As many as a call takes, and rests; none sees a neighbour's NaN."""
    x = rng.standard_normal((2, 131, side, side)).astype(dtype)
    expected.assert_within(fastconv.avg_pool2d(x, **form), *expected.avg_pool2d(x, **form))
    x[:, 40], x[1, 90, 3, 3] = np.nan, np.nan
    wanted = fastconv.reference.max_pool2d(x, **form)
    assert np.array_equal(fastconv.max_pool2d(x, **form), wanted, equal_nan=True)
    averages = fastconv.avg_pool2d(x, **form)
    assert np.isnan(averages[:, 40]).all()
    assert not np.isnan(averages[:, [39, 41]]).any()


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("plane", [(1, 1), (7, 7), (3, 17), (40, 41)])
def test_global_avg_pool(plane, dtype, channels_last, rng):
    for c in (1, 3, 16, 33):
        x = rng.standard_normal((2, *plane, c) if channels_last else (2, c, *plane)).astype(dtype)
        y = fastconv.global_avg_pool2d(x, channels_last=channels_last)
        assert y.shape == ((2, 1, 1, c) if channels_last else (2, c, 1, 1))
        wanted = expected.avg_pool2d(x, plane, channels_last=channels_last)
        expected.assert_within(y, *wanted)
        assert fastconv.global_avg_pool2d(x[0], channels_last=channels_last).shape == y.shape[1:]


def test_averages_do_not_drift(rng):
    """A large pixel leaves no trace in windows that do not hold it: no running sums."""
    x = rng.standard_normal((1, 1, 9, 70)).astype(np.float32)
    x[0, 0, 4, 3] = 1e30
    y = fastconv.avg_pool2d(x, 3, 1)
    expected.assert_within(y, *expected.avg_pool2d(x, 3, 1))


@pytest.mark.parametrize("pool", [fastconv.max_pool2d, fastconv.avg_pool2d])
@pytest.mark.parametrize("channels_last", [False, True])
def test_any_memory_layout(pool, channels_last, rng):
    x = rng.standard_normal((2, 4, 7, 8)).astype(np.float32)
    plain = pool(x, 2, 1, channels_last=channels_last)
    for name, view in awkward_views(x):
        if name != "list":
            y = pool(view, 2, 1, channels_last=channels_last)
            assert y.tobytes() == plain.tobytes(), name
            assert y.dtype.isnative, name
    listed = pool(x.tolist(), 2, 1, channels_last=channels_last)
    assert listed.dtype == np.float64


@pytest.mark.parametrize("channels_last", [False, True])
def test_out_views(channels_last, rng):
    x = rng.standard_normal((2, 4, 7, 8)).astype(np.float32)
    for pool in (
        lambda x, **form: fastconv.max_pool2d(x, 2, **form),
        lambda x, **form: fastconv.avg_pool2d(x, 2, **form),
        fastconv.global_avg_pool2d,
    ):
        plain = pool(x, channels_last=channels_last)
        big = np.full([size + 2 for size in plain.shape], np.nan, np.float32)
        for index in [
            tuple(slice(1, size + 1) for size in plain.shape),
            tuple(slice(size - 1, None, -1) for size in plain.shape),
        ]:
            big[...] = np.nan
            out = big[index]
            out = out[tuple(slice(size) for size in plain.shape)]
            assert pool(x, channels_last=channels_last, out=out) is out
            np.testing.assert_array_equal(out, plain)
            assert np.isnan(big).sum() == big.size - plain.size


def test_max_pool_with_out_and_indices(rng):
    x = rng.standard_normal((2, 3, 6, 6)).astype(np.float32)
    out = np.empty((2, 3, 3, 3), np.float32)
    y, at = fastconv.max_pool2d(x, 2, return_indices=True, out=out)
    assert y is out
    picked = np.take_along_axis(x.reshape(2, 3, 36), at.reshape(2, 3, 9), axis=2)
    np.testing.assert_array_equal(picked.reshape(out.shape), out)


def test_an_empty_batch_is_an_empty_result():
    x = np.empty((0, 3, 8, 9), np.float32)
    assert fastconv.max_pool2d(x, 2).shape == (0, 3, 4, 4)
    assert fastconv.avg_pool2d(x, 2).shape == (0, 3, 4, 4)
    assert fastconv.global_avg_pool2d(x).shape == (0, 3, 1, 1)
    y, at = fastconv.max_pool2d(x, 2, return_indices=True)
    assert y.shape == at.shape == (0, 3, 4, 4)


def test_windows_wholly_in_padding():
    """Dilation steps over a narrow input: nothing to take the maximum of, nothing out of bounds."""
    x = np.full((1, 2, 5), 3, np.float32)
    y, at = fastconv.max_pool2d(x, 2, 1, 1, 3, return_indices=True)
    wanted = reference.max_pool2d(x, 2, 1, 1, 3, return_indices=True)
    assert np.isneginf(wanted[0]).any()
    np.testing.assert_array_equal(y, wanted[0])
    np.testing.assert_array_equal(at, wanted[1])
    for width in (5, 8, 40):
        x = np.full((1, 2, width), 3, np.float32)
        y = fastconv.max_pool2d(x, 2, 1, 1, 3)
        np.testing.assert_array_equal(y, reference.max_pool2d(x, 2, 1, 1, 3))
    y = fastconv.max_pool2d(np.ones((1, 2, 5), np.int16), 2, 1, 1, 3)
    np.testing.assert_array_equal(y == -(2**15), np.isneginf(wanted[0]))


@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding", "wanted"),
    # What torch 2.13 answers.
    [
        (2, 3, 2, 0, 1),
        (5, 2, 2, 0, 3),
        (5, 3, 2, 1, 3),
        (6, 3, 2, 1, 4),
        (4, 2, 3, 1, 2),
        (3, 2, 4, 1, 1),
        (7, 3, 3, 0, 3),
        (8, 2, 2, 1, 5),
    ],
)
def test_ceil_mode_sizes(size, kernel, stride, padding, wanted):
    x = np.ones((1, size, size), np.float32)
    y = fastconv.max_pool2d(x, kernel, stride, padding, ceil_mode=True)
    assert y.shape == (1, wanted, wanted)
    y = fastconv.avg_pool2d(x, kernel, stride, padding, ceil_mode=True, count_include_pad=False)
    assert y.tolist() == np.ones((1, wanted, wanted)).tolist()


def test_equal_arguments_of_other_types_are_told_apart():
    """Plans are found again by the arguments as written, and True == 1 == 1.0."""
    x = np.arange(2 * 6 * 6, dtype=np.float32).reshape(2, 6, 6)
    wanted = fastconv.max_pool2d(x, 2, 1, 1, 1, True)
    for number in (np.int64(1), np.uint8(1)):
        assert np.array_equal(fastconv.max_pool2d(x, 2, number, number, (number, 1), True), wanted)
    assert np.array_equal(
        fastconv.max_pool2d(x, [2, 2], [1, 1], [[1, 1], [1, 1]], 1, np.True_), wanted
    )
    for arguments in (
        (2.0, 1, 1, 1, True),
        (2, True, 1, 1, True),
        (2, 1, 1.0, 1, True),
        (2, 1, (1, True), 1, True),
        (2, 1, 1, 1.0, True),
        (2, 1, 1, 1, 1),
    ):
        with pytest.raises(TypeError):
            fastconv.max_pool2d(x, *arguments)
    with pytest.raises(TypeError):
        fastconv.max_pool2d(x, 2, 1, 1, 1, True, channels_last=0)


@pytest.mark.parametrize("calls", [3, 700])
def test_plans_of_recent_calls_are_bounded(calls):
    """Calls beyond what is kept give the same results."""
    x = np.arange(900, dtype=np.float32).reshape(1, 1, 900)
    for _ in range(2):
        for size in range(1, calls):
            assert fastconv.max_pool2d(x, (1, size), 900 - size + 1).item() == size - 1


def test_a_deeply_nested_argument_is_refused():
    kernel = ()
    for _ in range(100_000):
        kernel = (kernel,)
    with pytest.raises((TypeError, ValueError, RecursionError)):
        fastconv.max_pool2d(np.zeros((1, 4, 4), np.float32), kernel)
