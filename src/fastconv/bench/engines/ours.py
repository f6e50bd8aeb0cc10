"""fastconv in its prepared form: objects with packed weights where there are such, ``out=``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, singledispatch
from typing import Any

import numpy as np

import fastconv
from fastconv.bench.data import Arrays, Variant, to_layout
from fastconv.bench.engines import Prepared
from fastconv.bench.layers import ConvLayer, PoolLayer, Window
from fastconv.bench.network_cases import NetworkCase
from fastconv.bench.network_files import NetworkFiles
from fastconv.bench.operators import (
    Convolution,
    Gradient,
    Linear,
    Pad,
    Pooling,
    Timed,
    Transposed,
    Unfold,
)


def start(threads: int) -> None:
    fastconv.set_num_threads(threads)


def versions() -> dict[str, str]:
    return {"fastconv": fastconv.__version__}


@singledispatch
def _prepare(case: Timed, variant: Variant, arrays: Arrays) -> Prepared:
    raise TypeError(f"{type(case).__name__} is not served")


def prepare(case: Timed, variant: Variant, arrays: Arrays) -> Prepared:
    return _prepare(case, variant, arrays)


def load(case: NetworkCase, files: NetworkFiles, variant: Variant, x: np.ndarray) -> Prepared:
    return Prepared(partial(case.graph(files.weights), x))


def _target(case: Timed, arrays: Arrays) -> np.ndarray:
    """Where to write: NaN first, an element that is never written cannot pass the check."""
    return np.full(case.results[0].shape, np.nan, arrays.x.dtype)


@_prepare.register(ConvLayer)
@_prepare.register(Convolution)
def _conv(case: ConvLayer | Convolution, variant: Variant, arrays: Arrays) -> Prepared:
    window = case.window
    x = to_layout(arrays.x, variant.channels_last)
    layer = (fastconv.Conv1d, fastconv.Conv2d, fastconv.Conv3d)[window.axes - 1]
    conv = layer(
        arrays.weight,
        arrays.bias,
        window.stride,
        window.nested_padding,
        window.dilation,
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
        partial(conv, x, out=to_layout(_target(case, arrays), variant.channels_last)),
        plan.algorithm,
        details,
        winograd=plan.algorithm.startswith("winograd"),
    )


@_prepare.register(PoolLayer)
@_prepare.register(Pooling)
def _pool(case: PoolLayer | Pooling, variant: Variant, arrays: Arrays) -> Prepared:
    last = variant.channels_last
    out = to_layout(_target(case, arrays), last)
    return Prepared(partial(_pooling(case), to_layout(arrays.x, last), channels_last=last, out=out))


def _pooling(case: PoolLayer | Pooling) -> Callable[..., Any]:
    """fastconv's function, with everything but the arrays filled in."""
    if case.kind == "global_avg":
        return fastconv.global_avg_pool2d
    window = case.window
    options: dict[str, Any] = {
        "kernel_size": window.kernel,
        "stride": window.stride,
        "padding": window.nested_padding,
        "ceil_mode": window.ceil_mode,
    }
    if case.kind == "max":
        options["dilation"] = window.dilation
    if isinstance(case, Pooling) and case.indices:
        options["return_indices"] = True
    return partial(getattr(fastconv, f"{case.kind}_pool{window.axes}d"), **options)


def maybe_winograd(window: Window) -> bool:
    """Whether a Winograd algorithm serves it, for functions that do not tell what they took."""
    return window.kernel in ((3, 3), (5, 5)) and set(window.stride) == {1}


@_prepare.register
def _gradient(case: Gradient, variant: Variant, arrays: Arrays) -> Prepared:
    # New arrays, as autograd returns.
    wanted = [_gradient_of(name, case, arrays) for name in case.wanted]
    winograd = maybe_winograd(case.window)
    if len(wanted) == 1:
        return Prepared(wanted[0], winograd=winograd)
    return Prepared(lambda: tuple(call() for call in wanted), winograd=winograd)


def _gradient_of(name: str, case: Gradient, arrays: Arrays) -> Callable[[], np.ndarray]:
    window, grad = case.window, arrays.grad_output
    form = (window.stride, window.nested_padding, window.dilation, case.groups)
    if name == "x":
        return partial(fastconv.grad.conv2d_input, case.x_shape, arrays.weight, grad, *form)
    if name == "weight":
        return partial(fastconv.grad.conv2d_weight, arrays.x, case.weight_shape, grad, *form)
    return partial(fastconv.grad.conv2d_bias, grad)


@_prepare.register
def _transposed(case: Transposed, variant: Variant, arrays: Arrays) -> Prepared:
    window = case.window
    conv = fastconv.ConvTranspose2d(
        arrays.weight,
        arrays.bias,
        window.stride,
        window.nested_padding,
        case.output_padding,
        case.groups,
        window.dilation,
    )
    run = partial(conv, arrays.x, out=_target(case, arrays))
    return Prepared(run, winograd=maybe_winograd(window))


@_prepare.register
def _linear(case: Linear, variant: Variant, arrays: Arrays) -> Prepared:
    linear = fastconv.Linear(arrays.weight, arrays.bias)
    return Prepared(partial(linear, arrays.x, out=_target(case, arrays)))


@_prepare.register
def _unfold(case: Unfold, variant: Variant, arrays: Arrays) -> Prepared:
    window, padding = case.window, case.window.even_padding
    assert padding is not None  # unfold takes no other
    return Prepared(
        partial(
            fastconv.unfold,
            arrays.x,
            window.kernel,
            window.dilation,
            padding,
            window.stride,
            out=_target(case, arrays),
        )
    )


@_prepare.register
def _pad(case: Pad, variant: Variant, arrays: Arrays) -> Prepared:
    return Prepared(
        partial(fastconv.pad, arrays.x, case.pads, case.mode, out=_target(case, arrays))
    )
