"""Objects with fixed weights: the copy of what the caller gave, and what is packed from it.

Knows the argument forms and ``_core``.
"""

from __future__ import annotations

import copyreg
import os
import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from fastconv import _arguments
from fastconv._arguments import FLOATS, Array
from fastconv._core import ConvPlan, Packed

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class Weights(NamedTuple):
    """Weights with what was packed from them; replaced as one, never changed."""

    weight: Array
    bias: Array | None
    packed: dict[int, Packed]

    def packed_for(self, plan: ConvPlan) -> Packed:
        """Return the weights as a plan takes them, packed now or before."""
        packed = self.packed.get(plan.packing)
        if packed is None:
            with packing_lock():
                packed = self.packed.get(plan.packing)
                if packed is None:
                    packed = self.packed[plan.packing] = plan.pack(self.weight)
        return packed


# Packing happens once a layer, so one lock serves all of them; it is held by no call that finds its
# weights packed. Re-entrant, for a signal handler may convolve while its thread packs.
_packing = threading.RLock()


def packing_lock() -> threading.RLock:
    """Return the lock under which weights are packed and replaced."""
    return _packing


def _renew_lock() -> None:
    global _packing
    _packing = threading.RLock()


# The thread that held the lock does not live on in a forked child.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


class Weighted:
    """What objects with fixed weights share: these, their number, their replacement, pickling.

    A class of them sets its own attributes first, then calls `_take`.
    """

    _dtype: str
    _weights: Weights

    def _outputs(self, weight_shape: tuple[int, ...]) -> int:
        """Return the number of output channels, which is that of the biases."""
        return weight_shape[0]

    def _replace(self, weights: Weights) -> None:
        self._weights = weights

    def _take(self, weight: Array, bias: ArrayLike | None) -> None:
        """Copy weights and bias, which belong to the caller, and use them from now on."""
        if bias is not None:
            shape = (self._outputs(weight.shape),)
            bias = _arguments.operand("bias", bias, shape, self._dtype, "weight")
            bias = _arguments.private(bias)
        self._replace(Weights(_arguments.private(weight), bias, {}))

    @property
    def weight(self) -> Array:
        """The weights, read-only; `update` replaces them."""
        return self._weights.weight

    @property
    def bias(self) -> Array | None:
        """The bias of each output channel, read-only, or None; `update` replaces it."""
        return self._weights.bias

    @property
    def parameters(self) -> int:
        """The number of parameters: weights and biases."""
        return self.weight.size + (0 if self.bias is None else self.bias.size)

    def update(self, weight: ArrayLike, bias: ArrayLike | None = None) -> None:
        """Replace the weights and the bias.

        A call that another thread has begun ends with the old ones.

        Parameters
        ----------
        weight : array_like
            Of the shape and dtype of the weights until now.
        bias : array_like, optional
            The new bias; without it there is none from now on.

        Raises
        ------
        TypeError, ValueError
            If the weights or the bias do not fit; nothing has changed then.

        Examples
        --------
        >>> import numpy as np
        >>> from fastconv import Conv2d
        >>> conv = Conv2d(np.ones((1, 1, 1, 1)))
        >>> conv.update([[[[2.0]]]], [1.0])
        >>> conv([[[1.0, 2.0, 3.0]]])
        array([[[3., 5., 7.]]])
        """
        weight, dtype = _arguments.as_array("weight", weight, FLOATS)
        _arguments.same_dtype("weight", dtype, f"this {type(self).__name__}", self._dtype)
        if weight.shape != self.weight.shape:
            raise ValueError(f"weight has shape {weight.shape}, it must be {self.weight.shape}")
        self._take(weight, bias)

    def _describe(self, **form: object) -> str:
        """Return a repr that shows arrays by dtype and shape, and `form` after them."""
        weight, bias, _ = self._weights  # read once: update() may replace it at any time
        shown = None if bias is None else f"<{self._dtype} {bias.shape}>"
        rest = "".join(f", {name}={value!r}" for name, value in form.items())
        return f"{type(self).__name__}(weight=<{self._dtype} {weight.shape}>, bias={shown}{rest})"

    # Packed weights belong to one process and one CPU: a pickle holds none.

    def __reduce__(self) -> tuple[Any, ...]:
        return copyreg.__newobj__, (type(self),), self.__getstate__()  # type: ignore[attr-defined]

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_weights": self._weights[:2]}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._take(*state["_weights"])
