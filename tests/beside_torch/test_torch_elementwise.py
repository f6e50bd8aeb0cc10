"""Activations, normalisations, softmax and their gradients against PyTorch, on random samples."""

import itertools

import numpy as np
import pytest

import fastconv
from conftest import SKIPS
from fastconv import grad

# Not "torch" itself: this folder has that name, and would be taken for it where there is none.
functional = pytest.importorskip("torch.nn.functional", reason=SKIPS["no peers"])
torch = functional.torch

ACTIVATIONS = ["relu", "relu6", "leaky_relu", "sigmoid", "tanh", "silu", "hardswish"]
# Both round: twice what one may be off, in the magnitude of the result's own terms.
RTOL = {"float16": 2e-3, "float32": 4e-6, "float64": 1e-14}
SAMPLES = 300


def same(ours, theirs, dtype, what, scale=1.0):
    assert ours.shape == tuple(theirs.shape), what
    assert ours.dtype.name == str(theirs.dtype).removeprefix("torch."), what
    rtol = RTOL[dtype]
    np.testing.assert_allclose(
        ours, theirs.detach().numpy(), rtol=rtol, atol=rtol * scale, err_msg=str(what)
    )


def layouts(rng, shape, dtype, scale=1.0):
    """Return a random array, laid out in memory in some way, and a plain tensor of its values."""
    steps = [int(rng.choice([1, 1, 1, -1, 2])) for _ in shape]
    stored = [size * abs(step) for size, step in zip(shape, steps, strict=True)]
    whole = np.asarray(
        scale * rng.standard_normal(stored), dtype, order=str(rng.choice(["C", "F"]))
    )
    x = whole[tuple(slice(None, None, step) for step in steps)]
    return x, torch.from_numpy(np.array(x, order="C"))


def shape_of(rng, least=0, most=5):
    rank = int(rng.integers(least, most + 1))
    return tuple(int(size) for size in rng.choice([0, 1, 2, 3, 5, 9], rank, p=[0.04, *[0.192] * 5]))


def both_refuse(ours, theirs):
    """Tell whether torch refuses; then we must, too."""
    try:
        result = theirs()
    except (RuntimeError, ValueError, TypeError, IndexError):
        with pytest.raises((ValueError, TypeError)):
            ours()
        return None
    return result


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_activations(name, dtype, rng):
    f, peer, d = getattr(fastconv, name), getattr(functional, name), getattr(grad, name)
    for sample in range(SAMPLES):
        x, tensor = layouts(rng, shape_of(rng), dtype, scale=float(rng.choice([0.1, 3, 30])))
        if sample % 3 == 0:
            x, tensor = np.round(x), torch.round(tensor)  # meets the corners
        form = (float(rng.choice([-0.5, 0, 0.01, 2])),) if name == "leaky_relu" else ()
        tensor.requires_grad_()
        theirs = peer(tensor, *form)
        scale = float(np.abs(x).max(initial=1))
        same(f(x, *form), theirs, dtype, (name, x.shape), scale)
        g, gradient = layouts(rng, x.shape, dtype)
        (wanted,) = torch.autograd.grad(theirs, tensor, gradient)
        same(d(x, g, *form), wanted, dtype, ("grad", name, x.shape), 4)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_of_what_is_no_number(name):
    x = np.array([-np.inf, np.inf, np.nan, -0.0, 0.0, 3, -3, 6] * 5, np.float32)
    tensor = torch.from_numpy(x).requires_grad_()
    y = getattr(functional, name)(tensor)
    np.testing.assert_allclose(getattr(fastconv, name)(x), y.detach().numpy(), atol=1e-6)
    y.backward(torch.ones_like(y))
    own = getattr(grad, name)(x, np.ones_like(x))
    if name in ("relu6", "hardswish"):  # where a NaN falls depends on its lane there
        own = np.where(np.isnan(x), tensor.grad.numpy(), own)
    np.testing.assert_allclose(own, tensor.grad.numpy(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_softmax(name, dtype, rng):
    f, peer, d = getattr(fastconv, name), getattr(functional, name), getattr(grad, name)
    refused = 0
    for _ in range(SAMPLES):
        x, tensor = layouts(rng, shape_of(rng), dtype, scale=float(rng.choice([0.1, 3, 30])))
        dim = int(rng.integers(-x.ndim - 1, x.ndim + 2))
        tensor.requires_grad_()
        theirs = both_refuse(lambda x=x, dim=dim: f(x, dim), lambda t=tensor, dim=dim: peer(t, dim))
        if theirs is None:
            refused += 1
            continue
        scale = float(np.abs(x).max(initial=1))
        same(f(x, dim), theirs, dtype, (name, x.shape, dim), scale)
        g, gradient = layouts(rng, x.shape, dtype)
        (wanted,) = torch.autograd.grad(theirs, tensor, gradient)
        spread = float(np.abs(g).sum()) * scale
        same(d(x, g, dim), wanted, dtype, ("grad", name, x.shape, dim), spread)
        for other in ("float32", "float64"):
            wanted = peer(tensor, dim, dtype=getattr(torch, other))
            same(f(x, dim, dtype=other), wanted, other, (name, x.shape, dim, other), scale)
    assert 0 < refused < SAMPLES


def loss_problem(rng, dtype):
    """Return the arguments of cross entropy, some of which do not go together, for both."""
    shape = shape_of(rng, 1, 4)
    x, tensor = layouts(rng, shape, dtype, scale=3)
    classes = shape[1] if len(shape) > 1 else shape[0]
    plane = (shape[0], *shape[2:]) if len(shape) > 1 else ()
    form = {
        "reduction": str(rng.choice(["mean", "sum", "none", "nothing"], p=[0.4, 0.25, 0.3, 0.05])),
        "label_smoothing": float(rng.choice([0, 0, 0, 0.1, 0.5, 1, 1.5], p=[0.15] * 6 + [0.1])),
    }
    kind = rng.choice(
        ["classes", "ignored", "shares", "wrong shape", "outside"], p=[0.4, 0.2, 0.3, 0.05, 0.05]
    )
    if kind == "shares":
        target, peer = layouts(rng, shape, dtype)
    else:
        if kind == "wrong shape":
            plane = (*plane, 2)
        target = rng.integers(0, max(classes, 1), plane)
        if kind == "ignored":
            form["ignore_index"] = int(rng.choice([-100, 1]))
            target = np.where(rng.random(plane) < 0.4, form["ignore_index"], target)
        if kind == "outside":
            target = np.asarray(target + classes)
        target = np.asarray(target)
        peer = torch.from_numpy(target)
    weight = peer_weight = None
    if rng.random() < 0.4:
        weight = (rng.random(classes) + 0.1).astype(dtype)
        peer_weight = torch.from_numpy(weight)
    return (x, target, weight), (tensor, peer, peer_weight), form


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_cross_entropy(dtype, rng):
    refused = 0
    for _ in range(3 * SAMPLES):
        ours, theirs, form = loss_problem(rng, dtype)
        what = ours[0].shape, ours[1].shape, ours[2] is None, form
        theirs[0].requires_grad_()
        wanted = both_refuse(
            lambda ours=ours, form=form: fastconv.cross_entropy(*ours, **form),
            lambda theirs=theirs, form=form: functional.cross_entropy(*theirs, **form),
        )
        if wanted is None:
            refused += 1
            continue
        x, target, weight = ours
        scale = 10 * (1 + float(np.abs(x).max(initial=1))) * (1 + x.size)
        same(fastconv.cross_entropy(*ours, **form), wanted, dtype, what, scale)
        g, gradient = layouts(rng, wanted.shape, dtype)
        (wanted,) = torch.autograd.grad(wanted, theirs[0], gradient)
        own = grad.cross_entropy(x, g, target, weight, **form)
        same(own, wanted, dtype, what, 10 * (1 + float(np.abs(g).sum())))
    assert 0 < refused < SAMPLES


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_batch_norm(dtype, rng):
    refused = 0
    for _ in range(SAMPLES):
        x, tensor = layouts(rng, shape_of(rng, 2 if rng.random() < 0.9 else 1), dtype)
        if x.shape == (0,) or x.shape[1:2] == (0,):  # it reads a first channel that is not there
            continue
        c = x.shape[1] if x.ndim > 1 else 1
        if x.size and rng.random() < 0.05:  # of nothing it takes any parameters
            c += 1
        mean, weight, bias = (rng.standard_normal((3, c))).astype(dtype)
        var = (rng.standard_normal(c) ** 2 + 0.1).astype(dtype)
        given = [a if rng.random() < 0.7 else None for a in (weight, bias)]
        eps = float(rng.choice([0, 1e-5, 0.1, -0.1], p=[0.2, 0.5, 0.25, 0.05]))
        arrays = [mean, var, *given]
        tensors = [None if a is None else torch.from_numpy(a).requires_grad_() for a in arrays]
        tensor.requires_grad_()
        theirs = both_refuse(
            lambda x=x, arrays=arrays, eps=eps: fastconv.batch_norm(x, *arrays, eps=eps),
            lambda t=tensor, ts=tensors, eps=eps: functional.batch_norm(
                t, *[a.detach() for a in ts[:2]], *ts[2:], eps=eps
            ),
        )
        if theirs is None:
            refused += 1
            continue
        what = x.shape, eps, [a is None for a in given]
        scale = 40.0 if x.size else 1.0
        same(fastconv.batch_norm(x, *arrays, eps=eps), theirs, dtype, what, scale)
        if dtype == "float16":
            continue
        g, gradient = layouts(rng, x.shape, dtype)
        wanted = [tensor, *(t for t in tensors[2:] if t is not None)]
        wanted = torch.autograd.grad(theirs, wanted, gradient)
        own = grad.batch_norm(x, g, mean, var, given[0], eps)
        own = [own[0], *itertools.compress(own[1:], [a is not None for a in given])]
        for a, b in zip(own, wanted, strict=True):
            same(a, b, dtype, ("grad", *what), 40 * (1 + float(np.abs(g).sum())))
    assert 0 < refused < SAMPLES


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_local_response_norm(dtype, rng):
    refused = 0
    for _ in range(SAMPLES):
        x, tensor = layouts(rng, shape_of(rng, 2), dtype, scale=2)
        least = -1 if x.size else 1  # of nothing it takes any size
        form = (
            max(
                least,
                int(rng.choice([-1, 0, 1, 2, 3, 4, 5, 8, 20], p=[0.02, 0.03, *[0.95 / 7] * 7])),
            ),
            float(rng.choice([1e-4, 0.3, 2])),
            float(rng.choice([0.75, 0.5, 1, 1.3])),
            float(rng.choice([1, 0.5, 2])),
        )
        tensor.requires_grad_()
        theirs = both_refuse(
            lambda x=x, form=form: fastconv.local_response_norm(x, *form),
            lambda t=tensor, form=form: functional.local_response_norm(t, *form),
        )
        if theirs is None:
            refused += 1
            continue
        what = x.shape, form
        same(fastconv.local_response_norm(x, *form), theirs, dtype, what, 10)
        g, gradient = layouts(rng, x.shape, dtype)
        (wanted,) = torch.autograd.grad(theirs, tensor, gradient)
        own = grad.local_response_norm(x, g, *form)
        same(own, wanted, dtype, ("grad", *what), 10 * (1 + float(np.abs(g).sum())))
    assert 0 < refused < SAMPLES
