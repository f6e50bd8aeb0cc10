"""Gradients of the poolings: against differences in float64, by hand, and in every form."""

import numpy as np
import pytest

import fastconv
from fastconv import grad
from plans import FLOATS


def of(space, name, axes):
    return getattr(space, f"{name}{axes}d")


# name, arguments after the input; the gradient takes the input itself or, for averages, its size.
CALLS = [
    ("max_pool", (3, 2, 1), {}),
    ("max_pool", (2, 1, 0, 2, True), {}),
    ("max_pool", (2,), {}),
    ("avg_pool", (2,), {}),
    ("avg_pool", (3, 1, 1), {}),
    ("avg_pool", (3, 2, 1, True, False), {}),
    ("avg_pool", (2, 3, 0, True), {}),
    ("adaptive_max_pool", (3,), {}),
    ("adaptive_max_pool", (7,), {}),
    ("adaptive_avg_pool", (3,), {}),
    ("adaptive_avg_pool", (2,), {}),
    ("adaptive_avg_pool", (9,), {}),
    ("lp_pool", (2, 2), {}),
    ("lp_pool", (3.0, 3, 2, True), {}),
    ("lp_pool", (1, 2, 1), {}),
    ("lp_pool", (float("inf"), 2), {}),
    ("lp_pool", (-float("inf"), 2, 1), {}),
    ("global_avg_pool", (), {}),
    ("global_max_pool", (), {}),
]


def gradient(name, axes, x, grad_output, args, form):
    subject = x.shape if "avg" in name else x
    return of(grad, name, axes)(subject, grad_output, *args, **form)


def numeric(function, x, grad_output):
    """The derivative of sum(function(x) * grad_output), by differences."""
    result, step = np.empty_like(x), 1e-5
    for at in np.ndindex(x.shape):
        there, here = x.copy(), x.copy()
        there[at] += step
        here[at] -= step
        result[at] = np.sum((function(there) - function(here)) * grad_output) / (2 * step)
    return result


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("call", CALLS, ids=str)
def test_differences(call, axes, channels_last, rng):
    name, args, form = call
    shape = (2, *(6, 5, 4)[:axes], 2) if channels_last else (2, 2, *(6, 5, 4)[:axes])
    # Apart from each other and from 0, so that no difference changes which one is greatest.
    x = rng.permutation(np.arange(np.prod(shape))).reshape(shape) / 40 + 0.1
    form = form | {"channels_last": channels_last}
    function = of(fastconv, name, axes)
    grad_output = rng.standard_normal(function(x, *args, **form).shape)
    wanted = numeric(lambda x: function(x, *args, **form), x, grad_output)
    y = gradient(name, axes, x, grad_output, args, form)
    np.testing.assert_allclose(y, wanted, rtol=1e-6, atol=1e-8)
    one = gradient(name, axes, x[1], grad_output[1], args, form)
    np.testing.assert_array_equal(one, y[1])


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("channels_last", [False, True])
def test_unpooling(channels_last, axes, rng):
    sizes = (6, 5, 4)[:axes]
    x = rng.standard_normal((2, *sizes, 3) if channels_last else (2, 3, *sizes))
    form = {"channels_last": channels_last}
    maxima, at = of(fastconv, "max_pool", axes)(x, 2, return_indices=True, **form)
    unpool = of(fastconv, "max_unpool", axes)
    grad_output = rng.standard_normal(x.shape)
    back = of(grad, "max_unpool", axes)(at, grad_output, **form)
    assert back.shape == maxima.shape
    # The two are adjoint: <unpool(m), g> is <m, gradient(g)>.
    put = unpool(maxima, at, 2, output_size=sizes, **form)
    np.testing.assert_allclose(np.sum(put * grad_output), np.sum(maxima * back))
    np.testing.assert_array_equal(of(grad, "max_unpool", axes)(at, put, **form), maxima)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("args", [(3,), (2, 1, 1), (3, 2, 0, 1, True)])
def test_channels(args, channels_last, rng):
    shape = (2, 3, 4, 7) if channels_last else (2, 7, 3, 4)
    x = rng.permutation(np.arange(np.prod(shape))).reshape(shape) / 40
    form = {"channels_last": channels_last}
    grad_output = rng.standard_normal(fastconv.max_pool_channels(x, *args, **form).shape)
    wanted = numeric(lambda x: fastconv.max_pool_channels(x, *args, **form), x, grad_output)
    y = grad.max_pool_channels(x, grad_output, *args, **form)
    np.testing.assert_allclose(y, wanted, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("call", CALLS, ids=str)
def test_dtypes_and_views(call, dtype, rng):
    """Against float64, from views and into views; float16 is added up in float32."""
    name, args, form = call
    x = np.abs(rng.standard_normal((2, 70, 12, 9))).astype(dtype) + np.array(0.25, dtype)
    grad_output = rng.standard_normal(of(fastconv, name, 2)(x, *args).shape).astype(dtype)
    wanted = gradient(name, 2, x.astype(float), grad_output.astype(float), args, form)
    y = gradient(name, 2, x, grad_output, args, form)
    assert (y.dtype, y.shape, y.flags.c_contiguous) == (np.dtype(dtype), x.shape, True)
    unit = {"float16": 2**-10, "float32": 2**-20, "float64": 2**-48}[dtype]
    np.testing.assert_allclose(y, wanted, rtol=4 * unit, atol=8 * unit)
    views = [np.flip(np.flip(array, (1, 3)).copy(), (1, 3)) for array in (x, grad_output)]
    np.testing.assert_array_equal(gradient(name, 2, *views, args, form), y)
    big = np.full([size + 2 for size in x.shape], np.nan, dtype)
    out = big[tuple(slice(size, 0, -1) for size in x.shape)]
    assert gradient(name, 2, x, grad_output, args, form | {"out": out}) is out
    np.testing.assert_array_equal(out, y)
    assert np.isnan(big).sum() == big.size - y.size


def test_given_indices_save_the_search(rng):
    x = rng.integers(0, 4, (2, 3, 7, 8)).astype(np.float32)
    y, at = fastconv.max_pool2d(x, 3, 2, 1, return_indices=True)
    found = grad.max_pool2d(x, y, 3, 2, 1)
    np.testing.assert_array_equal(grad.max_pool2d(x, y, 3, 2, 1, indices=at), found)
    unseen = np.empty_like(x)
    np.testing.assert_array_equal(grad.max_pool2d(unseen, y, 3, 2, 1, indices=at), found)
    np.testing.assert_allclose(found.sum(), y.sum())


def test_windows_without_a_pixel_pass_nothing_on():
    x = np.ones((1, 2, 5), np.float32)
    y, at = fastconv.max_pool2d(x, 2, 1, 1, 3, return_indices=True)
    assert (at == -1).any()
    found = grad.max_pool2d(x, np.ones_like(y), 2, 1, 1, 3, indices=at)
    assert found.sum() == (at >= 0).sum()


def test_a_nan_stays_in_its_windows(rng):
    grad_output = np.ones((1, 1, 3, 3))
    grad_output[0, 0, 1, 1] = np.nan
    y = grad.avg_pool2d((1, 1, 6, 6), grad_output, 2)
    assert np.isnan(y).sum() == 4
    assert np.isnan(y[0, 0, 2:4, 2:4]).all()


def test_where_a_norm_is_zero_there_is_no_slope():
    x = np.array([[[0, 0, 3, 4.0]]])
    y = grad.lp_pool1d(x, np.full((1, 1, 2), 10.0), 2, 2)
    assert y.tolist() == [[[0, 0, 6, 8]]]


def test_an_empty_batch_has_an_empty_gradient():
    for name, args, form in CALLS:
        x = np.empty((0, 3, 6, 5))
        y = of(fastconv, name, 2)(x, *args)
        assert gradient(name, 2, x, y, args, form).shape == x.shape


@pytest.mark.parametrize("channels_last", [False, True])
def test_bits_do_not_depend_on_threads(channels_last, rng):
    x = rng.standard_normal((3, 40, 41, 70) if channels_last else (3, 70, 40, 41))
    for dtype in FLOATS:
        for name, args, form in CALLS[:2] + CALLS[4:6] + CALLS[9:12]:
            form = form | {"channels_last": channels_last}
            given = x.astype(dtype)
            y = of(fastconv, name, 2)(given, *args, **form)
            with fastconv.num_threads(1):
                wanted = gradient(name, 2, given, y, args, form)
            for threads in (2, 3):
                with fastconv.num_threads(threads):
                    assert gradient(name, 2, given, y, args, form).tobytes() == wanted.tobytes()


X = np.ones((1, 2, 4, 4), np.float32)
G = np.ones((1, 2, 2, 2), np.float32)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: grad.max_pool2d(X, G[0], 2), "grad_output has shape"),
        (lambda: grad.max_pool2d(X, G.astype(float), 2), "grad_output has dtype float64"),
        (lambda: grad.max_pool2d(X.astype(int), G, 2), "x has dtype int64"),
        (lambda: grad.max_pool2d(X, G, 0), "kernel size"),
        (lambda: grad.max_pool2d(X, G, 2, indices=G), "indices has dtype float32"),
        (lambda: grad.max_pool2d(X, G, 2, indices=np.full(G.shape, 16)), "got 16"),
        (lambda: grad.max_pool2d(X, G, 2, indices=np.full(G.shape, -2)), "got -2"),
        (lambda: grad.max_pool2d(X, G, 2, out=X), "out overlaps x"),
        (lambda: grad.max_pool2d(X, G, 2, out=X.astype(float)), "out has dtype"),
        (lambda: grad.avg_pool2d((1, 2, 4), G, 2), "grad_output has shape"),
        (lambda: grad.avg_pool2d((4, 4), G, 2), "input_size must have the axes"),
        (lambda: grad.avg_pool2d(4, G, 2), "input_size must be a sequence"),
        (lambda: grad.avg_pool2d((1, 2, 4, -4), G, 2), "negative"),
        (lambda: grad.avg_pool2d((1, 2, 2**40, 2**40), G, 2), "memory|shape"),
        (lambda: grad.avg_pool2d((1, 2, 4, 4), G.astype(int), 2), "dtype int64"),
        (lambda: grad.avg_pool2d((1, 2, 4, 4), G, 2, divisor_override=0), "divisor"),
        (lambda: grad.adaptive_avg_pool2d((1, 2, 4, 4), G, 3), "grad_output has shape"),
        (lambda: grad.lp_pool2d(X, G, 0, 2), "norm_type must not be 0"),
        (lambda: grad.max_unpool2d(np.zeros((1, 3, 2, 2), int), X), "channels differ"),
        (lambda: grad.max_unpool2d(np.full((1, 2, 2, 2), 99), X), "got 99"),
        (lambda: grad.max_pool_channels(X, G, 2), "grad_output has shape"),
    ],
)
def test_refusals(call, words):
    before = X.tobytes()
    with pytest.raises((ValueError, TypeError, MemoryError), match=words):
        call()
    assert X.tobytes() == before
