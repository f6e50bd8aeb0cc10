"""Normalisation: of each channel by its statistics, and of each pixel by its neighbour channels.

Knows the argument forms, ``_core`` and pooling, which sums over neighbour channels.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, NamedTuple, SupportsIndex

import numpy as np

from fastconv import _arguments
from fastconv._arguments import FLOATS, Array
from fastconv._core import response_norm, scale
from fastconv.avg_pool import avg_pool2d

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["batch_norm", "local_response_norm"]


class Channels(NamedTuple):
    """What batch normalisation does to each channel, in float64."""

    mean: Array
    inverse_deviation: Array
    weight: Array
    bias: Array


def channels_of(
    shape: tuple[int, ...],
    dtype: str,
    running_mean: ArrayLike | None,
    running_var: ArrayLike | None,
    weight: ArrayLike | None,
    bias: ArrayLike | None,
    eps: float,
) -> Channels:
    """Check the arguments of `batch_norm` beside `x`, which has the given shape and dtype."""
    if len(shape) < 2:
        raise ValueError(f"x must have the axes (n, c, ...), got shape {shape}")
    eps = _arguments.real("eps", eps)
    if eps < 0:
        raise ValueError(f"eps must not be negative, got {eps}")

    def wide(name: str, value: ArrayLike | None, default: float | None = None) -> Array:
        if value is None:
            if default is None:
                raise ValueError(f"{name} must be given: there is no training mode")
            return np.full(shape[1], default, np.float64)
        array, own = _arguments.as_array(name, value, FLOATS)
        if (own, dtype) != ("float32", "float16"):  # the usual parameters of half-precision data
            _arguments.same_dtype(name, own, "x", dtype)
        if array.shape != shape[1:2]:
            raise ValueError(f"{name} has shape {array.shape}, it must be {shape[1:2]}")
        return array.astype(np.float64)

    mean, variance = wide("running_mean", running_mean), wide("running_var", running_var)
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse_deviation = 1 / np.sqrt(variance + eps)
    return Channels(mean, inverse_deviation, wide("weight", weight, 1), wide("bias", bias, 0))


def scaled(x: Array, factor: Array, shift: Array, result: Array) -> None:
    """Write ``x * factor + shift``, one number for each channel, to a contiguous array."""
    n, c, *plane = x.shape
    pixels = prod(plane)
    if pixels > 1:
        form = n, c, pixels
        scale(_arguments.contiguous(x).reshape(form), factor, shift, result.reshape(form))
    else:  # the kernel takes a plane at a time
        wide = np.float64 if x.dtype == np.float64 else np.float32
        work = result if result.dtype == wide else np.empty(x.shape, wide)
        form = c, *(1,) * len(plane)
        np.multiply(x, factor.astype(wide).reshape(form), out=work)
        work += shift.astype(wide).reshape(form)
        if work is not result:
            result[...] = work


def batch_norm(
    x: ArrayLike,
    /,
    running_mean: ArrayLike,
    running_var: ArrayLike,
    weight: ArrayLike | None = None,
    bias: ArrayLike | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    *,
    out: Array | None = None,
) -> Array:
    """Normalise each channel by a given mean and variance, as batch normalisation infers.

    ``y = (x - running_mean) / sqrt(running_var + eps) * weight + bias``

    Parameters
    ----------
    x : array_like, (n, c, ...)
        Two axes or more; float16, float32 or float64.
    running_mean, running_var : array_like, (c,)
        Of the dtype of `x`, or float32 for a float16 `x`; so are weight and bias.
    weight, bias : array_like, (c,), optional
        Scale and shift of the normalised channels; 1 and 0 by default.
    training : bool, default False
        Only False is served: the statistics are given, never taken from `x`.
    momentum : float, default 0.1
        Of no effect; it stands where ``torch.nn.functional.batch_norm`` has it.
    eps : float, default 1e-5
        Added to the variance; not negative.
    out : ndarray, optional
        Where to write the result; any strided view of the shape and dtype of `x`. It may be `x`
        itself, but must not overlap it or another argument otherwise.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array, of the shape and dtype of `x`.

    Raises
    ------
    TypeError
        For dtypes that are not supported or do not go together, and masked arrays.
    ValueError
        For ``training=True``, shapes, an `eps` and an `out` that do not fit. Nothing has been
        written then.
    MemoryError
        If there is not enough memory.

    Notes
    -----
    Scale and shift of each channel are worked out in float64 and rounded to the dtype that is
    computed in, so that an element takes one multiply-add. After a convolution they can be folded
    into its weights, and cost nothing.

    References
    ----------
    S. Ioffe, C. Szegedy, "Batch normalization: accelerating deep network training by reducing
    internal covariate shift", 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import batch_norm
    >>> x = np.array([[[1, 3], [5, 8]]], dtype=np.float32)
    >>> mean, var = np.array([1, 5], np.float32), np.array([4, 9], np.float32)
    >>> batch_norm(x, mean, var, eps=0).round(6)
    array([[[0., 1.],
            [0., 1.]]], dtype=float32)
    """
    x, dtype = _arguments.as_array("x", x, FLOATS)
    if _arguments.flag("training", training):
        raise ValueError("training must be False: statistics are not taken from x, got True")
    _arguments.real("momentum", momentum)
    mean, inverse_deviation, gain, shift = channels_of(
        x.shape, dtype, running_mean, running_var, weight, bias, eps
    )
    if out is not None:
        given = _arguments.arrays_of(
            x=x, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias
        )
        _arguments.check_out(out, x.shape, dtype, given, in_place="x")
    with np.errstate(over="ignore", invalid="ignore"):
        factor = inverse_deviation * gain
        shift -= mean * factor
    result = _arguments.target(out, x.shape, dtype, in_one_run=True)
    scaled(x, factor, shift, result)
    return _arguments.delivered(result, out)


def averaged_over_channels(x: Array, size: int, before: int) -> Array:
    """Return the sums of `size` channels, the first one `before` places back, divided by `size`.

    What lies outside of the channels counts as zero.
    """
    n, c, *plane = x.shape
    # Beyond all channels there is nothing to add.
    first, last = min(before, c - 1), min(size - 1 - before, c - 1)
    averages = avg_pool2d(
        x.reshape(n, 1, c, prod(plane)),
        (first + 1 + last, 1),
        stride=1,
        padding=((first, last), (0, 0)),
        divisor_override=size,
    )
    return averages.reshape(x.shape)


class Response(NamedTuple):
    """The arguments of `local_response_norm` in normal form."""

    size: int
    alpha: float
    beta: float
    k: float


def response_of(
    shape: tuple[int, ...], size: SupportsIndex, alpha: float, beta: float, k: float
) -> Response:
    """Check the arguments of `local_response_norm` for an input of the given shape."""
    if len(shape) < 3:
        raise ValueError(f"x must have the axes (n, c, ...), three or more, got shape {shape}")
    return Response(
        _arguments.positive("size", size),
        _arguments.real("alpha", alpha),
        _arguments.real("beta", beta),
        _arguments.real("k", k),
    )


def response_served(form: Response, dtype: str) -> bool:
    """Whether the kernel serves: its powers are roots, its elements no float16."""
    return form.beta in (0.5, 0.75, 1) and dtype != "float16"


def bases_of(x: Array, form: Response) -> Array:
    """Return what is raised to the power of beta; `x` is contiguous, float32 or float64."""
    bases = averaged_over_channels(np.square(x), form.size, form.size // 2)
    bases *= form.alpha
    bases += form.k
    return bases


def raised(bases: Array, exponent: float, out: Array | None = None) -> Array:
    """Return ``bases ** exponent``; the usual exponent costs two square roots and no power."""
    if exponent == 0.75:
        roots = np.sqrt(bases)
        bases = np.sqrt(roots, out=out)
        return np.multiply(bases, roots, out=bases)
    return np.power(bases, exponent, out=out)


def local_response_norm(
    x: ArrayLike,
    /,
    size: SupportsIndex,
    alpha: float = 1e-4,
    beta: float = 0.75,
    k: float = 1.0,
    *,
    out: Array | None = None,
) -> Array:
    """Divide each element by a power of the energy of its neighbour channels.

    ``y = x / (k + alpha / size * sum of x**2) ** beta``, the sum going over the channels from
    ``c - size // 2`` to ``c + (size - 1) // 2`` of the same pixel; outside of the channels are
    zeros.

    Parameters
    ----------
    x : array_like, (n, c, ...)
        Three axes or more; float16, float32 or float64.
    size : int
        How many channels are summed, at least 1.
    alpha, beta, k : float
        Factor of the average, exponent, and what is added; 1e-4, 0.75 and 1 by default.
    out : ndarray, optional
        Where to write the result; any strided view of the shape and dtype of `x`. It may be `x`
        itself, but must not overlap it otherwise.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array, of the shape and dtype of `x`.

    Raises
    ------
    TypeError
        For a dtype that is not supported, masked arrays, and arguments of the wrong kind.
    ValueError
        For shapes, a `size` and an `out` that do not fit. Nothing has been written then.
    MemoryError
        If there is not enough memory.

    Notes
    -----
    Names, order and meaning of the arguments are those of
    ``torch.nn.functional.local_response_norm``.

    References
    ----------
    A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet classification with deep convolutional neural
    networks", 2012.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import local_response_norm
    >>> x = np.array([[[3.0], [4.0], [0.0]]])
    >>> local_response_norm(x, 2, alpha=2, beta=0.5, k=0)
    array([[[1. ],
            [0.8],
            [0. ]]])
    """
    x, dtype = _arguments.as_array("x", x, FLOATS)
    form = response_of(x.shape, size, alpha, beta, k)
    if out is not None:
        _arguments.check_out(out, x.shape, dtype, {"x": x}, in_place="x")
    result = _arguments.target(out, x.shape, dtype, in_one_run=True)
    if x.size and response_served(form, dtype) and not np.may_share_memory(x, result):
        shape = (*x.shape[:2], prod(x.shape[2:]))
        contiguous = _arguments.contiguous(x).reshape(shape)
        response_norm(contiguous, *form, result.reshape(shape))
    elif x.size:
        x = np.ascontiguousarray(x, np.float64 if dtype == "float64" else np.float32)
        with np.errstate(all="ignore"):
            divisors = bases_of(x, form)
            raised(divisors, form.beta, out=divisors)
            np.divide(x, divisors, out=result, casting="same_kind")
    return _arguments.delivered(result, out)
