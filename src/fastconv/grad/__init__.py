"""Gradients of the operators, under the names of ``torch.nn.grad`` where it has them.

A gradient takes what its operator takes, and `grad_output`, the gradient with respect to the
operator's result; it returns that with respect to an input or the weights, as the name says.
Those of elementwise operators, softmax and normalisation have the operator's name and take its
input, `grad_output`, and the operator's other arguments.
"""

from fastconv.grad.activation import hardswish, leaky_relu, relu, relu6, sigmoid, silu, tanh
from fastconv.grad.columns import fold_input, unfold_input
from fastconv.grad.conv_input import conv1d_input, conv2d_input, conv3d_input
from fastconv.grad.norm import batch_norm, local_response_norm
from fastconv.grad.padding import pad_input
from fastconv.grad.softmax import cross_entropy, log_softmax, softmax

__all__ = [
    "batch_norm",
    "conv1d_input",
    "conv2d_input",
    "conv3d_input",
    "cross_entropy",
    "fold_input",
    "hardswish",
    "leaky_relu",
    "local_response_norm",
    "log_softmax",
    "pad_input",
    "relu",
    "relu6",
    "sigmoid",
    "silu",
    "softmax",
    "tanh",
    "unfold_input",
]
