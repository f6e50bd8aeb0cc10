"""Gradients of the operators, under the names of ``torch.nn.grad`` where it has them.

A gradient takes what its operator takes, and `grad_output`, the gradient with respect to the
operator's result; it returns that with respect to an input or the weights, as the name says. Where
the values of the input do not matter, as for convolution and averages, its shape takes their place
(``input_size``).
Those of elementwise operators, softmax and normalisation have the operator's name and take its
input, `grad_output`, and the operator's other arguments.
"""

from fastconv.grad.activation import hardswish, leaky_relu, relu, relu6, sigmoid, silu, tanh
from fastconv.grad.avg_pool import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    global_avg_pool1d,
    global_avg_pool2d,
    global_avg_pool3d,
)
from fastconv.grad.columns import fold, unfold
from fastconv.grad.conv_input import conv1d_input, conv2d_input, conv3d_input
from fastconv.grad.conv_weight import (
    conv1d_bias,
    conv1d_weight,
    conv2d_bias,
    conv2d_weight,
    conv3d_bias,
    conv3d_weight,
)
from fastconv.grad.linear import linear_bias, linear_input, linear_weight
from fastconv.grad.local import (
    locally_connected2d_bias,
    locally_connected2d_input,
    locally_connected2d_weight,
)
from fastconv.grad.lp_pool import lp_pool1d, lp_pool2d, lp_pool3d
from fastconv.grad.max_pool import (
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
    global_max_pool1d,
    global_max_pool2d,
    global_max_pool3d,
    max_pool1d,
    max_pool2d,
    max_pool3d,
    max_pool_channels,
)
from fastconv.grad.max_unpool import max_unpool1d, max_unpool2d, max_unpool3d
from fastconv.grad.norm import batch_norm, local_response_norm
from fastconv.grad.padding import pad
from fastconv.grad.softmax import cross_entropy, log_softmax, softmax

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
    "conv1d_bias",
    "conv1d_input",
    "conv1d_weight",
    "conv2d_bias",
    "conv2d_input",
    "conv2d_weight",
    "conv3d_bias",
    "conv3d_input",
    "conv3d_weight",
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
    "linear_bias",
    "linear_input",
    "linear_weight",
    "local_response_norm",
    "locally_connected2d_bias",
    "locally_connected2d_input",
    "locally_connected2d_weight",
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
