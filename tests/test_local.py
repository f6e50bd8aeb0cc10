"""Locally connected layers and their gradients."""

import hashlib
from math import prod

import numpy as np
import pytest

import expected
import fastconv
from fastconv import _core, grad, locally_connected2d
from guarded import place
from plans import FLOATS, NO_ACTIVATION

# n, c, plane, k, kernel, stride, padding, dilation
CASES = [
    (1, 1, (6, 7), 1, (3, 3), 1, 0, 1),
    (2, 3, (6, 7), 5, (3, 3), 1, 1, 1),
    (3, 2, (5, 9), 4, (2, 3), (2, 1), (1, 0), (1, 2)),
    (2, 1, (7, 6), 9, (1, 5), (1, 2), ((0, 1), (3, 2)), 1),
    (1, 4, (3, 3), 2, (3, 3), 1, 0, 1),
    (2, 5, (4, 4), 3, (1, 1), 1, 0, 1),
    (2, 5, (4, 4), 3, (1, 1), 2, 1, 1),
    (1, 2, (5, 5), 3, (3, 3), 1, "same", 2),
    (1, 1, (2, 2), 2, (2, 2), 3, 4, 1),
    (37, 3, (3, 4), 6, (2, 2), 1, 0, 1),
    (1, 30, (4, 3), 70, (3, 3), 1, 1, 1),
]


def form_of(case):
    *_, kernel, stride, padding, dilation = case
    return {"kernel_size": kernel, "stride": stride, "padding": padding, "dilation": dilation}


def arrays(case, rng, dtype, channels_last=False, batched=True):
    """Return x, weight, and a bias for each output."""
    n, c, plane, k, kernel, stride, padding, dilation = case
    shape = (n, *plane, c) if channels_last else (n, c, *plane)
    oh, ow = fastconv.conv_output_shape((n, c, *plane), (k, c, *kernel), stride, padding, dilation)[
        2:
    ]
    x = rng.standard_normal(shape if batched else shape[1:]).astype(dtype)
    weight = rng.standard_normal((oh, ow, k, c * prod(kernel))).astype(dtype)
    return x, weight, rng.standard_normal((k, oh, ow)).astype(dtype)


def wide(x, weight, bias, case, channels_last=False, activation=None):
    """Return the wide result and the bound on its error: pixel by pixel, a convolution there."""
    _, c, _, k, kernel, stride, padding, dilation = case
    oh, ow = weight.shape[:2]
    form = {"channels_last": channels_last, "activation": activation}
    values = np.empty((oh, ow), object)
    for i, j in np.ndindex(oh, ow):
        filters = weight[i, j].reshape(k, c, *kernel)
        own = None if bias is None else bias if bias.ndim == 1 else bias[:, i, j]
        pair = expected.conv(x, filters, own, stride, padding, dilation, **form)
        values[i, j] = [a[..., i, j, :] if channels_last else a[..., i, j] for a in pair]
    result = []
    for part in (0, 1):
        rows = np.stack([np.stack([v[part] for v in row], axis=-2) for row in values], axis=-3)
        result.append(rows if channels_last else np.moveaxis(rows, -1, -3))
    return result


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_against_the_oracle_and_the_bound(case, channels_last, dtype, rng):
    for batched in (True, False) if case[0] == 1 else (True,):
        x, weight, bias = arrays(case, rng, dtype, channels_last, batched)
        form = {**form_of(case), "channels_last": channels_last}
        for each in (None, bias, bias[:, 0, 0]):
            y = locally_connected2d(x, weight, each, **form, activation="relu")
            if x.size * len(weight) < 2000:
                oracle = fastconv.reference.locally_connected2d
                value = oracle(x, weight, each, **form, activation="relu")
                assert (y.shape, y.dtype) == (value.shape, value.dtype)
            expected.assert_within(y, *wide(x, weight, each, case, channels_last, "relu"))
            assert y.flags.c_contiguous


def test_the_oracle_itself(rng):
    for case in CASES[:9]:
        x, weight, bias = arrays(case, rng, "float64")
        y = fastconv.reference.locally_connected2d(x, weight, bias, **form_of(case))
        expected.assert_within(y, *wide(x, weight, bias, case))


@pytest.mark.parametrize("case", CASES[:5], ids=str)
def test_shared_weights_are_a_convolution(case, rng):
    x, weight, bias = arrays(case, rng, "float64")
    _, c, _, k, kernel, *_ = case
    one = rng.standard_normal((k, c, *kernel))
    shared = np.broadcast_to(one.reshape(k, -1), weight.shape)
    form = form_of(case)
    y = locally_connected2d(x, shared, bias[:, 0, 0], **form)
    del form["kernel_size"]
    np.testing.assert_allclose(y, fastconv.conv2d(x, one, bias[:, 0, 0], **form), atol=1e-12)


def test_worked_out_by_hand():
    x = np.array([[[1, 2], [3, 4], [5, 6]]], np.float32)
    weight = np.array([[[[1, 1, 1, 1]]], [[[1, 0, 0, -1]]]], np.float32)
    for function in (locally_connected2d, fastconv.reference.locally_connected2d):
        assert function(x, weight).tolist() == [[[10], [-3]]]
        assert function(x, weight, np.float32([5])).tolist() == [[[15], [2]]]
        bias = np.array([[[5], [7]]], np.float32)
        assert function(x, weight, bias, activation="relu").tolist() == [[[15], [4]]]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("side", ["start", "end"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_every_level_stays_within_its_arrays(channels_last, side, dtype, level, rng):
    for case in CASES:
        x, weight, bias = arrays(case, rng, dtype, channels_last)
        value, bound = wide(x, weight, bias, case, channels_last)
        if not channels_last:
            value, bound = np.moveaxis(value, 1, -1), np.moveaxis(bound, 1, -1)
        n, c, plane, k, kernel, stride, padding, dilation = case
        steps = fastconv._arguments.per_axis("stride", stride, 2)
        spread = fastconv._arguments.per_axis("dilation", dilation, 2)
        pads = fastconv._arguments.padding(padding, kernel, steps, spread)
        form = steps, pads, spread, channels_last, True, dtype, NO_ACTIVATION, level
        plan = _core.LocalPlan(n, c, *plane, k, *kernel, *form)
        last = np.ascontiguousarray(np.moveaxis(bias, 0, -1))
        x, weight, last = (place(array, side, read_only=True) for array in (x, weight, last))
        out = place(np.full(plan.out_shape, np.nan, dtype), side)
        plan.run(x, weight, last, None, out)
        expected.assert_within(out, value, bound, what=case)


@pytest.mark.parametrize("channels_last", [False, True])
def test_arrays_and_outputs_of_any_form(channels_last, rng):
    case = CASES[2]
    x, weight, bias = arrays(case, rng, "float32", channels_last)
    form = {**form_of(case), "channels_last": channels_last}
    wanted = locally_connected2d(x, weight, bias, **form)
    for make in (
        np.asfortranarray,
        lambda a: a.astype(">f4"),
        lambda a: np.ascontiguousarray(a[::-1])[::-1],
        lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
        lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    ):
        y = locally_connected2d(make(x), make(weight), make(bias), **form)
        assert y.tobytes() == wanted.tobytes()
        out = make(np.zeros_like(wanted))
        assert locally_connected2d(x, weight, bias, **form, out=out) is out
        np.testing.assert_array_equal(out, wanted)
    with pytest.raises(ValueError, match="out overlaps x"):
        locally_connected2d(
            x, weight, **form, out=x.reshape(-1)[: wanted.size].reshape(wanted.shape)
        )


def test_an_empty_batch(rng):
    x, weight, _ = arrays(CASES[1], rng, "float32")
    assert locally_connected2d(x[:0], weight, padding=1).shape == (0, 5, 6, 7)
    assert locally_connected2d(
        x[:0].transpose(0, 2, 3, 1), weight, padding=1, channels_last=True
    ).shape == (0, 6, 7, 5)


@pytest.mark.parametrize("dtype", FLOATS)
def test_bits_do_not_depend_on_threads_or_place(dtype, rng):
    for case in [(1, 16, (20, 20), 24, (3, 3), 1, 1, 1), (70, 8, (9, 9), 24, (3, 3), 1, 0, 1)]:
        x, weight, bias = arrays(case, rng, dtype)
        x = np.repeat(x[:1], case[0], axis=0)
        hashes = set()
        for threads in (1, 2, 3, 7):
            with fastconv.num_threads(threads):
                y = locally_connected2d(x, weight, bias, padding=case[6])
            assert len({image.tobytes() for image in y}) == 1
            hashes.add(hashlib.sha256(y.tobytes()).hexdigest())
        assert len(hashes) == 1


def ones(*shape, dtype=np.float32):
    return np.ones(shape, dtype)


X, WEIGHT = ones(2, 3, 6, 7), ones(4, 5, 8, 27)


@pytest.mark.parametrize(
    ("form", "error", "words"),
    [
        ({"weight": ones(4, 5, 8)}, ValueError, ["weight", "(4, 5, 8)"]),
        ({"weight": ones(3, 5, 8, 27)}, ValueError, ["weight", "4 x 5", "(4, 5, 8, 27)"]),
        ({"weight": ones(4, 5, 8, 26)}, ValueError, ["weight has 26", "kernel_size"]),
        ({"weight": ones(4, 5, 8, 18)}, ValueError, ["weight has 18", "kernel_size"]),
        ({"weight": ones(4, 5, 8, 0)}, ValueError, ["weight has 0"]),
        ({"weight": ones(4, 5, 0, 27)}, ValueError, ["output channels", "0"]),
        ({"kernel_size": 2}, ValueError, ["27 elements", "2 x 2", "12"]),
        ({"kernel_size": (9, 0)}, ValueError, ["kernel_size", "0"]),
        ({"kernel_size": "3"}, TypeError, ["kernel_size"]),
        ({"kernel_size": (3, 3, 3)}, ValueError, ["kernel_size"]),
        ({"stride": 0}, ValueError, ["stride", "0"]),
        ({"stride": 1.5}, TypeError, ["stride", "1.5"]),
        ({"padding": -1}, ValueError, ["padding", "-1"]),
        ({"padding": 2**40}, MemoryError, ["weight", "larger than any memory"]),
        ({"padding": 2**61}, ValueError, ["too large"]),
        ({"dilation": 0}, ValueError, ["dilation", "0"]),
        ({"dilation": 2**61}, ValueError, ["too large"]),
        ({"dilation": 4}, ValueError, ["height", "6"]),
        ({"x": ones(3, 6)}, ValueError, ["x", "(3, 6)"]),
        ({"x": ones(2, 0, 6, 7)}, ValueError, ["0 channels"]),
        ({"x": X.astype(int)}, TypeError, ["x", "int64"]),
        ({"x": X.astype(np.float64)}, TypeError, ["weight", "float64"]),
        ({"bias": ones(7)}, ValueError, ["bias has shape (7,)", "(8,)", "(8, 4, 5)"]),
        ({"bias": ones(4, 5, 8)}, ValueError, ["bias has shape (4, 5, 8)"]),
        ({"bias": ones(8, dtype=np.float64)}, TypeError, ["bias", "float64"]),
        ({"channels_last": 1}, TypeError, ["channels_last"]),
        ({"activation": "gelu"}, ValueError, ["activation"]),
        ({"out": ones(2, 8, 4, 4)}, ValueError, ["out has shape (2, 8, 4, 4)", "(2, 8, 4, 5)"]),
    ],
    ids=str,
)
def test_bad_arguments(form, error, words):
    arguments = {"weight": WEIGHT, **form}
    with pytest.raises(error) as refusal:
        locally_connected2d(arguments.pop("x", X), **arguments)
    assert all(word in str(refusal.value) for word in words), refusal.value


def test_giants_are_refused_at_once():
    giant = np.broadcast_to(np.float32(1), (2**20, 2**20, 1, 1))
    with pytest.raises((MemoryError, ValueError)):
        locally_connected2d(ones(1, 1, 1), giant, stride=1, padding=2**19)
    with pytest.raises((MemoryError, ValueError)):
        grad.locally_connected2d_input((1, 2**40, 2**40), giant, ones(1, 1, 1))


# -- gradients -------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("case", CASES[:9], ids=str)
def test_gradients_are_the_slopes(case, channels_last, rng):
    """The layer is linear in each of its arrays: its value is their product with the gradient."""
    x, weight, bias = arrays(case, rng, "float64", channels_last)
    form = {**form_of(case), "channels_last": channels_last}
    y = locally_connected2d(x, weight, **form)
    g = rng.standard_normal(y.shape)
    found = {
        "x": grad.locally_connected2d_input(x.shape, weight, g, **form),
        "weight": grad.locally_connected2d_weight(x, weight.shape, g, **form),
        "bias": grad.locally_connected2d_bias(bias.shape, g, channels_last=channels_last),
    }
    parts = {"x": x, "weight": weight, "bias": bias}

    def loss(x, weight, bias):
        return float((locally_connected2d(x, weight, bias, **form) * g).sum())

    for name, array in parts.items():
        assert found[name].shape == array.shape
        picks = rng.permutation(array.size)[:40]
        for at in picks:
            at = np.unravel_index(at, array.shape)
            ahead, behind = array.copy(), array.copy()
            ahead[at] += 0.5
            behind[at] -= 0.5
            slope = loss(**{**parts, name: ahead}) - loss(**{**parts, name: behind})
            assert abs(slope - found[name][at]) < 1e-10, name
    shared = grad.locally_connected2d_bias(bias.shape[:1], g, channels_last=channels_last)
    np.testing.assert_allclose(shared, found["bias"].sum(axis=(1, 2)), atol=1e-12)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradients_of_every_dtype(case, dtype, rng):
    """Against float64, within the rounding of the sums and of what they are stored in."""
    x, weight, _ = arrays(case, rng, dtype)
    form = form_of(case)
    y = locally_connected2d(x, weight, **form)
    g = rng.standard_normal(y.shape).astype(dtype)
    wide_x, wide_weight, wide_g = (a.astype(np.float64) for a in (x, weight, g))
    for call in (
        lambda x, w, g: grad.locally_connected2d_input(x.shape, w, g, **form),
        lambda x, w, g: grad.locally_connected2d_weight(x, w.shape, g, **form),
        lambda x, w, g: grad.locally_connected2d_bias(y.shape[1:2], g),
        lambda x, w, g: grad.locally_connected2d_bias(y.shape[1:], g),
    ):
        result = call(x, weight, g)
        value = call(wide_x, wide_weight, wide_g)
        size = call(abs(wide_x), abs(wide_weight), abs(wide_g))
        bound = expected.error_bound(size, weight.shape[-1] * case[0] * case[3], dtype)
        assert result.dtype == dtype
        bound = bound + expected.final_rounding(value, bound, dtype)
        expected.assert_within(result, value, bound + 1e-300)


def test_gradients_of_no_images_and_into_out(rng):
    case = CASES[1]
    x, weight, bias = arrays(case, rng, "float32")
    form = form_of(case)
    g = rng.standard_normal((2, 5, 6, 7)).astype(np.float32)
    assert grad.locally_connected2d_input((0, 3, 6, 7), weight, g[:0], **form).shape == (0, 3, 6, 7)
    assert not grad.locally_connected2d_weight(x[:0], weight.shape, g[:0], **form).any()
    assert not grad.locally_connected2d_bias((5,), g[:0]).any()
    for call, like in [
        (lambda out: grad.locally_connected2d_input(x.shape, weight, g, **form, out=out), x),
        (lambda out: grad.locally_connected2d_weight(x, weight.shape, g, **form, out=out), weight),
        (lambda out: grad.locally_connected2d_bias(bias.shape, g, out=out), bias),
    ]:
        wanted = call(None)
        out = np.zeros((*like.shape, 2), np.float32)[..., 1]
        assert call(out) is out
        assert np.array_equal(out, wanted)
        with pytest.raises(ValueError, match="out has dtype"):
            call(out.astype(np.float64))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: grad.locally_connected2d_input((2, 3, 6, 8), WEIGHT, ones(2, 8, 4, 6)), "weight"),
        (lambda: grad.locally_connected2d_input(X.shape, WEIGHT, ones(2, 8, 4, 4)), "grad_output"),
        (lambda: grad.locally_connected2d_weight(X, (4, 5, 8, 9), ones(2, 8, 4, 5)), "weight"),
        (lambda: grad.locally_connected2d_weight(X, (4, 5, 8, 27), ones(8, 4, 5)), "grad_output"),
        (lambda: grad.locally_connected2d_bias((4,), ones(2, 8, 4, 5)), "bias_size"),
        (lambda: grad.locally_connected2d_bias((8,), ones(4, 5)), "grad_output"),
    ],
)
def test_bad_gradients(call, words):
    with pytest.raises(ValueError, match=words):
        call()
