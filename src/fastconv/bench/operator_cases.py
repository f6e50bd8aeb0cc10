"""The cases of the operators: random convolutions, gradients, and parts of well-known networks.

The random list is seeded, gradients are those of the networks' layers. Tests and benchmarks read
these tuples. Knows ``operators`` and ``cases``.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable
from itertools import starmap
from typing import Literal

from fastconv.bench.cases import NETWORK_CASES, worth_timing
from fastconv.bench.layers import ConvLayer, Window
from fastconv.bench.operators import (
    Convolution,
    Gradient,
    Linear,
    Operator,
    Pad,
    Pooling,
    Transposed,
    Unfold,
)

OPERATOR_FAMILIES: dict[str, str] = {
    "conv1d": "random convolutions over one axis",
    "conv3d": "random convolutions over three axes",
    "backward": "gradients of the networks' layers, all three",
    "input": "  with respect to the input alone",
    "weight": "  with respect to the weights alone",
    "transposed": "transposed convolutions",
    "linear": "dense layers",
    "unfold": "windows as columns",
    "pad": "borders",
    "pool1d": "poolings over one axis",
    "pool3d": "poolings over three axes",
    "indices": "maxima with their indices",
}
"""In the order of reports, with their titles."""

RANDOM_COUNT = 20
"""Convolutions for each number of axes."""

RANDOM_SEED = 20240608


def window(
    size: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: int | tuple[int, ...] = 1,
    padding: int | tuple[int, ...] = 0,
    dilation: int | tuple[int, ...] = 1,
    ceil_mode: bool = False,
) -> Window:
    """A window with one number for all axes, or one for each, and the same border on both sides."""

    def each(value: int | tuple[int, ...]) -> tuple[int, ...]:
        return (value,) * len(size) if isinstance(value, int) else value

    border = tuple(side for pad in each(padding) for side in (pad, pad))
    return Window(size, kernel, each(stride), border, each(dilation), ceil_mode)


# ---- convolutions over one and three axes


_WIDTHS = (8, 16, 24, 32, 48, 64, 80, 96, 128, 192, 256, 384, 512)
"""Channels that networks like; half of the list has other numbers, odd ones among them."""


def _width(rng: random.Random, most: int) -> int:
    if rng.random() < 0.5:
        return rng.choice([width for width in _WIDTHS if width <= most])
    return int(2 ** rng.uniform(3, math.log2(most)))


def _channels(rng: random.Random, most: int) -> tuple[int, int, int]:
    """Channels in and out, and groups: dense, a first layer, grouped or depthwise."""
    kind = rng.choice(["dense"] * 5 + ["first"] + ["grouped"] * 2 + ["depthwise"] * 2)
    c, k = _width(rng, most), _width(rng, most)
    if kind == "first":
        return rng.choice([1, 2, 3]), k, 1
    if kind == "depthwise":
        return c, c * rng.choice([1, 1, 1, 2]), c
    if kind == "grouped":
        groups = rng.choice([2, 3, 4, 8])
        return max(c // groups, 1) * groups, max(k // groups, 1) * groups, groups
    return c, k, 1


def _sequence(rng: random.Random) -> tuple[int, Window]:
    """Samples and window as in nets for audio, text and sequences: up to 11 taps, dilated."""
    kernel = rng.choice([1, 2, 3, 3, 3, 4, 5, 5, 7, 8, 9, 11])
    stride = rng.choice([1, 1, 1, 1, 2, 2, 3, 4])
    dilation = rng.choice([1, 1, 1, 2, 4, 8]) if kernel > 1 and stride == 1 else 1
    usual = [64, 128, 512, 1024, 1500, 3000, 4000, 8000, 16000]
    size = rng.choice(usual) if rng.random() < 0.5 else int(2 ** rng.uniform(4, 14))
    padding = rng.choice([0, dilation * (kernel - 1) // 2])
    return rng.choice([1, 1, 2, 4, 8]), window((size,), (kernel,), stride, padding, dilation)


_VOLUME_KERNELS = (
    *[(3, 3, 3)] * 6,
    *[(1, 1, 1), (1, 3, 3), (3, 1, 1)] * 2,
    *((2, 2, 2), (5, 5, 5), (7, 7, 7), (3, 7, 7), (1, 7, 7), (5, 1, 1), (1, 11, 11)),
)


def _volume(rng: random.Random) -> tuple[int, Window]:
    """Samples and window as in nets for video (few frames) and medical volumes (cubes)."""
    kernel = rng.choice(_VOLUME_KERNELS)
    usual = [7, 14, 16, 28, 32, 48, 56, 64, 112]
    side = rng.choice(usual) if rng.random() < 0.6 else int(2 ** rng.uniform(2.8, 6.5))
    depth = side if rng.random() < 0.5 else rng.choice([4, 8, 16, 32])
    stride = rng.choice([(1, 1, 1)] * 4 + [(2, 2, 2), (1, 2, 2)])
    dilation = rng.choice([1, 1, 1, 1, 2]) if stride == (1, 1, 1) else 1
    same = tuple(dilation * (taps - 1) // 2 for taps in kernel)
    padding = rng.choice([same, same, (0, 0, 0)])
    size = (depth, side, side)
    return rng.choice([1, 1, 1, 2, 4, 8]), window(size, kernel, stride, padding, dilation)


def _random_convolutions(
    family: str, most: int, shape: Callable[[random.Random], tuple[int, Window]]
) -> Iterable[Operator]:
    rng = random.Random(f"{RANDOM_SEED} {family}")
    found = 0
    while found < RANDOM_COUNT:
        (c, k, groups), (n, places) = _channels(rng, most), shape(rng)
        case = Convolution(
            id=f"{family}/{found:02d}",
            family=family,
            n=n,
            c=c,
            k=k,
            window=places,
            groups=groups,
        )
        if worth_timing(case):
            found += 1
            yield case


# ---- gradients


def _gradients() -> Iterable[Operator]:
    convolutions = [case for case in NETWORK_CASES if isinstance(case, ConvLayer)]
    for family, wanted in (
        ("backward", ("x", "weight", "bias")),
        ("input", ("x",)),
        ("weight", ("weight",)),
    ):
        for layer in convolutions:
            yield Gradient.of(layer, family, *wanted)


# ---- the rest: layers as they stand in well-known nets


def _transposed(
    name: str,
    c: int,
    k: int,
    size: int,
    kernel: int,
    stride: int = 1,
    padding: int = 0,
    output_padding: int = 0,
    groups: int = 1,
    n: int = 1,
) -> Operator:
    """Square; ``size`` is that of the input."""
    out = (size - 1) * stride - 2 * padding + kernel + output_padding
    return Transposed(
        id=f"transposed/{name}",
        family="transposed",
        n=n,
        c=c,
        k=k,
        groups=groups,
        window=window((out, out), (kernel, kernel), stride, padding),
    )


_TRANSPOSED = (
    ("unet.up1", 1024, 512, 14, 2, 2),
    ("unet.up2", 512, 256, 28, 2, 2),
    ("unet.up3", 256, 128, 56, 2, 2),
    ("unet.up4", 128, 64, 112, 2, 2),
    ("dcgan1", 100, 512, 1, 4),
    ("dcgan2", 512, 256, 4, 4, 2, 1),
    ("dcgan3", 256, 128, 8, 4, 2, 1),
    ("dcgan4", 128, 64, 16, 4, 2, 1),
    ("dcgan5", 64, 3, 32, 4, 2, 1),
    ("dcgan3.n16", 256, 128, 8, 4, 2, 1, 0, 1, 16),
    ("decoder1", 512, 512, 14, 3, 1, 1),
    ("decoder2", 256, 128, 28, 3, 1, 1),
    ("decoder3", 64, 64, 112, 3, 1, 1),
    ("style1", 128, 64, 56, 3, 2, 1, 1),
    ("style2", 64, 32, 112, 3, 2, 1, 1),
    ("fcn.upscore", 21, 21, 28, 4, 2, 1, 0, 21),
)

_LINEAR = (  # name, samples, inputs, outputs
    ("vgg16.fc6", 1, 25088, 4096),
    ("alexnet.fc6", 1, 9216, 4096),
    ("alexnet.fc7", 1, 4096, 4096),
    ("alexnet.fc8", 1, 4096, 1000),
    ("resnet50.fc", 1, 2048, 1000),
    ("lenet5.fc1", 1, 120, 84),
    ("alexnet.fc7.n4", 4, 4096, 4096),
    ("alexnet.fc7.n32", 32, 4096, 4096),
)

_UNFOLD = (  # name, samples, channels, window
    ("3x3", 1, 64, window((56, 56), (3, 3), padding=1)),
    ("3x3.deep", 1, 512, window((7, 7), (3, 3), padding=1)),
    ("3x3/2", 1, 128, window((56, 56), (3, 3), 2, 1)),
    ("3x3d2", 1, 64, window((56, 56), (3, 3), padding=2, dilation=2)),
    ("7x7/2", 1, 3, window((224, 224), (7, 7), 2, 3)),
    ("5x5", 8, 6, window((14, 14), (5, 5))),
    ("patches16", 1, 3, window((224, 224), (16, 16), 16)),
)

_PAD: tuple[
    tuple[str, int, tuple[int, ...], int, Literal["constant", "reflect", "replicate", "circular"]],
    ...,
] = (  # name, channels, size, border of all sides, mode
    ("constant1", 64, (112, 112), 1, "constant"),
    ("constant3", 3, (224, 224), 3, "constant"),
    ("reflect1", 64, (112, 112), 1, "reflect"),
    ("reflect3", 64, (256, 256), 3, "reflect"),
    ("replicate1", 64, (112, 112), 1, "replicate"),
    ("circular1", 64, (112, 112), 1, "circular"),
    ("constant.deep", 512, (14, 14), 1, "constant"),
    ("constant3d", 16, (16, 56, 56), 1, "constant"),
    ("replicate3d", 16, (16, 56, 56), 1, "replicate"),
    ("reflect1d", 64, (16384,), 8, "reflect"),
)

_POOLS = (  # name, kind, channels, window, samples, indices
    ("pool1d/max2", "max", 64, window((16384,), (2,), 2), 1, False),
    ("pool1d/max3", "max", 128, window((4096,), (3,), 1, 1), 4, False),
    ("pool1d/max4", "max", 256, window((1024,), (4,), 4), 8, False),
    ("pool1d/avg2", "avg", 64, window((16384,), (2,), 2), 1, False),
    ("pool1d/avg3", "avg", 128, window((4096,), (3,), 1, 1), 4, False),
    ("pool1d/avg25", "avg", 40, window((16000,), (25,), 5), 1, False),
    ("pool3d/max122", "max", 64, window((16, 56, 56), (1, 2, 2), (1, 2, 2)), 1, False),
    ("pool3d/max2", "max", 64, window((32, 32, 32), (2, 2, 2), 2), 1, False),
    ("pool3d/max3/2", "max", 64, window((8, 56, 56), (3, 3, 3), 2, 1), 1, False),
    ("pool3d/max3", "max", 48, window((8, 28, 28), (3, 3, 3), 1, 1), 1, False),
    ("pool3d/avg2", "avg", 64, window((32, 32, 32), (2, 2, 2), 2), 1, False),
    ("pool3d/avg277", "avg", 512, window((2, 7, 7), (2, 7, 7)), 1, False),
    ("indices/2x2/2", "max", 64, window((224, 224), (2, 2), 2), 1, True),
    ("indices/2x2/2.deep", "max", 512, window((28, 28), (2, 2), 2), 1, True),
    ("indices/3x3/2", "max", 64, window((112, 112), (3, 3), 2, 1), 1, True),
    ("indices/3x3", "max", 192, window((28, 28), (3, 3), 1, 1), 1, True),
)


def _linear(name: str, n: int, c: int, k: int) -> Operator:
    return Linear(id=f"linear/{name}", family="linear", n=n, c=c, k=k)


def _unfold(name: str, n: int, c: int, places: Window) -> Operator:
    return Unfold(id=f"unfold/{name}", family="unfold", n=n, c=c, window=places)


def _pad(
    name: str,
    c: int,
    size: tuple[int, ...],
    border: int,
    mode: Literal["constant", "reflect", "replicate", "circular"],
) -> Operator:
    return Pad(
        id=f"pad/{name}",
        family="pad",
        n=1,
        c=c,
        size=size,
        borders=((border, border),) * len(size),
        mode=mode,
    )


def _pool(name: str, kind: str, c: int, places: Window, n: int, indices: bool) -> Operator:
    family = name.split("/")[0]
    return Pooling(id=name, family=family, n=n, c=c, kind=kind, window=places, indices=indices)


OPERATOR_CASES: tuple[Operator, ...] = (
    *_random_convolutions("conv1d", 512, _sequence),
    *_random_convolutions("conv3d", 128, _volume),
    *_gradients(),
    *starmap(_transposed, _TRANSPOSED),
    *starmap(_linear, _LINEAR),
    *starmap(_unfold, _UNFOLD),
    *starmap(_pad, _PAD),
    *starmap(_pool, _POOLS),
)

QUICK_OPERATORS: tuple[Operator, ...] = tuple(
    case for case in OPERATOR_CASES if case.family not in ("input", "weight")
)
"""Without the gradients' parts, two thirds of the whole list."""
