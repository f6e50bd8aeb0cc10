"""The operators that have a converter, each in models of one node: what the tests run through."""

import numpy as np
from case_values import RNG, Case, X, f, i, i64, n, p, s8, u8

LINE, VOLUME = f(2, 4, 13), f(1, 4, 5, 6, 7)

CONVOLUTIONS = [
    *(
        Case("Conv", (X, f(8, 6, 3, 3), f(8)), attributes)
        for attributes in (
            {},
            {"pads": [1, 2, 0, 1], "strides": [2, 1]},
            {"auto_pad": "SAME_UPPER", "strides": [2, 3], "kernel_shape": [3, 3]},
            {"auto_pad": "SAME_LOWER", "strides": [2, 2]},
            {"auto_pad": "VALID", "dilations": [2, 2]},
        )
    ),
    Case("Conv", (X, f(4, 3, 2, 4)), {"group": 2, "auto_pad": "SAME_LOWER"}),
    Case("Conv", (X, f(12, 1, 3, 3), f(12)), {"group": 6, "pads": [1, 1, 1, 1]}, constant=(1, 2)),
    Case("Conv", (LINE, f(5, 4, 3)), {"pads": [1, 0], "strides": [2]}),
    Case("Conv", (VOLUME, f(3, 4, 2, 3, 2), f(3)), {"pads": [1, 1, 0, 0, 1, 1]}, opset=11),
    *(
        Case("ConvTranspose", (X, f(6, 4, 3, 3), f(4)), attributes)
        for attributes in (
            {},
            {"strides": [2, 3], "pads": [1, 0, 1, 2], "output_padding": [1, 2]},
            {"strides": [2, 2], "auto_pad": "SAME_UPPER"},
            {"strides": [3, 2], "auto_pad": "SAME_LOWER"},
            {"strides": [3, 2], "auto_pad": "VALID", "dilations": [2, 2]},
            {"strides": [2, 2], "output_shape": [18, 23]},
            {"strides": [2, 2], "output_shape": [17, 22], "auto_pad": "SAME_UPPER"},
            {"strides": [3, 3], "output_shape": [29, 34]},
        )
    ),
    Case("ConvTranspose", (X, f(6, 2, 2, 3), f(4)), {"group": 2, "strides": [2, 2]}),
    Case("ConvTranspose", (LINE, f(4, 3, 3)), {"strides": [2], "auto_pad": "SAME_LOWER"}),
    Case("ConvTranspose", (VOLUME, f(4, 2, 3, 2, 2)), {"strides": [1, 2, 2]}, opset=11),
]

INTEGERS = [
    Case("ConvInteger", (u8(1, 3, 7, 8), u8(4, 3, 3, 3), n(130, np.uint8))),
    Case(
        "ConvInteger",
        (u8(2, 300, 7, 8), u8(4, 300, 3, 3), n(130, np.uint8), n(7, np.uint8)),
        {"pads": [1, 1, 1, 1], "strides": [2, 1]},
    ),
    Case("ConvInteger", (u8(1, 4, 5, 6), s8(2, 2, 2, 2)), {"group": 2, "auto_pad": "SAME_UPPER"}),
    *(
        Case(
            "QLinearConv",
            (x, n(0.02), zero, s8(5, 4, 3, 3), scales, zeros, n(0.7), out_zero, bias),
            {"pads": [1, 1, 0, 1]},
            constant=(3, 4, 5, 8),
        )
        for x, zero, out_zero in (
            (u8(2, 4, 9, 8), n(120, np.uint8), n(128, np.uint8)),
            (s8(2, 4, 9, 8), n(-3, np.int8), n(5, np.int8)),
        )
        for scales, zeros in (
            (n(0.03), n(0, np.int8)),
            (p(5) * np.float32(0.03), np.zeros(5, np.int8)),
        )
        for bias in (None, RNG.integers(-5000, 5000, 5).astype(np.int32))
    ),
    Case("MatMulInteger", (u8(3, 40), u8(40, 5), n(12, np.uint8), n(99, np.uint8)), opset=10),
    Case("MatMulInteger", (u8(2, 3, 40), s8(2, 40, 5), n(12, np.uint8))),
    Case(
        "QLinearMatMul",
        (
            u8(3, 20),
            n(0.02),
            n(100, np.uint8),
            s8(20, 4),
            n(0.1),
            n(2, np.int8),
            n(0.5),
            n(128, np.uint8),
        ),
    ),
    Case("QuantizeLinear", (f(3, 40) * 90, n(0.75), n(128, np.uint8))),
    Case("QuantizeLinear", (f(3, 40) * 90, n(0.75))),
    Case("QuantizeLinear", (f(3, 4, 5) * 90, p(4), s8(4)), {"axis": 1}),
    Case("QuantizeLinear", (np.arange(-8, 8, dtype=np.float32) / 2, n(1), n(0, np.int8)), opset=10),
    Case("DequantizeLinear", (u8(3, 40), n(0.1), n(128, np.uint8))),
    Case("DequantizeLinear", (s8(3, 4, 5), p(5), s8(5)), {"axis": -1}),
    Case("DequantizeLinear", (i64(30).astype(np.int32), n(0.5))),
    Case("DynamicQuantizeLinear", (f(5, 6),), outputs=3, opset=11),
]

WINDOW = {"kernel_shape": [3, 2], "strides": [2, 2]}
POOLS = [
    *(
        Case(op, (X,), {**WINDOW, **attributes}, opset)
        for op in ("MaxPool", "AveragePool", "LpPool")
        for opset, attributes in (
            (11, {}),
            (11, {"pads": [1, 1, 0, 0]}),
            (11, {"auto_pad": "SAME_UPPER"}),
            (11, {"auto_pad": "SAME_LOWER"}),
            (11, {"auto_pad": "VALID"}),
            (18, {"pads": [1, 0, 1, 1], "ceil_mode": 1}),
            (19, {"strides": [3, 4], "ceil_mode": 1}),
            (19, {"dilations": [2, 3]}),
            (19, {"dilations": [2, 3], "pads": [1, 1, 2, 1], "strides": [1, 1]}),
            (19, {"pads": [2, 1, 2, 1]}),
        )
        if op == "LpPool" or "dilations" not in attributes or opset == 19
    ),
    Case("LpPool", (LINE,), {"kernel_shape": [4], "p": 3}),
    Case("LpPool", (X,), {**WINDOW, "p": 1}),
    *(
        Case(op, (X,), {"kernel_shape": [10, 2], "strides": [4, 1], "ceil_mode": 1}, 19)
        for op in ("MaxPool", "AveragePool", "LpPool")
    ),
    Case("MaxPool", (X,), {**WINDOW, "pads": [2, 1, 0, 1], "ceil_mode": 1, "strides": [9, 4]}),
    *(
        Case("AveragePool", (X,), {**WINDOW, "count_include_pad": 1, **attributes}, 19)
        for attributes in (
            {"pads": [1, 1, 1, 1]},
            {"pads": [1, 1, 1, 1], "ceil_mode": 1, "strides": [3, 4]},
            {"pads": [2, 1, 0, 1]},
            {"pads": [1, 1, 1, 1], "dilations": [2, 2]},
        )
    ),
    *(
        Case("MaxPool", (X,), {**WINDOW, "storage_order": order, **attributes}, outputs=2)
        for order in (0, 1)
        for attributes in ({}, {"pads": [1, 1, 1, 0]}, {"ceil_mode": 1}, {"dilations": [2, 2]})
    ),
    *(
        Case(
            "MaxPool",
            (x,),
            {**WINDOW, "storage_order": order, "pads": [2, 1, 0, 1], **attributes},
            outputs=2,
        )
        for x in (X, s8(1, 2, 4, 5) // 64, np.full((1, 2, 4, 5), -128, np.int8))
        for order in (0, 1)
        for attributes in (
            {"strides": [1, 1]},
            {"ceil_mode": 1},
            {"kernel_shape": [4, 3], "pads": [3, 2, 3, 2]},
        )
    ),
    Case("MaxPool", (LINE,), {"kernel_shape": [3]}, outputs=2),
    Case("MaxPool", (VOLUME,), {"kernel_shape": [2, 3, 2]}, outputs=2),
    Case("MaxPool", (u8(1, 3, 8, 8),), WINDOW),
    Case("MaxPool", (s8(1, 3, 8, 8),), {**WINDOW, "pads": [1, 1, 1, 1]}),
    Case("MaxPool", (X,), {"kernel_shape": [2, 2]}, opset=7),
    Case("AveragePool", (VOLUME[..., :2, :],), {"kernel_shape": [3, 3, 3], "pads": [1] * 6}),
    Case("AveragePool", (VOLUME[..., :2],), {"kernel_shape": [2, 2, 3], "auto_pad": "SAME_UPPER"}),
    Case("AveragePool", (VOLUME,), {"kernel_shape": [2, 2, 3], "pads": [0, 1, 1, 1, 0, 1]}),
    *(
        Case(op, (x,))
        for op in ("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
        for x in (X, LINE, VOLUME)
    ),
    Case("GlobalLpPool", (X,), {"p": 3}),
    *(
        Case("LRN", (X,), {"size": size, "alpha": 0.3, "beta": 0.6, "bias": 1.5}, tolerance=1e-5)
        for size in (1, 3, 5)
    ),
    Case(
        "Col2Im",
        (f(1, 3 * 2 * 3, 12), i(5, 5), i(2, 3)),
        {"strides": [1, 1]},
        18,
        constant=(1, 2),
    ),
    Case(
        "Col2Im",
        (f(2, 2 * 4, 9), i(5, 5), i(2, 2)),
        {"pads": [1, 1, 1, 1], "strides": [2, 2], "dilations": [2, 2]},
        18,
        constant=(1, 2),
    ),
    Case(
        "MaxUnpool",
        (f(1, 1, 2, 2), i64(1, 1, 2, 2, low=0, high=16)),
        {"kernel_shape": [2, 2], "strides": [2, 2]},
    ),
]

NORMS = [
    Case("BatchNormalization", (X, p(6), f(6), f(6), p(6)), {"epsilon": 1e-3}, opset)
    for opset in (7, 9, 14, 15)
]
NORMS += [
    Case("BatchNormalization", (f(3, 5), p(5), f(5), f(5), p(5))),
    Case("BatchNormalization", (VOLUME, p(4), f(4), f(4), p(4))),
    Case("InstanceNormalization", (X, p(6), f(6)), {"epsilon": 1e-2}, tolerance=1e-5),
    Case("InstanceNormalization", (LINE, p(4), f(4)), tolerance=1e-5),
    Case("LayerNormalization", (X, p(11), f(11)), tolerance=1e-5),
    Case("LayerNormalization", (X, p(9, 11)), {"axis": -2}, tolerance=1e-5),
    Case("LayerNormalization", (X, p(11)), outputs=3, tolerance=1e-5),
    Case("GroupNormalization", (X, p(6), f(6)), {"num_groups": 2}, 21, tolerance=1e-5),
    Case("LpNormalization", (f(4, 5),), {"axis": 0, "p": 1}),
    Case("LpNormalization", (f(4, 5),), {}),
    Case("MeanVarianceNormalization", (X,), {}, 13, tolerance=1e-5),
    *(
        Case(op, (x,), attributes, opset, tolerance=1e-5)
        for op in ("Softmax", "LogSoftmax", "Hardmax")
        for opset in (11, 13)
        for attributes in ({}, {"axis": 0}, {"axis": 2}, {"axis": -1})
        for x in (f(2, 3, 4),)
    ),
    Case("Softmax", (f(2, 5, 1, 1),), {"axis": 1}, 9),
    Case("Gemm", (f(3, 7), f(7, 5), f(5)), constant=(1, 2)),
    Case("Gemm", (f(3, 7), f(5, 7), f(5)), {"transB": 1}, constant=(1, 2)),
    Case(
        "Gemm", (f(7, 3), f(5, 7), f(3, 1)), {"transA": 1, "transB": 1, "alpha": 0.5, "beta": 2.0}
    ),
    Case("Gemm", (f(3, 7), f(7, 5), n(1.5)), {"beta": 0.25}, constant=(2,)),
    Case("Gemm", (f(3, 7), f(7, 5)), {"alpha": 3.0}),
    Case("Gemm", (f(3, 7), f(7, 5), f(1, 5))),
    Case("MatMul", (f(3, 7), f(7, 5)), constant=(1,)),
    Case("MatMul", (f(2, 3, 7), f(7, 5))),
    Case("MatMul", (f(7), f(2, 7, 5))),
    Case("MatMul", (i64(3, 7), i64(7, 5))),
    Case("Einsum", (f(3, 4), f(4, 5)), {"equation": "ij,jk->ki"}),
]

UNARY = [
    "Abs",
    "Ceil",
    "Cos",
    "Erf",
    "Exp",
    "Floor",
    "Neg",
    "Reciprocal",
    "Round",
    "Sigmoid",
    "Sign",
    "Sin",
    "Softplus",
    "Softsign",
    "Tanh",
    "Tan",
    "Sinh",
    "Cosh",
    "Asinh",
    "Atan",
    "Identity",
    "Relu",
    "HardSwish",
    "Elu",
    "Selu",
    "Celu",
    "LeakyRelu",
    "HardSigmoid",
    "ThresholdedRelu",
    "Shrink",
]
WIDE = np.linspace(-6, 6, 97, dtype=np.float32)
ELEMENTWISE = [
    *(Case(op, (WIDE,), tolerance=1e-5) for op in UNARY),
    *(Case(op, (WIDE / 7,), tolerance=1e-5) for op in ("Acos", "Asin", "Atanh")),
    *(Case(op, (p(40),), tolerance=1e-5) for op in ("Log", "Sqrt")),
    Case("Acosh", (p(9) + 1,), tolerance=1e-5),
    Case("Mish", (WIDE,), {}, 18, tolerance=1e-5),
    Case("Gelu", (WIDE,), {}, 20, tolerance=1e-5),
    Case("Gelu", (WIDE,), {"approximate": "tanh"}, 20, tolerance=1e-5),
    Case("Swish", (WIDE,), {}, 24, tolerance=1e-5),
    Case("Swish", (WIDE,), {"alpha": 1.5}, 24, tolerance=1e-5),
    Case("Elu", (WIDE,), {"alpha": 1.5}),
    Case("Selu", (WIDE,), {"alpha": 1.5, "gamma": 0.5}),
    Case("Celu", (WIDE,), {"alpha": 1.5}),
    Case("HardSigmoid", (WIDE,), {"alpha": 0.3, "beta": 0.4}),
    Case("LeakyRelu", (WIDE,), {"alpha": 0.3}),
    Case("ThresholdedRelu", (WIDE,), {"alpha": 2.0}),
    Case("Shrink", (WIDE,), {"lambd": 1.5, "bias": 0.5}),
    Case("PRelu", (X, f(6, 1, 1))),
    Case("Relu", (s8(20),), {}, 14),
    Case("Relu", (WIDE.astype(np.float64),)),
    Case("Clip", (WIDE,), {"min": -1.0, "max": 2.0}, 6),
    Case("Clip", (WIDE,), {"max": 2.0}, 6),
    Case("Clip", (WIDE, n(-1), n(2)), constant=(1, 2)),
    Case("Clip", (WIDE, None, n(6)), constant=(2,)),
    Case("Clip", (WIDE, n(0)), constant=(1,)),
    Case("Clip", (WIDE, n(-1), n(2))),
    Case("Clip", (i64(20), n(-3, np.int64), n(4, np.int64)), constant=(1, 2)),
    Case("IsNaN", (np.array([1, np.nan, np.inf], np.float32),)),
    Case("IsInf", (np.array([1, -np.inf, np.inf], np.float32),), {"detect_negative": 0}),
    Case("Not", (np.array([True, False]),)),
    *(Case(op, (f(3, 1, 5), f(4, 1))) for op in ("Add", "Sub", "Mul", "Div", "Max", "Min")),
    *(Case(op, (i64(3, 1, 5), i64(4, 1))) for op in ("Add", "Sub", "Mul")),
    Case("Div", (i64(40), i64(40, low=1))),
    Case("Div", (i64(40).astype(np.int32), i64(40, low=-9, high=-1).astype(np.int32))),
    Case("Pow", (p(3, 4), f(4)), tolerance=1e-5),
    Case("Pow", (i64(9), n(2, np.int64)), {}),
    Case("Pow", (f(9), n(3, np.int64))),
    Case("Mod", (i64(40), i64(40, low=1))),
    Case("Mod", (f(40), p(40)), {"fmod": 1}),
    Case("Sum", (X, f(6, 1, 1), X)),
    Case("Sum", (X,)),
    Case("Mean", (X, f(6, 1, 1), X)),
    Case("Max", (X, f(6, 1, 1), f(11))),
    Case("Min", (i64(9), i64(9), i64(9))),
    *(
        Case(op, (i64(5, 8), i64(8)))
        for op in ("Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual")
    ),
    *(Case(op, (i64(9) > 0, i64(9) > 0)) for op in ("And", "Or", "Xor")),
    *(Case(op, (i64(9), i64(9)), {}, 18) for op in ("BitwiseAnd", "BitwiseOr", "BitwiseXor")),
    Case("BitwiseNot", (i64(9),), {}, 18),
    Case("BitShift", (u8(9), u8(9) % np.uint8(8)), {"direction": "LEFT"}),
    Case("BitShift", (u8(9), u8(9) % np.uint8(8)), {"direction": "RIGHT"}),
    Case("Where", (i64(5, 1) > 0, f(5, 4), f(4))),
    *(
        Case("Cast", (x,), {"to": to})
        for x in (WIDE, i64(9), u8(9), i64(9) > 0)
        for to in (1, 6, 7, 9, 10, 11)
    ),
]

SHAPING = [
    Case("Reshape", (X, i(2, -1, 11)), constant=(1,)),
    Case("Reshape", (X, i(0, 0, -1))),
    Case("Reshape", (f(0, 3), i(3, 0)), {"allowzero": 1}),
    Case("Reshape", (X,), {"shape": [0, -1]}, 1),
    *(Case("Flatten", (X,), {"axis": axis}) for axis in (0, 1, 2, -1)),
    Case("Flatten", (X,)),
    Case("Squeeze", (f(1, 3, 1, 2),)),
    Case("Squeeze", (f(1, 3, 1, 2), i(-2))),
    Case("Squeeze", (f(1, 3, 1, 2),), {"axes": [0]}, 11),
    Case("Unsqueeze", (f(3, 2), i(0, -1))),
    Case("Unsqueeze", (f(3, 2),), {"axes": [1, 3]}, 11),
    Case("Transpose", (X,), {"perm": [0, 2, 3, 1]}),
    Case("Transpose", (X,)),
    Case("Shape", (X,)),
    Case("Shape", (X,), {"start": -3, "end": 3}),
    Case("Size", (X,)),
    Case("Expand", (f(3, 1), i(2, 1, 4))),
    Case("Tile", (f(3, 2), i(2, 3))),
    Case("Dropout", (X,), {}, 11),
    Case("Dropout", (X, n(0.5)), {}, outputs=2),
    Case("Dropout", (X,), {"ratio": 0.3}, 9),
    Case("Concat", (f(2, 3), f(2, 4), f(2, 1)), {"axis": -1}),
    Case("Split", (f(2, 9),), {"axis": 1}, outputs=3),
    Case("Split", (f(2, 9), i(2, 3, 4)), {"axis": 1}, outputs=3, constant=(1,)),
    Case("Split", (f(2, 9),), {"axis": 1, "split": [4, 5]}, 11, outputs=2),
    Case("Split", (f(2, 10),), {"axis": -1, "num_outputs": 4}, 18, outputs=4),
    Case("Slice", (X, i(1, -3), i(5, 100), i(1, -1), i(2, 1))),
    Case("Slice", (X, i(-1), i(-1000), i(2), i(-2))),
    Case("Slice", (X, i(-12, 99), i(-99, -99), i(2, 3), i(-1, -2))),
    Case("Slice", (X, i(-(2**31)), i(-(2**63)), i(2), i(-2))),
    Case("Slice", (X, i(-12), i(2), i(2), i(-1))),
    Case("Slice", (X, i(0, 2), i(2, -1))),
    Case("Slice", (X,), {"starts": [1, 2], "ends": [3, 9], "axes": [1, 3]}, 9),
    Case("Gather", (X, i64(2, 3, low=-6, high=6)), {"axis": 1}),
    Case("Gather", (X, n(1, np.int64)), {"axis": -1}),
    Case("GatherElements", (f(3, 4), i64(3, 2, low=-4, high=4)), {"axis": 1}),
    Case("ScatterElements", (f(3, 4), i(0, 2, 1, 1).reshape(2, 2), f(2, 2)), {"axis": 1}),
    Case(
        "ScatterElements",
        (f(3, 4), i(0, 0, 1, -1).reshape(1, 4) % 3, f(1, 4)),
        {"reduction": "add"},
        18,
    ),
    Case("NonZero", (i64(4, 5, low=0, high=2),)),
    *(
        Case("Pad", (X, i(0, 0, 1, 2, 0, 0, 3, 0)), {"mode": mode})
        for mode in ("constant", "reflect", "edge")
    ),
    Case("Pad", (X, i(0, 1, -2, 0, 0, 0, 1, -3), n(2.5))),
    Case("Pad", (X, i(1, 2), None, i(-1)), {"mode": "wrap"}, 19),
    Case("Pad", (X,), {"pads": [0, 0, 1, 1, 0, 0, 1, 1], "value": 1.5}, 9),
    *(Case("DepthToSpace", (f(1, 8, 3, 2),), {"blocksize": 2, "mode": m}) for m in ("DCR", "CRD")),
    Case("SpaceToDepth", (f(1, 2, 4, 6),), {"blocksize": 2}),
    Case("ConstantOfShape", (i(2, 3),)),
    Case("Range", (n(3, np.int64), n(20, np.int64), n(4, np.int64))),
    Case("Range", (n(3), n(-2), n(-0.5))),
    *(
        Case(op, (x,), {"axis": 1, **attributes})
        for op in ("ArgMax", "ArgMin")
        for x in (i64(4, 9, low=0, high=4), f(3, 5))
        for attributes in ({}, {"keepdims": 0}, {"select_last_index": 1})
    ),
    Case("TopK", (f(3, 8), i(3)), {}, outputs=2),
    Case("CumSum", (f(3, 8), n(1, np.int64))),
]

REDUCTIONS = [
    Case(f"Reduce{kind}", (p(2, 3, 4, 5),), attributes, 11, tolerance=1e-5)
    for kind in [
        "L1",
        "L2",
        "LogSum",
        "LogSumExp",
        "Max",
        "Mean",
        "Min",
        "Prod",
        "Sum",
        "SumSquare",
    ]
    for attributes in ({}, {"axes": [1, -1]}, {"axes": [2, 3], "keepdims": 0}, {"axes": [2, 3]})
]
REDUCTIONS += [
    Case("ReduceSum", (f(2, 3, 4), i(1)), {"keepdims": 0}),
    Case("ReduceSum", (f(2, 3, 4),), {"noop_with_empty_axes": 1}),
    Case("ReduceMean", (f(2, 3, 4, 5), i(-1, -2)), {}, 18, constant=(1,)),
    Case("ReduceMax", (i64(2, 3, 4), i(0)), {}, 18),
]

RESIZES = [
    *(
        Case(
            "Resize",
            (X, None, scales),
            {"mode": mode, "coordinate_transformation_mode": how},
            13,
            constant=(2,),
            tolerance=1e-5,
        )
        for mode in ("nearest", "linear", "cubic")
        for how in ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric")
        for scales in (np.array([1, 1, 2, 2], np.float32), np.array([1, 1, 0.6, 1.7], np.float32))
    ),
    *(
        Case("Resize", (X, None, None, i(2, 6, *sizes)), {"mode": mode}, 13, tolerance=1e-5)
        for mode in ("nearest", "linear")
        for sizes in ((5, 30), (1, 7))
    ),
    *(
        Case(
            "Resize",
            (X, None, np.array([2.0, 3.0], np.float32)),
            {"nearest_mode": mode, "axes": [2, 3]},
            18,
        )
        for mode in ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")
    ),
    *(
        Case(
            "Resize",
            (X, None, None, i(4, 20)),
            {"axes": [2, 3], "keep_aspect_ratio_policy": policy, "mode": "linear"},
            18,
            tolerance=1e-5,
        )
        for policy in ("not_larger", "not_smaller")
    ),
    *(
        Case(
            "Resize",
            (X, None, np.array([1, 1, 0.4, 0.5], np.float32)),
            {"mode": mode, "antialias": 1},
            18,
            tolerance=1e-5,
        )
        for mode in ("linear", "cubic")
    ),
    Case(
        "Resize",
        (X, np.array([0, 0, 0.1, 0.2, 1, 1, 0.8, 1.2], np.float32), None, i(2, 6, 5, 8)),
        {
            "mode": "linear",
            "coordinate_transformation_mode": "tf_crop_and_resize",
            "extrapolation_value": 9.0,
        },
        13,
        tolerance=1e-5,
    ),
    Case("Resize", (X, np.array([1, 1, 2, 3], np.float32)), {"mode": "linear"}, 10, tolerance=1e-5),
    Case("Upsample", (X, np.array([1, 1, 2, 3], np.float32)), {}, 9, constant=(1,)),
    Case("Upsample", (X,), {"scales": [1.0, 1.0, 2.0, 2.0], "mode": "linear"}, 7, tolerance=1e-5),
]

PLACES = RNG.uniform(-1.3, 1.3, (2, 3, 4, 2)).astype(np.float32)
CORNERS = RNG.uniform(0, 1, (2, 12, 4)).astype(np.float32)
SCORES = RNG.integers(0, 9, (2, 3, 12)).astype(np.float32)  # with ties
DETECTION = [
    *(
        Case(
            "GridSample",
            (X, PLACES * scale),
            {"mode": mode, "padding_mode": padding, "align_corners": align},
            opset,
            tolerance=1e-5,
        )
        for opset, modes in (
            (16, ("bilinear", "nearest", "bicubic")),
            (20, ("linear", "nearest", "cubic")),
        )
        for mode in modes
        for padding in ("zeros", "border", "reflection")
        for align in (0, 1)
        for scale in (1, 3)
    ),
    Case("GridSample", (X, PLACES), {}, 16, tolerance=1e-5),
    Case("GridSample", (VOLUME, f(1, 2, 3, 4, 3)), {}, 20, tolerance=1e-5),
    Case("NonMaxSuppression", (CORNERS, SCORES)),
    Case("NonMaxSuppression", (CORNERS, SCORES, i(4))),
    Case("NonMaxSuppression", (CORNERS, SCORES, i(4), None, n([3]))),
    Case("NonMaxSuppression", (CORNERS, SCORES, i(9), n([0.3]), n([2])), {"center_point_box": 1}),
    Case("NonMaxSuppression", (CORNERS, SCORES, i(9), n([0.1]))),
    Case("NonMaxSuppression", (CORNERS, SCORES, i(9), n([1.0]))),
]

# Pairs of cases that mean the same; ONNX Runtime serves the second alone.
PADDED = np.pad(X, ((0, 0), (0, 0), (2, 2), (1, 1)))
WEIGHT, ROW, PLANE, FACTORS = f(8, 6, 3, 3), f(6), f(9, 11), (f(3, 7), f(7, 5), f(1, 5))
GAINS, SHIFTS = p(3), f(3)
EQUIVALENT = [
    (
        Case("Conv", (X, WEIGHT), {"auto_pad": "SAME_UPPER", "dilations": [2, 1]}),
        Case("Conv", (X, WEIGHT), {"pads": [2, 1, 2, 1], "dilations": [2, 1]}),
    ),
    (
        Case("AveragePool", (X,), {**WINDOW, "pads": [2, 1, 2, 1], "count_include_pad": 1}),
        Case("AveragePool", (PADDED,), WINDOW),
    ),
    (
        Case("LpPool", (X,), {**WINDOW, "pads": [2, 1, 2, 1], "auto_pad": "NOTSET"}, 11),
        Case("LpPool", (PADDED,), WINDOW, 11),
    ),
    (
        Case("MaxPool", (np.abs(X),), {**WINDOW, "pads": [2, 1, 2, 1]}),
        Case("MaxPool", (np.abs(PADDED),), WINDOW),
    ),
    (
        Case("GroupNormalization", (X, GAINS, SHIFTS), {"num_groups": 3}, 18),
        Case("GroupNormalization", (X, GAINS.repeat(2), SHIFTS.repeat(2)), {"num_groups": 3}, 21),
    ),
    (Case("Gemm", FACTORS, {"broadcast": 1}, 6), Case("Gemm", FACTORS)),
    (Case("PRelu", (X, ROW), {}, 6), Case("PRelu", (X, ROW.reshape(6, 1, 1)))),
    *(
        (Case(op, (X, ROW), {"broadcast": 1, "axis": 1}, 6), Case(op, (X, ROW.reshape(6, 1, 1))))
        for op in ("Add", "Sub", "Mul", "Div")
    ),
    (Case("Mul", (X, PLANE), {"broadcast": 1}, 6), Case("Mul", (X, PLANE))),
    (Case("Relu", (X,), {"consumed_inputs": [0]}, 1), Case("Relu", (X,))),
    (Case("Concat", (X, X), {}, 1), Case("Concat", (X, X), {"axis": 1})),
    (
        Case("Upsample", (X,), {"width_scale": 3.0, "height_scale": 2.0}, 1),
        Case("Upsample", (X, np.array([1, 1, 2, 3], np.float32)), {}, 9),
    ),
    (
        Case("Pad", (X,), {"paddings": [0, 0, 1, 1, 0, 0, 1, 1]}, 1),
        Case("Pad", (X,), {"pads": [0, 0, 1, 1, 0, 0, 1, 1]}, 9),
    ),
]

CASES = [
    *CONVOLUTIONS,
    *INTEGERS,
    *POOLS,
    *NORMS,
    *ELEMENTWISE,
    *SHAPING,
    *REDUCTIONS,
    *RESIZES,
    *DETECTION,
]
