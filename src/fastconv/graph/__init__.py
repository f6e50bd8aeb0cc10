"""Networks as graphs of operators, compiled for the shapes of their inputs.

`Graph` is what the front ends make and what runs; `operators` are what its nodes do.
"""

from fastconv.graph import layers, operators
from fastconv.graph.graph import Graph
from fastconv.graph.node import Node, Operator, Spec
from fastconv.graph.sequential import Sequential

__all__ = ["Graph", "Node", "Operator", "Sequential", "Spec", "layers", "operators"]
