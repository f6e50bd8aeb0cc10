"""The part of a pickle that holds tensors: what `load_weights` reads of files of ``torch.save``.

A pickle is a program, and Python's own reader calls whatever it names. This one knows the
instructions that ``torch.save`` writes for numbers, texts, containers and tensors. Any other
instruction and any other name is an error, and nothing outside this file is ever called. What was
made is neither hashed nor printed before its type is known: a tuple of tuples can be so deep, or so
often refer to one, that either would never end. Knows numpy; torch need not be installed.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from fastconv._arguments import INT64_MAX, Array

__all__ = ["Storage", "Tensor", "run"]

# What torch's names of element types mean.
_DTYPES = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}


# A tensor takes about 50; each may take hundreds of bytes.
_INSTRUCTIONS = 5_000_000


@dataclass(frozen=True)
class Storage:
    """Elements that tensors are views of; where they lie in the file is the file's matter."""

    key: str
    dtype: str
    size: int


@dataclass(frozen=True)
class Tensor:
    """A view of a storage; shape, strides and offset count elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def of(self, values: Array) -> Array:
        """Return the view of the storage's elements."""
        if 0 in self.shape:
            return np.empty(self.shape, values.dtype)
        steps = zip(self.shape, self.strides, strict=True)
        last = self.offset + sum((size - 1) * stride for size, stride in steps)
        if last >= values.size:
            raise ValueError(
                f"a tensor of shape {self.shape} with strides {self.strides} from element "
                f"{self.offset} on reaches beyond its storage of {values.size} elements"
            )
        strides = tuple(stride * values.itemsize for stride in self.strides)
        at = self.offset * values.itemsize
        return np.ndarray(self.shape, values.dtype, values, at, strides)


@dataclass(frozen=True)
class _Name:
    """What a pickle may name: something to call with arguments, or an element type."""

    name: str
    make: Callable[..., Any] | None = None


def _tensor(
    storage: Any, offset: Any, shape: Any, strides: Any, _gradient: Any, _hooks: Any, _: Any = None
) -> Tensor:
    if not isinstance(storage, Storage):
        raise ValueError(f"a tensor has {_kind(storage)} for its storage")
    parts = {"offset": (offset,), "shape": shape, "strides": strides}
    for name, sizes in parts.items():
        if type(sizes) is not tuple or not all(map(_is_size, sizes)):
            raise ValueError(f"the {name} of a tensor is not made of sizes")
    if len(shape) != len(strides):
        raise ValueError(f"a tensor has the shape {shape} and the strides {strides}")
    return Tensor(storage, offset, shape, strides)


def _is_size(value: object) -> bool:
    return type(value) is int and 0 <= value <= INT64_MAX


def _dictionary(pairs: Any = ()) -> dict[str | int, Any]:
    filled: dict[str | int, Any] = {}
    for key, value in pairs:
        if not isinstance(key, (str, int)):
            raise ValueError(f"{_kind(key)} is a key of a dictionary")
        filled[key] = value
    return filled


def _parameter(tensor: Any, _gradient: Any, _hooks: Any) -> Any:
    return tensor


_NAMES = {
    name: _Name(name, make)
    for name, make in {
        "collections.OrderedDict": _dictionary,
        "torch._utils._rebuild_tensor_v2": _tensor,
        "torch._utils._rebuild_parameter": _parameter,
        **{f"torch.{kind}": None for kind in _DTYPES},
    }.items()
}


def _named(module: object, name: object) -> _Name:
    if not isinstance(module, str) or not isinstance(name, str):
        raise ValueError(f"it names {_kind(name)} of {_kind(module)}")
    known = _NAMES.get(f"{module}.{name}")
    if known is None:
        raise ValueError(
            f"it names {module}.{name}, which is not needed for tensors: refused. Save a "
            "dictionary of tensors alone, such as a module's state_dict()"
        )
    return known


def _called(function: object, arguments: object) -> object:
    if not isinstance(function, _Name) or function.make is None or type(arguments) is not tuple:
        raise ValueError(f"it calls what is no function: {_kind(function)}")
    try:
        return function.make(*arguments)
    except TypeError as error:
        raise ValueError(f"{function.name}: {error}") from None


def _kind(value: object) -> str:
    return value.name if isinstance(value, _Name) else f"a {type(value).__name__}"


def _storage(identity: object) -> Storage:
    """Return the storage that a persistent identity stands for."""
    match identity:
        # Old files add which part of another storage it is, if it is one.
        case ("storage", _Name(name, None), str(key), str(), int(size), *view):
            if not _is_size(size) or view not in ([], [None]):
                raise ValueError(f"storage {key!r} is of a kind that is not read")
            return Storage(key, _DTYPES[name.removeprefix("torch.")], size)
    raise ValueError("it refers to something other than a storage")


def run(file: IO[bytes], storages: dict[str, Storage] | None = None) -> object:
    """Return what the pickle that begins here makes, and leave the file where it ends.

    Tensors become each a `Tensor`; the storages they refer to are added to `storages`.
    """
    stack: list[Any] = []
    below: list[list[Any]] = []  # the stacks under each mark
    memo: dict[Any, Any] = {}

    def since_mark() -> list[Any]:
        nonlocal stack
        items, stack = stack, below.pop()
        return items

    def fill(pairs: list[Any]) -> None:
        stack[-1].update(_dictionary(zip(pairs[::2], pairs[1::2], strict=True)))

    for count, (opcode, argument, _) in enumerate(pickletools.genops(file)):
        if count > _INSTRUCTIONS:
            raise ValueError(f"it has more than {_INSTRUCTIONS:,} instructions")
        match opcode.name:
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = stack[-1]
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[argument])
            case (
                "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT" | "BINUNICODE"
                | "SHORT_BINUNICODE" | "BINSTRING" | "SHORT_BINSTRING"
            ):  # fmt: skip
                stack.append(argument)
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[opcode.name])
            case "EMPTY_DICT":
                stack.append({})
            case "EMPTY_LIST":
                stack.append([])
            case "EMPTY_TUPLE":
                stack.append(())
            case "MARK":
                below.append(stack)
                stack = []
            case "TUPLE":
                items = since_mark()
                stack.append(tuple(items))
            case "TUPLE1" | "TUPLE2" | "TUPLE3":
                length = int(opcode.name[-1])
                stack[-length:] = [tuple(stack[-length:])]
            case "SETITEM":
                value, key = stack.pop(), stack.pop()
                fill([key, value])
            case "SETITEMS":
                items = since_mark()
                fill(items)
            case "APPEND":
                value = stack.pop()
                stack[-1].append(value)
            case "APPENDS":
                items = since_mark()
                stack[-1].extend(items)
            case "GLOBAL":
                stack.append(_named(*str(argument).split(" ", 1)))
            case "STACK_GLOBAL":
                name, module = stack.pop(), stack.pop()
                stack.append(_named(module, name))
            case "REDUCE":
                arguments, function = stack.pop(), stack.pop()
                stack.append(_called(function, arguments))
            case "BINPERSID":
                storage = _storage(stack.pop())
                if storages is None or storages.setdefault(storage.key, storage) != storage:
                    raise ValueError(f"storage {storage.key!r} has two types or sizes")
                stack.append(storage)
            case "BUILD":
                # A state dict's attributes, which tell the versions of its modules, are dropped.
                stack.pop()
                if type(stack[-1]) is not dict:
                    raise ValueError(f"it sets attributes of {_kind(stack[-1])}")
            case "PROTO" | "FRAME":
                pass
            case "STOP":
                return stack.pop()
            case other:
                raise ValueError(f"it holds the instruction {other}, which no tensor needs")
    raise ValueError("it ends in the middle of a pickle")
