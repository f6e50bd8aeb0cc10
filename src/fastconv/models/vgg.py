"""VGG16 and VGG19. Knows the builder of graphs and the files of weights."""

from __future__ import annotations

from typing import SupportsIndex

from fastconv import _arguments
from fastconv.graph import Graph
from fastconv.graph import operators as ops
from fastconv.graph._builder import INPUT, Builder
from fastconv.models._files import WeightSource, weights_of

__all__ = ["vgg16", "vgg19"]

# Filters of each convolution; 0 is a pooling. The numbers are those of the paper's columns D and E.
_VGG16 = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)
_VGG19 = (64, 64, 0, 128, 128, 0, *(256,) * 4, 0, *(512,) * 4, 0, *(512,) * 4, 0)


def vgg16(
    weights: WeightSource | None = None,
    *,
    classes: SupportsIndex = 1000,
    seed: int = 0,
) -> Graph:
    """Return VGG16: 13 convolutions of 3×3 and 3 dense layers, without batch normalisation.

    From Simonyan and Zisserman (2014), "Very deep convolutional networks for large-scale image
    recognition".

    Parameters
    ----------
    weights : mapping of str to array_like, or path, optional
        Arrays of one floating dtype, which becomes that of the network; they must not change any
        more. They are named as in torchvision's state dict, ``"features.0.weight"`` to
        ``"classifier.6.bias"``. A path is read by `load_weights`. Without weights they are random.
    classes : int, default 1000
        How many outputs the last layer has.
    seed : int, default 0
        Of the random weights.

    Returns
    -------
    Graph
        From images (n, 3, h, w), of 224×224 pixels or any other size from 32×32 on, to scores
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
    >>> from fastconv.models import vgg16
    >>> vgg16().parameters
    138357544
    """
    return _vgg("vgg16", _VGG16, weights, classes, seed)


def vgg19(
    weights: WeightSource | None = None,
    *,
    classes: SupportsIndex = 1000,
    seed: int = 0,
) -> Graph:
    """Return VGG19: `vgg16` with 16 convolutions.

    Parameters
    ----------
    weights, classes, seed
        As for `vgg16`.

    Returns
    -------
    Graph
        As `vgg16` does.

    Raises
    ------
    TypeError, ValueError
        As for `vgg16`.

    Examples
    --------
    >>> from fastconv.models import vgg19
    >>> vgg19().parameters
    143667240
    """
    return _vgg("vgg19", _VGG19, weights, classes, seed)


def _vgg(
    name: str,
    filters: tuple[int, ...],
    weights: WeightSource | None,
    classes: SupportsIndex,
    seed: int,
) -> Graph:
    classes = _arguments.positive("classes", classes)
    net = Builder(name, (3, 224, 224), weights_of(weights), seed, any_size=True)
    x, module = INPUT, 0
    for k in filters:
        if k:
            x = net.conv(x, f"features.{module}", k, 3, padding=1, activation="relu")
        else:
            x = net.add(ops.MaxPool(kernel=2, stride=2), f"features.{module}", x)
        module += 2 if k else 1  # torchvision counts the activations, too
    x = net.add(ops.AdaptivePool(kind="avg", output_size=7), "avgpool", x)
    x = net.add(ops.Flatten(), "flatten", x)
    x = net.dense(x, "classifier.0", 4096, activation="relu")
    x = net.dense(x, "classifier.3", 4096, activation="relu")
    return net.graph(net.dense(x, "classifier.6", classes))
