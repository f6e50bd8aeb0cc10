"""The same bits for any number of threads."""

import hashlib

import numpy as np
import pytest

import fastconv

THREADS = (1, 2, 3, 7, 17)

LAYERS = {
    "dense": ((1, 24, 40, 41), (40, 24, 3, 3), {"padding": 1}),
    "batch": ((5, 8, 19, 23), (17, 8, 3, 3), {"padding": 1}),
    "small plane": ((1, 192, 7, 7), (130, 192, 3, 3), {"padding": 1}),
    "first layer": ((1, 3, 75, 77), (32, 3, 7, 7), {"stride": 2, "padding": 3}),
    "pointwise": ((2, 96, 28, 28), (100, 96, 1, 1), {}),
    "depthwise": ((1, 96, 56, 57), (96, 1, 3, 3), {"padding": 1, "groups": 96}),
    "grouped": ((1, 32, 60, 60), (32, 8, 3, 3), {"padding": 1, "groups": 4}),
    "dilated": ((1, 24, 40, 40), (24, 24, 3, 3), {"dilation": (2, 3)}),
    "one pixel": ((1, 2000, 1, 1), (717, 2000, 1, 1), {}),
    "window of the image": ((3, 96, 5, 4), (217, 96, 5, 4), {}),
    "odd blocks": ((1, 48, 54, 54), (100, 48, 3, 3), {"padding": 1}),
    "lone pixels": ((9, 900, 1, 2), (240, 900, 1, 1), {}),
}


def one_hash(compute):
    """Assert that all thread counts give one result."""
    hashes = {}
    for threads in THREADS:
        with fastconv.num_threads(threads):
            hashes[threads] = hashlib.sha256(compute().tobytes()).hexdigest()
    assert len(set(hashes.values())) == 1, hashes


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_convolution(layer, dtype, channels_last, rng):
    shape, weight_shape, form = LAYERS[layer]
    x = rng.standard_normal(shape).astype(dtype)
    if channels_last:
        x = np.ascontiguousarray(np.moveaxis(x, 1, -1))
    weight = rng.standard_normal(weight_shape).astype(dtype)
    bias = rng.standard_normal(weight_shape[0]).astype(dtype)
    algorithms = ["auto", "im2col"]
    algorithms += {"pointwise": ["pointwise"], "depthwise": ["depthwise"], "dense": ["direct"]}.get(
        layer, []
    )
    for algorithm in algorithms:
        conv = fastconv.Conv2d(
            weight,
            bias,
            channels_last=channels_last,
            algorithm=algorithm,
            activation="silu",
            **form,
        )
        if fastconv.config()["openmp"]:
            with fastconv.num_threads(3):
                assert conv.explain(x.shape).threads == 3  # else the hashes would say nothing
        one_hash(lambda conv=conv: conv(x))
    one_hash(lambda: fastconv.conv2d(x, weight, bias, channels_last=channels_last, **form))


@pytest.mark.parametrize("channels_last", [False, True])
def test_pools(channels_last, rng):
    x = rng.standard_normal((3, 56, 56, 64) if channels_last else (3, 64, 56, 57))
    x = x.astype(np.float32)
    form = {"channels_last": channels_last}
    one_hash(lambda: fastconv.max_pool2d(x, 3, 2, 1, **form))
    small = rng.standard_normal((2, 13, 13, 611) if channels_last else (2, 611, 13, 13))
    one_hash(lambda: fastconv.avg_pool2d(small.astype(np.float32), 3, 2, **form))
    one_hash(lambda: fastconv.max_pool2d(x, 2, return_indices=True, **form)[1])
    one_hash(lambda: fastconv.avg_pool2d(x, 3, 1, 1, **form))
    one_hash(lambda: fastconv.global_avg_pool2d(x, **form))
    one_hash(lambda: fastconv.relu(x))


@pytest.mark.parametrize("algorithm", ["auto", "im2col"])
@pytest.mark.parametrize("layer", ["batch", "small plane", "pointwise", "lone pixels"])
def test_copies_of_one_sample_give_one_result(layer, algorithm, rng):
    shape, weight_shape, form = LAYERS[layer]
    sample = rng.standard_normal((1, *shape[1:])).astype(np.float32)
    weight = rng.standard_normal(weight_shape).astype(np.float32)
    x = np.repeat(sample, 6, axis=0)
    for threads in (1, 2, 5):
        with fastconv.num_threads(threads):
            y = fastconv.conv2d(x, weight, algorithm=algorithm, **form)
        assert len({plane.tobytes() for plane in y}) == 1
