"""What a `fastconv.graph.Sequential` is described with: each function returns one layer.

Sizes of outputs are given, those of inputs follow. Knows the builder of graphs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import SupportsIndex

from fastconv import _arguments
from fastconv._arguments import Activation, Padding, Pair
from fastconv.graph import operators as ops
from fastconv.graph._builder import Builder
from fastconv.graph.node import Operator

__all__ = [
    "Layer",
    "activation",
    "avg_pool",
    "batch_norm",
    "conv",
    "dense",
    "dropout",
    "flatten",
    "global_avg_pool",
    "local_response_norm",
    "max_pool",
    "softmax",
]


@dataclass(frozen=True)
class Layer:
    """One layer of a `Sequential` network, as the functions of this module describe it.

    Parameters
    ----------
    kind : str
        The beginning of its name, if it has none of its own: the second convolution is ``conv2``.
    build : callable
        Called with the builder of the graph, the value before the layer and the layer's name; adds
        it and returns the value after it.
    name : str, optional
        Its own name.

    Examples
    --------
    >>> from fastconv.graph import layers
    >>> layers.conv(32, 3, name="first").kind
    'conv'
    """

    kind: str
    build: Callable[[Builder, str, str], str] = field(repr=False)
    name: str | None = None


def conv(
    k: SupportsIndex,
    kernel_size: Pair,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: SupportsIndex = 1,
    *,
    bias: bool = True,
    activation: Activation | None = None,
    name: str | None = None,
) -> Layer:
    """Describe a convolution, over as many axes as its input has beside its channels.

    Parameters
    ----------
    k : int
        The number of filters.
    kernel_size : int or tuple of int
        Their size.
    stride, padding, dilation, groups
        As for `conv2d`.
    bias : bool, default True
        Whether there is one.
    activation : str or tuple, optional
        As for `conv2d`.
    name : str, optional
        The beginning of its weights' names, ``conv1`` and so on if it is not given; they are
        ``weight`` (k, c/groups, ...) and ``bias`` (k,).

    Returns
    -------
    Layer
        For `Sequential`.

    Examples
    --------
    >>> from fastconv.graph import Sequential, layers
    >>> net = Sequential([layers.conv(8, 3, padding="same")], input_shape=(3, 32, 32))
    >>> net.constants["conv1.weight"].shape
    (8, 3, 3, 3)
    """

    def build(net: Builder, x: str, own: str) -> str:
        form = stride, padding, dilation, groups
        return net.conv(x, own, k, kernel_size, *form, bias=bias, activation=activation)

    return Layer("conv", build, name)


def dense(
    k: SupportsIndex,
    *,
    bias: bool = True,
    activation: Activation | None = None,
    name: str | None = None,
) -> Layer:
    """Describe a dense layer on the last axis.

    Parameters
    ----------
    k : int
        The number of outputs.
    bias : bool, default True
        Whether there is one.
    activation : str or tuple, optional
        As for `linear`.
    name : str, optional
        The beginning of its weights' names, ``dense1`` and so on if it is not given; they are
        ``weight`` (k, c) and ``bias`` (k,).

    Returns
    -------
    Layer
        For `Sequential`.

    Examples
    --------
    >>> from fastconv.graph import Sequential, layers
    >>> Sequential([layers.dense(10)], input_shape=(64,)).parameters
    650
    """

    def build(net: Builder, x: str, own: str) -> str:
        return net.dense(x, own, k, bias=bias, activation=activation)

    return Layer("dense", build, name)


def batch_norm(*, eps: float = 1e-5, name: str | None = None) -> Layer:
    """Describe a batch normalisation.

    Parameters
    ----------
    eps : float, default 1e-5
        Added to the variance.
    name : str, optional
        The beginning of its weights' names, ``batch_norm1`` and so on if it is not given; they are
        ``weight``, ``bias``, ``running_mean`` and ``running_var``, all (c,).

    Returns
    -------
    Layer
        For `Sequential`.

    Examples
    --------
    >>> from fastconv.graph import Sequential, layers
    >>> net = Sequential([layers.conv(4, 3), layers.batch_norm()], input_shape=(1, 8, 8))
    >>> net.constants["batch_norm1.running_var"].shape
    (4,)
    """

    def build(net: Builder, x: str, own: str) -> str:
        return net.batch_norm(x, own, eps)

    return Layer("batch_norm", build, name)


def max_pool(
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
    *,
    name: str | None = None,
) -> Layer:
    """Describe a pooling by maxima.

    Parameters
    ----------
    kernel_size, stride, padding, dilation, ceil_mode
        As for `max_pool2d`.
    name : str, optional
        ``max_pool1`` and so on if it is not given.

    Returns
    -------
    Layer
        For `Sequential`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph import Sequential, layers
    >>> net = Sequential([layers.max_pool(2)], input_shape=(1, 2, 4))
    >>> net(np.arange(8, dtype=np.float32).reshape(1, 1, 2, 4))
    array([[[[5., 7.]]]], dtype=float32)
    """
    operator = ops.MaxPool(
        kernel=kernel_size,
        stride=kernel_size if stride is None else stride,
        padding=padding,
        dilation=dilation,
        ceil_mode=ceil_mode,
    )
    return _layer("max_pool", operator, name)


def avg_pool(
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    *,
    name: str | None = None,
) -> Layer:
    """Describe a pooling by averages.

    Parameters
    ----------
    kernel_size, stride, padding, ceil_mode, count_include_pad
        As for `avg_pool2d`.
    name : str, optional
        ``avg_pool1`` and so on if it is not given.

    Returns
    -------
    Layer
        For `Sequential`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph import Sequential, layers
    >>> net = Sequential([layers.avg_pool(2)], input_shape=(1, 2, 4))
    >>> net(np.arange(8, dtype=np.float32).reshape(1, 1, 2, 4))
    array([[[[2.5, 4.5]]]], dtype=float32)
    """
    operator = ops.AvgPool(
        kernel=kernel_size,
        stride=kernel_size if stride is None else stride,
        padding=padding,
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
    )
    return _layer("avg_pool", operator, name)


def global_avg_pool(*, name: str | None = None) -> Layer:
    """Describe the average of each channel, of which every spatial axis keeps size 1.

    Parameters
    ----------
    name : str, optional
        ``global_avg_pool1`` and so on if it is not given.

    Returns
    -------
    Layer
        For `Sequential`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph import Sequential, layers
    >>> net = Sequential([layers.global_avg_pool()], input_shape=(3, 8, 8))
    >>> net(np.ones((2, 3, 8, 8), np.float32)).shape
    (2, 3, 1, 1)
    """
    return _layer("global_avg_pool", ops.GlobalPool(kind="avg"), name)


def flatten(*, name: str | None = None) -> Layer:
    """Describe all axes of an image as one, as a dense layer wants them.

    Parameters
    ----------
    name : str, optional
        ``flatten1`` and so on if it is not given.

    Returns
    -------
    Layer
        For `Sequential`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph import Sequential, layers
    >>> net = Sequential([layers.flatten()], input_shape=(3, 8, 8))
    >>> net(np.ones((2, 3, 8, 8), np.float32)).shape
    (2, 192)
    """
    return _layer("flatten", ops.Flatten(), name)


def activation(form: Activation, *, name: str | None = None) -> Layer:
    """Describe an activation of its own; most layers take one, too.

    Parameters
    ----------
    form : str or tuple
        As `conv2d` takes it: ``"relu"``, ``("leaky_relu", 0.1)`` and so on.
    name : str, optional
        ``activation1`` and so on if it is not given.

    Returns
    -------
    Layer
        For `Sequential`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph import Sequential, layers
    >>> net = Sequential([layers.activation("relu")], input_shape=(3,))
    >>> net(np.array([[-1, 0, 2]], np.float32))
    array([[0., 0., 2.]], dtype=float32)
    """
    _arguments.activation(form)
    return _layer("activation", ops.Activation(form), name)


def local_response_norm(
    size: int,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1.0,
    *,
    name: str | None = None,
) -> Layer:
    """Describe a normalisation by neighbouring channels.

    Parameters
    ----------
    size, alpha, beta, k
        As for `fastconv.local_response_norm`.
    name : str, optional
        ``local_response_norm1`` and so on if it is not given.

    Returns
    -------
    Layer
        For `Sequential`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph import Sequential, layers
    >>> net = Sequential([layers.local_response_norm(1, alpha=3, beta=1)], input_shape=(1, 1, 2))
    >>> net(np.array([[[[1, 2]]]], np.float32)).round(3)
    array([[[[0.25 , 0.154]]]], dtype=float32)
    """
    operator = ops.LocalResponseNorm(size=size, alpha=alpha, beta=beta, k=k)
    return _layer("local_response_norm", operator, name)


def softmax(*, name: str | None = None) -> Layer:
    """Describe a softmax over the channels.

    Parameters
    ----------
    name : str, optional
        ``softmax1`` and so on if it is not given.

    Returns
    -------
    Layer
        For `Sequential`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph import Sequential, layers
    >>> net = Sequential([layers.softmax()], input_shape=(2,))
    >>> net(np.zeros((1, 2), np.float32))
    array([[0.5, 0.5]], dtype=float32)
    """
    return _layer("softmax", ops.Softmax(axis=1), name)


def dropout(p: float = 0.5, *, name: str | None = None) -> Layer:
    """Describe a dropout, which does nothing in a network that is not being trained.

    Parameters
    ----------
    p : float, default 0.5
        The share that training drops, from 0 to below 1.
    name : str, optional
        ``dropout1`` and so on if it is not given.

    Returns
    -------
    Layer
        For `Sequential`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph import Sequential, layers
    >>> Sequential([layers.dropout(0.2)], input_shape=(2,))(np.ones((1, 2), np.float32))
    array([[1., 1.]], dtype=float32)
    """
    if not 0 <= _arguments.real("p", p) < 1:
        raise ValueError(f"p must be from 0 to below 1, got {p}")
    return _layer("dropout", ops.Identity(), name)


def _layer(kind: str, operator: Operator, name: str | None) -> Layer:
    def build(net: Builder, x: str, own: str) -> str:
        return net.add(operator, own, x)

    return Layer(kind, build, name)
