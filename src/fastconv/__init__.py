"""fastconv: fast convolution and pooling on NumPy arrays, on the CPU.

The functions take and return plain ndarrays, with the names and arguments of
``torch.nn.functional``. `fastconv.reference` holds the same functions as slow, plain loops.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from fastconv.activation import hardswish, leaky_relu, relu, relu6, sigmoid, silu, tanh
from fastconv.adaptive_pool import (
    adaptive_avg_pool1d,
    adaptive_avg_pool2d,
    adaptive_avg_pool3d,
    adaptive_max_pool1d,
    adaptive_max_pool2d,
    adaptive_max_pool3d,
)
from fastconv.avg_pool import (
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    lp_pool1d,
    lp_pool2d,
    lp_pool3d,
)
from fastconv.columns import fold, unfold
from fastconv.config import config, show_config
from fastconv.conv import conv1d, conv2d, conv3d
from fastconv.global_pool import (
    global_avg_pool1d,
    global_avg_pool2d,
    global_avg_pool3d,
    global_max_pool1d,
    global_max_pool2d,
    global_max_pool3d,
)
from fastconv.layers import Conv1d, Conv2d, Conv3d
from fastconv.linear import Linear, linear
from fastconv.local import locally_connected2d
from fastconv.max_pool import (
    max_pool1d,
    max_pool2d,
    max_pool3d,
    max_pool_channels,
    max_unpool1d,
    max_unpool2d,
    max_unpool3d,
)
from fastconv.norm import batch_norm, local_response_norm
from fastconv.padding import pad
from fastconv.shapes import conv_output_shape, same_padding
from fastconv.softmax import cross_entropy, log_softmax, softmax
from fastconv.threads import get_num_threads, num_threads, set_num_threads
from fastconv.transposed import (
    ConvTranspose2d,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
)

if TYPE_CHECKING:
    from fastconv import grad, graph, models, onnx, reference

    __version__: str

__all__ = [
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose2d",
    "Linear",
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
    "config",
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_output_shape",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "cross_entropy",
    "fold",
    "get_num_threads",
    "global_avg_pool1d",
    "global_avg_pool2d",
    "global_avg_pool3d",
    "global_max_pool1d",
    "global_max_pool2d",
    "global_max_pool3d",
    "grad",
    "graph",
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
    "models",
    "num_threads",
    "onnx",
    "pad",
    "reference",
    "relu",
    "relu6",
    "same_padding",
    "set_num_threads",
    "show_config",
    "sigmoid",
    "silu",
    "softmax",
    "tanh",
    "unfold",
]


# What few programs need is loaded when they ask for it: an import must stay cheap.
_LATER = "grad", "graph", "models", "onnx", "reference"


def __getattr__(name: str) -> object:
    if name in _LATER:
        return import_module(f"fastconv.{name}")
    if name == "__version__":
        return import_module("importlib.metadata").version("fastconv")
    raise AttributeError(f"module 'fastconv' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), "__version__", *_LATER})
