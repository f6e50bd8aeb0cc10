"""ncnn: a net from parameter text and weights, every use of half precision off.

What is timed is an extraction: a new extractor, which ncnn needs for each run, the input handed to
it and the output taken from it.
"""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np

from fastconv.bench.data import Arrays, Variant
from fastconv.bench.engines import Prepared
from fastconv.bench.export_ncnn import to_ncnn
from fastconv.bench.graphs import graph_of
from fastconv.bench.layers import Case, Shape
from fastconv.bench.network_cases import NetworkCase
from fastconv.bench.network_files import NetworkFiles

_NOT_FLOAT32 = (
    "use_fp16_packed",
    "use_fp16_storage",
    "use_fp16_arithmetic",
    "use_bf16_packed",
    "use_bf16_storage",
    "use_int8_packed",
    "use_int8_storage",
    "use_int8_arithmetic",
    "use_int8_inference",
)


# For blobs and for workspace, of the process: every net refers to them, and they must outlive all.
_allocators: list[Any] = []


def start(threads: int) -> None:
    """Take the pools that ncnn's own benchmark uses: they save the allocations of each run.

    The number of threads is a net's option, and comes with the variant.
    """
    import ncnn

    _allocators[:] = ncnn.UnlockedPoolAllocator(), ncnn.PoolAllocator()


def versions() -> dict[str, str]:
    import ncnn

    return {"ncnn": ncnn.__version__}


def prepare(case: Case, variant: Variant, arrays: Arrays) -> Prepared:
    with tempfile.NamedTemporaryFile() as file:
        text = to_ncnn(graph_of(case, arrays), case.x_shape, file)
        file.flush()
        net = net_of(text, file.name, variant.threads)
    return prepared(net, "x", "y", arrays.x, case.out_shape)


def load(case: NetworkCase, files: NetworkFiles, variant: Variant, x: np.ndarray) -> Prepared:
    text, weights = files.ncnn
    net = net_of(text.read_text(encoding="utf-8"), str(weights), variant.threads)
    (given,), (made,) = net.input_names(), net.output_names()
    return prepared(net, given, made, x)


def net_of(text: str, weights: str, threads: int) -> Any:
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_winograd_convolution = True
    net.opt.use_packing_layout = True
    net.opt.blob_allocator, net.opt.workspace_allocator = _allocators
    for option in _NOT_FLOAT32:
        setattr(net.opt, option, False)
    _ok("load_param", net.load_param_mem(text))
    _ok("load_model", net.load_model(weights))
    return net


def _ok(what: str, status: int) -> None:
    if status:
        raise RuntimeError(f"ncnn: {what} failed with {status}")


def prepared(
    net: Any, given: str, made: str, x: np.ndarray, shape: Shape | None = None
) -> Prepared:
    """A net between two blobs; its output gets a shape where it may have lost axes of length 1."""
    import ncnn

    # The copy has its planes aligned as ncnn aligns its own.
    mat = ncnn.Mat(x, batch_index=0).clone()

    def extract() -> Any:
        extractor = net.create_extractor()
        extractor.input(given, mat)
        status, out = extractor.extract(made)
        _ok("extract", status)
        return out

    def to_array(out: Any) -> np.ndarray:
        # A copy: the Mat's memory goes back to the pool with it.
        array = np.array(out.numpy(batch_index=0))
        return array if shape is None else array.reshape(shape)

    return Prepared(extract, to_array=to_array, winograd=True)
