"""Gradients of dense layers."""

import numpy as np
import pytest

import expected
from fastconv import grad, linear
from plans import FLOATS
from test_linear import arrays, dense


@pytest.mark.parametrize("shape", [(7,), (1, 7), (5, 7), (2, 3, 7), (40, 7), (0, 7), (3, 0)])
@pytest.mark.parametrize("k", [6, 1, None])
@pytest.mark.parametrize("dtype", FLOATS)
def test_gradients(shape, k, dtype, rng):
    """Of the sum of the products of the result with some numbers, which is linear in each."""
    x = rng.standard_normal(shape).astype(dtype)
    weight = rng.standard_normal((*(() if k is None else (k,)), shape[-1])).astype(dtype)
    g = rng.standard_normal((*shape[:-1], *weight.shape[:-1])).astype(dtype)
    gx, gw = grad.linear_input(weight, g), grad.linear_weight(x, g)
    assert (gx.shape, gx.dtype) == (x.shape, x.dtype)
    assert (gw.shape, gw.dtype) == (weight.shape, weight.dtype)
    if x.size:
        samples, rows = x.reshape(-1, shape[-1]), weight.reshape(-1, shape[-1])
        grads = g.reshape(-1, len(rows))
        expected.assert_within(gx.reshape(samples.shape), *dense(grads, rows.T))
        expected.assert_within(gw.reshape(rows.shape), *dense(grads.T, samples.T))
    else:
        assert not gw.any()
    if k is not None:
        gb = grad.linear_bias(g)
        assert (gb.shape, gb.dtype) == ((k,), g.dtype)
        total = g.reshape(-1, k).astype(np.float64).sum(axis=0)
        np.testing.assert_array_equal(gb, total.astype(dtype))


def test_gradients_are_the_slopes(rng):
    """Differences of the layer itself, in float64: it is linear, so that they are all but exact."""
    x, weight, bias = arrays(rng, 3, 5, 4, "float64")
    g = rng.standard_normal((3, 4))

    def loss(x, weight, bias):
        return float((linear(x, weight, bias) * g).sum())

    parts = {"x": x, "weight": weight, "bias": bias}
    found = {
        "x": grad.linear_input(weight, g),
        "weight": grad.linear_weight(x, g),
        "bias": grad.linear_bias(g),
    }
    for name, array in parts.items():
        for at in np.ndindex(array.shape):
            ahead, behind = array.copy(), array.copy()
            ahead[at] += 0.5
            behind[at] -= 0.5
            slope = loss(**{**parts, name: ahead}) - loss(**{**parts, name: behind})
            assert abs(slope - found[name][at]) < 1e-11


def test_gradients_into_out_and_their_errors(rng):
    x, weight, _ = arrays(rng, 3, 5, 4)
    g = rng.standard_normal((3, 4)).astype(np.float32)
    for call, shape in [
        (lambda out=None: grad.linear_input(weight, g, out=out), (3, 5)),
        (lambda out=None: grad.linear_weight(x, g, out=out), (4, 5)),
        (lambda out=None: grad.linear_bias(g, out=out), (4,)),
    ]:
        wanted = call()
        out = np.zeros((*shape, 2), np.float32)[..., 0]
        assert call(out) is out
        assert np.array_equal(out, wanted)
        with pytest.raises(ValueError, match="out has shape"):
            call(np.zeros((*shape, 1), np.float32))
    with pytest.raises(ValueError, match=r"out overlaps grad_output"):
        grad.linear_bias(g, out=g[0])
    with pytest.raises(ValueError, match=r"grad_output has shape \(3, 3\)"):
        grad.linear_input(weight, g[:, :3])
    with pytest.raises(ValueError, match=r"grad_output has shape \(2, 4\)"):
        grad.linear_weight(x, g[:2])
    with pytest.raises(TypeError, match="grad_output"):
        grad.linear_input(weight, g.astype(np.float64))
    with pytest.raises(ValueError, match="weight"):
        grad.linear_input(weight[np.newaxis], g)
    with pytest.raises(ValueError, match="grad_output"):
        grad.linear_bias(np.float32(3))


# -- what courses teach ----------------------------------------------------------------------------
