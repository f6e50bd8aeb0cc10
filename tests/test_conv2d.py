"""The public convolution: layouts, dtypes, argument forms, strided views, `out` and `residual`."""

import numpy as np
import pytest

import expected
import fastconv

ALGORITHMS = ("auto", "direct", "im2col")


def random(rng, *shape, dtype=np.float32):
    return rng.standard_normal(shape).astype(dtype)


@pytest.fixture(params=[fastconv.conv2d, fastconv.Conv2d], ids=["conv2d", "Conv2d"])
def convolve(request):
    """Both ways to the same result."""
    if request.param is fastconv.conv2d:
        return fastconv.conv2d

    def through_object(x, weight, bias=None, *args, out=None, residual=None, **kwargs):
        return fastconv.Conv2d(weight, bias, *args, **kwargs)(x, out=out, residual=residual)

    return through_object


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("batch", [None, 1, 3])
def test_layouts_and_dtypes(convolve, dtype, channels_last, batch, rng):
    shape = (8, 9, 6) if channels_last else (6, 8, 9)
    x = random(rng, *(() if batch is None else (batch,)), *shape, dtype=dtype)
    weight, bias = random(rng, 10, 3, 3, 3, dtype=dtype), random(rng, 10, dtype=dtype)
    form = {"stride": (1, 2), "padding": 1, "groups": 2, "channels_last": channels_last}
    y = convolve(x, weight, bias, **form)
    assert type(y) is np.ndarray
    assert y.flags.c_contiguous
    expected.assert_conv(y, x, weight, bias, **form)


@pytest.mark.parametrize(
    "padding", [0, 2, (1, 2), ((1, 2), (0, 3)), "same", "valid", [1, 2], np.int64(1)]
)
@pytest.mark.parametrize("dilation", [1, (1, 2), 3])
def test_padding_forms(convolve, padding, dilation, rng):
    x, weight = random(rng, 2, 3, 9, 11), random(rng, 4, 3, 3, 2)
    y = convolve(x, weight, padding=padding, dilation=dilation)
    expected.assert_conv(y, x, weight, padding=padding, dilation=dilation)


def test_same_keeps_the_size_and_pads_the_end_more(convolve, rng):
    x = random(rng, 1, 1, 5, 6)
    corner = np.zeros((1, 1, 2, 4), np.float32)
    corner[0, 0, -1, -1] = 1
    y = convolve(x, corner, padding="same")
    assert y.shape == x.shape
    # torch pads (0, 1) and (1, 2): the last tap sees one row and two columns further on.
    shifted = np.pad(x, ((0, 0), (0, 0), (0, 1), (0, 2)))[:, :, 1:, 2:]
    assert np.array_equal(y, shifted)


@pytest.mark.parametrize("algorithm", [*ALGORITHMS, "pointwise", "depthwise"])
def test_forced_algorithms(convolve, algorithm, rng):
    x = random(rng, 2, 8, 9, 10)
    weight = {
        "pointwise": random(rng, 5, 8, 1, 1),
        "depthwise": random(rng, 8, 1, 3, 3),
    }.get(algorithm, random(rng, 5, 8, 3, 3))
    groups = 8 if algorithm == "depthwise" else 1
    y = convolve(x, weight, groups=groups, algorithm=algorithm)
    expected.assert_conv(y, x, weight, groups=groups)


def awkward_views(array):
    """Yield arrays equal to `array` that lie in memory in every way but the plain one."""
    yield "fortran", np.asfortranarray(array)
    yield "reversed", np.ascontiguousarray(array[..., ::-1])[..., ::-1]
    yield "reversed rows", np.ascontiguousarray(array[..., ::-1, :])[..., ::-1, :]
    wide = np.full((*array.shape[:-1], 2 * array.shape[-1]), np.nan, array.dtype)
    wide[..., ::2] = array
    yield "every other", wide[..., ::2]
    framed = np.full([size + 3 for size in array.shape], np.nan, array.dtype)
    inner = framed[tuple(slice(1, size + 1) for size in array.shape)]
    inner[...] = array
    yield "framed", inner
    yield "byte-swapped", array.astype(array.dtype.newbyteorder())
    raw = np.zeros(array.nbytes + 1, np.uint8)
    misaligned = raw[1:].view(array.dtype).reshape(array.shape)
    misaligned[...] = array
    assert not misaligned.flags.aligned
    yield "misaligned", misaligned
    locked = array.copy()
    locked.flags.writeable = False
    yield "read-only", locked
    yield "list", array.tolist()


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_any_memory_layout(convolve, dtype, channels_last, rng):
    x = random(rng, *((2, 7, 8, 4) if channels_last else (2, 4, 7, 8)), dtype=dtype)
    weight, bias = random(rng, 5, 4, 3, 3, dtype=dtype), random(rng, 5, dtype=dtype)
    plain = convolve(x, weight, bias, channels_last=channels_last)
    residual = random(rng, *plain.shape, dtype=dtype)
    added = convolve(x, weight, bias, channels_last=channels_last, residual=residual)
    for name, view in awkward_views(x):
        if name == "list" and dtype != "float64":
            continue  # a list of floats is float64
        y = convolve(view, weight, bias, channels_last=channels_last)
        assert y.tobytes() == plain.tobytes(), name
        assert y.dtype.isnative, name
    for name, view in awkward_views(weight):
        if name != "list" or dtype == "float64":
            y = convolve(x, view, bias, channels_last=channels_last)
            assert y.tobytes() == plain.tobytes(), name
    for name, view in awkward_views(residual):
        if name != "list":
            y = convolve(x, weight, bias, channels_last=channels_last, residual=view)
            assert y.tobytes() == added.tobytes(), name
    for name, view in awkward_views(bias[np.newaxis]):
        if name != "list":
            y = convolve(x, weight, view[0], channels_last=channels_last)
            assert y.tobytes() == plain.tobytes(), name


def test_broadcast_input(convolve, rng):
    """A view with zero strides: one row of pixels seen as an image."""
    x = np.broadcast_to(random(rng, 1, 3, 1, 9), (2, 3, 7, 9))
    weight = random(rng, 4, 3, 3, 3)
    expected.assert_conv(convolve(x, weight), x, weight)


@pytest.mark.parametrize("channels_last", [False, True])
def test_out_views(convolve, channels_last, rng):
    x = random(rng, *((2, 7, 8, 4) if channels_last else (2, 4, 7, 8)))
    weight, bias = random(rng, 5, 4, 3, 3), random(rng, 5)
    form = {"channels_last": channels_last, "activation": "relu", "padding": 1}
    plain = convolve(x, weight, bias, **form)
    n, a, b, c = plain.shape
    frames = {
        "plain": ((n, a, b, c), (slice(None),) * 4),
        "channels": ((n, a + 6, b, c), (slice(None), slice(3, 3 + a))),
        "last axis": ((n, a, b, c + 4), (..., slice(1, 1 + c))),
        "every other": ((n, a, b, 2 * c), (..., slice(None, None, 2))),
        "reversed": ((n, a, b, c), (..., slice(None, None, -1))),
        "batch": ((3 * n, a, b, c), (slice(1, None, 3),)),
        "transposed": ((n, a, c, b), (slice(None),)),
    }
    for name, (shape, index) in frames.items():
        big = np.full(shape, np.nan, np.float32)
        out = big[index]
        if name == "transposed":
            out = out.swapaxes(2, 3)
        assert convolve(x, weight, bias, out=out, **form) is out, name
        assert np.array_equal(out, plain), name
        assert np.isnan(big).sum() == big.size - plain.size, name


@pytest.mark.parametrize("size", [(7, 7), (5, 10), (3, 9), (1, 25), (6, 4)])
def test_bits_do_not_depend_on_where_results_go(convolve, size, rng):
    """Odd pixels at the end of a plane are summed by themselves, wherever rows of `out` end."""
    x, weight, bias = random(rng, 2, 37, *size), random(rng, 21, 37, 1, 1), random(rng, 21)
    plain = convolve(x, weight, bias)
    expected.assert_conv(plain, x, weight, bias)
    out = np.empty((2, 21, size[0], size[1] + 3), np.float32)[..., : size[1]]
    assert convolve(x, weight, bias, out=out).tobytes() == plain.tobytes()
    residual = np.zeros((2, 21, size[0], size[1] + 5), np.float32)[..., : size[1]]
    assert convolve(x, weight, bias, residual=residual).tobytes() == plain.tobytes()


@pytest.mark.parametrize("kernel", [(1, 11), (2, 9), (11, 1), (7, 2), (1, 1)])
@pytest.mark.parametrize("stride", [1, 2, (1, 3)])
@pytest.mark.parametrize("dilation", [1, (2, 1), (3, 2)])
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_long_windows_of_few_channels(convolve, kernel, stride, dilation, channels, rng):
    """A run of taps goes through planes, the rows of a channel or the columns of a row."""
    x, weight = random(rng, 1, channels, 35, 29), random(rng, 3, channels, *kernel)
    form = {"stride": stride, "dilation": dilation}
    y = convolve(x, weight, algorithm="direct", **form)
    expected.assert_conv(y, x, weight, algorithm="direct", **form)


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", [0, 1, ((0, 7), (6, 0)), ((3, 2), (19, 18))])
@pytest.mark.parametrize("shape", [(5, 5), (7, 8), (6, 17), (13, 31), (9, 70), (300, 36)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_square_windows_per_channel(convolve, size, stride, padding, shape, dtype, rng):
    """They read the image where it stands: NaNs around it and between its rows must not matter."""
    c = 43 if shape == (5, 5) else 3  # 43 are more than are taken together
    frame = np.full((1, c + 1, shape[0] + 3, shape[1] + 5), np.nan, dtype)
    x = frame[:, :c, 1 : 1 + shape[0], 2 : 2 + shape[1]]
    x[...] = random(rng, *x.shape)
    form = {"stride": stride, "padding": padding, "groups": c, "algorithm": "depthwise"}
    for copies in (1, 2):
        weight = random(rng, c * copies, 1, size, size, dtype=dtype)
        bias = random(rng, c * copies, dtype=dtype)
        plain = convolve(x, weight, bias, **form)
        expected.assert_conv(plain, x, weight, bias, **form)
        residual = random(rng, *plain.shape, dtype=dtype)
        fused = {"residual": residual, "activation": "silu", **form}
        y = convolve(x, weight, bias, **fused)
        expected.assert_conv(y, x, weight, bias, **fused)
        assert convolve(x, weight, bias, out=residual, **fused).tobytes() == y.tobytes()
        clipped = convolve(x, weight, bias, activation="relu6", **form)
        assert np.array_equal(clipped, plain.clip(0, 6))


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("stride", [1, 2])
def test_an_infinite_weight_meets_the_padding(convolve, size, stride, rng):
    """Zeros above, below and beside the image take part in the sums, and inf * 0 is NaN."""
    x, weight = random(rng, 1, 6, 9, 21), random(rng, 6, 1, size, size)
    weight[:, :, 0, 0] = np.inf
    form = {"stride": stride, "padding": size // 2, "groups": 6}
    y = convolve(x, weight, algorithm="depthwise", **form)
    assert np.isnan(y[:, :, 0]).all()
    assert np.isnan(y[:, :, :, 0]).all()
    assert np.array_equal(np.isnan(y), np.isnan(convolve(x, weight, algorithm="im2col", **form)))


@pytest.mark.parametrize("stride", [1, 2])
def test_the_stride_of_a_lone_row_is_never_taken(convolve, stride, rng):
    row, weight = random(rng, 1, 2, 1, 19), random(rng, 2, 1, 3, 3)
    x = np.lib.stride_tricks.as_strided(row, row.shape, (*row.strides[:2], 2**60, 4))
    form = {"stride": stride, "padding": 1, "groups": 2, "algorithm": "depthwise"}
    assert np.array_equal(convolve(x, weight, **form), convolve(row, weight, **form))


@pytest.mark.parametrize("channels", [3, 8, 17, 33, 40, 49])
@pytest.mark.parametrize("width", [*range(7, 27), 31, 33, 35, 36, 41, 47, 49, 51, 52, 65, 67, 99])
def test_rests_of_lines(convolve, channels, width, rng):
    """What whole vectors of pixels leave over is taken together, whatever it is."""
    x, weight, bias = (
        random(rng, 1, 5, 4, width),
        random(rng, channels, 5, 1, 3),
        random(rng, channels),
    )
    for dtype in ("float32", "float64"):
        arrays = x.astype(dtype), weight.astype(dtype), bias.astype(dtype)
        y = convolve(*arrays, algorithm="direct")
        expected.assert_conv(y, *arrays, algorithm="direct")


@pytest.mark.parametrize("algorithm", ["im2col", "pointwise"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_batches_whose_pixels_share_panels(convolve, algorithm, dtype, channels_last, rng):
    """Images of 15 pixels cross every size of tile; all arrays have steps of their own."""
    n, c, k, h, w = 3, 40, 50, 3, 5

    def images(channels, step):
        size = (h, w, channels) if channels_last else (channels, h, w)
        return random(rng, abs(step) * n, *size, dtype=dtype)[::step]

    for groups in (1, 2):
        weight, bias = (
            random(rng, k, c // groups, 1, 1, dtype=dtype),
            random(rng, k, dtype=dtype),
        )
        x, residual, out = images(c, -2), images(k, 3), images(k, 2)
        form = {"algorithm": algorithm, "channels_last": channels_last, "groups": groups}
        y = convolve(x, weight, bias, out=out, residual=residual, **form)
        assert y is out
        expected.assert_conv(y, x, weight, bias, residual=residual, **form)
        wide = np.zeros((n, h + 1, w + 2, k) if channels_last else (n, k, h + 1, w + 2), dtype)
        gaps = wide[:, :h, :w] if channels_last else wide[..., :h, :w]
        assert np.array_equal(convolve(x, weight, bias, out=gaps, residual=residual, **form), y)


@pytest.mark.parametrize("width", [15, 16, 17, 18, 33, 49, 50])
@pytest.mark.parametrize("rows", [1, 5])
def test_every_other_pixel(convolve, width, rows, rng):
    x, weight = random(rng, 1, 9, 2 * rows, width), random(rng, 20, 9, 1, 1)
    y = convolve(x, weight, stride=2, algorithm="pointwise")
    expected.assert_conv(y, x, weight, stride=2, algorithm="pointwise")


def test_out_of_foreign_byte_order_or_alignment(convolve, rng):
    x, weight = random(rng, 1, 3, 6, 7), random(rng, 4, 3, 3, 3)
    plain = convolve(x, weight)
    for name, view in awkward_views(np.zeros_like(plain)):
        if name in ("byte-swapped", "misaligned", "fortran"):
            assert convolve(x, weight, out=view) is view, name
            assert np.array_equal(view, plain), name


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("channels_last", [False, True])
def test_out_may_be_the_residual(convolve, algorithm, channels_last, rng):
    x = random(rng, *((2, 7, 40, 17) if channels_last else (2, 17, 7, 40)))
    weight = random(rng, 17, 17, 3, 3)
    form = {"padding": 1, "channels_last": channels_last, "algorithm": algorithm}
    residual = random(rng, *x.shape)
    plain = convolve(x, weight, residual=residual, activation="relu", **form)
    y = convolve(x, weight, residual=residual, activation="relu", out=residual, **form)
    assert y is residual
    assert y.tobytes() == plain.tobytes()


def test_the_input_may_be_the_residual(convolve, rng):
    """A residual block reads x twice."""
    x, weight = random(rng, 1, 6, 8, 9), random(rng, 6, 6, 3, 3)
    y = convolve(x, weight, padding=1, residual=x)
    expected.assert_conv(y, x, weight, padding=1, residual=x)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_planes_of_one_pixel_may_lie_apart(convolve, algorithm, rng):
    """In the output their channels are neighbours, in the residual or in `out` they are not."""
    x, weight = random(rng, 2, 5, 3, 3), random(rng, 25, 5, 3, 3)
    residual, out = random(rng, 2, 25, 2, 4)[:, :, :1, 1:2], random(rng, 2, 25, 3, 1)[:, :, :1]
    form = {"residual": residual, "activation": "relu"}
    for into in (None, out):
        y = convolve(x, weight, out=into, algorithm=algorithm, **form)
        expected.assert_conv(y, x, weight, **form)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_inputs_are_never_written(convolve, algorithm, rng):
    x, weight, bias = random(rng, 2, 5, 9, 9), random(rng, 6, 5, 3, 3), random(rng, 6)
    residual = random(rng, 2, 6, 7, 7)
    arrays = (x, weight, bias, residual)
    before = [array.tobytes() for array in arrays]
    out = np.empty_like(residual)
    convolve(x, weight, bias, residual=residual, out=out, activation="relu", algorithm=algorithm)
    assert [array.tobytes() for array in arrays] == before


def test_an_empty_batch_is_an_empty_result(convolve, rng):
    weight = random(rng, 5, 3, 3, 3)
    y = convolve(np.empty((0, 3, 8, 9), np.float32), weight)
    assert (y.shape, y.dtype) == ((0, 5, 6, 7), np.float32)
    y = convolve(np.empty((0, 8, 9, 3), np.float32), weight, channels_last=True)
    assert y.shape == (0, 6, 7, 5)


def test_subclasses_give_plain_arrays(convolve, rng):
    class Image(np.ndarray):
        pass

    x, weight = random(rng, 1, 3, 6, 6), random(rng, 2, 3, 3, 3)
    y = convolve(x.view(Image), weight.view(Image))
    assert type(y) is np.ndarray
    assert np.array_equal(y, convolve(x, weight))


def test_a_huge_dilation_of_one_pixel_is_nothing(convolve, rng):
    x, weight = random(rng, 1, 3, 5, 5), random(rng, 2, 3, 1, 1)
    y = convolve(x, weight, dilation=2**31 - 1)
    assert y.tobytes() == convolve(x, weight).tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_real_sizes(dtype, rng):
    """Some layers large enough for every level of blocking, against the vectorised reference."""
    layers = [
        ((1, 64, 28, 28), (96, 64, 3, 3), {"padding": 1}),
        ((1, 3, 112, 112), (64, 3, 7, 7), {"stride": 2, "padding": 3}),
        ((1, 256, 14, 14), (128, 256, 1, 1), {}),
        ((1, 512, 7, 7), (40, 512, 3, 3), {"padding": 1}),
        ((2, 96, 27, 27), (64, 48, 5, 5), {"padding": 2, "groups": 2}),
        ((1, 144, 28, 28), (144, 1, 3, 3), {"padding": 1, "groups": 144}),
    ]
    for shape, weight_shape, form in layers:
        x, weight = random(rng, *shape, dtype=dtype), random(rng, *weight_shape, dtype=dtype)
        y = fastconv.conv2d(x, weight, **form)
        expected.assert_conv(y, x, weight, what=f"{shape} {form}", **form)
        last = np.ascontiguousarray(np.moveaxis(x, 1, -1))
        y = fastconv.conv2d(last, weight, channels_last=True, **form)
        expected.assert_conv(y, last, weight, what=f"{shape} {form}", channels_last=True, **form)
