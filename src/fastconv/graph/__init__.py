"""Networks as graphs of operators, compiled for the shapes of their inputs.

`Graph` is what `fastconv.models` and `fastconv.onnx` make and what runs; `operators` are what its
nodes do. `Sequential` makes one of `layers` that follow each other.
"""

from fastconv.graph import layers, operators
from fastconv.graph.graph import Graph
from fastconv.graph.node import Node, Operator, Spec
from fastconv.graph.sequential import Sequential

__all__ = ["Graph", "Node", "Operator", "Sequential", "Spec", "layers", "operators"]
