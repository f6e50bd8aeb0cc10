"""Softmax, its logarithm, cross entropy, and their gradients."""

import numpy as np
import pytest

import expected
import fastconv
from fastconv import grad, reference
from test_norm import numeric

FLOATS = ["float16", "float32", "float64"]
SHAPES = [(), (1,), (5,), (3, 4), (2, 3, 4), (2, 1, 3, 2), (67, 2)]


def stored(bound, value, dtype):
    return bound + expected.final_rounding(value, bound, dtype)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", FLOATS)
def test_along_every_axis(shape, dtype, rng):
    x = np.asarray(5 * rng.standard_normal(shape), dtype)
    unit = expected.UNIT_ROUNDOFF[dtype]
    for dim in range(-max(x.ndim, 1), max(x.ndim, 1)):
        spread = np.abs(x).max() + 1
        value = reference.log_softmax(x.astype(np.float64), dim)
        y = fastconv.log_softmax(x, dim)
        assert y.dtype == x.dtype
        bound = (8 + np.sqrt(x.size)) * unit * (2 * spread)
        expected.assert_within(y, value, stored(bound, value, dtype), f"{dim}")
        value = reference.softmax(x.astype(np.float64), dim)
        y = fastconv.softmax(x, dim)
        assert y.dtype == x.dtype
        # The difference from the greatest is rounded, and the exponential takes that as a factor.
        expected.assert_within(y, value, stored(value * bound, value, dtype), f"{dim}")


@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_along_every_axis(shape, rng):
    x, g = np.asarray(2 * rng.standard_normal((2, *shape)))
    x, g = np.asarray(x), np.asarray(g)
    for dim in range(max(x.ndim, 1)):
        for name in ("softmax", "log_softmax"):
            f, d = getattr(fastconv, name), getattr(grad, name)
            (wanted,) = numeric(lambda x, f=f, dim=dim: np.sum(g * f(x, dim)), x)
            np.testing.assert_allclose(d(x, g, dim), wanted, rtol=1e-6, atol=1e-8)
            for dtype in ("float16", "float32"):
                low = d(x.astype(dtype), g.astype(dtype), dim)
                exact = d(x.astype(dtype).astype(float), g.astype(dtype).astype(float), dim)
                bound = expected.error_bound(4 * np.abs(g).sum(), x.size, dtype)
                expected.assert_within(low, exact, stored(bound, exact, dtype))


def test_facts():
    assert fastconv.softmax([0.0, 0.0], 0).tolist() == [0.5, 0.5]
    assert fastconv.softmax(np.float32([-np.inf, 0, 0]), 0).tolist() == [0, 0.5, 0.5]
    assert fastconv.log_softmax(np.float32([-np.inf, 0]), 0).tolist() == [-np.inf, 0]
    assert fastconv.log_softmax([0.0, 3e38], 0).tolist() == [-3e38, 0]
    for x in ([np.inf, 1.0], [-np.inf, -np.inf], [np.nan, 1.0]):
        assert np.isnan(fastconv.softmax(x, 0)).all()
        assert np.isnan(fastconv.log_softmax(x, 0)).all()
    assert fastconv.softmax(3.0, 0).shape == ()
    assert fastconv.softmax(np.float16([6e4, -6e4]), 0).tolist() == [1, 0]
    for shape, dim in [((0, 3), 0), ((0, 3), 1), ((3, 0), 1)]:
        x = np.empty(shape)
        for name in ("softmax", "log_softmax"):
            assert getattr(fastconv, name)(x, dim).shape == shape
            assert getattr(grad, name)(x, x, dim).shape == shape


def test_dtype_is_that_of_the_result():
    x = np.array([1, 2, 3])
    y = fastconv.softmax(x, 0, dtype=np.float32)
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, fastconv.softmax(x.astype(np.float32), 0))
    y = fastconv.log_softmax(np.float64([1e300, 0]), 0, dtype="float16")
    assert y.dtype == np.float16
    assert np.isnan(y).all()
    for dtype in (int, "float128", "no such", 3):
        with pytest.raises(TypeError, match="dtype"):
            fastconv.softmax(x, 0, dtype=dtype)


def test_any_array_and_out(rng):
    x, g = rng.standard_normal((2, 3, 4, 5)).astype(np.float32)
    for name in ("softmax", "log_softmax"):
        f, d = getattr(fastconv, name), getattr(grad, name)
        y, dy = f(x, 1), d(x, g, 1)
        assert y.flags.c_contiguous
        assert d(x.T, g.T, 1).flags.c_contiguous
        np.testing.assert_allclose(f(x.T, 1), y.T, rtol=1e-5)
        np.testing.assert_array_equal(f(x.astype(">f4"), 1), y)
        np.testing.assert_array_equal(f(x[::-1, :, ::2], 1), f(x[::-1, :, ::2].copy(), 1))
        whole = np.full((3, 4, 10), np.nan, np.float32)
        assert f(x, 1, out=whole[..., ::2]).base is whole
        np.testing.assert_array_equal(whole[..., ::2], y)
        assert np.isnan(whole[..., 1::2]).all()
        same = g.copy()
        assert d(x, same, 1, out=same) is same
        np.testing.assert_array_equal(same, dy)
        same = x.copy()
        assert f(same, 1, out=same) is same
        np.testing.assert_array_equal(same, y)
        for out in (x[::-1], np.empty((3, 4)), np.empty(x.shape)):
            with pytest.raises(ValueError, match="out"):
                f(x, 1, out=out)
            with pytest.raises(ValueError, match="out"):
                d(x, g, 1, out=out)


LOSSES = [
    {},
    {"reduction": "sum"},
    {"reduction": "none"},
    {"label_smoothing": 0.25},
    {"label_smoothing": 1.0, "reduction": "none"},
    {"label_smoothing": 0.1, "reduction": "sum"},
]


def problems(rng, dtype="float64"):
    """Yield scores and targets of both kinds, in every rank."""
    for shape in [(4,), (3, 4), (1, 1), (2, 3, 5), (2, 5, 3, 2)]:
        x = (2 * rng.standard_normal(shape)).astype(dtype)
        classes = shape[1] if len(shape) > 1 else shape[0]
        plane = (shape[0], *shape[2:]) if len(shape) > 1 else ()
        target = rng.integers(0, classes, plane)
        yield x, target, {}
        yield x, target.astype(np.uint8), {"ignore_index": 0}
        yield x, np.where(rng.random(plane) < 0.5, -100, target), {}
        shares = rng.random(shape)
        yield x, shares.astype(dtype), {}


@pytest.mark.parametrize("form", LOSSES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", FLOATS)
def test_cross_entropy(form, weighted, dtype, rng):
    for x, target, extra in problems(rng, dtype):
        classes = x.shape[1 if x.ndim > 1 else 0]
        weight = (rng.random(classes) + 0.1).astype(dtype) if weighted else None
        y = fastconv.cross_entropy(x, target, weight, **form, **extra)
        assert y.dtype == x.dtype
        exact = target.astype(np.float64) if target.dtype.kind == "f" else target
        value = reference.cross_entropy(
            x.astype(np.float64),
            exact,
            None if weight is None else weight.astype(np.float64),
            **form,
            **extra,
        )
        # Terms are at most twice the largest score and log of the classes, weights add up.
        largest = 2 * np.abs(x).max() + np.log(classes)
        magnitude = 1.1 * classes * largest * (x.size if form.get("reduction") == "sum" else 4)
        bound = expected.error_bound(float(magnitude), classes, dtype)
        np.testing.assert_array_equal(np.isnan(y), np.isnan(value))
        value = np.nan_to_num(value)
        expected.assert_within(np.nan_to_num(y), value, stored(bound, value, dtype), f"{x.shape}")


@pytest.mark.parametrize("form", LOSSES)
@pytest.mark.parametrize("weighted", [False, True])
def test_gradient_of_cross_entropy(form, weighted, rng):
    for x, target, extra in problems(rng):
        classes = x.shape[1 if x.ndim > 1 else 0]
        weight = rng.random(classes) + 0.1 if weighted else None
        given = {**form, **extra}
        loss = fastconv.cross_entropy(x, target, weight, **given)
        g = np.asarray(rng.standard_normal(loss.shape))
        own = grad.cross_entropy(x, g, target, weight, **given)
        if np.isnan(loss).any():  # a mean over nothing, on which nothing has an influence
            assert not own.any()
            continue
        (wanted,) = numeric(
            lambda x, t=target, w=weight, f=given, g=g: np.sum(
                g * fastconv.cross_entropy(x, t, w, **f)
            ),
            x,
        )
        np.testing.assert_allclose(own, wanted, rtol=1e-6, atol=1e-8)
        low = grad.cross_entropy(
            x.astype(np.float32),
            g.astype(np.float32),
            target.astype(np.float32) if target.dtype.kind == "f" else target,
            None if weight is None else weight.astype(np.float32),
            **given,
        )
        assert low.dtype == np.float32
        np.testing.assert_allclose(low, own, rtol=1e-4, atol=1e-5)


def test_facts_of_cross_entropy():
    x = np.zeros((2, 3), np.float32)
    empty = np.empty((0, 3), np.float32)
    nothing = np.empty(0, int)
    assert np.isnan(fastconv.cross_entropy(empty, nothing))
    assert fastconv.cross_entropy(empty, nothing, reduction="sum") == 0
    assert fastconv.cross_entropy(empty, nothing, reduction="none").shape == (0,)
    assert np.isnan(fastconv.cross_entropy(empty, empty))
    assert np.isnan(fastconv.cross_entropy(x, [-100, -100]))
    assert np.isnan(fastconv.cross_entropy(x, [0, 1], np.zeros(3, np.float32)))
    assert np.isnan(fastconv.cross_entropy(empty.T[:0].T, empty.T[:0].T))
    assert fastconv.cross_entropy(x, [-100, -100], reduction="sum") == 0
    bare = np.empty((2, 0), np.float32)
    assert np.isnan(fastconv.cross_entropy(bare, bare))
    assert fastconv.cross_entropy(bare, bare, reduction="sum") == 0
    assert np.isnan(fastconv.cross_entropy(bare, [-100, -100]))
    assert grad.cross_entropy(bare, 1, bare).shape == (2, 0)
    assert grad.cross_entropy(empty, 1, nothing).shape == (0, 3)
    # What is not counted may be anything.
    x[0] = np.nan
    assert fastconv.cross_entropy(x, [-100, 1]).round(6) == np.log(np.float32(3)).round(6)
    low = np.float32([[-np.inf, 0, 0]])
    assert fastconv.cross_entropy(low, [0]) == np.inf
    assert fastconv.cross_entropy(low, [1]).round(6) == np.log(np.float32(2)).round(6)
    assert fastconv.cross_entropy(np.float64([1, 1]), 1).shape == ()
    assert fastconv.cross_entropy(np.float64([1, 1]), [1]).shape == ()


def test_cross_entropy_writes_to_out(rng):
    x, target = rng.standard_normal((4, 3)), np.array([0, 2, 1, 1])
    out = np.empty(())
    assert fastconv.cross_entropy(x, target, out=out) is out
    assert out == fastconv.cross_entropy(x, target)
    whole = np.full(8, np.nan)
    out = whole[::2]
    assert fastconv.cross_entropy(x, target, reduction="none", out=out) is out
    np.testing.assert_array_equal(out, fastconv.cross_entropy(x, target, reduction="none"))
    assert np.isnan(whole[1::2]).all()
    out = np.empty((3, 4)).T
    assert grad.cross_entropy(x, 1, target, out=out) is out
    np.testing.assert_array_equal(out, grad.cross_entropy(x, 1.0, target))
    for out in (np.empty(2), np.empty((), np.float32), x[0, 0]):
        with pytest.raises((TypeError, ValueError), match="out"):
            fastconv.cross_entropy(x, target, out=out)
    with pytest.raises(ValueError, match="out overlaps x"):
        grad.cross_entropy(x, 1, target, out=x)


X, T, W = np.ones((2, 3), np.float32), np.array([0, 1]), np.ones(3, np.float32)
loss = fastconv.cross_entropy


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: fastconv.softmax(X), TypeError, ["dim"]),
        (lambda: fastconv.softmax(X, 2), ValueError, ["dim", "2"]),
        (lambda: fastconv.softmax(X, -3), ValueError, ["dim", "-3"]),
        (lambda: fastconv.softmax(X, 1.0), TypeError, ["dim", "1.0"]),
        (lambda: fastconv.softmax(X, True), TypeError, ["dim", "True"]),
        (lambda: fastconv.softmax(X, 2**70), ValueError, ["dim"]),
        (lambda: fastconv.softmax(X.astype(int), 1), TypeError, ["x", "int64"]),
        (lambda: fastconv.softmax(X > 0, 1, dtype="float32"), TypeError, ["x", "bool"]),
        (lambda: fastconv.log_softmax(np.ma.masked_array(X), 0), TypeError, ["x", "masked"]),
        (lambda: grad.softmax(X, X[:1], 1), ValueError, ["grad_output", "(1, 3)"]),
        (lambda: grad.softmax(X, X.astype(float), 1), TypeError, ["grad_output"]),
        (lambda: grad.log_softmax(X, X, 5), ValueError, ["dim", "5"]),
        (lambda: loss(X, [0, 3]), ValueError, ["target", "3"]),
        (lambda: loss(X, [0, -1]), ValueError, ["target", "-1"]),
        (lambda: loss(X, [[0], [1]]), ValueError, ["target", "(2, 1)", "(2,)"]),
        (lambda: loss(X, 1), ValueError, ["target", "()"]),
        (lambda: loss(X, [0]), ValueError, ["target", "(1,)"]),
        (lambda: loss(X[..., None], T), ValueError, ["target", "(2,)", "(2, 1)"]),
        (lambda: loss(X, np.zeros((2, 3), int)), ValueError, ["target", "(2, 3)"]),
        (lambda: loss(X, X[:, :2]), ValueError, ["target", "(2, 2)"]),
        (lambda: loss(X, X.astype(float)), TypeError, ["target", "float64"]),
        (lambda: loss(X, T > 0), TypeError, ["target", "bool"]),
        (lambda: loss(X, None), TypeError, ["target"]),
        (lambda: loss(np.float32(1), 0), ValueError, ["x", "scalar"]),
        (lambda: loss(X.astype(int), T), TypeError, ["x", "int64"]),
        (lambda: loss(X, T, W[:2]), ValueError, ["weight", "(2,)"]),
        (lambda: loss(X, T, W.astype(float)), TypeError, ["weight"]),
        (lambda: loss(X, T, None, None), TypeError, ["positional"]),
        (lambda: loss(X, T, reduction="average"), ValueError, ["reduction", "average"]),
        (lambda: loss(X, T, reduction=None), ValueError, ["reduction", "None"]),
        (lambda: loss(X, T, label_smoothing=1.5), ValueError, ["label_smoothing", "1.5"]),
        (lambda: loss(X, T, label_smoothing=-0.1), ValueError, ["label_smoothing", "-0.1"]),
        (lambda: loss(X, T, label_smoothing="1"), TypeError, ["label_smoothing"]),
        (lambda: loss(X, T, ignore_index=1.0), TypeError, ["ignore_index"]),
        (lambda: loss(X, X, ignore_index=1), ValueError, ["ignore_index", "1"]),
        (lambda: loss(np.empty((2, 0), "f4"), T), ValueError, ["target"]),
        (lambda: grad.cross_entropy(X, W, T), ValueError, ["grad_output", "(3,)"]),
        (lambda: grad.cross_entropy(X, 1, T, reduction="none"), ValueError, ["grad_output"]),
        (lambda: grad.cross_entropy(X, "1", T), TypeError, ["grad_output"]),
        (lambda: grad.cross_entropy(X, 1, [0, 5]), ValueError, ["target", "5"]),
    ],
)
def test_refusals(call, error, words):
    with pytest.raises(error) as refusal:
        call()
    for word in words:
        assert word in str(refusal.value)


def test_giants_are_refused_at_once():
    giant = np.broadcast_to(np.float32(1), (1, 2**56))
    for call in (
        lambda: fastconv.softmax(giant, 1),
        lambda: fastconv.log_softmax(giant, 0),
        lambda: grad.softmax(giant, giant, 1),
        lambda: fastconv.cross_entropy(giant, [3]),
        lambda: fastconv.cross_entropy(giant, giant),
        lambda: grad.cross_entropy(giant, 1, [3]),
        lambda: fastconv.cross_entropy(giant.T, np.broadcast_to(0, 2**56)),
    ):
        with pytest.raises((MemoryError, ValueError)):
            call()


def test_a_mean_over_no_weight_is_not_a_number_with_smoothing_either():
    x, weight = np.array([[1.0, 2.0]]), np.array([0.0, 1.0])
    form = {"weight": weight, "label_smoothing": 0.1}
    assert np.isnan(fastconv.cross_entropy(x, [0], **form))
    assert np.isnan(grad.cross_entropy(x, 1.0, [0], **form)).all()
