"""Padding agrees with torch on random samples, those that it refuses among them."""

import numpy as np
import pytest

import fastconv
from conftest import SKIPS
from fastconv import grad

torch = pytest.importorskip("torch", reason=SKIPS["no peers"])

MODES = ["constant", "reflect", "replicate", "circular"]
DTYPES = ["float32", "float64", "float16", "int32", "uint8", "int64", "int8", "bool", "uint16"]
SAMPLES = 700


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


def sample(rng, mode):
    """Return a shape and a padding, which often fit each other."""
    if mode == "constant":
        rank = int(rng.integers(0, 6))
        pairs = int(rng.integers(0, rank + 1))
    else:
        rank = int(rng.integers(1, 6))
        pairs = max(rank - 1 - int(rng.integers(2)), 0) if rng.random() < 0.9 else 1
    shape = tuple(int(size) for size in rng.integers(rng.random() > 0.1, 6, rank))
    low, high = (-2, 5) if rng.random() < 0.4 else (0, 3)
    pad = tuple(int(number) for number in rng.integers(low, high, 2 * pairs))
    return shape, pad if rng.random() > 0.03 else (*pad, 1)


def undefined(shape, pad, mode):
    """Whether torch copies what it has not written: circular padding of what was cut too short."""
    return mode == "circular" and any(
        min(pair) < 0 and max(pair) > size + min(pair[0], 0) + min(pair[1], 0)
        for *pair, size in zip(pad[::2], pad[1::2], shape[::-1], strict=False)
    )


@pytest.mark.parametrize("mode", MODES)
def test_pad(mode, rng):
    refusals = 0
    for _ in range(SAMPLES):
        shape, pad = sample(rng, mode)
        dtype = str(rng.choice(DTYPES))
        if undefined(shape, pad, mode):
            continue
        if mode in ("reflect", "replicate") and dtype in ("bool", "uint16"):
            continue  # extensions
        x = np.asarray(rng.standard_normal(shape) * 50).astype(dtype)
        value = float(rng.choice([0, 1.5, -2, 3, np.inf, 1e5, 300])) if rng.random() < 0.3 else None
        label = f"{shape} {pad} {mode} {value} {dtype}"
        y = ours(lambda x=x, pad=pad, value=value: fastconv.pad(x, pad, mode, value))
        wanted = theirs(
            lambda x=x, pad=pad, value=value: torch.nn.functional.pad(
                torch.from_numpy(x.copy()), pad, mode, value
            )
        )
        assert (y is None) == (wanted is None), label
        refusals += y is None
        if y is not None:
            assert y.dtype == wanted.dtype, label
            np.testing.assert_array_equal(y, wanted, label)
    assert SAMPLES * 0.05 < refusals < SAMPLES * 0.8


@pytest.mark.parametrize(
    "pad", [1, None, "11", (1.0, 1), (True, 1), ((1, 1),), (1, None), np.array(1)]
)
def test_forms_that_torch_refuses(pad):
    x = np.ones((2, 3), np.float32)
    assert theirs(lambda: torch.nn.functional.pad(torch.from_numpy(x), pad)) is None
    assert ours(lambda: fastconv.pad(x, pad)) is None


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradient(mode, dtype, rng):
    done = 0
    for _ in range(SAMPLES // 2):
        shape, pad = sample(rng, mode)
        if undefined(shape, pad, mode) or 0 in shape:
            continue
        x = torch.zeros(shape, dtype=getattr(torch, dtype), requires_grad=True)
        try:
            y = torch.nn.functional.pad(x, pad, mode)
        except (RuntimeError, ValueError):
            continue
        g = rng.integers(-9, 9, tuple(y.shape)).astype(dtype)  # sums are exact in any order
        y.backward(torch.from_numpy(g))
        back = grad.pad(shape, g, pad, mode)
        np.testing.assert_array_equal(back, x.grad.numpy(), f"{shape} {pad} {mode}")
        done += 1
    assert done > 50
