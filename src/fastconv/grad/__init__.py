"""Gradients of the operators, under the names of ``torch.nn.grad`` where it has them.

A gradient takes what its operator takes, and `grad_output`, the gradient with respect to the
operator's result; it returns that with respect to an input or the weights, as the name says.
"""

from fastconv.grad.avg_pool import (
    adaptive_avg_pool1d_input,
    adaptive_avg_pool2d_input,
    adaptive_avg_pool3d_input,
    avg_pool1d_input,
    avg_pool2d_input,
    avg_pool3d_input,
    global_avg_pool1d_input,
    global_avg_pool2d_input,
    global_avg_pool3d_input,
)
from fastconv.grad.columns import fold_input, unfold_input
from fastconv.grad.conv_input import conv1d_input, conv2d_input, conv3d_input
from fastconv.grad.lp_pool import (
    lp_pool1d_input,
    lp_pool2d_input,
    lp_pool3d_input,
)
from fastconv.grad.max_pool import (
    adaptive_max_pool1d_input,
    adaptive_max_pool2d_input,
    adaptive_max_pool3d_input,
    global_max_pool1d_input,
    global_max_pool2d_input,
    global_max_pool3d_input,
    max_pool1d_input,
    max_pool2d_input,
    max_pool3d_input,
    max_pool_channels_input,
)
from fastconv.grad.max_unpool import (
    max_unpool1d_input,
    max_unpool2d_input,
    max_unpool3d_input,
)
from fastconv.grad.padding import pad_input

__all__ = [
    "adaptive_avg_pool1d_input",
    "adaptive_avg_pool2d_input",
    "adaptive_avg_pool3d_input",
    "adaptive_max_pool1d_input",
    "adaptive_max_pool2d_input",
    "adaptive_max_pool3d_input",
    "avg_pool1d_input",
    "avg_pool2d_input",
    "avg_pool3d_input",
    "conv1d_input",
    "conv2d_input",
    "conv3d_input",
    "fold_input",
    "global_avg_pool1d_input",
    "global_avg_pool2d_input",
    "global_avg_pool3d_input",
    "global_max_pool1d_input",
    "global_max_pool2d_input",
    "global_max_pool3d_input",
    "lp_pool1d_input",
    "lp_pool2d_input",
    "lp_pool3d_input",
    "max_pool1d_input",
    "max_pool2d_input",
    "max_pool3d_input",
    "max_pool_channels_input",
    "max_unpool1d_input",
    "max_unpool2d_input",
    "max_unpool3d_input",
    "pad_input",
    "unfold_input",
]
