"""ResNets of 18 to 152 layers. Knows the builder of graphs and the files of weights."""

from __future__ import annotations

from typing import SupportsIndex

from fastconv import _arguments
from fastconv.graph import Graph
from fastconv.graph import operators as ops
from fastconv.graph._builder import INPUT, Builder, is_counter
from fastconv.models._files import WeightSource, weights_of

__all__ = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]


def resnet18(
    weights: WeightSource | None = None,
    *,
    classes: SupportsIndex = 1000,
    seed: int = 0,
) -> Graph:
    """Return ResNet-18: 8 blocks of two convolutions of 3×3, each with a residual connection.

    From He, Zhang, Ren and Sun (2015), "Deep residual learning for image recognition".

    Parameters
    ----------
    weights : mapping of str to array_like, or path, optional
        Arrays of one floating dtype, which becomes that of the network; they must not change any
        more. They are named as in torchvision's state dict, ``"conv1.weight"`` to ``"fc.bias"``. A
        path is read by `load_weights`. Without weights they are random.
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

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.models import resnet18
    >>> net = resnet18()
    >>> net(np.zeros((2, 3, 64, 64), np.float32)).shape
    (2, 1000)

    A checkpoint of a network that was trained for 10 classes:

    >>> resnet18("pets.pth", classes=10)  # doctest: +SKIP
    """
    return _resnet("resnet18", (2, 2, 2, 2), False, weights, classes, seed)


def resnet34(
    weights: WeightSource | None = None,
    *,
    classes: SupportsIndex = 1000,
    seed: int = 0,
) -> Graph:
    """Return ResNet-34: 16 blocks of two convolutions of 3×3.

    Parameters
    ----------
    weights, classes, seed
        As for `resnet18`.

    Returns
    -------
    Graph
        As `resnet18` does.

    Raises
    ------
    TypeError, ValueError
        As for `resnet18`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.models import resnet34
    >>> resnet34()(np.zeros((1, 3, 32, 32), np.float32)).shape
    (1, 1000)
    """
    return _resnet("resnet34", (3, 4, 6, 3), False, weights, classes, seed)


def resnet50(
    weights: WeightSource | None = None,
    *,
    classes: SupportsIndex = 1000,
    seed: int = 0,
) -> Graph:
    """Return ResNet-50: 16 blocks of three convolutions, one of them 3×3.

    Parameters
    ----------
    weights, classes, seed
        As for `resnet18`.

    Returns
    -------
    Graph
        As `resnet18` does.

    Raises
    ------
    TypeError, ValueError
        As for `resnet18`.

    Notes
    -----
    As in torchvision, it is the convolution of 3×3 of a block that halves the image; in the paper
    it is the one before.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.models import resnet50
    >>> resnet50()(np.zeros((1, 3, 32, 32), np.float32)).shape
    (1, 1000)
    """
    return _resnet("resnet50", (3, 4, 6, 3), True, weights, classes, seed)


def resnet101(
    weights: WeightSource | None = None,
    *,
    classes: SupportsIndex = 1000,
    seed: int = 0,
) -> Graph:
    """Return ResNet-101: 33 blocks of three convolutions.

    Parameters
    ----------
    weights, classes, seed
        As for `resnet18`.

    Returns
    -------
    Graph
        As `resnet18` does.

    Raises
    ------
    TypeError, ValueError
        As for `resnet18`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.models import resnet101
    >>> resnet101()(np.zeros((1, 3, 32, 32), np.float32)).shape
    (1, 1000)
    """
    return _resnet("resnet101", (3, 4, 23, 3), True, weights, classes, seed)


def resnet152(
    weights: WeightSource | None = None,
    *,
    classes: SupportsIndex = 1000,
    seed: int = 0,
) -> Graph:
    """Return ResNet-152: 50 blocks of three convolutions.

    Parameters
    ----------
    weights, classes, seed
        As for `resnet18`.

    Returns
    -------
    Graph
        As `resnet18` does.

    Raises
    ------
    TypeError, ValueError
        As for `resnet18`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.models import resnet152
    >>> resnet152()(np.zeros((1, 3, 32, 32), np.float32)).shape
    (1, 1000)
    """
    return _resnet("resnet152", (3, 8, 36, 3), True, weights, classes, seed)


def _resnet(
    name: str,
    stages: tuple[int, ...],
    bottleneck: bool,
    weights: WeightSource | None,
    classes: SupportsIndex,
    seed: int,
) -> Graph:
    classes = _arguments.positive("classes", classes)
    net = Builder(name, (3, 224, 224), weights_of(weights), seed, any_size=True, ignored=is_counter)
    x = net.conv(INPUT, "conv1", 64, 7, stride=2, padding=3, norm="bn1", activation="relu")
    x = net.add(ops.MaxPool(kernel=3, stride=2, padding=1), "maxpool", x)
    block = _bottleneck if bottleneck else _basic
    # So scaled, random branches do not let the sum grow with their number.
    gain = 1 / sum(stages)
    for stage, blocks in enumerate(stages):
        for i in range(blocks):
            stride = 2 if stage > 0 and i == 0 else 1
            x = block(net, x, f"layer{stage + 1}.{i}", 64 * 2**stage, stride, gain)
    x = net.add(ops.GlobalPool(kind="avg"), "avgpool", x)
    x = net.add(ops.Flatten(), "flatten", x)
    return net.graph(net.dense(x, "fc", classes))


def _basic(net: Builder, x: str, name: str, k: int, stride: int, gain: float) -> str:
    y = net.conv(x, f"{name}.conv1", k, 3, stride, 1, norm=f"{name}.bn1", activation="relu")
    y = net.conv(y, f"{name}.conv2", k, 3, 1, 1, norm=f"{name}.bn2", gain=gain)
    return _joined(net, x, y, name, k, stride)


def _bottleneck(net: Builder, x: str, name: str, k: int, stride: int, gain: float) -> str:
    y = net.conv(x, f"{name}.conv1", k, 1, norm=f"{name}.bn1", activation="relu")
    y = net.conv(y, f"{name}.conv2", k, 3, stride, 1, norm=f"{name}.bn2", activation="relu")
    y = net.conv(y, f"{name}.conv3", 4 * k, 1, norm=f"{name}.bn3", gain=gain)
    return _joined(net, x, y, name, 4 * k, stride)


def _joined(net: Builder, x: str, y: str, name: str, k: int, stride: int) -> str:
    """Add what goes past a block, fitted to its result where their shapes differ."""
    if stride > 1 or net.shape(x)[1] != k:
        x = net.conv(x, f"{name}.downsample.0", k, 1, stride, norm=f"{name}.downsample.1")
    return net.activation(net.add(ops.Add(), f"{name}.add", y, x), "relu")
