"""ONNX files: the model in one, with what it keeps in files beside it, and its arrays."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.checker
import onnx.numpy_helper
from google.protobuf.message import DecodeError
from onnx import ModelProto, TensorProto
from onnx.external_data_helper import load_external_data_for_tensor

from fastconv._arguments import Array


def read(source: Any) -> ModelProto:
    """Return the model of a file, of bytes or itself, with its external data in place.

    A file is not trusted: external data must lie in its folder.
    """
    folder = None
    if isinstance(source, ModelProto):
        model = source
    elif isinstance(source, (str, os.PathLike)):
        path = Path(source)
        folder = path.parent
        model = _parsed(path.read_bytes(), f"{path}")
    elif isinstance(source, (bytes, bytearray, memoryview)):
        model = _parsed(bytes(source), "the data")
    else:
        raise TypeError(f"model must be a path, bytes or a ModelProto, got {type(source).__name__}")
    for tensor in _tensors(model):
        if tensor.data_location == TensorProto.EXTERNAL:
            _load_external(tensor, folder)
    return model


def _parsed(data: bytes, name: str) -> ModelProto:
    try:
        model = ModelProto.FromString(data)
    except DecodeError as error:
        raise ValueError(f"{name} is not an ONNX model, or a truncated one: {error}") from None
    if not model.HasField("graph"):
        raise ValueError(f"{name} is not an ONNX model: it has no graph")
    return model


def _tensors(model: ModelProto) -> Iterable[TensorProto]:
    graphs = [model.graph]
    nodes = [node for function in model.functions for node in function.node]
    while graphs or nodes:
        if graphs:
            graph = graphs.pop()
            yield from graph.initializer
            nodes.extend(graph.node)
        while nodes:
            for attribute in nodes.pop().attribute:
                yield from (attribute.t, *attribute.tensors)
                graphs.extend((attribute.g, *attribute.graphs))


def _load_external(tensor: TensorProto, folder: Path | None) -> None:
    what = f"tensor {tensor.name}: external data"
    if folder is None:
        raise ValueError(f"{what} needs the folder of the model: load it from its path")
    location = next((e.value for e in tensor.external_data if e.key == "location"), "")
    try:
        # onnx looks at this too; versions differ in how closely.
        inside = (folder / location).resolve().is_relative_to(folder.resolve())
        if not inside or Path(location).is_absolute():
            raise ValueError("it is not in the folder of the model")
        load_external_data_for_tensor(tensor, os.fspath(folder))
        # What newer versions do by themselves.
        tensor.data_location = TensorProto.DEFAULT
        del tensor.external_data[:]
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        raise ValueError(f"{what} at {location!r}: {error}") from None


def array_of(tensor: TensorProto) -> Array:
    """Return a tensor as an array."""
    try:
        array: Array = onnx.numpy_helper.to_array(tensor)
    except (TypeError, ValueError, KeyError) as error:
        raise ValueError(f"tensor {tensor.name}: {error}") from None
    if array.shape != tuple(tensor.dims):
        raise ValueError(f"tensor {tensor.name} has the sizes {list(tensor.dims)}")
    return array


def array_of_sparse(sparse: onnx.SparseTensorProto) -> Array:
    """Return a sparse tensor as an array."""
    values, indices = array_of(sparse.values), array_of(sparse.indices)
    shape = tuple(sparse.dims)
    try:
        array = np.zeros(shape, values.dtype)
        if indices.ndim > 1:
            indices = np.ravel_multi_index(tuple(indices.T), shape)
        array[np.unravel_index(indices, shape)] = values
    except (TypeError, ValueError) as error:
        raise ValueError(f"sparse tensor {sparse.values.name}: {error}") from None
    return array
