"""GoogLeNet, as its paper has it and as torchvision does. Knows the builder and weight files."""

from __future__ import annotations

from typing import Literal, SupportsIndex

import numpy as np

from fastconv import _arguments
from fastconv.graph import Graph
from fastconv.graph import operators as ops
from fastconv.graph._builder import INPUT, Builder, is_counter
from fastconv.models._files import WeightSource, weights_of

__all__ = ["googlenet"]

# What table 1 of the paper says of each inception module: filters of 1×1, of 3×3 after so many of
# 1×1, of 5×5 after so many of 1×1, and of 1×1 after the pooling.
_MODULES = {
    "3a": (64, (96, 128), (16, 32), 32),
    "3b": (128, (128, 192), (32, 96), 64),
    "4a": (192, (96, 208), (16, 48), 64),
    "4b": (160, (112, 224), (24, 64), 64),
    "4c": (128, (128, 256), (24, 64), 64),
    "4d": (112, (144, 288), (32, 64), 64),
    "4e": (256, (160, 320), (32, 128), 128),
    "5a": (256, (160, 320), (32, 128), 128),
    "5b": (384, (192, 384), (48, 128), 128),
}


def googlenet(
    weights: WeightSource | None = None,
    *,
    variant: Literal["paper", "torchvision"] = "torchvision",
    transform_input: bool = False,
    classes: SupportsIndex = 1000,
    seed: int = 0,
) -> Graph:
    """Return GoogLeNet: nine modules of convolutions side by side.

    From Szegedy and others (2014), "Going deeper with convolutions".

    Parameters
    ----------
    weights : mapping of str to array_like, or path, optional
        Arrays of one floating dtype, which becomes that of the network; they must not change any
        more. They are named as in torchvision's state dict, ``"conv1.conv.weight"`` to
        ``"fc.bias"``; those of the auxiliary classifiers, which only training needs, are ignored. A
        path is read by `load_weights`. Without weights they are random.
    variant : {"torchvision", "paper"}, default "torchvision"
        The paper's has local response normalisation and convolutions of 5×5 with a bias, where
        torchvision's has batch normalisation and 3×3.
    transform_input : bool, default False
        Whether to turn images that are normalised by ImageNet's means and deviations into such from
        -1 to 1, as torchvision does for the weights that it offers, which need it.
    classes : int, default 1000
        How many outputs the last layer has.
    seed : int, default 0
        Of the random weights.

    Returns
    -------
    Graph
        From images (n, 3, h, w) of any size, 224×224 as a rule, to scores (n, classes), before a
        softmax.

    Raises
    ------
    TypeError
        If an argument is of the wrong kind.
    ValueError
        If weights are missing, unexpected or of the wrong shape or dtype, all of which the message
        tells, or a file cannot be read.

    Notes
    -----
    What the paper leaves open is as in its authors' Caffe model: sizes are rounded up where a
    pooling does not fit, and the normalisation has k = 1, alpha = 1e-4 and beta = 0.75.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.models import googlenet
    >>> googlenet(variant="paper").parameters
    6998552
    >>> googlenet()(np.zeros((1, 3, 64, 64), np.float32)).shape
    (1, 1000)
    """
    if variant not in ("paper", "torchvision"):
        raise ValueError(f'variant must be "paper" or "torchvision", got {variant!r}')
    classes = _arguments.positive("classes", classes)
    transform_input = _arguments.flag("transform_input", transform_input)
    shape, ignored = (3, 224, 224), _is_for_training
    net = Builder("googlenet", shape, weights_of(weights), seed, any_size=True, ignored=ignored)
    paper = variant == "paper"
    norm = ops.LocalResponseNorm(size=5, alpha=1e-4, beta=0.75, k=1)
    halve = ops.MaxPool(kernel=3, stride=2, ceil_mode=True)

    def conv(x: str, name: str, k: int, size: int, stride: int = 1) -> str:
        return net.conv(
            x,
            f"{name}.conv",
            k,
            size,
            stride,
            size // 2,
            norm=None if paper else f"{name}.bn",
            eps=1e-3,
            activation="relu",
        )

    def inception(x: str, name: str) -> str:
        alone, middle, large, pooled = _MODULES[name]
        at = f"inception{name}.branch"
        pool = ops.MaxPool(kernel=3, stride=1, padding=1, ceil_mode=True)
        branches = (
            conv(x, f"{at}1", alone, 1),
            conv(conv(x, f"{at}2.0", middle[0], 1), f"{at}2.1", middle[1], 3),
            conv(conv(x, f"{at}3.0", large[0], 1), f"{at}3.1", large[1], 5 if paper else 3),
            conv(net.add(pool, f"{at}4.0", x), f"{at}4.1", pooled, 1),
        )
        return net.add(ops.Concat(axis=1), f"inception{name}", *branches)

    x = _transformed(net) if transform_input else INPUT
    x = net.add(halve, "maxpool1", conv(x, "conv1", 64, 7, stride=2))
    if paper:
        x = net.add(norm, "norm1", x)
    x = conv(conv(x, "conv2", 64, 1), "conv3", 192, 3)
    if paper:
        x = net.add(norm, "norm2", x)
    x = net.add(halve, "maxpool2", x)
    x = inception(inception(x, "3a"), "3b")
    x = net.add(halve, "maxpool3", x)
    for name in ("4a", "4b", "4c", "4d", "4e"):
        x = inception(x, name)
    last = halve if paper else ops.MaxPool(kernel=2, stride=2, ceil_mode=True)
    x = net.add(last, "maxpool4", x)
    x = inception(inception(x, "5a"), "5b")
    x = net.add(ops.GlobalPool(kind="avg"), "avgpool", x)
    x = net.add(ops.Flatten(), "flatten", x)
    return net.graph(net.dense(x, "fc", classes))


def _is_for_training(name: str) -> bool:
    return name.startswith(("aux1.", "aux2.")) or is_counter(name)


def _transformed(net: Builder) -> str:
    """Add what turns (image - mean) / deviation into (image - 0.5) / 0.5."""
    deviation, mean = np.array([0.229, 0.224, 0.225]), np.array([0.485, 0.456, 0.406])
    scale = net.constant("transform_input.scale", deviation.reshape(3, 1, 1) / 0.5)
    shift = net.constant("transform_input.shift", (mean.reshape(3, 1, 1) - 0.5) / 0.5)
    x = net.add(ops.Mul(), "transform_input.mul", INPUT, scale)
    return net.add(ops.Add(), "transform_input.add", x, shift)
