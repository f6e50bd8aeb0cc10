"""ncnn: a net of one layer from parameter text and weights, every use of half precision off.

What is timed is an extraction: a new extractor, which ncnn needs for each run, the input handed to
it and the output taken from it.
"""

from __future__ import annotations

import tempfile
from functools import partial
from typing import Any

import numpy as np

from fastconv.bench.data import Arrays, Variant
from fastconv.bench.engines import Prepared
from fastconv.bench.layers import Case, ConvLayer, PoolLayer

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
    import ncnn

    net = ncnn.Net()
    net.opt.num_threads = variant.threads
    net.opt.use_winograd_convolution = True
    net.opt.use_packing_layout = True
    net.opt.blob_allocator, net.opt.workspace_allocator = _allocators
    for option in _NOT_FLOAT32:
        setattr(net.opt, option, False)
    layer, options = _conv(case) if isinstance(case, ConvLayer) else _pool(case)
    words = " ".join(f"{key}={value}" for key, value in options.items())
    _ok(
        "load_param",
        net.load_param_mem(f"7767517\n2 2\nInput x 0 1 x\n{layer} y 1 1 x y {words}\n"),
    )
    with tempfile.NamedTemporaryFile() as file:
        if isinstance(case, ConvLayer):
            # Four zero bytes say that float32 follows.
            file.write(bytes(4) + arrays.weight.tobytes() + arrays.bias.tobytes())
        file.flush()
        _ok("load_model", net.load_model(file.name))
    # The copy has its planes aligned as ncnn aligns its own.
    x = ncnn.Mat(arrays.x, batch_index=0).clone()
    return Prepared(partial(_extract, net, x), to_array=partial(_to_array, case), winograd=True)


def _ok(what: str, status: int) -> None:
    if status:
        raise RuntimeError(f"ncnn: {what} failed with {status}")


def _extract(net: Any, x: Any) -> Any:
    extractor = net.create_extractor()
    extractor.input("x", x)
    status, out = extractor.extract("y")
    _ok("extract", status)
    return out


def _to_array(case: Case, out: Any) -> np.ndarray:
    """A copy: the Mat's memory goes back to the pool with it."""
    array = np.array(out.numpy(batch_index=0))
    whole = isinstance(case, PoolLayer) and case.kind == "global_avg"
    # The means of whole planes have lost their axes of length one.
    return array[:, :, None, None] if whole else array


def _conv(case: ConvLayer) -> tuple[str, dict[int, int]]:
    """Layer type and parameters by ncnn's numbers."""
    top, bottom, left, right = case.padding
    options = {
        0: case.k,
        1: case.kw,
        11: case.kh,
        2: case.dilation[1],
        12: case.dilation[0],
        3: case.stride[1],
        13: case.stride[0],
        4: left,
        15: right,
        14: top,
        16: bottom,
        5: 1,
        6: case.k * case.reduction,
    }
    if case.groups == 1:
        return "Convolution", options
    return "ConvolutionDepthWise", options | {7: case.groups}


def _pool(case: PoolLayer) -> tuple[str, dict[int, int]]:
    """Layer type and parameters by ncnn's numbers; padding counts in an average."""
    if case.kind == "global_avg":
        return "Pooling", {0: 1, 4: 1}
    top, bottom, left, right = case.padding
    full, valid = 0, 1
    return "Pooling", {
        0: int(case.kind == "avg"),
        1: case.kw,
        11: case.kh,
        2: case.stride[1],
        12: case.stride[0],
        3: left,
        14: right,
        13: top,
        15: bottom,
        5: full if case.ceil_mode else valid,
        6: 1,
    }
