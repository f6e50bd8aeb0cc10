"""Smoke test for a CPU without AVX: the generic level is chosen and agrees with the oracle."""

import numpy as np

import fastconv

level = fastconv.config()["level"]
assert level == "generic", level
rng = np.random.default_rng(0)
x = rng.standard_normal((2, 6, 9, 11), dtype=np.float32)
for groups in 1, 2, 6:
    weight = rng.standard_normal((12, 6 // groups, 3, 3), dtype=np.float32)
    arguments = {"padding": 1, "groups": groups, "activation": "relu"}
    y = fastconv.conv2d(x, weight, **arguments)
    expected = fastconv.reference.conv2d(x, weight, **arguments)
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-4)
np.testing.assert_array_equal(fastconv.max_pool2d(x, 2), fastconv.reference.max_pool2d(x, 2))
print(f"convolution and pooling agree with the oracle at level {level}")
