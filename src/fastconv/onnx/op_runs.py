"""Our operators as classes of the reference implementation of ONNX."""

from __future__ import annotations

from abc import ABCMeta
from dataclasses import replace
from typing import Any

from onnx.reference.op_run import OpRun

from fastconv._arguments import Array
from fastconv.onnx.converters import CONVERTERS
from fastconv.onnx.model import operation_of


class Converted(OpRun, metaclass=ABCMeta):
    """An operator that is converted for its inputs, and computed at once."""

    def __init__(self, onnx_node: Any, run_params: dict[str, Any], schema: Any = None) -> None:
        super().__init__(onnx_node, run_params, schema)
        self._operation = operation_of(onnx_node, run_params["opsets"], classes)
        self._linked = [a.name for a in onnx_node.attribute if a.ref_attr_name]

    def _run(self, *arrays: Array | None, **attributes: Any) -> tuple[Array, ...]:
        operation = self._operation
        if self._linked:  # to attributes of the function that is called
            linked = {name: attributes[name] for name in self._linked}
            operation = replace(operation, attributes={**operation.attributes, **linked})
        return operation(*arrays)


# All but Identity, to which the reference gives lists, and nothing at all.
_CLASSES = tuple(
    type(op, (Converted,), {"op_domain": ""}) for op in sorted(CONVERTERS.keys() - {"Identity"})
)


def classes() -> tuple[type, ...]:
    """Return a class for every operator that has a converter."""
    return _CLASSES
