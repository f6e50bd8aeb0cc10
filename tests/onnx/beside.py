"""Small models of one operator, run by fastconv and by ONNX Runtime."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

import fastconv.onnx

# Of what ONNX Runtime knows at most: models of a newer IR it refuses.
IR_VERSION = 10


def value_info(name, array, free=False):
    kind = helper.np_dtype_to_tensor_dtype(array.dtype)
    return helper.make_tensor_value_info(name, kind, [None] * array.ndim if free else array.shape)


def model_of(nodes, inputs, outputs, constants=None, opset=17, free=False, **extra):
    """Return a model; its inputs are declared with all sizes free, or as they are."""
    imports = [helper.make_opsetid(domain, version) for domain, version in extra.items()]
    graph = helper.make_graph(
        nodes,
        "test",
        [value_info(name, array, free) for name, array in inputs.items()],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()],
    )
    opsets = [helper.make_opsetid("", opset), *imports]
    return helper.make_model(graph, ir_version=IR_VERSION, opset_imports=opsets)


def single(op, arrays, attributes=None, opset=17, outputs=1, constant=(), free=False):
    """Return the model of one operator and its inputs; None is an absent one.

    Those whose numbers are in `constant` are initializers.
    """
    names = ["" if array is None else f"x{i}" for i, array in enumerate(arrays)]
    given = {f"x{i}": array for i, array in enumerate(arrays) if array is not None}
    constants = {f"x{i}": given.pop(f"x{i}") for i in constant if f"x{i}" in given}
    made = [f"y{i}" for i in range(outputs)]
    node = helper.make_node(op, names, made, **(attributes or {}))
    return model_of([node], given, made, constants, opset, free), given


def run_ours(model, inputs):
    results = fastconv.onnx.load(model).run(inputs)
    return list(results.values())


def run_new_ops(model, inputs):
    ops = fastconv.onnx.new_ops()
    return onnx.reference.ReferenceEvaluator(model, new_ops=ops).run(None, inputs)


def run_theirs(model, inputs):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, inputs)


def assert_same(ours, theirs, tolerance=2e-6, scale=None):
    """Assert equality, exact for integers, else relative to the largest value."""
    assert len(ours) == len(theirs)
    for mine, wanted in zip(ours, theirs, strict=True):
        assert (mine.shape, mine.dtype) == (wanted.shape, wanted.dtype)
        if mine.dtype.kind != "f":
            np.testing.assert_array_equal(mine, wanted)
            continue
        finite = np.abs(wanted[np.isfinite(wanted)]).astype(float)
        largest = max(finite.max(initial=0), 1e-30)
        np.testing.assert_allclose(mine, wanted, rtol=tolerance, atol=tolerance * largest)
