"""Two-dimensional convolution: `conv2d` for one call, `Conv2d` for many with the same weights.

Knows the argument forms, ``_plans`` and ``_core``; every rule of geometry and every choice of
algorithm is made there, by the plan.
"""

from __future__ import annotations

import copyreg
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, SupportsIndex

import numpy as np

from fastconv import _arguments
from fastconv._arguments import FLOATS, INT64_MAX, Activation, Array, Padding, Pair
from fastconv._core import Conv2dBase, ConvPlan, Packed
from fastconv._plans import Layer, layer_of, out_shape, plan_for, time_candidates

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["Conv2d", "Explanation", "conv2d"]


def conv2d(
    x: ArrayLike,
    /,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Pair = 1,
    padding: Padding = 0,
    dilation: Pair = 1,
    groups: SupportsIndex = 1,
    *,
    channels_last: bool = False,
    activation: Activation | None = None,
    residual: ArrayLike | None = None,
    out: Array | None = None,
    algorithm: str = "auto",
) -> Array:
    """Convolve images with filters (cross-correlation, as neural networks mean it).

    ``y[n, k, i, j] = bias[k] + sum(x[n, c, i*sh + p*dh, j*sw + q*dw] * weight[k, c, p, q])`` over
    the channels c of k's group and the positions (p, q) of the window, on the padded input.
    Weights that serve many calls are better kept in a `Conv2d`, which packs them once.

    Parameters
    ----------
    x : array_like, (n, c, h, w) or (c, h, w)
        The images; (n, h, w, c) or (h, w, c) with `channels_last`. float16, float32 or float64,
        of any strides and byte order. float16 is computed in float32 and rounded once.
    weight : array_like, (k, c/groups, kh, kw)
        The filters, in this order in both layouts, of the dtype of `x`.
    bias : array_like, (k,), optional
        Added to each output channel.
    stride : int or (int, int), default 1
        Step of the window along height and width.
    padding : int, (int, int), nested pairs, "same" or "valid", default 0
        Zeros around the input: the same on both sides of an axis, or ``((top, bottom), (left,
        right))``. "valid" is none. "same" keeps the size, for stride 1; where the two sides
        differ, the odd zero comes at the end.
    dilation : int or (int, int), default 1
        Distance between the positions of the window.
    groups : int, default 1
        Number of groups into which the channels of input and output are split; each group of
        outputs sees its own group of inputs.
    channels_last : bool, default False
        Whether `x`, `residual` and the result have their channels in the last axis.
    activation : str or tuple, optional
        Applied to the result: "relu", "relu6", "sigmoid", "tanh", "silu", "hardswish",
        ``("leaky_relu", slope)`` or ``("clip", lo, hi)``.
    residual : array_like, optional
        Added before the activation; of the shape and dtype of the result.
    out : ndarray, optional
        Where to write the result; any strided view of its shape and dtype. It may be `residual`
        itself, but must not overlap any other input.
    algorithm : str, default "auto"
        "direct", "im2col", "pointwise", "depthwise", "winograd_f43", "winograd_f23" or
        "winograd_f25" forces one, "winograd" the best of the last three; "auto" takes the one that
        should be fastest, the packing of the weights included.

    Returns
    -------
    ndarray, (n, k, oh, ow) or (k, oh, ow)
        `out`, or a new C-contiguous array; (n, oh, ow, k) or (oh, ow, k) with `channels_last`.

    Raises
    ------
    TypeError
        For a dtype that is not supported, mixed dtypes, masked arrays, and arguments of the wrong
        kind.
    ValueError
        For shapes, values and an `out` that do not fit, and for an `algorithm` that cannot serve.
        Nothing has been written then.
    MemoryError
        If there is not enough memory.

    See Also
    --------
    Conv2d : The same with weights that are packed once.
    conv_output_shape : The shape of the result.

    Notes
    -----
    Names, order and meaning of the arguments are those of ``torch.nn.functional.conv2d``; those
    after `groups` are extensions. The same input gives the same bits for any number of threads.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import conv2d
    >>> x = np.arange(16, dtype=np.float32).reshape(1, 4, 4)
    >>> laplace = np.array([[[[0, 1, 0], [1, -4, 1], [0, 1, 0]]]], dtype=np.float32)
    >>> conv2d(x, laplace)
    array([[[0., 0.],
            [0., 0.]]], dtype=float32)
    >>> conv2d(x, laplace, padding="same", activation="relu")
    array([[[5., 3., 2., 0.],
            [0., 0., 0., 0.],
            [0., 0., 0., 0.],
            [0., 0., 0., 0.]]], dtype=float32)
    """
    x, dtype = _arguments.as_array("x", x, FLOATS)
    weight, own = _arguments.as_array("weight", weight, FLOATS)
    _arguments.same_dtype("weight", own, "x", dtype)
    layer = layer_of(
        weight.shape, dtype, stride, padding, dilation, groups, channels_last, activation, algorithm
    )
    plan = plan_for("x", x.shape, weight.shape, layer, one_shot=True)
    if bias is not None:
        bias = _arguments.operand("bias", bias, weight.shape[:1], dtype)
    return _run(
        plan,
        lambda: plan.pack(_arguments.contiguous(weight)),
        x,
        dtype,
        bias,
        residual,
        out,
        {"weight": weight, "bias": bias},
    )


def _run(
    plan: ConvPlan,
    pack: Callable[[], Packed],
    x: Array,
    dtype: str,
    bias: Array | None,
    residual: ArrayLike | None,
    out: Array | None,
    inputs: Mapping[str, Array | None],
) -> Array:
    """Run `plan`; `inputs` are those beside x and residual that `out` must not overlap.

    `pack` is called last, when every other memory has been had.
    """
    shape = plan.out_shape[-x.ndim :]
    if residual is not None:
        residual = _arguments.operand("residual", residual, shape, dtype)
    if out is not None:
        inputs = {"x": x, "residual": residual, **inputs}
        _arguments.check_out(out, shape, dtype, inputs, in_place="residual")
    result = _arguments.target(out, shape, dtype)
    if result.size:  # an empty batch has no rows to speak of
        x = _arguments.rows(x)
        plan.run(
            x,
            pack(),
            None if bias is None else _arguments.contiguous(bias),
            None if residual is None else _arguments.rows(residual),
            result,
        )
    return _arguments.delivered(result, out)


class Explanation(NamedTuple):
    """What a `Conv2d` does with an input of a certain shape, and why; print it to read it."""

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


class _Weights(NamedTuple):
    """A `Conv2d`'s weights with what was packed from them; replaced as one, never changed."""

    weight: Array
    bias: Array | None
    packed: dict[Any, Packed]


# Packing happens once a layer, so one lock serves all of them; it is held by no call that finds its
# weights packed. Re-entrant, for a signal handler may convolve while its thread packs.
_packing = threading.RLock()


def _renew_lock() -> None:
    global _packing
    _packing = threading.RLock()


# The thread that held the lock does not live on in a forked child.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


class Conv2d(Conv2dBase):
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
    stride, padding, dilation, groups, channels_last, activation, algorithm
        As for `conv2d`.
    input_shape : tuple of int, optional
        Pack the weights now, for images of this shape, instead of at the first call.
    tune : bool, default False
        Whether to time the likely algorithms, on random images and the threads of that call, when
        a shape is first seen, by `explain` too, and take the fastest instead of the one that
        should be. Another run may then choose another one, whose results differ in the last bits.

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
        activation: Activation | None = None,
        algorithm: str = "auto",
        input_shape: Sequence[SupportsIndex] | None = None,
        tune: bool = False,
    ) -> None:
        if isinstance(weight, (int, np.integer)):
            raise TypeError(
                f"Conv2d takes the weights, an array of shape (k, c/groups, kh, kw), and not their "
                f"sizes as torch.nn.Conv2d does; got {weight!r}. For new weights, try "
                f"Conv2d(np.random.default_rng().standard_normal((k, c, kh, kw), np.float32))"
            )
        weight, dtype = _arguments.as_array("weight", weight, FLOATS)
        self._layer = layer_of(
            weight.shape,
            dtype,
            stride,
            padding,
            dilation,
            groups,
            channels_last,
            activation,
            algorithm,
        )
        _check_layer(weight.shape, self._layer)
        self._tune = _arguments.flag("tune", tune)
        if self._tune and self._layer.algorithm != "auto":
            raise ValueError(f"tune chooses the algorithm, which {algorithm!r} does already")
        self._timed: dict[tuple[int, ...], dict[str, float]] = {}  # milliseconds by shape
        self._replace(_weights(weight, bias, dtype))
        if input_shape is not None:
            shape = _arguments.shape("input_shape", input_shape)
            self._prepared("input_shape", shape, self._weights)

    @property
    def weight(self) -> Array:
        """The weights, (k, c/groups, kh, kw), read-only; `update` replaces them."""
        return self._weights.weight

    @property
    def bias(self) -> Array | None:
        """The bias, (k,), read-only, or None; `update` replaces it."""
        return self._weights.bias

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
        _arguments.same_dtype("weight", dtype, "this Conv2d", self._layer.dtype)
        if weight.shape != self.weight.shape:
            raise ValueError(f"weight has shape {weight.shape}, it must be {self.weight.shape}")
        self._replace(_weights(weight, bias, dtype))

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
        shape = _arguments.shape("input_shape", input_shape)
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
        top, bottom, left, right = layer.padding
        weight, bias, _ = self._weights  # read once: update() may replace it at any time
        shown = None if bias is None else f"<{layer.dtype} {bias.shape}>"
        return (
            f"{type(self).__name__}(weight=<{layer.dtype} {weight.shape}>, bias={shown}, "
            f"stride={layer.stride}, padding={((top, bottom), (left, right))}, "
            f"dilation={layer.dilation}, groups={layer.groups}, "
            f"channels_last={layer.channels_last}, "
            f"activation={_arguments.activation_form(layer.activation)!r}, "
            f"algorithm={layer.algorithm!r})"
        )

    # Packed weights and timings belong to one process and one CPU: a pickle holds neither.

    def __reduce__(self) -> tuple[Any, ...]:
        return copyreg.__newobj__, (type(self),), self.__getstate__()  # type: ignore[attr-defined]

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_weights": self._weights[:2], "_shape": None, "_timed": {}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        weight, bias = state["_weights"]
        self._replace(_weights(weight, bias, self._layer.dtype))

    def _general(self, x: ArrayLike, out: Array | None, residual: ArrayLike | None) -> Array:
        """Serve a call that is not exactly like the last one; the base class serves those."""
        weights = self._weights  # read once: update() may replace it at any time
        x, dtype = _arguments.as_array("x", x, FLOATS)
        _arguments.same_dtype("x", dtype, "weight", self._layer.dtype)
        plan, packed = self._prepared("x", x.shape, weights)
        return _run(plan, lambda: packed, x, dtype, weights.bias, residual, out, {})

    def _plan(self, name: str, shape: tuple[int, ...]) -> ConvPlan:
        weight = self.weight
        plan = plan_for(name, shape, weight.shape, self._layer)
        if not self._tune or 0 in shape:
            return plan
        with _packing:  # threads that see a shape first at once would disturb each other's times
            if shape not in self._timed:
                self._timed[shape] = time_candidates(plan, name, shape, weight, self._layer)
            timed = self._timed[shape]
        layer = self._layer._replace(algorithm=min(timed, key=timed.__getitem__))
        return plan_for(name, shape, weight.shape, layer)

    def _prepared(
        self, name: str, shape: tuple[int, ...], weights: _Weights
    ) -> tuple[ConvPlan, Packed]:
        """Return a plan with the weights packed for it, and make them the fast path."""
        plan = self._plan(name, shape)
        packed = weights.packed.get(plan.packing)
        if packed is None or shape != self._shape:
            with _packing:
                packed = weights.packed.get(plan.packing)
                if packed is None:
                    packed = weights.packed[plan.packing] = plan.pack(weights.weight)
                if weights is self._weights:  # else replaced in the meantime
                    self._publish(plan, packed, weights.bias, shape, self._layer.dtype, len(shape))
                    self._shape: tuple[int, ...] | None = shape
        return plan, packed

    def _replace(self, weights: _Weights) -> None:
        with _packing:
            self._weights = weights
            self._shape = None  # of the input that the fast path takes
            self._forget()


def _weights(weight: Array, bias: ArrayLike | None, dtype: str) -> _Weights:
    """Copy weights and bias, which belong to the caller."""
    if bias is not None:
        bias = _arguments.operand("bias", bias, weight.shape[:1], dtype, "weight")
        bias = _arguments.private(bias)
    return _Weights(_arguments.private(weight), bias, {})


def _check_layer(weight_shape: tuple[int, ...], layer: Layer) -> None:
    """Raise what is wrong with a layer whatever its input, by asking about the smallest one."""
    _, cg, kh, kw = weight_shape
    top, bottom, left, right = layer.padding
    # More channels than an int64 holds come of more groups than weights, which C is to say.
    c = cg * layer.groups if cg * layer.groups <= INT64_MAX else layer.groups
    h = layer.dilation[0] * (kh - 1) + 1 - top - bottom
    w = layer.dilation[1] * (kw - 1) + 1 - left - right
    image = [min(max(size, 1), INT64_MAX) for size in (c, h, w)]
    if layer.channels_last:
        image.append(image.pop(0))
    try:
        out_shape("x", tuple(image), weight_shape, layer)
    except MemoryError:
        return  # no input is large enough: the call will say what does not fit the one it gets
    if layer.algorithm != "auto":
        plan_for("x", tuple(image), weight_shape, layer)
