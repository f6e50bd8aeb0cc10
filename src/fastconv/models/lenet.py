"""LeNet-5. Knows the builder of graphs and the files of weights."""

from __future__ import annotations

from typing import Literal, SupportsIndex

from fastconv import _arguments
from fastconv._arguments import Activation
from fastconv.graph import Graph
from fastconv.graph import operators as ops
from fastconv.graph._builder import INPUT, Builder
from fastconv.models._files import WeightSource, weights_of

__all__ = ["lenet5"]


def lenet5(
    weights: WeightSource | None = None,
    *,
    activation: Activation = "tanh",
    pooling: Literal["max", "avg"] = "max",
    classes: SupportsIndex = 10,
    seed: int = 0,
) -> Graph:
    """Return LeNet-5, which reads digits of 32×32 pixels.

    Its layers are ``conv1``, ``conv2``, ``conv3``, ``fc1`` and ``fc2``. The layout is that of
    LeCun, Bottou, Bengio and Haffner (1998), "Gradient-based learning applied to document
    recognition", with what has become usual since: each map of a convolution sees all maps before
    it, pooling has no weights, and the last layer is dense. ``examples/train_lenet5.py`` trains it
    and writes a file of its weights.

    Parameters
    ----------
    weights : mapping of str to array_like, or path, optional
        Arrays named ``"conv1.weight"``, ``"conv1.bias"`` and so on, of one floating dtype, which
        becomes that of the network; they must not change any more. A path is read by
        `load_weights`. Without weights they are random.
    activation : str or tuple, default "tanh"
        What follows every layer but the last, as for `conv2d`: what it was trained with.
    pooling : {"max", "avg"}, default "max"
        Whether the maximum or the average of 2×2 values is passed on.
    classes : int, default 10
        How many outputs the last layer has.
    seed : int, default 0
        Of the random weights.

    Returns
    -------
    Graph
        From images (n, 1, 32, 32) to scores (n, classes), before a softmax.

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
    >>> from fastconv.models import lenet5
    >>> net = lenet5()
    >>> net.parameters
    61706
    >>> net(np.zeros((2, 1, 32, 32), np.float32)).shape
    (2, 10)
    """
    pools = {
        "max": ops.MaxPool(kernel=(2, 2), stride=(2, 2)),
        "avg": ops.AvgPool(kernel=(2, 2), stride=(2, 2)),
    }
    if pooling not in pools:
        raise ValueError(f'pooling must be "max" or "avg", got {pooling!r}')
    classes = _arguments.positive("classes", classes)
    net = Builder("lenet5", (1, 32, 32), weights_of(weights), seed)
    x = net.conv(INPUT, "conv1", 6, 5, activation=activation)
    x = net.add(pools[pooling], "pool1", x)
    x = net.conv(x, "conv2", 16, 5, activation=activation)
    x = net.add(pools[pooling], "pool2", x)
    x = net.conv(x, "conv3", 120, 5, activation=activation)
    x = net.add(ops.Flatten(), "flatten", x)
    x = net.dense(x, "fc1", 84, activation=activation)
    return net.graph(net.dense(x, "fc2", classes))
