"""Transposed convolution as ordinary ones: also the gradient of a convolution's input.

With a stride s, outputs that are s apart see the same taps of the window: each of these phases is a
convolution of stride 1 with its share of the taps, turned round, and the phases of all axes
interleave. So every algorithm serves, Winograd included, and no product with a zero is made.

Knows the argument forms and ``_plans``.
"""

from __future__ import annotations

from itertools import product
from typing import Any, NamedTuple

import numpy as np

from fastconv import _arguments
from fastconv._arguments import Array
from fastconv._core import activate
from fastconv._plans import Layer, plan_for


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
    """Return the phases of an axis: of `out_size` outputs from `size` inputs.

    Output o sums over the taps t and inputs i with ``o = i * stride + t * dilation - before``.
    """
    gcd = np.gcd(stride, dilation)
    step, spread = stride // gcd, dilation // gcd
    phases = []
    for first in range(min(stride, out_size)):
        # The first tap whose input is a whole position; every step-th tap after it has one as well.
        taps = range(0)
        for tap in range(min(step, kernel)):
            if (first + before - tap * dilation) % stride == 0:
                taps = range(tap, kernel, step)
        reach = (len(taps) - 1) * spread
        begin = (first + before - taps.start * dilation) // stride  # the input of the first tap
        count = -(-(out_size - first) // stride)
        phases.append(Phase(first, taps[::-1], int(spread), reach - begin, begin + count - size))
    return phases


class Part(NamedTuple):
    """An ordinary convolution that gives some of the outputs: a phase along each axis."""

    where: tuple[slice, ...]  # its outputs among all, spatial axes alone
    inputs: tuple[slice, ...]  # what it sees of the input
    taps: tuple[range, ...]
    layer: Layer

    @property
    def empty(self) -> bool:
        """Whether its outputs see no input."""
        return any(len(taps) == 0 for taps in self.taps)


def parts_of(
    sizes: tuple[int, ...], out_sizes: tuple[int, ...], kernel: tuple[int, ...], layer: Layer
) -> list[Part]:
    """Return the parts of a transposed convolution whose geometry `layer` states."""
    befores = layer.padding[::2]
    along = map(axis_phases, sizes, out_sizes, kernel, layer.stride, befores, layer.dilation)
    parts = []
    for phases in product(*along):
        pads = [(max(p.before, 0), max(p.after, 0)) for p in phases]
        part = Part(
            tuple(slice(p.first, None, s) for p, s in zip(phases, layer.stride, strict=True)),
            tuple(
                slice(max(-p.before, 0), max(size - max(-p.after, 0), 0))
                for p, size in zip(phases, sizes, strict=True)
            ),
            tuple(p.taps for p in phases),
            layer._replace(
                stride=(1,) * len(phases),
                padding=sum(pads, ()),
                dilation=tuple(p.dilation for p in phases),
            ),
        )
        # Inputs may all be left out, too.
        if any(axis.stop <= axis.start for axis in part.inputs):
            part = part._replace(taps=(range(0),) * len(phases))
        parts.append(part)
    return parts


def ordinary_weight(weight: Array, groups: int, taps: tuple[range, ...]) -> Array:
    """Return (c, k/groups, ...) as the (k, c/groups, ...) of a part, contiguous."""
    c, kg, *kernel = weight.shape
    grouped = weight.reshape(groups, c // groups, kg, *kernel).swapaxes(1, 2)
    for axis, chosen in enumerate(taps, start=3):
        grouped = grouped[(*[slice(None)] * axis, _slice_of(chosen))]
    return np.ascontiguousarray(
        grouped.reshape(groups * kg, c // groups, *map(len, taps)), weight.dtype.newbyteorder("=")
    )


def _slice_of(taps: range) -> slice:
    # A range that goes down to 0 stops at -1, which a slice would take for the last element.
    return slice(taps.start, None if taps.stop < 0 else taps.stop, taps.step)


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
) -> None:
    """Write the transposed convolution of `x` with (c, k/groups, ...) weights into `result`.

    All arrays fit each other, and `result` has the rows that kernels can write.
    """
    axes = weight.ndim - 2
    _, _, sizes = _arguments.image("x", x.shape, axes, layer.channels_last)
    _, _, out_sizes = _arguments.image("out", result.shape, axes, layer.channels_last)
    if bias is not None:
        bias = _arguments.contiguous(bias)
    for part in parts_of(sizes, out_sizes, weight.shape[2:], layer):
        where = spatial(part.where, layer.channels_last)
        added = None if residual is None else residual[where]
        write_part(part, x, weight, bias, added, result[where])


def write_part(
    part: Part, x: Array, weight: Array, bias: Array | None, residual: Array | None, view: Array
) -> None:
    """Write one part of the outputs, those of `view`, packing its weights for this once."""
    if part.empty:
        write_constant(part.layer, bias, residual, view)
        return
    seen = _arguments.rows(x[spatial(part.inputs, part.layer.channels_last)])
    weight = ordinary_weight(weight, part.layer.groups, part.taps)
    plan = plan_for("x", seen.shape, weight.shape, part.layer, one_shot=True)
    into = _arguments.target(view, view.shape, part.layer.dtype)
    residual = None if residual is None else _arguments.rows(residual)
    plan.run(seen, plan.pack(weight), bias, residual, into)
    _arguments.delivered(into, view)


def write_constant(layer: Layer, bias: Array | None, residual: Array | None, view: Array) -> None:
    """Write outputs that see no input: bias and residual alone."""
    sums = np.zeros(view.shape, view.dtype.newbyteorder("="))
    if bias is not None:
        axes = len(layer.stride)
        sums += bias if layer.channels_last else bias.reshape(-1, *[1] * axes)
    if residual is not None:
        sums += residual
    flat = sums.reshape(-1)
    activate(flat, layer.activation, flat)
    view[...] = sums
