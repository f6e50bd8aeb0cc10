"""Gradients of convolution's weights and bias agree with torch on random samples.

Its refusals too, our extensions apart.
"""

import numpy as np
import pytest

import expected
from conftest import SKIPS
from fastconv import grad

torch = pytest.importorskip("torch", reason=SKIPS["no peers"])

SAMPLES = 350


def attempt(compute, *errors):
    try:
        return compute()
    except errors:
        return None


def sample(rng, axes):
    """Return a problem as the arguments of torch.nn.grad, which may not fit each other."""
    groups = int(rng.choice([1, 1, 1, 2, 3, 5]))
    cg, kg = (int(rng.choice([1, 1, 2, 3, 5, 8, 17])) for _ in range(2))
    sizes = tuple(int(rng.choice([1, 2, 3, 5, 8, 9, 14, 17])) for _ in range(axes))
    kernel = tuple(int(rng.choice([1, 1, 2, 3, 3, 5])) for _ in range(axes))
    stride, dilation = (tuple(rng.integers(1, 4, axes).tolist()) for _ in range(2))
    padding = tuple(rng.integers(0, 3, axes).tolist())
    n = int(rng.choice([0, 1, 1, 2, 3]))
    wrong = rng.random() < 0.05
    weight_size = (kg * groups, cg + wrong, *kernel)
    out = [
        (size + 2 * pad - step * (taps - 1) - 1) // every + 1
        for size, pad, step, taps, every in zip(
            sizes, padding, dilation, kernel, stride, strict=True
        )
    ]
    if min(out) < 1:
        out = [max(1, size) for size in out]
    shape = (n, kg * groups, *out)
    return (n, cg * groups, *sizes), weight_size, shape, (stride, padding, dilation, groups)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_weight(axes, dtype, rng):
    ours = getattr(grad, f"conv{axes}d_weight")
    torchs = getattr(torch.nn.grad, f"conv{axes}d_weight")
    given = 0
    for _ in range(SAMPLES):
        x_shape, weight_size, shape, form = sample(rng, axes)
        x, g = (rng.standard_normal(s).astype(dtype) for s in (x_shape, shape))
        tensors = torch.from_numpy(x), torch.from_numpy(g)
        wanted = attempt(
            lambda t=tensors, s=weight_size, f=form: torchs(t[0], s, t[1], *f),
            RuntimeError,
            ValueError,
        )
        channels_last = bool(rng.integers(2))
        if channels_last:
            x, g = (np.moveaxis(a, 1, -1) for a in (x, g))
        result = attempt(
            lambda x=x, s=weight_size, g=g, f=form, last=channels_last: ours(
                x, s, g, *f, channels_last=last
            ),
            ValueError,
        )
        problem = x_shape, weight_size, shape, form
        if wanted is None:
            assert result is None, problem
            continue
        if result is None:  # torch takes weights whose channels do not fit, or windows
            assert weight_size[1] * form[3] != x_shape[1] or not fits(x_shape, weight_size, form)
            continue
        given += 1
        assert (result.shape, result.dtype) == (tuple(wanted.shape), dtype), problem
        steps = form[1]
        value, bound = expected.conv_weight(
            x, weight_size[2:], g, form[0], steps, *form[2:], channels_last=channels_last
        )
        expected.assert_within(result, value, bound, str(problem))
        # And torch's own is as near, but for an algorithm of its own.
        assert np.allclose(wanted.numpy(), result, rtol=1e-3, atol=1e-3 * (1 + np.max(bound)))
    assert given > SAMPLES / 3


def fits(x_shape, weight_size, form):
    _, padding, dilation, _ = form
    return all(
        step * (taps - 1) < size + 2 * pad
        for size, pad, step, taps in zip(
            x_shape[2:], padding, dilation, weight_size[2:], strict=True
        )
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_autograd(axes, dtype, rng):
    """What a backward pass leaves beside the weights and the bias."""
    for _ in range(60):
        x_shape, weight_size, shape, form = sample(rng, axes)
        if weight_size[1] * form[3] != x_shape[1] or not fits(x_shape, weight_size, form):
            continue
        x, weight, g = (
            rng.standard_normal(size).astype(dtype) for size in (x_shape, weight_size, shape)
        )
        wide = [torch.from_numpy(a).double() for a in (x, weight, np.zeros(len(weight)))]
        wide[1].requires_grad = wide[2].requires_grad = True
        convolve = getattr(torch.nn.functional, f"conv{axes}d")
        convolve(*wide, *form).backward(torch.from_numpy(g).double())
        result = getattr(grad, f"conv{axes}d_weight")(x, weight_size, g, *form)
        total = getattr(grad, f"conv{axes}d_bias")(g)
        _, bound = expected.conv_weight(x, weight_size[2:], g, *form)
        over = (0, *range(2, axes + 2))
        bias_bound = expected.error_bound(np.abs(g).sum(over), g[:, 0].size, dtype)
        own = 2 if dtype == "float64" else 1  # torch's float64 is off by as much again
        expected.assert_within(result, wide[1].grad.numpy(), own * bound, "weight")
        expected.assert_within(total, wide[2].grad.numpy(), own * bias_bound, "bias")
