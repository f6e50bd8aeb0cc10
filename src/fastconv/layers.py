"""Convolutions with weights that are packed once: `Conv1d`, `Conv2d`, `Conv3d`.

Knows the argument forms, ``_plans``, ``_core`` and how `conv2d` runs a plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, SupportsIndex

import numpy as np

from fastconv import _arguments
from fastconv._arguments import FLOATS, INT64_MAX, Activation, Array, Padding, Pair
from fastconv._core import ConvBase, ConvPlan, Packed
from fastconv._plans import Layer, layer_of, out_shape, plan_for, time_candidates
from fastconv._weights import Weighted, Weights, packing_lock
from fastconv.conv import run
from fastconv.padding import filled

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["Conv1d", "Conv2d", "Conv3d", "Explanation"]


class Explanation(NamedTuple):
    """What a convolution does with an input of a certain shape, and why; print it to read it."""

    algorithm: str
    out_shape: tuple[int, ...]
    #: Floating-point operations, two per multiply-add.
    flops: int
    #: Size of the packed weights.
    packed_bytes: int
    #: Workspace of one thread.
    scratch_bytes: int
    #: Threads that a call from this Python thread would use now.
    threads: int
    blocking: str
    #: The instruction set that the kernels are compiled for.
    level: str
    why: str

    def __str__(self) -> str:
        """Return the explanation as lines of text."""
        return (
            f"algorithm  {self.algorithm} ({self.why})\n"
            f"level      {self.level}, threads: {self.threads}\n"
            f"output     {self.out_shape}\n"
            f"work       {self.flops:,} flops\n"
            f"memory     {self.packed_bytes:,} bytes of packed weights, "
            f"{self.scratch_bytes:,} bytes of workspace a thread\n"
            f"blocking   {self.blocking}"
        )


class _Conv(Weighted, ConvBase):
    """What `Conv1d`, `Conv2d` and `Conv3d` are but for the number of their spatial axes."""

    _axes: ClassVar[int]

    def __init__(
        self,
        weight: ArrayLike,
        bias: ArrayLike | None = None,
        stride: Pair = 1,
        padding: Padding = 0,
        dilation: Pair = 1,
        groups: SupportsIndex = 1,
        *,
        channels_last: bool = False,
        padding_mode: str = "zeros",
        activation: Activation | None = None,
        algorithm: str = "auto",
        input_shape: Sequence[SupportsIndex] | None = None,
        tune: bool = False,
    ) -> None:
        name = f"Conv{self._axes}d"
        if isinstance(weight, (int, np.integer)):
            kernel = ", ".join(("kd", "kh", "kw")[-self._axes :])
            raise TypeError(
                f"{name} takes the weights, an array of shape (k, c/groups, {kernel}), and not "
                f"their sizes as torch.nn.{name} does; got {weight!r}. For new weights, try "
                f"{name}(np.random.default_rng().standard_normal((k, c, {kernel}), np.float32))"
            )
        weight, dtype = _arguments.as_array("weight", weight, FLOATS)
        form = stride, padding, dilation, groups, channels_last, activation, algorithm
        layer = layer_of(weight.shape, self._axes, dtype, *form)
        self._layer, self._filling = filled(layer, padding_mode)
        self._dtype = dtype
        _check_layer(weight.shape, self._layer)
        self._tune = _arguments.flag("tune", tune)
        if self._tune and self._layer.algorithm != "auto":
            raise ValueError(f"tune chooses the algorithm, which {algorithm!r} does already")
        self._timed: dict[tuple[int, ...], dict[str, float]] = {}  # milliseconds by shape
        self._take(weight, bias)
        if input_shape is not None:
            self._prepared("input_shape", self._padded_shape(input_shape), self._weights)

    @property
    def receptive_field(self) -> tuple[int, ...]:
        """What an output sees of each spatial axis of the input, in positions."""
        kernel, dilation = self.weight.shape[2:], self._layer.dilation
        return tuple((k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True))

    def explain(self, input_shape: Sequence[SupportsIndex]) -> Explanation:
        """Tell what a call with an image of the given shape does, without doing it.

        Parameters
        ----------
        input_shape : tuple of int
            Shape of the image.

        Returns
        -------
        Explanation
            Its fields are ``algorithm``, ``out_shape``, ``flops``, ``packed_bytes``,
            ``scratch_bytes`` (of one thread), ``threads``, ``blocking``, ``level`` and ``why``;
            print it to read it.

        Raises
        ------
        TypeError
            If it is not a shape.
        ValueError
            If an image of that shape does not fit.
        MemoryError
            If it would be larger than any memory.

        Examples
        --------
        >>> import numpy as np
        >>> from fastconv import Conv2d
        >>> conv = Conv2d(np.ones((6, 3, 5, 5), np.float32), algorithm="direct")
        >>> told = conv.explain((3, 32, 32))
        >>> told.algorithm, told.out_shape
        ('direct', (6, 28, 28))
        """
        shape = self._padded_shape(input_shape)
        plan = self._plan("input_shape", shape)
        timed = self._timed.get(shape)
        return Explanation(
            plan.algorithm,
            plan.out_shape[-len(shape) :],
            plan.flops,
            plan.packed_bytes,
            plan.scratch_bytes,
            plan.threads,
            plan.blocking,
            plan.level,
            "timed: " + ", ".join(f"{name} {ms:.3g} ms" for name, ms in timed.items())
            if timed
            else plan.why,
        )

    def __repr__(self) -> str:
        layer = self._layer
        return self._describe(
            stride=layer.stride,
            padding=self._filling.pads if self._filling else _arguments.pairs(layer.padding),
            dilation=layer.dilation,
            groups=layer.groups,
            channels_last=layer.channels_last,
            padding_mode=self._filling.mode if self._filling else "zeros",
            activation=_arguments.activation_form(layer.activation),
            algorithm=layer.algorithm,
        )

    def __getstate__(self) -> dict[str, Any]:
        # Timings belong to one CPU as packed weights do.
        return super().__getstate__() | {"_shape": None, "_timed": {}}

    def _general(self, x: ArrayLike, out: Array | None, residual: ArrayLike | None) -> Array:
        """Serve a call that is not exactly like the last one; the base class serves those."""
        weights = self._weights  # read once: update() may replace it at any time
        x, dtype = _arguments.as_array("x", x, FLOATS)
        _arguments.same_dtype("x", dtype, "weight", self._dtype)
        seen = self._filling.apply(x) if self._filling else x
        plan, packed = self._prepared("x", seen.shape, weights)
        return run(plan, packed, seen, dtype, weights.bias, residual, out, {"x": x})

    def _padded_shape(self, input_shape: Sequence[SupportsIndex]) -> tuple[int, ...]:
        shape = _arguments.shape("input_shape", input_shape)
        return self._filling.shape("input_shape", shape) if self._filling else shape

    def _plan(self, name: str, shape: tuple[int, ...]) -> ConvPlan:
        weight = self.weight
        plan = plan_for(name, shape, weight.shape, self._layer)
        if not self._tune or 0 in shape:
            return plan
        with (
            packing_lock()
        ):  # threads that see a shape first at once would disturb each other's times
            if shape not in self._timed:
                self._timed[shape] = time_candidates(plan, name, shape, weight, self._layer)
            timed = self._timed[shape]
        layer = self._layer._replace(algorithm=min(timed, key=timed.__getitem__))
        return plan_for(name, shape, weight.shape, layer)

    def _prepared(
        self, name: str, shape: tuple[int, ...], weights: Weights
    ) -> tuple[ConvPlan, Packed]:
        """Return a plan with the weights packed for it, and make them the fast path."""
        plan = self._plan(name, shape)
        packed = weights.packed_for(plan)
        # What the fast path would take is padded already.
        if shape != self._shape and not self._filling:
            with packing_lock():
                if weights is self._weights:  # else replaced in the meantime
                    self._publish(plan, packed, weights.bias, shape, self._dtype, len(shape))
                    self._shape: tuple[int, ...] | None = shape
        return plan, packed

    def _replace(self, weights: Weights) -> None:
        with packing_lock():
            super()._replace(weights)
            self._shape = None  # of the input that the fast path takes
            self._forget()


class Conv2d(_Conv):
    """A convolution with fixed weights: called with images, it returns their feature maps.

    It copies the weights and packs them, when first needed, into the order in which the kernels
    read them. Calls may come from any number of threads at once, and repeated calls with one shape
    cost little more than their arithmetic. Instances can be pickled and copied.

    Parameters
    ----------
    weight : array_like, (k, c/groups, kh, kw)
        The filters themselves, not their sizes; float16, float32 or float64.
    bias : array_like, (k,), optional
        Added to each output channel; of the dtype of `weight`.
    stride, padding, dilation, groups, channels_last, padding_mode, activation, algorithm
        As for `conv2d`.
    input_shape : tuple of int, optional
        Pack the weights now, for images of this shape, instead of at the first call.
    tune : bool, default False
        Whether to time the likely algorithms, on random images and the threads of that call, when
        a shape is first seen, by `explain` too, and take the fastest instead of the one that
        should be. Another run may then choose another one, whose results differ in the last bits.

    Attributes
    ----------
    weight, bias : ndarray
        Read-only; `update` replaces them.
    parameters : int
        How many numbers they are.
    receptive_field : tuple of int
        What an output sees of each axis of the input, in positions.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `conv2d`; what depends on the image is told by the call.

    See Also
    --------
    conv2d : The same as one function, with the meaning of each argument.

    Notes
    -----
    Call an instance as ``conv(x, *, out=None, residual=None)``, with the arguments of `conv2d`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import Conv2d
    >>> edges = np.array([[[[-1, 1]]]], dtype=np.float32)
    >>> conv = Conv2d(edges, activation="relu")
    >>> x = np.array([[[0, 3, 1], [2, 2, 7]]], dtype=np.float32)
    >>> conv(x)
    array([[[3., 0.],
            [0., 5.]]], dtype=float32)
    >>> y = np.empty((1, 2, 2), np.float32)
    >>> conv(x, out=y) is y
    True
    """

    _axes = 2


class Conv1d(_Conv):
    """A convolution over one axis with fixed weights, as `Conv2d` is over two.

    Parameters
    ----------
    weight : array_like, (k, c/groups, kw)
        The filters themselves, not their sizes.
    bias, stride, padding, dilation, groups, channels_last, padding_mode, activation, algorithm
        As for `conv1d`.
    input_shape, tune
        As for `Conv2d`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `Conv2d`.

    See Also
    --------
    conv1d : The same as one function.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import Conv1d
    >>> conv = Conv1d(np.ones((1, 1, 3), np.float32), padding="same")
    >>> conv(np.array([[1, 2, 4, 8]], dtype=np.float32))
    array([[ 3.,  7., 14., 12.]], dtype=float32)
    >>> conv.parameters, conv.receptive_field
    (3, (3,))
    """

    _axes = 1


class Conv3d(_Conv):
    """A convolution over three axes with fixed weights, as `Conv2d` is over two.

    Parameters
    ----------
    weight : array_like, (k, c/groups, kd, kh, kw)
        The filters themselves, not their sizes.
    bias, stride, padding, dilation, groups, channels_last, padding_mode, activation, algorithm
        As for `conv3d`.
    input_shape, tune
        As for `Conv2d`.

    Raises
    ------
    TypeError, ValueError, MemoryError
        As for `Conv2d`.

    See Also
    --------
    conv3d : The same as one function.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import Conv3d
    >>> conv = Conv3d(np.ones((4, 2, 3, 3, 3), np.float32), np.zeros(4, np.float32))
    >>> conv(np.ones((2, 8, 16, 16), np.float32)).shape
    (4, 6, 14, 14)
    >>> conv.parameters
    220
    """

    _axes = 3


def _check_layer(weight_shape: tuple[int, ...], layer: Layer) -> None:
    """Raise what is wrong with a layer whatever its input, by asking about the smallest one."""
    _, cg, *kernel = weight_shape
    # More channels than an int64 holds come of more groups than weights, which C is to say.
    c = cg * layer.groups if cg * layer.groups <= INT64_MAX else layer.groups
    pads = _arguments.pairs(layer.padding)
    sizes = (
        spread * (taps - 1) + 1 - sum(pad)
        for spread, taps, pad in zip(layer.dilation, kernel, pads, strict=True)
    )
    image = [min(max(size, 1), INT64_MAX) for size in (c, *sizes)]
    if layer.channels_last:
        image.append(image.pop(0))
    try:
        out_shape("x", tuple(image), weight_shape, layer)
    except MemoryError:
        return  # no input is large enough: the call will say what does not fit the one it gets
    if layer.algorithm != "auto":
        plan_for("x", tuple(image), weight_shape, layer)
