"""Gradients of the operators, under the names of ``torch.nn.grad`` where it has them.

A gradient takes what its operator takes, and `grad_output`, the gradient with respect to the
operator's result; it returns that with respect to an input or the weights, as the name says.
"""

from fastconv.grad.columns import fold_input, unfold_input
from fastconv.grad.conv_input import conv1d_input, conv2d_input, conv3d_input
from fastconv.grad.padding import pad_input

__all__ = [
    "conv1d_input",
    "conv2d_input",
    "conv3d_input",
    "fold_input",
    "pad_input",
    "unfold_input",
]
