"""The steps that graphs are compiled to: places in memory that do not fit are refused."""

import numpy as np
import pytest

from fastconv import _core
from fastconv._arguments import activation
from fastconv._plans import layer_of, plan_for


def image_place(block=0, offset=0, shape=(1, 3, 6, 7), strides=(126, 42, 7, 1)):
    return block, offset, shape, strides


BAD_PLACES = {
    "block": (image_place(block=2), "x is in block 2 of 2"),
    "before all blocks": (image_place(block=-1), "x is in block -1 of 2"),
    "offset": (image_place(offset=-4), "x must begin at a whole element, got -4"),
    "part of an element": (image_place(offset=2), "x must begin at a whole element, got 2"),
    "shape": (image_place(shape=(1, 3, 6, 8)), "x must have the shape"),
    "fewer strides": (image_place(strides=(42, 7, 1)), "x must have the shape"),
    "backwards": (image_place(strides=(126, 42, -7, 1)), "which the kernels cannot walk"),
    "apart": (image_place(strides=(252, 84, 14, 2)), "which the kernels cannot walk"),
    "far": (image_place(strides=(126, 2**62, 7, 1)), r"x cannot have \d+ elements"),
    "farther": (image_place(strides=(126, 2**80, 7, 1)), r"x cannot have \d+ elements"),
}


def steps_of_conv(rng, x, y=None):
    weight = rng.standard_normal((2, 3, 3, 3)).astype(np.float32)
    layer = layer_of(weight.shape, 2, "float32", 1, 1, 1, 1, False, None)
    plan = plan_for("x", (1, 3, 6, 7), weight.shape, layer)
    steps = _core.Steps(2)
    y = y or (1, 0, (1, 2, 6, 7), (84, 42, 7, 1))
    try:
        steps.conv(plan, plan.pack(weight), None, x, None, y)
    finally:
        # Steps that were refused do not run.
        blocks = [np.ones(126, np.float32), np.zeros(84, np.float32)]
        steps.run(blocks)
    return steps, blocks


@pytest.mark.parametrize("case", BAD_PLACES)
def test_places_out_of_bounds(case, rng):
    place, message = BAD_PLACES[case]
    with pytest.raises((ValueError, OverflowError), match=message):
        steps_of_conv(rng, place)


def test_blocks_that_do_not_fit(rng):
    steps, (x, y) = steps_of_conv(rng, image_place())
    assert y.any()
    fixed = y.copy()
    fixed.flags.writeable = False
    for blocks in ([x], [x, y, y], [x[:-1], y], [x, y[1:]], [x[::-1], y], [x, fixed], [x, None]):
        with pytest.raises(ValueError, match="block"):
            steps.run(blocks)
        with pytest.raises(ValueError, match="block"):
            steps.profile(blocks)
    (seconds,) = steps.profile([x, y])
    assert seconds > 0


def test_steps_without_plans_are_checked(rng):
    steps = _core.Steps(2)
    relu = activation("relu")
    for count, x, message in [
        (5, (0, 3), "whole element"),
        (-1, (0, 0), "cannot have -1 elements"),
        (5, (7, 0), "block 7 of 2"),
        (5, (-1, 0), "block -1 of 2"),
    ]:
        with pytest.raises(ValueError, match=message):
            steps.activate("float32", relu, count, x, (1, 0))
        with pytest.raises(ValueError, match=message):
            steps.activate("float32", relu, count, (0, 0), x)
    with pytest.raises(ValueError, match="no activation of int8"):
        steps.activate("int8", relu, 4, (0, 0), (1, 0))
    form = 3, 1.0, 0.75, 1.0
    with pytest.raises(ValueError, match="at least 1"):
        steps.response("float32", (1, 0, 4), *form, (0, 0), (1, 0))
    with pytest.raises(ValueError, match="beta"):
        steps.response("float32", (1, 2, 4), 3, 1.0, 0.6, 1.0, (0, 0), (1, 0))
    for _ in range(20):  # more than there was room for at first
        steps.activate("float32", relu, 5, (0, 0), (1, 4))
    x, y = rng.standard_normal(5).astype(np.float32), np.full(7, -1, np.float32)
    steps.run([x, y])
    np.testing.assert_array_equal(y, [-1, *np.maximum(x, 0), -1])
    assert len(steps.profile([x, y])) == 20
    with pytest.raises(ValueError, match="at most"):
        _core.Steps(_core.BLOCKS + 1)
