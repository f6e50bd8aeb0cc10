"""Gradients of convolution's weights and bias: every way, CPU level, layout and dtype."""

import numpy as np
import pytest

import expected
from fastconv import _core
from plans import CASES, FLOATS

WAYS = ("tiles", "planes")


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
                assert case.c * case.k > 1 or max(case.dilation) > 100, (case, level)
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
