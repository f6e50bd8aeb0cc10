"""Output shapes and paddings as numbers: `conv_output_shape` and `same_padding`."""

import numpy as np
import pytest

import fastconv
from plans import CASES


@pytest.mark.parametrize("channels_last", [False, True])
def test_shapes_are_those_of_the_results(channels_last, rng):
    for case in CASES[::7]:
        x, weight = case.arrays(rng, "float32", channels_last)
        form = {**case.keywords(), "channels_last": channels_last}
        shape = fastconv.conv_output_shape(x.shape, weight.shape, **form)
        assert shape == fastconv.conv2d(x, weight, **form).shape
        assert fastconv.conv_output_shape(x.shape[1:], weight.shape, **form) == shape[1:]


@pytest.mark.parametrize(
    ("stride", "fits"), [(1, True), (2, True), (3, False), (4, True), ((2, 3), False)]
)
def test_strict_says_which_strides_fit(stride, fits):
    shapes = (1, 3, 7, 7), (5, 3, 3, 3)
    if fits:
        strict = fastconv.conv_output_shape(*shapes, stride, strict=True)
        assert strict == fastconv.conv_output_shape(*shapes, stride)
    else:
        assert fastconv.conv_output_shape(*shapes, stride)[-1] == 2
        with pytest.raises(ValueError, match=r"/ 3 .*strides.*1, 2, 4"):
            fastconv.conv_output_shape(*shapes, stride, strict=True)


def test_shapes_of_giants_do_not_wrap():
    shape = fastconv.conv_output_shape((1, 1, 2**28, 2**28), (1, 1, 3, 3), padding=1)
    assert shape == (1, 1, 2**28, 2**28)
    with pytest.raises(ValueError, match="padding"):
        fastconv.conv_output_shape((1, 1, 5, 5), (1, 1, 3, 3), padding=2**62)


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5, 7])
@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("dilation", [1, 2])
def test_same_padding_gives_size_over_stride(kernel, stride, dilation):
    for size in range(1, 30):
        for odd in ("end", "begin"):
            pads = fastconv.same_padding((size, size), kernel, stride, dilation, odd=odd)
            begin, end = pads[0]
            assert pads == ((begin, end), (begin, end))
            assert begin - end in ((0, 1) if odd == "begin" else (0, -1))
            reach = dilation * (kernel - 1) + 1
            assert (size + begin + end - reach) // stride + 1 == -(-size // stride)
            # Least padding: one less, and a pixel of the result would be gone.
            if begin + end:
                assert (size + begin + end - 1 - reach) // stride + 1 < -(-size // stride)


def test_same_padding_of_unequal_axes():
    assert fastconv.same_padding((224, 7), (3, 4), (2, 1), (1, 2)) == ((0, 1), (3, 3))
    # TensorFlow's answers for 224 pixels at stride 2: 3×3 pads (0, 1), 7×7 pads (2, 3).
    assert fastconv.same_padding((224, 224), 7, 2) == ((2, 3), (2, 3))


def test_same_padding_feeds_a_convolution(rng):
    x = rng.standard_normal((1, 2, 15, 22)).astype(np.float32)
    weight = rng.standard_normal((3, 2, 4, 3)).astype(np.float32)
    pads = fastconv.same_padding(x.shape[2:], weight.shape[2:], 2)
    assert fastconv.conv2d(x, weight, stride=2, padding=pads).shape == (1, 3, 8, 11)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (((5, 5), 0), ["kernel", "0"]),
        (((5, 5), 3, 0), ["stride", "0"]),
        (((5, 5), 3, 1, -2), ["dilation", "-2"]),
        (((-5, 5), 3), ["size", "-5"]),
        (((5, 5), 1.5), ["kernel", "1.5"]),
        (((5, 5), (3, 3, 3)), ["kernel", "(3, 3, 3)"]),
    ],
)
def test_same_padding_refuses(arguments, words):
    with pytest.raises((ValueError, TypeError)) as refusal:
        fastconv.same_padding(*arguments)
    for word in words:
        assert word in str(refusal.value)


def test_same_padding_refuses_an_unknown_side():
    with pytest.raises(ValueError, match=r"odd.*middle"):
        fastconv.same_padding((5, 5), 2, odd="middle")
