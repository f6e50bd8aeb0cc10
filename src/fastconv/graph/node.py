"""What a graph is made of: values' shapes (`Spec`), operators and the nodes that apply them.

Knows numpy and the argument forms.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np

from fastconv._arguments import Array

Shape: TypeAlias = tuple[int, ...]
_Result = TypeVar("_Result")


class DynamicShapeError(Exception):
    """A shape depends on data: from there on, the graph has to be evaluated node by node."""

    #: The value that it is a shape of, "" if no compiled step can come before.
    value = ""


class Spec(NamedTuple):
    """What is known of a value before the graph runs.

    Parameters
    ----------
    shape : tuple of int
        Its shape.
    dtype : numpy.dtype
        Its dtype.
    value : ndarray, optional
        The value itself, if it is constant.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph import Spec
    >>> from fastconv.graph.operators import Flatten
    >>> (result,) = Flatten().infer(Spec((2, 3, 4), np.dtype(np.float32)))
    >>> result.shape
    (2, 12)
    """

    shape: Shape
    dtype: np.dtype[np.generic]
    value: Array | None = None

    @classmethod
    def of(cls, array: Array) -> Spec:
        """Return the spec of a constant.

        Parameters
        ----------
        array : ndarray
            The constant.

        Returns
        -------
        Spec
            With `array` as its value.

        Examples
        --------
        >>> import numpy as np
        >>> from fastconv.graph import Spec
        >>> Spec.of(np.array([2, 3])).value
        array([2, 3])
        """
        return cls(array.shape, array.dtype, array)

    def sample(self) -> Array:
        """Return the value, or zeros where it is not known.

        Returns
        -------
        ndarray
            Of the spec's shape and dtype.

        Examples
        --------
        >>> import numpy as np
        >>> from fastconv.graph import Spec
        >>> Spec((2,), np.dtype(np.float32)).sample()
        array([0., 0.], dtype=float32)
        """
        if self.value is not None:
            return self.value
        return np.zeros(self.shape, self.dtype)


class Window(NamedTuple):
    """How far an operator sees along each spatial axis, and how it steps."""

    kernel: Shape
    stride: Shape
    dilation: Shape


class Operator:
    """What a node does: immutable, and the same for every shape of its inputs.

    A class of one's own needs `evaluate` alone. `infer` computes on zeros unless it is overridden,
    which suits whatever tells shapes without the data.

    See Also
    --------
    fastconv.graph.operators.Function : Makes an operator of a function of arrays.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph import Graph, Node, Operator
    >>> class Clamp(Operator):
    ...     def evaluate(self, x):
    ...         return (np.clip(x, 0, 1),)
    >>> graph = Graph([Node(Clamp(), ("x",), ("y",), "clamp")], {"x": None}, ["y"], {})
    >>> graph(np.array([-1.0, 0.5, 2.0]))
    array([0. , 0.5, 1. ])
    """

    @property
    def label(self) -> str:
        """What people call it."""
        return type(self).__name__

    @property
    def pure(self) -> bool:
        """Whether equal inputs give equal results, so that those of constants are constant."""
        return True

    def evaluate(self, *inputs: Array | None) -> tuple[Array, ...]:
        """Compute on arrays.

        Parameters
        ----------
        *inputs : ndarray or None
            An optional input that is absent is None.

        Returns
        -------
        tuple of ndarray
            The results.

        Raises
        ------
        TypeError, ValueError
            For inputs that do not fit; a graph adds which node it was.

        Examples
        --------
        >>> import numpy as np
        >>> from fastconv.graph.operators import Add
        >>> Add().evaluate(np.array([1, 2]), np.array([10]))
        (array([11, 12]),)
        """
        raise NotImplementedError

    def infer(self, *inputs: Spec | None) -> tuple[Spec, ...]:
        """Tell shapes and dtypes of the results; by computing on zeros, unless overridden.

        Parameters
        ----------
        *inputs : Spec or None
            An optional input that is absent is None.

        Returns
        -------
        tuple of Spec
            One for each result.

        Raises
        ------
        TypeError, ValueError
            For inputs that do not fit.

        Examples
        --------
        >>> import numpy as np
        >>> from fastconv.graph import Spec
        >>> from fastconv.graph.operators import Transpose
        >>> Transpose((1, 0)).infer(Spec((2, 5), np.dtype(np.float32)))[0].shape
        (5, 2)
        """
        samples = (None if spec is None else spec.sample() for spec in inputs)
        with np.errstate(all="ignore"):
            results = self.evaluate(*samples)
        return tuple(Spec(array.shape, array.dtype) for array in results)

    def window(self, *inputs: Spec | None) -> Window | None:
        """Return its window over spatial axes, from which receptive fields follow.

        Parameters
        ----------
        *inputs : Spec or None
            Of the inputs.

        Returns
        -------
        Window or None
            The tuples ``kernel``, ``stride`` and ``dilation``, with a number for each axis; None
            if a result sees one position alone.

        Examples
        --------
        >>> import numpy as np
        >>> from fastconv.graph import Spec
        >>> from fastconv.graph.operators import MaxPool
        >>> MaxPool(kernel=3, stride=2).window(Spec((1, 8, 32, 32), np.dtype(np.float32)))
        Window(kernel=(3, 3), stride=(2, 2), dilation=(1, 1))
        """
        return None

    def macs(self, inputs: tuple[Spec | None, ...], outputs: tuple[Spec, ...]) -> int:
        """Return the number of multiply-adds; elementwise work does not count.

        Parameters
        ----------
        inputs : tuple of Spec or None
            Of the inputs.
        outputs : tuple of Spec
            Of the results.

        Returns
        -------
        int
            0 unless the class counts its own.

        Examples
        --------
        >>> import numpy as np
        >>> from fastconv.graph import Spec
        >>> from fastconv.graph.operators import Dense
        >>> x, weight = (Spec(shape, np.dtype(np.float32)) for shape in [(1, 64), (10, 64)])
        >>> Dense().macs((x, weight), Dense().infer(x, weight))
        640
        """
        return 0


class Node(NamedTuple):
    """An operator applied to named values.

    Parameters
    ----------
    operator : Operator
        What it does.
    inputs : tuple of str
        The values that it takes, in the operator's order; an optional one that is absent is
        named ``""``.
    outputs : tuple of str
        The values that it makes. ``""`` is a result that nothing takes.
    name : str
        What messages and tables call it; ``""`` leaves it to the names of the outputs.

    Examples
    --------
    >>> from fastconv.graph import Node
    >>> from fastconv.graph.operators import Activation
    >>> print(Node(Activation("relu"), ("x",), ("y",), "first"))
    first (relu)
    """

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
        return enough(node, node.operator.evaluate(*inputs))


def infer_node(node: Node, inputs: Sequence[Spec | None]) -> tuple[Spec, ...]:
    """Infer one node; errors name it."""
    with named_errors(node):
        return enough(node, node.operator.infer(*inputs))


def enough(node: Node, results: tuple[_Result, ...]) -> tuple[_Result, ...]:
    """Return a node's results, of which there may be more than it names, but not fewer."""
    if any(node.outputs[len(results) :]):
        raise ValueError(f"makes {len(results)} of {', '.join(node.outputs)}")
    return results


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
