"""Dense layers and locally connected ones agree with torch on random samples.

Of torch's own refusals too. It has no locally connected layers: they are its unfold and einsum.
"""

import numpy as np
import pytest

import expected
import fastconv
from conftest import SKIPS
from fastconv import grad

torch = pytest.importorskip("torch", reason=SKIPS["no peers"])

SAMPLES = 700


def attempt(compute, *errors):
    try:
        return compute()
    except errors:
        return None


def size_of(rng):
    return int(rng.choice([0, 1, 1, 2, 3, 4, 5, 7, 9, 16, 17, 30], p=[0.03] + [0.97 / 11] * 11))


def view_of(rng, array):
    """Return the same numbers, with other strides as often as not."""
    if array.ndim == 0 or rng.random() < 0.4:
        return array
    axis = int(rng.integers(array.ndim))
    match int(rng.integers(3)):
        case 0:
            return np.flip(np.flip(array, axis).copy(), axis)
        case 1:
            at = (slice(None),) * axis + (slice(None, None, 2),)
            return np.repeat(array, 2, axis)[at]
    return np.asfortranarray(array)


def sample(rng):
    """Return the shapes of x, weight and bias, which fit each other more often than not."""
    batch = tuple(size_of(rng) for _ in range(rng.integers(0, 4)))
    c, k = size_of(rng), size_of(rng)
    shape = () if rng.random() < 0.02 else (*batch, c)
    rows = () if rng.random() < 0.2 else (k,)
    weight = (*rows, c + (rng.random() < 0.1))
    if rng.random() < 0.03:
        weight = (2, *weight)
    choices = [None, rows, rows, (), (1,), (1, k), (*batch, k), (*batch[:-1], 1, k), (k + 1,)]
    return shape, weight, choices[rng.integers(len(choices))]


def magnitude(*arrays):
    """The sums of absolute values that the error bound is about, by torch in float64."""
    absolute = [None if a is None else torch.from_numpy(a.copy()).double().abs() for a in arrays]
    return torch.nn.functional.linear(*absolute).numpy()


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_linear(dtype, rng):
    given = 0
    for _ in range(SAMPLES):
        shapes = sample(rng)
        x, weight, bias = (
            None if shape is None else view_of(rng, rng.standard_normal(shape).astype(dtype))
            for shape in shapes
        )
        y = attempt(lambda a=(x, weight, bias): fastconv.linear(*a), ValueError, TypeError)
        tensors = [None if a is None else torch.from_numpy(a.copy()) for a in (x, weight, bias)]
        wanted = attempt(
            lambda t=tensors: torch.nn.functional.linear(*t), RuntimeError, TypeError, IndexError
        )
        if wanted is None:
            # Of the shapes of a bias that broadcast, torch takes some, and ours all: one of them is
            # the number beside a weight of one axis that torch's documentation promises.
            assert y is None or shapes[2] not in (None, shapes[1][:-1]) or shapes[2] == (), shapes
            continue
        assert y is not None, shapes
        given += 1
        assert (y.shape, y.dtype) == (tuple(wanted.shape), dtype), shapes
        wide = [None if t is None else t.double() for t in tensors]
        value = torch.nn.functional.linear(*wide).numpy()
        # torch's float64 is off by as much again.
        length = max(1, weight.shape[-1])
        bound = expected.error_bound(magnitude(x, weight, bias), length, dtype)
        bound = bound * (2 if dtype == "float64" else 1)
        bound = bound + expected.final_rounding(value, bound, dtype)
        expected.assert_within(y, value, bound, what=shapes)
    assert SAMPLES * 0.5 < given < SAMPLES * 0.95


@pytest.mark.parametrize(
    ("dtype", "other"), [("float32", "float64"), ("float64", "float16"), ("float16", "float32")]
)
def test_mixed_dtypes_are_refused_by_both(dtype, other):
    ones = [np.ones(shape, dtype) for shape in ((3, 4), (5, 4), (5,))]
    for i in range(3):
        mixed = [a.astype(other) if j == i else a for j, a in enumerate(ones)]
        with pytest.raises(TypeError):
            fastconv.linear(*mixed)
        with pytest.raises(RuntimeError):
            torch.nn.functional.linear(*map(torch.from_numpy, mixed))


def dense(x, weight, bias):
    """Torch's linear, whose backward pass does not take a weight of one axis."""
    if weight.ndim == 1:
        return (x * weight).sum(-1) + bias
    return torch.nn.functional.linear(x, weight, bias)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients_of_linear(dtype, rng):
    for _ in range(SAMPLES // 2):
        batch = tuple(size_of(rng) for _ in range(rng.integers(0, 4)))
        c, rows = size_of(rng), () if rng.random() < 0.2 else (size_of(rng),)
        x, weight, bias = (
            rng.standard_normal(shape).astype(dtype) for shape in ((*batch, c), (*rows, c), rows)
        )
        g = rng.standard_normal((*batch, *rows)).astype(dtype)
        wide = [torch.from_numpy(a).double().requires_grad_() for a in (x, weight, bias)]
        dense(*wide).backward(torch.from_numpy(g).double())
        size = [torch.from_numpy(a).abs().double().requires_grad_() for a in (x, weight, bias)]
        dense(*size).backward(torch.from_numpy(g).abs().double())
        found = [grad.linear_input(weight, view_of(rng, g)), grad.linear_weight(x, g)]
        found += [grad.linear_bias(g)] if rows else []
        samples = max(1, int(np.prod(batch)))
        for mine, theirs, of, length in zip(
            found, wide, size, (weight.size // max(c, 1), samples, samples), strict=False
        ):
            bound = 2 * expected.error_bound(of.grad.numpy(), length, dtype)
            expected.assert_within(mine, theirs.grad.numpy(), bound, what=(x.shape, weight.shape))


def local(x, weight, bias, kernel, stride, padding, dilation):
    """Compute a locally connected layer by torch's operators, on (n, c, h, w)."""
    columns = torch.nn.functional.unfold(x, kernel, dilation, padding, stride)
    oh, ow = weight.shape[:2]
    columns = columns.reshape(len(x), weight.shape[-1], oh, ow)
    return torch.einsum("nlij,ijkl->nkij", columns, weight) + bias


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_locally_connected_with_gradients(channels_last, dtype, rng):
    given = 0
    while given < 200:
        n, c, k = (int(size) for size in rng.integers(1, 5, 3))
        plane, kernel, stride, dilation = (
            tuple(int(size) for size in rng.integers(1, most, 2)) for most in (11, 4, 4, 3)
        )
        padding = tuple(int(size) for size in rng.integers(0, 3, 2))
        form = {"stride": stride, "padding": padding, "dilation": dilation}
        shape = attempt(
            lambda s=(n, c, *plane), w=(k, c, *kernel), f=form: fastconv.conv_output_shape(
                s, w, **f
            ),
            ValueError,
        )
        if shape is None:
            continue
        given += 1
        oh, ow = shape[2:]
        x = rng.standard_normal((n, c, *plane)).astype(dtype)
        weight = rng.standard_normal((oh, ow, k, c * kernel[0] * kernel[1])).astype(dtype)
        bias = rng.standard_normal((k, oh, ow)).astype(dtype)
        g = rng.standard_normal((n, k, oh, ow)).astype(dtype)
        what = (x.shape, weight.shape, kernel, form)

        results = []
        for change in (np.asarray, np.abs):
            wide = [
                torch.from_numpy(change(a).astype(np.float64)).requires_grad_()
                for a in (x, weight, bias)
            ]
            y = local(*wide, kernel, stride, padding, dilation)
            y.backward(torch.from_numpy(change(g).astype(np.float64)))
            results.append([y.detach().numpy(), *(tensor.grad.numpy() for tensor in wide)])

        def last(array, images=True):
            return np.moveaxis(array, 1, -1) if channels_last and images else array

        form |= {"kernel_size": kernel, "channels_last": channels_last}
        images, grads = last(x), last(g)
        found = [
            fastconv.locally_connected2d(images, weight, bias, **form),
            grad.locally_connected2d_input(images.shape, weight, grads, **form),
            grad.locally_connected2d_weight(images, weight.shape, grads, **form),
            grad.locally_connected2d_bias(bias.shape, grads, channels_last=channels_last),
        ]
        lengths = weight.shape[-1], k * kernel[0] * kernel[1], n, n
        for i, (mine, value, size, length) in enumerate(zip(found, *results, lengths, strict=True)):
            bound = (2 if dtype == "float64" else 1) * expected.error_bound(size, length, dtype)
            bound = bound + expected.final_rounding(value, bound, dtype)
            assert mine.dtype == dtype
            expected.assert_within(mine, last(value, i < 2), last(bound, i < 2), what=what)
