"""Names and colours of the families, the same in the picture and on the page.

Knows nothing of fastconv but the families' keys.
"""

from __future__ import annotations

TITLES = {
    "lenet5": "LeNet-5",
    "alexnet": "AlexNet",
    "vgg16": "VGG16",
    "googlenet": "GoogLeNet",
    "resnet50": "ResNet-50",
    "depthwise": "depthwise",
    "random": "random shapes",
}

# Okabe and Ito's colours, which stay apart for colour-blind readers.
COLOURS = {
    "lenet5": "#CC79A7",
    "alexnet": "#E69F00",
    "vgg16": "#009E73",
    "googlenet": "#0072B2",
    "resnet50": "#D55E00",
    "depthwise": "#56B4E9",
    "random": "#8A8A8A",
}
