"""The oracle against answers known beforehand, and the vectorised references against the oracle."""

import inspect

import numpy as np
import pytest

import expected
import fastconv
from fastconv import reference
from plans import CASES

# The loops take a microsecond a product.
SMALL = [
    case
    for case in CASES
    if case.n * case.h * case.w * case.k * case.c * case.kh * case.kw * case.groups < 12_000
    and max(case.dilation) < 100
]

POOLS = [
    # plane, kernel, stride, padding, ceil_mode
    ((6, 7), (2, 2), None, 0, False),
    ((7, 8), (3, 2), (2, 2), (1, 1), False),
    ((7, 8), (3, 3), (2, 2), (1, 0), True),
    ((5, 5), (2, 2), (2, 3), 0, True),
    ((4, 9), (4, 3), (1, 4), ((2, 1), (0, 1)), True),
    ((5, 6), (3, 3), (1, 1), "same", False),
    ((2, 4), (3, 2), (2, 1), 0, True),
    ((1, 1), (1, 1), None, 0, False),
]


@pytest.mark.parametrize("name", reference.__all__)
def test_signatures_are_those_of_the_fast_functions(name):
    def form(function):
        parameters = inspect.signature(function).parameters.values()
        return [(p.name, p.kind, p.default) for p in parameters]

    assert form(getattr(reference, name)) == form(getattr(fastconv, name))


def test_a_convolution_worked_out_by_hand():
    x = np.array([[[1, 2, 3], [4, 5, 6], [7, 8, 9]]], np.float64)
    weight = np.array([[[[1, 0], [0, -1]]], [[[0, 2], [0, 0]]]], np.float64)
    y = reference.conv2d(x, weight, np.array([10.0, 0.0]))
    assert y.tolist() == [[[6, 6], [6, 6]], [[4, 6], [10, 12]]]
    padded = reference.conv2d(x, weight[:1], padding=((1, 0), (0, 1)), stride=2)
    assert padded.tolist() == [[[-2, 0], [-4, 6]]]


@pytest.mark.parametrize("case", SMALL[::2])
@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_vectorised_convolution(case, dtype, rng):
    x, weight = case.arrays(rng, dtype)
    bias = rng.standard_normal(case.k * case.groups).astype(dtype)
    y = reference.conv2d(x, weight, bias, **case.keywords())
    expected.assert_conv(y, x, weight, bias, **case.keywords())


@pytest.mark.parametrize(
    "activation",
    [
        None,
        "relu",
        "relu6",
        "sigmoid",
        "tanh",
        "silu",
        "hardswish",
        ("leaky_relu", 0.2),
        ("clip", -0.5, 1.5),
    ],
)
def test_vectorised_activations_and_residual(activation, rng):
    x, weight = rng.standard_normal((2, 3, 5, 4)), rng.standard_normal((4, 3, 2, 2))
    residual = 4 * rng.standard_normal((2, 4, 4, 3))
    y = reference.conv2d(x, weight, activation=activation, residual=residual)
    expected.assert_conv(y, x, weight, activation=activation, residual=residual)


def test_channels_last_is_the_same_problem(rng):
    x, weight = rng.standard_normal((2, 5, 6, 4)), rng.standard_normal((6, 2, 3, 2))
    y = reference.conv2d(x, weight, groups=2, channels_last=True)
    plain = reference.conv2d(np.moveaxis(x, -1, 1), weight, groups=2)
    assert np.array_equal(np.moveaxis(y, -1, 1), plain)


@pytest.mark.parametrize(("plane", "kernel", "stride", "padding", "ceil_mode"), POOLS)
@pytest.mark.parametrize("channels_last", [False, True])
def test_vectorised_pools(plane, kernel, stride, padding, ceil_mode, channels_last, rng):
    x = rng.standard_normal((2, *plane, 3) if channels_last else (2, 3, *plane))
    x[0, 0, 0, 0] = np.nan
    form = {"ceil_mode": ceil_mode, "channels_last": channels_last}
    y = reference.max_pool2d(x, kernel, stride, padding, **form)
    wanted = expected.max_pool2d(x, kernel, stride, padding, **form)
    np.testing.assert_array_equal(y, wanted)

    x = rng.standard_normal(x.shape)
    for counted, divisor in [(True, None), (False, None), (True, 5)]:
        rest = {"count_include_pad": counted, "divisor_override": divisor, **form}
        y = reference.avg_pool2d(x, kernel, stride, padding, **rest)
        expected.assert_within(y, *expected.avg_pool2d(x, kernel, stride, padding, **rest))


def test_maxima_prefer_the_first_and_the_last_nan():
    x = np.array([[[5, 1, 5], [5, 5, 2]]], np.float32)
    assert reference.max_pool2d(x, (2, 3), return_indices=True)[1].item() == 0
    x[0, 0, 1] = x[0, 1, 1] = np.nan
    value, index = reference.max_pool2d(x, (2, 3), return_indices=True)
    assert np.isnan(value.item())
    assert index.item() == 4
    x[...] = -np.inf
    value, index = reference.max_pool2d(x, 3, padding=1, stride=3, return_indices=True)
    assert value.item() == -np.inf
    assert index.item() == 0


def test_the_divisor_leaves_out_what_ceil_mode_adds():
    x = np.ones((1, 3, 3), np.float64)
    y = reference.avg_pool2d(x, 2, 2, 1, ceil_mode=True)
    assert y.tolist() == [[[0.25, 0.5], [0.5, 1.0]]]
    y = reference.avg_pool2d(x, 2, 2, ceil_mode=True)
    assert y.tolist() == [[[1, 1], [1, 1]]]


def test_out_is_written_and_returned(rng):
    x, weight = rng.standard_normal((1, 2, 4, 4)), rng.standard_normal((3, 2, 3, 3))
    big = np.full((1, 3, 2, 5), np.nan)
    out = big[..., ::3]
    assert reference.conv2d(x, weight, out=out) is out
    assert np.array_equal(out, reference.conv2d(x, weight))
    assert np.isnan(big[..., 1:3]).all()


def test_the_bound_catches_lower_precision(rng):
    """A bound that lets products of lower precision pass would be no bound."""
    x = rng.standard_normal((1, 32, 8, 8)).astype(np.float32)
    weight = rng.standard_normal((8, 32, 3, 3)).astype(np.float32)

    def truncated(array):
        return (array.view(np.uint32) & 0xFFFF0000).view(np.float32)

    value, bound = expected.conv(x, weight)
    low, _ = expected.conv(truncated(x), truncated(weight))
    expected.assert_within(value.astype(np.float32), value, bound)
    with pytest.raises(AssertionError, match="elements off"):
        expected.assert_within(low, value, bound)
