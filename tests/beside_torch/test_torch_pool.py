"""Poolings and their gradients agree with torch on random samples, those that it refuses too."""

from functools import partial

import numpy as np
import pytest

import fastconv
from conftest import SKIPS
from fastconv import grad

torch = pytest.importorskip("torch", reason=SKIPS["no peers"])
functional = torch.nn.functional

SAMPLES = 300
# Both round; sums of a few hundred terms about as large as one lie this close together.
TOLERANCE = {"float32": 2e-5, "float64": 1e-13}


class Sample:
    """A random image and arguments that often fit it."""

    def __init__(self, rng, axes):
        def pick(*values):
            return values[rng.integers(len(values))]

        def window(*values):
            one_each = tuple(int(pick(*values)) for _ in range(axes))
            return one_each if rng.random() < 0.5 else one_each[0]

        self.rng, self.axes, self.pick, self.window = rng, axes, pick, window
        self.dtype = pick("float32", "float64")
        small = axes == 3 or rng.random() < 0.5
        sizes = [
            pick(1, 2, 3, 5, 7, 8, 12) if small else pick(1, 4, 9, 17, 33) for _ in range(axes)
        ]
        batch = pick([], [0], [1], [2], [3])
        self.batched = bool(batch)
        self.x = rng.standard_normal((*batch, pick(1, 2, 3, 8, 17), *sizes)).astype(self.dtype)
        if rng.random() < 0.3:
            self.x = np.round(self.x)  # ties
        if rng.random() < 0.1:
            self.x[rng.random(self.x.shape) < 0.1] = pick(np.nan, np.inf, -np.inf)
        self.kernel = window(1, 2, 2, 3, 3, 4, 5, 7)
        self.stride = pick(None, window(1, 1, 2, 2, 3, 5))
        self.padding = window(0, 0, 0, 1, 1, 2, 3)
        self.dilation = window(1, 1, 1, 2, 3)
        self.ceil_mode = bool(rng.random() < 0.4)
        self.channels_last = bool(rng.random() < 0.4)

    def tensor(self):
        return torch.from_numpy(self.x.copy())

    def there(self, array):
        """Bring an array into the sample's layout, as a view of some strides."""
        if self.channels_last:
            array = np.moveaxis(array, int(self.batched), -1)
        axis = int(self.rng.integers(array.ndim))
        match self.pick("plain", "reversed", "every other", "inside"):
            case "reversed":
                return np.flip(np.flip(array, axis).copy(), axis)
            case "every other":
                index = (slice(None),) * axis + (slice(None, None, 2),)
                return np.repeat(array, 2, axis=axis)[index]
            case "inside":
                wide = np.pad(array, [(1, 2)] * array.ndim)
                return wide[tuple(slice(1, size + 1) for size in array.shape)]
        return np.ascontiguousarray(array)

    def back(self, array):
        return np.moveaxis(array, -1, int(self.batched)) if self.channels_last else array


def both(ours, theirs):
    """Return both results as tuples; None for each that refuses."""
    try:
        right = theirs()
    except (RuntimeError, ValueError, TypeError, IndexError, ZeroDivisionError):
        right = None
    try:
        left = ours()
    except (ValueError, TypeError):
        left = None
    right = right if right is None or isinstance(right, tuple) else (right,)
    return left if left is None or isinstance(left, tuple) else (left,), right


def agree(sample, ours, theirs, what, tolerance=None):
    """Assert the same values, dtypes and shapes, or that both refuse; tell whether they ran."""
    left, right = both(ours, theirs)
    window = sample.kernel, sample.stride, sample.padding, sample.dilation, sample.ceil_mode
    what = (what, sample.x.shape, sample.dtype, sample.channels_last, *window)
    assert (left is None) == (right is None), what
    if left is None:
        return False
    for mine, other in zip(left, right, strict=True):
        assert mine.flags.c_contiguous, what
        mine, other = sample.back(mine), other.detach().numpy()
        assert (mine.shape, mine.dtype) == (other.shape, other.dtype), what
        if mine.dtype == np.int64:
            # Of a window without a pixel torch's answer means nothing; its maximum is the lowest.
            inside = mine >= 0
            assert np.isneginf(sample.back(left[0])[~inside]).all(), what
            np.testing.assert_array_equal(mine[inside], other[inside], err_msg=str(what))
            continue
        limit = TOLERANCE[sample.dtype] if tolerance is None else tolerance
        np.testing.assert_allclose(mine, other, rtol=limit, atol=limit, err_msg=str(what))
    return True


def samples(rng, axes):
    return [Sample(rng, axes) for _ in range(SAMPLES)]


def functions(name, axes):
    return getattr(fastconv, f"{name}{axes}d"), getattr(functional, f"{name}{axes}d")


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_max_pool(axes, rng):
    ours, theirs = functions("max_pool", axes)
    ran = 0
    for s in samples(rng, axes):
        args = (s.kernel, s.stride, s.padding, s.dilation, s.ceil_mode, bool(s.pick(True, False)))
        last = {"channels_last": s.channels_last}
        ran += agree(
            s, partial(ours, s.there(s.x), *args, **last), partial(theirs, s.tensor(), *args), args
        )
    assert 0.1 * SAMPLES < ran < SAMPLES


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_avg_pool(axes, rng):
    ours, theirs = functions("avg_pool", axes)
    ran = 0
    for s in samples(rng, axes):
        args = (s.kernel, s.stride, s.padding, s.ceil_mode, bool(s.pick(True, False)))
        if axes > 1:
            args += (s.pick(None, None, 0, 3, -2),)
        last = {"channels_last": s.channels_last}
        ran += agree(
            s, partial(ours, s.there(s.x), *args, **last), partial(theirs, s.tensor(), *args), args
        )
    assert 0.1 * SAMPLES < ran < SAMPLES


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("kind", ["avg", "max"])
def test_adaptive_pool(kind, axes, rng):
    ours, theirs = functions(f"adaptive_{kind}_pool", axes)
    ran = 0
    for s in samples(rng, axes):
        size = s.pick(
            0, 1, 2, 3, 4, 7, -1, s.window(1, 2, 5, 9, 20), (None, 3, 2)[:axes], (3,), None
        )
        args = (size,) if kind == "avg" else (size, bool(s.pick(True, False)))
        last = {"channels_last": s.channels_last}
        ran += agree(
            s, partial(ours, s.there(s.x), *args, **last), partial(theirs, s.tensor(), *args), args
        )
    assert 0.5 * SAMPLES < ran < SAMPLES


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_lp_pool(axes, rng):
    ours, theirs = functions("lp_pool", axes)
    ran = 0
    for s in samples(rng, axes):
        p = s.pick(1, 2, 3, 1.5, 0.5, float("inf"), -float("inf"), 0)
        s.x = s.x if abs(p) in (1, 2, float("inf")) else np.abs(s.x)  # roots of the rest are steep
        kernel = s.kernel if axes > 1 or isinstance(s.kernel, int) else s.kernel[0]
        args = (p, kernel, s.stride, s.ceil_mode)
        last = {"channels_last": s.channels_last}
        ran += agree(
            s,
            partial(ours, s.there(s.x), *args, **last),
            partial(theirs, s.tensor(), *args),
            args,
            4 * TOLERANCE[s.dtype],
        )
    assert 0.1 * SAMPLES < ran < SAMPLES


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_max_unpool(axes, rng):
    ours, theirs = functions("max_unpool", axes)
    ran = 0
    for s in samples(rng, axes):
        s.x = np.nan_to_num(s.x, posinf=3, neginf=-3)
        form = s.kernel, s.stride, s.padding
        try:
            pool = getattr(functional, f"max_pool{axes}d")
            y, at = pool(s.tensor(), *form, 1, s.ceil_mode, True)
        except RuntimeError:
            continue
        if rng.random() < 0.1:
            at = at + s.pick(-3, 5)
        sizes = s.x.shape[-axes:]
        near = tuple(size + int(rng.integers(-1, 3)) for size in sizes)
        size = s.pick(None, sizes, near, (*y.shape[:2], *sizes) if s.batched else near)
        arranged = size
        if size is not None and len(size) == axes + 2 and s.channels_last:
            arranged = (size[0], *sizes, size[1])
        last = {"channels_last": s.channels_last}
        ran += agree(
            s,
            partial(ours, s.there(y.numpy()), s.there(at.numpy()), *form, arranged, **last),
            partial(theirs, y, at, *form, size),
            size,
        )
    assert ran > 0.1 * SAMPLES


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_global_pool(axes, rng):
    for s in samples(rng, axes)[: SAMPLES // 3]:
        last = {"channels_last": s.channels_last}
        every = tuple(range(-axes, 0))
        mean, greatest = (
            getattr(fastconv, f"global_{kind}_pool{axes}d") for kind in ("avg", "max")
        )
        assert agree(
            s, partial(mean, s.there(s.x), **last), partial(s.tensor().mean, every, True), "avg"
        )
        assert agree(
            s, partial(greatest, s.there(s.x), **last), partial(s.tensor().amax, every, True), "max"
        )


def backward(function, tensor, *args):
    """Return torch's result and a function from its gradient to that of the tensor."""
    leaf = tensor.requires_grad_()
    y = function(leaf, *args)

    def back(grad_output):
        y.backward(torch.from_numpy(grad_output))
        return leaf.grad

    return y, back


def calls(s, kind):
    """Return the name of a pooling and its arguments after the input."""
    match kind:
        case "max":
            return "max_pool", (s.kernel, s.stride, s.padding, s.dilation, s.ceil_mode)
        case "avg":
            counted = bool(s.pick(True, False))
            return "avg_pool", (s.kernel, s.stride, s.padding, s.ceil_mode, counted)
        case "lp":
            kernel = s.kernel if s.axes > 1 or isinstance(s.kernel, int) else s.kernel[0]
            return "lp_pool", (s.pick(1, 2, 4, float("inf")), kernel, s.stride, s.ceil_mode)
    return f"{kind}_pool", (s.window(1, 2, 3, 5, 9, 20),)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("kind", ["max", "avg", "lp", "adaptive_max", "adaptive_avg"])
def test_gradients(kind, axes, rng):
    ran = 0
    for s in samples(rng, axes):
        s.x = np.nan_to_num(s.x, posinf=3, neginf=-3)
        name, args = calls(s, kind)
        operator, theirs = functions(name, axes)
        try:
            y, back = backward(theirs, s.tensor(), *args)
        except RuntimeError:
            continue
        if y.numel() == 0:
            continue
        last = {"channels_last": s.channels_last}
        if kind == "max":  # there torch writes to an index out of bounds
            _, at = operator(s.x, *args, return_indices=True)
            if (at < 0).any():
                continue
        grad_output = rng.standard_normal(y.shape).astype(s.dtype)
        mine = getattr(grad, f"{name}{axes}d")
        subject = s.there(s.x)
        subject = subject.shape if "avg" in name else subject
        ran += agree(
            s,
            partial(mine, subject, s.there(grad_output), *args, **last),
            partial(back, grad_output),
            args,
            4 * TOLERANCE[s.dtype],
        )
    assert ran > 0.1 * SAMPLES
