"""`Sequential`: networks of one's own, layer after layer.

Knows the builder of graphs and the descriptions of layers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, SupportsIndex

from fastconv.graph._builder import INPUT, Builder
from fastconv.graph.graph import Graph
from fastconv.graph.layers import Layer

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["Sequential"]


class Sequential(Graph):
    """A network whose layers follow each other, described by the functions of ``graph.layers``.

    Parameters
    ----------
    layers : iterable of Layer
        Such as ``layers.conv(32, 3, activation="relu")``. A layer without a name is named by its
        kind and number: ``conv1``, ``max_pool1``, ``conv2``.
    input_shape : tuple of int
        Of one image, (c, h, w), or of what it may be with other numbers of spatial axes.
    weights : mapping of str to array_like, optional
        Arrays of one floating dtype, which becomes that of the network, named by their layers:
        ``"conv1.weight"``, ``"conv1.bias"``. They must not change any more. A file of them is read
        by `fastconv.models.load_weights`. Without weights they are random.
    seed : int, default 0
        Of the random weights.

    Raises
    ------
    TypeError
        If an argument is of the wrong kind.
    ValueError
        If a layer does not fit what comes before it, or weights are missing, unexpected or of the
        wrong shape or dtype, all of which the message tells.

    See Also
    --------
    Graph : What it is and can do.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph import Sequential, layers
    >>> net = Sequential(
    ...     [
    ...         layers.conv(8, 3, activation="relu"),
    ...         layers.max_pool(2),
    ...         layers.flatten(),
    ...         layers.dense(10),
    ...     ],
    ...     input_shape=(1, 28, 28),
    ... )
    >>> net(np.zeros((5, 1, 28, 28), np.float32)).shape
    (5, 10)
    >>> [(name, array.shape) for name, array in net.constants.items()][2:]
    [('dense1.weight', (10, 1352)), ('dense1.bias', (10,))]
    """

    def __init__(
        self,
        layers: Iterable[Layer],
        *,
        input_shape: Sequence[SupportsIndex],
        weights: Mapping[str, ArrayLike] | None = None,
        seed: int = 0,
    ) -> None:
        net = Builder("sequential", input_shape, weights, seed)
        x = INPUT
        numbers: Counter[str] = Counter()
        names = {INPUT}
        for i, layer in enumerate(layers):
            if not isinstance(layer, Layer):
                raise TypeError(
                    f"layers[{i}] must be made by a function of fastconv.graph.layers, "
                    f"got {type(layer).__name__}"
                )
            numbers[layer.kind] += 1
            name = layer.name or f"{layer.kind}{numbers[layer.kind]}"
            if name in names:
                raise ValueError(f"layers[{i}] is named {name!r} as another value is")
            names.add(name)
            try:
                x = layer.build(net, x, name)
            except (TypeError, ValueError) as error:
                raise type(error)(f"layers[{i}], {name}: {error}") from error
        if x == INPUT:
            raise ValueError("layers must hold at least one layer")
        super().__init__(**net.parts(x))
