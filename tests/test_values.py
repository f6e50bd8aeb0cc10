"""Special values: NaN and infinity in every lane, denormals, extremes; the caller's FPU state."""

import warnings

import numpy as np
import pytest

import expected
import fastconv
import plans
from plans import Case

# Past two of the longest vectors, so that body and tail of every width meet the value.
LENGTHS = [1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 67]
DENORMAL = {"float32": 1e-40, "float64": 1e-310, "float16": 3e-6}


def identity(channels, dtype):
    return np.eye(channels, dtype=dtype)[:, :, np.newaxis, np.newaxis]


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("length", LENGTHS)
def test_relu_keeps_nan_in_each_lane(length, dtype, rng):
    for lane in range(length):
        x = rng.standard_normal(length).astype(dtype)
        x[lane] = np.nan
        y = fastconv.relu(x)
        assert y.dtype == x.dtype
        np.testing.assert_array_equal(y, np.maximum(x, 0))


def test_relu_of_any_array(rng):
    x = rng.standard_normal((3, 4, 5)).astype(np.float32)
    x[0, 0, :3] = np.inf, -np.inf, -0.0
    wanted = np.maximum(x, 0)
    np.testing.assert_array_equal(fastconv.relu(x), wanted)
    np.testing.assert_array_equal(fastconv.relu(x[:, ::-2]), wanted[:, ::-2])
    np.testing.assert_array_equal(fastconv.relu(x.astype(">f4")), wanted)
    np.testing.assert_array_equal(fastconv.relu(x.T), wanted.T)
    assert fastconv.relu(np.float32(-2.0)) == 0
    assert fastconv.relu(np.empty((0, 3), np.float32)).shape == (0, 3)
    out = np.empty_like(x)
    assert fastconv.relu(x, out=out) is out
    np.testing.assert_array_equal(out, wanted)
    assert fastconv.relu(x, out=x) is x
    np.testing.assert_array_equal(x, wanted)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize(
    "activation",
    [
        ("relu", 0.0, 0.0),
        ("relu6", 0.0, 0.0),
        ("sigmoid", 0.0, 0.0),
        ("tanh", 0.0, 0.0),
        ("silu", 0.0, 0.0),
        ("hardswish", 0.0, 0.0),
        ("leaky_relu", 0.1, 0.0),
        ("clip", -1.0, 1.0),
    ],
    ids=lambda activation: activation[0],
)
def test_fused_activations_keep_nan_where_it_is(activation, dtype, rng):
    """A NaN of the residual reaches its own pixel and no other, in body and tail."""
    problems = [
        Case(1, 3, 3, 37, 5, 1, 1),
        Case(1, 3, 5, 35, 33, 3, 3),
        Case(1, 1, 5, 37, 1, 3, 3, groups=3),
    ]
    for case in problems:
        for channels_last in (False, True):
            x, weight = case.arrays(rng, dtype, channels_last)
            for plan in case.plans(dtype, channels_last=channels_last, activation=activation):
                residual = rng.standard_normal(plan.out_shape).astype(dtype)
                nan = rng.random(plan.out_shape) < 0.15
                residual[nan] = np.nan
                y = plans.run(plan, x, weight, residual=residual)
                what = f"{plan.algorithm} {plan.level} {channels_last=}"
                np.testing.assert_array_equal(np.isnan(y), nan, what)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_activations_at_the_extremes(dtype):
    x = np.array([-np.inf, -1e30, -100, -20, -0.0, 0.0, 1e-30, 20, 100, 1e30, np.inf], dtype)
    limits = {
        "relu": np.maximum(x, 0),
        "relu6": np.clip(x, 0, 6),
        "sigmoid": expected.activate(np.clip(x.astype(np.float64), -700, 700), "sigmoid"),
        "tanh": np.tanh(x.astype(np.float64)),
        ("leaky_relu", 0.5): np.where(x < 0, x / 2, x),
        ("clip", -2.0, 3.0): np.clip(x, -2, 3),
    }
    image = x[np.newaxis, np.newaxis]
    for activation, wanted in limits.items():
        y = fastconv.conv2d(image, identity(1, dtype), activation=activation)
        atol = 8 * expected.UNIT_ROUNDOFF[dtype]
        np.testing.assert_allclose(y[0, 0], wanted, rtol=0, atol=atol, err_msg=str(activation))
    finite = x[1:-1][np.newaxis, np.newaxis]
    for activation in ("silu", "hardswish"):
        y = fastconv.conv2d(finite, identity(1, dtype), activation=activation)[0, 0]
        assert y[0] == 0, activation
        assert y[-1] == x[-2], activation


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("width", [3, 9, 17, 35, 70])
def test_max_pool_keeps_nan_in_each_lane(width, dtype, channels_last, level, rng):
    c = 19 if channels_last else 1
    shape = (1, 4, width, c) if channels_last else (1, c, 4, width)
    for kernel, stride, padding in [((2, 2), (1, 1), 0), ((3, 3), (2, 2), 1), ((3, 3), (1, 1), 1)]:
        x = rng.standard_normal(shape).astype(dtype)
        form = {"level": level, "channels_last": channels_last}
        plan = plans.pool_plan("max", x, kernel, stride, (padding,) * 4, **form)
        for lane in range(width):
            image = x.copy()
            image[(0, lane % 4, lane, lane % c) if channels_last else (0, 0, lane % 4, lane)] = (
                np.nan
            )
            y = plans.run_pool(plan, image)
            wanted = expected.max_pool2d(
                image, kernel, stride, padding, channels_last=channels_last
            )
            np.testing.assert_array_equal(y, wanted)


@pytest.mark.parametrize("value", [np.nan, -np.inf, np.inf])
def test_pools_of_one_value(value, level):
    x = np.full((1, 2, 6, 21), value, np.float32)
    plan = plans.pool_plan("max", x, (3, 3), (2, 2), (1, 1, 1, 1), level=level)
    y, at = plans.run_pool(plan, x, indices=True)
    assert np.isnan(y).all() if np.isnan(value) else (y == value).all()
    wanted = fastconv.reference.max_pool2d(x, 3, 2, 1, return_indices=True)[1]
    np.testing.assert_array_equal(at, wanted)
    plan = plans.pool_plan("avg", x, (2, 2), (2, 2), (0, 0, 0, 0), level=level)
    y = plans.run_pool(plan, x)
    assert np.isnan(y).all() if np.isnan(value) else (y == value).all()


def test_infinities_in_a_convolution_reach_their_windows_only(rng):
    """A pixel is seen by its own windows, and with Winograd by the other outputs of their tiles."""
    case = Case(1, 3, 9, 40, 17, 3, 3, padding=(1, 1, 1, 1))
    for dtype in plans.FLOATS:
        x, weight = case.arrays(rng, dtype)
        x[0, 1, 4, 20], x[0, 2, 7, 35] = np.inf, np.nan
        touched = np.zeros((9, 40), bool)
        touched[3:6, 19:22] = touched[6:9, 34:37] = True
        for plan in case.plans(dtype):
            y = plans.run(plan, x, weight)
            what = f"{plan.algorithm} {plan.level}"
            reached = expected.largest_of_tile(touched[np.newaxis, np.newaxis], plan.algorithm)[
                0, 0
            ]
            broken = ~np.isfinite(y).all(axis=(0, 1))
            np.testing.assert_array_equal(broken | reached, reached, what)
            np.testing.assert_array_equal(broken & touched, touched, what)
            assert np.isnan(y[0, :, 6:9, 34:37]).all(), what
            if (reached == touched).all():
                assert np.isinf(y[0, :, 3:6, 19:22]).all(), what


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 36, 37])
@pytest.mark.parametrize("pixel", [0, 23, 47, 48])
def test_an_infinity_in_any_tap(channels, pixel, rng):
    x = rng.standard_normal((1, channels, 7, 7)).astype(np.float32)
    weight = rng.uniform(1, 2, (5, channels, 1, 1)).astype(np.float32)
    x.reshape(channels, -1)[-1, pixel] = np.inf
    y = fastconv.conv2d(x, weight).reshape(5, -1)
    assert (y[:, pixel] == np.inf).all()
    assert np.isfinite(np.delete(y, pixel, axis=1)).all()


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_denormals_are_computed(dtype, rng):
    problems = [
        (Case(1, 5, 3, 37, 5, 1, 1), identity(5, dtype)),
        (Case(1, 1, 3, 37, 1, 1, 1, groups=5), np.ones((5, 1, 1, 1), dtype)),
    ]
    for case, weight in problems:
        x = (DENORMAL[dtype] * rng.uniform(1, 2, (1, 5, 3, 37))).astype(dtype)
        assert (np.abs(x[x != 0]) < np.finfo(dtype).tiny).all()
        assert np.count_nonzero(x) == x.size
        for plan in case.plans(dtype):
            y = plans.run(plan, x, weight)
            assert np.array_equal(y, x), f"{plan.algorithm} {plan.level}"


def test_products_that_become_denormal_are_computed(rng):
    case = Case(1, 2, 6, 33, 9, 3, 3)
    x, weight = case.arrays(rng, "float32")
    # 2^-60 of a value at 2^-86 is far below the least normal number, 2^-126.
    x, weight = x * np.float32(2.0**-60), weight * np.float32(2.0**-76)
    for plan in case.plans("float32"):
        y = plans.run(plan, x, weight)
        assert np.count_nonzero(y) == y.size
        # Below the normal numbers the spacing is fixed: half of it for each of the 18 products;
        # A^T of F(4, 3) takes those of 2 channels up to (2 * .244 + 2 * 3.375 + 1)^2 = 68 times.
        products = 2 * 68 if plan.algorithm.startswith("winograd") else 18
        value, bound = expected.conv(x, weight, algorithm=plan.algorithm)
        what = f"{plan.algorithm} {plan.level}"
        expected.assert_within(y, value, bound + products * 2.0**-149, what)


def test_pools_compute_denormals(level):
    x = np.full((1, 1, 4, 40), 1e-40, np.float32)
    for kind in ("max", "avg"):
        plan = plans.pool_plan(kind, x, (2, 2), (2, 2), (0, 0, 0, 0), level=level)
        assert (plans.run_pool(plan, x) == x[0, 0, 0, 0]).all(), kind


def test_the_callers_floating_point_state_is_left_alone(rng):
    """Flush-to-zero or another rounding mode, left behind, would change these results."""
    tiny, third = np.float32(1e-40), np.float32(1) / np.float32(3)
    half = np.float32(0.5)
    before = (tiny * half, third + tiny, np.float64(1) / 3)
    assert before[0] != 0
    for case in (Case(1, 16, 20, 40, 33, 3, 3), Case(1, 1, 20, 40, 1, 3, 3, groups=16)):
        x, weight = case.arrays(rng, "float32")
        for plan in case.plans("float32"):
            plans.run(plan, x, weight)
            assert (tiny * half, third + tiny, np.float64(1) / 3) == before


def test_no_warnings_from_special_values():
    """NumPy's error state sees nothing of the kernels' flags."""
    x = np.full((1, 4, 4), np.inf, np.float32)
    weight = np.zeros((1, 1, 2, 2), np.float32)
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        assert np.isnan(fastconv.conv2d(x, weight)).all()
        large = np.full((1, 4, 4), 60000, np.float16)
        assert np.isinf(fastconv.conv2d(large, np.full((1, 1, 2, 2), 60000, np.float16))).all()
        np.float32(1) * np.float32(2)


def test_float16_rounds_once(rng):
    """Sums beyond float16's range or precision are right where the result is in range again."""
    x = np.array([60000, 60000, -60000, -60000, 1], np.float16)[:, np.newaxis, np.newaxis]
    weight = np.ones((1, 5, 1, 1), np.float16)
    assert fastconv.conv2d(x, weight).item() == 1
    x = np.full((2048, 1, 1), 1, np.float16)
    assert fastconv.conv2d(x, np.full((1, 2048, 1, 1), 1.5, np.float16)).item() == 3072
