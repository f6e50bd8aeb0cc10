"""Activations as functions of their own; convolution applies its own while it writes its result.

Knows the argument forms and ``_core``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastconv import _arguments
from fastconv._arguments import FLOATS, Array
from fastconv._core import activate

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["hardswish", "leaky_relu", "relu", "relu6", "sigmoid", "silu", "tanh"]


def _activated(x: ArrayLike, name: str, out: Array | None, slope: float = 0.0) -> Array:
    x, dtype = _arguments.as_array("x", x, FLOATS)
    if out is not None:
        _arguments.check_out(out, x.shape, dtype, {"x": x}, in_place="x")
    result = _arguments.target(out, x.shape, dtype, in_one_run=True)
    activate(_arguments.contiguous(x), (name, slope, 0.0), result)
    return _arguments.delivered(result, out)


def relu(x: ArrayLike, /, *, out: Array | None = None) -> Array:
    """Replace what is below zero by zero; a NaN stays.

    Parameters
    ----------
    x : array_like
        Of any shape; float16, float32 or float64.
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
        For a dtype that is not supported and masked arrays.
    ValueError
        For an `out` that does not fit. Nothing has been written then.
    MemoryError
        If there is not enough memory.

    See Also
    --------
    conv2d : Its `activation` argument costs no pass of its own.
    fastconv.grad.relu : The gradient.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import relu
    >>> x = np.array([-2, 3, np.nan], dtype=np.float32)
    >>> relu(x)
    array([ 0.,  3., nan], dtype=float32)
    >>> relu(x, out=x) is x
    True
    """
    return _activated(x, "relu", out)


def relu6(x: ArrayLike, /, *, out: Array | None = None) -> Array:
    """Replace what is below zero by zero and what is above six by six; a NaN stays.

    Parameters
    ----------
    x : array_like
        Of any shape; float16, float32 or float64.
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
        For a dtype that is not supported and masked arrays.
    ValueError
        For an `out` that does not fit. Nothing has been written then.
    MemoryError
        If there is not enough memory.

    See Also
    --------
    conv2d : Its `activation` argument costs no pass of its own.
    fastconv.grad.relu6 : The gradient.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import relu6
    >>> relu6(np.array([-2, 3, 8], dtype=np.float32))
    array([0., 3., 6.], dtype=float32)
    """
    return _activated(x, "relu6", out)


def leaky_relu(x: ArrayLike, /, negative_slope: float = 0.01, *, out: Array | None = None) -> Array:
    """Multiply what is below zero by a slope; a NaN stays.

    Parameters
    ----------
    x : array_like
        Of any shape; float16, float32 or float64.
    negative_slope : float, default 0.01
        The slope below zero; finite.
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
        For a dtype that is not supported, a slope that is no number and masked arrays.
    ValueError
        For an `out` or a slope that does not fit. Nothing has been written then.
    MemoryError
        If there is not enough memory.

    See Also
    --------
    conv2d : Its `activation` argument costs no pass of its own.
    fastconv.grad.leaky_relu : The gradient.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import leaky_relu
    >>> leaky_relu(np.array([-2, 3], dtype=np.float32), 0.25)
    array([-0.5,  3. ], dtype=float32)
    """
    return _activated(x, "leaky_relu", out, _arguments.finite("negative_slope", negative_slope))


def sigmoid(x: ArrayLike, /, *, out: Array | None = None) -> Array:
    """Compute the logistic function ``1 / (1 + exp(-x))``.

    Parameters
    ----------
    x : array_like
        Of any shape; float16, float32 or float64.
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
        For a dtype that is not supported and masked arrays.
    ValueError
        For an `out` that does not fit. Nothing has been written then.
    MemoryError
        If there is not enough memory.

    See Also
    --------
    conv2d : Its `activation` argument costs no pass of its own.
    fastconv.grad.sigmoid : The gradient.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import sigmoid
    >>> sigmoid(np.array([-np.log(3), 0, np.log(3)])).round(6)
    array([0.25, 0.5 , 0.75])
    """
    return _activated(x, "sigmoid", out)


def tanh(x: ArrayLike, /, *, out: Array | None = None) -> Array:
    """Compute the hyperbolic tangent.

    Parameters
    ----------
    x : array_like
        Of any shape; float16, float32 or float64.
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
        For a dtype that is not supported and masked arrays.
    ValueError
        For an `out` that does not fit. Nothing has been written then.
    MemoryError
        If there is not enough memory.

    See Also
    --------
    conv2d : Its `activation` argument costs no pass of its own.
    fastconv.grad.tanh : The gradient.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import tanh
    >>> tanh(np.array([-np.log(3), 0, np.log(3)])).round(6)
    array([-0.8,  0. ,  0.8])
    """
    return _activated(x, "tanh", out)


def silu(x: ArrayLike, /, *, out: Array | None = None) -> Array:
    """Compute ``x * sigmoid(x)``, also known as swish.

    Parameters
    ----------
    x : array_like
        Of any shape; float16, float32 or float64.
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
        For a dtype that is not supported and masked arrays.
    ValueError
        For an `out` that does not fit. Nothing has been written then.
    MemoryError
        If there is not enough memory.

    See Also
    --------
    conv2d : Its `activation` argument costs no pass of its own.
    fastconv.grad.silu : The gradient.

    References
    ----------
    S. Elfwing, E. Uchibe, K. Doya, "Sigmoid-weighted linear units for neural network function
    approximation in reinforcement learning", 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import silu
    >>> silu(np.array([0, np.log(3)])).round(6)
    array([0.      , 0.823959])
    """
    return _activated(x, "silu", out)


def hardswish(x: ArrayLike, /, *, out: Array | None = None) -> Array:
    """Compute ``x * relu6(x + 3) / 6``.

    Parameters
    ----------
    x : array_like
        Of any shape; float16, float32 or float64.
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
        For a dtype that is not supported and masked arrays.
    ValueError
        For an `out` that does not fit. Nothing has been written then.
    MemoryError
        If there is not enough memory.

    See Also
    --------
    conv2d : Its `activation` argument costs no pass of its own.
    fastconv.grad.hardswish : The gradient.

    References
    ----------
    A. Howard et al., "Searching for MobileNetV3", 2019.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import hardswish
    >>> hardswish(np.array([-4, -1.5, 0, 1.5, 4], dtype=np.float32))
    array([-0.   , -0.375,  0.   ,  1.125,  4.   ], dtype=float32)
    """
    return _activated(x, "hardswish", out)
