"""PyTorch with module and input in the channels-last memory format, the faster one for some."""

from __future__ import annotations

import numpy as np

from fastconv.bench.data import Arrays, Variant
from fastconv.bench.engines import Prepared, torch_module
from fastconv.bench.engines.torch_module import start, versions
from fastconv.bench.layers import Case
from fastconv.bench.network_cases import NetworkCase
from fastconv.bench.network_files import NetworkFiles

__all__ = ["load", "prepare", "start", "versions"]


def prepare(case: Case, variant: Variant, arrays: Arrays) -> Prepared:
    return torch_module.prepare(case, variant, arrays, channels_last=True)


def load(case: NetworkCase, files: NetworkFiles, variant: Variant, x: np.ndarray) -> Prepared:
    return torch_module.load(case, files, variant, x, channels_last=True)
