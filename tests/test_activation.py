"""Activations as functions of their own, and their gradients."""

import numpy as np
import pytest

import expected
import fastconv
from fastconv import grad, reference

FLOATS = ["float16", "float32", "float64"]
NAMES = ["relu", "relu6", "leaky_relu", "sigmoid", "tanh", "silu", "hardswish"]
# Where the slope jumps, and the slope that is taken there.
CORNERS = {
    "relu": {0: 0},
    "relu6": {0: 0, 6: 0},
    "leaky_relu": {0: 0.01},
    "hardswish": {-3: 0, 3: 1},
}
# Past two of the longest vectors, so that body and tail of every width meet each value.
LENGTHS = [1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 67]


def bound_of(value, dtype, magnitude=1):
    bound = 8 * expected.UNIT_ROUNDOFF[dtype] * (magnitude + np.abs(value))
    return bound + expected.final_rounding(value, bound, dtype)


def slope_of(name, x):
    """Return the derivative in float64, by hand."""
    s = 1 / (1 + np.exp(-x))
    match name:
        case "relu":
            return (x > 0) * 1.0
        case "relu6":
            return ((x > 0) & (x < 6)) * 1.0
        case "leaky_relu":
            return np.where(x > 0, 1, 0.01)
        case "sigmoid":
            return s * (1 - s)
        case "tanh":
            return 1 / np.cosh(x) ** 2
        case "silu":
            return s * (1 + x * (1 - s))
        case "hardswish":
            return np.where(x <= -3, 0, np.where(x >= 3, 1, x / 3 + 0.5))
    raise AssertionError(name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", FLOATS)
def test_values(name, dtype, rng):
    for length in LENGTHS:
        x = (4 * rng.standard_normal(length)).astype(dtype)
        y = getattr(fastconv, name)(x)
        assert y.dtype == x.dtype
        wanted = getattr(reference, name)(x.astype(np.float64))
        expected.assert_within(y, wanted, bound_of(wanted, dtype), f"{name} of {length}")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", FLOATS)
def test_gradients(name, dtype, rng):
    for length in LENGTHS:
        x = (4 * rng.standard_normal(length)).astype(dtype)
        g = rng.standard_normal(length).astype(dtype)
        y = getattr(grad, name)(x, g)
        assert y.dtype == x.dtype
        slope = slope_of(name, x.astype(np.float64))
        wanted = g * slope
        bound = bound_of(wanted, dtype, np.abs(g.astype(np.float64)) * (1 + np.abs(slope)))
        expected.assert_within(y, wanted, bound, f"{name} of {length}")


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_those_of_the_function(name, rng):
    x = 3 * rng.standard_normal(200)
    x = x[np.min([np.abs(x - at) for at in CORNERS.get(name, {100: 0})], axis=0) > 1e-3]
    f, step = getattr(fastconv, name), 1e-6
    numeric = (f(x + step) - f(x - step)) / (2 * step)
    np.testing.assert_allclose(getattr(grad, name)(x, np.ones_like(x)), numeric, atol=1e-8)


@pytest.mark.parametrize("name", CORNERS)
@pytest.mark.parametrize("dtype", FLOATS)
def test_slopes_at_the_corners(name, dtype):
    for at, slope in CORNERS[name].items():
        y = getattr(grad, name)(np.full(37, at, dtype), np.full(37, 2, dtype))
        np.testing.assert_array_equal(y, np.full(37, 2 * slope, dtype))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", FLOATS)
def test_a_nan_stays_in_its_lane(name, dtype, rng):
    for length in LENGTHS:
        for lane in range(length):
            x = rng.standard_normal(length).astype(dtype)
            x[lane] = np.nan
            y = getattr(fastconv, name)(x)
            assert np.isnan(y[lane])
            assert np.isnan(y).sum() == 1
            g = np.ones(length, dtype)
            x[lane], g[lane] = 1, np.nan
            y = getattr(grad, name)(x, g)
            assert np.isnan(y[lane])
            assert np.isnan(y).sum() == 1


def test_extremes():
    x = np.array([-np.inf, -1e30, -100, 100, 1e30, np.inf], np.float32)
    g = np.full_like(x, 3)
    assert fastconv.sigmoid(x).round(30).tolist() == [0, 0, 0, 1, 1, 1]
    assert fastconv.tanh(x).tolist() == [-1, -1, -1, 1, 1, 1]
    np.testing.assert_array_equal(fastconv.silu(x)[1:], [0, 0, x[3], x[4], np.inf])
    assert fastconv.relu6(x).tolist() == [0, 0, 0, 6, 6, 6]
    np.testing.assert_array_equal(fastconv.hardswish(x)[1:], [0, 0, x[3], x[4], np.inf])
    for name in ("sigmoid", "tanh"):
        np.testing.assert_allclose(getattr(grad, name)(x, g), np.zeros(6), atol=1e-35)
    np.testing.assert_allclose(grad.silu(x, g)[1:-1], [0, 0, 3, 3], atol=1e-30)
    assert grad.relu(x, g).tolist() == [0, 0, 0, 3, 3, 3]
    # An infinite gradient is not multiplied where nothing goes through.
    assert grad.relu(np.float32([-1, 0]), np.float32([np.inf, np.inf])).tolist() == [0, 0]


@pytest.mark.parametrize("name", NAMES)
def test_any_array(name, rng):
    f, d = getattr(fastconv, name), getattr(grad, name)
    x, g = rng.standard_normal((2, 3, 4, 5)).astype(np.float32)
    y, dy = f(x), d(x, g)
    for view in (lambda a: a[:, ::-2], lambda a: a.T, lambda a: a[1, 2, 3]):
        np.testing.assert_array_equal(f(view(x)), view(y))
        np.testing.assert_array_equal(d(view(x), view(g)), view(dy))
    np.testing.assert_array_equal(f(x.astype(">f4")), y)
    np.testing.assert_array_equal(d(x.astype(">f4"), g), dy)
    np.testing.assert_array_equal(f(x.tolist()), f(x.astype(np.float64)))
    for empty in (np.empty((0, 3)), np.empty((2, 0), np.float16)):
        assert f(empty).shape == d(empty, empty).shape == empty.shape
    whole = np.full((3, 4, 10), np.nan, np.float32)
    out = whole[..., 1::2]
    assert f(x, out=out) is out
    np.testing.assert_array_equal(out, y)
    assert d(x, g, out=out) is out
    np.testing.assert_array_equal(out, dy)
    assert np.isnan(whole[..., ::2]).all()
    assert d(x, g, out=g) is g
    np.testing.assert_array_equal(g, dy)
    assert f(x, out=x) is x
    np.testing.assert_array_equal(x, y)


def test_the_slope_is_the_callers():
    x = np.array([-4.0, 0.0, 2.0])
    assert fastconv.leaky_relu(x, 0.5).tolist() == [-2, 0, 2]
    assert fastconv.leaky_relu(x, negative_slope=-1).tolist() == [4, 0, 2]
    assert grad.leaky_relu(x, x, 0.5).tolist() == [-2, 0, 2]
    for slope, error in [("1", TypeError), (None, TypeError), (np.nan, ValueError)]:
        for call in (fastconv.leaky_relu, lambda x, s: grad.leaky_relu(x, x, s)):
            with pytest.raises(error, match="negative_slope"):
                call(x, slope)


@pytest.mark.parametrize("name", NAMES)
def test_refusals(name):
    f, d = getattr(fastconv, name), getattr(grad, name)
    x = np.ones(9, np.float32)
    for bad in (x.astype(int), x > 0, x.astype(complex), np.ma.masked_array(x), "x", None):
        with pytest.raises(TypeError, match="x"):
            f(bad)
        with pytest.raises(TypeError, match="x"):
            d(bad, x)
        with pytest.raises(TypeError, match="grad_output"):
            d(x, bad)
    with pytest.raises(TypeError, match="grad_output"):
        d(x, x.astype(np.float64))
    with pytest.raises(ValueError, match="grad_output"):
        d(x, x[:8])
    for out in (x[:8], x.astype(np.float64), x[::-1], np.broadcast_to(x[0], 9)):
        with pytest.raises(ValueError, match="out"):
            f(x, out=out)
        with pytest.raises(ValueError, match="out"):
            d(x, x.copy(), out=out)
    giant = np.broadcast_to(np.float32(0), (2**20, 2**20, 2**20))
    with pytest.raises((MemoryError, ValueError)):
        f(giant)
    with pytest.raises((MemoryError, ValueError)):
        d(giant, giant)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", FLOATS)
def test_threads_change_no_bit(name, dtype, rng):
    x, g = rng.standard_normal((2, 300_007)).astype(dtype)
    results = set()
    for threads in (1, 2, 3, 7):
        with fastconv.num_threads(threads):
            pair = getattr(fastconv, name)(x), getattr(grad, name)(x, g)
        results.add(b"".join(y.tobytes() for y in pair))
    assert len(results) == 1
