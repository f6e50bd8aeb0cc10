"""What a graph tells about itself: a summary of its layers, and the time that each step takes.

Knows what graphs are made of and what was compiled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fastconv.graph.node import Node, Shape, Spec, given
from fastconv.graph.operators.convolution import Dense
from fastconv.graph.operators.elementwise import BatchNorm
from fastconv.graph.operators.shaping import Flatten, Function
from fastconv.graph.simplify import Specs, inferred

if TYPE_CHECKING:
    from fastconv._arguments import Array
    from fastconv.graph.compile import Compiled

_BAR = 24  # characters of the longest bar


class SummaryRow(NamedTuple):
    """One node of a summary."""

    name: str
    kind: str
    out_shape: Shape
    parameters: int
    #: Multiply-adds.
    macs: int
    #: What an output sees of each spatial axis of the input, in positions; () where there are none.
    receptive_field: Shape


class Summary(NamedTuple):
    """The layers of a graph for inputs of certain shapes; print it to read it."""

    name: str
    inputs: dict[str, Shape]
    layers: tuple[SummaryRow, ...]

    @property
    def parameters(self) -> int:
        """The number of parameters of all layers."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def macs(self) -> int:
        """The multiply-adds of all layers."""
        return sum(layer.macs for layer in self.layers)

    def __str__(self) -> str:
        """Return the table as text."""
        rows = [("layer", "operator", "output shape", "parameters", "MACs", "receptive field")]
        rows += [
            (
                layer.name,
                layer.kind,
                _times(layer.out_shape),
                f"{layer.parameters:,}" if layer.parameters else "",
                f"{layer.macs:,}" if layer.macs else "",
                _times(layer.receptive_field),
            )
            for layer in self.layers
        ]
        given = ", ".join(f"{key} {_times(shape)}" for key, shape in self.inputs.items())
        return (
            f"{self.name}: {given}\n\n{_table(rows, left=3)}\n\n"
            f"{self.parameters:,} parameters, {self.macs:,} multiply-adds"
        )


class TimedStep(NamedTuple):
    """One step of a profile."""

    name: str
    kind: str
    out_shape: Shape
    algorithm: str
    seconds: float
    #: Floating-point operations, two per multiply-add; 0 where they are not counted.
    flops: int

    @property
    def gflops(self) -> float:
        """Operations per nanosecond."""
        return self.flops / self.seconds * 1e-9 if self.seconds else 0.0


class Profile(NamedTuple):
    """The time of each step of a graph; print it to read it."""

    name: str
    runs: int
    #: What all activations share, in bytes.
    shared_bytes: int
    steps: tuple[TimedStep, ...]

    @property
    def seconds(self) -> float:
        """The time of all steps."""
        return sum(step.seconds for step in self.steps)

    def __str__(self) -> str:
        """Return a table with bars as text."""
        rows = [("step", "operator", "output shape", "algorithm", "ms", "GFLOP/s", "share", "")]
        longest = max((step.seconds for step in self.steps), default=0.0)
        for step in self.steps:
            bar = round(_BAR * step.seconds / longest) if longest else 0
            rows.append(
                (
                    step.name,
                    step.kind,
                    _times(step.out_shape),
                    step.algorithm,
                    f"{1e3 * step.seconds:.3f}",
                    f"{step.gflops:.1f}" if step.flops else "",
                    f"{step.seconds / self.seconds:.1%}" if self.seconds else "",
                    "█" * bar or "▏",
                )
            )
        mega = sum(step.flops for step in self.steps) * 1e-6
        total = f"{1e3 * self.seconds:.3f} ms, {mega:,.1f} million operations"
        memory = f"{self.shared_bytes / 2**10:,.0f} KiB of activations"
        return (
            f"{self.name}: median of {self.runs} runs\n\n{_table(rows, left=4, last_left=True)}\n\n"
            f"{len(self.steps)} steps in {total}, {memory}"
        )

    def save(self, path: str | Path) -> None:
        """Draw the bars into a picture; needs matplotlib.

        Parameters
        ----------
        path : str or Path
            Where to; its ending says of which kind the picture is.

        Examples
        --------
        >>> import numpy as np
        >>> from fastconv.models import lenet5
        >>> profile = lenet5().profile(np.ones((1, 1, 32, 32), np.float32))
        >>> profile.save("lenet5.png")  # doctest: +SKIP
        """
        try:
            from matplotlib.figure import Figure
        except ImportError:
            raise ImportError("a picture needs matplotlib: pip install matplotlib") from None
        height = 1.2 + 0.24 * len(self.steps)
        figure = Figure(figsize=(8, height), layout="constrained")
        axes = figure.subplots()
        places = range(len(self.steps))
        bars = axes.barh(places, [1e3 * step.seconds for step in self.steps], color="#3b6ea5")
        axes.bar_label(
            bars,
            [f"{s.algorithm} {s.gflops:.0f} GFLOP/s" if s.flops else s.kind for s in self.steps],
            padding=3,
            fontsize=7,
        )
        axes.set_yticks(places, [step.name for step in self.steps], fontsize=7)
        axes.invert_yaxis()
        axes.margins(x=0.25, y=0.01)
        axes.set_xlabel("ms")
        axes.set_title(f"{self.name}: {1e3 * self.seconds:.2f} ms")
        axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(path, dpi=120)


def summary_of(
    name: str,
    nodes: Sequence[Node],
    inputs: Mapping[str, Spec],
    constants: Mapping[str, Array],
) -> Summary:
    """Return the summary of a graph, with its nodes as they were given."""
    specs: Specs = {key: Spec.of(array) for key, array in constants.items()} | dict(inputs)
    fields = {key: _Field.of_input(spec) for key, spec in inputs.items()}
    statistics = statistics_of(nodes)
    # The constants that a value comes from, which count where it is first used.
    origins = {key: {key} for key in constants}
    counted: set[str] = set()
    guessed: set[str] = set()
    layers = []
    for node in nodes:
        results = inferred(node, specs, guessed)
        specs.update(zip(node.outputs, results, strict=False))
        known = tuple(specs[key] if key else None for key in node.inputs)
        seen = [fields[key] for key in node.inputs if key in fields]
        field = _Field.through(seen, node, known)
        fields.update((key, field) for key in node.outputs)
        own = set().union(*(origins.get(key, ()) for key in node.inputs))
        if not any(spec.value is None for spec in results):
            origins.update((key, own) for key in node.outputs)
            continue
        own -= counted | statistics
        counted |= own
        layers.append(
            SummaryRow(
                node.name or node.outputs[0],
                node.operator.label,
                results[0].shape,
                sum(constants[key].size for key in own if is_parameter(constants[key])),
                node.operator.macs(known, results),
                field.size,
            )
        )
    return Summary(name, {key: spec.shape for key, spec in inputs.items()}, tuple(layers))


def is_parameter(array: Array) -> bool:
    """Whether a constant counts as parameters, unless it holds statistics."""
    return array.dtype.kind == "f"


def statistics_of(nodes: Sequence[Node]) -> set[str]:
    """Return the names of the means and variances of batch normalisation."""
    return {
        key for node in nodes if isinstance(node.operator, BatchNorm) for key in node.inputs[3:]
    }


def profile_of(name: str, compiled: Compiled, inputs: Sequence[Array], runs: int) -> Profile:
    """Return the median times of a compiled graph's steps."""
    from statistics import median  # slow to import, and few programs profile

    compiled.run(inputs)
    rounds = [compiled.profile(inputs) for _ in range(runs)]
    steps = tuple(
        TimedStep(
            step.node.name or step.node.outputs[0],
            step.node.operator.label,
            step.spec.shape,
            step.algorithm,
            median(times),
            step.flops,
        )
        for step, times in zip(compiled.steps, zip(*rounds, strict=True), strict=True)
    )
    return Profile(name, runs, compiled.shared_bytes, steps)


class _Field(NamedTuple):
    """What an element of a value sees of the input, and how far apart neighbours look."""

    size: Shape
    jump: Shape
    whole: Shape = ()  # what all positions of a flattened value see together

    @classmethod
    def of_input(cls, spec: Spec) -> _Field:
        axes = max(len(spec.shape) - 2, 0)
        return cls((1,) * axes, (1,) * axes)

    @classmethod
    def through(cls, seen: Sequence[_Field], node: Node, inputs: tuple[Spec | None, ...]) -> _Field:
        """Return the field of a node's result: the largest of its inputs', grown by its window."""
        if not seen or isinstance(node.operator, Function):
            return cls((), ())
        widest = max(seen, key=lambda field: prod(field.size))
        if isinstance(node.operator, Flatten) and widest.size:
            sizes = given(inputs[0]).shape[2:]
            axes = zip(widest.size, sizes, widest.jump, strict=True)
            return widest._replace(whole=tuple(s + (n - 1) * jump for s, n, jump in axes))
        if isinstance(node.operator, Dense) and widest.whole:
            return cls(widest.whole, widest.jump)
        window = node.operator.window(*inputs)
        if window is None or len(window.kernel) != len(widest.size):
            return widest
        reach = [d * (k - 1) for d, k in zip(window.dilation, window.kernel, strict=True)]
        size = (s + r * j for s, r, j in zip(widest.size, reach, widest.jump, strict=True))
        jump = (s * j for s, j in zip(window.stride, widest.jump, strict=True))
        return cls(tuple(size), tuple(jump))


def _times(shape: Shape) -> str:
    return "x".join(map(str, shape))


def _table(rows: Sequence[Sequence[str]], left: int, *, last_left: bool = False) -> str:
    """Return aligned columns, the first `left` of them to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width)
            if i < left or (last_left and i == len(row) - 1)
            else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)
