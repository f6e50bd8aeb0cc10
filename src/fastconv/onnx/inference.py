"""What is known of a model's values before it runs: their dtypes and numbers of axes.

onnx has an inference of its own. Written in C++, it ends the process on some files that are damaged
or made to do harm, and so it is not asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx
import onnx.defs
import onnx.helper
from onnx import NodeProto, TensorProto, ValueInfoProto

from fastconv.onnx.call import Dtype, Known

Sizes: TypeAlias = tuple[int | None, ...]

# By the names of ONNX's definitions; a string has no dtype that arrays of numbers have.
_DTYPES: dict[str, Dtype] = {
    "tensor(float)": np.dtype(np.float32),
    "tensor(double)": np.dtype(np.float64),
    "tensor(float16)": np.dtype(np.float16),
    "tensor(bool)": np.dtype(np.bool_),
    **{
        f"tensor({sign}int{bits})": np.dtype(f"{sign}int{bits}")
        for sign in ("", "u")
        for bits in (8, 16, 32, 64)
    },
}


class ForeignError(Exception):
    """A value is no array of numbers of NumPy's own dtypes."""


def known_of(value: ValueInfoProto) -> Known:
    """Return what a model declares of a value; `ForeignError` if it is not for a graph."""
    kind = value.type.WhichOneof("value")
    if kind is None:
        return Known()
    if kind != "tensor_type":
        raise ForeignError
    tensor = value.type.tensor_type
    dtype = None if tensor.elem_type == TensorProto.UNDEFINED else dtype_of(tensor.elem_type)
    if not tensor.HasField("shape"):
        return Known(dtype)
    declared = [size.dim_value for size in tensor.shape.dim]
    if min(declared, default=0) < -1:  # which some exporters say for what is free
        raise ValueError(f"there are no axes of the sizes {declared}")
    return Known(
        dtype,
        tuple(
            size.dim_value if size.HasField("dim_value") and size.dim_value >= 0 else None
            for size in tensor.shape.dim
        ),
    )


def dtype_of(number: int) -> Dtype:
    """Return the dtype of a number of TensorProto.DataType."""
    try:
        dtype: Dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(number))
    except KeyError:
        raise ValueError(f"there is no type {number} of tensors") from None
    if dtype.isbuiltin != 1 or dtype.kind == "O":
        raise ForeignError
    return dtype


def known_outputs(node: NodeProto, opset: int, known: Mapping[str, Known]) -> list[Known]:
    """Return what is known of a node's outputs from its inputs'.

    `ForeignError` if one is not for a graph.
    """
    if not onnx.defs.has(node.op_type, opset, node.domain):
        return [Known()] * len(node.output)
    schema = onnx.defs.get_schema(node.op_type, opset, node.domain)
    inputs = [known.get(key, Known()) for key in node.input]
    attributes = {attribute.name: attribute for attribute in node.attribute}
    sizes = _sizes(node.op_type, inputs, attributes)
    subgraphs = [a.g for a in node.attribute if a.HasField("g")]
    results = []
    for i in range(len(node.output)):
        if subgraphs:
            results.append(_of_subgraph(node, subgraphs[0].output, i))
        else:
            dtype = _dtype(node, schema, i, inputs, attributes)
            results.append(Known(dtype, sizes))
    return results


def _of_subgraph(node: NodeProto, outputs: Sequence[ValueInfoProto], i: int) -> Known:
    # A loop's graph returns first whether it goes on.
    declared = outputs[i + (node.op_type == "Loop") :][:1]
    return Known(known_of(declared[0]).dtype) if declared else Known()


def _dtype(
    node: NodeProto,
    schema: Any,
    i: int,
    inputs: Sequence[Known],
    attributes: Mapping[str, Any],
) -> Dtype | None:
    """Return the dtype of an output: that of the inputs of the same type, or the only one."""
    for name in ("to", "dtype"):
        if name in attributes:
            return dtype_of(attributes[name].i)
    if node.op_type == "ConstantOfShape":
        value = attributes.get("value")
        return dtype_of(value.t.data_type) if value is not None else np.dtype(np.float32)
    form = schema.outputs[min(i, len(schema.outputs) - 1)]
    last = len(schema.inputs) - 1
    for j, source in enumerate(inputs):
        if last >= 0 and schema.inputs[min(j, last)].type_str == form.type_str and source.dtype:
            return source.dtype
    allowed = next(
        (c.allowed_type_strs for c in schema.type_constraints if c.type_param_str == form.type_str),
        [form.type_str],
    )
    if not any(kind.startswith("tensor(") for kind in allowed):
        raise ForeignError
    if len(allowed) > 1:
        return None
    if allowed[0] not in _DTYPES:
        raise ForeignError
    return _DTYPES[allowed[0]]


# -- axes ------------------------------------------------------------------------------------------

_ALIKE = frozenset(
    [
        "Abs",
        "Acos",
        "Acosh",
        "Asin",
        "Asinh",
        "Atan",
        "Atanh",
        "AveragePool",
        "BatchNormalization",
        "BitwiseNot",
        "Cast",
        "Ceil",
        "Celu",
        "Clip",
        "Conv",
        "ConvInteger",
        "ConvTranspose",
        "Cos",
        "Cosh",
        "CumSum",
        "DepthToSpace",
        "DequantizeLinear",
        "Dropout",
        "Elu",
        "Erf",
        "Exp",
        "Floor",
        "GatherElements",
        "Gelu",
        "GlobalAveragePool",
        "GlobalLpPool",
        "GlobalMaxPool",
        "GridSample",
        "GroupNormalization",
        "HardSigmoid",
        "HardSwish",
        "Hardmax",
        "Identity",
        "InstanceNormalization",
        "IsInf",
        "IsNaN",
        "LRN",
        "LayerNormalization",
        "LeakyRelu",
        "Log",
        "LogSoftmax",
        "LpNormalization",
        "LpPool",
        "MaxPool",
        "MeanVarianceNormalization",
        "Mish",
        "Neg",
        "Not",
        "PRelu",
        "Pad",
        "QLinearConv",
        "QuantizeLinear",
        "Reciprocal",
        "Relu",
        "Resize",
        "Round",
        "ScatterElements",
        "ScatterND",
        "Selu",
        "Shrink",
        "Sigmoid",
        "Sign",
        "Sin",
        "Sinh",
        "Slice",
        "Softmax",
        "Softplus",
        "Softsign",
        "SpaceToDepth",
        "Split",
        "Sqrt",
        "Swish",
        "Tan",
        "Tanh",
        "ThresholdedRelu",
        "Tile",
        "Transpose",
        "Trilu",
        "Upsample",
    ]
)
_BROADCAST = frozenset(
    [
        "Add",
        "And",
        "BitShift",
        "BitwiseAnd",
        "BitwiseOr",
        "BitwiseXor",
        "Concat",
        "Div",
        "Equal",
        "Greater",
        "GreaterOrEqual",
        "Less",
        "LessOrEqual",
        "Max",
        "Mean",
        "Min",
        "Mod",
        "Mul",
        "Or",
        "Pow",
        "Sub",
        "Sum",
        "Where",
        "Xor",
    ]
)
_FIXED = {
    "Flatten": 2,
    "Gemm": 2,
    "Shape": 1,
    "Size": 0,
    "NonMaxSuppression": 2,
    "NonZero": 2,
    "Range": 1,
}


def _sizes(op: str, inputs: Sequence[Known], attributes: Mapping[str, Any]) -> Sizes | None:
    """Return an output's axes, whose sizes are not told, None where their number is unknown."""
    ranks = [None if source.shape is None else len(source.shape) for source in inputs]
    first = ranks[0] if ranks else None
    rank: int | None = None
    if op in _FIXED:
        rank = _FIXED[op]
    elif op in _ALIKE:
        rank = first
    elif op in _BROADCAST:
        rank = _largest(ranks)
    elif op in ("Reshape", "Expand"):
        rank = _length(inputs, attributes, "shape")
    elif op == "Gather" and first is not None and ranks[1] is not None:
        rank = first + ranks[1] - 1
    elif op in ("MatMul", "QLinearMatMul", "MatMulInteger") and first is not None:
        other = ranks[3 if op == "QLinearMatMul" else 1]
        rank = max(first, other) if other is not None and min(first, other) > 1 else None
    elif op in ("Squeeze", "Unsqueeze") and first is not None:
        count = _length(inputs, attributes, "axes")
        if count is not None:
            rank = first + (count if op == "Unsqueeze" else -count)
    elif op.startswith(("Reduce", "Arg")) and first is not None:
        keeps = "keepdims" not in attributes or attributes["keepdims"].i
        count = 1 if op.startswith("Arg") else _length(inputs, attributes, "axes")
        if keeps:
            rank = first
        elif count is not None:
            rank = first - count
    return None if rank is None or rank < 0 else (None,) * rank


def _largest(ranks: Sequence[int | None]) -> int | None:
    return None if None in ranks else max((rank for rank in ranks if rank is not None), default=0)


def _length(inputs: Sequence[Known], attributes: Mapping[str, Any], name: str) -> int | None:
    """Return how many numbers an attribute, or the second input in its stead, holds."""
    if name in attributes:
        return len(attributes[name].ints)
    shape = inputs[1].shape if len(inputs) > 1 else None
    return shape[0] if shape is not None and len(shape) == 1 else None
