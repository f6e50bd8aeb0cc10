"""No byte outside the arrays: inputs and outputs flush against pages that nobody may touch.

A wrong access ends the test run with a segmentation fault, whose traceback names the test; writes
to inputs, which lie on read-only pages, do as well.
"""

import mmap
import sys

import numpy as np
import pytest

import fastconv
import plans
from conftest import SKIPS
from guarded import place
from plans import CASES, FLOATS, Case

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason=SKIPS["not linux"])

SIDES = ("start", "end")


def test_the_fence_holds():
    """The array fits to the byte, and its contents are whole."""
    array = np.arange(7, dtype=np.float32).reshape(1, 7)
    for side in SIDES:
        copy = place(array, side)
        assert np.array_equal(copy, array)
        address = copy.__array_interface__["data"][0] + (copy.nbytes if side == "end" else 0)
        assert address % mmap.PAGESIZE == 0


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("side", SIDES)
def test_convolution(side, channels_last, dtype, rng):
    for case in CASES:
        if case.n == 0:
            continue
        x, weight = case.arrays(rng, dtype, channels_last)
        bias = rng.standard_normal(len(weight)).astype(dtype)
        x, weight, bias = (place(array, side, read_only=True) for array in (x, weight, bias))
        shape = case.plan(dtype, channels_last=channels_last).out_shape
        residual = place(rng.standard_normal(shape).astype(dtype), side, read_only=True)
        wanted = None
        for plan in case.plans(dtype, channels_last=channels_last):
            out = place(np.full(shape, np.nan, dtype), side)
            plans.run(plan, x, weight, bias, residual, out)
            assert not np.isnan(out).any(), (case, plan.algorithm, plan.level)
            wanted = out if wanted is None else wanted
            tolerance = 0.05 if dtype == "float16" else 1e-3
            assert np.allclose(out, wanted, rtol=tolerance, atol=tolerance), (case, plan.algorithm)


@pytest.mark.parametrize("side", SIDES)
def test_rows_of_a_larger_image(side, rng):
    """Views: only their own first and last elements touch the fence."""
    for case in CASES[::3]:
        if case.n == 0:
            continue
        x, weight = case.arrays(rng, "float32")
        wide = np.zeros((*x.shape[:3], x.shape[3] + 3), np.float32)
        inner = (..., slice(3, None)) if side == "end" else (..., slice(-3))
        wide[inner] = x
        shape = case.plan("float32").out_shape
        for plan in case.plans("float32"):
            out = place(np.full((*shape[:3], shape[3] + 3), np.nan, np.float32), side)
            plans.run(plan, place(wide, side)[inner], weight, out=out[inner])
            assert np.isnan(out).sum() == out.size - out[inner].size, (case, plan.algorithm)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("dtype", [*FLOATS, "uint8", "int16", "int32", "int64"])
def test_pools(dtype, channels_last, side, level, rng):
    widths = (1, 2, 3, 4, 5, 7, 8, 9, 13, 15, 16, 17, 31, 32, 33, 34, 35, 65, 67)
    pools = [
        ((2, 2), (2, 2), (0, 0, 0, 0)),
        ((3, 3), (2, 2), (1, 1, 1, 1)),
        ((3, 3), (1, 1), (1, 1, 1, 1)),
        ((2, 3), (1, 2), (1, 0, 0, 1)),
        ((1, 5), (1, 3), (0, 0, 2, 2)),
    ]
    for width in widths:
        for kernel, stride, padding in pools:
            if width + sum(padding[2:]) < kernel[1]:
                continue
            shape = (1, 4, 5, width) if channels_last else (1, 2, 4, width)
            if channels_last and width < 5:
                shape = (1, 4, width + 4, 3)
            x = rng.integers(0, 100, shape).astype(dtype)
            x = place(x, side, read_only=True)
            form = {"channels_last": channels_last, "level": level}
            for kind in ("max", "avg"):
                if kind == "avg" and dtype not in FLOATS:
                    continue
                for ceil_mode in (False, True):
                    plan = plans.pool_plan(
                        kind, x, kernel, stride, padding, ceil_mode=ceil_mode, **form
                    )
                    out = place(np.full(plan.out_shape, 101, dtype), side)
                    plan.run(x, out, None)
                    assert (out <= 100).all()
                    if kind == "max":
                        at = place(np.full(plan.out_shape, -2), side)
                        plan.run(x, out, at)
                        assert at.min() >= -1


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("dtype", FLOATS)
def test_the_functions(dtype, side, rng):
    """What the Python layer hands on, and global averages and activations of every length."""
    for size in (1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33, 67):
        x = place(rng.standard_normal((2, size, 3, size)).astype(dtype), side, read_only=True)
        for channels_last in (False, True):
            fastconv.global_avg_pool2d(x, channels_last=channels_last)
        out = place(np.empty_like(x), side)
        np.testing.assert_array_equal(fastconv.relu(x, out=out), np.maximum(x, 0))
        weight = rng.standard_normal((5, size, 2, 1)).astype(dtype)
        conv = fastconv.Conv2d(weight, activation="tanh")
        out = place(np.empty((2, 5, 2, size), dtype), side)
        assert np.array_equal(conv(x, out=out), conv(x, out=out.copy()))


@pytest.mark.parametrize("side", SIDES)
def test_with_threads(side, rng):
    """The places where the work is cut are edges, too."""
    problems = [
        Case(1, 16, 40, 41, 33, 3, 3, padding=(1, 1, 1, 1)),
        Case(1, 1, 57, 55, 1, 3, 3, padding=(1, 1, 1, 1), groups=33),
        Case(2, 64, 19, 23, 65, 1, 1),
        Case(1, 128, 7, 7, 130, 3, 3, padding=(1, 1, 1, 1)),
    ]
    for case in problems:
        x, weight = case.arrays(rng, "float32")
        x = place(x, side, read_only=True)
        for plan in case.plans("float32"):
            for threads in (1, 3):
                out = place(np.full(plan.out_shape, np.nan, np.float32), side)
                with fastconv.num_threads(threads):
                    plans.run(plan, x, weight, out=out)
                assert not np.isnan(out).any()
