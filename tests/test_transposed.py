"""Transposed convolution, and the gradient of convolution's input, which is the same sum."""

import copy
import itertools
import pickle

import numpy as np
import pytest

import expected
import fastconv
from fastconv import _core, grad
from plans import ALGORITHMS, NO_ACTIVATION, run

FUNCTIONS = {
    1: fastconv.conv_transpose1d,
    2: fastconv.conv_transpose2d,
    3: fastconv.conv_transpose3d,
}
INPUTS = {axes: getattr(grad, f"conv{axes}d_input") for axes in (1, 2, 3)}

# sizes, kernel, stride, padding, output_padding, dilation, groups
CASES = [
    ((5,), (3,), 1, 1, 0, 1, 1),
    ((4,), (5,), 3, 2, 2, 1, 2),
    ((4,), (3,), 2, 0, 0, 2, 1),
    ((4, 5), (3, 3), 1, 1, 0, 1, 1),
    ((4, 3), (3, 3), 2, 1, 1, 1, 2),
    ((3, 4), (2, 2), 2, 0, 0, 1, 1),
    ((3, 3), (1, 2), 3, 0, (2, 1), 1, 1),
    ((3, 5), (4, 3), (2, 3), (1, 0), (0, 1), (3, 2), 1),
    ((2, 2), (3, 3), 1, ((2, 0), (1, 2)), 0, 1, 1),
    ((1, 1), (5, 5), 2, 2, 1, 1, 1),
    ((3, 2, 3), (2, 3, 2), (2, 1, 2), 1, (1, 0, 1), 1, 1),
    ((2, 3, 2), (3, 1, 3), 2, (1, 0, 1), 1, (1, 1, 2), 2),
]


def arrays(case, rng, dtype, n=2, channels_last=False):
    sizes, kernel, *_, groups = case
    shape = (n, *sizes, 3 * groups) if channels_last else (n, 3 * groups, *sizes)
    x = rng.standard_normal(shape).astype(dtype)
    weight = rng.standard_normal((3 * groups, 2, *kernel)).astype(dtype)
    return x, weight, rng.standard_normal(2 * groups).astype(dtype)


def keywords(case):
    _, _, stride, padding, output_padding, dilation, groups = case
    return {
        "stride": stride,
        "padding": padding,
        "output_padding": output_padding,
        "dilation": dilation,
        "groups": groups,
    }


def assert_close(y, wanted, products=200):
    """The sums are of a few dozen products of normal numbers each."""
    assert (y.shape, y.dtype) == (wanted.shape, wanted.dtype)
    unit = expected.UNIT_ROUNDOFF[y.dtype.name]
    scale = 8 * (8 + np.sqrt(products)) * unit * 30
    rounding = 2.0**-10 if y.dtype == np.float16 else 0
    assert np.all(np.abs(y - wanted.astype(np.float64)) <= scale + rounding * np.abs(wanted))


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_against_the_oracle(case, channels_last, dtype, rng):
    axes = len(case[0])
    x, weight, bias = arrays(case, rng, dtype, channels_last=channels_last)
    form = {**keywords(case), "channels_last": channels_last, "activation": ("leaky_relu", 0.5)}
    y = FUNCTIONS[axes](x, weight, bias, **form)
    wanted = getattr(fastconv.reference, f"conv_transpose{axes}d")(x, weight, bias, **form)
    assert_close(y, wanted)
    residual = rng.standard_normal(y.shape).astype(dtype)
    out = residual.copy()
    FUNCTIONS[axes](x, weight, bias, **form, residual=out, out=out)
    oracle = getattr(fastconv.reference, f"conv_transpose{axes}d")
    assert_close(out, oracle(x, weight, bias, **form, residual=residual))


@pytest.mark.parametrize("case", [case for case in CASES if len(case[0]) == 2], ids=str)
def test_objects(case, rng):
    x, weight, bias = arrays(case, rng, "float32")
    form = keywords(case)
    conv = fastconv.ConvTranspose2d(weight, bias, **form)
    y = fastconv.conv_transpose2d(x, weight, bias, **form)
    assert_close(conv(x), y)
    assert_close(conv(x[1]), y[1])
    bigger = np.concatenate([x, x, x], axis=2)
    assert_close(conv(bigger), fastconv.conv_transpose2d(bigger, weight, bias, **form))
    for other in (pickle.loads(pickle.dumps(conv)), copy.copy(conv), copy.deepcopy(conv)):
        assert np.array_equal(other(x), conv(x))
    assert conv.parameters == weight.size + bias.size
    out = np.zeros((*y.shape, 2), np.float32)[..., 0]
    assert conv(x, out=out) is out
    assert np.array_equal(out, conv(x))
    conv.update(2 * weight)
    assert_close(conv(x), fastconv.conv_transpose2d(x, 2 * weight, **form))
    assert conv.bias is None
    assert "output_padding" in repr(conv)


def test_the_gradient_is_the_adjoint(rng):
    """The sum of conv(x) * g is that of x * grad(g), for any x and g: the definition."""
    tried = 0
    for size, kernel, stride, pads, dilation in itertools.product(
        (1, 4, 7), (1, 2, 3, 5), (1, 2, 3), ((0, 0), (1, 2), (3, 0)), (1, 2)
    ):
        form = {"stride": (stride, 1), "padding": (pads, (1, 1)), "dilation": (dilation, 1)}
        x = rng.standard_normal((2, 4, size, 5))
        weight = rng.standard_normal((6, 2, kernel, 3))
        if dilation * (kernel - 1) + 1 > size + sum(pads):
            continue
        y = fastconv.conv2d(x, weight, groups=2, **form)
        g = rng.standard_normal(y.shape)
        gradient = grad.conv2d_input(x.shape, weight, g, groups=2, **form)
        assert gradient.shape == x.shape
        assert np.isclose((y * g).sum(), (x * gradient).sum(), rtol=1e-11, atol=1e-11)
        tried += 1
    assert tried > 100


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_gradient_of_input_numerically(axes, rng):
    x = rng.standard_normal((1, 2, *(4, 3, 5)[-axes:]))
    weight = rng.standard_normal((3, 2, *(2, 2, 3)[-axes:]))
    conv = getattr(fastconv, f"conv{axes}d")
    form = {"stride": 2, "padding": 1}
    g = rng.standard_normal(conv(x, weight, **form).shape)
    gradient = INPUTS[axes](x.shape, weight, g, **form)
    step = 1e-6
    for at in np.ndindex(x.shape):
        moved = x.copy()
        moved[at] += step
        slope = ((conv(moved, weight, **form) - conv(x, weight, **form)) * g).sum() / step
        assert np.isclose(slope, gradient[at], rtol=1e-5, atol=1e-6)


def test_gradient_of_same_padding_unbatched_and_channels_last(rng):
    x, weight = rng.standard_normal((4, 6, 7)), rng.standard_normal((5, 4, 4, 3))
    y = fastconv.conv2d(x, weight, padding="same")
    gradient = grad.conv2d_input(x.shape, weight, y, padding="same")
    last = grad.conv2d_input(
        (6, 7, 4), weight, np.moveaxis(y, 0, -1), padding="same", channels_last=True
    )
    assert np.allclose(np.moveaxis(last, -1, 0), gradient, rtol=1e-12, atol=1e-12)
    out = np.empty((4, 6, 14))[..., ::2]
    assert grad.conv2d_input(x.shape, weight, y, padding="same", out=out) is out
    assert np.array_equal(out, gradient)


def test_outputs_without_input_are_the_bias(rng):
    """A stride beyond the kernel leaves outputs that no window reaches; an infinity stays away."""
    x = np.full((1, 1, 2, 2), np.inf, np.float32)
    y = fastconv.conv_transpose2d(x, np.ones((1, 1, 1, 1), np.float32), np.float32([-3]), stride=3)
    assert y.shape == (1, 1, 4, 4)
    assert np.isinf(y).sum() == 4
    assert (y == -3).sum() == 12


def test_empty_batch():
    y = fastconv.conv_transpose2d(np.empty((0, 3, 4, 4)), np.ones((3, 2, 2, 2)), stride=2)
    assert y.shape == (0, 2, 8, 8)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"output_padding": 2}, ["output_padding", "stride 2", "2"]),
        ({"output_padding": -1}, ["output_padding", "-1"]),
        ({"stride": 0}, ["stride", "at least 1", "0"]),
        ({"dilation": 0}, ["dilation", "at least 1", "0"]),
        ({"padding": -1}, ["padding", "at least 0", "-1"]),
        ({"padding": "same"}, ["padding", "same"]),
        ({"padding": 40}, ["kernel 3", "padding (40, 40)", "size"]),
        ({"groups": 2}, ["weight", "3 input channels", "2 groups"]),
        ({"groups": 0}, ["groups", "0"]),
        ({"bias": np.ones(3)}, ["bias", "(3,)", "(2,)"]),
        ({"weight": np.ones((4, 2, 3, 3))}, ["weight has 4", "x has 3"]),
        ({"weight": np.ones((3, 2, 3))}, ["weight", "(3, 2, 3)"]),
        ({"weight": np.ones((3, 2, 3, 0))}, ["weight", "0"]),
        ({"weight": np.ones((3, 2, 3, 3), np.float32)}, ["weight", "float32", "float64"]),
        ({"x": np.ones((3, 5))}, ["x", "(3, 5)"]),
        ({"stride": 2**62}, ["output"]),
        ({"out": np.ones((1, 2, 2, 2))}, ["out", "(1, 2, 2, 2)"]),
        ({"residual": np.ones((1, 2, 2, 2))}, ["residual", "(1, 2, 2, 2)"]),
    ],
)
def test_bad_input(change, words):
    arguments = {
        "x": np.ones((1, 3, 5, 5)),
        "weight": np.ones((3, 2, 3, 3)),
        "stride": 2,
        **change,
    }
    with pytest.raises((ValueError, TypeError)) as refusal:
        fastconv.conv_transpose2d(arguments.pop("x"), **arguments)
    assert not [word for word in words if word not in str(refusal.value)], str(refusal.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"grad_output": np.ones((1, 2, 3, 4))}, ["grad_output", "(1, 2, 3, 4)", "(1, 2, 3, 3)"]),
        ({"input_size": (1, 4, 5, 5)}, ["weight", "input has 4"]),
        ({"input_size": (5, 5)}, ["input_size", "(5, 5)"]),
        ({"input_size": 5}, ["input_size", "5"]),
        ({"grad_output": np.ones((1, 2, 3, 3), np.float32)}, ["grad_output", "float32"]),
    ],
)
def test_bad_gradients(change, words):
    arguments = {
        "input_size": (1, 3, 5, 5),
        "weight": np.ones((2, 3, 3, 3)),
        "grad_output": np.ones((1, 2, 3, 3)),
        **change,
    }
    with pytest.raises((ValueError, TypeError)) as refusal:
        grad.conv2d_input(**arguments)
    assert not [word for word in words if word not in str(refusal.value)], str(refusal.value)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize(
    ("groups", "cg", "kg", "window", "taps"),
    [
        (1, 37, 21, (3, 3), ((3, 2, -1), (3, 2, -1))),
        (2, 19, 33, (5, 5), ((5, 4, -2), (5, 4, -2))),
        (1, 3, 40, (5, 5), ((5, 4, -1), (5, 4, -1))),
        (9, 1, 1, (3, 3), ((3, 2, -1), (3, 2, -1))),
        (9, 1, 2, (5, 4), ((5, 3, -2), (4, 3, -1))),
        (1, 300, 34, (1, 1), ((1, 0, 1), (1, 0, 1))),
    ],
)
def test_weights_of_the_other_way_pack_alike(
    groups, cg, kg, window, taps, channels_last, dtype, rng
):
    """Every algorithm and level gives the bits of the same convolution with weights turned."""
    given = rng.standard_normal((groups, cg, kg, *window)).astype(dtype)
    chosen = [range(first, -1 if step < 0 else size, step) for size, first, step in taps]
    turned = given[..., list(chosen[0]), :][..., list(chosen[1])].swapaxes(1, 2)
    turned = np.ascontiguousarray(turned).reshape(groups * kg, cg, *map(len, chosen))
    given = given.reshape(groups * cg, kg, *window)
    shape = (2, 9, 11, groups * cg) if channels_last else (2, groups * cg, 9, 11)
    x = rng.standard_normal(shape).astype(dtype)
    served = set()
    for level in fastconv.config()["levels"]:
        for algorithm in ALGORITHMS:
            form = (
                *(2, groups * cg, (9, 11), groups * kg, cg, tuple(map(len, chosen)), (1, 1)),
                *((0, 1, 1, 0), (1, 1), groups, channels_last, dtype, NO_ACTIVATION, algorithm),
                *(level, False),
            )
            try:
                ordinary, other = _core.ConvPlan(*form), _core.ConvPlan(*form, taps)
            except ValueError:
                continue
            assert np.array_equal(run(ordinary, x, turned), run(other, x, given)), algorithm
            out = np.empty(other.out_shape, dtype)
            other.run(x, given, None, None, out)
            assert np.array_equal(run(other, x, given), out)
            served.add(algorithm)
    assert "im2col" in served
    with pytest.raises(ValueError, match="packed weights belong to another plan"):
        other.run(x, ordinary.pack(turned), None, None, out)


@pytest.mark.parametrize("taps", [((3, 2, -1), (3, 1, -1)), ((2, 1, -1), (3, 2, -1))])
def test_taps_lie_within_the_weight(taps):
    form = (1, 4, (9, 9), 4, 4, (3, 3), (1, 1), (0,) * 4, (1, 1), 1, False, "float32")
    with pytest.raises(ValueError, match="taps of the window lie outside of the weight"):
        _core.ConvPlan(*form, NO_ACTIVATION, "auto", None, False, taps)


def test_packing_uses_any_number_of_threads_for_the_same_bits(openmp, rng):
    weight = rng.standard_normal((256, 200, 3, 3)).astype(np.float32)
    x = rng.standard_normal((1, 256, 14, 14)).astype(np.float32)
    results = set()
    for threads in (1, 2, 5):
        with fastconv.num_threads(threads):
            y = fastconv.conv_transpose2d(x, weight, stride=2, padding=1)
            prepared = fastconv.ConvTranspose2d(weight, stride=2, padding=1)
            results.add((y.tobytes(), prepared(x).tobytes()))
    assert len(results) == 1
