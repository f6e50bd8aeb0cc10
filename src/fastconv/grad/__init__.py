"""Gradients of the operators, under the names of ``torch.nn.grad`` where it has them.

A gradient takes what its operator takes, and `grad_output`, the gradient with respect to the
operator's result; it returns that with respect to an input or the weights, as the name says.
"""

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
from fastconv.grad.columns import fold_input, unfold_input
from fastconv.grad.conv_input import conv1d_input, conv2d_input, conv3d_input
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
from fastconv.grad.padding import pad_input

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
    "conv1d_input",
    "conv2d_input",
    "conv3d_input",
    "fold_input",
    "global_avg_pool1d",
    "global_avg_pool2d",
    "global_avg_pool3d",
    "global_max_pool1d",
    "global_max_pool2d",
    "global_max_pool3d",
    "linear_bias",
    "linear_input",
    "linear_weight",
    "locally_connected2d_bias",
    "locally_connected2d_input",
    "locally_connected2d_weight",
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
    "pad_input",
    "unfold_input",
]
