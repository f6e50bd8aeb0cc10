"""What the gradients of poolings share: their operands, and the two ways back to an input.

Knows the argument forms, ``_pooling`` and ``_unpooling``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastconv import _arguments
from fastconv._arguments import FLOATS, Array
from fastconv._core import PoolPlan
from fastconv._pooling import plan_for, run
from fastconv._unpooling import indices_of, move

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def operands(x: ArrayLike, grad_output: ArrayLike) -> tuple[Array, Array, str]:
    """Return an input, a gradient of its dtype, and the dtype's name."""
    x, dtype = _arguments.as_array("x", x, FLOATS)
    grad_output, own = _arguments.as_array("grad_output", grad_output, FLOATS)
    _arguments.same_dtype("grad_output", own, "x", dtype)
    return x, grad_output, dtype


def check_shape(grad_output: Array, shape: tuple[int, ...]) -> None:
    """Refuse a gradient that is not of the shape of the result."""
    if grad_output.shape != shape:
        raise ValueError(f"grad_output has shape {grad_output.shape}, it must be {shape}")


def max_gradient(
    axes: int,
    x: ArrayLike,
    grad_output: ArrayLike,
    indices: ArrayLike | None,
    out: Array | None,
    *window: object,
    **form: Any,
) -> Array:
    """Return the gradient of a max pooling: what `plan_for` takes says of which."""
    x, grad_output, dtype = operands(x, grad_output)
    plan: PoolPlan = plan_for("max", x.shape, dtype, axes, *window, **form)
    shape = plan.out_shape[-x.ndim :]
    check_shape(grad_output, shape)
    where = None if indices is None else indices_of(indices, shape)
    if out is not None:
        inputs = {"x": x, "grad_output": grad_output, "indices": where}
        _arguments.check_out(out, x.shape, dtype, inputs)
    if where is None:
        _, where = run(plan, x, dtype, None, return_indices=True)
        assert where is not None
    result = _arguments.target(out, x.shape, dtype, in_one_run=True)
    if result.size:
        pooled = _arguments.contiguous(grad_output)
        move("add", axes, form["channels_last"], where, pooled, result)
    return _arguments.delivered(result, out)


def spread(
    plan: PoolPlan, grad_output: Array, shape: tuple[int, ...], dtype: str, out: Array | None
) -> Array:
    """Return the gradient of an average pooling, in `out` where it can be."""
    result = _arguments.target(out, shape, dtype, in_one_run=True)
    if result.size:
        plan.spread(_arguments.contiguous(grad_output), result)
    return result
