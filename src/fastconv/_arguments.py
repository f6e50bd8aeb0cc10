"""Argument forms: what a caller may write, turned into what a plan takes.

The one place that decides which integers, pairs, paddings, activations and arrays are accepted.
It knows numpy only. Rules of geometry (a window that fits its input, groups that divide the
channels) are C's: here a value is merely of the right form.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from math import gcd, isfinite, isnan
from numbers import Real
from typing import TYPE_CHECKING, Any, Literal, SupportsIndex, TypeAlias, TypeGuard

import numpy as np

if TYPE_CHECKING:  # numpy.typing would cost more to import than all of fastconv
    from numpy.typing import ArrayLike

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Pair: TypeAlias = SupportsIndex | Sequence[SupportsIndex]
Padding: TypeAlias = Literal["same", "valid"] | SupportsIndex | Sequence[Pair]
Activation: TypeAlias = str | tuple[str, float] | tuple[str, float, float]
Supported: TypeAlias = Mapping[np.dtype[Any], str]

INT64_MAX = 2**63 - 1

_FLOATS = "float16", "float32", "float64"
_INTEGERS = "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"
FLOATS: Supported = {np.dtype(name): name for name in _FLOATS}
NUMBERS: Supported = {np.dtype(name): name for name in (*_FLOATS, *_INTEGERS)}
ELEMENTS: Supported = {**NUMBERS, np.dtype("bool"): "bool"}
# numpy has two C types of one size: what it calls longlong equals int64 but is another number.
_NATIVE_TYPES = frozenset(dtype.num for dtype in ELEMENTS)

# The numbers that each activation takes, by name.
_ACTIVATIONS: dict[str, tuple[str, ...]] = {
    "relu": (),
    "relu6": (),
    "sigmoid": (),
    "tanh": (),
    "silu": (),
    "hardswish": (),
    "leaky_relu": ("slope",),
    "clip": ("lo", "hi"),
}

# Whether two arrays share memory is NP-hard for contrived strides. Real views need a handful of
# steps; what is undecided after this many counts as shared.
_OVERLAP_STEPS = 10_000


# -- numbers ---------------------------------------------------------------------------------------


def integer(name: str, value: object, form: str = "an integer") -> int:
    """Return `value` as an int of 64 bits; `form` says in errors what the argument may be."""
    if type(value) is not int:
        try:
            if isinstance(value, bool):
                raise TypeError
            value = operator.index(value)  # type: ignore[arg-type]
        except TypeError:
            raise TypeError(f"{name} must be {form}, got {_shown(value)}") from None
    if not -INT64_MAX <= value <= INT64_MAX:
        raise ValueError(f"{name} must fit into 64 bits, got {_shown(value)}")
    return value


def positive(name: str, value: object) -> int:
    """Return `value` as an int that is at least 1."""
    number = integer(name, value)
    if number < 1:
        raise ValueError(f"{name} must be at least 1, got {number}")
    return number


def real(name: str, value: object) -> float:
    """Return `value` as a float that is not NaN."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {_shown(value)}")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError(f"{name} must fit into a float64, got {_shown(value)}") from None
    if isnan(number):
        raise ValueError(f"{name} must not be NaN")
    return number + 0.0  # plans are cached by value, and -0.0 equals 0.0


def finite(name: str, value: object) -> float:
    """Return `value` as a finite float."""
    number = real(name, value)
    if not isfinite(number):
        raise ValueError(f"{name} must be finite, got {number}")
    return number


def flag(name: str, value: object) -> bool:
    """Return `value` as a bool; nothing but True and False will do."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise TypeError(f"{name} must be True or False, got {_shown(value)}")


def integers(name: str, value: object, count: int) -> tuple[int, ...]:
    """Return `count` ints from a sequence of that many, or from one int that stands for all."""
    if _is_sequence(value):
        if len(value) != count:
            raise ValueError(f"{name} must hold {count} integers, got {_shown(value)}")
        return tuple([integer(name, item) for item in value])
    return (integer(name, value, f"an integer or a sequence of {count} integers"),) * count


def integer_list(name: str, value: object) -> tuple[int, ...]:
    """Return the ints of a sequence of any length."""
    if not _is_sequence(value):
        raise TypeError(f"{name} must be a sequence of integers, got {_shown(value)}")
    return tuple([integer(f"each number of {name}", item) for item in value])


def sizes(name: str, value: object, count: int | None = None) -> tuple[int, ...]:
    """Return `count` ints of at least 1, or without `count` as many as there are in `value`."""
    if count is None:
        count = len(value) if _is_sequence(value) else 1
    return tuple([positive(name, number) for number in integers(name, value, count)])


def per_axis(name: str, value: object, axes: int) -> tuple[int, ...]:
    """Return an int for each spatial axis, from one that stands for all or from one for each."""
    # The forms of nearly every call, without the calls that tell what is wrong with others.
    if type(value) is int and -INT64_MAX <= value <= INT64_MAX:
        return (value,) * axes
    if type(value) is tuple and len(value) == axes:
        for item in value:
            if type(item) is not int or abs(item) > INT64_MAX:
                break
        else:
            return value
    if _is_sequence(value) and len(value) == 1:
        return (integer(name, value[0]),) * axes
    return integers(name, value, axes)


def shape(name: str, value: object) -> tuple[int, ...]:
    """Return the shape of an array from a sequence of ints."""
    if isinstance(value, np.ndarray) and value.ndim != 1:
        raise TypeError(f"{name} must be a shape, got an array of shape {value.shape}")
    if not _is_sequence(value):
        raise TypeError(f"{name} must be a sequence of integers, got {_shown(value)}")
    sizes = tuple([integer(f"each size of {name}", size) for size in value])
    if min(sizes, default=0) < 0:
        raise ValueError(f"{name} must not hold negative sizes, got {_shown(sizes)}")
    return sizes


def padding(
    value: object, kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> tuple[int, ...]:
    """Return (before, after) of each axis, one after the other: (top, bottom, left, right).

    From an int, a sequence with an int or a pair for each axis, "same" or "valid".
    """
    axes = len(kernel)
    if isinstance(value, str):
        if value == "valid":
            return (0, 0) * axes
        if value != "same":
            raise ValueError(f'padding must be "same", "valid" or integers, got {_shown(value)}')
        if max(stride) != 1:
            raise ValueError(f'padding "same" needs stride 1, got stride {stride}')
        return sum(map(_same, kernel, dilation), ())
    if not _is_sequence(value):
        form = f'an integer, {axes} of them, {axes} pairs, "same" or "valid"'
        return (integer("padding", value, form),) * (2 * axes)
    if len(value) == 1 and not _is_sequence(value[0]):
        return (integer("padding", value[0]),) * (2 * axes)
    if len(value) != axes:
        raise ValueError(
            f"padding must be an integer, {axes} of them or {axes} pairs (before, after), "
            f"got {_shown(value)}"
        )
    return sum([integers("padding", item, 2) for item in value], ())


def pairs(flat: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """Return what `padding` returned as nested pairs."""
    return tuple(zip(flat[::2], flat[1::2], strict=True))


def _same(kernel: int, dilation: int) -> tuple[int, ...]:
    # A size that C is about to refuse stays within its integers, so that C can say what is wrong.
    total = min(max(dilation * (kernel - 1), 0), INT64_MAX)
    return total // 2, total - total // 2


def activation(value: object) -> tuple[str, float, float]:
    """Return (name, a, b) from None, a name, or a tuple of a name and its numbers."""
    if value is None:
        return "none", 0.0, 0.0
    name, *numbers = value if isinstance(value, (tuple, list)) and value else (value,)
    if not isinstance(name, str):
        raise TypeError(
            f"activation must be None, a name, or a tuple of a name and its numbers, "
            f"got {_shown(value)}"
        )
    if name not in _ACTIVATIONS:
        raise ValueError(f"activation must be one of {', '.join(_ACTIVATIONS)}, got {_shown(name)}")
    wanted = _ACTIVATIONS[name]
    if len(numbers) != len(wanted):
        form = f'("{name}", {", ".join(wanted)})' if wanted else f'"{name}"'
        raise ValueError(f"activation {name} must be written {form}, got {_shown(value)}")
    named = zip(wanted, numbers, strict=True)
    a, b = (*(real(f"activation {name}'s {word}", number) for word, number in named), 0.0, 0.0)[:2]
    if name == "clip" and a > b:
        raise ValueError(f"activation clip's lo must not be above its hi, got {a} and {b}")
    if name == "leaky_relu":
        finite("activation leaky_relu's slope", a)
    return str(name), a, b


def activation_form(normal: tuple[str, float, float]) -> Activation | None:
    """Return what a caller writes to get the given result of `activation`."""
    name, a, b = normal
    match len(_ACTIVATIONS.get(name, ())):
        case 0:
            return None if name == "none" else name
        case 1:
            return name, a
    return name, a, b


def element(name: str, value: object, dtype: str) -> Array:
    """Return a number as an array of one element; integers drop what follows the point."""
    number = (
        value.item() if isinstance(value, (np.generic, np.ndarray)) and value.ndim == 0 else value
    )
    if isinstance(number, Real) and not isinstance(number, int):
        number = float(number)
    if not isinstance(number, (int, float)):
        raise TypeError(f"{name} must be a number, got {_shown(value)}")
    if dtype == "bool":
        return np.array([bool(number)])
    floating = dtype in _FLOATS
    if isinstance(number, float) and not isfinite(number):
        fits = floating
    elif floating:  # compared as Python's numbers: a float16 would round the other side
        fits = abs(number) <= float(np.finfo(dtype).max)
    else:
        limits = np.iinfo(dtype)
        fits = limits.min <= number <= limits.max
    if not fits:
        raise ValueError(f"{name} must fit into {dtype}, got {_shown(value)}")
    return np.array([number if floating else int(number)], dtype)


def _is_sequence(value: object) -> TypeGuard[Sequence[object]]:
    return isinstance(value, (tuple, list)) or (isinstance(value, np.ndarray) and value.ndim > 0)


def _shown(value: object) -> str:
    """Return a short repr for a message, also of an int with more digits than Python prints."""
    try:
        text = " ".join(repr(value).split())
    except ValueError:
        return f"{type(value).__name__} too long to print"
    return text if len(text) <= 80 else f"{text[:77]}..."


# -- arrays that are read --------------------------------------------------------------------------


def as_array(name: str, value: ArrayLike, supported: Supported) -> tuple[Array, str]:
    """Return `value` as a plain ndarray of any strides and byte order, and its dtype's name."""
    array = value if type(value) is np.ndarray else plain(name, value)
    dtype = supported.get(array.dtype)
    if dtype is None:  # another byte order, or nothing for us
        dtype = array.dtype.name
        if dtype not in supported.values():
            raise TypeError(
                f"{name} has dtype {dtype}; supported are {', '.join(supported.values())}"
            )
    return array, dtype


def plain(name: str, value: ArrayLike) -> Array:
    """Return `value` as a plain ndarray of any dtype."""
    if is_masked(value):
        raise TypeError(f"{name} is a masked array: fill it first, its mask would be ignored")
    try:
        return np.asarray(value)
    except ValueError as error:  # such as a ragged list
        raise ValueError(f"{name} is not an array: {error}") from None


def is_masked(value: object) -> bool:
    """Whether `value` is an array with a mask, which would be ignored."""
    # Asked of subclasses only: the first use of np.ma imports it.
    return (
        isinstance(value, np.ndarray)
        and type(value) is not np.ndarray
        and isinstance(value, np.ma.MaskedArray)
    )


def same_dtype(name: str, dtype: str, other: str, other_dtype: str) -> None:
    """Refuse mixed dtypes."""
    if dtype != other_dtype:
        raise TypeError(
            f"{name} has dtype {dtype}, {other} has dtype {other_dtype}: they must be the same"
        )


def operand(
    name: str, value: ArrayLike, shape: tuple[int, ...], dtype: str, other: str = "x"
) -> Array:
    """Return `value` as an array that must have the given shape and the dtype of `other`."""
    array, own = as_array(name, value, FLOATS)
    same_dtype(name, own, other, dtype)
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, it must be {shape}")
    return array


_AXES = "dhw"


def image(
    name: str, shape: tuple[int, ...], axes: int, channels_last: bool
) -> tuple[int, int, tuple[int, ...]]:
    """Return n, c and the spatial sizes of an image's shape, with or without the batch axis."""
    if len(shape) not in (axes + 1, axes + 2):
        spatial = ", ".join(_AXES[-axes:])
        form = f"{spatial}, c" if channels_last else f"c, {spatial}"
        raise ValueError(f"{name} must have the axes ({form}) or (n, {form}), got {_shown(shape)}")
    n = shape[0] if len(shape) == axes + 2 else 1
    if channels_last:
        return n, shape[-1], shape[-axes - 1 : -1]
    return n, shape[-axes - 1], shape[-axes:]


def rows(array: Array) -> Array:
    """Return `array`, or a copy of it, with rows that the kernels can walk."""
    return array if _has_rows(array) else _compact(array)


def contiguous(array: Array) -> Array:
    """Return `array`, or a copy of it, C-contiguous, aligned and in native byte order."""
    return array if _is_contiguous(array) else _compact(array)


def private(array: Array) -> Array:
    """Return a read-only copy of `array`, contiguous and in native byte order."""
    copy = _compact(array)
    copy.flags.writeable = False
    return copy


def _is_contiguous(array: Array) -> bool:
    return array.flags.c_contiguous and _is_native(array)


def _has_rows(array: Array) -> bool:
    # Alignment promises nothing about the stride of an axis of length 1, hence the gcd.
    strides, itemsize = array.strides, array.itemsize
    return (
        (strides[-1] == itemsize or array.shape[-1] == 1)
        and gcd(*strides) % itemsize == 0
        and _is_native(array)
    )


def _is_native(array: Array) -> bool:
    dtype = array.dtype
    return array.flags.aligned and dtype.isnative and dtype.num in _NATIVE_TYPES


def _compact(array: Array) -> Array:
    return array.astype(array.dtype.name, order="C")  # np.array would keep a longlong


# -- arrays that are written -----------------------------------------------------------------------


def check_out(
    out: object,
    shape: tuple[int, ...],
    dtype: str,
    inputs: Mapping[str, Array | None],
    in_place: str = "",
) -> None:
    """Refuse an `out` that cannot hold the result or that shares memory with an input.

    The input named `in_place` may be `out` itself: the same elements in the same places.
    """
    if not isinstance(out, np.ndarray) or is_masked(out):
        raise TypeError(f"out must be an ndarray, got {type(out).__name__}")
    if (NUMBERS.get(out.dtype) or out.dtype.name) != dtype:
        raise ValueError(f"out has dtype {out.dtype.name}, the result has dtype {dtype}")
    if out.shape != shape:
        raise ValueError(f"out has shape {out.shape}, the result has shape {shape}")
    if not out.flags.writeable:
        raise ValueError("out is read-only")
    for name, array in inputs.items():
        if array is None or (name == in_place and _same_elements(out, array)):
            continue
        if _overlap(out, array):
            raise ValueError(f"out overlaps {name} in memory")


def arrays_of(**arguments: ArrayLike | None) -> dict[str, Array]:
    """Return those of the arguments that are arrays, whose memory `out` may share."""
    return {name: value for name, value in arguments.items() if isinstance(value, np.ndarray)}


def _same_elements(a: Array, b: Array) -> bool:
    return a is b or (
        a.__array_interface__["data"][0] == b.__array_interface__["data"][0]
        and a.strides == b.strides
        and a.shape == b.shape
        and a.dtype == b.dtype
    )


def _overlap(a: Array, b: Array) -> bool:
    try:
        # numpy's own stub knows only the two special values of max_work.
        return np.shares_memory(a, b, max_work=_OVERLAP_STEPS)  # type: ignore[arg-type]
    except np.exceptions.TooHardError:
        return True


def target(
    out: Array | None, shape: tuple[int, ...], dtype: str, *, in_one_run: bool = False
) -> Array:
    """Return the array to compute into: `out` where the kernels can write it, else a new one.

    They write it row by row, or `in_one_run`.
    """
    if out is not None:
        plain = np.asarray(out)
        if _is_contiguous(plain) if in_one_run else _has_rows(plain) and _is_injective(plain):
            return plain
    return np.empty(shape, dtype)


def delivered(result: Array, out: Array | None) -> Array:
    """Return `out`, filled with the result unless that was computed in place, or the result."""
    if out is None:
        return result
    if not np.may_share_memory(result, out):
        np.copyto(out, result)
    return out


def _is_injective(array: Array) -> bool:
    """Whether no two elements lie at one address, for all but contrived strides.

    Threads that write one address would leave bits that depend on their number.
    """
    if array.flags.c_contiguous:
        return True
    extent = array.itemsize
    for stride, size in sorted(zip(map(abs, array.strides), array.shape, strict=True)):
        if size > 1:
            if stride < extent:
                return False
            extent += stride * (size - 1)
    return True
