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

__all__ = ["relu"]


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
    x, dtype = _arguments.as_array("x", x, FLOATS)
    normal = _arguments.activation("relu")
    if out is not None:
        _arguments.check_out(out, x.shape, dtype, {"x": x}, in_place="x")
    result = _arguments.target(out, x.shape, dtype, in_one_run=True)
    activate(_arguments.contiguous(x).reshape(-1), normal, result.reshape(-1))
    return _arguments.delivered(result, out)
