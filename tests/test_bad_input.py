"""Bad input: an error that names argument and value, before anything is written or allocated."""

import tracemalloc

import numpy as np
import pytest

import fastconv
from conftest import SKIPS

HUGE = 2**70
NAN = np.float32(np.nan)

X = np.random.default_rng(1).standard_normal((2, 4, 6, 7)).astype(np.float32)
WEIGHT = np.random.default_rng(2).standard_normal((6, 4, 3, 3)).astype(np.float32)
BIAS = np.random.default_rng(3).standard_normal(6).astype(np.float32)
OUT_SHAPE = (2, 6, 4, 5)


def ones(*shape, dtype=np.float32):
    return np.ones(shape, dtype)


def seen_as(*shape, dtype=np.float32):
    """Return a view of one element as an array of any size."""
    return np.broadcast_to(np.ones((), dtype), shape)


# Values that no positive integer, or pair of them, may have; with what the message must show.
NOT_POSITIVE = [0, -1, (1, 0), (-3, 1), (1, 1, 1), (), [[1, 2], [3, 4]]]
NOT_INTEGER = [1.5, "2", None, True, HUGE, (1, 2.5), (1, None), (1, HUGE), {1, 2}, 1j]
NOT_PADDING = [
    -1,
    (0, -1),
    ((0, 0), (0, -1)),
    (1, 2, 3),
    (),
    ((1, 1), (1,)),
    ((1, 2, 3), (1, 1)),
    "full",
    "",
    1.5,
    None,
    True,
    HUGE,
    (1, 1.5),
    ((1, 1), (1, HUGE)),
    "2",
]


def shown(value):
    """Return the parts of a value of which a message must show one: the whole, or the bad item."""
    items = value if isinstance(value, (tuple, list, set)) else (value,)
    nested = [item for part in items for item in (part if isinstance(part, tuple) else (part,))]
    return {str(value), repr(value), *(str(item) for item in [*items, *nested] if item != 1)}


CONV = [
    *(({"stride": value}, ["stride"], value) for value in NOT_POSITIVE + NOT_INTEGER),
    *(({"dilation": value}, ["dilation"], value) for value in NOT_POSITIVE + NOT_INTEGER),
    *(({"padding": value}, ["padding"], value) for value in NOT_PADDING),
    *(
        ({"groups": value}, ["groups"], value)
        for value in [0, -1, 3, 5, 1.5, "2", None, True, HUGE]
    ),
    ({"padding": "same", "stride": 2}, ["padding", "same", "stride"], 2),
    ({"groups": 2}, ["weight", "4 input channels per group", "4 in 2 groups"], 4),
    ({"groups": 4, "weight": ones(6, 1, 3, 3)}, ["groups", "weight"], 6),
    ({"weight": ones(6, 3, 3, 3)}, ["weight has 3 input channels per group", "input has 4"], 3),
    ({"weight": ones(6, 4, 3)}, ["weight"], (6, 4, 3)),
    ({"weight": ones(4, 3)}, ["weight"], (4, 3)),
    ({"weight": ones(6, 4, 3, 3, 1)}, ["weight"], (6, 4, 3, 3, 1)),
    ({"weight": np.float32(3)}, ["weight"], ()),
    ({"weight": ones(0, 4, 3, 3)}, ["weight"], 0),
    ({"weight": ones(6, 0, 3, 3)}, ["weight"], 0),
    ({"weight": ones(6, 4, 0, 3)}, ["weight"], 0),
    ({"weight": ones(6, 4, 3, 0)}, ["weight"], 0),
    ({"weight": ones(6, 4, 7, 3)}, ["7", "6", "height"], 7),
    ({"weight": ones(6, 4, 3, 8)}, ["8", "7", "width"], 8),
    ({"dilation": 3}, ["height", "6"], 3),
    ({"dilation": (1, 2**31 - 1)}, ["width"], 7),
    ({"dilation": 1250999896764}, ["height"], 6),
    ({"dilation": 2**62}, ["dilation"], 2**62),
    ({"stride": 2**63}, ["stride"], 2**63),
    ({"bias": ones(5)}, ["bias"], 5),
    ({"bias": ones(1, 6)}, ["bias"], (1, 6)),
    ({"bias": np.float32(1)}, ["bias"], ()),
    ({"bias": ones(0)}, ["bias"], 0),
    ({"residual": ones(2, 6, 4, 4)}, ["residual", "(2, 6, 4, 5)"], (2, 6, 4, 4)),
    ({"residual": ones(6, 4, 5)}, ["residual", "(2, 6, 4, 5)"], (6, 4, 5)),
    ({"x": ones(6, 7)}, ["x"], (6, 7)),
    ({"x": ones(7)}, ["x"], (7,)),
    ({"x": np.float32(1)}, ["x"], ()),
    ({"x": ones(1, 2, 4, 6, 7)}, ["x"], (1, 2, 4, 6, 7)),
    ({"x": ones(2, 5, 6, 7)}, ["weight", "input has 5"], 5),
    ({"x": ones(2, 0, 6, 7)}, ["input channels"], 0),
    ({"x": ones(2, 4, 0, 7)}, ["height"], 0),
    ({"x": ones(2, 4, 6, 0)}, ["width"], 0),
    ({"channels_last": True}, ["weight", "input has 7"], 7),
    ({"channels_last": 1}, ["channels_last"], 1),
    ({"channels_last": None}, ["channels_last"], None),
    *(({"activation": value}, ["activation"], value) for value in ["gelu", "", 3, True, ()]),
    *(
        ({"activation": value}, ["activation", value[0]], value)
        for value in [("clip", 1), ("clip", 0, 1, 2), ("leaky_relu",), ("relu", 1)]
    ),
    ({"activation": "clip"}, ["activation", "lo"], "clip"),
    ({"activation": ("clip", 2, 1)}, ["activation", "clip"], 2.0),
    ({"activation": ("leaky_relu", "x")}, ["activation"], "x"),
    ({"activation": ("clip", 0, np.nan)}, ["activation", "clip"], "NaN"),
    *(({"algorithm": value}, ["algorithm"], value) for value in ["fft", "", "Direct"]),
    ({"algorithm": "pointwise"}, ["algorithm", "pointwise"], 3),
    ({"algorithm": "depthwise"}, ["algorithm", "depthwise"], "depthwise"),
    ({"algorithm": 3}, ["algorithm"], "int"),
]

DTYPES = [
    ({"x": X.astype(complex)}, ["x", "float32", "float64", "float16"], "complex128"),
    ({"x": X.astype(object)}, ["x", "float32"], "object"),
    ({"x": X.astype(str)}, ["x", "float32"], "str"),
    ({"x": X > 0}, ["x", "float32"], "bool"),
    ({"x": X.astype(np.int32)}, ["x", "float32"], "int32"),
    ({"x": X.astype(np.longdouble)}, ["x", "float32"], np.dtype(np.longdouble).name),
    ({"x": X.astype("m8[s]")}, ["x"], "timedelta64"),
    ({"weight": WEIGHT.astype(complex)}, ["weight", "float32"], "complex128"),
    ({"weight": WEIGHT.astype(np.float64)}, ["weight", "x", "float32"], "float64"),
    ({"x": X.astype(np.float64)}, ["weight", "x", "float32"], "float64"),
    ({"x": X.astype(np.float16)}, ["weight", "x", "float32"], "float16"),
    ({"bias": BIAS.astype(np.float64)}, ["bias", "float32"], "float64"),
    ({"bias": [1, 2, 3, 4, 5, 6]}, ["bias"], "int64"),
    ({"residual": ones(*OUT_SHAPE, dtype=np.float64)}, ["residual", "float32"], "float64"),
    ({"x": np.ma.masked_array(X)}, ["x"], "masked"),
    ({"weight": np.ma.masked_array(WEIGHT)}, ["weight"], "masked"),
    ({"x": None}, ["x"], "object"),
    ({"x": "image"}, ["x"], "str"),
]


def named(case):
    return " ".join(f"{name}={value!r}"[:40].split("\n")[0] for name, value in case[0].items())


def refused(call, words, value, errors=(ValueError, TypeError)):
    """Assert that the call is refused by a message with all the words, and allocates little."""
    tracemalloc.start()
    try:
        with pytest.raises(errors) as refusal:
            call()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    message = str(refusal.value)
    for word in words:
        assert word in message, f"no {word!r} in: {message}"
    assert any(part in message for part in shown(value)), f"no {value!r} in: {message}"
    assert peak < 2**20, f"{peak} bytes were allocated first"


@pytest.mark.parametrize("case", CONV + DTYPES, ids=named)
@pytest.mark.parametrize("form", ["conv2d", "Conv2d"])
def test_convolution(case, form):
    change, words, value = case
    out = np.full(OUT_SHAPE, NAN)
    arguments = {"x": X, "weight": WEIGHT, **change}
    x, weight = arguments.pop("x"), arguments.pop("weight")

    def call():
        if form == "conv2d":
            return fastconv.conv2d(x, weight, **arguments, out=out)
        constructed = {k: v for k, v in arguments.items() if k != "residual"}
        conv = fastconv.Conv2d(weight, **constructed)
        return conv(x, residual=arguments.get("residual"), out=out)

    refused(call, words, value)
    assert np.isnan(out).all()


@pytest.mark.parametrize("form", ["conv2d", "Conv2d", "prepared Conv2d"])
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ones(2, 6, 4, 4), ["out", "(2, 6, 4, 4)", "(2, 6, 4, 5)"]),
        (lambda: ones(6, 4, 5), ["out", "(6, 4, 5)", "(2, 6, 4, 5)"]),
        (lambda: ones(*OUT_SHAPE, dtype=np.float64), ["out", "float64", "float32"]),
        (lambda: ones(*OUT_SHAPE, dtype=np.int32), ["out", "int32", "float32"]),
        (lambda: ones(*OUT_SHAPE).tolist(), ["out", "list"]),
        (lambda: np.ma.masked_array(ones(*OUT_SHAPE)), ["out"]),
        (lambda: seen_as(*OUT_SHAPE), ["out", "read-only"]),
    ],
    ids=["shape", "rank", "float64", "int32", "list", "masked", "read-only"],
)
def test_out(form, make, words):
    out = make()
    conv = fastconv.Conv2d(WEIGHT)
    if form == "prepared Conv2d":
        conv(X)
    call = conv if form != "conv2d" else lambda x, out: fastconv.conv2d(x, WEIGHT, out=out)
    with pytest.raises((ValueError, TypeError)) as refusal:
        call(X, out=out)
    for word in words:
        assert word in str(refusal.value)
    if form == "prepared Conv2d":
        assert conv(X).shape == OUT_SHAPE
    assert np.array_equal(
        np.asarray(out),
        ones(*OUT_SHAPE)[tuple(map(slice, np.shape(out)))]
        if np.ndim(out) == 4
        else np.ones(np.shape(out)),
    )


@pytest.mark.parametrize("prepared", [False, True])
def test_out_that_overlaps_an_input(prepared):
    memory = np.random.default_rng(4).standard_normal(4000).astype(np.float32)
    before = memory.copy()
    x, weight = memory[:336].reshape(X.shape), np.ascontiguousarray(memory[1000:1144])
    weight = weight.reshape(4, 4, 3, 3)
    conv = fastconv.Conv2d(weight, padding=1)
    if prepared:
        conv(x)
    for start in (0, 1, 335):
        out = memory[start : start + 336].reshape(X.shape)
        for call in (conv, lambda x, out: fastconv.conv2d(x, weight, padding=1, out=out)):
            with pytest.raises(ValueError, match=r"out.*overlap"):
                call(x, out=out)
    residual = memory[2000:2336].reshape(X.shape)
    out = memory[2001:2337].reshape(X.shape)
    with pytest.raises(ValueError, match=r"out.*overlap.*residual"):
        conv(x, out=out, residual=residual)
    assert np.array_equal(memory, before)
    # Neighbours are no overlap.
    assert conv(x, out=memory[336:672].reshape(X.shape)).shape == X.shape


def test_what_is_no_shape_is_named():
    conv = fastconv.Conv2d(WEIGHT)
    with pytest.raises(TypeError, match=r"must be a shape, got an array of shape \(2, 3\)"):
        conv.explain(np.zeros((2, 3)))
    with pytest.raises(TypeError, match=r"each size of input_shape must be an integer, got 2\.5"):
        conv.explain((1, 2.5, 8, 8))
    with pytest.raises(ValueError, match=f"^input of {2**62} along the height is too large"):
        conv.explain((1, WEIGHT.shape[1], 2**62, 8))


def test_conv2d_as_an_object_of_wrong_form():
    with pytest.raises(ValueError, match="input_shape"):
        fastconv.Conv2d(WEIGHT, input_shape=(6, 7))
    with pytest.raises(TypeError, match="input_shape"):
        fastconv.Conv2d(WEIGHT, input_shape=4)
    with pytest.raises(ValueError, match="input has 5"):
        fastconv.Conv2d(WEIGHT, input_shape=(5, 6, 7))
    with pytest.raises(TypeError):
        fastconv.conv2d(x=X, weight=WEIGHT)
    with pytest.raises(TypeError):
        fastconv.Conv2d(WEIGHT)(X, np.empty(OUT_SHAPE, np.float32))


POOL = [
    *(({"kernel_size": value}, ["kernel"], value) for value in NOT_POSITIVE + NOT_INTEGER),
    *(
        ({"stride": value}, ["stride"], value)
        for value in NOT_POSITIVE + NOT_INTEGER
        if value is not None
    ),
    *(({"padding": value}, ["padding"], value) for value in NOT_PADDING),
    ({"padding": 2}, ["padding", "half"], 2),
    ({"padding": ((0, 2), (0, 0))}, ["padding", "half"], 2),
    ({"padding": ((0, 0), (1, 2))}, ["padding", "half"], 2),
    ({"padding": "same", "stride": 2}, ["padding", "same", "stride"], 2),
    ({"padding": "same"}, ["padding", "same", "stride"], 3),
    ({"padding": 2**40}, ["padding"], 2**40),
    ({"kernel_size": 7}, ["height"], 7),
    ({"kernel_size": (3, 8)}, ["width"], 8),
    ({"kernel_size": 1250999896764}, ["height"], 1250999896764),
    ({"kernel_size": 2**63 - 1}, ["kernel"], 2**63 - 1),
    ({"x": ones(6, 7)}, ["x"], (6, 7)),
    ({"x": ones(1, 2, 4, 6, 7)}, ["x"], (1, 2, 4, 6, 7)),
    ({"x": ones(2, 4, 0, 7)}, ["height"], 0),
    ({"x": ones(2, 4, 6, 0)}, ["width"], 0),
    ({"x": X.astype(complex)}, ["x", "float32"], "complex128"),
    ({"x": X.astype(object)}, ["x", "float32"], "object"),
    ({"x": X.astype(str)}, ["x", "float32"], "str"),
    ({"x": X > 0}, ["x", "float32"], "bool"),
    ({"x": np.ma.masked_array(X)}, ["x"], "masked"),
    ({"ceil_mode": 2}, ["ceil_mode"], 2),
    ({"channels_last": "yes"}, ["channels_last"], "yes"),
    ({"out": ones(2, 4, 2, 3)}, ["out", "(2, 4, 2, 2)"], (2, 4, 2, 3)),
    ({"out": ones(2, 4, 2, 2, dtype=np.float64)}, ["out", "float32"], "float64"),
    ({"out": seen_as(2, 4, 2, 2)}, ["out"], "read-only"),
    ({"out": X[:, :, :2, :2]}, ["out", "overlap"], "x"),
    ({"out": "here"}, ["out"], "str"),
]
MAX_ONLY = [
    *(({"dilation": value}, ["dilation"], value) for value in NOT_POSITIVE + NOT_INTEGER),
    ({"dilation": 4}, ["height"], 6),
    ({"kernel_size": 1250999896764, "dilation": 1250999896764}, ["kernel"], 1250999896764),
    ({"dilation": 2**62}, ["dilation"], 2**62),
    ({"kernel_size": 2, "dilation": 2**63 - 1}, ["dilation"], 2**63 - 1),
    ({"return_indices": None}, ["return_indices"], None),
]
AVG_ONLY = [
    ({"x": X.astype(np.uint8)}, ["x", "float32"], "uint8"),
    *(({"divisor_override": value}, ["divisor_override"], value) for value in [0, 1.5, "2", HUGE]),
    ({"count_include_pad": "no"}, ["count_include_pad"], "no"),
]


@pytest.mark.parametrize(
    ("pool", "case"),
    [
        *((fastconv.max_pool2d, case) for case in POOL + MAX_ONLY),
        *((fastconv.avg_pool2d, case) for case in POOL + AVG_ONLY),
    ],
    ids=lambda value: named(value) if isinstance(value, tuple) else value.__name__,
)
def test_pools(pool, case):
    change, words, value = case
    out = np.full((2, 4, 2, 2), NAN)
    arguments = {"x": X, "kernel_size": 3, "out": out, **change}
    x = arguments.pop("x")
    before = X.tobytes()
    refused(lambda: pool(x, **arguments), words, value)
    assert np.isnan(out).all()
    assert X.tobytes() == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x": ones(6, 7)}, ["x", "(6, 7)"]),
        ({"x": ones(2, 4, 0, 7)}, ["0"]),
        ({"x": X.astype(np.int8)}, ["x", "int8", "float32"]),
        ({"x": X, "out": ones(2, 4)}, ["out", "(2, 4)", "(2, 4, 1, 1)"]),
    ],
)
def test_global_average(change, words):
    x = change["x"]
    with pytest.raises((ValueError, TypeError)) as refusal:
        fastconv.global_avg_pool2d(x, out=change.get("out"))
    for word in words:
        assert word in str(refusal.value)


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (X.astype(complex), ["x", "complex128", "float32"]),
        (X > 0, ["x", "bool", "float32"]),
        (np.ma.masked_array(X), ["x", "masked"]),
        ("image", ["x", "str"]),
    ],
)
def test_relu(x, words):
    with pytest.raises(TypeError) as refusal:
        fastconv.relu(x)
    for word in words:
        assert word in str(refusal.value)


def test_relu_out():
    x = np.arange(-5, 5, dtype=np.float32)
    for out in (ones(9), ones(10, dtype=np.float64), seen_as(10), x[::-1]):
        with pytest.raises(ValueError, match="out"):
            fastconv.relu(x, out=out)
    assert x.tolist() == list(range(-5, 5))


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        (((4, 6), (6, 4, 3, 3)), ["input_shape", "(4, 6)"]),
        (((4, 6, 7), (6, 4)), ["weight", "(6, 4)"]),
        (((4, 6, 7), (6, 4, 3)), ["weight", "input has 6"]),
        (((5, 6, 7), (6, 4, 3, 3)), ["weight", "input has 5"]),
        (((4, -6, 7), (6, 4, 3, 3)), ["input_shape", "-6"]),
        (((4, 2.5, 7), (6, 4, 3, 3)), ["input_shape", "2.5"]),
        (((4, 6, 7), (6, 4, 3, HUGE)), ["weight_shape", str(HUGE)]),
    ],
)
def test_conv_output_shape(shape, words):
    with pytest.raises((ValueError, TypeError)) as refusal:
        fastconv.conv_output_shape(*shape)
    for word in words:
        assert word in str(refusal.value)


def test_a_kernel_larger_than_any_image():
    """Refused by its shape, before its elements are looked at."""
    for weight, dilation, words in [
        (seen_as(6, 4, 2**40, 1), 1, ["height", str(2**40)]),
        (seen_as(1, 4, 1250999896764, 1), 1250999896764, ["height"]),
    ]:
        refused(
            lambda weight=weight, dilation=dilation: fastconv.conv2d(X, weight, dilation=dilation),
            words,
            weight.shape[2],
        )


# -- sizes that no machine holds -------------------------------------------------------------------


def peak_memory():
    """Return the most bytes ever resident; tracemalloc counts requests that failed, too."""
    resource = pytest.importorskip("resource", reason=SKIPS["not linux"])
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.mark.parametrize(
    "call",
    [
        lambda: fastconv.conv2d(seen_as(1, 2**20, 2**20, 2**20), seen_as(1, 2**20, 1, 1)),
        lambda: fastconv.conv2d(seen_as(2**20, 1, 2**20, 2**20), ones(1, 1, 3, 3)),
        lambda: fastconv.Conv2d(ones(1, 1, 3, 3))(seen_as(2**20, 1, 2**20, 2**20)),
        lambda: fastconv.max_pool2d(seen_as(2**20, 2**20, 2**20), 2),
        lambda: fastconv.avg_pool2d(seen_as(2**20, 2**20, 2**20), 1),
        lambda: fastconv.max_pool2d(seen_as(2**20, 2**20, 2**20, dtype=np.int8), 2, 2**19),
        lambda: fastconv.relu(seen_as(2**20, 2**20, 2**20)),
        lambda: fastconv.conv2d(ones(1, 5, 5), ones(1, 1, 3, 3), padding=2**40),
        lambda: fastconv.conv2d(ones(1, 5, 5), ones(1, 1, 3, 3), padding=(2**44, 0)),
        lambda: fastconv.conv2d(ones(1, 5, 5), ones(1, 1, 3, 3), padding=2**61),
        lambda: fastconv.conv2d(ones(1, 5, 5), ones(1, 1, 3, 3), padding=2**63 - 1),
        lambda: fastconv.Conv2d(ones(1, 1, 3, 3), padding=2**40)(ones(1, 5, 5)),
        lambda: fastconv.conv2d(ones(1, 5, 5), seen_as(2**50, 1, 1, 1)),
        lambda: fastconv.Conv2d(seen_as(2**50, 1, 1, 1)),
        lambda: fastconv.conv_output_shape((0, 1, 2**40, 2**40), (1, 1, 1, 1)),
        lambda: fastconv.Conv2d(ones(1, 1, 1, 1)).explain((0, 1, 2**32, 2**32)),
        lambda: fastconv.conv_output_shape(
            (1, 2**50, 2**20), (1, 2**20, 1, 1), stride=2**45, channels_last=True
        ),
    ],
)
def test_giants_are_refused_at_once(call):
    before = peak_memory()
    with pytest.raises((MemoryError, ValueError)) as refusal:
        call()
    assert str(refusal.value)
    assert peak_memory() - before < 2**26


@pytest.mark.parametrize("channels_last", [False, True])
def test_a_giant_stride_takes_the_first_pixel(channels_last):
    shape = (1, 2, 2, 3) if not channels_last else (1, 2, 3, 2)
    x = np.arange(12, dtype=np.float32).reshape(shape)
    weight = np.eye(2, dtype=np.float32).reshape(2, 2, 1, 1)
    y = fastconv.conv2d(x, weight, stride=2**63 - 1, channels_last=channels_last)
    np.testing.assert_array_equal(y, x[:, :1, :1] if channels_last else x[:, :, :1, :1])


@pytest.mark.parametrize("name", ["direct\0x", "dir\u00e9ct", "", "no such"])
def test_an_algorithm_that_is_no_name(name):
    with pytest.raises(ValueError, match="algorithm"):
        fastconv.conv2d(ones(1, 5, 5), ones(1, 1, 3, 3), algorithm=name)


@pytest.mark.parametrize("step", [2**31 - 1, 2**40, 2**62])
def test_giant_steps_over_one_window_are_right(step):
    """A stride is never taken where there is one window, nor a dilation with a kernel of one."""
    # Another algorithm would add in another order.
    plain = fastconv.conv2d(X, ones(1, 4, 6, 7), algorithm="im2col")
    assert np.array_equal(fastconv.conv2d(X, ones(1, 4, 6, 7), stride=step), plain)
    one = fastconv.conv2d(X, ones(3, 4, 1, 1))
    assert np.array_equal(fastconv.conv2d(X, ones(3, 4, 1, 1), dilation=step), one)
    corner = fastconv.max_pool2d(X, 2, stride=step)
    assert np.array_equal(corner, X[:, :, :2, :2].max(axis=(2, 3), keepdims=True))
    assert np.array_equal(fastconv.max_pool2d(X, 1, dilation=step), X)
