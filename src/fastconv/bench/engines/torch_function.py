"""PyTorch's ``nn.functional.conv2d``, in inference mode: the counterpart of ``ours_function``."""

from __future__ import annotations

from typing import Any

from fastconv.bench.data import Arrays, Variant
from fastconv.bench.engines import Prepared
from fastconv.bench.engines.torch_module import start, versions
from fastconv.bench.layers import ConvLayer

__all__ = ["prepare", "start", "versions"]


def prepare(case: ConvLayer, variant: Variant, arrays: Arrays) -> Prepared:
    import torch
    from torch.nn import functional

    x, weight, bias = map(torch.from_numpy, (arrays.x, arrays.weight, arrays.bias))
    top, bottom, left, right = case.padding
    even = top == bottom and left == right
    padding = (top, left) if even else 0

    def run() -> Any:
        # conv2d takes one number for two borders; uneven ones are added before it.
        padded = x if even else functional.pad(x, (left, right, top, bottom))
        return functional.conv2d(
            padded, weight, bias, case.stride, padding, case.dilation, case.groups
        )

    return Prepared(run, to_array=torch.Tensor.numpy, winograd=True)
