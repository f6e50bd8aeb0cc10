"""The cases: every distinct layer of the networks, once, and a seeded random list beside them.

Tests, benchmarks and documentation read these tuples, so that they cannot drift apart.
Knows ``layers``, ``networks`` and ``operators``.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

from fastconv.bench.layers import Case, ConvLayer, PoolLayer
from fastconv.bench.network_cases import Entry
from fastconv.bench.networks import DEPTHWISE_NETWORKS, NETWORKS, walk
from fastconv.bench.operators import Timed

FAMILIES = (*(network.name for network in NETWORKS), "depthwise", "random")
"""In the order in which reports show them."""

RANDOM_COUNT = 100
RANDOM_SEED = 20240131


def distinct(layers: Iterable[Case]) -> tuple[Case, ...]:
    """The first layer of each geometry, with the names of the others in ``places``."""
    first: dict[tuple[object, ...], Case] = {}
    for layer in layers:
        known = first.setdefault(layer.geometry, layer)
        if known is not layer:
            first[layer.geometry] = replace(known, places=(*known.places, layer.id))
    return tuple(first.values())


def _network_layers() -> Iterable[Case]:
    for network in NETWORKS:
        yield from walk(network)
    for network in DEPTHWISE_NETWORKS:
        for layer in walk(network, family="depthwise"):
            if layer.depthwise:
                yield layer


def _random_size(rng: random.Random) -> tuple[int, int]:
    """Squares and rectangles, small ones more often, odd and prime sides included."""
    h = int(2 ** rng.uniform(2.3, 7.3))
    return (h, h) if rng.random() < 0.4 else (h, max(3, int(h * rng.uniform(0.4, 2.5))))


def _random_conv(rng: random.Random, name: str) -> ConvLayer:
    h, w = _random_size(rng)
    kind = rng.choice(["dense"] * 6 + ["grouped"] * 2 + ["depthwise"] * 2)
    if kind == "depthwise":
        groups = rng.randint(3, 200)
        cg, kg = 1, rng.choice([1, 1, 1, 2, 3])
    elif kind == "grouped":
        groups = rng.randint(2, 12)
        cg, kg = rng.randint(1, 40), rng.randint(1, 40)
    else:
        groups, cg, kg = 1, int(2 ** rng.uniform(1, 8.5)), int(2 ** rng.uniform(1, 8.5))
    kh = rng.choice([1, 1, 2, 3, 3, 3, 4, 5, 7])
    kw = kh if rng.random() < 0.7 else rng.choice([1, 2, 3, 5, 7])
    stride = rng.choice([(1, 1)] * 5 + [(2, 2)] * 2 + [(2, 1), (1, 3)])
    dilation = rng.choice([(1, 1)] * 5 + [(2, 2), (1, 2), (3, 3)])
    padding = rng.choice([(0, 0, 0, 0), (kh // 2, kh // 2, kw // 2, kw // 2), (0, 1, 2, 0)])
    n = rng.choice([1, 1, 1, 2, 3, 8])
    return ConvLayer(
        id=name,
        family="random",
        n=n,
        c=groups * cg,
        h=h,
        w=w,
        k=groups * kg,
        kh=kh,
        kw=kw,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
    )


def _random_pool(rng: random.Random, name: str) -> PoolLayer:
    h, w = _random_size(rng)
    kind = rng.choice(["max"] * 4 + ["avg"] * 3 + ["global_avg"])
    n, c = rng.choice([1, 1, 2, 5]), rng.randint(1, 300)
    if kind == "global_avg":
        return PoolLayer(id=name, family="random", n=n, c=c, h=h, w=w, kh=h, kw=w, kind=kind)
    kh, kw = rng.choice([(2, 2), (3, 3), (3, 3), (3, 2), (1, 3), (5, 5), (2, 7)])
    stride = rng.choice([(1, 1), (2, 2), (2, 2), (kh, kw), (1, 2)])
    padding = rng.choice([(0, 0, 0, 0), (kh // 2, kh // 2, kw // 2, kw // 2)])
    dilation = rng.choice([(1, 1), (1, 1), (2, 2)]) if kind == "max" else (1, 1)
    return PoolLayer(
        id=name,
        family="random",
        n=n,
        c=c,
        h=h,
        w=w,
        kh=kh,
        kw=kw,
        stride=stride,
        padding=padding,
        dilation=dilation,
        kind=kind,
        ceil_mode=kind == "max" and rng.random() < 0.3,
    )


def worth_timing(case: Timed) -> bool:
    """The window fits, and a call takes neither nanoseconds nor a second."""
    try:
        return 1e5 <= case.macs <= 1.5e8 and case.elements <= 4e6
    except ValueError:  # the window is larger than what it moves over
        return False


def _random_layers() -> Iterable[Case]:
    rng = random.Random(RANDOM_SEED)
    for i in range(RANDOM_COUNT):
        make = _random_pool if i % 4 == 3 else _random_conv
        layer = make(rng, f"random/{i:02d}")
        while not worth_timing(layer):
            layer = make(rng, f"random/{i:02d}")
        yield layer


NETWORK_CASES: tuple[Case, ...] = distinct(_network_layers())
RANDOM_CASES: tuple[Case, ...] = tuple(_random_layers())
CASES: tuple[Case, ...] = NETWORK_CASES + RANDOM_CASES


AnyCase = TypeVar("AnyCase", bound=Entry)


def select(cases: Iterable[AnyCase], pattern: str) -> tuple[AnyCase, ...]:
    """Cases whose name, description or other places match a regular expression.

    What is no valid expression is looked for as it stands; case is ignored.

    Examples
    --------
    >>> [case.id for case in select(CASES, "lenet5/conv")]
    ['lenet5/conv1', 'lenet5/conv2', 'lenet5/conv3']
    """
    try:
        find = re.compile(pattern, re.IGNORECASE).search
    except re.error:
        find = re.compile(re.escape(pattern), re.IGNORECASE).search
    return tuple(
        case for case in cases if any(map(find, (case.id, case.family, case.label, *case.places)))
    )
