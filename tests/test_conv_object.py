"""`Conv2d`: weights of its own, updates, plans it explains, pickles and copies."""

import copy
import pickle

import numpy as np
import pytest

import expected
import fastconv


@pytest.fixture
def weight(rng):
    return rng.standard_normal((6, 4, 3, 3)).astype(np.float32)


@pytest.fixture
def x(rng):
    return rng.standard_normal((2, 4, 9, 8)).astype(np.float32)


def test_it_gives_the_bits_of_itself_on_every_path(x, weight, rng):
    """First call, fast path, with `out`, of another memory layout, packed ahead: one result."""
    bias = rng.standard_normal(6).astype(np.float32)
    conv = fastconv.Conv2d(weight, bias, padding=1, activation="relu")
    first = conv(x)
    expected.assert_conv(first, x, weight, bias, padding=1, activation="relu")
    out = np.empty_like(first)
    assert conv(x, out=out) is out
    ahead = fastconv.Conv2d(weight, bias, padding=1, activation="relu", input_shape=x.shape)
    for y in (conv(x), conv(x), out, conv(np.asfortranarray(x)), conv(x.astype(">f4")), ahead(x)):
        assert y.tobytes() == first.tobytes()
    assert not np.shares_memory(conv(x), conv(x))


def test_shapes_may_change_from_call_to_call(weight, rng):
    conv = fastconv.Conv2d(weight)
    for shape in [(4, 9, 8), (1, 4, 9, 8), (3, 4, 5, 31), (4, 3, 3), (2, 4, 9, 8), (4, 9, 8)] * 2:
        x = rng.standard_normal(shape).astype(np.float32)
        expected.assert_conv(conv(x), x, weight)


def test_residual_on_the_fast_path(x, weight, rng):
    conv = fastconv.Conv2d(weight, padding=1)
    plain = conv(x)
    residual = rng.standard_normal(plain.shape).astype(np.float32)
    for _ in range(2):
        expected.assert_conv(conv(x, residual=residual), x, weight, padding=1, residual=residual)
    assert conv(x).tobytes() == plain.tobytes()
    assert conv(x, residual=residual, out=residual) is residual


def test_it_copies_its_weights(x, weight, rng):
    bias = rng.standard_normal(6).astype(np.float32)
    conv = fastconv.Conv2d(weight, bias)
    before = conv(x)
    weight[...] = 0
    bias[...] = 7
    assert conv(x).tobytes() == before.tobytes()
    assert conv(x[:, :, :5]).tobytes() == np.ascontiguousarray(before[:, :, :3]).tobytes()


def test_update(x, weight, rng):
    conv = fastconv.Conv2d(weight, np.ones(6, np.float32), padding=1)
    conv(x)
    other = rng.standard_normal(weight.shape).astype(np.float32)
    bias = rng.standard_normal(6).astype(np.float32)
    conv.update(other, bias)
    expected.assert_conv(conv(x), x, other, bias, padding=1)
    conv.update(weight)
    expected.assert_conv(conv(x), x, weight, padding=1)


@pytest.mark.parametrize("shape", [(6, 4, 3), (5, 4, 3, 3), (6, 4, 3, 2)])
def test_a_refused_update_changes_nothing(x, weight, shape):
    conv = fastconv.Conv2d(weight)
    before = conv(x)
    with pytest.raises(ValueError, match="weight"):
        conv.update(np.ones(shape, np.float32))
    with pytest.raises(ValueError, match="bias"):
        conv.update(weight + 1, np.ones(5, np.float32))
    with pytest.raises(TypeError, match="weight"):
        conv.update(weight.astype(complex))
    assert conv(x).tobytes() == before.tobytes()


@pytest.mark.parametrize(
    "duplicate",
    [
        copy.copy,
        copy.deepcopy,
        *(
            lambda conv, protocol=protocol: pickle.loads(pickle.dumps(conv, protocol))
            for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)
        ),
    ],
)
def test_copies_and_pickles(duplicate, x, weight, rng):
    bias = rng.standard_normal(6).astype(np.float32)
    form = {
        "stride": (1, 2),
        "padding": ((1, 0), (2, 1)),
        "dilation": (2, 1),
        "groups": 2,
        "activation": ("leaky_relu", 0.1),
        "algorithm": "im2col",
    }
    conv = fastconv.Conv2d(weight[:, :2], bias, **form)
    unused = duplicate(conv)
    before = conv(x)
    twin = duplicate(conv)
    assert type(twin) is fastconv.Conv2d
    assert twin(x).tobytes() == unused(x).tobytes() == before.tobytes()
    assert repr(twin) == repr(conv)
    twin.update(weight[:, 2:])
    assert conv(x).tobytes() == before.tobytes()


def test_explain(x, weight):
    conv = fastconv.Conv2d(weight, padding=1, algorithm="im2col")
    plan = conv.explain(x.shape)
    assert plan.algorithm == "im2col"
    assert plan.out_shape == (2, 6, 9, 8)
    assert plan.flops == 2 * conv(x).size * 4 * 3 * 3
    assert plan.level == fastconv.config()["level"]
    assert plan.packed_bytes >= weight.nbytes
    assert plan.scratch_bytes >= 0
    assert 1 <= plan.threads <= fastconv.get_num_threads()
    for value in ("im2col", plan.level, plan.why, plan.blocking):
        assert value
        assert value in str(plan)


def test_explain_refuses_what_a_call_refuses(weight):
    conv = fastconv.Conv2d(weight)
    with pytest.raises(ValueError, match="channels"):
        conv.explain((1, 5, 9, 9))
    with pytest.raises(ValueError, match="input_shape"):
        conv.explain((9, 9))


def test_the_constructor_explains_itself_to_users_of_other_libraries():
    with pytest.raises(TypeError, match="weight") as refusal:
        fastconv.Conv2d(3, 64, 3)
    assert "array" in str(refusal.value)


def test_repr_tells_the_layer(weight):
    text = repr(fastconv.Conv2d(weight, stride=2, activation="relu"))
    assert "Conv2d" in text
    assert "(6, 4, 3, 3)" in text
    assert "relu" in text


def test_tune_times_the_likely_algorithms(rng):
    weight = rng.standard_normal((32, 32, 3, 3)).astype(np.float32)
    x = rng.standard_normal((2, 32, 20, 21)).astype(np.float32)
    conv = fastconv.Conv2d(weight, padding=1, tune=True)
    told = conv.explain(x.shape)
    assert told.why.startswith("timed: ")
    assert told.algorithm in told.why
    assert told.why.count(" ms") in (2, 3)
    expected.assert_conv(conv(x), x, weight, padding=1, algorithm=told.algorithm)
    assert conv.explain(x.shape) == told  # timed once
    assert pickle.loads(pickle.dumps(conv))(x).shape == conv(x).shape
    assert conv(x[:0]).shape == (0, 32, 20, 21)
    with pytest.raises(ValueError, match="'direct'"):
        fastconv.Conv2d(weight, algorithm="direct", tune=True)
    with pytest.raises(TypeError, match="tune"):
        fastconv.Conv2d(weight, tune=1)


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("algorithm", ["auto", "direct", "im2col"])
def test_one_object_serves_every_shape(algorithm, size, rng):
    """What is packed for one shape is used for another only where it would be packed alike."""
    weight = rng.standard_normal((24, 8, size, size)).astype(np.float32)
    shared = fastconv.Conv2d(weight, algorithm=algorithm)
    for width in range(size, 66):
        x = rng.standard_normal((8, size + width % 5, width)).astype(np.float32)
        alone = fastconv.Conv2d(weight, algorithm=algorithm)
        assert shared(x).tobytes() == alone(x).tobytes(), x.shape


@pytest.mark.parametrize("algorithm", ["auto", "pointwise", "im2col"])
def test_one_object_serves_every_batch(algorithm, rng):
    """Lone pixels go by lines, many of them by tiles, whose weights are packed otherwise."""
    weight = rng.standard_normal((24, 512, 1, 1)).astype(np.float32)
    shared = fastconv.Conv2d(weight, algorithm=algorithm)
    for n in (1, 8, 1, 30, 8):
        x = rng.standard_normal((n, 512, 1, 1)).astype(np.float32)
        alone = fastconv.Conv2d(weight, algorithm=algorithm)
        assert shared(x).tobytes() == alone(x).tobytes(), x.shape
