"""The oracle: every public operator as plain loops, in float64, written to be read and believed.

It shares the argument forms of the fast functions (``_arguments``) and nothing else: it works out
output sizes, windows and sums by itself, so that a mistake in the library cannot hide here. It
knows neither ``_core`` nor the operators.

Use it to see what a function means, and to check the fast one. It is thousands of times slower.
"""

from fastconv.reference.activation import hardswish, leaky_relu, relu, relu6, sigmoid, silu, tanh
from fastconv.reference.adaptive_pool import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    global_avg_pool1d,
    global_avg_pool2d,
    global_avg_pool3d,
    global_max_pool1d,
    global_max_pool2d,
    global_max_pool3d,
)
from fastconv.reference.columns import fold, unfold
from fastconv.reference.conv import conv1d, conv2d, conv3d
from fastconv.reference.linear import linear
from fastconv.reference.local import locally_connected2d
from fastconv.reference.norm import batch_norm, local_response_norm
from fastconv.reference.padding import pad
from fastconv.reference.pool import (
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
    max_pool_channels,
    max_unpool1d,
    max_unpool2d,
    max_unpool3d,
)
from fastconv.reference.softmax import cross_entropy, log_softmax, softmax
from fastconv.reference.transposed import conv_transpose1d, conv_transpose2d, conv_transpose3d

__all__ = [
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "adaptive_avg_pool3d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_max_pool3d",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "batch_norm",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "cross_entropy",
    "fold",
    "global_avg_pool1d",
    "global_avg_pool2d",
    "global_avg_pool3d",
    "global_max_pool1d",
    "global_max_pool2d",
    "global_max_pool3d",
    "hardswish",
    "leaky_relu",
    "linear",
    "local_response_norm",
    "locally_connected2d",
    "log_softmax",
    "lp_pool1d",
    "lp_pool2d",
    "lp_pool3d",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_pool_channels",
    "max_unpool1d",
    "max_unpool2d",
    "max_unpool3d",
    "pad",
    "relu",
    "relu6",
    "sigmoid",
    "silu",
    "softmax",
    "tanh",
    "unfold",
]
