"""Files that are damaged or made to do harm: an error that names what is wrong, nothing else."""

import os
from contextlib import suppress

import numpy as np
import pytest

from conftest import SKIPS

pytest.importorskip("onnx.checker", reason=SKIPS["no onnx"])

from beside import model_of, run_ours, single
from onnx import TensorProto, helper, numpy_helper
from onnx.parser import parse_model

from fastconv.onnx import load

X = np.ones((1, 2, 6, 6), np.float32)
WEIGHT = np.ones((4, 2, 3, 3), np.float32)


def conv(**attributes):
    node = helper.make_node("Conv", ["x", "w"], ["y"], "conv1", **attributes)
    return model_of([node], {"x": X}, ["y"], {"w": WEIGHT})


def chain(*nodes):
    return model_of(nodes, {"x": X}, ["y"])


def node(op, inputs, outputs, name="", **attributes):
    return helper.make_node(op, inputs.split(","), outputs.split(","), name, **attributes)


def refused(model, message, error=ValueError):
    with pytest.raises(error, match=message):
        load(model)


def test_truncated_files(tmp_path):
    """Wherever it is cut, it is refused, or is a smaller model that is whole."""
    whole = conv().SerializeToString()
    refused(b"", "is not an ONNX model: it has no graph")
    refused(b"PK\x03\x04 no model at all", "is not an ONNX model")
    for end in range(0, len(whole), 3):
        try:
            load(whole[:end])(X)
        except (ValueError, TypeError, NotImplementedError):
            continue
        pytest.fail(f"{end} of {len(whole)} bytes were taken for a model")
    path = tmp_path / "cut.onnx"
    path.write_bytes(whole[: len(whole) // 2])
    refused(path, r"cut\.onnx")


def test_damaged_files(rng):
    """One byte is changed: a model, or an error; of what is in the file nothing runs."""
    whole = bytearray(conv(pads=[1, 1, 1, 1]).SerializeToString())
    for _ in range(400):
        damaged = whole.copy()
        damaged[rng.integers(len(whole))] = rng.integers(256)
        with suppress(ValueError, TypeError, NotImplementedError, MemoryError):
            load(bytes(damaged))(X)


def test_cycles():
    model = chain(node("Add", "x,b", "a", "first"), node("Relu", "a", "b"), node("Neg", "b", "y"))
    refused(model, r"the graph has a cycle: .*first \(Add\) -> .*b \(Relu\)|b \(Relu\) -> first")


def test_values_that_nothing_makes():
    refused(chain(node("Relu", "weights", "y", "r1")), r"r1 \(Relu\) takes 'weights', which is no")
    model = chain(node("Relu", "x", "z"))
    refused(model, "output 'y': nothing makes it")


def test_inputs_that_are_left_out():
    refused(chain(node("Conv", "x,", "y", "conv1")), r"conv1 \(Conv\): input W is missing")


def test_values_that_two_nodes_make():
    refused(chain(node("Relu", "x", "y"), node("Neg", "x", "y")), "'y' has been used as output")


def test_initializers_that_are_there_twice():
    model = conv()
    model.graph.initializer.append(model.graph.initializer[0])
    refused(model, "initializer 'w' is there twice")


def sparse(places, dims=(2, 3), name="w"):
    values = numpy_helper.from_array(np.array([5, 7], np.float32), name)
    indices = numpy_helper.from_array(np.array(places, np.int64))
    return helper.make_sparse_tensor(values, indices, list(dims))


def sparse_sum(tensor):
    model = model_of([node("Add", "x,w", "y")], {"x": np.ones((2, 3), np.float32)}, ["y"])
    model.graph.sparse_initializer.append(tensor)
    return model


@pytest.mark.parametrize("places", [[1, 5], [[0, 1], [1, 2]]])
def test_sparse_initializers(places):
    (y,) = run_ours(sparse_sum(sparse(places)), {"x": np.ones((2, 3), np.float32)})
    np.testing.assert_array_equal(y, [[1, 6, 1], [1, 1, 8]])


@pytest.mark.parametrize(
    ("places", "dims"),
    [
        ([1, 6], (2, 3)),
        ([1, -1], (2, 3)),
        ([[0, 1], [0, 3]], (2, 3)),
        ([[0, 1], [0, -1]], (2, 3)),
        ([[0], [1]], (2, 3)),
        ([1, 2, 3], (2, 3)),
        ([1, 2], (-2, 3)),
    ],
)
def test_sparse_initializers_beyond_their_shape(places, dims):
    refused(sparse_sum(sparse(places, dims)), "sparse tensor w: ")


def test_sparse_initializers_that_are_there_twice():
    model = conv()
    model.graph.sparse_initializer.append(sparse([1, 5]))
    refused(model, "initializer 'w' is there twice")


def test_unknown_operators():
    flux = node("Flux", "x", "y", "f1")
    refused(chain(flux), r"f1 \(Flux\): opset 17 has no operator Flux", NotImplementedError)
    flux.domain = "ai.example"
    model = model_of([flux], {"x": X}, ["y"], **{"ai.example": 1})
    refused(model, r"f1 \(Flux\): neither fastconv nor the reference", NotImplementedError)


def test_opsets_of_the_future():
    refused(
        model_of([node("Relu", "x", "y")], {"x": X}, ["y"], opset=999), "of opset 999; the inst"
    )


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"colour": 3}, "Unrecognized attribute: colour for operator Conv .*Name: conv1"),
        ({"pads": 1}, "Mismatched attribute type in 'conv1 : pads'"),
        ({"pads": [1, 1, 1]}, r"conv1 \(Conv\): pads must hold 4 integers, got \[1, 1, 1\]"),
        ({"strides": [1, 1, 1]}, r"conv1 \(Conv\): strides must hold 2 integers"),
        ({"kernel_shape": [5, 5]}, r"conv1 \(Conv\): kernel_shape is \[5, 5\], the weight has"),
        ({"auto_pad": "SOME"}, r"conv1 \(Conv\): auto_pad must be NOTSET, .* got 'SOME'"),
        ({"auto_pad": b"\xff"}, r"conv1 \(Conv\): auto_pad must be NOTSET"),
    ],
    ids=str,
)
def test_attributes(attributes, message):
    refused(conv(**attributes), message)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"strides": [0, 1]}, r"conv1 \(Conv\): stride along the height must be at least 1"),
        ({"dilations": [-1, 1]}, r"conv1 \(Conv\): dilation along the height must be at least 1"),
        ({"group": 3}, r"conv1 \(Conv\): .*group"),
        ({"group": 0}, r"conv1 \(Conv\): groups must be at least 1"),
        ({"pads": [2**62, 0, 0, 0]}, r"conv1 \(Conv\): "),
        ({"dilations": [2**40, 1]}, r"conv1 \(Conv\): "),
    ],
    ids=str,
)
def test_attributes_that_do_not_fit(attributes, message):
    with pytest.raises(ValueError, match=message):
        load(conv(**attributes))(X)


def test_attributes_of_nodes_without_a_name():
    refused(
        chain(node("Relu", "x", "y", colour=3)), "attribute: colour for operator Relu .*Name: y"
    )
    group = node("GroupNormalization", "x,s,s", "y", colour=3, num_groups=1)
    inputs = {"x": X, "s": X[0, 0, 0, :1]}
    refused(model_of([group], inputs, ["y"], opset=18), r"y \(GroupNormalization\): .*: colour")
    del group.attribute[:]
    refused(model_of([group], inputs, ["y"], opset=18), r"y \(GroupNormalization\): .*num_groups")


def test_attributes_that_are_not_served():
    bn = [np.ones(2, np.float32)] * 4
    model, _ = single("BatchNormalization", [X, *bn], {"is_test": 0}, 6)
    refused(model, r"y0 \(BatchNormalization\): is_test is 0", NotImplementedError)


def test_inputs_are_what_the_model_declares():
    graph = load(conv())
    with pytest.raises(ValueError, match=r"input x has shape \(1, 3, 6, 6\), it must be \(1, 2,"):
        graph(np.ones((1, 3, 6, 6), np.float32))
    with pytest.raises(TypeError, match="input x has dtype float64, it must be float32"):
        graph(X.astype(np.float64))


@pytest.mark.parametrize("op", ["LpPool", "AveragePool", "MaxPool"])
@pytest.mark.parametrize("ceil_mode", [0, 1])
def test_windows_that_do_not_fit(op, ceil_mode):
    """On the kernels' path, and tap by tap."""
    for kernel, pads in ([9, 1], [1, 0, 1, 0]), ([9, 1], [2, 0, 0, 0]), ([11, 2], [2, 2, 1, 2]):
        attributes = {"kernel_shape": kernel, "pads": pads, "strides": [1, 1]}
        model, inputs = single(op, [X], {**attributes, "ceil_mode": ceil_mode}, 19)
        with pytest.raises(ValueError, match=r"y0 \(.*Pool\): kernel of .* does not fit the input"):
            load(model).run(inputs)


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("pads", [[0, 1, 0, 1], [0, 3, 0, 2]])
def test_maxima_of_padding_alone_have_no_index(order, pads):
    """On the kernels' path, and tap by tap."""
    attributes = {"kernel_shape": [1, 2], "dilations": [1, 2], "pads": pads, "strides": [1, 3]}
    x = np.ones((1, 2, 3, 1), np.float32)
    model, inputs = single("MaxPool", [x], {**attributes, "storage_order": order}, outputs=2)
    with pytest.raises(ValueError, match=r"y0 \(MaxPool\): a window lies in the padding alone"):
        load(model).run(inputs)


def test_shapes_that_do_not_fit():
    model, _ = single("Conv", [X, np.ones((4, 3, 3, 3), np.float32)], constant=(1,), free=True)
    model.graph.node[0].name = "conv1"
    with pytest.raises(ValueError, match=r"conv1 \(Conv\): .*channels"):
        load(model)(X)
    model, inputs = single("Reshape", [X, np.array([5, 5])], constant=(1,))
    with pytest.raises(ValueError, match=r"y0 \(Reshape\): x of shape"):
        load(model).run(inputs)
    for op, rest, attributes in (
        ("Slice", (np.array([0]), np.array([1]), np.array([4])), {}),
        ("Split", (), {"axis": 4}),
    ):
        model, inputs = single(op, [X, *rest], attributes)
        with pytest.raises(ValueError, match=rf"y0 \({op}\): axis 4 is not one of 4"):
            load(model).run(inputs)
    model, inputs = single("Gather", [X, np.array([9])], {"axis": 1}, constant=(1,))
    with pytest.raises(ValueError, match=r"y0 \(Gather\): index 9 is out of bounds"):
        load(model).run(inputs)


@pytest.mark.parametrize(
    "change",
    [
        {"dims": [4, 2, 3, 4]},
        {"dims": [-1, 2, 3, 3]},
        {"dims": [2**62, 4, 2, 3]},
        {"raw_data": b"short"},
        {"data_type": 77},
        {"data_type": 0},
    ],
    ids=str,
)
def test_tensors(change):
    model = conv()
    (tensor,) = model.graph.initializer
    for field, value in change.items():
        if field == "dims":
            tensor.dims[:] = value
        else:
            setattr(tensor, field, value)
    refused(model, "tensor w")


def test_types_of_inputs():
    model = conv()
    model.graph.input[0].type.tensor_type.elem_type = 99
    refused(model, "x: there is no type 99 of tensors")
    refused(chain(node("Cast", "x", "y", to=99)), r"y \(Cast\): there is no type 99 of tensors")


def test_sizes_of_inputs():
    model = conv()
    sizes = model.graph.input[0].type.tensor_type.shape.dim
    sizes[0].dim_value = -1
    assert load(model)(np.ones((3, 2, 6, 6), np.float32)).shape == (3, 4, 4, 4)
    sizes[0].dim_value = -2
    refused(model, r"x: there are no axes of the sizes \[-2, 2, 6, 6\]")


def test_sizes_of_outputs():
    for op, rest, attributes, message in (
        ("Resize", (None, None, np.array([1, 2, -3, 6])), {}, "sizes must not be negative, got"),
        (
            "ConvTranspose",
            (np.ones((2, 1, 3, 3), np.float32),),
            {"output_shape": [11, 8]},
            "output_shape .* too large",
        ),
    ):
        model, inputs = single(op, [X, *rest], attributes)
        with pytest.raises(ValueError, match=rf"y0 \({op}\): {message}"):
            load(model).run(inputs)


def external(tmp_path, location, **more):
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(WEIGHT.tobytes())
    model = conv()
    (tensor,) = model.graph.initializer
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **more}.items():
        tensor.external_data.add(key=key, value=f"{value}")
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize(
    "location", ["../secret", "sub/../../secret", "ABSOLUTE", "link", "", ".", "none.bin", "a\0b"]
)
def test_external_data_elsewhere(tmp_path, location):
    if location == "ABSOLUTE":
        location = os.fspath(tmp_path / "secret")
    path = external(tmp_path, location)
    (path.parent / "link").symlink_to(tmp_path / "secret")
    refused(path, "tensor w: external data")


def test_external_data_beyond_its_file(tmp_path):
    path = external(tmp_path, "weights.bin", offset=10, length=WEIGHT.nbytes)
    (path.parent / "weights.bin").write_bytes(WEIGHT.tobytes())
    refused(path, "tensor w")


def test_external_data_of_attributes(tmp_path):
    value = numpy_helper.from_array(WEIGHT, "c")
    value.ClearField("raw_data")
    value.data_location = TensorProto.EXTERNAL
    value.external_data.add(key="location", value="../secret")
    model = chain(node("Constant", "", "c", value=value), node("Conv", "x,c", "y"))
    path = tmp_path / "model.onnx"
    model.graph.node[0].ClearField("input")
    path.write_bytes(model.SerializeToString())
    refused(path, "tensor c: external data at '../secret': it is not in the folder")


def test_functions_that_call_themselves():
    text = """<ir_version: 8, opset_import: ["" : 17, "local" : 1]>
    main (float[N] x) => (float[N] y) { y = local.A (x) }
    <domain: "local", opset_import: ["" : 17, "local" : 1]> A (a) => (b) { b = local.B (a) }
    <domain: "local", opset_import: ["" : 17, "local" : 1]> B (a) => (b) { b = local.A (a) }"""
    refused(parse_model(text), "functions of the model call each other in a circle: .*A.*B|B.*A")


def test_functions_that_multiply():
    """Each calls the one before it twice: 2**40 nodes if they were written out."""
    parts = [
        """<ir_version: 8, opset_import: ["" : 17, "local" : 1]>
    main (float[N] x) => (float[N] y) { y = local.F40 (x) }
    <domain: "local", opset_import: ["" : 17]> F0 (a) => (b) { b = Neg (a) }"""
    ]
    parts += [
        f'<domain: "local", opset_import: ["" : 17, "local" : 1]> F{i} (a) => (b)'
        f"{{ c = local.F{i - 1} (a)  b = local.F{i - 1} (c) }}"
        for i in range(1, 41)
    ]
    refused(parse_model("\n".join(parts)), "functions of the model have more than 1,000,000 nodes")


def test_a_reference_that_fails_names_the_node():
    model, inputs = single("CumSum", [X, np.array(9)], free=True)
    model.graph.node[0].name = "sums"
    with pytest.raises(ValueError, match=r"sums \(CumSum\): CumSum: "):
        load(model).run(inputs)
