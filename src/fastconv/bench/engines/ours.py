"""fastconv in its prepared form: ``Conv2d`` with packed weights, poolings with ``out=``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import fastconv
from fastconv.bench.data import Arrays, Variant, to_layout
from fastconv.bench.engines import Prepared
from fastconv.bench.layers import Case, ConvLayer, PoolLayer


def start(threads: int) -> None:
    fastconv.set_num_threads(threads)


def versions() -> dict[str, str]:
    return {"fastconv": fastconv.__version__}


def prepare(case: Case, variant: Variant, arrays: Arrays) -> Prepared:
    x = to_layout(arrays.x, variant.channels_last)
    # NaN first: an element that is never written cannot pass the check.
    out = to_layout(np.full(case.out_shape, np.nan, x.dtype), variant.channels_last)
    if isinstance(case, ConvLayer):
        return _prepare_conv(case, variant, arrays, x, out)
    return Prepared(partial(_pool(case), x, channels_last=variant.channels_last, out=out))


def _pool(case: PoolLayer) -> Callable[..., np.ndarray]:
    """fastconv's function, with everything but the arrays filled in."""
    if case.kind == "global_avg":
        return fastconv.global_avg_pool2d
    window: dict[str, Any] = {
        "kernel_size": (case.kh, case.kw),
        "stride": case.stride,
        "padding": case.nested_padding,
        "ceil_mode": case.ceil_mode,
    }
    if case.kind == "max":
        return partial(fastconv.max_pool2d, dilation=case.dilation, **window)
    return partial(fastconv.avg_pool2d, **window)


def _prepare_conv(
    case: ConvLayer, variant: Variant, arrays: Arrays, x: np.ndarray, out: np.ndarray
) -> Prepared:
    conv = fastconv.Conv2d(
        arrays.weight,
        arrays.bias,
        case.stride,
        case.nested_padding,
        case.dilation,
        case.groups,
        channels_last=variant.channels_last,
        input_shape=x.shape,
    )
    plan = conv.explain(x.shape)
    details = {
        "packed_bytes": plan.packed_bytes,
        "scratch_bytes": plan.scratch_bytes,
        "blocking": str(plan.blocking),
    }
    return Prepared(
        partial(conv, x, out=out),
        plan.algorithm,
        details,
        winograd=plan.algorithm.startswith("winograd"),
    )
