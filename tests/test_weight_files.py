"""Files of weights: each format is read right, and whatever is wrong with a file is a ValueError.

Files of ``torch.save`` are put together here, instruction by instruction, as torch writes them and
as an attacker would; ``beside_torch/`` reads what torch itself has written.
"""

import io
import json
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest

from conftest import SKIPS
from fastconv.models import load_weights
from weight_files import VALUES, npz, refused

DATA = VALUES.tobytes()


# -- what torch.save writes ------------------------------------------------------------------------


def text(value):
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def number(value):
    return pickle.dumps(value, 2)[2:-1]


def numbers(*values):
    return b"(" + b"".join(map(number, values)) + b"t"


def storage(key="0", kind="FloatStorage", size=24, place="cpu"):
    identity = text("storage") + f"ctorch\n{kind}\n".encode() + text(key) + text(place)
    return b"(" + identity + number(size) + b"tQ"


def tensor(shape=(4, 6), strides=(6, 1), offset=0, **of):
    arguments = storage(**of) + number(offset) + numbers(*shape) + numbers(*strides)
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"\x89ccollections\nOrderedDict\n)RtR"
    )


def parameter(**of):
    hooks = b"\x88ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_parameter\n(" + tensor(**of) + hooks + b"tR"


def dictionary(**items):
    return b"}(" + b"".join(text(name) + item for name, item in items.items()) + b"u"


def program(body):
    return b"\x80\x02" + body + b"."


def zipped(path, body, storages=None, **entries):
    """Write the zip file of today's torch; `entries` are added, ``None`` leaves one out."""
    storages = {"0": VALUES} if storages is None else storages
    members = {"data.pkl": program(body), "byteorder": b"little", "version": b"3\n"}
    members |= {f"data/{key}": array.tobytes() for key, array in storages.items()}
    members |= {name.replace("__", "."): data for name, data in entries.items()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            if data is not None:
                archive.writestr(f"weights/{name}", data)
    return path


def legacy(path, body, storages=None, keys=None, magic=0x1950A86A20F9469CFC6C, version=1001):
    """Write the file of torch before 2020: pickles, and after them the elements."""
    storages = {"0": VALUES} if storages is None else storages
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}
    parts = [pickle.dumps(part, 2) for part in (magic, version, system)]
    parts += [program(body), pickle.dumps(list(storages) if keys is None else keys, 2)]
    parts += [struct.pack("<q", array.size) + array.tobytes() for array in storages.values()]
    path.write_bytes(b"".join(parts))
    return path


WRITERS = {"zip": zipped, "legacy": legacy}


@pytest.fixture(params=WRITERS)
def written(request, tmp_path):
    """Return the function that writes a file in each of torch's formats."""
    write = WRITERS[request.param]
    return lambda *args, **named: write(tmp_path / "weights.pth", *args, **named)


def test_tensors_of_every_form(written):
    body = dictionary(
        whole=tensor(),
        transposed=tensor((6, 4), (1, 6)),
        part=tensor((2, 3), (6, 1), 8),
        expanded=tensor((1000, 2), (0, 1), 22),
        scalar=tensor((), (), 23),
        empty=tensor((0, 5), (5, 1)),
        parameter=parameter(),
    )
    found = load_weights(written(body))
    whole = VALUES.reshape(4, 6)
    wanted = {
        "whole": whole,
        "transposed": whole.T,
        "part": whole[1:3, 2:5],
        "expanded": np.broadcast_to(VALUES[22:], (1000, 2)),
        "scalar": VALUES[23],
        "empty": np.empty((0, 5), np.float32),
        "parameter": whole,
    }
    assert list(found) == list(wanted)
    for name, array in wanted.items():
        assert (found[name].dtype, found[name].shape) == (np.float32, array.shape)
        assert np.array_equal(found[name], array), name


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("DoubleStorage", "float64"),
        ("HalfStorage", "float16"),
        ("LongStorage", "int64"),
        ("IntStorage", "int32"),
        ("ShortStorage", "int16"),
        ("CharStorage", "int8"),
        ("ByteStorage", "uint8"),
        ("BoolStorage", "bool"),
    ],
)
def test_element_types(kind, dtype, written):
    values = np.array([1, 0, 3]).astype(dtype)
    body = dictionary(counts=tensor((3,), (1,), kind=kind, size=3))
    found = load_weights(written(body, {"0": values}))["counts"]
    assert found.dtype == dtype
    assert found.tolist() == values.tolist()


def test_bfloat16_becomes_float32(written):
    values = np.array([1, -2.5, 3.140625, np.inf], np.float32)
    bits = (values.view(np.uint32) >> 16).astype(np.uint16)
    body = dictionary(half=tensor((4,), (1,), kind="BFloat16Storage", size=4))
    found = load_weights(written(body, {"0": bits}))["half"]
    assert found.dtype == np.float32
    assert found.tolist() == values.tolist()


def test_files_of_a_machine_with_the_other_byte_order(tmp_path):
    path = zipped(
        tmp_path / "w.pt",
        dictionary(w=tensor()),
        {"0": VALUES.astype(">f4")},
        byteorder=b"big",
    )
    assert load_weights(path)["w"].tolist() == VALUES.reshape(4, 6).tolist()


@pytest.mark.parametrize("key", ["state_dict", "model"])
def test_a_checkpoint_that_holds_more(key, written):
    weights = b"ccollections\nOrderedDict\n)R(" + text("w") + tensor() + b"u}" + text("_metadata")
    checkpoint = b"}(" + text(key) + weights + b"}sb" + text("epoch") + number(90) + b"u"
    assert list(load_weights(written(checkpoint))) == ["w"]


def test_storages_that_no_weight_needs_are_passed_over(written):
    body = dictionary(
        state_dict=dictionary(w=tensor(key="1", size=2, shape=(2,), strides=(1,))),
        optimizer=dictionary(momentum=tensor()),
    )
    found = load_weights(written(body, {"0": VALUES, "1": np.float32([5, 6])}))
    assert {name: array.tolist() for name, array in found.items()} == {"w": [5, 6]}


def test_pairs_as_python_2_wrote_them(written):
    pair = b"](" + text("w") + tensor() + b"e"
    found = load_weights(written(b"ccollections\nOrderedDict\n](" + pair + b"e\x85R"))
    assert found["w"].tolist() == VALUES.reshape(4, 6).tolist()


# -- hostile programs ------------------------------------------------------------------------------


class Touches:
    """Pickled, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_what_python_would_run_is_not_run(protocol, written, tmp_path):
    trap = tmp_path / "trap"
    data = pickle.dumps({"w": Touches(trap)}, protocol)
    body = data[2:-1]  # without the first two bytes, the protocol's, and the end
    refused(written(body), "mkdir, which is not needed for tensors: refused")
    assert not trap.exists()
    pickle.loads(data)
    assert trap.exists()


HOSTILE = {
    "a call": (b"cos\nsystem\n" + text("true") + b"\x85R", "it names os.system"),
    "an object": (b"(" + text("true") + b"ios\nsystem\n", "instruction INST"),
    "another object": (b"(cos\nsystem\n" + text("true") + b"o", "it names os.system"),
    "a new object": (b"cbuiltins\nobject\n)\x81", "it names builtins.object"),
    "a name from the stack": (text("builtins") + text("eval") + b"\x93", "names builtins.eval"),
    "a name within a name": (text("torch") + text("_utils.os.system") + b"\x93", "it names torch"),
    "an extension": (b"\x82\x01", "instruction EXT1"),
    "a call of a storage": (b"ctorch\nFloatStorage\n)R", "no function: torch.FloatStorage"),
    "a call of a text": (text("eval") + b")R", "no function: a str"),
    "a call without arguments": (b"ctorch._utils\n_rebuild_tensor_v2\n)R", "missing 6 required"),
    "attributes of a name": (
        b"ccollections\nOrderedDict\n}" + text("keys") + b"Nsb",
        "sets attributes of collections.OrderedDict",
    ),
    "a persistent name": (b"Pstorage\n", "instruction PERSID"),
    "another persistent thing": (text("module") + b"\x85Q", "other than a storage"),
    "an unknown element type": (
        dictionary(w=tensor(kind="QUInt8Storage")),
        "torch.QUInt8Storage, which is not needed",
    ),
    "a storage of negative size": (dictionary(w=tensor(size=-1)), "'0' is of a kind"),
    "a storage of two sizes": (
        dictionary(a=tensor(), b=tensor(size=25)),
        "storage '0' has two types or sizes",
    ),
    "a view beyond the end": (dictionary(w=tensor((5, 6))), "reaches beyond its storage of 24"),
    "a view from beyond the end": (dictionary(w=tensor((1,), (1,), 24)), "from element 24 on"),
    "a view with a wide stride": (dictionary(w=tensor((2,), (24,))), r"strides \(24,\)"),
    "a view before the beginning": (dictionary(w=tensor((2,), (-1,), 5)), "the strides of"),
    "a negative offset": (dictionary(w=tensor(offset=-1)), "the offset of a tensor is"),
    "a negative size": (dictionary(w=tensor((-2, 6))), "the shape of a tensor is"),
    "a size that is no integer": (dictionary(w=tensor((2.5,), (1,))), "the shape of a ten"),
    "a size beyond 64 bits": (dictionary(w=tensor((2**70,), (1,))), "not made of sizes"),
    "sizes whose product wraps": (dictionary(w=tensor((2**40, 2**40), (0, 0))), "too big"),
    "more strides than sizes": (dictionary(w=tensor((4,), (6, 1))), r"\(4,\) and the strides"),
    "a tensor of no storage": (
        b"ctorch._utils\n_rebuild_tensor_v2\n(" + number(1) + b"K\x00))\x89NtR",
        "a int for its storage",
    ),
    "a name that is no text": (b"}" + number(1) + tensor() + b"s", "named by a int, not a text"),
    "a name that cannot be one": (b"}]" + tensor() + b"s", "a list is a key"),
    "a name too deep to hash": (b"})" + b"\x85" * 100_000 + tensor() + b"s", "a tuple is a key"),
    "a name that takes forever to hash": (b"})" + b"q\x00h\x00\x86" * 64 + b"Ns", "a tuple is a"),
    "sizes that take forever to print": (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + storage()
        + b"K\x00)"
        + b"q\x00h\x00\x86" * 64
        + b")\x89NtR",
        "the shape of a tensor is not",
    ),
    "names that take forever to print": (
        b")" + b"q\x00h\x00\x86" * 64 + text("x") + b"\x93",
        "it names a str of a tuple",
    ),
    "a number for a dictionary's pairs": (
        b"ccollections\nOrderedDict\nK\x01\x85R",
        "'int' object is not iterable",
    ),
    "a number for a tensor": (dictionary(epoch=number(3)), "'epoch' is a int, not a tensor"),
    "a list": (b"]", "it holds a list, not a dictionary"),
    "a dictionary in itself": (b"}q\x00" + text("w") + b"h\x00s", "'w' is a dict, not a tensor"),
    "a state dict that is itself": (
        b"}q\x00" + text("state_dict") + b"h\x00s",
        "'state_dict' is a dict, not a tensor",
    ),
    "an empty stack": (b"0", "instruction POP"),
    "nothing": (b"", "pop from empty list"),
    "a memory that nothing filled": (b"h\x07", "7"),
    "a list of one text": (b"}" + text("w") + b"a", "no attribute 'append'"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_programs(case, written):
    body, message = HOSTILE[case]
    refused(written(body), message)


def test_a_place_far_off_in_the_memo_takes_no_memory(written):
    """Python's own reader makes a table as long as the largest number."""
    body = dictionary(w=tensor()) + b"r" + struct.pack("<I", 2**32 - 1)
    assert list(load_weights(written(body))) == ["w"]


def test_programs_without_end(written, monkeypatch):
    monkeypatch.setattr("fastconv.models._pickles._INSTRUCTIONS", 1000)
    assert list(load_weights(written(dictionary(w=tensor())))) == ["w"]
    refused(written(b"]" * 1000 + dictionary(w=tensor())), "more than 1,000 instructions")


def test_tensors_nested_beyond_all_recursion(written):
    refused(written(b"(" * 100_000 + b"t" * 100_000), "it holds a tuple")


# -- archives --------------------------------------------------------------------------------------


def test_a_zip_that_is_another_kind(tmp_path):
    weights = dictionary(w=tensor())
    path = tmp_path / "w.pth"
    refused(zipped(path, weights, data__pkl=None), "zip file, but not one of torch.save")
    refused(zipped(path, weights, constants__pkl=program(b")")), "TorchScript program")
    refused(zipped(path, weights, {}), "weights/data/0 has 0 bytes, not 96")
    refused(zipped(path, weights, {"0": VALUES[:-1]}), "has 92 bytes, not 96")
    path.write_bytes(b"")
    refused(path, "not a file of torch.save")
    path.write_bytes(b"PK\x03\x04")
    refused(path, "not a zip file")
    path.write_text("version https://git-lfs.github.com/spec/v1\n")
    refused(path, "not a file of torch.save")


def test_a_legacy_file_that_contradicts_itself(tmp_path):
    weights, path = dictionary(w=tensor()), tmp_path / "w.pth"
    refused(legacy(path, weights, magic=5), "not a file of torch.save")
    refused(legacy(path, weights, version=1000), "not version 1001")
    refused(legacy(path, weights, keys=["0", "1"]), "list of storages")
    refused(legacy(path, weights, keys=[]), "list of storages")
    refused(legacy(path, weights, keys=["0", "0"]), "list of storages")
    refused(legacy(path, weights, keys=[(("0",),)]), "list of storages")
    refused(legacy(path, weights, keys="0"), "list of storages")
    refused(legacy(path, weights, {"0": VALUES[:-1]}), "has 23 elements, not 24")
    huge = dictionary(w=tensor(size=2**40))
    data = legacy(path, huge).read_bytes()
    head = data[: -VALUES.nbytes - 8]
    path.write_bytes(head + struct.pack("<q", 2**40) + VALUES.tobytes())
    refused(path, "of 4,398,046,511,104 bytes 96 are left")


def test_npz(tmp_path):
    path = tmp_path / "weights.npz"
    arrays = {
        "conv.weight": VALUES.reshape(2, 3, 4),
        "conv.bias": VALUES[::2].astype(">f8"),
        "count": np.array(7),
        "empty": np.empty((0, 3), np.float16),
    }
    for save in (np.savez, np.savez_compressed):
        save(path, **arrays)
        found = load_weights(path)
        assert list(found) == list(arrays)
        for name, array in arrays.items():
            assert (found[name].dtype, found[name].tolist()) == (array.dtype, array.tolist())
    assert list(load_weights(str(path))) == list(arrays)


def test_objects_in_an_npz_are_not_made(tmp_path):
    trap = tmp_path / "trap"
    path = npz(tmp_path / "w.npz", fine=VALUES, bad=np.array([Touches(trap)], object))
    refused(path, "entry 'bad': Object arrays cannot be loaded")
    assert not trap.exists()


def header(shape, descr="'<f4'"):
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


@pytest.mark.parametrize(
    "member",
    [
        b"",
        b"text",
        header("(24,)") + VALUES[:-1].tobytes(),
        header("(4000000000000,)"),
        header("(4611686018427387904, 16)"),
        header("(-1,)"),
        header("(" * 150 + ")" * 150),
        header("__import__('os').mkdir('trap')"),
        header("(1,)", "'|O'") + pickle.dumps(Touches("trap")),
    ],
)
def test_entries_that_are_not_what_they_declare(member, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with zipfile.ZipFile("w.npz", "w") as archive:
        archive.writestr("conv.weight.npy", member)
    refused("w.npz", "entry 'conv.weight'")
    assert [entry.name for entry in tmp_path.iterdir()] == ["w.npz"]


@pytest.mark.parametrize("suffix", [".npz", ".pth"])
def test_an_archive_that_would_fill_the_memory(suffix, tmp_path):
    path = tmp_path / f"bomb{suffix}"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("weights/data.pkl", bytes(1000))
        archive.filelist[0].file_size = 2**31
    refused(path, "expands to 2,147,483,648")


# -- safetensors -----------------------------------------------------------------------------------


@pytest.fixture
def safetensors(tmp_path):
    """Return the function that writes such a file byte for byte, where the package is installed."""
    pytest.importorskip("safetensors", reason=SKIPS["no extras"])

    def write(data=DATA, **entries):
        path = tmp_path / "weights.safetensors"
        described = {
            name: {"dtype": dtype, "shape": shape, "data_offsets": offsets}
            for name, (dtype, shape, offsets) in entries.items()
        }
        head = json.dumps(described).encode()
        path.write_bytes(struct.pack("<Q", len(head)) + head + data)
        return path

    return write


def test_safetensors(safetensors):
    bits = (VALUES.view(np.uint32) >> 16).astype(np.uint16)
    data = VALUES.tobytes() + bits.tobytes() + np.int64(3).tobytes()
    path = safetensors(
        data,
        w=("F32", [2, 12], [0, 96]),
        half=("BF16", [24], [96, 144]),
        count=("I64", [], [144, 152]),
    )
    found = load_weights(path)
    assert {*found} == {"w", "half", "count"}
    assert found["w"].tolist() == VALUES.reshape(2, 12).tolist()
    assert (found["half"].dtype, found["half"].tolist()) == (np.float32, VALUES.tolist())
    assert (found["count"].dtype, found["count"].tolist()) == (np.int64, 3)


def test_safetensors_that_are_not(safetensors):
    refused(safetensors(w=("F32", [25], [0, 100])), "")
    refused(safetensors(w=("F32", [24], [0, 92])), "")
    refused(safetensors(w=("F32", [2**40, 2**40], [0, 96])), "")
    refused(safetensors(w=("F8_E4M3", [96], [0, 96])), "w has elements of type F8_E4M3")
    path = safetensors(w=("F32", [24], [0, 96]))
    data = path.read_bytes()
    for wrong in (b"", data[:5], data[:-1], b"\xff" * 8 + data[8:], data[:8] + data[9:]):
        path.write_bytes(wrong)
        refused(path, "")


def test_safetensors_without_the_package(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "safetensors", None)
    path = tmp_path / "weights.safetensors"
    path.write_bytes(b"")
    with pytest.raises(ImportError, match=r"pip install 'fastconv\[safetensors\]'"):
        load_weights(path)


# -- any damage ------------------------------------------------------------------------------------


def test_files_that_are_not_read(tmp_path):
    with pytest.raises(ValueError, match=r"weights.h5: weights are in files that end in .npz"):
        load_weights(tmp_path / "weights.h5")
    with pytest.raises(FileNotFoundError):
        load_weights(tmp_path / "weights.npz")
    with pytest.raises(OSError, match="directory"):
        load_weights(npz_folder(tmp_path))
    with pytest.raises(TypeError):
        load_weights(3)


def npz_folder(tmp_path):
    folder = tmp_path / "folder.npz"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("form", ["zip", "legacy", "npz", "stored npz"])
def test_damage_anywhere_is_a_value_error(form, rng, tmp_path):
    """Files cut short and with bytes changed are refused, or hold what still is a dictionary."""
    path = tmp_path / ("w.npz" if "npz" in form else "w.pth")
    if "npz" in form:
        save = np.savez if form == "stored npz" else np.savez_compressed
        save(path, w=VALUES, b=VALUES[:3])
    else:
        body = dictionary(w=tensor(), b=parameter(shape=(3,), strides=(1,)))
        WRITERS[form](path, body)
    whole = path.read_bytes()
    load_weights(path)
    for cut in rng.choice(len(whole), 50, replace=False):
        path.write_bytes(whole[:cut])
        refused(path, "")
    read = 0
    for _ in range(300):
        damaged = bytearray(whole)
        for at in rng.choice(len(whole), rng.integers(1, 4)):
            damaged[at] = rng.integers(256)
        path.write_bytes(damaged)
        try:
            found = load_weights(path)
        except ValueError as error:
            assert str(path) in str(error)  # noqa: PT017 (either outcome is right)
        else:
            read += 1
            assert all(isinstance(array, np.ndarray) for array in found.values())
    assert read < 250


def test_the_buffer_of_a_test_file_is_what_torch_reads():
    """The instructions put together here are a pickle that Python's own reader takes, too."""

    class Reader(pickle.Unpickler):
        def find_class(self, module, name):
            return lambda *arguments: (module, name, arguments)

        def persistent_load(self, identity):
            return identity[0], identity[2]

    loaded = Reader(io.BytesIO(program(dictionary(w=tensor())))).load()
    assert loaded["w"][:2] == ("torch._utils", "_rebuild_tensor_v2")
    assert loaded["w"][2][:4] == (("storage", "0"), 0, (4, 6), (6, 1))
