"""Files of weights: ``.npz``, ``.safetensors``, and ``.pth`` or ``.pt`` as ``torch.save`` has them.

A file may come from anywhere, so nothing in it is run, and whatever is wrong with it is a
`ValueError`. Knows the reader of pickles and numpy; safetensors is imported where it is needed.
"""

from __future__ import annotations

import io
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from fastconv._arguments import Array
from fastconv.models import _pickles
from fastconv.models._pickles import Storage, Tensor

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["load_weights", "weights_of"]

# Weights themselves by name, or the path of a file that holds them.
WeightSource: TypeAlias = Mapping[str, "ArrayLike"] | str | os.PathLike[str]

# Weights are close to noise, which does not compress: an archive that would grow by more than this
# and beyond a GiB is made to fill the memory.
_EXPANSION = 100
_HARMLESS = 2**30

# Flags of entries in a zip file: encrypted, and named in UTF-8.
_ENCRYPTED, _UTF8 = 1, 1 << 11
# What ends a zip file: this record, and a comment of up to 65,535 bytes. It counts the entries; the
# last number of 16 bits stands for what another record says.
_END, _END_BYTES, _MANY = b"PK\x05\x06", 22, 0xFFFF

# What legacy files of torch.save begin with.
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_VERSION = 1001

# What the elements of safetensors are called; numpy has no float of 8 bits.
_SAFETENSORS = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
    "U64": "uint64",
    "U32": "uint32",
    "U16": "uint16",
    "U8": "uint8",
    "BOOL": "bool",
}


def load_weights(path: str | os.PathLike[str]) -> dict[str, Array]:
    """Read the named arrays of a file, without running anything that is in it.

    Parameters
    ----------
    path : str or path
        A file that ends in ``.npz`` (of ``numpy.savez``), ``.safetensors`` (which takes ``pip
        install 'fastconv[safetensors]'``), or ``.pth`` or ``.pt`` (of ``torch.save``, in either of
        its formats, which takes no torch). The last holds a dictionary of tensors, or one that has
        it under ``"state_dict"`` or ``"model"``.

    Returns
    -------
    dict of str to ndarray
        As the file has them, in any byte order, some of them read-only; bfloat16 is converted to
        float32, which holds each of its numbers.

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If it is of another kind, damaged, or holds something other than arrays; the message says
        which file and what is wrong with it.
    ImportError
        If the file needs safetensors, and it is not installed.

    Notes
    -----
    A pickle may call anything. That of ``torch.save`` is therefore not read by Python's own
    reader but by another, which knows tensors, numbers, texts and containers and refuses
    everything else. A module that was saved whole is refused, too: save its ``state_dict()``.

    Examples
    --------
    >>> import tempfile, numpy as np
    >>> from fastconv.models import load_weights
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/weights.npz"
    ...     np.savez(path, **{"fc.weight": np.eye(2), "fc.bias": np.ones(2)})
    ...     weights = load_weights(path)
    >>> sorted(weights)
    ['fc.bias', 'fc.weight']
    """
    path = Path(path)
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        *kinds, last = _READERS
        raise ValueError(f"{path}: weights are in files that end in {', '.join(kinds)} or {last}")
    with path.open("rb") as file:
        try:
            return reader(file)
        except ImportError:
            raise
        # The parsers of zip, npy and pickle meet damage with exceptions of every kind.
        except Exception as error:
            said = str(error) or type(error).__name__
            raise ValueError(f"{path} cannot be read: {said}") from error


def weights_of(weights: WeightSource | None) -> Mapping[str, ArrayLike] | None:
    """Return weights that are given themselves or by the path of their file."""
    return load_weights(weights) if isinstance(weights, (str, os.PathLike)) else weights


# -- archives --------------------------------------------------------------------------------------


def _archive(file: IO[bytes]) -> zipfile.ZipFile:
    """Open a zip file with a whole directory that does not declare much more than it can hold."""
    archive = zipfile.ZipFile(file)
    entries = archive.infolist()
    declared = sum(info.file_size for info in entries)
    held = os.fstat(file.fileno()).st_size
    stored = sum(info.file_size for info in entries if info.compress_type == zipfile.ZIP_STORED)
    if stored > held:
        raise ValueError(f"a file of {held:,} bytes with {stored:,} in it as they are")
    # Damage in an entry of the directory may swallow those behind it.
    file.seek(-min(held, _END_BYTES + 0xFFFF), os.SEEK_END)
    end = file.read()
    (count,) = struct.unpack_from("<H", end, end.rfind(_END) + 10)
    if count not in (len(entries), _MANY):
        raise ValueError(f"its directory ends after {len(entries)} of {count} entries")
    if declared > max(_HARMLESS, _EXPANSION * held):
        raise ValueError(f"a file of {held:,} bytes that expands to {declared:,}")
    return archive


def _npz(file: IO[bytes]) -> dict[str, Array]:
    arrays = {}
    with _archive(file) as archive:
        for info in archive.infolist():
            name = info.filename.removesuffix(".npy")
            try:
                array = _stored(file, info)
                if array is None:
                    with archive.open(info) as member:
                        array = np.lib.format.read_array(member, allow_pickle=False)
                        # zipfile compares the checksum at the end alone.
                        if member.read(1):
                            raise ValueError("it is longer than its array")
                if name in arrays:
                    raise ValueError("it is there twice")
                arrays[name] = array
            except Exception as error:
                raise ValueError(f"entry {name!r}: {str(error) or 'damaged'}") from error
    return arrays


def _stored(file: IO[bytes], info: zipfile.ZipInfo) -> Array | None:
    """Read an entry that stands in the file as it is, straight into its array; else None.

    Through `zipfile` ResNet-50's weights took two to three times as long.
    """
    if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & _ENCRYPTED:
        return None
    file.seek(info.header_offset)
    signature, flags, method, name_bytes, extra_bytes = struct.unpack(
        "<4s2xHH16xHH", _next(file, 30)
    )
    name = _next(file, name_bytes).decode("utf-8" if flags & _UTF8 else "cp437")
    if signature != b"PK\x03\x04" or name != info.orig_filename:
        raise ValueError("there is another entry where the directory has it")
    if method != zipfile.ZIP_STORED or flags & _ENCRYPTED:
        return None
    start = file.seek(extra_bytes, os.SEEK_CUR)
    read_header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(np.lib.format.read_magic(file))
    if read_header is None:
        return None
    shape, columns, dtype = read_header(file)
    header_bytes, count = file.tell() - start, math.prod(shape)
    # Elements of no size are numpy's own affair.
    plain = dtype.itemsize > 0 and not dtype.hasobject
    if not plain or header_bytes + count * dtype.itemsize != info.file_size:
        return None
    array = np.empty(count, dtype)
    elements = array.view(np.uint8).data
    if file.readinto(elements) < array.nbytes:  # type: ignore[attr-defined]
        raise ValueError("it ends early")
    file.seek(start)
    if zlib.crc32(elements, zlib.crc32(file.read(header_bytes))) != info.CRC:
        raise ValueError("its bytes do not have their checksum")
    return array.reshape(shape, order="F" if columns else "C")


# -- safetensors -----------------------------------------------------------------------------------


def _safetensors(file: IO[bytes]) -> dict[str, Array]:
    try:
        deserialize = import_module("safetensors").deserialize
    except ImportError:
        raise ImportError(
            "files of safetensors need that package: pip install 'fastconv[safetensors]'"
        ) from None
    arrays = {}
    for name, entry in deserialize(file.read()):
        dtype = _SAFETENSORS.get(entry["dtype"])
        if dtype is None:
            raise ValueError(f"{name} has elements of type {entry['dtype']}, which numpy lacks")
        arrays[name] = _elements(entry["data"], dtype).reshape(entry["shape"])
    return arrays


# -- torch.save ------------------------------------------------------------------------------------


def _torch(file: IO[bytes]) -> dict[str, Array]:
    """Read a zip file or, as ``torch.save`` wrote them until 2020, pickles and elements in turn."""
    zipped = file.read(4) == b"PK\x03\x04"
    file.seek(0)
    tensors, elements = (_torch_zip if zipped else _torch_legacy)(file)
    return {name: tensor.of(elements[tensor.storage.key]) for name, tensor in tensors.items()}


def _torch_zip(file: IO[bytes]) -> tuple[dict[str, Tensor], dict[str, Array]]:
    with _archive(file) as archive:
        sizes = {info.filename: info.file_size for info in archive.infolist()}
        folder = next(iter(sizes), "").partition("/")[0]
        byteorder = f"{folder}/byteorder"
        if f"{folder}/constants.pkl" in sizes:
            raise ValueError("it is a TorchScript program: save its state_dict() instead")
        if f"{folder}/data.pkl" not in sizes:
            raise ValueError("it is a zip file, but not one of torch.save")
        little = archive.read(byteorder) != b"big" if byteorder in sizes else True
        tensors = _state_dict(_pickles.run(io.BytesIO(archive.read(f"{folder}/data.pkl")), {}))
        elements = {}
        for storage in {tensor.storage for tensor in tensors.values()}:
            entry, wanted = f"{folder}/data/{storage.key}", _bytes(storage)
            if sizes.get(entry) != wanted:
                raise ValueError(f"{entry} has {sizes.get(entry, 0):,} bytes, not {wanted:,}")
            elements[storage.key] = _elements(archive.read(entry), storage.dtype, _order(little))
    return tensors, elements


def _torch_legacy(file: IO[bytes]) -> tuple[dict[str, Tensor], dict[str, Array]]:
    try:
        magic = _pickles.run(file)
    except Exception:
        magic = None
    if magic != _LEGACY_MAGIC:
        raise ValueError("it is not a file of torch.save")
    version, system = _pickles.run(file), _pickles.run(file)
    if version != _LEGACY_VERSION or not isinstance(system, dict):
        raise ValueError(f"it has not version {_LEGACY_VERSION} of the format")
    order = _order(system.get("little_endian") is not False)
    storages: dict[str, Storage] = {}
    tensors = _state_dict(_pickles.run(file, storages))
    keys = _pickles.run(file)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ValueError("its list of storages is none")
    if sorted(keys) != sorted(storages):
        raise ValueError("its list of storages is not that of its tensors")
    elements = {}
    for key in keys:
        storage = storages[key]
        size = int.from_bytes(_next(file, 8), order)
        if size != storage.size:
            raise ValueError(f"storage {key!r} has {size:,} elements, not {storage.size:,}")
        elements[key] = _elements(_next(file, _bytes(storage)), storage.dtype, order)
    return tensors, elements


def _state_dict(loaded: object) -> dict[str, Tensor]:
    """Return the dictionary of tensors in what a pickle made."""
    for key in ("state_dict", "model"):
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
            break
    if not isinstance(loaded, dict):
        raise ValueError(f"it holds a {type(loaded).__name__}, not a dictionary of tensors")
    for name, tensor in loaded.items():
        if not isinstance(name, str):
            raise ValueError(f"a tensor is named by a {type(name).__name__}, not a text")
        if not isinstance(tensor, Tensor):
            raise ValueError(f"{name!r} is a {type(tensor).__name__}, not a tensor")
    return loaded


def _next(file: IO[bytes], count: int) -> bytes:
    """Read so many bytes, if there are so many."""
    left = os.fstat(file.fileno()).st_size - file.tell()
    if count > left:
        raise ValueError(f"it ends early: of {count:,} bytes {left:,} are left")
    return file.read(count)


def _bytes(storage: Storage) -> int:
    return storage.size * (2 if storage.dtype == "bfloat16" else np.dtype(storage.dtype).itemsize)


def _order(little: bool) -> Literal["little", "big"]:
    return "little" if little else "big"


def _elements(data: bytes, dtype: str, order: Literal["little", "big"] = "little") -> Array:
    """Return bytes as numbers; bfloat16, which numpy lacks, is the upper half of float32."""
    bfloat16 = dtype == "bfloat16"
    stored = np.dtype("uint16" if bfloat16 else dtype).newbyteorder(order)
    values = np.frombuffer(data, stored)
    return (values.astype(np.uint32) << 16).view(np.float32) if bfloat16 else values


_READERS: dict[str, Callable[[IO[bytes]], dict[str, Array]]] = {
    ".npz": _npz,
    ".safetensors": _safetensors,
    ".pth": _torch,
    ".pt": _torch,
}
