"""SqueezeNet 1.0 and 1.1. Knows the builder of graphs and the files of weights."""

from __future__ import annotations

from typing import Literal, SupportsIndex

from fastconv import _arguments
from fastconv.graph import Graph
from fastconv.graph import operators as ops
from fastconv.graph._builder import INPUT, Builder
from fastconv.models._files import WeightSource, weights_of

__all__ = ["squeezenet"]

# After the first convolution, (filters, kernel): the filters that squeeze in each fire module, of
# which both halves of the expansion have four times as many; 0 is a pooling.
_VARIANTS = {
    "1.0": ((96, 7), (0, 16, 16, 32, 0, 32, 48, 48, 64, 0, 64)),
    "1.1": ((64, 3), (0, 16, 16, 0, 32, 32, 0, 48, 48, 64, 64)),
}


def squeezenet(
    weights: WeightSource | None = None,
    *,
    variant: Literal["1.0", "1.1"] = "1.1",
    classes: SupportsIndex = 1000,
    seed: int = 0,
) -> Graph:
    """Return SqueezeNet: AlexNet's accuracy with a fiftieth of its weights, and no dense layer.

    From Iandola and others (2016), "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters".

    Parameters
    ----------
    weights : mapping of str to array_like, or path, optional
        Arrays of one floating dtype, which becomes that of the network; they must not change any
        more. They are named as in torchvision's state dict, ``"features.0.weight"`` to
        ``"classifier.1.bias"``. A path is read by `load_weights`. Without weights they are random.
    variant : {"1.1", "1.0"}, default "1.1"
        The authors' release; 1.0 is the paper's and does 2.4 times the work.
    classes : int, default 1000
        How many outputs there are.
    seed : int, default 0
        Of the random weights.

    Returns
    -------
    Graph
        From images (n, 3, h, w) of any size from 21×21 on, 224×224 as a rule, to scores
        (n, classes), before a softmax.

    Raises
    ------
    TypeError
        If an argument is of the wrong kind.
    ValueError
        If weights are missing, unexpected or of the wrong shape or dtype, all of which the message
        tells, or a file cannot be read.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.models import squeezenet
    >>> squeezenet().parameters, squeezenet(variant="1.0").parameters
    (1235496, 1248424)
    >>> squeezenet()(np.zeros((1, 3, 64, 64), np.float32)).shape
    (1, 1000)
    """
    if variant not in _VARIANTS:
        raise ValueError(f'variant must be "1.0" or "1.1", got {variant!r}')
    classes = _arguments.positive("classes", classes)
    net = Builder("squeezenet", (3, 224, 224), weights_of(weights), seed, any_size=True)
    (k, size), layers = _VARIANTS[variant]
    x = net.conv(INPUT, "features.0", k, size, stride=2, activation="relu")
    for module, squeezed in enumerate(layers, start=2):  # torchvision counts the activation, too
        name = f"features.{module}"
        if not squeezed:
            x = net.add(ops.MaxPool(kernel=3, stride=2, ceil_mode=True), name, x)
            continue
        x = net.conv(x, f"{name}.squeeze", squeezed, 1, activation="relu")
        alone = net.conv(x, f"{name}.expand1x1", 4 * squeezed, 1, activation="relu")
        wide = net.conv(x, f"{name}.expand3x3", 4 * squeezed, 3, padding=1, activation="relu")
        x = net.add(ops.Concat(axis=1), name, alone, wide)
    x = net.conv(x, "classifier.1", classes, 1, activation="relu")
    x = net.add(ops.GlobalPool(kind="avg"), "classifier.3", x)
    return net.graph(net.add(ops.Flatten(), "flatten", x))
