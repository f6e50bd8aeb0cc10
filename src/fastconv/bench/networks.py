"""Networks as data, and the walk that finds the shape of every layer.

Only what convolves or pools is listed, in the form of the papers; activations, normalisation
and dense layers change no shape that matters here. Knows ``layers`` and fastconv's
``same_padding``.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from fastconv import same_padding
from fastconv.bench.layers import Case, ConvLayer, Padding, PoolLayer

PaddingRule = int | Literal["same"]


@dataclass(frozen=True, slots=True)
class Conv:
    """Square convolution; ``padding="same"`` puts the odd pixel at the end."""

    name: str
    k: int
    kernel: int
    stride: int = 1
    padding: PaddingRule = 0
    groups: int = 1


@dataclass(frozen=True, slots=True)
class Depthwise:
    """Convolution of each channel by itself."""

    name: str
    kernel: int
    stride: int = 1
    padding: PaddingRule = 0


@dataclass(frozen=True, slots=True)
class Pool:
    """Square pooling; ``kernel=None`` takes the whole plane."""

    name: str
    kind: str
    kernel: int | None = None
    stride: int = 1
    padding: int = 0
    ceil_mode: bool = False


@dataclass(frozen=True, slots=True)
class Branches:
    """Parallel paths from one input; channels are concatenated or the maps are added."""

    join: str
    paths: tuple[tuple[Node, ...], ...]


Node = Conv | Depthwise | Pool | Branches


@dataclass(frozen=True, slots=True)
class Network:
    """A name, the (c, h, w) of its input, and its layers."""

    name: str
    shape: tuple[int, int, int]
    nodes: tuple[Node, ...]


def walk(network: Network, family: str | None = None) -> Iterator[Case]:
    """Every layer in order of execution, repeated ones included.

    Examples
    --------
    >>> [layer.label for layer in walk(LENET5)][:2]
    ['1->6 5x5 @32', 'avg 6 2x2/2 @28']
    """
    yield from _walk(network.nodes, network.shape, network.name, family or network.name)


def _walk(
    nodes: tuple[Node, ...], shape: tuple[int, int, int], network: str, family: str
) -> Generator[Case, None, tuple[int, int, int]]:
    for node in nodes:
        if isinstance(node, Branches):
            ends = []
            for path in node.paths:
                end = yield from _walk(path, shape, network, family)
                ends.append(end)
            shape = _join(node.join, ends)
        else:
            case = _place(node, shape, network, family)
            yield case
            shape = case.out_shape[1:]
    return shape


def _join(join: str, shapes: list[tuple[int, int, int]]) -> tuple[int, int, int]:
    c, h, w = shapes[0]
    if any(other[1:] != (h, w) for other in shapes):
        raise ValueError(f"branches end in different sizes: {shapes}")
    if join == "concat":
        return sum(other[0] for other in shapes), h, w
    if any(other[0] != c for other in shapes):
        raise ValueError(f"branches to be added end in different channels: {shapes}")
    return c, h, w


def _place(
    node: Conv | Depthwise | Pool, shape: tuple[int, int, int], network: str, family: str
) -> Case:
    c, h, w = shape
    kh, kw = (h, w) if node.kernel is None else (node.kernel, node.kernel)
    common: dict[str, Any] = {
        "id": f"{network}/{node.name}",
        "family": family,
        "n": 1,
        "c": c,
        "h": h,
        "w": w,
        "kh": kh,
        "kw": kw,
        "stride": (node.stride, node.stride),
        "padding": _borders(node.padding, (h, w), (kh, kw), node.stride),
    }
    if isinstance(node, Pool):
        kind = "global_avg" if node.kernel is None else node.kind
        return PoolLayer(**common, kind=kind, ceil_mode=node.ceil_mode)
    if isinstance(node, Depthwise):
        return ConvLayer(**common, k=c, groups=c)
    return ConvLayer(**common, k=node.k, groups=node.groups)


def _borders(
    padding: PaddingRule, size: tuple[int, int], kernel: tuple[int, int], stride: int
) -> Padding:
    if isinstance(padding, str):
        (top, bottom), (left, right) = same_padding(size, kernel, stride)
        return top, bottom, left, right
    return padding, padding, padding, padding


LENET5 = Network(
    "lenet5",
    (1, 32, 32),
    (
        Conv("conv1", 6, 5),
        Pool("pool1", "avg", 2, 2),
        Conv("conv2", 16, 5),
        Pool("pool2", "avg", 2, 2),
        Conv("conv3", 120, 5),
    ),
)

# The two halves of the paper's two GPUs are two groups; 227 is the size that its figures need.
ALEXNET = Network(
    "alexnet",
    (3, 227, 227),
    (
        Conv("conv1", 96, 11, 4),
        Pool("pool1", "max", 3, 2),
        Conv("conv2", 256, 5, padding=2, groups=2),
        Pool("pool2", "max", 3, 2),
        Conv("conv3", 384, 3, padding=1),
        Conv("conv4", 384, 3, padding=1, groups=2),
        Conv("conv5", 256, 3, padding=1, groups=2),
        Pool("pool5", "max", 3, 2),
    ),
)


def _vgg(name: str, *stages: tuple[int, int]) -> Network:
    """Stages of ``repeats`` 3x3 convolutions to ``k`` channels, each with a 2x2 pooling."""
    nodes: list[Node] = []
    for stage, (k, repeats) in enumerate(stages, 1):
        nodes += (Conv(f"conv{stage}_{i}", k, 3, padding=1) for i in range(1, repeats + 1))
        nodes.append(Pool(f"pool{stage}", "max", 2, 2))
    return Network(name, (3, 224, 224), tuple(nodes))


VGG16 = _vgg("vgg16", (64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


def _inception(name: str, k1: int, r3: int, k3: int, r5: int, k5: int, kp: int) -> Branches:
    """One row of the paper's table 1: 1x1, 3x3 reduce, 3x3, 5x5 reduce, 5x5, pool projection."""
    return Branches(
        "concat",
        (
            (Conv(f"{name}.1x1", k1, 1),),
            (Conv(f"{name}.3x3_reduce", r3, 1), Conv(f"{name}.3x3", k3, 3, padding=1)),
            (Conv(f"{name}.5x5_reduce", r5, 1), Conv(f"{name}.5x5", k5, 5, padding=2)),
            (Pool(f"{name}.pool", "max", 3, 1, 1), Conv(f"{name}.pool_proj", kp, 1)),
        ),
    )


GOOGLENET = Network(
    "googlenet",
    (3, 224, 224),
    (
        Conv("conv1", 64, 7, 2, 3),
        Pool("pool1", "max", 3, 2, ceil_mode=True),
        Conv("conv2_reduce", 64, 1),
        Conv("conv2", 192, 3, padding=1),
        Pool("pool2", "max", 3, 2, ceil_mode=True),
        _inception("3a", 64, 96, 128, 16, 32, 32),
        _inception("3b", 128, 128, 192, 32, 96, 64),
        Pool("pool3", "max", 3, 2, ceil_mode=True),
        _inception("4a", 192, 96, 208, 16, 48, 64),
        _inception("4b", 160, 112, 224, 24, 64, 64),
        _inception("4c", 128, 128, 256, 24, 64, 64),
        _inception("4d", 112, 144, 288, 32, 64, 64),
        _inception("4e", 256, 160, 320, 32, 128, 128),
        Pool("pool4", "max", 3, 2, ceil_mode=True),
        _inception("5a", 256, 160, 320, 32, 128, 128),
        _inception("5b", 384, 192, 384, 48, 128, 128),
        Pool("pool5", "avg"),
    ),
)


def _bottleneck(name: str, width: int, stride: int, project: bool) -> Branches:
    """1x1, 3x3, 1x1 beside the shortcut; the stride sits on the 3x3, as in trained weights."""
    shortcut = (Conv(f"{name}.downsample", 4 * width, 1, stride),) if project else ()
    return Branches(
        "add",
        (
            (
                Conv(f"{name}.conv1", width, 1),
                Conv(f"{name}.conv2", width, 3, stride, 1),
                Conv(f"{name}.conv3", 4 * width, 1),
            ),
            shortcut,
        ),
    )


def _resnet(name: str, *repeats: int) -> Network:
    nodes: list[Node] = [Conv("conv1", 64, 7, 2, 3), Pool("pool1", "max", 3, 2, 1)]
    for stage, count in enumerate(repeats, 1):
        for block in range(count):
            stride = 2 if stage > 1 and block == 0 else 1
            width = 32 << stage
            nodes.append(_bottleneck(f"layer{stage}.{block}", width, stride, block == 0))
    nodes.append(Pool("pool5", "avg"))
    return Network(name, (3, 224, 224), tuple(nodes))


RESNET50 = _resnet("resnet50", 3, 4, 6, 3)


def _mobilenet() -> Network:
    """MobileNet v1: thirteen pairs of a depthwise 3x3 and a 1x1."""
    pairs = [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)]
    pairs += [(512, 1)] * 5 + [(1024, 2), (1024, 1)]
    nodes: list[Node] = [Conv("conv0", 32, 3, 2, 1)]
    for i, (k, stride) in enumerate(pairs, 1):
        nodes += (Depthwise(f"dw{i}", 3, stride, 1), Conv(f"pw{i}", k, 1))
    return Network("mobilenet", (3, 224, 224), tuple(nodes))


MOBILENET = _mobilenet()


def _efficientnet_lite0() -> Network:
    stages = [  # expansion, output channels, repeats, stride, kernel
        (1, 16, 1, 1, 3),
        (6, 24, 2, 2, 3),
        (6, 40, 2, 2, 5),
        (6, 80, 3, 2, 3),
        (6, 112, 3, 1, 5),
        (6, 192, 4, 2, 5),
        (6, 320, 1, 1, 3),
    ]
    nodes: list[Node] = [Conv("stem", 32, 3, 2, "same")]
    c = 32
    for stage, (expansion, k, repeats, stride, kernel) in enumerate(stages, 1):
        for i in range(repeats):
            name = f"block{stage}.{i}"
            if expansion > 1:
                nodes.append(Conv(f"{name}.expand", c * expansion, 1))
            nodes.append(Depthwise(f"{name}.dw", kernel, stride if i == 0 else 1, "same"))
            nodes.append(Conv(f"{name}.project", k, 1))
            c = k
    return Network("efficientnet", (3, 224, 224), tuple(nodes))


EFFICIENTNET_LITE0 = _efficientnet_lite0()

NETWORKS = (LENET5, ALEXNET, VGG16, GOOGLENET, RESNET50)
DEPTHWISE_NETWORKS = (MOBILENET, EFFICIENTNET_LITE0)
