"""AlexNet, as its paper has it and as torchvision does. Knows the builder and files of weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, SupportsIndex

from fastconv import _arguments
from fastconv.graph import Graph
from fastconv.graph import operators as ops
from fastconv.graph._builder import INPUT, Builder
from fastconv.models._files import WeightSource, weights_of

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["alexnet"]


def alexnet(
    weights: WeightSource | None = None,
    *,
    variant: Literal["paper", "torchvision"] = "torchvision",
    classes: SupportsIndex = 1000,
    seed: int = 0,
) -> Graph:
    """Return AlexNet, for images of 224×224 pixels, or 227×227 in the paper's form.

    Parameters
    ----------
    weights : mapping of str to array_like, or path, optional
        Arrays of one floating dtype, which becomes that of the network; they must not change any
        more. They are named as in torchvision's state dict, ``"features.0.weight"`` to
        ``"classifier.6.bias"``, and in the paper's form ``"conv1.weight"`` to ``"fc8.bias"``. A
        path is read by `load_weights`. Without weights they are random.
    variant : {"torchvision", "paper"}, default "torchvision"
        The paper's has more filters, convolutions in two groups, and local response normalisation.
    classes : int, default 1000
        How many outputs the last layer has.
    seed : int, default 0
        Of the random weights.

    Returns
    -------
    Graph
        From images (n, 3, h, w) to scores (n, classes), before a softmax. That of torchvision takes
        any size from 63×63 pixels on.

    Raises
    ------
    TypeError
        If an argument is of the wrong kind.
    ValueError
        If weights are missing, unexpected or of the wrong shape or dtype, all of which the message
        tells, or a file cannot be read.

    Notes
    -----
    The paper is Krizhevsky, Sutskever and Hinton (2012), "ImageNet classification with deep
    convolutional neural networks"; the other form is that of Krizhevsky (2014), "One weird trick
    for parallelizing convolutional neural networks".

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.models import alexnet
    >>> net = alexnet(classes=10)
    >>> net(np.zeros((1, 3, 63, 63), np.float32)).shape
    (1, 10)
    """
    if variant not in ("paper", "torchvision"):
        raise ValueError(f'variant must be "paper" or "torchvision", got {variant!r}')
    classes = _arguments.positive("classes", classes)
    build = _paper if variant == "paper" else _torchvision
    return build(weights_of(weights), classes, seed)


def _torchvision(weights: Mapping[str, ArrayLike] | None, classes: int, seed: int) -> Graph:
    net = Builder("alexnet", (3, 224, 224), weights, seed, any_size=True)
    pool = ops.MaxPool(kernel=3, stride=2)
    x = net.conv(INPUT, "features.0", 64, 11, stride=4, padding=2, activation="relu")
    x = net.add(pool, "features.2", x)
    x = net.conv(x, "features.3", 192, 5, padding=2, activation="relu")
    x = net.add(pool, "features.5", x)
    x = net.conv(x, "features.6", 384, 3, padding=1, activation="relu")
    x = net.conv(x, "features.8", 256, 3, padding=1, activation="relu")
    x = net.conv(x, "features.10", 256, 3, padding=1, activation="relu")
    x = net.add(pool, "features.12", x)
    x = net.add(ops.AdaptivePool(kind="avg", output_size=6), "avgpool", x)
    x = net.add(ops.Flatten(), "flatten", x)
    x = net.dense(x, "classifier.1", 4096, activation="relu")
    x = net.dense(x, "classifier.4", 4096, activation="relu")
    return net.graph(net.dense(x, "classifier.6", classes))


def _paper(weights: Mapping[str, ArrayLike] | None, classes: int, seed: int) -> Graph:
    net = Builder("alexnet", (3, 227, 227), weights, seed)
    pool = ops.MaxPool(kernel=3, stride=2)
    # The paper's alpha is not divided by the number of channels.
    norm = ops.LocalResponseNorm(size=5, alpha=5e-4, beta=0.75, k=2)
    x = net.conv(INPUT, "conv1", 96, 11, stride=4, activation="relu")
    x = net.add(pool, "pool1", net.add(norm, "norm1", x))
    x = net.conv(x, "conv2", 256, 5, padding=2, groups=2, activation="relu")
    x = net.add(pool, "pool2", net.add(norm, "norm2", x))
    x = net.conv(x, "conv3", 384, 3, padding=1, activation="relu")
    x = net.conv(x, "conv4", 384, 3, padding=1, groups=2, activation="relu")
    x = net.conv(x, "conv5", 256, 3, padding=1, groups=2, activation="relu")
    x = net.add(ops.Flatten(), "flatten", net.add(pool, "pool5", x))
    x = net.dense(x, "fc6", 4096, activation="relu")
    x = net.dense(x, "fc7", 4096, activation="relu")
    return net.graph(net.dense(x, "fc8", classes))
