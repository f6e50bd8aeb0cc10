"""OpenVINO: a model compiled for latency in float32, and a request that shares our arrays."""

from __future__ import annotations

from functools import partial

import numpy as np

from fastconv.bench.data import Arrays, Variant
from fastconv.bench.engines import Prepared
from fastconv.bench.engines.onnx_model import model_of
from fastconv.bench.layers import Case


def start(threads: int) -> None:
    """Nothing: the number of threads is a compiled model's, and comes with the variant."""


def versions() -> dict[str, str]:
    import openvino

    return {"openvino": openvino.__version__.split("-")[0]}


def prepare(case: Case, variant: Variant, arrays: Arrays) -> Prepared:
    import openvino

    core = openvino.Core()
    compiled = core.compile_model(
        core.read_model(model_of(case, arrays), b""),
        "CPU",
        {
            "INFERENCE_NUM_THREADS": variant.threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
        },
    )
    out = np.full(case.out_shape, np.nan, np.float32)
    request = compiled.create_infer_request()
    request.set_input_tensor(openvino.Tensor(arrays.x, shared_memory=True))
    request.set_output_tensor(openvino.Tensor(out, shared_memory=True))
    # With share_outputs the answer is a view of ``out``, not a copy.
    return Prepared(
        partial(request.infer, share_outputs=True), to_array=lambda _: out, winograd=True
    )
