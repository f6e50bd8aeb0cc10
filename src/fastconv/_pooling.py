"""What all poolings share: arguments in normal form, the cache of plans, and one run.

Knows the argument forms and ``_core``; every rule of geometry is in the plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from operator import gt
from typing import Literal, SupportsIndex, TypeAlias

import numpy as np

from fastconv import _arguments
from fastconv._arguments import Array, Padding, Pair
from fastconv._core import PoolPlan, literal_types

OutputSize: TypeAlias = SupportsIndex | Sequence[SupportsIndex | None]

# As many as convolution keeps: networks pool less often than they convolve.
_PLANS = 512
_plan = lru_cache(maxsize=_PLANS)(PoolPlan)
# The same by the arguments as they were written, if they are literals: to bring them into normal
# form takes longer than to pool the planes of a small network.
_recent: dict[tuple[object, ...], PoolPlan] = {}


def plan_for(
    kind: Literal["max", "avg"],
    shape: tuple[int, ...],
    dtype: str,
    axes: int,
    kernel_size: object,
    stride: object = None,
    padding: object = 0,
    *,
    adaptive: bool = False,
    dilation: object = 1,
    ceil_mode: object = False,
    count_include_pad: object = True,
    divisor: int = 0,
    channels_last: object = False,
) -> PoolPlan:
    """Return the plan of a pooling over an input of the given shape.

    An `adaptive` one takes its output's size for `kernel_size`, and the next three do not count.
    """
    forms = axes, adaptive, stride, padding, dilation, ceil_mode, count_include_pad, divisor
    call = (kind, shape, dtype, kernel_size, *forms, channels_last)
    types = literal_types(call)
    plan = _recent.get((types, call)) if types else None
    if plan is None:
        plan = _new_plan(kind, shape, dtype, kernel_size, *forms, channels_last)
        if types:
            if len(_recent) >= _PLANS:
                _recent.clear()
            _recent[types, call] = plan
    return plan


def _new_plan(
    kind: Literal["max", "avg"],
    shape: tuple[int, ...],
    dtype: str,
    kernel_size: object,
    axes: int,
    adaptive: bool,
    stride: object,
    padding: object,
    dilation: object,
    ceil_mode: object,
    count_include_pad: object,
    divisor: int,
    channels_last: object,
) -> PoolPlan:
    """Check the arguments and return their plan, new or from the cache."""
    last = _arguments.flag("channels_last", channels_last)
    steps = spread = (1,) * axes
    pads = (0, 0) * axes
    n, c, sizes = _arguments.image("x", shape, axes, last)
    if adaptive:
        kernel = _output_size(kernel_size, sizes)
    else:
        kernel = _arguments.per_axis("kernel_size", kernel_size, axes)
        steps = kernel if stride is None else _arguments.per_axis("stride", stride, axes)
        spread = _arguments.per_axis("dilation", dilation, axes)
        pads = _pads(padding, kernel, steps, spread)
    ceil = _arguments.flag("ceil_mode", ceil_mode)
    counted = _arguments.flag("count_include_pad", count_include_pad)
    form = kernel, steps, pads, spread, ceil, counted, divisor
    return _plan(kind, adaptive, n, c, sizes, *form, last, dtype, None)


def check_volume(axes: int, kernel_size: object, plan: PoolPlan) -> None:
    """Refuse what torch does in averages over three axes alone: windows that need the padding."""
    if axes == 3:
        kernel = _arguments.per_axis("kernel_size", kernel_size, axes)
        if any(map(gt, kernel, plan.sizes)):
            raise ValueError(f"kernel_size {kernel} must not exceed the volume's size {plan.sizes}")


def _output_size(value: object, sizes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the size of an adaptive pooling's output; None stands for the input's, but alone."""
    if isinstance(value, (tuple, list)) and len(value) == len(sizes) > 1:
        value = [size if item is None else item for item, size in zip(value, sizes, strict=True)]
    return _arguments.integers("output_size", value, len(sizes))


def _pads(
    value: object, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[int, ...]:
    """Return (before, after) of each axis, one after the other.

    The plan bounds them by half of a window's reach, torch those that it can express by half of its
    size.
    """
    pads = _arguments.padding(value, kernel, stride, dilation)
    if max(dilation) > 1 and not _is_nested(value):
        for pad, size in zip(pads[::2], kernel, strict=True):
            if pad > max(size, 0) // 2:
                raise ValueError(
                    f"padding must be at most half of the kernel size {size}, got {pad}"
                )
    return pads


def _is_nested(padding: object) -> bool:
    """Whether it is of a form that torch lacks."""
    if isinstance(padding, (tuple, list)):
        return any(isinstance(item, (tuple, list, np.ndarray)) for item in padding)
    return isinstance(padding, str) or (isinstance(padding, np.ndarray) and padding.ndim > 1)


def run(
    plan: PoolPlan, x: Array, dtype: str, out: Array | None, *, return_indices: bool = False
) -> tuple[Array, Array | None]:
    """Pool `x`; the second result is None unless `return_indices`."""
    if out is not None and not return_indices and plan.run_plain(x, out):
        return out, None
    shape = plan.out_shape[-x.ndim :]
    if out is not None:
        _arguments.check_out(out, shape, dtype, {"x": x})
    result = _arguments.target(out, shape, dtype)
    indices = np.empty(shape, np.int64) if return_indices else None
    if result.size:  # an empty batch has no rows to speak of
        plan.run(_arguments.rows(x), result, indices)
    return _arguments.delivered(result, out), indices


def max_pool(
    axes: int,
    x: Array,
    dtype: str,
    kernel_size: Pair,
    stride: Pair | None,
    padding: Padding,
    dilation: Pair,
    ceil_mode: bool,
    return_indices: bool,
    channels_last: bool,
    out: Array | None,
) -> Array | tuple[Array, Array]:
    """Return the maxima, with `return_indices` also where they are."""
    with_indices = _arguments.flag("return_indices", return_indices)
    plan = plan_for(
        "max",
        x.shape,
        dtype,
        axes,
        kernel_size,
        stride,
        padding,
        dilation=dilation,
        ceil_mode=ceil_mode,
        channels_last=channels_last,
    )
    maxima, indices = run(plan, x, dtype, out, return_indices=with_indices)
    return maxima if indices is None else (maxima, indices)


def avg_pool(
    axes: int,
    x: Array,
    dtype: str,
    kernel_size: Pair,
    stride: Pair | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor: int = 0,
    channels_last: bool = False,
    out: Array | None = None,
) -> Array:
    """Return the averages."""
    plan = plan_for(
        "avg",
        x.shape,
        dtype,
        axes,
        kernel_size,
        stride,
        padding,
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
        divisor=divisor,
        channels_last=channels_last,
    )
    check_volume(axes, kernel_size, plan)
    return run(plan, x, dtype, out)[0]


def divisor_of(value: SupportsIndex | None) -> int:
    """Return `divisor_override` as plans take it: 0 for none."""
    if value is None:
        return 0
    divisor = _arguments.integer("divisor_override", value)
    if divisor == 0:
        raise ValueError("divisor_override must not be 0")
    return divisor
