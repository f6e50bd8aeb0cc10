"""OpenVINO: a model compiled for latency in float32, and a request that shares our arrays."""

from __future__ import annotations

from functools import partial

import numpy as np

from fastconv.bench.data import Arrays, Variant
from fastconv.bench.engines import Prepared
from fastconv.bench.export_onnx import to_onnx
from fastconv.bench.graphs import graph_of
from fastconv.bench.layers import Case
from fastconv.bench.network_cases import NetworkCase
from fastconv.bench.network_files import NetworkFiles


def start(threads: int) -> None:
    """Nothing: the number of threads is a compiled model's, and comes with the variant."""


def versions() -> dict[str, str]:
    import openvino

    return {"openvino": openvino.__version__.split("-")[0]}


def prepare(case: Case, variant: Variant, arrays: Arrays) -> Prepared:
    model = to_onnx(graph_of(case, arrays), case.x_shape)
    return _request(model.SerializeToString(), variant, arrays.x)


def load(case: NetworkCase, files: NetworkFiles, variant: Variant, x: np.ndarray) -> Prepared:
    return _request(str(files.onnx), variant, x)


def _request(model: bytes | str, variant: Variant, x: np.ndarray) -> Prepared:
    import openvino

    core = openvino.Core()
    # Bytes come with a second argument for weights, which this model holds itself.
    read = core.read_model(model, b"") if isinstance(model, bytes) else core.read_model(model)
    compiled = core.compile_model(
        read,
        "CPU",
        {
            "INFERENCE_NUM_THREADS": variant.threads,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
        },
    )
    out = np.full(tuple(compiled.output(0).shape), np.nan, np.float32)
    request = compiled.create_infer_request()
    request.set_input_tensor(openvino.Tensor(x, shared_memory=True))
    request.set_output_tensor(openvino.Tensor(out, shared_memory=True))
    # With share_outputs the answer is a view of ``out``, not a copy.
    return Prepared(
        partial(request.infer, share_outputs=True), to_array=lambda _: out, winograd=True
    )
