"""Softmax, its logarithm, and the loss that is made of it.

Knows the argument forms and numpy only. Largest values are subtracted before exponentials are
taken, so that none overflows; float16 is computed in float32.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Literal, NamedTuple, SupportsIndex

import numpy as np

from fastconv import _arguments
from fastconv._arguments import FLOATS, NUMBERS, Array

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike

__all__ = ["cross_entropy", "log_softmax", "softmax"]


def axis_of(dim: SupportsIndex | None, rank: int) -> int:
    """Return the axis that `dim` names in an array of so many axes; a scalar has one."""
    if dim is None:
        raise TypeError("dim must be given: the axis along which the results add up to 1")
    axis, axes = _arguments.integer("dim", dim), max(rank, 1)
    if not -axes <= axis < axes:
        raise ValueError(f"dim must be from {-axes} to {axes - 1} for {rank} axes, got {axis}")
    return axis % axes


def wide(array: Array, dtype: str) -> Array:
    """Return `array` in the dtype that results of `dtype` are computed in."""
    return np.asarray(array, np.float64 if dtype == "float64" else np.float32)


def shifted(x: Array, axis: int, out: Array | None = None) -> Array:
    """Subtract the greatest value along an axis that is not empty."""
    if out is None:
        out = np.empty(x.shape, x.dtype)  # first: if there is no memory, nothing has to be read
    np.subtract(x, x.max(axis, keepdims=True), out=out)
    return out


def _along(
    x: ArrayLike,
    dim: SupportsIndex | None,
    dtype: DTypeLike | None,
    out: Array | None,
    *,
    logarithm: bool,
) -> Array:
    """Compute softmax or its logarithm."""
    if dtype is None:
        x, name = _arguments.as_array("x", x, FLOATS)
    else:
        x, _ = _arguments.as_array("x", x, NUMBERS)
        name = _float_name(dtype)
    axis = axis_of(dim, x.ndim)
    if out is not None:
        _arguments.check_out(out, x.shape, name, {"x": x}, in_place="x")
    result = _arguments.target(out, x.shape, name, in_one_run=True)
    if x.size:
        with np.errstate(all="ignore"):
            # What is given is rounded to the dtype that is wanted, as a conversion before would do.
            x = wide(x.astype(name, copy=False), name).reshape(x.shape or 1)
            work = result.reshape(x.shape) if name != "float16" else np.empty(x.shape, np.float32)
            shifted(x, axis, out=work)
            if logarithm:
                work -= np.log(np.exp(work).sum(axis, keepdims=True))
            else:
                np.exp(work, out=work)
                work /= work.sum(axis, keepdims=True)
            if name == "float16":
                result[...] = work.reshape(result.shape)
    return _arguments.delivered(result, out)


def _float_name(dtype: DTypeLike) -> str:
    try:
        name = FLOATS.get(np.dtype(dtype))
    except TypeError:
        name = None
    if name is None:
        raise TypeError(f"dtype must be one of {', '.join(FLOATS.values())}, got {dtype!r:.80}")
    return name


def softmax(
    x: ArrayLike,
    /,
    dim: SupportsIndex | None = None,
    *,
    dtype: DTypeLike | None = None,
    out: Array | None = None,
) -> Array:
    """Turn the values along one axis into positive shares of 1: ``exp(x) / sum of exp(x)``.

    Parameters
    ----------
    x : array_like
        Of any shape; float16, float32 or float64, with `dtype` also integers of 8 to 64 bits.
    dim : int
        The axis along which the results add up to 1; negative ones count from the end. It must be
        given: the default is there because ``torch.nn.functional.softmax`` has it, where it
        guesses.
    dtype : dtype_like, optional
        What `x` is converted to at first: float16, float32 or float64.
    out : ndarray, optional
        Where to write the result; any strided view of its shape and dtype. It may be `x` itself,
        but must not overlap it otherwise.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array, of the shape of `x` and its dtype or `dtype`.

    Raises
    ------
    TypeError
        For a dtype that is not supported, masked arrays, and without `dim`.
    ValueError
        For a `dim` and an `out` that do not fit. Nothing has been written then.
    MemoryError
        If there is not enough memory.

    See Also
    --------
    log_softmax : Its logarithm, which keeps small shares apart.
    fastconv.grad.softmax : The gradient.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import softmax
    >>> softmax(np.array([[0, np.log(3)], [1000, 1000]]), dim=1)
    array([[0.25, 0.75],
           [0.5 , 0.5 ]])
    """
    return _along(x, dim, dtype, out, logarithm=False)


def log_softmax(
    x: ArrayLike,
    /,
    dim: SupportsIndex | None = None,
    *,
    dtype: DTypeLike | None = None,
    out: Array | None = None,
) -> Array:
    """Compute the logarithm of `softmax` without rounding small shares to zero.

    Parameters
    ----------
    x : array_like
        Of any shape; float16, float32 or float64, with `dtype` also integers of 8 to 64 bits.
    dim : int
        The axis along which the shares add up to 1, as for `softmax`.
    dtype : dtype_like, optional
        What `x` is converted to at first: float16, float32 or float64.
    out : ndarray, optional
        Where to write the result; any strided view of its shape and dtype. It may be `x` itself,
        but must not overlap it otherwise.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array, of the shape of `x` and its dtype or `dtype`.

    Raises
    ------
    TypeError
        For a dtype that is not supported, masked arrays, and without `dim`.
    ValueError
        For a `dim` and an `out` that do not fit. Nothing has been written then.
    MemoryError
        If there is not enough memory.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import log_softmax
    >>> log_softmax(np.array([0.0, 1000.0]), dim=0)
    array([-1000.,     0.])
    """
    return _along(x, dim, dtype, out, logarithm=True)


class Loss(NamedTuple):
    """The arguments of `cross_entropy` in normal form: n samples, c classes, p pixels.

    Every pixel weighs the classes: ``- sum over classes of share * weight * log_softmax`` is its
    loss, share being 1 for the class of the target and 0 for others, or the target's own, each
    pulled towards ``1 / c`` by smoothing.
    """

    logits: Array  # (n, c, p), wide
    classes: Array | None  # (n, p), int64; 0 where they do not count
    counted: Array | None  # (n, p), bool: which classes do; None for all
    shares: Array | None  # (n, c, p), wide: instead of classes
    weight: Array | None  # (c,), wide
    smoothing: float
    divisor: float | None  # of the sum over all pixels; None: they are not summed
    shape: tuple[int, ...]  # of the result before that
    dtype: str

    def class_weights(self) -> Array:
        """Return the weight of the class of every pixel, (n, p), 0 where it does not count."""
        assert self.classes is not None
        weights = (
            np.ones(self.classes.shape, self.logits.dtype)
            if self.weight is None
            else self.weight[self.classes]
        )
        return weights if self.counted is None else np.where(self.counted, weights, 0)

    def divided_by(self) -> np.float64:
        """Return the divisor of a mean: NaN where that would be 0, whatever is divided."""
        assert self.divisor is not None
        return np.float64(self.divisor or np.nan)

    def smoothed(self) -> Array:
        """Return what smoothing adds to share times weight of all classes, (n, c, p) or alike."""
        c = self.logits.shape[1]
        even = np.full(c, self.smoothing / c, self.logits.dtype)
        if self.weight is not None:
            even *= self.weight
        even = even[:, np.newaxis]
        return even if self.counted is None else np.where(self.counted[:, np.newaxis], even, 0)

    def weighed_shares(self) -> Array:
        """Return share times weight of all classes, (n, c, p), of a target of shares."""
        assert self.shares is not None
        shares = self.shares
        if self.smoothing:
            shares = shares * (1 - self.smoothing) + self.smoothing / max(self.shares.shape[1], 1)
        return shares if self.weight is None else shares * self.weight[:, np.newaxis]


def loss_of(
    x: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike | None,
    ignore_index: SupportsIndex,
    reduction: Literal["none", "mean", "sum"],
    label_smoothing: float,
) -> Loss:
    """Check the arguments of `cross_entropy` and bring them into normal form."""
    x, dtype = _arguments.as_array("x", x, FLOATS)
    if not x.ndim:
        raise ValueError("x must have the axes (c), (n, c) or (n, c, ...), got a scalar")
    batched = x.ndim > 1
    n, c = x.shape[:2] if batched else (1, x.shape[0])
    plane = x.shape[2:]
    spread = (n, *plane) if batched else ()
    p = prod(plane)
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f'reduction must be "none", "mean" or "sum", got {reduction!r:.80}')
    ignored = _arguments.integer("ignore_index", ignore_index)
    smoothing = _arguments.real("label_smoothing", label_smoothing)
    if not 0 <= smoothing <= 1:
        raise ValueError(f"label_smoothing must be from 0 to 1, got {smoothing}")
    if weight is not None:
        weight = wide(_arguments.operand("weight", weight, (c,), dtype), dtype)

    target, kind = _arguments.as_array("target", target, NUMBERS)
    logits = wide(x, dtype).reshape(n, c, p)
    total = float(n * p) if c else 0.0
    if kind in FLOATS.values():
        _arguments.same_dtype("target", kind, "x", dtype)
        if target.shape != x.shape:
            raise ValueError(
                f"target has shape {target.shape}, class probabilities must have that of x, "
                f"{x.shape}"
            )
        if ignored != -100:
            raise ValueError(f"ignore_index is for class indices alone, got {ignored}")
        shares = wide(target, dtype).reshape(n, c, p)
        loss = Loss(logits, None, None, shares, weight, smoothing, None, spread, dtype)
    else:
        classes, valid = _classes(target, spread, c, ignored)
        counted = None if valid.all() else valid.reshape(n, p)
        loss = Loss(
            logits, classes.reshape(n, p), counted, None, weight, smoothing, None, spread, dtype
        )
        if reduction == "mean" and c:
            if weight is not None:
                total = float(loss.class_weights().sum(dtype=np.float64))
            elif counted is not None:
                total = float(np.count_nonzero(counted))
    divisor = {"none": None, "sum": 1.0, "mean": total}[reduction]
    return loss._replace(divisor=divisor)


def _classes(
    target: Array, shape: tuple[int, ...], count: int, ignored: int
) -> tuple[Array, Array]:
    """Return the class of every pixel, 0 for ignored ones, and which are not ignored."""
    if target.shape != shape and (shape, target.shape) != ((), (1,)):
        raise ValueError(f"target has shape {target.shape}, class indices must have {shape}")
    counted: Array = np.asarray(target != ignored)
    outside = counted & ((target < 0) | (target >= count))
    if outside.any():
        raise ValueError(
            f"target must hold classes from 0 to {count - 1} or ignore_index {ignored}, "
            f"got {target[outside].flat[0]}"
        )
    return np.where(counted, target, 0).astype(np.int64), counted


def cross_entropy(
    x: ArrayLike,
    /,
    target: ArrayLike,
    weight: ArrayLike | None = None,
    *,
    ignore_index: SupportsIndex = -100,
    reduction: Literal["none", "mean", "sum"] = "mean",
    label_smoothing: float = 0.0,
    out: Array | None = None,
) -> Array:
    """Compute the loss of a classification from scores before softmax.

    Parameters
    ----------
    x : array_like, (c,), (n, c) or (n, c, ...)
        The scores of each class; float16, float32 or float64.
    target : array_like
        The class of every sample, or of each of its pixels: integers, (), (n,) or (n, ...). Or
        the probabilities of all classes, of the shape and dtype of `x`.
    weight : array_like, (c,), optional
        Of each class, in the dtype of `x`; 1 by default.
    ignore_index : int, default -100
        The class that stands for none: where it is, the loss is 0. Not for probabilities.
    reduction : {"none", "mean", "sum"}, default "mean"
        What to do with the losses. With class indices the mean is divided by the sum of their
        weights, ignored ones left out; it is NaN where that is 0.
    label_smoothing : float, default 0
        From 0 to 1: how much of the probabilities is spread evenly over all classes.
    out : ndarray, optional
        Where to write the result; any strided view of its shape and dtype that does not overlap
        `x`, `target` or `weight`.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array, of the dtype of `x` and without axes; with reduction
        "none" of the shape of `x` without its classes.

    Raises
    ------
    TypeError
        For dtypes that are not supported or do not go together, and masked arrays.
    ValueError
        For shapes, values and an `out` that do not fit, a class that does not exist among them.
        Nothing has been written then.
    MemoryError
        If there is not enough memory.

    See Also
    --------
    fastconv.grad.cross_entropy : The gradient.

    Notes
    -----
    As ``torch.nn.functional.cross_entropy``, whose positional arguments are those up to `weight`:
    after them it has two that are deprecated and left out here, so that the rest is given by name.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import cross_entropy
    >>> x = np.log([[1, 3], [2, 2], [7, 1]])
    >>> cross_entropy(x, [0, 1, -100], reduction="none").round(6)
    array([1.386294, 0.693147, 0.      ])
    >>> round(cross_entropy(x, [[0, 1], [0.5, 0.5], [1, 0]]).item(), 6)
    0.371454
    """
    loss = loss_of(x, target, weight, ignore_index, reduction, label_smoothing)
    shape = loss.shape if loss.divisor is None else ()
    if out is not None:
        _arguments.check_out(
            out, shape, loss.dtype, _arguments.arrays_of(x=x, target=target, weight=weight)
        )
    with np.errstate(all="ignore"):
        losses = _losses(loss)
        if loss.divisor is not None:
            losses = losses.sum(dtype=np.float64) / loss.divided_by()
        result: Array = np.asarray(losses).reshape(shape).astype(loss.dtype)
    return _arguments.delivered(result, out)


def _losses(loss: Loss) -> Array:
    """Return the loss of every pixel, (n, p), wide."""
    n, _, p = loss.logits.shape
    if not loss.logits.size:
        return np.zeros((n, p), loss.logits.dtype)
    scores = shifted(loss.logits, 1)
    logarithm = np.log(np.exp(scores).sum(1))
    if loss.shares is not None:
        scores -= logarithm[:, np.newaxis]
        scores *= loss.weighed_shares()
        losses: Array = scores.sum(1)
        return np.negative(losses, out=losses)
    assert loss.classes is not None
    picked = np.take_along_axis(scores, loss.classes[:, np.newaxis], 1)[:, 0]
    losses = np.subtract(logarithm, picked)
    weights = loss.class_weights()
    losses *= weights
    if loss.smoothing:
        scores -= logarithm[:, np.newaxis]
        scores *= loss.smoothed()
        losses *= 1 - loss.smoothing
        losses -= scores.sum(1)
    return losses if loss.counted is None else np.where(loss.counted, losses, 0)
