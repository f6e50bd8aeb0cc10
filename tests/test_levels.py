"""Every algorithm at every CPU level, in both layouts and all dtypes, against the error bound."""

from functools import lru_cache, partial

import numpy as np
import pytest

import expected
import fastconv
import plans
from plans import CASES, FLOATS, Case

ACTIVATIONS = [
    ("none", 0.0, 0.0),
    ("relu", 0.0, 0.0),
    ("relu6", 0.0, 0.0),
    ("sigmoid", 0.0, 0.0),
    ("tanh", 0.0, 0.0),
    ("silu", 0.0, 0.0),
    ("hardswish", 0.0, 0.0),
    ("leaky_relu", 0.125, 0.0),
    ("clip", -0.75, 1.5),
]

# One problem for each path of the epilogue: ragged tiles, single pixels, groups, no padding.
FUSED = [
    Case(2, 5, 8, 9, 19, 3, 3, padding=(1, 1, 1, 1)),
    Case(1, 17, 5, 6, 33, 1, 1),
    Case(1, 3, 9, 33, 16, 3, 3, stride=(2, 2)),
    Case(2, 1, 7, 19, 1, 3, 3, padding=(1, 1, 1, 1), groups=11),
    Case(1, 2, 6, 5, 3, 2, 2, groups=2),
]

POOLS = [
    # plane, kernel, stride, padding, dilation, ceil_mode
    ((9, 11), (2, 2), (2, 2), (0, 0, 0, 0), (1, 1), False),
    ((9, 35), (3, 3), (2, 2), (1, 1, 1, 1), (1, 1), False),
    ((8, 40), (3, 3), (1, 1), (1, 1, 1, 1), (1, 1), False),
    ((13, 29), (3, 3), (2, 2), (0, 0, 0, 0), (1, 1), True),
    ((7, 17), (5, 4), (1, 3), (2, 1, 0, 2), (1, 1), True),
    ((9, 18), (2, 3), (1, 1), (1, 0, 1, 1), (3, 2), False),
    ((6, 16), (1, 1), (1, 2), (0, 0, 0, 0), (1, 1), False),
    ((7, 7), (7, 7), (1, 1), (0, 0, 0, 0), (1, 1), False),
    ((2, 3), (3, 2), (2, 2), (0, 0, 0, 0), (1, 1), True),
    ((1, 1), (1, 1), (1, 1), (0, 0, 0, 0), (1, 1), False),
    ((5, 31), (2, 9), (3, 1), (0, 0, 4, 4), (1, 1), False),
    ((14, 67), (3, 3), (2, 2), (0, 1, 0, 1), (1, 1), False),
]
INTEGERS = [f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)]


def to_channels_last(array):
    return np.ascontiguousarray(np.moveaxis(array, 1, -1))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case)))
def test_convolution(case, dtype, rng):
    x, weight = case.arrays(rng, dtype)
    # With a 1×1 kernel a huge dilation means nothing.
    form = {} if max(case.dilation) > 100 else case.keywords()
    wanted = lru_cache(lambda algorithm: expected.conv(x, weight, algorithm=algorithm, **form))
    served = 0
    for channels_last in (False, True):
        image = to_channels_last(x) if channels_last else x
        for plan in case.plans(dtype, channels_last=channels_last):
            y = plans.run(plan, image, weight)
            if channels_last:
                y = np.moveaxis(y, -1, 1)
            what = f"{plan.algorithm} {plan.level} channels_last={channels_last}"
            expected.assert_within(y, *wanted(plan.algorithm), what)
            served += 1
    assert served >= 2 * len(fastconv.config()["levels"])


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda activation: activation[0])
@pytest.mark.parametrize(
    "case", FUSED, ids=["dense", "pointwise", "strided", "depthwise", "grouped"]
)
def test_fused(case, activation, dtype, rng):
    x, weight = case.arrays(rng, dtype)
    bias = rng.standard_normal(case.k * case.groups).astype(dtype)
    name, a, b = activation
    public = {"none": None, "leaky_relu": (name, a), "clip": (name, a, b)}.get(name, name)
    for channels_last in (False, True):
        image = to_channels_last(x) if channels_last else x
        shape = case.plan(dtype, channels_last=channels_last).out_shape
        residual = (3 * rng.standard_normal(shape)).astype(dtype)
        form = {**case.keywords(), "channels_last": channels_last, "activation": public}
        for with_bias, with_residual in [
            (True, True),
            (True, False),
            (False, True),
            (False, False),
        ]:
            extra = bias if with_bias else None, residual if with_residual else None
            wanted = partial(expected.conv, image, weight, extra[0], residual=extra[1], **form)
            for plan in case.plans(dtype, channels_last=channels_last, activation=activation):
                y = plans.run(plan, image, weight, *extra)
                what = (
                    f"{plan.algorithm} {plan.level} {channels_last=} {with_bias=} {with_residual=}"
                )
                expected.assert_within(y, *wanted(algorithm=plan.algorithm), what)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("dtype", [*FLOATS, *INTEGERS])
@pytest.mark.parametrize(("plane", "kernel", "stride", "padding", "dilation", "ceil_mode"), POOLS)
def test_max_pool(
    plane, kernel, stride, padding, dilation, ceil_mode, dtype, channels_last, level, rng
):
    # Few distinct values: ties decide about the indices.
    low, high = (-5, 6) if dtype[0] != "u" else (0, 11)
    c = 5 if channels_last else 2
    x = rng.integers(low, high, (2, *plane, c) if channels_last else (2, c, *plane)).astype(dtype)
    form = {"dilation": dilation, "ceil_mode": ceil_mode, "channels_last": channels_last}
    plan = plans.pool_plan("max", x, kernel, stride, padding, level=level, **form)
    sides = (padding[:2], padding[2:])
    value = expected.max_pool2d(x, kernel, stride, sides, **form)
    np.testing.assert_array_equal(plans.run_pool(plan, x), value)
    if x.size < 800:
        wanted, at = fastconv.reference.max_pool2d(
            x, kernel, stride, sides, return_indices=True, **form
        )
        y, indices = plans.run_pool(plan, x, indices=True)
        np.testing.assert_array_equal(y, wanted)
        np.testing.assert_array_equal(indices, at)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    ("plane", "kernel", "stride", "padding", "dilation", "ceil_mode"),
    [pool for pool in POOLS if pool[4] == (1, 1)],
)
def test_avg_pool(
    plane, kernel, stride, padding, dilation, ceil_mode, dtype, channels_last, level, rng
):
    c = 19 if channels_last else 3
    x = rng.standard_normal((2, *plane, c) if channels_last else (2, c, *plane)).astype(dtype)
    form = {"ceil_mode": ceil_mode, "channels_last": channels_last}
    for counted, divisor in [(True, 0), (False, 0), (True, 7)]:
        plan = plans.pool_plan(
            "avg",
            x,
            kernel,
            stride,
            padding,
            count_include_pad=counted,
            divisor=divisor,
            level=level,
            **form,
        )
        value, bound = expected.avg_pool2d(
            x,
            kernel,
            stride,
            (padding[:2], padding[2:]),
            count_include_pad=counted,
            divisor_override=divisor or None,
            **form,
        )
        expected.assert_within(plans.run_pool(plan, x), value, bound, f"{counted=} {divisor=}")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_batch_gives_each_sample_its_own_bits(dtype, level, rng):
    """The place of a sample in the batch does not matter, for any algorithm."""
    problems = [
        Case(5, 7, 9, 10, 18, 3, 3, padding=(1, 1, 1, 1)),
        Case(5, 1, 9, 10, 1, 3, 3, padding=(1, 1, 1, 1), groups=9),
        Case(5, 20, 5, 7, 18, 1, 1),
    ]
    for case in problems:
        x, weight = case.arrays(rng, dtype)
        for plan in case.plans(dtype):
            if plan.level == level:
                y = plans.run(plan, x, weight)
                rolled = plans.run(plan, np.roll(x, 2, axis=0), weight)
                assert rolled.tobytes() == np.roll(y, 2, axis=0).tobytes(), plan.algorithm
