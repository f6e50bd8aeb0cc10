"""Converters of what detectors do with places: values sampled at them, and boxes chosen."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import product
from math import prod

import numpy as np

from fastconv._arguments import Array
from fastconv.graph import Operator
from fastconv.onnx.call import Call, Converter, OnnxFunction
from fastconv.onnx.converters.resize import choice, cubic

# -- samples ---------------------------------------------------------------------------------------

_MODES = ("linear", "nearest", "cubic")
_PADDINGS = ("zeros", "border", "reflection")


@dataclass(frozen=True)
class GridSample:
    """The attributes of GridSample; called with x (n, c, ...) and a grid (n, ..., axes)."""

    mode: str
    padding: str
    align_corners: bool

    def __call__(self, x: Array, grid: Array) -> Array:
        """Sample x at the grid's places, whose last axis is first."""
        sizes = x.shape[2:]
        if (grid.ndim, grid.shape[0], grid.shape[-1]) != (x.ndim, x.shape[0], len(sizes)):
            raise ValueError(f"a grid of shape {grid.shape} has no places in x of shape {x.shape}")
        places = grid.astype(np.promote_types(grid.dtype, np.float32), copy=False)
        taps = [self._taps(places[..., -1 - i], size) for i, size in enumerate(sizes)]
        batch = np.arange(len(x)).reshape(-1, *(1,) * len(sizes))
        values = np.moveaxis(x, 1, -1)
        y = np.zeros((*grid.shape[:-1], x.shape[1]), np.promote_types(x.dtype, np.float32))
        for chosen in product(*(zip(*axis, strict=True) for axis in taps)):
            weight = prod(weight for _, weight in chosen)
            y += values[(batch, *(index for index, _ in chosen))] * weight[..., None]
        return np.moveaxis(y, -1, 1).astype(x.dtype)

    def _taps(self, place: Array, size: int) -> tuple[Array, Array]:
        """Return the indices that places take along an axis, (taps, n, ...), and their weights."""
        where = ((place + 1) * (size - self.align_corners) - (not self.align_corners)) / 2
        where = np.nan_to_num(where, nan=-3.0, posinf=size + 2, neginf=-3)
        if self.mode != "cubic":
            where = self._within(where, size)
        if self.mode == "nearest":
            taps = np.rint(where)[None]
            weights = np.ones_like(taps)
        else:
            reach = 1 if self.mode == "linear" else 2
            steps = np.arange(1 - reach, 1 + reach).reshape(-1, *(1,) * where.ndim)
            first = np.floor(where)
            taps = first + steps.astype(where.dtype)
            # Not of the taps: far outside these are no longer told apart.
            distance = np.abs(steps - (where - first))
            weights = 1 - distance if self.mode == "linear" else cubic(distance, -0.75)
        if self.mode == "cubic":
            taps = self._within(taps, size)
        weights = np.where((taps >= 0) & (taps < size), weights, 0)
        return np.clip(taps, 0, size - 1).astype(np.int64), weights

    def _within(self, where: Array, size: int) -> Array:
        """Return places, those outside moved inside as the padding says."""
        if self.padding == "zeros":
            return where
        if self.padding == "reflection":
            low, span = (0.0, size - 1.0) if self.align_corners else (-0.5, float(size))
            distance = np.abs(where - low) % (2 * span) if span else np.zeros_like(where)
            where = low + np.minimum(distance, 2 * span - distance)
        return np.clip(where, 0, size - 1)


def grid_sample(call: Call) -> Operator | None:
    """Convert GridSample, whose modes had the names of planes' before opset 20."""
    names = _MODES if call.opset >= 20 else ("bilinear", "nearest", "bicubic")
    mode = choice(call, "mode", names[0], names).removeprefix("bi")
    padding = choice(call, "padding_mode", "zeros", _PADDINGS)
    function = GridSample(mode, padding, bool(call.get("align_corners", 0)))
    if not call.floating(0, 1):
        call.fallback()
        return None
    return OnnxFunction(call.op, function)


# -- boxes -----------------------------------------------------------------------------------------


def non_max_suppression(call: Call) -> Operator:
    """Convert NonMaxSuppression."""
    centred = bool(call.get("center_point_box", 0))
    return OnnxFunction(call.op, partial(_selected, centred=centred))


def _selected(
    boxes: Array,
    scores: Array,
    most: Array | None = None,
    overlap: Array | None = None,
    threshold: Array | None = None,
    *,
    centred: bool,
) -> Array:
    n, count, numbers = boxes.shape
    if numbers != 4 or (scores.shape[0], *scores.shape[2:]) != (n, count):
        raise ValueError(f"boxes have shape {boxes.shape}, scores have {scores.shape}")
    limit = 0 if most is None else most.item()
    bound = np.float32(0 if overlap is None else overlap.item())
    if not 0 <= bound <= 1:
        raise ValueError(f"iou_threshold must be between 0 and 1, got {bound}")
    first, second = boxes[..., :2], boxes[..., 2:]
    if centred:
        first, second = first - second / 2, first + second / 2
    low, high = np.minimum(first, second), np.maximum(first, second)
    found: list[tuple[int, int, int]] = []
    for image, kind in np.ndindex(scores.shape[:2]):
        score = scores[image, kind]
        order = np.argsort(-score, kind="stable")
        if threshold is not None:
            order = order[score[order] > threshold.item()]
        end = len(found) + limit
        while order.size and len(found) < end:
            best, order = order[0], order[1:]
            found.append((image, kind, best))
            shared = _shares(low[image], high[image], best, order)
            order = order[~(shared > bound)]
    return np.array(found, np.int64).reshape(-1, 3)


def _shares(low: Array, high: Array, one: int, others: Array) -> Array:
    """Return intersection over union of one box with others; NaN where there is none."""
    sides = np.minimum(high[one], high[others]) - np.maximum(low[one], low[others])
    common = np.where((sides > 0).all(-1), sides.prod(-1), np.nan)
    areas = (high - low).prod(-1)
    return np.asarray(common / (areas[one] + areas[others] - common))


CONVERTERS: dict[str, Converter] = {
    "GridSample": grid_sample,
    "NonMaxSuppression": non_max_suppression,
}
