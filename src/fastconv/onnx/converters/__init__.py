"""The table of operators of ONNX: type -> what makes nodes of a graph of it."""

from fastconv.onnx.call import Converter
from fastconv.onnx.converters import (
    detection,
    elementwise,
    norms,
    quantized,
    reductions,
    resize,
    shaping,
    windows,
)

CONVERTERS: dict[str, Converter] = {
    **detection.CONVERTERS,
    **elementwise.CONVERTERS,
    **norms.CONVERTERS,
    **quantized.CONVERTERS,
    **reductions.CONVERTERS,
    **resize.CONVERTERS,
    **shaping.CONVERTERS,
    **windows.CONVERTERS,
}
