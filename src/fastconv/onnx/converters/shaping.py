"""Converters of what moves values, chooses among them or makes them from nothing."""

from __future__ import annotations

from functools import partial
from math import ceil
from typing import Any

import numpy as np

from fastconv._arguments import Array
from fastconv.graph import Operator, Spec
from fastconv.graph import operators as ops
from fastconv.graph.node import DynamicShapeError, given
from fastconv.graph.operators.shaping import View
from fastconv.onnx.call import Call, Converter, OnnxFunction


def _attribute_or_input(call: Call, name: str, i: int) -> str:
    """Return the name of what newer opsets take as an input and older ones as an attribute."""
    if call.has(name):
        return call.constant(call.get(name), np.int64)
    return call.input(i)


class Squeeze(View):
    """x without axes of size 1: those that the second input holds, or all."""

    def shape(self, *inputs: Spec | None) -> tuple[int, ...]:
        """Return the sizes that are left."""
        sizes = given(inputs[0]).shape
        if len(inputs) == 1:
            return tuple(size for size in sizes if size != 1)
        dropped = {_axis(axis, len(sizes)) for axis in _numbers(given(inputs[1]))}
        wrong = [axis for axis in dropped if sizes[axis] != 1]
        if wrong:
            raise ValueError(f"axis {wrong[0]} of shape {sizes} is not of size 1")
        return tuple(size for axis, size in enumerate(sizes) if axis not in dropped)


class Unsqueeze(View):
    """x with axes of size 1 where the second input says."""

    def shape(self, *inputs: Spec | None) -> tuple[int, ...]:
        """Return the sizes with those in between."""
        sizes, axes = list(given(inputs[0]).shape), _numbers(given(inputs[1]))
        rank = len(sizes) + len(axes)
        new = sorted(_axis(axis, rank) for axis in axes)
        if len(set(new)) < len(new):
            raise ValueError(f"axes {axes} name one twice")
        for axis in new:
            sizes.insert(axis, 1)
        return tuple(sizes)


def _numbers(spec: Spec) -> list[int]:
    if spec.value is None:
        raise DynamicShapeError("the axes are not known before the graph runs")
    return [int(number) for number in spec.value.ravel()]


def _axis(axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} is not one of {rank}")
    return axis % rank


# -- shapes ----------------------------------------------------------------------------------------


def reshape(call: Call) -> None:
    """Convert Reshape."""
    call.ignore("consumed_inputs")
    shape = _attribute_or_input(call, "shape", 1)
    call.finish(ops.Reshape(allow_zero=bool(call.get("allowzero", 0))), call.inputs[0], shape)


def flatten(call: Call) -> Operator:
    """Convert Flatten."""
    return ops.Flatten(call.get("axis", 1))


def squeeze(call: Call) -> None:
    """Convert Squeeze."""
    axes = _attribute_or_input(call, "axes", 1)
    call.finish(Squeeze(), call.inputs[0], *filter(None, [axes]))


def unsqueeze(call: Call) -> None:
    """Convert Unsqueeze."""
    axes = _attribute_or_input(call, "axes", 1)
    call.finish(Unsqueeze(), call.inputs[0], axes)


def transpose(call: Call) -> Operator:
    """Convert Transpose."""
    perm = call.get("perm")
    return ops.Transpose(tuple(range(call.rank())[::-1] if perm is None else perm))


def shape(call: Call) -> Operator:
    """Convert Shape."""
    return ops.Shape(call.get("start", 0), call.get("end"))


def _size(x: Array) -> Array:
    return np.array(x.size, np.int64)


def expand(call: Call) -> Operator:
    """Convert Expand."""
    return OnnxFunction(call.op, _expanded)


def _expanded(x: Array, shape: Array) -> Array:
    return np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(shape.tolist())))


def tile(call: Call) -> Operator | None:
    """Convert Tile."""
    if call.opset < 6:
        call.fallback()
        return None
    return OnnxFunction(call.op, _tiled)


def _tiled(x: Array, repeats: Array) -> Array:
    return np.tile(x, repeats.tolist())


def identity(call: Call) -> Operator:
    """Convert Identity."""
    return ops.Identity()


def dropout(call: Call) -> None:
    """Convert Dropout, which does nothing outside training."""
    call.ignore("consumed_inputs", "ratio", "seed")
    training = not call.get("is_test", 1) if call.opset < 7 else False
    if call.input(2):
        told = call.value(2)
        training = told is None or bool(told)
    if training:
        return call.fallback()
    outputs = call.outputs
    call.emit(ops.Identity(), call.inputs[0], outputs=outputs[:1])
    if call.output(1):
        mask = partial(_ones, dtype=call.dtype() if call.opset < 10 else np.dtype(bool))
        call.emit(OnnxFunction(call.op, mask), call.inputs[0], outputs=outputs[1:])
    return None


def _ones(x: Array, dtype: Any) -> Array:
    return np.ones(x.shape, dtype)


# -- parts -----------------------------------------------------------------------------------------


def concat(call: Call) -> Operator:
    """Convert Concat."""
    return ops.Concat(call.get("axis", 1))


def split(call: Call) -> None:
    """Convert Split."""
    axis, count = call.get("axis", 0), call.get("num_outputs", len(call.outputs))
    lengths = _attribute_or_input(call, "split", 1)
    if count != len(call.outputs):
        raise ValueError(f"num_outputs is {count}, the node has {len(call.outputs)} outputs")
    form = {"axis": axis, "count": count, "uneven": call.opset >= 18}
    call.finish(OnnxFunction(call.op, partial(_parts, **form)), call.inputs[0], lengths)


def _parts(
    x: Array, lengths: Array | None = None, *, axis: int, count: int, uneven: bool
) -> tuple[Array, ...]:
    size = x.shape[_axis(axis, x.ndim)]
    if lengths is None:
        if size % count and not uneven:
            raise ValueError(f"x has shape {x.shape}: axis {axis} has no {count} equal parts")
        part = -(-size // count)
        ends = [min(part * i, size) for i in range(1, count)]
    else:
        if lengths.sum() != size or (lengths < 0).any():
            raise ValueError(
                f"split {lengths.tolist()} does not add up to {size}, axis {axis} of x"
            )
        if len(lengths) != count:
            raise ValueError(f"split {lengths.tolist()} makes {len(lengths)} parts, not {count}")
        ends = np.cumsum(lengths)[:-1].tolist()
    return tuple(np.split(x, ends, axis))


def slice_(call: Call) -> None:
    """Convert Slice."""
    starts = _attribute_or_input(call, "starts", 1)
    ends = _attribute_or_input(call, "ends", 2)
    axes = _attribute_or_input(call, "axes", 3)
    inputs = call.inputs[0], starts, ends, axes, call.input(4)
    call.finish(OnnxFunction(call.op, _sliced), *inputs)


def _sliced(
    x: Array, starts: Array, ends: Array, axes: Array | None = None, steps: Array | None = None
) -> Array:
    where: list[slice] = [slice(None)] * x.ndim
    firsts, stops = starts.tolist(), ends.tolist()
    chosen = range(len(firsts)) if axes is None else axes.tolist()
    strides = [1] * len(firsts) if steps is None else steps.tolist()
    for first, stop, axis, step in zip(firsts, stops, chosen, strides, strict=True):
        axis = _axis(axis, x.ndim)
        size = x.shape[axis]
        # Beyond the beginning NumPy, counting down, takes nothing, and ONNX begins at the first.
        before = step < 0 and stop < -size
        start = max(first, -size) if step < 0 else first
        where[axis] = slice(start, None if before else stop, step)
    return x[tuple(where)]


def gather(call: Call) -> Operator:
    """Convert Gather."""
    return OnnxFunction(call.op, partial(_gathered, axis=call.get("axis", 0)))


def _gathered(x: Array, indices: Array, axis: int) -> Array:
    return np.asarray(np.take(x, indices, axis))


def gather_elements(call: Call) -> Operator:
    """Convert GatherElements."""
    return OnnxFunction(call.op, partial(_taken_along, axis=call.get("axis", 0)))


def _taken_along(x: Array, indices: Array, axis: int) -> Array:
    where = list(np.ix_(*map(range, indices.shape)))
    where[axis] = indices
    return x[tuple(where)]


def scatter_elements(call: Call) -> Operator:
    """Convert ScatterElements, and Scatter, what it was before opset 11."""
    reduction = call.get("reduction", "none")
    if reduction not in _SCATTERED:
        raise ValueError(f"reduction must be one of {', '.join(_SCATTERED)}, got {reduction!r}")
    form = {"axis": call.get("axis", 0), "ufunc": _SCATTERED[reduction]}
    return OnnxFunction(call.op, partial(_scattered, **form))


_SCATTERED = {
    "none": None,
    "add": np.add,
    "mul": np.multiply,
    "max": np.maximum,
    "min": np.minimum,
}


def _scattered(
    x: Array, indices: Array, updates: Array, axis: int, ufunc: np.ufunc | None
) -> Array:
    y = x.copy()
    where = list(np.ix_(*map(range, indices.shape)))
    where[axis] = indices
    if ufunc is None:
        y[tuple(where)] = updates
    else:
        ufunc.at(y, tuple(where), updates)
    return y


def non_zero(call: Call) -> Operator:
    """Convert NonZero."""
    return OnnxFunction(call.op, _non_zero)


def _non_zero(x: Array) -> Array:
    return np.array(np.nonzero(np.atleast_1d(x)), np.int64).reshape(x.ndim, -1)


# -- padding and rearranging -----------------------------------------------------------------------


def pad(call: Call) -> None:
    """Convert Pad."""
    mode = call.get("mode", "constant")
    if mode not in _PAD_MODES:
        raise ValueError(f"mode must be one of {', '.join(_PAD_MODES)}, got {mode!r}")
    pads = _attribute_or_input(call, "paddings" if call.opset < 2 else "pads", 1)
    value = call.input(2)
    if call.has("value"):
        value = call.constant(call.get("value"), np.float32)
    inputs = call.inputs[0], pads, value, call.input(3)
    call.finish(OnnxFunction(call.op, partial(_padded, mode=mode)), *inputs)


_PAD_MODES = ("constant", "reflect", "edge", "wrap")  # NumPy's names are the same


def _padded(
    x: Array, pads: Array, value: Array | None = None, axes: Array | None = None, *, mode: str
) -> Array:
    chosen = range(x.ndim) if axes is None else [int(axis) % x.ndim for axis in axes]
    numbers = pads.ravel().tolist()
    if len(numbers) != 2 * len(chosen):
        raise ValueError(f"pads must hold {2 * len(chosen)} integers, got {numbers}")
    widths = [(0, 0)] * x.ndim
    for i, axis in enumerate(chosen):
        widths[axis] = numbers[i], numbers[i + len(chosen)]
    # A negative padding crops.
    kept = tuple(
        slice(max(0, -low), size - max(0, -high))
        for size, (low, high) in zip(x.shape, widths, strict=True)
    )
    form: Any = [(max(0, low), max(0, high)) for low, high in widths]
    if mode != "constant":
        return np.pad(x[kept], form, mode)  # type: ignore[call-overload]
    filling = 0 if value is None else value.ravel()[0]
    return np.pad(x[kept], form, constant_values=filling)


def depth_to_space(call: Call) -> Operator:
    """Convert DepthToSpace."""
    return OnnxFunction(call.op, partial(_to_space, **_blocks(call)))


def _blocks(call: Call) -> dict[str, Any]:
    mode, block = call.get("mode", "DCR"), call.get("blocksize")
    if mode not in ("DCR", "CRD"):
        raise ValueError(f"mode must be DCR or CRD, got {mode!r}")
    if block < 1:
        raise ValueError(f"blocksize must be at least 1, got {block}")
    return {"block": block, "depth_first": mode == "DCR"}


def _to_space(x: Array, block: int, depth_first: bool) -> Array:
    n, c, h, w = x.shape
    depth = c // (block * block)
    if depth_first:
        parts = x.reshape(n, block, block, depth, h, w).transpose(0, 3, 4, 1, 5, 2)
    else:
        parts = x.reshape(n, depth, block, block, h, w).transpose(0, 1, 4, 2, 5, 3)
    return parts.reshape(n, depth, h * block, w * block)


def space_to_depth(call: Call) -> Operator:
    """Convert SpaceToDepth."""
    return OnnxFunction(call.op, partial(_to_depth, **_blocks(call)))


def _to_depth(x: Array, block: int, depth_first: bool) -> Array:
    n, c, h, w = x.shape
    parts = x.reshape(n, c, h // block, block, w // block, block)
    order = (0, 3, 5, 1, 2, 4) if depth_first else (0, 1, 3, 5, 2, 4)
    return parts.transpose(order).reshape(n, c * block * block, h // block, w // block)


# -- from nothing ----------------------------------------------------------------------------------


def constant_of_shape(call: Call) -> Operator:
    """Convert ConstantOfShape."""
    value = call.get("value", np.zeros(1, np.float32))
    return OnnxFunction(call.op, partial(_filled, value=value))


def _filled(shape: Array, value: Array) -> Array:
    return np.full(shape.tolist(), value.ravel()[0], value.dtype)


def range_(call: Call) -> Operator:
    """Convert Range."""
    return OnnxFunction(call.op, _range)


def _range(start: Array, limit: Array, step: Array) -> Array:
    count = max(0, ceil((limit.item() - start.item()) / step.item()))
    exact = np.float64 if step.dtype.kind == "f" else np.int64
    return (start.astype(exact) + np.arange(count) * step.astype(exact)).astype(start.dtype)


CONVERTERS: dict[str, Converter] = {
    "Concat": concat,
    "ConstantOfShape": constant_of_shape,
    "DepthToSpace": depth_to_space,
    "Dropout": dropout,
    "Expand": expand,
    "Flatten": flatten,
    "Gather": gather,
    "GatherElements": gather_elements,
    "Identity": identity,
    "NonZero": non_zero,
    "Pad": pad,
    "Range": range_,
    "Reshape": reshape,
    "Scatter": scatter_elements,
    "ScatterElements": scatter_elements,
    "Shape": shape,
    "Size": lambda call: OnnxFunction(call.op, _size),
    "Slice": slice_,
    "SpaceToDepth": space_to_depth,
    "Split": split,
    "Squeeze": squeeze,
    "Tile": tile,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}
