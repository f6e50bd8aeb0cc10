"""The operators of graphs, each with what it computes, its result's shape and its cost.

They compute by fastconv's functions, which check their arguments and word the errors.
"""

from fastconv.graph.operators.convolution import Conv, ConvTranspose, Dense, MatMul
from fastconv.graph.operators.elementwise import (
    Activation,
    Add,
    BatchNorm,
    Div,
    LocalResponseNorm,
    LogSoftmax,
    Mul,
    Softmax,
    Sub,
)
from fastconv.graph.operators.pooling import AdaptivePool, AvgPool, GlobalPool, MaxPool
from fastconv.graph.operators.shaping import (
    Concat,
    Flatten,
    Function,
    Identity,
    Reshape,
    Shape,
    Transpose,
)

__all__ = [
    "Activation",
    "AdaptivePool",
    "Add",
    "AvgPool",
    "BatchNorm",
    "Concat",
    "Conv",
    "ConvTranspose",
    "Dense",
    "Div",
    "Flatten",
    "Function",
    "GlobalPool",
    "Identity",
    "LocalResponseNorm",
    "LogSoftmax",
    "MatMul",
    "MaxPool",
    "Mul",
    "Reshape",
    "Shape",
    "Softmax",
    "Sub",
    "Transpose",
]
