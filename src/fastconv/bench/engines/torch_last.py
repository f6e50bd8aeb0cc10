"""PyTorch with module and input in the channels-last memory format, the faster one for some."""

from __future__ import annotations

from fastconv.bench.data import Arrays, Variant
from fastconv.bench.engines import Prepared, torch_module
from fastconv.bench.engines.torch_module import start, versions
from fastconv.bench.layers import Case

__all__ = ["prepare", "start", "versions"]


def prepare(case: Case, variant: Variant, arrays: Arrays) -> Prepared:
    return torch_module.prepare(case, variant, arrays, channels_last=True)
