"""Converters of Resize and Upsample: interpolation one axis at a time.

Coordinates are computed in float32, as ONNX Runtime does, so that the nearest neighbour of a
coordinate half way between two is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor
from typing import Any

import numpy as np

from fastconv._arguments import Array
from fastconv.onnx.call import Call, Converter, OnnxFunction

_COORDINATES = (
    "half_pixel",
    "half_pixel_symmetric",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
    "tf_half_pixel_for_nn",
    "tf_crop_and_resize",
)
_NEAREST = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
_POLICIES = ("stretch", "not_larger", "not_smaller")


@dataclass(frozen=True)
class Interpolation:
    """The attributes of Resize; called with x, roi, scales and sizes."""

    mode: str = "nearest"
    coordinates: str = "half_pixel"
    nearest: str = "round_prefer_floor"
    cubic: float = -0.75
    exclude_outside: bool = False
    extrapolation: float = 0.0
    antialias: bool = False
    policy: str = "stretch"
    axes: tuple[int, ...] | None = None

    def __call__(
        self,
        x: Array,
        roi: Array | None = None,
        scales: Array | None = None,
        sizes: Array | None = None,
    ) -> Array:
        """Resize."""
        axes = range(x.ndim) if self.axes is None else [axis % x.ndim for axis in self.axes]
        factors, lengths = self._extent([x.shape[axis] for axis in axes], scales, sizes)
        if 0 in lengths:  # nothing to take, or nothing to take it from
            return np.zeros(
                [dict(zip(axes, lengths, strict=True)).get(i, n) for i, n in enumerate(x.shape)],
                x.dtype,
            )
        region = np.zeros(2 * len(axes)) if roi is None or not roi.size else roi
        outside = np.zeros((1,) * x.ndim, bool)
        y = x
        for i, (axis, factor, length) in enumerate(zip(axes, factors, lengths, strict=True)):
            size = x.shape[axis]
            if factor == 1 and length == size and self.coordinates != "tf_crop_and_resize":
                continue
            ends = float(region[i]), float(region[i + len(axes)])
            where = self._coordinates(size, length, factor, ends)
            y = _weighted(y, axis, *self._taps(where, size, factor))
            if self.coordinates == "tf_crop_and_resize":
                beyond = (where < 0) | (where > size - 1)
                outside = outside | beyond.reshape(-1, *(1,) * (x.ndim - 1 - axis))
        if outside.any():
            y = np.where(outside, y.dtype.type(self.extrapolation), y)
        return _as(y, x.dtype)

    def _extent(
        self, sizes: list[int], scales: Array | None, wanted: Array | None
    ) -> tuple[list[float], list[int]]:
        """Return the factor and the new size of each axis."""
        if scales is not None and scales.size:
            _check_length("scales", scales, sizes)
            if not (np.isfinite(scales) & (scales > 0)).all():
                raise ValueError(f"scales must be positive, got {scales.tolist()}")
            factors = [float(scale) for scale in scales]
            return factors, [floor(f * size) for f, size in zip(factors, sizes, strict=True)]
        if wanted is None:
            raise ValueError("neither scales nor sizes are given")
        _check_length("sizes", wanted, sizes)
        lengths = [int(length) for length in wanted]
        if min(lengths, default=0) < 0:
            raise ValueError(f"sizes must not be negative, got {lengths}")
        if self.policy == "stretch":
            return [length / size for length, size in zip(lengths, sizes, strict=True)], lengths
        choose = min if self.policy == "not_larger" else max
        factor = choose(length / size for length, size in zip(lengths, sizes, strict=True))
        return [factor] * len(sizes), [floor(factor * size + 0.5) for size in sizes]

    def _coordinates(
        self, size: int, length: int, factor: float, ends: tuple[float, float]
    ) -> Array:
        """Return where each output position lies in the input, as float32."""
        out = np.arange(length, dtype=np.float32)
        scale = np.float32(factor)
        half = np.float32(0.5)
        match self.coordinates:
            case "asymmetric":
                return out / scale
            case "align_corners":
                return (
                    out * np.float32(size - 1) / np.float32(length - 1) if length > 1 else out * 0
                )
            case "tf_half_pixel_for_nn":
                return (out + half) / scale
            case "tf_crop_and_resize":
                first, last = ends[0] * (size - 1), ends[1] * (size - 1)
                if length == 1:
                    return np.full(1, (first + last) / 2, np.float32)
                return (first + out * ((last - first) / (length - 1))).astype(np.float32)
            case "pytorch_half_pixel" if length == 1:
                return out * 0
            case "half_pixel_symmetric":
                shift = size / 2 * (1 - length / (factor * size))
                return np.float32(shift) + (out + half) / scale - half
        return (out + half) / scale - half

    def _taps(self, where: Array, size: int, factor: float) -> tuple[Array, Array | None]:
        """Return which inputs each output takes, (taps, length), and their weights."""
        if self.mode == "nearest":
            index = self._rounded(where).astype(np.int64)
            return np.clip(index, 0, size - 1)[None], None
        if self.mode == "linear":
            # Outside the input its border goes on.
            where = np.clip(where, 0, size - 1) if not self.antialias else where
        reach = 1 if self.mode == "linear" else 2
        stretch = min(1.0, factor) if self.antialias else 1.0
        half_width = reach / stretch
        first = np.floor(where - half_width).astype(np.int64) + 1
        taps = first + np.arange(int(np.ceil(2 * half_width)) + (stretch != 1))[:, None]
        distance = np.abs(taps - where) * stretch
        weights = self._kernel(distance.astype(np.float64))
        if self.exclude_outside:
            weights *= (taps >= 0) & (taps < size)
        if self.exclude_outside or self.antialias:
            weights /= weights.sum(0)
        return np.clip(taps, 0, size - 1), weights

    def _kernel(self, distance: Array) -> Array:
        if self.mode == "linear":
            return np.maximum(1 - distance, 0)
        return cubic(distance, self.cubic)

    def _rounded(self, where: Array) -> Array:
        match self.nearest:
            case "floor":
                return np.floor(where)
            case "ceil":
                return np.ceil(where)
            case "round_prefer_ceil":
                return np.floor(where + np.float32(0.5))
        return np.ceil(where - np.float32(0.5))


def cubic(d: Array, a: float) -> Array:
    """Return the weights of cubic interpolation at distances d of at least 0."""
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0))


def _check_length(name: str, values: Array, sizes: Sequence[int]) -> None:
    if values.ndim != 1 or len(values) != len(sizes):
        raise ValueError(f"{name} must hold {len(sizes)} numbers, got {values.tolist()}")


def _weighted(x: Array, axis: int, index: Array, weights: Array | None) -> Array:
    """Return the sum of what is taken along an axis, times its weights."""
    if weights is None:
        return np.take(x, index[0], axis)
    if x.dtype.kind != "f" or x.dtype == np.float16:
        x = x.astype(np.float32)
    shape = (-1, *(1,) * (x.ndim - 1 - axis))
    y = np.zeros((*x.shape[:axis], index.shape[1], *x.shape[axis + 1 :]), x.dtype)
    for taken, weight in zip(index, weights, strict=True):
        if weight.any():
            y += np.take(x, taken, axis) * weight.astype(x.dtype).reshape(shape)
    return y


def _as(y: Array, dtype: np.dtype[Any]) -> Array:
    if dtype.kind in "iu" and y.dtype.kind == "f":
        limits = np.iinfo(dtype)
        y = np.clip(np.rint(y), limits.min, limits.max)
    return y.astype(dtype, copy=False)


def choice(call: Call, name: str, default: str, allowed: Sequence[str]) -> str:
    """Return an attribute that is one of some names."""
    value: str = call.get(name, default)
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
    return value


def resize(call: Call) -> None:
    """Convert Resize."""
    axes = call.get("axes")
    function = Interpolation(
        mode=choice(call, "mode", "nearest", ("nearest", "linear", "cubic")),
        coordinates=choice(
            call,
            "coordinate_transformation_mode",
            "half_pixel" if call.opset > 10 else "asymmetric",
            _COORDINATES,
        ),
        nearest=choice(
            call,
            "nearest_mode",
            "round_prefer_floor" if call.opset > 10 else "floor",
            _NEAREST,
        ),
        cubic=call.get("cubic_coeff_a", -0.75),
        exclude_outside=bool(call.get("exclude_outside", 0)),
        extrapolation=call.get("extrapolation_value", 0.0),
        antialias=bool(call.get("antialias", 0)),
        policy=choice(call, "keep_aspect_ratio_policy", "stretch", _POLICIES),
        axes=None if axes is None else tuple(axes),
    )
    inputs = call.inputs if call.opset > 10 else (call.inputs[0], "", call.inputs[1])
    call.finish(OnnxFunction(call.op, function), *inputs)


def upsample(call: Call) -> None:
    """Convert Upsample, what Resize was before opset 10."""
    mode = choice(call, "mode", "nearest", ("nearest", "linear", "bilinear"))
    function = Interpolation(
        mode=mode.removeprefix("bi"), coordinates="asymmetric", nearest="floor"
    )
    if call.has("scales"):
        scales = call.constant(call.get("scales"), np.float32)
    elif call.has("width_scale"):
        scale = (1.0, 1.0, call.get("height_scale"), call.get("width_scale"))
        scales = call.constant(scale, np.float32)
    else:
        scales = call.input(1)
    call.finish(OnnxFunction(call.op, function), call.inputs[0], "", scales)


CONVERTERS: dict[str, Converter] = {"Resize": resize, "Upsample": upsample}
