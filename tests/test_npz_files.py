"""Archives of numpy: they give what numpy reads, and damage is a ValueError, not other weights."""

import copy
import io
import struct
import zipfile

import numpy as np
import pytest

from fastconv.models import load_weights
from weight_files import VALUES, npz, refused


@pytest.mark.parametrize(
    "array",
    [
        np.asfortranarray(np.arange(24.0).reshape(2, 3, 4)),
        np.array(7),
        np.zeros((0, 3)),
        np.array(["2026-11-26"], "M8[D]"),
        np.array(["", ""], "S0"),
        np.array([(1, 2.5)], [("n", "i4"), ("x", "f8")]),
        np.arange(6, dtype=">i2"),
        np.array(["ü"]),  # its header has another version
    ],
    ids=["columns", "scalar", "none", "date", "no size", "records", "order", "text"],
)
@pytest.mark.parametrize("prefix", [b"", b"#!/bin/sh"])
def test_an_npz_gives_what_numpy_reads(array, prefix, tmp_path):
    path = tmp_path / "w.npz"
    np.savez(path, before=VALUES, array=array, after=VALUES)
    with np.load(path) as file:
        expected = dict(file)
    path.write_bytes(prefix + path.read_bytes())
    found = load_weights(path)
    assert list(found) == list(expected)
    for name, own in found.items():
        assert own.dtype == expected[name].dtype
        np.testing.assert_array_equal(own, expected[name])


def test_an_npz_whose_bytes_changed_is_refused(tmp_path):
    path = npz(tmp_path / "w.npz", w=VALUES)
    whole = bytearray(path.read_bytes())
    whole[whole.index(VALUES.tobytes())] ^= 1
    path.write_bytes(whole)
    refused(path, "entry 'w': its bytes do not have their checksum")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_npz_whose_array_ends_early_is_refused(save, tmp_path):
    """A header that is damaged so that it asks for less: no checksum was looked at."""
    array = np.zeros((64, 64, 3, 3), np.float32)
    path = tmp_path / "w.npz"
    save(path, w=array)
    if save is np.savez:
        path.write_bytes(path.read_bytes().replace(b"(64, 64, 3, 3)", b"(44, 64, 3, 3)"))
    else:
        damaged = entry_of(array).replace(b"(64, 64, 3, 3)", b"(44, 64, 3, 3)")
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("w.npy", damaged)
    refused(path, "entry 'w': it is longer than its array")


def test_an_npz_whose_directory_is_damaged_is_refused(tmp_path):
    whole = npz(tmp_path / "whole.npz", h=VALUES, i=VALUES[:3]).read_bytes()
    directory = whole.index(b"PK\x01\x02")
    path = tmp_path / "w.npz"
    renamed = bytearray(whole)
    renamed[directory + 46] ^= 2
    path.write_bytes(renamed)
    refused(path, "entry 'j': there is another entry where the directory has it")
    swallowed = bytearray(whole)
    struct.pack_into("<H", swallowed, directory + 32, 46 + len("i.npy"))
    path.write_bytes(swallowed)
    refused(path, "its directory ends after 1 of 2 entries")
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("h", "h.npy"):
            archive.writestr(name, entry_of(VALUES))
    refused(path, "entry 'h': it is there twice")


def entry_of(array):
    body = io.BytesIO()
    np.lib.format.write_array(body, array)
    return body.getvalue()


def test_an_npz_with_one_entry_for_many_names_is_refused(tmp_path):
    path = npz(tmp_path / "w.npz", w=np.zeros(1000), x=VALUES)
    with zipfile.ZipFile(path, "a") as archive:
        for i in range(5):
            twice = copy.copy(archive.getinfo("w.npy"))
            twice.filename = f"w{i}.npy"
            archive.filelist.append(twice)
        archive._didModify = True  # so that the directory is written again
    refused(path, "in it as they are")
