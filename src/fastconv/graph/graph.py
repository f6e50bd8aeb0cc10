"""`Graph`: a network that is called with arrays.

Knows what graphs are made of, and the compiler (``compile``), which it asks for each new shape of
its inputs.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

import numpy as np

from fastconv import _arguments
from fastconv._arguments import Array
from fastconv._core import GraphBase
from fastconv.graph.cache import Cache
from fastconv.graph.compile import Compiled, compile_graph
from fastconv.graph.node import DynamicShapeError, Node, Operator, Spec, evaluate_node
from fastconv.graph.report import (
    Profile,
    Summary,
    is_parameter,
    profile_of,
    statistics_of,
    summary_of,
)

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike

# Compiled graphs hold their activations' memory; a program that sees more shapes than this in turn
# compiles again.
_SHAPES = 8


class Graph(GraphBase):
    """A network: operators on named values, called with arrays.

    The first call with inputs of a shape compiles the graph for it: constants are folded, batch
    normalisation goes into the weights of convolutions, activations and residual additions into
    their last pass, concatenated parts are written where they belong, weights are packed, and all
    activations share one block of memory. Later calls run the compiled steps. Calls may come from
    any number of threads at once. Instances can be pickled and copied.

    Parameters
    ----------
    nodes : iterable of Node
        What is computed, in any order.
    inputs : mapping of str to (dtype, shape) or None
        The inputs' names, in the order of a call's arguments. A declared dtype and shape, in which
        sizes that are None or a string are free, is checked by every call.
    outputs : iterable of str
        The values that a call returns.
    constants : mapping of str to ndarray
        Weights and other values that are known. They must not change any more.
    name : str, default "graph"
        What messages and tables call the network.

    Attributes
    ----------
    name : str
    nodes : tuple of Node
        In an order in which they can run.
    input_names, output_names : tuple of str
    constants : dict of str to ndarray
    parameters : int
        The number of elements of all floating constants but the means and variances of batch
        normalisation, as a network's parameters are usually counted.

    Raises
    ------
    ValueError
        For a cycle, a value that nothing makes or that two nodes make, and a name that is used
        twice.

    Examples
    --------
    >>> import numpy as np
    >>> from fastconv.graph import Graph, Node
    >>> from fastconv.graph.operators import Activation, Conv
    >>> edges = np.array([[[[-1, 1]]]], np.float32)
    >>> nodes = [
    ...     Node(Conv(), ("x", "edges"), ("slopes",), "conv"),
    ...     Node(Activation("relu"), ("slopes",), ("y",), "relu"),
    ... ]
    >>> graph = Graph(nodes, {"x": None}, ["y"], {"edges": edges})
    >>> graph(np.array([[[[0, 3, 1], [2, 2, 7]]]], np.float32))
    array([[[[3., 0.],
             [0., 5.]]]], dtype=float32)
    """

    def __init__(
        self,
        nodes: Iterable[Node],
        inputs: Mapping[str, tuple[DTypeLike, Sequence[int | str | None]] | None],
        outputs: Iterable[str],
        constants: Mapping[str, Array],
        name: str = "graph",
    ) -> None:
        for kind, value in (("inputs", inputs), ("constants", constants)):
            if not isinstance(value, Mapping):
                raise TypeError(f"{kind} must be a mapping of names, got {type(value).__name__}")
        self.name = name
        self.constants = {key: _plain(key, value) for key, value in constants.items()}
        self._declared = {
            key: None if form is None else _declared(key, form) for key, form in inputs.items()
        }
        self.input_names = tuple(self._declared)
        self.output_names = tuple(outputs)
        if not self.output_names:
            raise ValueError(f"{name} has no outputs")
        self.nodes = _in_order(tuple(nodes), self.input_names, self.output_names, self.constants)
        self._begin()

    def _begin(self) -> None:
        self._compiled: OrderedDict[tuple[Any, ...], Compiled | _Partly] = OrderedDict()
        self._heads: dict[int, Graph | None] = {}
        self._cache = Cache()
        self._renew_lock()
        self._published: tuple[Any, ...] | None = None  # the shapes that the fast path serves

    def _renew_lock(self) -> None:
        self._lock = threading.RLock()
        _locked.add(self)

    @property
    def parameters(self) -> int:
        """The number of elements of all floating constants that are not statistics."""
        statistics = statistics_of(self.nodes)
        return sum(
            array.size
            for key, array in self.constants.items()
            if is_parameter(array) and key not in statistics
        )

    def _general(self, args: tuple[ArrayLike, ...], named: Mapping[str, ArrayLike]) -> Any:
        """Serve a call that is not like the last one; the base class serves those."""
        results = self._run(self._named(args, named))
        return results[0] if len(results) == 1 else results

    def _named(
        self, args: tuple[ArrayLike, ...], named: Mapping[str, ArrayLike]
    ) -> dict[str, ArrayLike]:
        """Return the arguments of a call by the names of the inputs."""
        if len(args) > len(self.input_names):
            raise TypeError(f"{self.name} has {len(self.input_names)} inputs, got {len(args)}")
        inputs = dict(zip(self.input_names, args, strict=False))
        for key, value in named.items():
            if key in inputs:
                raise TypeError(f"input {key} is given twice")
            inputs[key] = value
        return inputs

    def run(self, inputs: Mapping[str, ArrayLike]) -> dict[str, Array]:
        """Return the outputs by name, from the inputs by name.

        Parameters
        ----------
        inputs : mapping of str to array_like
            One for each of ``input_names``.

        Returns
        -------
        dict of str to ndarray
            New arrays.

        Raises
        ------
        TypeError, ValueError, MemoryError
            For inputs that do not fit; the message names the node.

        Examples
        --------
        >>> import numpy as np
        >>> from fastconv.graph import Graph, Node
        >>> from fastconv.graph.operators import Add
        >>> graph = Graph([Node(Add(), ("a", "b"), ("y",), "sum")], {"a": None, "b": None}, "y", {})
        >>> graph.run({"a": np.array([1.0]), "b": np.array([2.0])})
        {'y': array([3.])}
        """
        return dict(zip(self.output_names, self._run(inputs), strict=True))

    def _run(self, inputs: Mapping[str, ArrayLike]) -> tuple[Array, ...]:
        arrays = self._checked(inputs)
        key = tuple((array.shape, array.dtype) for array in arrays)
        compiled = self._compile(key)
        try:
            results = compiled.run(arrays)
        except DynamicShapeError as error:
            with self._lock:
                self._compiled[key] = partly = self._partly(error)
            return partly.run(arrays)
        if isinstance(compiled, Compiled) and key != self._published:
            with self._lock:
                compiled.publish(self, key)
                self._published = key
        return results

    def _checked(self, inputs: Mapping[str, ArrayLike]) -> tuple[Array, ...]:
        """Return the inputs as arrays in the order of their names."""
        if not isinstance(inputs, Mapping):
            raise TypeError(f"inputs must be a mapping of names, got {type(inputs).__name__}")
        if inputs.keys() != self._declared.keys():
            missing = [repr(key) for key in self.input_names if key not in inputs]
            unknown = [repr(key) for key in inputs if key not in self._declared]
            told = [f"lacks {', '.join(missing)}"] if missing else []
            told += [f"has no input {', '.join(unknown)}"] if unknown else []
            raise ValueError(
                f"{self.name} takes {', '.join(self.input_names)}; the call {' and '.join(told)}"
            )
        arrays = []
        for key, form in self._declared.items():
            array = _plain(key, inputs[key])
            if form is not None:
                _check_declared(key, array, *form)
            arrays.append(array)
        return tuple(arrays)

    def _compile(self, key: tuple[Any, ...]) -> Compiled | _Partly:
        with self._lock:
            if key not in self._compiled:
                specs = (Spec(shape, dtype) for shape, dtype in key)
                named = dict(zip(self.input_names, specs, strict=True))
                try:
                    self._compiled[key] = compile_graph(
                        self.nodes, named, self.output_names, self.constants, self._cache
                    )
                except DynamicShapeError as error:
                    self._compiled[key] = self._partly(error)
                while len(self._compiled) > _SHAPES:
                    self._compiled.popitem(last=False)
            self._compiled.move_to_end(key)
            return self._compiled[key]

    def evaluate(self, inputs: Mapping[str, ArrayLike]) -> dict[str, Array]:
        """Return the outputs as the nodes mean them: one after the other, nothing compiled.

        Parameters
        ----------
        inputs : mapping of str to array_like
            One for each of ``input_names``.

        Returns
        -------
        dict of str to ndarray
            New arrays, which differ from those of `run` by rounding alone.

        Raises
        ------
        TypeError, ValueError, MemoryError
            As of `run`.

        Examples
        --------
        >>> import numpy as np
        >>> from fastconv.graph import Graph, Node
        >>> from fastconv.graph.operators import Add
        >>> graph = Graph([Node(Add(), ("a", "b"), ("y",), "sum")], {"a": None, "b": None}, "y", {})
        >>> graph.evaluate({"a": np.array([1.0]), "b": np.array([2.0])})
        {'y': array([3.])}
        """
        results = self._evaluate(self._checked(inputs))
        return dict(zip(self.output_names, results, strict=True))

    def _evaluate(self, arrays: tuple[Array, ...]) -> tuple[Array, ...]:
        return _Partly(self, 0).run(arrays)

    def _partly(self, error: DynamicShapeError) -> _Partly:
        """Return what serves inputs for which a shape depends on data."""
        makers = (i for i, node in enumerate(self.nodes) if error.value in node.outputs)
        return _Partly(self, next(makers, 0) if error.value else 0)

    def _head(self, count: int) -> Graph | None:
        """Return the first nodes as a graph of what the others need, if they need anything."""
        if count not in self._heads:
            before, rest = self.nodes[:count], self.nodes[count:]
            made = {key for node in before for key in filter(None, node.outputs)}
            wanted = [key for node in rest for key in node.inputs] + [*self.output_names]
            outputs = dict.fromkeys(key for key in wanted if key in made)
            inputs = dict.fromkeys(self.input_names)
            head = Graph(before, inputs, outputs, self.constants, self.name) if outputs else None
            if head is not None:
                head._cache = self._cache
            self._heads[count] = head
        return self._heads[count]

    def summary(self, *shapes: Sequence[int]) -> Summary:
        """Tell each layer's output shape, parameters, multiply-adds and receptive field.

        Parameters
        ----------
        *shapes : sequence of int
            The shape of each input; those that are declared without free sizes can be left out.

        Returns
        -------
        Summary
            Print it to read it. Each of its ``layers`` has ``name``, ``kind``, ``out_shape``,
            ``parameters``, ``macs`` (multiply-adds) and ``receptive_field``, a number of positions
            for each axis; ``parameters`` and ``macs`` are the sums.

        Raises
        ------
        TypeError, ValueError
            For shapes that do not fit, and for a graph whose shapes depend on data.

        Examples
        --------
        >>> from fastconv.models import lenet5
        >>> summary = lenet5().summary((1, 1, 32, 32))
        >>> summary.macs
        416520
        >>> for layer in summary.layers[:3]:
        ...     print(layer.name, layer.kind, layer.out_shape, layer.receptive_field)
        conv1 Conv (1, 6, 28, 28) (5, 5)
        conv1.tanh tanh (1, 6, 28, 28) (5, 5)
        pool1 MaxPool (1, 6, 14, 14) (6, 6)
        """
        specs = self._specs(shapes)
        try:
            return summary_of(self.name, self.nodes, specs, self.constants)
        except DynamicShapeError as error:
            raise self._dynamic() from error

    def profile(self, *inputs: ArrayLike, runs: int = 10) -> Profile:
        """Time each step of a call.

        Parameters
        ----------
        *inputs : array_like
            As for a call.
        runs : int, default 10
            How many times it runs; the medians are told.

        Returns
        -------
        Profile
            Print it to read it: a table and a bar chart; ``save`` makes a picture. Each of its
            ``steps`` has ``name``, ``kind``, ``out_shape``, ``algorithm``, ``seconds``, ``flops``
            and ``gflops``; ``seconds`` is the sum, ``shared_bytes`` what all activations share.

        Raises
        ------
        TypeError, ValueError
            For inputs that do not fit, and for a graph whose shapes depend on data.

        Examples
        --------
        >>> import numpy as np
        >>> from fastconv.models import lenet5
        >>> profile = lenet5().profile(np.ones((1, 1, 32, 32), np.float32))
        >>> profile.steps[0].kind
        'Conv'
        >>> print(profile)  # doctest: +SKIP
        """
        runs = _arguments.positive("runs", runs)
        arrays = self._checked(self._named(inputs, {}))
        compiled = self._compile(tuple((array.shape, array.dtype) for array in arrays))
        if not isinstance(compiled, Compiled):
            raise self._dynamic()
        try:
            return profile_of(self.name, compiled, arrays, runs)
        except DynamicShapeError as error:
            raise self._dynamic() from error

    def _dynamic(self) -> ValueError:
        return ValueError(f"{self.name} has shapes that depend on data: it is not compiled")

    def _specs(self, shapes: tuple[Sequence[int], ...]) -> dict[str, Spec]:
        given = iter(shapes)
        floats = [a.dtype for a in self.constants.values() if a.dtype.kind == "f"]
        specs = {}
        for key, form in self._declared.items():
            dtype, declared = form or (floats[0] if floats else np.dtype(np.float32), (None,))
            fixed = all(isinstance(size, int) for size in declared)
            shape = declared if fixed and len(shapes) < len(self._declared) else next(given, None)
            if shape is None:
                raise ValueError(f"{self.name}: the shape of input {key} is not given")
            specs[key] = Spec(_arguments.shape(f"the shape of {key}", shape), dtype)
        if next(given, None) is not None:
            raise ValueError(f"{self.name} has {len(self._declared)} inputs, got more shapes")
        return specs

    def __repr__(self) -> str:
        return (
            f"<Graph {self.name}: {', '.join(self.input_names)} -> {', '.join(self.output_names)}, "
            f"{len(self.nodes)} nodes, {self.parameters:,} parameters>"
        )

    def __getstate__(self) -> dict[str, Any]:
        # What is compiled belongs to one process and one CPU.
        hidden = ("_compiled", "_cache", "_heads", "_lock", "_published")
        return {key: value for key, value in vars(self).items() if key not in hidden}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._begin()


class _Partly:
    """A graph that is evaluated node by node, but for its first nodes, which are a graph."""

    def __init__(self, graph: Graph, count: int) -> None:
        self._head = graph._head(count)
        self._rest = graph.nodes[count:]
        last = {key: i for i, node in enumerate(self._rest) for key in node.inputs}
        kept = {"", *graph.constants, *graph.output_names}
        self._dead: list[list[str]] = [[] for _ in self._rest]  # what no node after each needs
        for key, i in last.items():
            if key not in kept:
                self._dead[i].append(key)
        self._inputs = graph.input_names
        self._outputs = graph.output_names
        self._constants = graph.constants

    def run(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        """Return new arrays of outputs."""
        inputs = dict(zip(self._inputs, arrays, strict=True))
        values: dict[str, Array | None] = {"": None, **self._constants, **inputs}
        if self._head is not None:
            values.update(self._head.run(inputs))
        for node, dead in zip(self._rest, self._dead, strict=True):
            results = evaluate_node(node, [values[key] for key in node.inputs])
            values.update(zip(node.outputs, results, strict=False))
            values[""] = None
            for key in dead:
                del values[key]
        return tuple(np.array(values[key], order="C") for key in self._outputs)


# The thread that compiled a graph does not live on in a forked child.
_locked: weakref.WeakSet[Graph] = weakref.WeakSet()


def _renew_locks() -> None:
    for graph in tuple(_locked):
        graph._renew_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)


def _plain(key: str, value: ArrayLike) -> Array:
    """Return a value as an array in native byte order."""
    array = _arguments.plain(key, value)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _declared(
    key: str, form: tuple[DTypeLike, Sequence[int | str | None]]
) -> tuple[np.dtype[Any], tuple[int | str | None, ...]]:
    """Return a declared dtype and shape in normal form."""
    if not isinstance(form, tuple) or len(form) != 2:
        raise TypeError(f"input {key} is declared by (dtype, shape) or None, got {form!r}")
    dtype, shape = form
    sizes = tuple(
        size
        if size is None or isinstance(size, str)
        else _arguments.integer(f"each size of {key}", size)
        for size in shape
    )
    if any(isinstance(size, int) and size < 0 for size in sizes):
        raise ValueError(f"input {key} is declared with a negative size: {sizes}")
    return np.dtype(dtype).newbyteorder("="), sizes


def _check_declared(
    key: str, array: Array, dtype: np.dtype[np.generic], shape: tuple[int | str | None, ...]
) -> None:
    if array.dtype != dtype:
        raise TypeError(f"input {key} has dtype {array.dtype}, it must be {dtype}")
    fits = len(shape) == len(array.shape) and all(
        not isinstance(size, int) or size == own
        for size, own in zip(shape, array.shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if size is None else str(size) for size in shape)
        raise ValueError(f"input {key} has shape {array.shape}, it must be ({wanted})")


def _in_order(
    nodes: tuple[Node, ...],
    inputs: tuple[str, ...],
    outputs: tuple[str, ...],
    constants: Mapping[str, Array],
) -> tuple[Node, ...]:
    """Check the names and return the nodes in an order in which they can run."""
    makers: dict[str, int | None] = {"": None}
    for kind, names in (("input", inputs), ("constant", constants)):
        for key in names:
            if key in makers:
                raise ValueError(f"{kind} {key!r}: the name is used twice, or empty")
            makers[key] = None
    for i, node in enumerate(nodes):
        if not isinstance(node, Node):
            raise TypeError(f"nodes must be of Node, got {node!r}")
        if not isinstance(node.operator, Operator):
            raise TypeError(f"node {node.name!r} has no operator but {node.operator!r}")
        for key in filter(None, node.outputs):
            if key in makers:
                raise ValueError(f"{node} makes {key!r}, which is there already")
            makers[key] = i
    before: list[set[int]] = []
    for node in nodes:
        missing = [key for key in node.inputs if key not in makers]
        if missing:
            raise ValueError(f"{node} takes {missing[0]!r}, which nothing makes")
        before.append({maker for key in node.inputs if (maker := makers[key]) is not None})
    for key in outputs:
        if key not in makers or not key:
            raise ValueError(f"output {key!r}: nothing makes it")
    if all(maker < i for i, makers_of in enumerate(before) for maker in makers_of):
        return nodes
    try:
        order = TopologicalSorter(dict(enumerate(before))).static_order()
        return tuple(nodes[i] for i in order)
    except CycleError as error:
        circle = " -> ".join(str(nodes[i]) for i in error.args[1])
        raise ValueError(f"the graph has a cycle: {circle}") from None
