"""From one node of a model to nodes of a graph, or at once to its results.

Knows the table of converters, nothing of protobuf.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fastconv._arguments import Array
from fastconv.graph.node import evaluate_node
from fastconv.onnx.call import Call, Fallback, Known, NotKnownError, OnnxFunction
from fastconv.onnx.converters import CONVERTERS

# The names of the default domain; what is beyond it is left to the reference implementation.
DEFAULT_DOMAIN = ("", "ai.onnx")


@dataclass(frozen=True)
class Operation:
    """One node without the names of its inputs, which can be called with their values.

    It is converted anew by each call, with dtypes, shapes and values known.
    """

    domain: str
    op: str
    name: str
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    opset: int
    fallback: Fallback

    def converted(
        self, inputs: tuple[str, ...], known: Mapping[str, Known], names: set[str]
    ) -> Call:
        """Return the node converted, with what is known of its inputs and the names of all values.

        Those that it makes are added to the names.
        """
        try:
            return self._converted(inputs, known, names)
        except NotKnownError:
            call = self._call(inputs, known, names)
            # What the fallback would read beside the inputs a function could not.
            call.finish(OnnxFunction(self.op, self), *inputs)
            return call

    def __call__(self, *arrays: Array | None) -> tuple[Array, ...]:
        """Compute the outputs."""
        inputs = tuple("" if array is None else f"input {i}" for i, array in enumerate(arrays))
        values = {"": None, **dict(zip(inputs, arrays, strict=True))}
        known = {key: Known.of(array) for key, array in values.items() if array is not None}
        call = self._converted(inputs, known, {*inputs, *self.outputs})
        return evaluated(call, values)

    def _converted(
        self, inputs: tuple[str, ...], known: Mapping[str, Known], names: set[str]
    ) -> Call:
        call = self._call(inputs, known, names)
        converter = CONVERTERS.get(self.op) if self.domain in DEFAULT_DOMAIN else None
        try:
            if converter is None or call.foreign:
                call.fallback()
            elif (operator := converter(call)) is not None:
                call.finish(operator, *inputs)
        except (TypeError, ValueError, NotImplementedError) as error:
            raise type(error)(f"{call}: {error}") from error
        if call.unread:
            raise NotImplementedError(
                f"{call}: attribute {call.unread[0]} is not served in opset {self.opset}"
            )
        return call

    def _call(self, inputs: tuple[str, ...], known: Mapping[str, Known], names: set[str]) -> Call:
        return Call(
            self.domain,
            self.op,
            self.name,
            inputs,
            self.outputs,
            self.attributes,
            self.opset,
            known,
            names,
            self.fallback,
        )


def evaluated(call: Call, values: Mapping[str, Array | None]) -> tuple[Array, ...]:
    """Compute the nodes that a call was converted to, and return its outputs."""
    found: dict[str, Any] = {**values, **call.constants}
    for node in call.nodes:
        results = evaluate_node(node, [found[key] for key in node.inputs])
        found.update(zip(node.outputs, results, strict=False))
    return tuple(found[key] for key in call.outputs)
