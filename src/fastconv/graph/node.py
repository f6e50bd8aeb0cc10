"""What a graph is made of: values' shapes (`Spec`), operators and the nodes that apply them.

Knows numpy and the argument forms.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from typing import NamedTuple, TypeAlias

import numpy as np

from fastconv._arguments import Array

Shape: TypeAlias = tuple[int, ...]


class Spec(NamedTuple):
    """What is known of a value before the graph runs; `value` is itself, if it is constant."""

    shape: Shape
    dtype: np.dtype[np.generic]
    value: Array | None = None

    @classmethod
    def of(cls, array: Array) -> Spec:
        """Return the spec of a constant."""
        return cls(array.shape, array.dtype, array)

    def sample(self) -> Array:
        """Return the value, or zeros where it is not known."""
        if self.value is not None:
            return self.value
        return np.zeros(self.shape, self.dtype)


class Window(NamedTuple):
    """How far an operator sees along each spatial axis, and how it steps."""

    kernel: Shape
    stride: Shape
    dilation: Shape


class Operator:
    """What a node does: immutable, and the same for every shape of its inputs."""

    @property
    def label(self) -> str:
        """What people call it."""
        return type(self).__name__

    def evaluate(self, *inputs: Array | None) -> tuple[Array, ...]:
        """Compute on arrays; an optional input that is absent is None."""
        raise NotImplementedError

    def infer(self, *inputs: Spec | None) -> tuple[Spec, ...]:
        """Tell shapes and dtypes of the results; by computing on zeros, unless overridden."""
        samples = (None if spec is None else spec.sample() for spec in inputs)
        with np.errstate(all="ignore"):
            results = self.evaluate(*samples)
        return tuple(Spec(array.shape, array.dtype) for array in results)

    def window(self, *inputs: Spec | None) -> Window | None:
        """Return its window over spatial axes, None if a result sees one position."""
        return None

    def macs(self, inputs: tuple[Spec | None, ...], outputs: tuple[Spec, ...]) -> int:
        """Return the number of multiply-adds; elementwise work does not count."""
        return 0


class Node(NamedTuple):
    """An operator applied to named values; an optional input that is absent is named ""."""

    operator: Operator
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    name: str

    def __str__(self) -> str:
        """Return how messages name it."""
        return f"{self.name or ', '.join(self.outputs)} ({self.operator.label})"


def evaluate_node(node: Node, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
    """Compute one node; errors name it."""
    with named_errors(node):
        return node.operator.evaluate(*inputs)


@contextmanager
def named_errors(node: Node) -> Iterator[None]:
    """Let the errors that users cause say in which node."""
    try:
        yield
    except (TypeError, ValueError, MemoryError) as error:
        kind = next(
            kind for kind in (TypeError, ValueError, MemoryError) if isinstance(error, kind)
        )
        raise kind(f"{node}: {error}") from error


def given(spec: Spec | None) -> Spec:
    """Return the spec of an input that is not optional."""
    if spec is None:
        raise ValueError("an input is missing that is not optional")
    return spec


def elements(shape: Shape) -> int:
    """Return the number of elements of a shape."""
    return prod(shape)
