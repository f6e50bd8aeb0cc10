"""The reference implementation of ONNX as functions of arrays, for what has no converter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from onnx import IR_VERSION, GraphProto, ModelProto, NodeProto, ValueInfoProto, helper

from fastconv._arguments import Array
from fastconv.graph import Operator
from fastconv.onnx.call import Call, Known, OnnxFunction


class Reference:
    """A model, run by the reference implementation; made new from its bytes when unpickled.

    Parameters
    ----------
    model : ModelProto
        What to run.
    label : str
        What messages call it.
    new_ops : callable
        Returns the classes that replace those of the reference implementation.
    """

    def __init__(
        self, model: ModelProto, label: str, new_ops: Callable[[], Sequence[type]]
    ) -> None:
        self._label = label
        self._new_ops = new_ops
        self._model = model
        self._prepare()

    def _prepare(self) -> None:
        # Imported where a model needs it: that takes longer than to load most models.
        from onnx.reference import ReferenceEvaluator

        try:
            self._evaluator = ReferenceEvaluator(self._model, new_ops=list(self._new_ops()))
        except Exception as error:
            # Of whatever type: it has no other way to say that it lacks an operator.
            raise NotImplementedError(
                f"neither fastconv nor the reference implementation of ONNX serves it: {error}"
            ) from error

    def __call__(self, *arrays: Array | None) -> tuple[Array, ...]:
        """Return the outputs."""
        names = [value.name for value in self._model.graph.input]
        feeds = dict(zip(names, (a for a in arrays if a is not None), strict=True))
        return tuple(map(np.asarray, self.run(feeds)))

    def run(self, feeds: Mapping[str, Any]) -> list[Any]:
        """Return the outputs, which may be lists, from the inputs by name."""
        try:
            results: list[Any] = self._evaluator.run(None, dict(feeds))
        except MemoryError:
            raise
        except Exception as error:  # it raises whatever its code comes upon
            raise ValueError(f"{self._label}: {error}") from error
        return results

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_evaluator": None, "_model": self._model.SerializeToString()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._model = ModelProto.FromString(state["_model"])
        self._prepare()


def no_new_ops() -> Sequence[type]:
    """Return no classes: what the reference is asked for has no converter."""
    return ()


def are_pure(nodes: Iterable[NodeProto]) -> bool:
    """Tell whether nodes that the reference runs, and those of their graphs, draw no numbers."""
    return not any(
        node.op_type.startswith("Random")
        # Without training Dropout has a converter, and is asked for here in graphs only.
        or node.op_type in ("Bernoulli", "Dropout", "Multinomial")
        or not all(are_pure(graph.node) for a in node.attribute for graph in (a.g, *a.graphs))
        for node in nodes
    )


def captures(node: NodeProto) -> Iterator[str]:
    """Yield the values around a node that its subgraphs read, each once."""
    read: dict[str, None] = {}
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            read.update(dict.fromkeys(captures_of(graph)))
    yield from read


def captures_of(graph: GraphProto) -> Iterator[str]:
    """Yield the values that a graph reads and does not hold, each once."""
    own = {"", *(value.name for value in (*graph.initializer, *graph.input))}
    own.update(sparse.values.name for sparse in graph.sparse_initializer)
    own.update(key for node in graph.node for key in node.output)
    read = [key for node in graph.node for key in (*node.input, *captures(node))]
    read += [value.name for value in graph.output]
    yield from (key for key in dict.fromkeys(read) if key not in own)


def fallback(
    call: Call, node: NodeProto, opsets: Mapping[str, int], new_ops: Callable[[], Sequence[type]]
) -> tuple[Operator, tuple[str, ...]]:
    """Return the operator that lets the reference run a node, and what its subgraphs read.

    Subgraphs run with the classes of `new_ops`; the node itself does not, for it would come back.
    """
    captured = tuple(captures(node))
    copy = NodeProto()
    copy.CopyFrom(node)
    # Names of our own: a model may give one value for two inputs, and leave outputs unnamed.
    copy.input[:] = [call.fresh() if key else "" for key in node.input]
    copy.output[:] = [call.fresh() for _ in call.outputs]
    graph = GraphProto(name=node.op_type, node=[copy])
    sources = dict(zip(copy.input, call.inputs, strict=False)) | {key: key for key in captured}
    for key, source in sources.items():
        if key:
            graph.input.append(_value_info(key, call.known(source)))
    graph.output.extend(ValueInfoProto(name=key) for key in copy.output)
    model = ModelProto(ir_version=IR_VERSION, graph=graph)
    model.opset_import.extend(helper.make_opsetid(*item) for item in opsets.items())
    within = new_ops if any(a.HasField("g") for a in node.attribute) else no_new_ops
    function = Reference(model, node.op_type, within)
    return OnnxFunction(node.op_type, function, are_pure([node])), captured


def _value_info(name: str, known: Known) -> ValueInfoProto:
    if known.dtype is None:
        return ValueInfoProto(name=name)
    kind = helper.np_dtype_to_tensor_dtype(known.dtype)
    return helper.make_tensor_value_info(name, kind, known.shape)
