"""Gradients of convolution's weights and bias: every way, CPU level, layout and dtype."""

import sys

import numpy as np
import pytest

import expected
import fastconv
from conftest import SKIPS
from fastconv import _core, grad
from guarded import place
from plans import CASES, FLOATS, Case

WAYS = ("tiles", "planes")
WEIGHT = {1: grad.conv1d_weight, 2: grad.conv2d_weight, 3: grad.conv3d_weight}
BIAS = {1: grad.conv1d_bias, 2: grad.conv2d_bias, 3: grad.conv3d_bias}
CONV = {1: fastconv.conv1d, 2: fastconv.conv2d, 3: fastconv.conv3d}

# Cut into several chunks, of rows, of columns, of images; with few pixels; large windows, of which
# an item takes some rows; wide strides and dilations, whose taps share no input; many groups.
BLOCKED = [
    Case(1, 160, 60, 91, 3, 3, 3, padding=(1, 1, 1, 1)),
    Case(3, 230, 40, 37, 3, 2, 3, stride=(2, 1), padding=(0, 1, 1, 0)),
    Case(9, 5, 28, 28, 140, 1, 1),
    Case(9, 170, 28, 28, 4, 1, 1),
    Case(2, 240, 1, 4300, 1, 1, 3, padding=(0, 0, 2, 2)),
    Case(1, 4, 19001, 1, 70, 3, 1, stride=(2, 1)),
    Case(1, 3, 150, 160, 33, 3, 3),
    Case(3, 3, 61, 67, 40, 7, 7, stride=(2, 2), padding=(3, 3, 3, 3)),
    Case(1, 15, 16, 17, 20, 11, 11, padding=(5, 5, 5, 5)),
    Case(2, 3, 35, 36, 17, 31, 29),
    Case(1, 60, 70, 70, 17, 2, 3, dilation=(60, 29), padding=(3, 4, 5, 6)),
    Case(7, 150, 90, 90, 5, 2, 2, dilation=(60, 60)),
    Case(2, 20, 90, 90, 17, 2, 2, stride=(23, 19)),
    Case(2, 6, 30, 31, 40, 3, 3, stride=(9, 9), dilation=(5, 4)),
    Case(4, 4, 9, 11, 20, 3, 3, padding=(1, 1, 1, 1), groups=16),
    Case(1, 1, 150, 301, 1, 3, 3, padding=(1, 1, 1, 1), groups=5),
    Case(3, 1, 70, 99, 2, 5, 5, stride=(2, 2), padding=(2, 2, 2, 2), groups=17),
    Case(2, 3, 34, 35, 5, 4, 3, dilation=(3, 2), groups=4),
]
# n, c, sizes, k, kernel, stride, padding, dilation, groups; c and k count the channels of a group.
AXES = [
    (2, 3, (29,), 17, (5,), (1,), ((2, 1),), (1,), 1),
    (1, 40, (100,), 33, (3,), (2,), ((1, 1),), (2,), 1),
    (3, 1, (64,), 1, (7,), (1,), ((3, 3),), (1,), 12),
    (2, 3, (5, 9, 11), 18, (3, 3, 3), (1, 1, 1), ((1, 1), (1, 1), (1, 1)), (1, 1, 1), 1),
    (1, 17, (4, 6, 15), 33, (3, 3, 3), (2, 1, 1), ((2, 0), (1, 1), (0, 2)), (1, 1, 1), 1),
    (1, 4, (7, 8, 9), 18, (2, 3, 3), (1, 2, 2), ((0, 1), (1, 1), (1, 1)), (2, 1, 1), 2),
    (1, 1, (5, 7, 20), 1, (3, 3, 3), (1, 1, 1), ((1, 1), (1, 1), (1, 1)), (1, 1, 1), 9),
    (2, 16, (3, 5, 6), 17, (1, 1, 1), (2, 1, 2), ((1, 0), (0, 0), (0, 0)), (1, 1, 1), 1),
    (1, 5, (9, 1, 1), 20, (4, 1, 1), (2, 1, 1), ((3, 3), (0, 0), (0, 0)), (2, 1, 1), 1),
    (2, 12, (60, 6, 7), 18, (3, 2, 2), (1, 1, 1), ((9, 0), (0, 0), (0, 0)), (7, 1, 1), 1),
]


def to_channels_last(array):
    return np.ascontiguousarray(np.moveaxis(array, 1, -1))


def weight_plan(case, dtype, *, channels_last=False, way="auto", level=None):
    """Make the plan for a problem of `plans.Case`."""
    return _core.WeightPlan(
        *(case.n, case.c * case.groups, (case.h, case.w), case.k * case.groups, case.c),
        *((case.kh, case.kw), case.stride, case.padding, case.dilation, case.groups),
        *(channels_last, dtype, way, level),
    )


def weight_plans(case, dtype, channels_last=False):
    for level in _core.config()["levels"]:
        for way in WAYS:
            try:
                plan = weight_plan(case, dtype, channels_last=channels_last, way=way, level=level)
            except ValueError:
                assert way == "planes", (case, level)
                assert case.k > 1 or max(*case.dilation, *case.stride) > 60, (case, level)
                continue
            yield plan


def run(plan, x, grad_output, out=None):
    if out is None:
        out = np.full(plan.weight_shape, np.nan, x.dtype)
    plan.run(x, grad_output, out)
    return out


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case)))
def test_every_way_and_level(case, dtype, rng):
    x, _ = case.arrays(rng, dtype)
    shape = weight_plan(case, dtype).out_shape
    grad_output = rng.standard_normal(shape).astype(dtype)
    form = {} if max(case.dilation) > 100 else case.keywords()
    wanted = expected.conv_weight(x, (case.kh, case.kw), grad_output, **form)
    for channels_last in (False, True):
        arrays = [to_channels_last(a) if channels_last else a for a in (x, grad_output)]
        for plan in weight_plans(case, dtype, channels_last):
            what = f"{plan.algorithm} {plan.level} {channels_last=}: {plan.blocking}"
            expected.assert_within(run(plan, *arrays), *wanted, what)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", BLOCKED, ids=lambda case: "-".join(map(str, case)))
def test_blocked(case, dtype, rng):
    """Problems that are cut, of both layouts; sums of float16 are those of float32."""
    x, _ = case.arrays(rng, dtype)
    shape = weight_plan(case, dtype).out_shape
    grad_output = rng.standard_normal(shape).astype(dtype)
    wanted = expected.conv_weight(x, (case.kh, case.kw), grad_output, **case.keywords())
    for channels_last in (False, True):
        arrays = [to_channels_last(a) if channels_last else a for a in (x, grad_output)]
        for plan in weight_plans(case, dtype, channels_last):
            what = f"{plan.algorithm} {plan.level} {channels_last=}: {plan.blocking}"
            expected.assert_within(run(plan, *arrays), *wanted, what)


def arrays_of(case, rng, dtype="float32", channels_last=False):
    """Return the input, the shape of the weights, dy, and the other arguments by name."""
    n, c, sizes, k, kernel, stride, padding, dilation, groups = case
    x = rng.standard_normal((n, c * groups, *sizes)).astype(dtype)
    weight_size = (k * groups, c, *kernel)
    form = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    shape = fastconv.conv_output_shape(x.shape, weight_size, **form)
    grad_output = rng.standard_normal(shape).astype(dtype)
    if channels_last:
        x, grad_output = map(to_channels_last, (x, grad_output))
        form["channels_last"] = True
    return x, weight_size, grad_output, form


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("case", AXES, ids=str)
def test_one_and_three_axes(case, channels_last, dtype, rng):
    x, weight_size, grad_output, form = arrays_of(case, rng, dtype, channels_last)
    axes = len(weight_size) - 2
    value, bound = expected.conv_weight(x, weight_size[2:], grad_output, **form)
    wide = np.empty((*weight_size[:-1], 2 * weight_size[-1]), dtype)
    for out in (None, wide[..., ::2]):
        result = WEIGHT[axes](x, weight_size, grad_output, **form, out=out)
        assert out is None or result is out
        assert result.dtype == dtype
        expected.assert_within(result, value, bound)
    for level in _core.config()["levels"]:
        steps = sum(form["padding"], ())
        n, c, sizes, k, kernel, stride, _, dilation, groups = case
        plan = _core.WeightPlan(
            *(n, c * groups, sizes, k * groups, c, kernel, stride, steps, dilation, groups),
            *(channels_last, dtype, "auto", level),
        )
        expected.assert_within(run(plan, x, grad_output), value, bound, level)
    single = WEIGHT[axes](x[0], weight_size, grad_output[0], **form)
    value, bound = expected.conv_weight(x[:1], weight_size[2:], grad_output[:1], **form)
    expected.assert_within(single, value, bound, "unbatched")


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_against_numeric_gradients(axes, rng):
    """The loss sum(conv * g) is linear in the weights: differences are exact but for rounding."""
    sizes, kernel = (4, 5, 6)[-axes:], (2, 3, 2)[-axes:]
    x = rng.standard_normal((2, 4, *sizes))
    weight = rng.standard_normal((6, 2, *kernel))
    bias = rng.standard_normal(6)
    form = {"stride": 2, "padding": [(1, 0)] * axes, "groups": 2}
    convolve = getattr(fastconv.reference, f"conv{axes}d")
    g = rng.standard_normal(convolve(x, weight, **form).shape)

    def loss(weight, bias):
        return (convolve(x, weight, bias, **form) * g).sum()

    gradient = WEIGHT[axes](x, weight.shape, g, **form)
    for at in rng.choice(weight.size, 12, replace=False):
        step = np.zeros(weight.size)
        step[at] = 1
        step = step.reshape(weight.shape)
        numeric = (loss(weight + step, bias) - loss(weight - step, bias)) / 2
        assert abs(numeric - gradient.flat[at]) < 1e-11
    for at, value in enumerate(BIAS[axes](g)):
        numeric = (loss(weight, bias + np.eye(6)[at]) - loss(weight, bias - np.eye(6)[at])) / 2
        assert abs(numeric - value) < 1e-11


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_bias(axes, dtype, rng):
    sizes = (3, 37, 41)[-axes:]
    g = rng.standard_normal((3, 7, *sizes)).astype(dtype)
    over = (0, *range(2, axes + 2))
    value, magnitude = g.astype(np.longdouble).sum(over), np.abs(g.astype(np.longdouble)).sum(over)
    bound = expected.error_bound(magnitude, g.size // 7, dtype)
    bound += expected.final_rounding(value, bound, dtype)
    for array, channels_last in ((g, False), (to_channels_last(g), True)):
        result = BIAS[axes](array, channels_last=channels_last)
        assert result.dtype == dtype
        expected.assert_within(result, value, bound)
    assert BIAS[axes](g[1]).shape == (7,)
    assert BIAS[axes](g[::-1, :, ..., ::-2]).shape == (7,)
    np.testing.assert_array_equal(BIAS[axes](g[:0]), np.zeros(7, dtype))
    with pytest.raises(ValueError, match="grad_output must have the axes"):
        BIAS[axes](g[0, 0])


def test_forms_of_arrays(rng):
    x = rng.standard_normal((2, 6, 9, 10)).astype(np.float32)
    g = rng.standard_normal((2, 8, 9, 10)).astype(np.float32)
    size = (8, 3, 3, 3)
    wanted = grad.conv2d_weight(x, size, g, padding="same", groups=2)
    views = [
        (np.asfortranarray(x), np.asfortranarray(g)),
        (x.astype(">f4"), g.astype(">f4")),
        (x[:, :, ::-1][:, :, ::-1], g[:, :, :, ::-1][:, :, :, ::-1]),
        (np.repeat(x, 2, -1)[..., ::2], np.repeat(g, 2, 1)[:, ::2]),
        (x.tolist(), g.tolist()),
    ]
    for a, b in views[:-1]:
        assert np.array_equal(grad.conv2d_weight(a, size, b, 1, "same", groups=2), wanted)
    a, b = views[-1]
    assert grad.conv2d_weight(a, size, b, padding=1, groups=2).dtype == np.float64
    empty = grad.conv2d_weight(x[:0], size, g[:0], padding=1, groups=2)
    assert np.array_equal(empty, np.zeros(size, np.float32))


def test_errors(rng):
    x = np.zeros((2, 6, 9, 10), np.float32)
    g = np.zeros((2, 8, 7, 8), np.float32)
    size = (8, 6, 3, 3)
    out = np.full(size, 7, np.float32)
    for error, match, arguments in [
        (ValueError, "grad_output has shape", (x, size, g[:, :, 1:])),
        (ValueError, "input has 6 in 1 group", (x, (8, 5, 3, 3), g)),
        (ValueError, "weight must have the axes", (x, (8, 6, 3), g)),
        (ValueError, "weight_size must not hold negative", (x, (8, 6, -3, 3), g)),
        (ValueError, "weight height must be at least 1", (x, (8, 6, 0, 3), g)),
        (TypeError, "weight_size must be a sequence", (x, 8, g)),
        (TypeError, "grad_output has dtype float64", (x, size, g.astype(np.float64))),
        (TypeError, "x has dtype int64", (x.astype(int), size, g)),
        (TypeError, "x is a masked array", (np.ma.array(x), size, g)),
        (ValueError, "stride along the height", (x, size, g, 0)),
        (ValueError, "dilation along the height", (x, size, g, 1, 0, 0)),
        (ValueError, "groups 4 does not divide", (x, size, g, 1, 0, 1, 4)),
        (ValueError, "does not fit the input", (x, (8, 6, 30, 3), g)),
        (MemoryError, "no memory for a plan", (x, (2**50, 6, 3, 3), g)),
    ]:
        with pytest.raises(error, match=match):
            grad.conv2d_weight(*arguments, out=out)
    assert (out == 7).all()
    for bad, match in [
        (out[:7], "out has shape"),
        (out.astype(np.float64), "out has dtype"),
        (np.broadcast_to(out, out.shape), "out is read-only"),
        (g.reshape(-1)[:432].reshape(8, 6, 3, 3), "out overlaps grad_output"),
    ]:
        with pytest.raises(ValueError, match=match):
            grad.conv2d_weight(x, size, g, out=bad)


def test_what_is_not_a_number_stays_where_it_is_seen(rng):
    """A window's taps that never see the pixel, and other channels, are as without it."""
    for case in (Case(1, 1, 9, 21, 1, groups=4), Case(1, 20, 9, 21, 17), Case(1, 2, 9, 21, 3)):
        x, _ = case.arrays(rng, "float32")
        for plan in weight_plans(case, "float32"):
            grad_output = rng.standard_normal(plan.out_shape).astype(np.float32)
            plain = run(plan, x, grad_output)
            for bad in (np.nan, np.inf):
                spoiled = x.copy()
                spoiled[0, 0, 8, 20] = bad  # only the last tap sees the last corner
                result = run(plan, spoiled, grad_output)
                where = np.zeros(result.shape, bool)
                where[: case.k, 0, 2, 2] = True
                assert not np.isfinite(result[where]).any(), plan.level
                assert np.array_equal(result[~where], plain[~where]), (plan.algorithm, plan.level)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_same_bits_on_any_number_of_threads(openmp, dtype, rng):
    problems = [
        Case(2, 70, 60, 60, 40, 3, 3, padding=(1, 1, 1, 1)),
        Case(2, 128, 28, 29, 100, 1, 1),
        Case(1, 24, 30, 31, 40, 3, 3, groups=32),
        Case(3, 1, 57, 55, 1, 3, 3, padding=(1, 1, 1, 1), groups=70),
        Case(1, 3, 100, 101, 48, 7, 7, stride=(2, 2)),
    ]
    for case in problems:
        x, _ = case.arrays(rng, dtype)
        for plan in weight_plans(case, dtype):
            grad_output = rng.standard_normal(plan.out_shape).astype(dtype)
            results = set()
            for threads in (1, 2, 3, 7):
                with fastconv.num_threads(threads):
                    results.add(run(plan, x, grad_output).tobytes())
            assert len(results) == 1, (case, plan.algorithm, plan.level)


@pytest.mark.skipif(sys.platform == "win32", reason=SKIPS["not linux"])
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("side", ["start", "end"])
def test_no_byte_outside_the_arrays(side, channels_last, dtype, rng):
    for case in CASES[::2]:
        if case.n == 0:
            continue
        x, _ = case.arrays(rng, dtype, channels_last)
        x = place(x, side, read_only=True)
        shape = weight_plan(case, dtype, channels_last=channels_last).out_shape
        grad_output = rng.standard_normal(shape).astype(dtype)
        grad_output = place(grad_output, side, read_only=True)
        for plan in weight_plans(case, dtype, channels_last):
            out = place(np.full(plan.weight_shape, np.nan, dtype), side)
            run(plan, x, grad_output, out)
            assert not np.isnan(out).any(), (case, plan.algorithm, plan.level)


def test_plan_checks_its_arrays(rng):
    case = Case()
    plan = weight_plan(case, "float32")
    x, out = case.arrays(rng, "float32")
    grad_output = np.zeros(plan.out_shape, np.float32)
    for arrays in [
        (x[..., 1:], grad_output, out),
        (x, grad_output[:, 1:], out),
        (x, grad_output, out[1:]),
        (x, grad_output.astype(np.float64), out),
        (x, grad_output, np.asfortranarray(out)),
    ]:
        with pytest.raises(ValueError, match="must"):
            plan.run(*arrays)
    with pytest.raises(ValueError, match="algorithm 'direct' is not one of auto, tiles, planes"):
        weight_plan(case, "float32", way="direct")
