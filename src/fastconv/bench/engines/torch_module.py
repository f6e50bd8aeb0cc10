"""PyTorch in its usual form: ``nn`` modules on contiguous tensors, in inference mode.

What has no module is a function of ``nn.functional``; gradients are those of autograd, backward
alone: the forward pass has kept its graph.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial, singledispatch
from typing import Any

import numpy as np

from fastconv.bench.data import Arrays, Variant
from fastconv.bench.engines import Output, Prepared
from fastconv.bench.engines.torch_graph import Program, pads_of
from fastconv.bench.layers import ConvLayer, PoolLayer
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

# Entered once and never left: a user has one such block around many calls.
_forever = ExitStack()


def start(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)
    torch.set_num_interop_threads(1)
    _forever.enter_context(torch.inference_mode())


def versions() -> dict[str, str]:
    import torch

    return {"torch": torch.__version__}


def prepare(case: Timed, variant: Variant, arrays: Arrays, channels_last: bool = False) -> Prepared:
    import torch

    if isinstance(case, Gradient):
        return _gradient(case, arrays)
    memory_format = torch.channels_last if channels_last else torch.preserve_format
    call = _callable(case, arrays)
    if isinstance(call, torch.nn.Module):
        call = call.eval().to(memory_format=memory_format)
    x = torch.from_numpy(arrays.x).to(memory_format=memory_format)
    return Prepared(partial(call, x), to_array=_to_array, winograd=True)


def load(
    case: NetworkCase,
    files: NetworkFiles,
    variant: Variant,
    x: np.ndarray,
    channels_last: bool = False,
) -> Prepared:
    import torch

    memory_format = torch.channels_last if channels_last else torch.preserve_format
    program = Program(case.graph(files.weights), case.shape, memory_format)
    tensor = torch.from_numpy(x).to(memory_format=memory_format)
    return Prepared(partial(program, tensor), to_array=_to_array, winograd=True)


def _to_array(out: Any) -> Output:
    return tuple(each.numpy() for each in out) if isinstance(out, tuple) else out.numpy()


def _gradient(case: Gradient, arrays: Arrays) -> Prepared:
    import torch
    from torch.nn import functional

    # Autograd takes no tensors that were made in inference mode.
    with torch.inference_mode(False):
        operands = {
            name: torch.from_numpy(getattr(arrays, name)).requires_grad_(name in case.wanted)
            for name in ("x", "weight", "bias")
        }
        padded, padding = operands["x"], case.window.even_padding
        if padding is None:
            padded, padding = functional.pad(padded, pads_of(case.window.nested_padding)), (0, 0)
        out = functional.conv2d(
            padded,
            operands["weight"],
            operands["bias"],
            case.window.stride,
            padding,
            case.window.dilation,
            case.groups,
        )
        grad_output = torch.from_numpy(arrays.grad_output)
    run = partial(
        torch.autograd.grad,
        out,
        [operands[name] for name in case.wanted],
        grad_output,
        retain_graph=True,
    )
    return Prepared(run, to_array=_to_array, winograd=True)


def _loaded(module: Any, arrays: Arrays) -> Any:
    import torch

    module.load_state_dict(
        {"weight": torch.from_numpy(arrays.weight), "bias": torch.from_numpy(arrays.bias)}
    )
    return module


@singledispatch
def _callable(case: Timed, arrays: Arrays) -> Any:
    """What is called with the input alone: a module, where there is one."""
    raise TypeError(f"{type(case).__name__} is not served")


@_callable.register(ConvLayer)
@_callable.register(Convolution)
def _conv(case: ConvLayer | Convolution, arrays: Arrays) -> Any:
    from torch import nn

    window, even = case.window, case.window.even_padding
    conv = getattr(nn, f"Conv{window.axes}d")(
        case.c,
        case.k,
        window.kernel,
        window.stride,
        even or 0,
        window.dilation,
        case.groups,
    )
    conv = _loaded(conv, arrays)
    return conv if even else nn.Sequential(nn.ZeroPad2d(pads_of(window.nested_padding)), conv)


@_callable.register(PoolLayer)
@_callable.register(Pooling)
def _pool(case: PoolLayer | Pooling, arrays: Arrays) -> Any:
    from torch import nn

    if case.kind == "global_avg":
        return nn.AdaptiveAvgPool2d(1)
    window = case.window
    assert window.even_padding is not None  # of every pooling among the cases
    options: dict[str, Any] = {
        "kernel_size": window.kernel,
        "stride": window.stride,
        "padding": window.even_padding,
        "ceil_mode": window.ceil_mode,
    }
    if case.kind == "max":
        options["dilation"] = window.dilation
    if isinstance(case, Pooling) and case.indices:
        options["return_indices"] = True
    return getattr(nn, f"{case.kind.capitalize()}Pool{window.axes}d")(**options)


@_callable.register
def _transposed(case: Transposed, arrays: Arrays) -> Any:
    from torch import nn

    window = case.window
    return _loaded(
        nn.ConvTranspose2d(
            case.c,
            case.k,
            window.kernel,
            window.stride,
            window.even_padding,
            case.output_padding,
            case.groups,
            dilation=window.dilation,
        ),
        arrays,
    )


@_callable.register
def _linear(case: Linear, arrays: Arrays) -> Any:
    from torch import nn

    return _loaded(nn.Linear(case.c, case.k), arrays)


@_callable.register
def _unfold(case: Unfold, arrays: Arrays) -> Any:
    from torch import nn

    window = case.window
    return nn.Unfold(window.kernel, window.dilation, window.even_padding, window.stride)


@_callable.register
def _pad(case: Pad, arrays: Arrays) -> Any:
    from torch.nn import functional

    return partial(functional.pad, pad=case.pads, mode=case.mode)
