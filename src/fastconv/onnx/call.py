"""`Call`: one node of a model as its converter sees it.

A converter is a function of a `Call`. It returns the operator that takes the node's inputs and
makes its outputs, or adds several nodes with `Call.emit`. It knows graphs and NumPy, nothing of
protobuf: attributes are Python values and arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from fastconv._arguments import FLOATS, Array
from fastconv.graph import Node, Operator, Spec
from fastconv.graph import operators as ops
from fastconv.graph.node import DynamicShapeError

Dtype: TypeAlias = np.dtype[Any]


class Known(NamedTuple):
    """What is known of a value before the model runs; None where it is not known."""

    dtype: Dtype | None = None
    shape: tuple[int | None, ...] | None = None
    value: Array | None = None

    @classmethod
    def of(cls, array: Array) -> Known:
        """Return what is known of a constant."""
        return cls(array.dtype, array.shape, array)


@dataclass(frozen=True)
class OnnxFunction(ops.Function):
    """A function of arrays, whose errors are those that graphs know, and which may be random."""

    pure: bool = True

    def evaluate(self, *inputs: Array | None) -> tuple[Array, ...]:
        """Call it."""
        try:
            return super().evaluate(*inputs)
        except (LookupError, ArithmeticError) as error:
            raise ValueError(f"{error}") from error


class Uncompiled(OnnxFunction):
    """A function that must not run on zeros to tell its shapes, or whose values have no place."""

    def infer(self, *inputs: Spec | None) -> tuple[Spec, ...]:
        """Refuse, so that the graph computes node by node."""
        raise DynamicShapeError(self.label)


def fresh(stem: str, names: set[str]) -> str:
    """Return a name that no value has yet, and add it to the names."""
    name = next(name for i in count() if (name := f"{stem}#{i}") not in names)
    names.add(name)
    return name


class NotKnownError(Exception):
    """A converter asked what only a run will tell; the node is then converted when it is called."""


class Call:
    """One node of a model, with what is known of its inputs, and the nodes it is made of.

    Attributes
    ----------
    domain, op : str
        The operator's domain and type.
    inputs : tuple of str
        Names of values; "" for an optional one that is absent.
    outputs : tuple of str
        Names of values up to the last that the model takes, see `output`.
    opset : int
        The version of the operator's domain.
    nodes : list of Node
        What has been emitted.
    constants : dict of str to ndarray
        Constants that the emitted nodes read.

    `names` are those of all values, with which none of the node's own may be confused; it grows.
    """

    def __init__(
        self,
        domain: str,
        op: str,
        name: str,
        inputs: Sequence[str],
        outputs: Sequence[str],
        attributes: Mapping[str, Any],
        opset: int,
        known: Mapping[str, Known],
        names: set[str],
        fallback: Fallback,
    ) -> None:
        self.domain = domain
        self.op = op
        self.name = name
        self.inputs = tuple(inputs)
        self.opset = opset
        self.nodes: list[Node] = []
        self.constants: dict[str, Array] = {}
        self._known = known
        self._names = names
        self._attributes = attributes
        self._read: set[str] = set()
        self._fallback = fallback
        self._first = next(filter(None, outputs), "")
        self._taken = [i for i, key in enumerate(outputs) if key]
        last = max(self._taken, default=-1) + 1
        self.outputs = tuple(key or self.fresh() for key in outputs[:last])

    def __str__(self) -> str:
        """Return how messages name it."""
        return f"{self.name or self._first} ({self.op})"

    # -- attributes --------------------------------------------------------------------------------

    def get(self, name: str, default: Any = None) -> Any:
        """Return an attribute; what no converter gets is refused afterwards, never ignored."""
        self._read.add(name)
        return self._attributes.get(name, default)

    def has(self, name: str) -> bool:
        """Tell whether the model gives an attribute."""
        return name in self._attributes

    def ignore(self, *names: str) -> None:
        """Declare attributes that change nothing."""
        self._read.update(names)

    @property
    def unread(self) -> list[str]:
        """The attributes that the converter did not look at."""
        return sorted(self._attributes.keys() - self._read)

    # -- inputs ------------------------------------------------------------------------------------

    def input(self, i: int) -> str:
        """Return the name of an input, "" if it is absent."""
        return self.inputs[i] if i < len(self.inputs) else ""

    def output(self, i: int) -> bool:
        """Tell whether the model takes an output."""
        return i in self._taken

    def known(self, key: str) -> Known:
        """Return what is known of a value."""
        return self._known.get(key, Known())

    def value(self, i: int) -> Array | None:
        """Return an input that is constant; None for others and for an absent one."""
        return self.known(self.input(i)).value

    def dtype(self, i: int = 0) -> Dtype:
        """Return the dtype of an input."""
        dtype = self.known(self.input(i)).dtype
        if dtype is None:
            raise NotKnownError
        return dtype

    def rank(self, i: int = 0) -> int:
        """Return the number of axes of an input."""
        return len(self.sizes(i))

    def sizes(self, i: int = 0) -> tuple[int | None, ...]:
        """Return the shape of an input, with None for sizes that are not known."""
        shape = self.known(self.input(i)).shape
        if shape is None:
            raise NotKnownError
        return shape

    def spatial(self, i: int = 0) -> tuple[int, ...]:
        """Return the sizes of an input behind the first two axes, all of which must be known."""
        sizes = self.sizes(i)[2:]
        if None in sizes:
            raise NotKnownError
        return tuple(size for size in sizes if size is not None)

    @property
    def foreign(self) -> bool:
        """Whether an input has a dtype that NumPy lacks, such as bfloat16."""
        dtypes = (self.known(key).dtype for key in self.inputs)
        return any(dtype is not None and dtype.isbuiltin != 1 for dtype in dtypes)

    def floating(self, *which: int) -> bool:
        """Tell whether inputs have a dtype that the operators of graphs compute in."""
        return all(self.dtype(i) in FLOATS for i in which or (0,))

    # -- results -----------------------------------------------------------------------------------

    def emit(self, operator: Operator, *inputs: str, outputs: Sequence[str] | None = None) -> str:
        """Add a node and return the name of its (first) result."""
        if outputs is None:
            outputs = (self.fresh(),)
        self.nodes.append(Node(operator, inputs, tuple(outputs), self.name or self._first))
        return outputs[0]

    def finish(self, operator: Operator, *inputs: str) -> None:
        """Add the node that makes the outputs of the model's node."""
        self.emit(operator, *inputs, outputs=self.outputs)

    def function(self, function: Callable[..., Array | tuple[Array, ...]], *inputs: str) -> str:
        """Add a step that is a function of arrays, and return its result's name."""
        return self.emit(OnnxFunction(self.op, function), *inputs)

    def constant(self, value: Any, dtype: Any = None) -> str:
        """Return the name of a new constant."""
        name = self.fresh()
        self.constants[name] = np.asarray(value, dtype)
        return name

    def fresh(self) -> str:
        """Return a name for a value that the model does not name."""
        return fresh(self._first, self._names)

    def fallback(self) -> None:
        """Leave the node to the reference implementation of ONNX."""
        self._read.update(self._attributes)
        operator, captured = self._fallback(self)
        self.finish(operator, *self.inputs, *captured)


# Returns the operator of a node's inputs and outputs; None if it has emitted what makes those.
Converter: TypeAlias = Callable[[Call], Operator | None]
# Returns an operator that does what no converter does, and what it reads beside the inputs.
Fallback: TypeAlias = Callable[[Call], tuple[Operator, tuple[str, ...]]]
