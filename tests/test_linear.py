"""Dense layers: `linear`, `Linear` and their gradients."""

import copy
import hashlib
import pickle
import threading
from importlib import import_module

import numpy as np
import pytest

import expected
import fastconv
from fastconv import _core, linear
from guarded import place
from plans import FLOATS, NO_ACTIVATION

# The package's `linear` is the function.
module = import_module("fastconv.linear")

# Around the vector lengths and the kernel's rows, columns and chunks.
LENGTHS = [1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 31, 33, 100, 1023, 1024, 1025, 2100]
ROWS = [1, 2, 3, 4, 5, 7, 8, 9, 130]
SAMPLES = [1, 2, 3, 4, 5, 33]


def dense(x, weight, bias=None, residual=None, activation=None):
    """Return the wide result and the bound on its error, by way of the convolution's."""
    c = x.shape[-1]
    pixels = x.reshape(-1, 1, c)
    if residual is not None:
        residual = residual.reshape(-1, 1, len(weight))
    form = {"channels_last": True, "residual": residual, "activation": activation}
    value, bound = expected.conv(pixels, weight[..., np.newaxis], bias, **form)
    shape = (*x.shape[:-1], len(weight))
    return value.reshape(shape), bound.reshape(shape)


def dots(x, weight, bias=None, residual=None, activation=NO_ACTIVATION, level=None, out=None):
    """Run the dot products by themselves, at any level."""
    (n, c), k = x.shape, len(weight)
    none, step = (0, 0, 0, 0), (1, 1)
    form = step, none, step, True, False, x.dtype.name, activation, level
    plan = _core.LocalPlan(n, c, 1, 1, k, 1, 1, *form)
    out = np.full((n, k), np.nan, x.dtype) if out is None else out

    def pixels(array):
        return None if array is None else array[:, np.newaxis, np.newaxis]

    plan.run(pixels(x), weight, bias, pixels(residual), pixels(out))
    return out


def arrays(rng, n, c, k, dtype="float32"):
    x, weight = rng.standard_normal((n, c)), rng.standard_normal((k, c))
    return x.astype(dtype), weight.astype(dtype), rng.standard_normal(k).astype(dtype)


@pytest.mark.parametrize("dtype", FLOATS)
def test_dot_products_at_every_level(level, dtype, rng):
    for c in LENGTHS:
        for k in ROWS:
            for n in SAMPLES if c < 1000 else SAMPLES[:3]:
                x, weight, bias = arrays(rng, n, c, k, dtype)
                y = dots(x, weight, bias, level=level)
                expected.assert_within(y, *dense(x, weight, bias), what=(n, c, k))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("activation", ["silu", "relu", ("leaky_relu", 0.125)])
def test_dot_products_finish_their_results(activation, level, dtype, rng):
    normal = fastconv._arguments.activation(activation)
    for n, k in [(1, 5), (3, 19), (34, 33)]:
        x, weight, bias = arrays(rng, n, 40, k, dtype)
        residual = rng.standard_normal((n, k)).astype(dtype)
        y = dots(x, weight, bias, residual, normal, level)
        expected.assert_within(y, *dense(x, weight, bias, residual, activation), what=(n, k))
        assert dots(x, weight, bias, residual, normal, level, residual).tobytes() == y.tobytes()


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("side", ["start", "end"])
def test_dot_products_stay_within_their_arrays(side, dtype, level, rng, skip):
    for n, c, k in [(1, 1, 1), (1, 7, 3), (2, 17, 5), (3, 33, 4), (5, 1027, 6), (33, 9, 130)]:
        x, weight, bias = arrays(rng, n, c, k, dtype)
        wanted = dots(x, weight, bias, level=level)
        x, weight, bias = (place(array, side, read_only=True) for array in (x, weight, bias))
        out = place(np.full((n, k), np.nan, dtype), side)
        assert dots(x, weight, bias, level=level, out=out).tobytes() == wanted.tobytes()


def test_dot_products_check_their_arrays(rng):
    x, weight, bias = arrays(rng, 2, 8, 5)
    for wrong in [
        (x[:, :7], weight, bias),
        (x, weight[:4], bias),
        (x, np.asfortranarray(weight), bias),
        (x, weight.astype(np.float64), bias),
        (x, weight, bias[:4]),
        (x[:, ::-1], weight, bias),
    ]:
        x_, weight_, bias_ = wrong
        none, step = (0, 0, 0, 0), (1, 1)
        form = step, none, step, True, False, "float32", NO_ACTIVATION, None
        plan = _core.LocalPlan(2, 8, 1, 1, 5, 1, 1, *form)
        out = np.zeros((2, 1, 1, 5), np.float32)
        with pytest.raises(ValueError, match="must"):
            plan.run(x_[:, np.newaxis, np.newaxis], weight_, bias_, None, out)
        assert not out.any()


def test_a_layer_worked_out_by_hand():
    weight = np.array([[1, 2, 3], [-1, 0, 1]], np.float32)
    x = np.array([[1, 1, 1], [2, 0, -2]], np.float32)
    bias = np.array([10, 20], np.float32)
    for function in (linear, fastconv.reference.linear):
        assert function(x, weight).tolist() == [[6, 0], [-4, -4]]
        assert function(x, weight, bias).tolist() == [[16, 20], [6, 16]]
        assert function(x, weight, activation="relu").tolist() == [[6, 0], [0, 0]]
        assert function(x[0], weight[0]).tolist() == 6
        assert function(x, weight[1], np.float32(1)).tolist() == [1, -3]
        assert function(x, weight, residual=x[:, :2]).tolist() == [[7, 1], [-2, -4]]


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(
    "shape", [(9,), (1, 9), (4, 9), (21, 9), (2, 3, 9), (5, 1, 4, 9), (2, 2, 0, 9), (3, 0), (0,)]
)
def test_against_the_oracle(shape, dtype, rng):
    x = rng.standard_normal(shape).astype(dtype)
    for k in (6, 1, 0, None):
        weight = rng.standard_normal((*(() if k is None else (k,)), shape[-1])).astype(dtype)
        bias = rng.standard_normal(weight.shape[:-1]).astype(dtype)
        for form in [{}, {"bias": bias}, {"bias": bias, "activation": ("clip", -1, 1)}]:
            y = linear(x, weight, **form)
            wanted = fastconv.reference.linear(x, weight, **form)
            assert (y.shape, y.dtype) == (wanted.shape, wanted.dtype)
            assert y.flags.c_contiguous
            value, bound = (
                dense(
                    x.reshape(-1, shape[-1]) if x.ndim == 1 else x,
                    weight.reshape(-1, shape[-1]),
                    form.get("bias", np.zeros_like(bias)).reshape(-1),
                    activation=form.get("activation"),
                )
                if y.size and shape[-1]
                else (wanted.astype(np.float64), np.zeros(y.shape))
            )
            expected.assert_within(y.reshape(value.shape), value, bound + 1e-30)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("far", [True, False])
@pytest.mark.parametrize("with_residual", [True, False])
def test_every_way_to_compute(dtype, far, with_residual, monkeypatch, rng):
    """Few and many samples, few and many weights: dot products, and both ways round the engine."""
    if far:
        monkeypatch.setattr(module, "_FAR", 0)
    for n in (1, 2, 3, 16, 17, 40, 90):
        x, weight, bias = arrays(rng, n, 600, 70, dtype)
        residual = rng.standard_normal((n, 70)).astype(dtype) if with_residual else None
        for row in (None, bias):
            form = {"residual": residual, "activation": "relu"}
            wanted = dense(x, weight, row, **form)
            expected.assert_within(linear(x, weight, row, **form), *wanted, what=n)
            layer = fastconv.Linear(weight, row, activation="relu")
            for _ in range(2):
                expected.assert_within(layer(x, residual=residual), *wanted, what=n)


def test_the_ways_are_taken(rng, monkeypatch):
    taken = []
    for name in ("_take_dots", "_take_engine"):
        function = getattr(module, name)
        monkeypatch.setattr(
            module, name, lambda *a, f=function, name=name: (taken.append(name), f(*a))
        )
    for n, c in [(1, 600), (16, 600), (17, 600), (2, 10), (3, 10)]:
        x, weight, _ = arrays(rng, n, c, 70)
        linear(x, weight)
    assert taken == ["_take_dots", "_take_dots", "_take_engine", "_take_dots", "_take_engine"]


@pytest.mark.parametrize("shape", [(), (1,), (6,), (1, 6), (4, 1), (4, 6), (1, 1), (3, 4, 6)])
def test_a_bias_of_any_shape_that_broadcasts(shape, rng):
    x = rng.standard_normal((3, 4, 20)).astype(np.float32)
    weight = rng.standard_normal((6, 20)).astype(np.float32)
    bias = rng.standard_normal(shape).astype(np.float32)
    y = linear(x, weight, bias)
    whole = np.ascontiguousarray(np.broadcast_to(bias, y.shape))
    expected.assert_within(y, *dense(x, weight, residual=whole))


@pytest.mark.parametrize("shape", [(), (1,), (5,), (4, 1), (4, 5)])
def test_a_bias_beside_a_weight_of_one_axis(shape, rng):
    x = rng.standard_normal((4, 5, 20))
    weight, bias = rng.standard_normal(20), rng.standard_normal(shape)
    y = linear(x, weight, bias)
    np.testing.assert_allclose(y, x @ weight + bias, rtol=0, atol=1e-13)


FORMS = {
    "reversed": lambda a: a[::-1][::-1],
    "negative": lambda a: np.ascontiguousarray(a[..., ::-1])[..., ::-1],
    "fortran": np.asfortranarray,
    "swapped": lambda a: a.astype(a.dtype.newbyteorder()),
    "strided": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "rows apart": lambda a: np.concatenate([a, a], axis=-1)[..., : a.shape[-1]],
    "misaligned": lambda a: np.frombuffer(b"\0" + a.tobytes(), a.dtype, offset=1).reshape(a.shape),
    "list": lambda a: a.tolist(),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("n", [2, 30])
def test_arrays_of_any_form(form, n, rng):
    x, weight, bias = arrays(rng, n, 17, 6, "float64")
    wanted = linear(x, weight, bias)
    make = FORMS[form]
    assert linear(make(x), make(weight), make(bias)).tobytes() == wanted.tobytes()
    layer = fastconv.Linear(make(weight), make(bias))
    first = layer(x)
    assert layer(make(x)).tobytes() == first.tobytes()


@pytest.mark.parametrize("n", [1, 2, 30])
def test_out_may_be_any_view(n, rng):
    x, weight, bias = arrays(rng, n, 40, 6)
    wanted = linear(x, weight, bias)
    layer = fastconv.Linear(weight, bias)
    for call in (lambda **form: linear(x, weight, bias, **form), lambda **form: layer(x, **form)):
        plain = call()
        for out in [
            np.empty((n, 6), np.float32),
            np.empty((6, n), np.float32).T,
            np.empty((n, 12), np.float32)[:, ::2],
            np.empty((n, 6), ">f4"),
        ]:
            assert call(out=out) is out
            np.testing.assert_array_equal(out, plain)
        np.testing.assert_allclose(plain, wanted, rtol=0, atol=1e-4)


def test_in_place_on_the_residual(rng):
    for n in (2, 30):
        x, weight, bias = arrays(rng, n, 40, 6)
        residual = rng.standard_normal((n, 6)).astype(np.float32)
        wanted = linear(x, weight, bias, residual=residual)
        assert linear(x, weight, bias, residual=residual, out=residual) is residual
        assert residual.tobytes() == wanted.tobytes()


@pytest.mark.parametrize("dtype", FLOATS)
def test_bits_do_not_depend_on_threads_or_place(dtype, rng):
    for n, c, k in [(1, 4096, 1000), (2, 900, 700), (9, 600, 700), (40, 600, 700)]:
        x, weight, bias = arrays(rng, 1, c, k, dtype)
        x = np.repeat(x, n, axis=0)
        layer = fastconv.Linear(weight, bias)
        hashes = set()
        for threads in (1, 2, 3, 7):
            with fastconv.num_threads(threads):
                for i, y in enumerate([linear(x, weight, bias), layer(x), layer(x)]):
                    assert len({row.tobytes() for row in y}) == 1
                    hashes.add((min(i, 1), hashlib.sha256(y.tobytes()).hexdigest()))
        assert len(hashes) == 2
    if fastconv.config()["openmp"]:
        with fastconv.num_threads(3):
            assert module.dense_plan(1, 4096, 1000, dtype, NO_ACTIVATION).threads == 3


def test_not_a_number_and_infinity_stay_in_their_outputs(rng):
    for n in (1, 2, 5, 30):
        x, weight, _ = arrays(rng, n, 40, 9)
        clean = linear(x, weight)
        weight[4, 3], weight[7, 39] = np.nan, np.inf
        x[:, 39] = 1
        clean = linear(x, np.where(np.isfinite(weight), weight, 0))
        y = linear(x, weight)
        assert np.isnan(y[:, 4]).all()
        assert (y[:, 7] == np.inf).all()
        others = [0, 1, 2, 3, 5, 6, 8]
        assert np.array_equal(y[:, others], clean[:, others])


def ones(*shape, dtype=np.float32):
    return np.ones(shape, dtype)


BAD = [
    ((ones(3, 4), ones(5, 3)), ValueError, ["x has 4 features", "weight takes 3"]),
    ((ones(3, 4), ones(3)), ValueError, ["x has 4 features", "takes 3"]),
    ((np.float32(1), ones(5, 4)), ValueError, ["x", "()"]),
    ((ones(3, 4), np.float32(1)), ValueError, ["weight", "()"]),
    ((ones(3, 4), ones(2, 5, 4)), ValueError, ["weight", "(2, 5, 4)"]),
    ((ones(3, 4), ones(5, 4), ones(4)), ValueError, ["bias", "(4,)", "(5,)"]),
    ((ones(3, 4), ones(5, 4), ones(2, 5)), ValueError, ["bias", "(2, 5)"]),
    ((ones(3, 4), ones(5, 4), ones(1, 3, 5)), ValueError, ["bias", "(1, 3, 5)"]),
    ((ones(3, 4), ones(4), ones(2)), ValueError, ["bias", "(2,)", "()"]),
    ((ones(3, 4), ones(5, 4, dtype=np.float64)), TypeError, ["weight", "float64", "float32"]),
    ((ones(3, 4), ones(5, 4), ones(5, dtype=np.float16)), TypeError, ["bias", "float16"]),
    ((ones(3, 4, dtype=int), ones(5, 4, dtype=int)), TypeError, ["x", "int64", "float32"]),
    ((np.ma.masked_array(ones(3, 4)), ones(5, 4)), TypeError, ["x", "masked"]),
    ((ones(3, 4), None), TypeError, ["weight"]),
    (([[1.0], [1.0, 2.0]], ones(5, 4)), ValueError, ["x"]),
]


@pytest.mark.parametrize(("arguments", "error", "words"), BAD)
def test_bad_arguments(arguments, error, words):
    with pytest.raises(error) as refusal:
        linear(*arguments)
    assert all(word in str(refusal.value) for word in words), refusal.value


@pytest.mark.parametrize(
    ("form", "error", "words"),
    [
        ({"out": ones(3, 4)}, ValueError, ["out has shape (3, 4)", "(3, 5)"]),
        ({"out": ones(3, 5, dtype=np.float64)}, ValueError, ["out has dtype float64"]),
        ({"out": [[0.0] * 5] * 3}, TypeError, ["out", "list"]),
        ({"residual": ones(5)}, ValueError, ["residual", "(5,)", "(3, 5)"]),
        ({"residual": ones(3, 5, dtype=np.float64)}, TypeError, ["residual", "float64"]),
        ({"bias": ones(3, 5), "residual": ones(3, 5)}, ValueError, ["bias", "(3, 5)", "(5,)"]),
        ({"activation": "gelu"}, ValueError, ["activation", "gelu"]),
        ({"activation": 3}, TypeError, ["activation", "3"]),
    ],
)
def test_bad_keywords(form, error, words):
    with pytest.raises(error) as refusal:
        linear(ones(3, 4), ones(5, 4), **form)
    assert all(word in str(refusal.value) for word in words), refusal.value


def test_an_output_that_overlaps_is_refused_unwritten():
    memory = ones(100)
    weight, out = memory[:20].reshape(5, 4), memory[15:30].reshape(3, 5)
    with pytest.raises(ValueError, match="out overlaps weight"):
        linear(ones(3, 4), weight, out=out)
    with pytest.raises(ValueError, match="out overlaps x"):
        fastconv.Linear(ones(4, 4))(out[:, :4], out=out[:, 1:])
    out.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        linear(ones(3, 4), ones(5, 4), out=out)
    assert (memory == 1).all()


@pytest.mark.parametrize("shape", [(2**60,), (2**38, 2**22), (1, 2**50)])
def test_giants_are_refused_at_once(shape):
    giant = np.broadcast_to(np.float32(1), shape)
    with pytest.raises((MemoryError, ValueError)):
        linear(giant, np.broadcast_to(np.float32(1), (2, shape[-1])))
    with pytest.raises((MemoryError, ValueError)):
        linear(ones(2, 3), np.broadcast_to(np.float32(1), (2**58, 3)))


# -- the prepared layer ----------------------------------------------------------------------------


@pytest.fixture
def far(monkeypatch):
    """Count all weights as far away, so that small ones take the dot products."""
    monkeypatch.setattr(module, "_FAR", 0)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_layer_gives_the_bits_of_itself_on_every_path(n, far, rng):
    x, weight, bias = arrays(rng, n, 70, 9)
    layer = fastconv.Linear(weight, bias, activation="relu")
    first = layer(x)
    expected.assert_within(first, *dense(x, weight, bias, activation="relu"))
    out = np.empty_like(first)
    for y in (layer(x), layer(x, out=out), out, layer(np.asfortranarray(x)), layer(x[np.newaxis])):
        assert y.tobytes() == first.tobytes()
    assert layer(x[np.newaxis]).shape == (1, n, 9)
    assert not np.shares_memory(layer(x), layer(x))


def test_shapes_may_change_from_call_to_call(far, rng):
    weight = rng.standard_normal((9, 40)).astype(np.float32)
    layer = fastconv.Linear(weight)
    for shape in [
        (40,),
        (1, 40),
        (2, 40),
        (5, 40),
        (1, 2, 40),
        (40,),
        (0, 40),
        (1,) * 5 + (40,),
    ] * 2:
        x = rng.standard_normal(shape).astype(np.float32)
        expected.assert_within(layer(x), *dense(x, weight))
        expected.assert_within(layer(x), *dense(x, weight))


@pytest.mark.parametrize("n", [1, 5])
def test_update_replaces_the_weights(n, far, rng):
    x, weight, bias = arrays(rng, n, 40, 9)
    layer = fastconv.Linear(weight, bias)
    before = layer(x), layer(x)
    weight[...] *= 2
    assert layer(x).tobytes() == before[1].tobytes()  # it has a copy
    layer.update(weight, None)
    assert layer.bias is None
    for _ in range(2):
        expected.assert_within(layer(x), *dense(x, weight))
    for wrong, error in [
        (weight[:, :3], ValueError),
        (weight.astype(np.float64), TypeError),
        (None, TypeError),
    ]:
        with pytest.raises(error, match="weight"):
            layer.update(wrong)
    with pytest.raises(ValueError, match="bias"):
        layer.update(weight, bias[:2])
    expected.assert_within(layer(x), *dense(x, weight))
    assert not layer.weight.flags.writeable


def test_updates_from_another_thread_are_whole(far):
    """Weight and bias of one update go together, whatever thread calls meanwhile."""
    x = ones(1, 64)
    layer = fastconv.Linear(ones(8, 64), np.full(8, -64, np.float32))
    stop = threading.Event()
    wrong = []

    def call():
        while not stop.is_set():
            y = layer(x)
            if y.any():
                wrong.append(y)

    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    for i in range(300):
        layer.update(np.full((8, 64), i, np.float32), np.full(8, -64 * i, np.float32))
        y = layer(x)
        assert not y.any()
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize(
    "clone", [copy.copy, copy.deepcopy, lambda a: pickle.loads(pickle.dumps(a))]
)
def test_pickles_and_copies(clone, far, rng):
    x, weight, bias = arrays(rng, 2, 40, 9)
    layer = fastconv.Linear(weight, bias, activation=("leaky_relu", 0.5))
    wanted = layer(x)
    many = layer(np.repeat(x, 4, axis=0))
    other = clone(layer)
    assert other(x).tobytes() == wanted.tobytes()
    assert other(np.repeat(x, 4, axis=0)).tobytes() == many.tobytes()
    assert repr(other) == repr(layer)
    other.update(weight * 0)
    assert layer(x).tobytes() == wanted.tobytes()
    assert len(pickle.dumps(layer)) < weight.nbytes + 2000  # the weights once, nothing packed


def test_what_a_layer_tells(rng):
    weight = rng.standard_normal((1000, 4096)).astype(np.float32)
    layer = fastconv.Linear(weight, np.zeros(1000, np.float32))
    assert layer.parameters == 4096 * 1000 + 1000
    assert layer.receptive_field == (4096,)
    one, many = layer.explain((4096,)), layer.explain((3, 7, 4096))
    assert (one.algorithm, one.packed_bytes, one.out_shape) == ("dots", 0, (1000,))
    assert one.flops == 2 * weight.size
    assert many.algorithm != "dots"
    assert many.packed_bytes >= weight.nbytes
    assert many.out_shape == (3, 7, 1000)
    assert "dots" in str(one)
    assert "(1000, 4096)" in repr(layer)
    with pytest.raises(ValueError, match="input_shape has 5 features"):
        layer.explain((5,))
    with pytest.raises(TypeError, match="input_shape"):
        layer.explain(4096)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ((3, 4), TypeError, "takes the weights"),
        ((ones(4),), ValueError, r"\(k, c\)"),
        ((ones(2, 3, 1),), ValueError, r"\(k, c\)"),
        ((ones(5, 4), ones(4)), ValueError, "bias"),
        ((ones(5, 4), ones(5, dtype=np.float64)), TypeError, "bias"),
        ((ones(5, 4, dtype=int),), TypeError, "weight has dtype int64"),
    ],
)
def test_bad_layers(arguments, error, words):
    with pytest.raises(error, match=words):
        fastconv.Linear(*arguments)


# -- gradients -------------------------------------------------------------------------------------


def test_parameters_of_dense_local_and_shared_weights():
    """An image of 30 by 30 to one of 10 by 10: three counts of weights."""
    dense = fastconv.Linear(ones(10 * 10, 30 * 30))
    assert dense.parameters == 90_000
    image = np.random.default_rng(0).standard_normal((1, 30, 30)).astype(np.float32)
    local = ones(10, 10, 1, 3 * 3)
    assert fastconv.locally_connected2d(image, local, stride=3).shape == (1, 10, 10)
    assert local.size == 900
    shared = fastconv.Conv2d(ones(1, 1, 3, 3), stride=3)
    assert shared(image).shape == (1, 10, 10)
    assert shared.parameters == 9
    np.testing.assert_allclose(
        shared(image), fastconv.locally_connected2d(image, local, stride=3), atol=1e-5
    )


def test_parameters_of_alexnets_dense_layers():
    """38, 16 and 4 million weights, in powers of ten or of two."""
    counts = []
    for c, k in [(6 * 6 * 256, 4096), (4096, 4096), (4096, 1000)]:
        weight = np.zeros((k, c), np.float32)  # pages that nothing writes take no memory
        assert linear(np.zeros(c, np.float32), weight).shape == (k,)
        counts.append(weight.size)
    assert counts == [37_748_736, 16_777_216, 4_096_000]
