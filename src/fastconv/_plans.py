"""Plans of convolutions: arguments in normal form, the cache of plans, and which one is fastest.

Knows the argument forms and ``_core``; every rule of geometry and every estimate is made there.
"""

from __future__ import annotations

from functools import lru_cache
from time import perf_counter
from typing import NamedTuple, SupportsIndex, TypeAlias

import numpy as np

from fastconv import _arguments
from fastconv._arguments import Activation, Array, Padding, Pair
from fastconv._core import ConvPlan, WeightPlan, algorithms, conv_size

# Plans are small and immutable; 512 of them outlast the layers of the deepest usual networks.
_plan = lru_cache(maxsize=512)(ConvPlan)
_weight_plan = lru_cache(maxsize=512)(WeightPlan)


# Of a window's taps along each axis: the size of the weight that holds them, the first, and the
# step from one to the next.
Taps: TypeAlias = tuple[tuple[int, int, int], ...]


class Layer(NamedTuple):
    """Everything about a convolution but its input's and weights' sizes, in normal form.

    The fields are in the order of the arguments of ``ConvPlan``.
    """

    stride: tuple[int, ...]
    padding: tuple[int, ...]  # before and after each axis
    dilation: tuple[int, ...]
    groups: int
    channels_last: bool
    dtype: str
    activation: tuple[str, float, float]
    algorithm: str


def layer_of(
    weight_shape: tuple[int, ...],
    axes: int,
    dtype: str,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: SupportsIndex,
    channels_last: bool,
    activation: Activation | None = None,
    algorithm: str = "auto",
) -> Layer:
    """Normalise the arguments that all convolutions over `axes` spatial axes have in common."""
    if len(weight_shape) != axes + 2:
        form = ", ".join(("kd", "kh", "kw")[-axes:])
        raise ValueError(f"weight must have the axes (k, c/groups, {form}), got {weight_shape}")
    if not isinstance(algorithm, str):
        raise TypeError(f"algorithm must be a string, got {type(algorithm).__name__}")
    if not (algorithm.isascii() and algorithm.isidentifier()):
        raise ValueError(f"algorithm {algorithm!r} is not the name of one")
    steps = _arguments.per_axis("stride", stride, axes)
    spread = _arguments.per_axis("dilation", dilation, axes)
    return Layer(
        steps,
        _arguments.padding(padding, weight_shape[2:], steps, spread),
        spread,
        _arguments.integer("groups", groups),
        _arguments.flag("channels_last", channels_last),
        dtype,
        _arguments.activation(activation),
        str(algorithm),
    )


def plan_for(
    name: str,
    input_shape: tuple[int, ...],
    weight_shape: tuple[int, ...],
    layer: Layer,
    *,
    one_shot: bool = False,
    taps: Taps | None = None,
) -> ConvPlan:
    """Return the plan for an input of the given shape, new or from the cache.

    With `one_shot`, packing the weights counts in the choice of the algorithm. With `taps`, the
    weights that it packs are those of a convolution the other way, and `weight_shape` is what they
    amount to. Errors call the input `name`.
    """
    k, cg, *kernel = weight_shape
    image = _arguments.image(name, input_shape, len(kernel), layer.channels_last)
    return _plan(*image, k, cg, tuple(kernel), *layer, None, one_shot, taps)


def weight_plan_for(
    name: str, input_shape: tuple[int, ...], weight_shape: tuple[int, ...], layer: Layer
) -> WeightPlan:
    """Return the plan for the gradient of a convolution's weights, new or from the cache."""
    k, cg, *kernel = weight_shape
    image = _arguments.image(name, input_shape, len(kernel), layer.channels_last)
    *form, _, algorithm = layer  # all but the activation
    return _weight_plan(*image, k, cg, tuple(kernel), *form, algorithm, None)


def out_shape(
    name: str, input_shape: tuple[int, ...], weight_shape: tuple[int, ...], layer: Layer
) -> tuple[int, ...]:
    """Return the shape of the result, without a plan."""
    k, cg, *kernel = weight_shape
    n, c, sizes = _arguments.image(name, input_shape, len(kernel), layer.channels_last)
    geometry = (layer.stride, layer.padding, layer.dilation, layer.groups)
    out = conv_size(n, c, sizes, k, cg, tuple(kernel), *geometry)
    return ((n, *out, k) if layer.channels_last else (n, k, *out))[-len(input_shape) :]


# As far as estimates are off where they choose wrongly; more than three candidates are never near.
_NEAR, _CANDIDATES, _ROUNDS, _SECONDS = 2.0, 3, 7, 0.5


def time_candidates(
    best: ConvPlan, name: str, shape: tuple[int, ...], weight: Array, layer: Layer
) -> dict[str, float]:
    """Return the milliseconds of the likely algorithms on a random image, asked in turn."""
    plans = [best]
    for algorithm in algorithms():
        try:
            plan = plan_for(name, shape, weight.shape, layer._replace(algorithm=algorithm))
        except (ValueError, MemoryError):
            continue
        if plan.algorithm != best.algorithm and plan.seconds <= _NEAR * best.seconds:
            plans.append(plan)
    plans = sorted(plans, key=lambda plan: plan.seconds)[:_CANDIDATES]
    x = np.random.default_rng(0).standard_normal(shape, np.float32).astype(layer.dtype)
    out = np.empty(best.out_shape, layer.dtype)
    packed = [plan.pack(_arguments.contiguous(weight)) for plan in plans]
    rounds: dict[str, list[float]] = {plan.algorithm: [] for plan in plans}
    end = perf_counter() + _SECONDS
    for turn in range(_ROUNDS):
        if turn and perf_counter() > end:
            break
        for plan, weights in zip(plans, packed, strict=True):
            plan.run(x, weights, None, None, out)  # warms the caches that another one has used
            start = perf_counter()
            plan.run(x, weights, None, None, out)
            rounds[plan.algorithm].append(1e3 * (perf_counter() - start))
    return {algorithm: float(np.median(times)) for algorithm, times in rounds.items()}
