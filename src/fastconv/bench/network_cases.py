"""The whole networks that are timed: those of `fastconv.models`, with seeded random weights.

Knows ``operators`` and, when a graph is made, ``fastconv.models``.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from fastconv._arguments import Array
from fastconv.bench.layers import Shape
from fastconv.bench.operators import Timed
from fastconv.graph import Graph


@dataclass(frozen=True, kw_only=True)
class NetworkCase:
    """A network and the batch that it gets.

    Attributes
    ----------
    id, family : str
        ``network n8``, and the network's name in `fastconv.models`.
    n : int
        Images in the batch.
    image : tuple of int
        The shape of one.
    form : mapping of str to str
        Arguments of that function, where it has several forms of the network.
    """

    id: str
    family: str
    n: int
    image: Shape
    form: Mapping[str, str] = field(default_factory=dict)

    op = "network"
    places: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        size = f"{self.n} x {'x'.join(map(str, self.image))}"
        return ", ".join((size, *(f"{name} {value}" for name, value in self.form.items())))

    @property
    def shape(self) -> Shape:
        """Of the input."""
        return (self.n, *self.image)

    @property
    def factory(self) -> Callable[..., Graph]:
        """The function of `fastconv.models` that makes it, once that is imported."""
        from fastconv import models

        factory: Callable[..., Graph] = getattr(models, self.family)
        return factory

    def graph(self, weights: str | os.PathLike[str] | None = None) -> Graph:
        """The network with the weights of a file, or with seeded random ones."""
        return self.factory(weights, **self.form)

    def input(self) -> Array:
        """Seeded standard normal numbers: every process makes the same ones by itself."""
        rng = np.random.default_rng(zlib.crc32(self.family.encode()))
        return rng.standard_normal(self.shape, np.float32)


TOLERANCE = 1e-4
"""By how much of the largest logit two engines' answers may differ."""

Entry = Timed | NetworkCase
"""Whatever a run can have among its cases."""

BATCHES = (1, 8)

_IMAGE = (3, 224, 224)

# Papers' forms; 227 is the size that the figures of AlexNet's need.
_NETWORKS: tuple[tuple[str, Shape, dict[str, str]], ...] = (
    ("lenet5", (1, 32, 32), {"pooling": "avg"}),
    ("alexnet", (3, 227, 227), {"variant": "paper"}),
    ("vgg16", _IMAGE, {}),
    ("vgg19", _IMAGE, {}),
    ("googlenet", _IMAGE, {"variant": "paper"}),
    ("resnet50", _IMAGE, {}),
    ("squeezenet", _IMAGE, {"variant": "1.0"}),
    ("efficientnet_lite0", _IMAGE, {}),
)


def network_cases(batches: Iterable[int] = BATCHES) -> tuple[NetworkCase, ...]:
    """Every network at every batch, network by network.

    Examples
    --------
    >>> [case.id for case in network_cases([1, 8])][:3]
    ['lenet5 n1', 'lenet5 n8', 'alexnet n1']
    """
    batches = sorted(set(batches))
    return tuple(
        NetworkCase(id=f"{name} n{n}", family=name, n=n, image=image, form=form)
        for name, image, form in _NETWORKS
        for n in batches
    )
