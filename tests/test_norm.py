"""Batch and local response normalisation, and their gradients."""

import numpy as np
import pytest

import expected
import fastconv
from fastconv import grad, reference

FLOATS = ["float16", "float32", "float64"]
SHAPES = [
    (2, 3),
    (1, 1),
    (3, 2, 1),
    (2, 3, 5),
    (2, 5, 17),
    (1, 4, 3, 6),
    (2, 3, 2, 3, 2),
    (2, 67, 2),
]


def parameters(rng, c, dtype):
    mean, weight, bias = rng.standard_normal((3, c)).astype(dtype)
    return mean, (rng.standard_normal(c) ** 2 + 0.1).astype(dtype), weight, bias


def wide(*arrays):
    return [None if a is None else a.astype(np.float64) for a in arrays]


def per_channel(a, shape):
    return a.reshape(-1, *(1,) * (len(shape) - 2))


def batch_norm_bound(x, mean, var, weight, bias, eps, value):
    """As for a sum of two products: the element's and the shift's."""
    dtype = x.dtype.name
    x, mean, var, weight, bias = wide(x, mean, var, weight, bias)
    factor = weight / np.sqrt(var + eps)
    shift = np.abs(mean * factor) + np.abs(bias)
    magnitude = np.abs(x) * per_channel(np.abs(factor), x.shape) + per_channel(shift, x.shape)
    bound = expected.error_bound(magnitude, 2, dtype)
    return bound + expected.final_rounding(value, bound, dtype)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", FLOATS)
def test_batch_norm(shape, dtype, rng):
    x = rng.standard_normal(shape).astype(dtype)
    mean, var, weight, bias = parameters(rng, shape[1], dtype)
    y = fastconv.batch_norm(x, mean, var, weight, bias, eps=1e-3)
    assert y.dtype == x.dtype
    value = reference.batch_norm(*wide(x, mean, var, weight, bias), eps=1e-3)
    expected.assert_within(y, value, batch_norm_bound(x, mean, var, weight, bias, 1e-3, value))
    ones, zeros = np.ones_like(mean), np.zeros_like(mean)
    for given in ((None, bias), (weight, None), (None, None)):
        plain = [ones if given[0] is None else weight, zeros if given[1] is None else bias]
        np.testing.assert_array_equal(
            fastconv.batch_norm(x, mean, var, *given), fastconv.batch_norm(x, mean, var, *plain)
        )


def test_half_precision_data_may_have_float32_parameters(rng):
    x = rng.standard_normal((2, 3, 4)).astype(np.float16)
    mean, var, weight, bias = parameters(rng, 3, "float32")
    y = fastconv.batch_norm(x, mean, var, weight, bias)
    value = reference.batch_norm(*wide(x, mean, var, weight, bias))
    expected.assert_within(y, value, batch_norm_bound(x, mean, var, weight, bias, 1e-5, value))
    grads = grad.batch_norm(x, x, mean, var, weight)
    assert [g.dtype.name for g in grads] == ["float16", "float32", "float32"]
    with pytest.raises(TypeError, match="running_mean"):
        fastconv.batch_norm(x, mean.astype(np.float64), var)


@pytest.mark.parametrize("shape", [(0, 3), (2, 0), (2, 3, 0), (0, 3, 4), (2, 0, 4)])
def test_batch_norm_of_nothing(shape):
    x, ones = np.empty(shape), np.ones(shape[1])
    assert fastconv.batch_norm(x, ones, ones).shape == shape
    grads = grad.batch_norm(x, x, ones, ones)
    assert [g.shape for g in grads] == [shape, ones.shape, ones.shape]
    assert not grads[1].any()
    assert not grads[2].any()


@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_of_batch_norm(shape, rng):
    x, g = rng.standard_normal((2, *shape))
    mean, var, weight, bias = parameters(rng, shape[1], "float64")

    def loss(x, weight, bias):
        return np.sum(g * fastconv.batch_norm(x, mean, var, weight, bias))

    for own, wanted in zip(
        grad.batch_norm(x, g, mean, var, weight), numeric(loss, x, weight, bias), strict=True
    ):
        np.testing.assert_allclose(own, wanted, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("dtype", FLOATS)
def test_gradients_of_batch_norm_are_as_exact_as_a_sum(dtype, rng):
    """Also where the mean is far from zero, and the samples are many or none."""
    for shape in [(70, 3), (5, 3, 700), (600, 2, 100)]:
        x = (rng.standard_normal(shape) + 50).astype(dtype)
        g = rng.standard_normal(shape).astype(dtype)
        mean, var, weight, _ = parameters(rng, shape[1], dtype)
        mean += np.asarray(50, dtype)
        dx, dw, db = grad.batch_norm(x, g, mean, var, weight)
        axes = 0, *range(2, x.ndim)
        wx, wg, wm, wv, ww = wide(x, g, mean, var, weight)
        factor = ww / np.sqrt(wv + 1e-5)
        value = wg * per_channel(factor, shape)
        bound = expected.error_bound(np.abs(value), 1, dtype)
        expected.assert_within(dx, value, bound + expected.final_rounding(value, bound, dtype))
        centred = (wx - per_channel(wm, shape)) / per_channel(np.sqrt(wv + 1e-5), shape)
        for own, terms in ((dw, wg * centred), (db, wg)):
            value, length = terms.sum(axes), terms.size // shape[1]
            bound = expected.error_bound(np.abs(terms).sum(axes), length, dtype)
            expected.assert_within(own, value, bound + expected.final_rounding(value, bound, dtype))


def numeric(loss, *arrays, step=1e-5):
    """Yield the gradient of a loss by each array, by central differences."""
    for array in arrays:
        result = np.empty_like(array)
        for index in np.ndindex(array.shape):
            kept = array[index]
            array[index] = kept + step
            above = loss(*arrays)
            array[index] = kept - step
            result[index] = (above - loss(*arrays)) / (2 * step)
            array[index] = kept
        yield result


RESPONSES = [
    # size, alpha, beta, k
    (1, 1e-4, 0.75, 1.0),
    (2, 0.5, 0.75, 1.0),
    (3, 0.3, 0.5, 2.0),
    (5, 1.0, 0.75, 0.25),
    (4, 0.2, 1.3, 1.0),
    (50, 2.0, 0.75, 1.0),
    (2**62, 1e18, 0.5, 1.0),
]


@pytest.mark.parametrize("form", RESPONSES)
@pytest.mark.parametrize("dtype", FLOATS)
def test_local_response_norm(form, dtype, rng):
    for shape in [(2, 3, 4), (1, 7, 3, 3), (2, 4, 2, 1, 3), (1, 1, 5), (2, 6, 1)]:
        x = (2 * rng.standard_normal(shape)).astype(dtype)
        y = fastconv.local_response_norm(x, *form)
        assert y.dtype == x.dtype
        size = min(form[0], 4 * shape[1])  # more reach nothing, and would be walked
        alpha = form[1] / form[0] * size
        value = reference.local_response_norm(x.astype(np.float64), size, alpha, *form[2:])
        # The sum is one of positive terms, and so is what the power makes of its error.
        bound = expected.error_bound(np.abs(value), 9, dtype)
        expected.assert_within(
            y, value, bound + expected.final_rounding(value, bound, dtype), f"{shape}"
        )


@pytest.mark.parametrize("form", RESPONSES[:-1])
def test_gradient_of_local_response_norm(form, rng):
    for shape in [(2, 3, 2), (1, 7, 2), (1, 5, 1, 2)]:
        x, g = rng.standard_normal((2, *shape))
        (wanted,) = numeric(lambda x, g=g: np.sum(g * fastconv.local_response_norm(x, *form)), x)
        own = grad.local_response_norm(x, g, *form)
        np.testing.assert_allclose(own, wanted, rtol=1e-6, atol=1e-8)
        for dtype in ("float16", "float32"):
            x32, g32 = x.astype(dtype), g.astype(dtype)
            low = grad.local_response_norm(x32, g32, *form)
            exact = grad.local_response_norm(x32.astype(float), g32.astype(float), *form)
            assert low.dtype == dtype
            magnitude = np.abs(g).sum() * (1 + np.abs(x).max()) ** 2
            bound = expected.error_bound(magnitude, 9, dtype)
            expected.assert_within(low, exact, bound + expected.final_rounding(exact, bound, dtype))


def test_local_response_norm_of_nothing_and_of_extremes():
    for shape in [(0, 3, 4), (2, 0, 4), (2, 3, 0), (2, 3, 4, 0)]:
        x = np.empty(shape, np.float32)
        assert fastconv.local_response_norm(x, 3).shape == shape
        assert grad.local_response_norm(x, x, 3).shape == shape
    x = np.array([[[np.nan], [1], [1], [np.inf], [1]]], np.float32)
    y = fastconv.local_response_norm(x, 3)[0, :, 0]
    assert np.isnan(y).tolist() == [True, True, False, True, False]
    assert y[4] == 0


def test_any_array_and_out(rng):
    x = rng.standard_normal((2, 3, 4, 5)).astype(np.float32)
    mean, var, weight, bias = parameters(rng, 3, "float32")
    calls = {
        "batch_norm": lambda x, out=None: fastconv.batch_norm(x, mean, var, weight, bias, out=out),
        "local_response_norm": lambda x, out=None: fastconv.local_response_norm(x, 2, out=out),
    }
    for call in calls.values():
        y = call(x)
        np.testing.assert_array_equal(call(x[..., ::-1, ::2]), call(x[..., ::-1, ::2].copy()))
        np.testing.assert_array_equal(call(x.astype(">f4")), y)
        np.testing.assert_array_equal(call(np.asfortranarray(x)), y)
        whole = np.full((2, 3, 4, 10), np.nan, np.float32)
        assert call(x, out=whole[..., ::2]).base is whole
        np.testing.assert_array_equal(whole[..., ::2], y)
        assert np.isnan(whole[..., 1::2]).all()
        same = x.copy()
        assert call(same, out=same) is same
        np.testing.assert_array_equal(same, y)
        for out in (x[..., ::-1], np.empty((2, 3, 4)), np.empty(x.shape)):
            with pytest.raises(ValueError, match="out"):
                call(x, out=out)
    rows = np.zeros((3, 3), np.float32)
    rows[:2] = mean, var
    with pytest.raises(ValueError, match="running_mean"):
        fastconv.batch_norm(rows[1:2], rows[0], rows[1], out=rows[:1])
    g = x[::-1].copy()
    dx = grad.local_response_norm(x, g, 3)
    assert grad.local_response_norm(x, g, 3, out=g) is g
    np.testing.assert_array_equal(g, dx)


X, M = np.ones((2, 3, 4), np.float32), np.ones(3, np.float32)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: fastconv.batch_norm(X, M, M, training=True), ValueError, ["training", "True"]),
        (lambda: fastconv.batch_norm(X, M, M, training=1), TypeError, ["training", "1"]),
        (lambda: fastconv.batch_norm(X, None, M), ValueError, ["running_mean"]),
        (lambda: fastconv.batch_norm(X, M, None), ValueError, ["running_var"]),
        (lambda: fastconv.batch_norm(X[0, 0], M, M), ValueError, ["x", "(4,)"]),
        (lambda: fastconv.batch_norm(X, M[:2], M), ValueError, ["running_mean", "(2,)", "(3,)"]),
        (lambda: fastconv.batch_norm(X, M, X), ValueError, ["running_var", "(2, 3, 4)"]),
        (lambda: fastconv.batch_norm(X, M, M, M[:1]), ValueError, ["weight", "(1,)"]),
        (lambda: fastconv.batch_norm(X, M, M, M, M[:1]), ValueError, ["bias", "(1,)"]),
        (lambda: fastconv.batch_norm(X, M, M, eps=-1), ValueError, ["eps", "-1"]),
        (lambda: fastconv.batch_norm(X, M, M, eps="1"), TypeError, ["eps", "1"]),
        (lambda: fastconv.batch_norm(X, M, M, momentum=None), TypeError, ["momentum", "None"]),
        (lambda: fastconv.batch_norm(X.astype(int), M, M), TypeError, ["x", "int64"]),
        (lambda: fastconv.batch_norm(X.astype(float), M, M), TypeError, ["running_mean"]),
        (lambda: fastconv.batch_norm(X, M, M.astype(float)), TypeError, ["running_var"]),
        (lambda: fastconv.batch_norm(X, M, M, np.ma.masked_array(M)), TypeError, ["weight"]),
        (lambda: grad.batch_norm(X, X[:1], M, M), ValueError, ["grad_output", "(1, 3, 4)"]),
        (lambda: grad.batch_norm(X, X.astype(float), M, M), TypeError, ["grad_output"]),
        (lambda: grad.batch_norm(X, X, M, M, eps=-1), ValueError, ["eps"]),
        (lambda: fastconv.local_response_norm(X[0], 2), ValueError, ["x", "(3, 4)"]),
        (lambda: fastconv.local_response_norm(X, 0), ValueError, ["size", "0"]),
        (lambda: fastconv.local_response_norm(X, -2), ValueError, ["size", "-2"]),
        (lambda: fastconv.local_response_norm(X, 2.0), TypeError, ["size", "2.0"]),
        (lambda: fastconv.local_response_norm(X, True), TypeError, ["size", "True"]),
        (lambda: fastconv.local_response_norm(X, 2**63), ValueError, ["size"]),
        (lambda: fastconv.local_response_norm(X, 2, None), TypeError, ["alpha", "None"]),
        (lambda: fastconv.local_response_norm(X, 2, 1, "b"), TypeError, ["beta"]),
        (lambda: fastconv.local_response_norm(X, 2, 1, 1, np.nan), ValueError, ["k"]),
        (lambda: fastconv.local_response_norm(X.astype(int), 2), TypeError, ["x", "int64"]),
        (lambda: grad.local_response_norm(X, X[0], 2), ValueError, ["grad_output"]),
        (lambda: grad.local_response_norm(X, X, 0), ValueError, ["size"]),
    ],
)
def test_refusals(call, error, words):
    with pytest.raises(error) as refusal:
        call()
    for word in words:
        assert word in str(refusal.value)


def test_giants_are_refused_at_once():
    giant = np.broadcast_to(np.float32(1), (2**20, 3, 2**36))
    for call in (
        lambda: fastconv.batch_norm(giant, M, M),
        lambda: grad.batch_norm(giant, giant, M, M),
        lambda: fastconv.local_response_norm(giant, 3),
        lambda: grad.local_response_norm(giant, giant, 3),
    ):
        with pytest.raises((MemoryError, ValueError)):
            call()


@pytest.mark.parametrize("dtype", FLOATS)
def test_threads_change_no_bit(dtype, rng):
    x = rng.standard_normal((3, 40, 50, 51)).astype(dtype)
    mean, var, weight, bias = parameters(rng, 40, dtype)
    results = set()
    for threads in (1, 2, 3, 7):
        with fastconv.num_threads(threads):
            y = fastconv.batch_norm(x, mean, var, weight, bias)
            z = fastconv.local_response_norm(x, 5)
        results.add(y.tobytes() + z.tobytes())
    assert len(results) == 1
