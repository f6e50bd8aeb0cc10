"""Properties that hold for whatever hypothesis thinks of."""

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import expected
import fastconv

# Seeded by the test's name: the same examples in every run.
bounded = settings(max_examples=80, deadline=None, derandomize=True, database=None)

small = st.integers(1, 4)
steps = st.one_of(st.integers(1, 3), st.tuples(st.integers(1, 3), st.integers(1, 3)))
dtypes = st.sampled_from(["float32", "float64", "float16"])
pads = st.one_of(
    st.integers(0, 3),
    st.tuples(st.integers(0, 3), st.integers(0, 3)),
    st.tuples(st.tuples(*[st.integers(0, 3)] * 2), st.tuples(*[st.integers(0, 3)] * 2)),
    st.just("valid"),
)


def array(draw, shape, dtype):
    """Draw a random array of the given shape, laid out in memory in some way."""
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    steps = [draw(st.sampled_from([1, 1, 1, -1, 2])) for _ in shape]
    stored = [size * abs(step) for size, step in zip(shape, steps, strict=True)]
    order = draw(st.sampled_from("CF"))
    whole = np.asarray(rng.standard_normal(stored), dtype, order=order)
    return whole[tuple(slice(None, None, step) for step in steps)]


def assert_explains(error):
    assert str(error)


@st.composite
def convolutions(draw):
    dtype = draw(dtypes)
    groups, cg, kg = draw(small), draw(st.integers(1, 9)), draw(st.integers(1, 18))
    channels_last = draw(st.booleans())
    shape = [groups * cg, draw(st.integers(1, 12)), draw(st.integers(1, 40))]
    if channels_last:
        shape = [*shape[1:], shape[0]]
    if draw(st.booleans()):
        shape = [draw(small), *shape]
    x = array(draw, shape, dtype)
    weight = array(draw, (groups * kg, cg, draw(small), draw(small)), dtype)
    bias = array(draw, (groups * kg,), dtype) if draw(st.booleans()) else None
    form = {
        "stride": draw(steps),
        "padding": draw(pads),
        "dilation": draw(steps),
        "groups": groups,
        "channels_last": channels_last,
        "activation": draw(
            st.sampled_from([None, "relu", "tanh", ("leaky_relu", 0.25), ("clip", -1, 2)])
        ),
    }
    return x, weight, bias, form


@bounded
@given(convolutions())
def test_convolutions_are_right_or_refused(problem):
    x, weight, bias, form = problem
    try:
        y = fastconv.conv2d(x, weight, bias, **form)
    except ValueError as error:
        assert_explains(error)
        shape = {name: form[name] for name in ("stride", "padding", "dilation", "groups")}
        try:
            expected.conv(x, weight, channels_last=form["channels_last"], **shape)
        except ValueError:
            return
        raise
    expected.assert_conv(y, x, weight, bias, **form)


@bounded
@given(convolutions(), st.integers(1, 5))
def test_threads_objects_and_out_change_no_bit(problem, threads):
    x, weight, bias, form = problem
    try:
        y = fastconv.Conv2d(weight, bias, **form)(x)
    except ValueError:
        assume(False)
    with fastconv.num_threads(threads):
        conv = fastconv.Conv2d(weight, bias, **form)
        out = np.empty(y.shape[::-1], y.dtype).T
        assert conv(x, out=out) is out
        assert out.tobytes() == conv(np.ascontiguousarray(x)).tobytes() == y.tobytes()


@bounded
@given(st.data())
def test_pools_are_right(data):
    draw = data.draw
    dtype = draw(st.sampled_from(["float32", "float64", "float16", "int8", "uint16", "int64"]))
    kernel = (draw(small), draw(small))
    halves = [draw(st.integers(0, size // 2)) for size in kernel for _ in range(2)]
    padding = (tuple(halves[:2]), tuple(halves[2:]))
    shape = (draw(small), draw(st.integers(1, 5)), *(draw(st.integers(4, 40)) for _ in range(2)))
    form = {"ceil_mode": draw(st.booleans()), "channels_last": draw(st.booleans())}
    if form["channels_last"]:
        shape = (shape[0], *shape[2:], shape[1])
    stride = draw(st.one_of(st.none(), steps))
    x = array(draw, shape, "float64")
    if dtype.startswith("float"):
        x = x.astype(dtype)
        counted = draw(st.booleans())
        y = fastconv.avg_pool2d(x, kernel, stride, padding, count_include_pad=counted, **form)
        wanted = expected.avg_pool2d(x, kernel, stride, padding, count_include_pad=counted, **form)
        expected.assert_within(y, *wanted)
    else:
        x = np.abs(20 * x).astype(dtype)
    y, at = fastconv.max_pool2d(x, kernel, stride, padding, return_indices=True, **form)
    assert y.dtype == x.dtype
    np.testing.assert_array_equal(y, expected.max_pool2d(x, kernel, stride, padding, **form))
    planes = (x if form["channels_last"] else np.moveaxis(x, 1, -1)).reshape(
        len(x), -1, x.shape[-1 if form["channels_last"] else 1]
    )
    at = (at if form["channels_last"] else np.moveaxis(at, 1, -1)).reshape(
        len(x), -1, planes.shape[2]
    )
    picked = np.take_along_axis(planes, at, axis=1)
    values = (y if form["channels_last"] else np.moveaxis(y, 1, -1)).reshape(picked.shape)
    np.testing.assert_array_equal(picked, values)


def forms():
    """Values of every kind where an integer, a pair or a padding belongs."""
    # Nothing between the small and what is beyond any address space: it might be computed.
    giant = st.sampled_from([2**40, 2**58, 2**62, 2**63 - 1, 2**63, 2**70, -(2**31), -(2**64)])
    number = st.one_of(
        st.integers(-3, 5),
        giant,
        st.floats(),
        st.booleans(),
        st.none(),
        st.text(max_size=3),
    )
    return st.recursive(number, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=4)


@settings(bounded, max_examples=300)
@given(forms(), forms(), forms(), forms())
def test_no_argument_form_crashes(stride, padding, dilation, groups):
    x, weight = np.ones((4, 7, 8), np.float32), np.ones((4, 4, 3, 2), np.float32)
    out = None
    for change in (
        {"stride": stride},
        {"padding": padding},
        {"dilation": dilation},
        {"groups": groups},
        {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups},
    ):
        try:
            out = fastconv.conv2d(x, weight, **change)
        except (ValueError, TypeError, MemoryError) as error:
            assert_explains(error)
        else:
            assert out.shape == fastconv.conv_output_shape(x.shape, weight.shape, **change)
    for change in ({"stride": stride}, {"padding": padding}, {"dilation": dilation}):
        try:
            fastconv.max_pool2d(x, 2, **change)
        except (ValueError, TypeError, MemoryError) as error:
            assert_explains(error)
