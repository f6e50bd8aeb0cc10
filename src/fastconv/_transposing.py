"""Transposed convolution as ordinary ones: also the gradient of a convolution's input.

With a stride s, outputs that are s apart see the same taps of the window: each of these phases is a
convolution of stride 1 with its share of the taps, turned round, and the phases of all axes
interleave. So every algorithm serves, Winograd included, and no product with a zero is made. (Small
depthwise problems make them: there fewer calls matter more.)

Knows the argument forms and ``_plans``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from itertools import groupby, product
from math import prod
from typing import Any, NamedTuple

import numpy as np

from fastconv import _arguments
from fastconv._arguments import Array
from fastconv._core import ConvPlan, Packed, activate, interleave
from fastconv._plans import Layer, plan_for

# Phases that are interleaved at once; nobody's strides are larger, but they may be.
MOST_WOVEN = 64


class Phase(NamedTuple):
    """What one residue of the outputs along an axis takes."""

    first: int  # output position, the others being a stride apart
    taps: range  # of the window, as they meet the input from its begin to its end
    dilation: int
    before: int  # padding of the input; negative: positions that are left out
    after: int


def axis_phases(
    size: int, out_size: int, kernel: int, stride: int, before: int, dilation: int
) -> list[Phase]:
    """Return the phases of an axis that see any input: of `out_size` outputs from `size` inputs.

    Output o sums over the taps t and inputs i with ``o = i * stride + t * dilation - before``.
    """
    gcd = np.gcd(stride, dilation)
    step, spread = stride // gcd, dilation // gcd
    phases = []
    for first in range(min(stride, out_size)):
        # The first tap whose input is a whole position; every step-th tap after it has one as well.
        at = next(
            (t for t in range(min(step, kernel)) if not (first + before - t * dilation) % stride),
            None,
        )
        if at is None:
            continue
        taps = range(at, kernel, step)
        reach = (len(taps) - 1) * spread
        begin = (first + before - at * dilation) // stride  # the input of the first tap
        count = -(-(out_size - first) // stride)
        phase = Phase(first, taps[::-1], int(spread), reach - begin, begin + count - size)
        if size > max(-phase.before, 0) + max(-phase.after, 0):
            phases.append(phase)
    return phases


class Part(NamedTuple):
    """An ordinary convolution that gives some of the outputs: a phase along each axis."""

    where: tuple[slice, ...]  # its outputs among all, spatial axes alone
    inputs: tuple[slice, ...]  # what it sees of the input
    taps: tuple[range, ...]
    layer: Layer

    def plan(
        self, shape: tuple[int, ...], weight_shape: tuple[int, ...], *, one_shot: bool = False
    ) -> ConvPlan:
        """Return the plan for what it sees of the input, which packs (c, k/groups, ...) weights."""
        c, kg, *kernel = weight_shape
        groups = self.layer.groups
        ordinary = (kg * groups, c // groups, *map(len, self.taps))
        taps = tuple(
            (size, taps.start, taps.step) for size, taps in zip(kernel, self.taps, strict=True)
        )
        return plan_for("x", shape, ordinary, self.layer, one_shot=one_shot, taps=taps)


def _parts_of(
    sizes: tuple[int, ...], out_sizes: tuple[int, ...], kernel: tuple[int, ...], layer: Layer
) -> tuple[Part, ...]:
    befores = layer.padding[::2]
    along = map(axis_phases, sizes, out_sizes, kernel, layer.stride, befores, layer.dilation)
    parts = []
    for phases in product(*along):
        pads = [(max(p.before, 0), max(p.after, 0)) for p in phases]
        part = Part(
            tuple(slice(p.first, None, s) for p, s in zip(phases, layer.stride, strict=True)),
            tuple(
                slice(max(-p.before, 0), size - max(-p.after, 0))
                for p, size in zip(phases, sizes, strict=True)
            ),
            tuple(p.taps for p in phases),
            layer._replace(
                stride=(1,) * len(phases),
                padding=sum(pads, ()),
                dilation=tuple(p.dilation for p in phases),
            ),
        )
        parts.append(part)
    return tuple(parts)


_few_parts_of = lru_cache(maxsize=512)(_parts_of)  # as many as there are plans
# Parts of one convolution that are kept: strides of 8 along two axes have as many.
_PARTS_KEPT = 64


def parts_of(
    sizes: tuple[int, ...], out_sizes: tuple[int, ...], kernel: tuple[int, ...], layer: Layer
) -> tuple[Part, ...]:
    """Return the parts of a transposed convolution whose geometry `layer` states.

    Outputs that see no input are in none.
    """
    few = prod(layer.stride) <= _PARTS_KEPT
    return (_few_parts_of if few else _parts_of)(sizes, out_sizes, kernel, layer)


# Bytes up to which an image with the zeros of a stride between its pixels is cheaper than phases,
# where products cost next to nothing: one of 512 channels of 7x7 to 14x14 takes 45 us, and four
# phases 206; from 1.6 MB on there is no difference.
_SPREAD_BYTES = 1 << 20


def spread(x: Array, weight: Array, layer: Layer) -> tuple[Array, Layer]:
    """Return a small depthwise problem without its stride, zeros standing between the inputs.

    Others come back as they are, as do weights that make something other than zero of a zero.
    """
    _, c, sizes = _arguments.image("x", x.shape, len(layer.stride), layer.channels_last)
    if max(layer.stride) == 1 or layer.groups != c:
        return x, layer
    wide = [(size - 1) * step + 1 for size, step in zip(sizes, layer.stride, strict=True)]
    shape = list(x.shape)
    first = x.ndim - len(wide) - layer.channels_last
    shape[first : first + len(wide)] = wide
    if prod(shape) * x.itemsize > _SPREAD_BYTES or not np.isfinite(weight).all():
        return x, layer
    spaced = np.zeros(shape, x.dtype.newbyteorder("="))
    steps = tuple(slice(None, None, step) for step in layer.stride)
    spaced[spatial(steps, layer.channels_last)] = x
    return spaced, layer._replace(stride=(1,) * len(wide))


def spatial(where: tuple[slice, ...], channels_last: bool) -> Any:
    """Return the index of spatial slices in an array, with or without the batch axis."""
    return (..., *where, slice(None)) if channels_last else (..., *where)


def transpose(
    x: Array,
    weight: Array,
    bias: Array | None,
    residual: Array | None,
    result: Array,
    layer: Layer,
    packed_for: Callable[[ConvPlan], Packed] | None = None,
) -> None:
    """Write the transposed convolution of `x` with (c, k/groups, ...) weights into `result`.

    All arrays fit each other, and `result` has the rows that kernels can write. `packed_for` gives
    the weights packed for a plan; without it they are packed for this once.
    """
    axes = weight.ndim - 2
    x, layer = spread(x, weight, layer)
    _, _, sizes = _arguments.image("x", x.shape, axes, layer.channels_last)
    _, _, out_sizes = _arguments.image("out", result.shape, axes, layer.channels_last)
    if packed_for is None:
        weight = _arguments.contiguous(weight)
    if bias is not None:
        bias = _arguments.contiguous(bias)
    parts = parts_of(sizes, out_sizes, weight.shape[2:], layer)
    if len(parts) < prod(map(min, layer.stride, out_sizes)):
        # Which may be the residual itself, of which the parts have yet to be added.
        residual = None if residual is None else residual.copy()
        write_constant(layer, bias, residual, result)
    # Columns that are a stride apart are no row that kernels can write: the phases of the last axis
    # go to arrays of their own, and from there to the rows of the result.
    woven = 1 if layer.channels_last else min(layer.stride[-1], out_sizes[-1])
    for rows, members in groupby(parts, key=lambda part: part.where[:-1]):
        phases = []
        for part in members:
            where = spatial(part.where, layer.channels_last)
            view = result[where]
            into = _arguments.target(view if woven == 1 else None, view.shape, layer.dtype)
            added = None if residual is None else residual[where]
            seen = _arguments.rows(x[spatial(part.inputs, layer.channels_last)])
            plan = part.plan(seen.shape, weight.shape, one_shot=packed_for is None)
            plan.run(
                seen,
                packed_for(plan) if packed_for else weight,
                bias,
                None if added is None else _arguments.rows(added),
                into,
            )
            phases.append((into, view))
        if 1 < woven == len(phases) <= MOST_WOVEN:
            whole = result[spatial((*rows, slice(None)), layer.channels_last)]
            interleave([into for into, _ in phases], whole, axes)
        else:
            for into, view in phases:
                _arguments.delivered(into, view)


def write_constant(layer: Layer, bias: Array | None, residual: Array | None, result: Array) -> None:
    """Write what outputs are that see no input: bias and residual alone."""
    sums = np.zeros(result.shape, "float32" if layer.dtype == "float16" else layer.dtype)
    if bias is not None:
        axes = len(layer.stride)
        sums += bias if layer.channels_last else bias.reshape(-1, *[1] * axes)
    if residual is not None:
        sums += residual
    flat = sums.reshape(-1)
    activate(flat, layer.activation, flat)
    with np.errstate(over="ignore"):
        result[...] = sums
