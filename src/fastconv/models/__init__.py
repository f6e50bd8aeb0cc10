"""Networks for images, with weights of one's own, of a file or made by chance.

Each function returns a `fastconv.graph.Graph` that is called with images (n, c, h, w) and returns
scores, before a softmax. Names of weights are those of torchvision where it has the network, so
that a checkpoint of it loads as it is.
"""

from fastconv.models._files import load_weights
from fastconv.models.alexnet import alexnet
from fastconv.models.efficientnet import efficientnet_lite0
from fastconv.models.googlenet import googlenet
from fastconv.models.lenet import lenet5
from fastconv.models.resnet import resnet18, resnet34, resnet50, resnet101, resnet152
from fastconv.models.squeezenet import squeezenet
from fastconv.models.vgg import vgg16, vgg19

__all__ = [
    "alexnet",
    "efficientnet_lite0",
    "googlenet",
    "lenet5",
    "load_weights",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "squeezenet",
    "vgg16",
    "vgg19",
]
