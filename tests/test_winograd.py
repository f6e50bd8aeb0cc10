"""Winograd's matrices are those that the tool derives, and their error is what the notes say."""

import re
import runpy
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import expected
import fastconv
import plans
from plans import Case

ROOT = Path(__file__).parents[1]
TOOL = runpy.run_path(str(ROOT / "tools" / "winograd_matrices.py"))


def kernel_g(form):
    """Return the rows of G as the C source writes them."""
    source = (ROOT / "csrc" / "kernels" / "winograd.inc").read_text()
    body = re.search(rf"FN\(wino_g_{form}\)\)?\[.*?\] = \{{(.*?)\}};", source, re.DOTALL)[1]
    return [Fraction(entry.replace(". ", "").replace(" ", "")) for entry in body.split(",")]


@pytest.mark.parametrize("form", TOOL["FORMS"])
def test_the_identity_holds_exactly(form):
    TOOL["check"](*TOOL["FORMS"][form])


@pytest.mark.parametrize("form", TOOL["FORMS"])
def test_the_kernels_weights_transform_is_the_derived_one(form):
    _, g, _ = TOOL["matrices"](*TOOL["FORMS"][form])
    assert kernel_g(form[1:]) == [value for row in g for value in row]


@pytest.mark.parametrize("r", [3, 5])
def test_error_on_scaled_layers(r, level, rng):
    """At most 2e-5 of the largest output, on random layers with He's scale of the weights."""
    case = Case(1, 96, 30, 29, 40, r, r, padding=(r // 2,) * 4)
    x, weight = case.arrays(rng, "float32")
    weight *= np.float32(np.sqrt(2 / (case.c * r * r)))
    value, _ = expected.conv(x, weight, **case.keywords())
    for algorithm in ("winograd_f43", "winograd_f23", "winograd_f25"):
        if int(algorithm[-1]) == r:
            plan = case.plan("float32", algorithm=algorithm, level=level)
            error = np.abs(plans.run(plan, x, weight) - value).max()
            assert error <= 2e-5 * np.abs(value).max(), algorithm


def test_the_best_form_can_be_asked_for_by_the_common_name():
    case = Case(1, 64, 56, 56, 64, padding=(1, 1, 1, 1))
    assert case.plan("float32", algorithm="winograd").algorithm == "winograd_f43"
    with pytest.raises(ValueError, match=r"7x7 window.*it takes 3x3 windows, or .*5x5 windows"):
        Case(kh=7, kw=7, h=9).plan("float32", algorithm="winograd")
    with pytest.raises(ValueError, match=r"groups?: it takes stride 1$"):
        Case(kh=3, kw=3, h=9, stride=(2, 2)).plan("float32", algorithm="winograd")
    with pytest.raises(ValueError, match="it computes in float32"):
        case.plan("float64", algorithm="winograd")


@pytest.mark.parametrize(("form", "size", "m"), [("f43", 3, 4), ("f23", 3, 2), ("f25", 5, 2)])
def test_errors_follow_the_largest_pixels_of_a_tile(form, size, m, rng):
    """Narrow and sparse images, and weights of which some are a hundred thousand times smaller."""
    pad = size // 2
    for _ in range(200):
        (c, k), (h, w) = rng.integers(1, 5, 2), rng.integers(1, 10, 2)
        x = rng.standard_normal((1, c, h, w)) * (rng.random((1, c, h, w)) < rng.choice([0.1, 1]))
        weight = rng.standard_normal((k, c, size, size)) * 10.0 ** rng.integers(-5, 1, (size, size))
        x, weight = x.astype(np.float32), weight.astype(np.float32)
        y = fastconv.conv2d(x, weight, padding=pad, algorithm=f"winograd_{form}")
        exact, _ = expected.conv(x, weight, padding=pad)
        around = np.pad(abs(x[0]).astype(float), ((0, 0), (pad, pad + m), (pad, pad + m)))
        sums = abs(weight).sum((2, 3), dtype=float)
        for i, j in np.ndindex(-(-h // m), -(-w // m)):
            tile = (..., slice(i * m, i * m + m), slice(j * m, j * m + m))
            read = around[:, i * m : i * m + m + size - 1, j * m : j * m + m + size - 1]
            bound = 4 * expected.error_bound(sums @ read.max((1, 2)), c * size**2, "float32")
            assert (abs(y - exact)[0][tile].max((1, 2)) <= bound).all()
