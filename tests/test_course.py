"""What courses on convolutional networks teach, number by number."""

import numpy as np
import pytest

import fastconv

# A 7×7 image of three channels, a 3×3 filter for each, their three maps and the sum of these.
IMAGE = [
    [
        [2, 3, 0, 1, 3, 2, 1],
        [0, 2, 2, 2, 2, 1, 0],
        [1, 2, 1, 1, 1, 0, 0],
        [3, 2, 2, 0, 0, 2, 3],
        [2, 0, 0, 0, 0, 2, 0],
        [0, 0, 0, 2, 2, 2, 2],
        [1, 3, 2, 3, 2, 1, 0],
    ],
    [
        [0, 2, 0, 0, 0, 0, 1],
        [1, 2, 2, 2, 2, 1, 0],
        [0, 2, 1, 1, 1, 0, 0],
        [3, 2, 2, 0, 0, 2, 2],
        [2, 0, 3, 0, 0, 2, 0],
        [1, 0, 0, 2, 2, 2, 2],
        [0, 1, 0, 1, 0, 0, 0],
    ],
    [
        [1, 0, 2, 0, 1, 0, 3],
        [0, 2, 2, 2, 2, 1, 0],
        [2, 2, 1, 1, 1, 0, 3],
        [0, 2, 2, 0, 0, 2, 0],
        [0, 0, 0, 0, 0, 2, 2],
        [2, 0, 0, 2, 2, 2, 0],
        [0, 0, 2, 0, 2, 0, 0],
    ],
]
FILTER = [
    [[1, 0, 1], [0, 1, 0], [1, 0, 1]],
    [[1, 0, 0], [0, 0, 0], [0, 0, 0]],
    [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
]
MAPS = [
    [[6, 9, 7, 6, 6], [9, 7, 7, 6, 5], [6, 5, 2, 3, 3], [5, 4, 4, 6, 9], [5, 6, 6, 8, 4]],
    [[0, 2, 0, 0, 0], [1, 2, 2, 2, 2], [0, 2, 1, 1, 1], [3, 2, 2, 0, 0], [2, 0, 3, 0, 0]],
    [[2, 2, 2, 2, 1], [2, 1, 1, 1, 0], [2, 2, 0, 0, 2], [0, 0, 0, 0, 2], [0, 0, 2, 2, 2]],
]
SUM = [[8, 13, 9, 8, 7], [12, 10, 10, 9, 7], [8, 9, 3, 4, 6], [8, 6, 6, 6, 11], [7, 6, 11, 10, 6]]


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("module", [fastconv, fastconv.reference])
def test_the_worked_example(dtype, module):
    image, filters = np.array(IMAGE, dtype), np.array(FILTER, dtype)
    maps = module.conv2d(image, filters[:, np.newaxis], groups=3)
    assert maps.tolist() == MAPS
    assert module.conv2d(image, filters[np.newaxis]).tolist() == [SUM]


def shape(size, channels, k, kernel, **form):
    weight = (k, channels // form.get("groups", 1), kernel, kernel)
    return fastconv.conv_output_shape((channels, size, size), weight, **form)


def test_sizes_of_feature_maps():
    assert shape(32, 3, 6, 5) == (6, 28, 28)
    assert shape(32, 3, 4, 5) == (4, 28, 28)
    assert shape(32, 3, 10, 5, stride=1, padding=2) == (10, 32, 32)
    assert shape(28, 1, 32, 3) == (32, 26, 26)
    assert shape(28, 1, 1, 3, padding=1) == shape(28, 1, 1, 5, padding=2) == (1, 28, 28)
    assert shape(28, 1, 1, 3, padding="same") == shape(28, 1, 1, 5, padding="same") == (1, 28, 28)


def test_strides_that_fit_and_one_that_does_not():
    assert shape(7, 1, 1, 3, stride=1, strict=True) == (1, 5, 5)
    assert shape(7, 1, 1, 3, stride=2, strict=True) == (1, 3, 3)
    with pytest.raises(ValueError, match="stride"):
        shape(7, 1, 1, 3, stride=3, strict=True)


def test_alexnets_two_halves(rng):
    """Each half of the filters sees its own half of the channels and half of the weights."""
    x = rng.standard_normal((96, 13, 13)).astype(np.float32)
    weight = rng.standard_normal((256, 48, 5, 5)).astype(np.float32)
    assert weight.size == 5 * 5 * 48 * 128 * 2
    both = fastconv.conv2d(x, weight, padding=2, groups=2)
    halves = [
        fastconv.conv2d(x[half], weight[own], padding=2)
        for half, own in [(slice(48), slice(128)), (slice(48, 96), slice(128, 256))]
    ]
    np.testing.assert_allclose(both, np.concatenate(halves), rtol=0, atol=1e-3)


def test_a_bottleneck_mixes_channels_only(rng):
    x = rng.standard_normal((128, 9, 9)).astype(np.float32)
    weight = rng.standard_normal((64, 128, 1, 1)).astype(np.float32)
    y = fastconv.conv2d(x, weight)
    mixed = np.tensordot(weight[:, :, 0, 0].astype(np.float64), x.astype(np.float64), 1)
    np.testing.assert_allclose(y, mixed, rtol=0, atol=1e-3)


def test_parameters_of_a_layer():
    """Ten filters of 5x5 with stride 1 and padding 2 on 32x32x3: 76 numbers each."""
    weight, bias = np.ones((10, 3, 5, 5), np.float32), np.ones(10, np.float32)
    conv = fastconv.Conv2d(weight, bias, padding=2)
    assert conv(np.ones((3, 32, 32), np.float32)).shape == (10, 32, 32)
    assert conv.parameters == 760
    assert conv.receptive_field == (5, 5)


def test_pooling_along_depth():
    """The ksize (1, 1, 1, 3) of TensorFlow: windows of three channels at each pixel."""
    x = np.array([[[3, 0]], [[1, 5]], [[2, 4]], [[7, 1]], [[0, 9]], [[6, 8]]], np.float32)
    assert fastconv.max_pool_channels(x, 3).tolist() == [[[3, 5]], [[7, 9]]]


def test_probabilities_of_a_classifier():
    scores = np.array([[1, 2, 3], [2, 2, 2]], np.float64)
    shares = fastconv.softmax(scores, 1)
    np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-15)
    np.testing.assert_allclose(shares[0], [0.09003057, 0.24472847, 0.66524096], atol=1e-8)
    np.testing.assert_allclose(fastconv.cross_entropy(scores[1:], [0]), np.log(3), rtol=1e-15)


def test_pooling_of_a_small_map():
    x = np.array([[[1, 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]]], np.float32)
    assert fastconv.max_pool2d(x, 2).tolist() == [[[6, 8], [3, 4]]]
    assert fastconv.avg_pool2d(x, 2).tolist() == [[[3.25, 5.25], [2, 2]]]
    assert fastconv.global_avg_pool2d(x).tolist() == [[[3.125]]]


def test_residual_connection(rng):
    """A block whose convolution gives zero passes its input on, through the activation."""
    x = rng.standard_normal((8, 6, 6)).astype(np.float32)
    zero = np.zeros((8, 8, 3, 3), np.float32)
    y = fastconv.conv2d(x, zero, padding=1, residual=x, activation="relu")
    assert np.array_equal(y, np.maximum(x, 0))


def test_image_filters(rng):
    flat = np.full((1, 12, 12), 0.5, np.float32)
    edges = np.array([[[[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]]]], np.float32)
    blur = np.full((1, 1, 3, 3), 1 / 9, np.float32)
    assert (fastconv.conv2d(flat, edges) == 0).all()
    np.testing.assert_allclose(fastconv.conv2d(flat, blur), 0.5, rtol=1e-6)
    noise = rng.standard_normal((1, 40, 40)).astype(np.float32)
    assert fastconv.conv2d(noise, blur).std() < noise.std() / 2
