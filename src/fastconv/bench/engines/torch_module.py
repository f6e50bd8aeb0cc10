"""PyTorch in its usual form: ``nn`` modules on contiguous tensors, in inference mode."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import Any

from fastconv.bench.data import Arrays, Variant
from fastconv.bench.engines import Prepared
from fastconv.bench.layers import Case, ConvLayer, PoolLayer

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


def prepare(case: Case, variant: Variant, arrays: Arrays, channels_last: bool = False) -> Prepared:
    import torch

    memory_format = torch.channels_last if channels_last else torch.contiguous_format
    module = _conv(case, arrays) if isinstance(case, ConvLayer) else _pool(case)
    module = module.eval().to(memory_format=memory_format)
    x = torch.from_numpy(arrays.x).contiguous(memory_format=memory_format)
    return Prepared(partial(module, x), to_array=torch.Tensor.numpy, winograd=True)


def _conv(case: ConvLayer, arrays: Arrays) -> Any:
    import torch
    from torch import nn

    top, bottom, left, right = case.padding
    even = top == bottom and left == right
    conv = nn.Conv2d(
        case.c,
        case.k,
        (case.kh, case.kw),
        case.stride,
        (top, left) if even else 0,
        case.dilation,
        case.groups,
    )
    conv.load_state_dict(
        {"weight": torch.from_numpy(arrays.weight), "bias": torch.from_numpy(arrays.bias)}
    )
    return conv if even else nn.Sequential(nn.ZeroPad2d((left, right, top, bottom)), conv)


def _pool(case: PoolLayer) -> Any:
    from torch import nn

    if case.kind == "global_avg":
        return nn.AdaptiveAvgPool2d(1)
    top, bottom, left, right = case.padding
    assert (top, left) == (bottom, right)  # of every pooling among the cases
    window: dict[str, Any] = {
        "kernel_size": (case.kh, case.kw),
        "stride": case.stride,
        "padding": (top, left),
        "ceil_mode": case.ceil_mode,
    }
    if case.kind == "max":
        return nn.MaxPool2d(dilation=case.dilation, **window)
    return nn.AvgPool2d(**window)
