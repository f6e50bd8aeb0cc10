"""fastconv's one-shot form: ``conv2d`` on weights as they come, with a new output every time."""

from __future__ import annotations

from functools import partial

import fastconv
from fastconv.bench.data import Arrays, Variant
from fastconv.bench.engines import Prepared
from fastconv.bench.engines.ours import maybe_winograd, start, versions
from fastconv.bench.layers import ConvLayer

__all__ = ["prepare", "start", "versions"]


def prepare(case: ConvLayer, variant: Variant, arrays: Arrays) -> Prepared:
    return Prepared(
        partial(
            fastconv.conv2d,
            arrays.x,
            arrays.weight,
            arrays.bias,
            case.stride,
            case.nested_padding,
            case.dilation,
            case.groups,
        ),
        winograd=maybe_winograd(case.window),
    )
