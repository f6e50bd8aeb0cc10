"""Unfold and fold agree with torch on random samples, those that it refuses among them."""

import numpy as np
import pytest

import fastconv
from conftest import SKIPS
from fastconv import grad

torch = pytest.importorskip("torch", reason=SKIPS["no peers"])

SAMPLES = 600


def theirs(compute):
    """Return torch's result as an array, None where it refuses."""
    try:
        return compute().numpy()
    except (RuntimeError, TypeError, IndexError, ValueError):
        return None


def ours(compute):
    try:
        return compute()
    except (TypeError, ValueError):
        return None


def number_or_pair(rng, low, high):
    pair = tuple(int(number) for number in rng.integers(low, high, 2))
    return pair if rng.random() < 0.5 else pair[0]


def sample(rng):
    """Return a shape and kernel size, dilation, padding, stride, which often fit each other."""
    shape = (*rng.integers(1, 5, int(rng.integers(1, 3))), *rng.integers(1, 14, 2))
    shape = tuple(int(size) for size in shape)
    if rng.random() < 0.05:
        shape = (0, *shape[1:])
    least = 0 if rng.random() < 0.1 else 1
    form = [
        number_or_pair(rng, low, high) for low, high in [(least, 5), (least, 4), (0, 4), (least, 4)]
    ]
    if rng.random() < 0.03:
        form[int(rng.integers(4))] = (1,)
    return shape, form


def agreed(label, mine, torchs):
    """Assert that both refuse, or give the same; return it, None where they refuse."""
    y, wanted = ours(mine), theirs(torchs)
    assert (y is None) == (wanted is None), label
    if y is not None:
        assert (y.shape, y.dtype) == (wanted.shape, wanted.dtype), label
        np.testing.assert_array_equal(y, wanted, label)
    return y


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bool"])
def test_unfold(dtype, rng):
    given = 0
    for _ in range(SAMPLES):
        shape, form = sample(rng)
        x = rng.standard_normal(shape).astype(dtype)
        y = agreed(
            f"{shape} {form}",
            lambda x=x, form=form: fastconv.unfold(x, *form),
            lambda x=x, form=form: torch.nn.functional.unfold(torch.from_numpy(x), *form),
        )
        given += y is not None
    assert SAMPLES * 0.3 < given < SAMPLES * 0.95


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fold(dtype, rng):
    """To the bit: torch adds in the same order."""
    given = 0
    for _ in range(SAMPLES):
        shape, form = sample(rng)
        columns = ours(lambda shape=shape, form=form: fastconv.unfold(np.zeros(shape), *form))
        wanted = columns.shape if columns is not None else (int(rng.integers(1, 9)), 4)
        if rng.random() < 0.1:
            wanted = (*wanted[:-1], wanted[-1] + 1)
        columns = rng.standard_normal(wanted).astype(dtype)
        y = agreed(
            f"{shape} {form}",
            lambda c=columns, s=shape, form=form: fastconv.fold(c, s[-2:], *form),
            lambda c=columns, s=shape, form=form: torch.nn.functional.fold(
                torch.from_numpy(c), s[-2:], *form
            ),
        )
        given += y is not None
    assert SAMPLES * 0.3 < given < SAMPLES * 0.95


def test_fold_of_float16(rng):
    """Torch adds in float16; rounding its sums of float32 once is what is promised here."""
    for _ in range(SAMPLES // 4):
        shape, form = sample(rng)
        columns = ours(lambda shape=shape, form=form: fastconv.unfold(np.zeros(shape), *form))
        if columns is None:
            continue
        columns = rng.standard_normal(columns.shape).astype(np.float16)
        wide = torch.from_numpy(columns.astype(np.float32))
        wanted = torch.nn.functional.fold(wide, shape[-2:], *form).numpy().astype(np.float16)
        np.testing.assert_array_equal(fastconv.fold(columns, shape[-2:], *form), wanted)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients(dtype, rng):
    done = 0
    for _ in range(SAMPLES // 3):
        shape, form = sample(rng)
        x = torch.zeros(shape, dtype=getattr(torch, dtype), requires_grad=True)
        try:
            y = torch.nn.functional.unfold(x, *form)
        except RuntimeError:
            continue
        g = rng.standard_normal(tuple(y.shape)).astype(dtype)
        y.backward(torch.from_numpy(g))
        back = grad.unfold(shape, g, *form)
        np.testing.assert_array_equal(back, x.grad.numpy(), f"{shape} {form}")

        columns = torch.zeros(y.shape, dtype=x.dtype, requires_grad=True)
        images = torch.nn.functional.fold(columns, shape[-2:], *form)
        g = rng.standard_normal(tuple(images.shape)).astype(dtype)
        images.backward(torch.from_numpy(g))
        np.testing.assert_array_equal(grad.fold(g, *form), columns.grad.numpy())
        done += 1
    assert done > 50
