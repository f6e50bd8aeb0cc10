"""Gradients of the operators, under the names of ``torch.nn.grad`` where it has them.

A gradient takes what its operator takes, and `grad_output`, the gradient with respect to the
operator's result; it returns that with respect to an input or the weights, as the name says.
"""

from fastconv.grad.conv_input import conv1d_input, conv2d_input, conv3d_input
from fastconv.grad.linear import linear_bias, linear_input, linear_weight
from fastconv.grad.local import (
    locally_connected2d_bias,
    locally_connected2d_input,
    locally_connected2d_weight,
)

__all__ = [
    "conv1d_input",
    "conv2d_input",
    "conv3d_input",
    "linear_bias",
    "linear_input",
    "linear_weight",
    "locally_connected2d_bias",
    "locally_connected2d_input",
    "locally_connected2d_weight",
]
