"""Gradients of the activations.

Knows the argument forms and ``_core``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastconv import _arguments
from fastconv._arguments import FLOATS, Array
from fastconv._core import activate_grad

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["hardswish", "leaky_relu", "relu", "relu6", "sigmoid", "silu", "tanh"]


def _chained(
    x: ArrayLike, grad_output: ArrayLike, name: str, out: Array | None, slope: float = 0.0
) -> Array:
    x, dtype = _arguments.as_array("x", x, FLOATS)
    grad_output = _arguments.operand("grad_output", grad_output, x.shape, dtype)
    if out is not None:
        given = {"x": x, "grad_output": grad_output}
        _arguments.check_out(out, x.shape, dtype, given, in_place="grad_output")
    result = _arguments.target(out, x.shape, dtype, in_one_run=True)
    x, gradient = _arguments.contiguous(x), _arguments.contiguous(grad_output)
    activate_grad(x, gradient, (name, slope, 0.0), result)
    return _arguments.delivered(result, out)


def relu(x: ArrayLike, grad_output: ArrayLike, /, *, out: Array | None = None) -> Array:
    """Multiply by the derivative of `fastconv.relu`, which is 0 at 0.

    Parameters
    ----------
    x : array_like
        What the activation was applied to; float16, float32 or float64.
    grad_output : array_like
        The gradient with respect to the activation's result; of the shape and dtype of `x`.
    out : ndarray, optional
        Where to write the result; any strided view of its shape and dtype. It may be `grad_output`
        itself, but must not overlap an argument otherwise.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array: the gradient with respect to `x`, of its shape and
        dtype.

    Raises
    ------
    TypeError
        For dtypes that are not supported or differ, and masked arrays.
    ValueError
        For shapes and an `out` that do not fit. Nothing has been
        written then.
    MemoryError
        If there is not enough memory.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import grad
    >>> x = np.array([-2, 0, 3], dtype=np.float32)
    >>> grad.relu(x, np.full_like(x, 5))
    array([0., 0., 5.], dtype=float32)
    """
    return _chained(x, grad_output, "relu", out)


def relu6(x: ArrayLike, grad_output: ArrayLike, /, *, out: Array | None = None) -> Array:
    """Multiply by the derivative of `fastconv.relu6`, which is 0 at 0 and at 6.

    Parameters
    ----------
    x : array_like
        What the activation was applied to; float16, float32 or float64.
    grad_output : array_like
        The gradient with respect to the activation's result; of the shape and dtype of `x`.
    out : ndarray, optional
        Where to write the result; any strided view of its shape and dtype. It may be `grad_output`
        itself, but must not overlap an argument otherwise.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array: the gradient with respect to `x`, of its shape and
        dtype.

    Raises
    ------
    TypeError
        For dtypes that are not supported or differ, and masked arrays.
    ValueError
        For shapes and an `out` that do not fit. Nothing has been
        written then.
    MemoryError
        If there is not enough memory.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import grad
    >>> x = np.array([-2, 3, 6, 8], dtype=np.float32)
    >>> grad.relu6(x, np.full_like(x, 5))
    array([0., 5., 0., 0.], dtype=float32)
    """
    return _chained(x, grad_output, "relu6", out)


def leaky_relu(
    x: ArrayLike,
    grad_output: ArrayLike,
    /,
    negative_slope: float = 0.01,
    *,
    out: Array | None = None,
) -> Array:
    """Multiply by the derivative of `fastconv.leaky_relu`, which is the slope at 0.

    Parameters
    ----------
    x : array_like
        What the activation was applied to; float16, float32 or float64.
    grad_output : array_like
        The gradient with respect to the activation's result; of the shape and dtype of `x`.
    negative_slope : float, default 0.01
        As it was given to `fastconv.leaky_relu`.
    out : ndarray, optional
        Where to write the result; any strided view of its shape and dtype. It may be `grad_output`
        itself, but must not overlap an argument otherwise.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array: the gradient with respect to `x`, of its shape and
        dtype.

    Raises
    ------
    TypeError
        For dtypes that are not supported or differ, and masked arrays.
    ValueError
        For shapes, a slope and an `out` that do not fit. Nothing has been
        written then.
    MemoryError
        If there is not enough memory.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import grad
    >>> x = np.array([-2, 0, 3], dtype=np.float32)
    >>> grad.leaky_relu(x, np.full_like(x, 4), 0.25)
    array([1., 1., 4.], dtype=float32)
    """
    return _chained(
        x, grad_output, "leaky_relu", out, _arguments.finite("negative_slope", negative_slope)
    )


def sigmoid(x: ArrayLike, grad_output: ArrayLike, /, *, out: Array | None = None) -> Array:
    """Multiply by the derivative of `fastconv.sigmoid`.

    Parameters
    ----------
    x : array_like
        What the activation was applied to; float16, float32 or float64.
    grad_output : array_like
        The gradient with respect to the activation's result; of the shape and dtype of `x`.
    out : ndarray, optional
        Where to write the result; any strided view of its shape and dtype. It may be `grad_output`
        itself, but must not overlap an argument otherwise.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array: the gradient with respect to `x`, of its shape and
        dtype.

    Raises
    ------
    TypeError
        For dtypes that are not supported or differ, and masked arrays.
    ValueError
        For shapes and an `out` that do not fit. Nothing has been
        written then.
    MemoryError
        If there is not enough memory.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import grad
    >>> x = np.array([-np.log(3), 0, np.log(3)])
    >>> grad.sigmoid(x, np.ones(3)).round(6)
    array([0.1875, 0.25  , 0.1875])
    """
    return _chained(x, grad_output, "sigmoid", out)


def tanh(x: ArrayLike, grad_output: ArrayLike, /, *, out: Array | None = None) -> Array:
    """Multiply by the derivative of `fastconv.tanh`.

    Parameters
    ----------
    x : array_like
        What the activation was applied to; float16, float32 or float64.
    grad_output : array_like
        The gradient with respect to the activation's result; of the shape and dtype of `x`.
    out : ndarray, optional
        Where to write the result; any strided view of its shape and dtype. It may be `grad_output`
        itself, but must not overlap an argument otherwise.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array: the gradient with respect to `x`, of its shape and
        dtype.

    Raises
    ------
    TypeError
        For dtypes that are not supported or differ, and masked arrays.
    ValueError
        For shapes and an `out` that do not fit. Nothing has been
        written then.
    MemoryError
        If there is not enough memory.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import grad
    >>> x = np.array([-np.log(3), 0, np.log(3)])
    >>> grad.tanh(x, np.ones(3)).round(6)
    array([0.36, 1.  , 0.36])
    """
    return _chained(x, grad_output, "tanh", out)


def silu(x: ArrayLike, grad_output: ArrayLike, /, *, out: Array | None = None) -> Array:
    """Multiply by the derivative of `fastconv.silu`.

    Parameters
    ----------
    x : array_like
        What the activation was applied to; float16, float32 or float64.
    grad_output : array_like
        The gradient with respect to the activation's result; of the shape and dtype of `x`.
    out : ndarray, optional
        Where to write the result; any strided view of its shape and dtype. It may be `grad_output`
        itself, but must not overlap an argument otherwise.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array: the gradient with respect to `x`, of its shape and
        dtype.

    Raises
    ------
    TypeError
        For dtypes that are not supported or differ, and masked arrays.
    ValueError
        For shapes and an `out` that do not fit. Nothing has been
        written then.
    MemoryError
        If there is not enough memory.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import grad
    >>> x = np.array([0, np.log(3)])
    >>> grad.silu(x, np.ones(2)).round(6)
    array([0.5    , 0.95599])
    """
    return _chained(x, grad_output, "silu", out)


def hardswish(x: ArrayLike, grad_output: ArrayLike, /, *, out: Array | None = None) -> Array:
    """Multiply by the derivative of `fastconv.hardswish`, which is 0 at -3 and 1 at 3.

    Parameters
    ----------
    x : array_like
        What the activation was applied to; float16, float32 or float64.
    grad_output : array_like
        The gradient with respect to the activation's result; of the shape and dtype of `x`.
    out : ndarray, optional
        Where to write the result; any strided view of its shape and dtype. It may be `grad_output`
        itself, but must not overlap an argument otherwise.

    Returns
    -------
    ndarray
        `out`, or a new C-contiguous array: the gradient with respect to `x`, of its shape and
        dtype.

    Raises
    ------
    TypeError
        For dtypes that are not supported or differ, and masked arrays.
    ValueError
        For shapes and an `out` that do not fit. Nothing has been
        written then.
    MemoryError
        If there is not enough memory.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv import grad
    >>> x = np.array([-3, -1.5, 0, 3], dtype=np.float32)
    >>> grad.hardswish(x, np.ones_like(x))
    array([0. , 0. , 0.5, 1. ], dtype=float32)
    """
    return _chained(x, grad_output, "hardswish", out)
