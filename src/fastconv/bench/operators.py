"""One timed call of an operator beside the layers of ``layers``: its geometry, and what follows.

Convolutions over one and three axes, gradients, transposed convolutions, and the operators that
only move memory. Knows ``layers``.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Literal

from fastconv.bench.layers import Case, ConvLayer, Result, Shape, Window


@dataclass(frozen=True, kw_only=True)
class Operator:
    """What all operators share.

    Attributes
    ----------
    id : str
        Stable name, ``family/name``; results of different runs are matched by it.
    family : str
        The group whose mean is reported.
    n, c : int
        Samples and channels of the input.
    places : tuple of str
        Other names of exactly this call.
    """

    id: str
    family: str
    n: int
    c: int
    places: tuple[str, ...] = ()

    op = ""
    """The kind, by which engines say whether they serve it."""
    # Constants of most operators; of two, properties, which mypy takes for another thing.
    memory_bound = False
    """Whether copy bandwidth is a better yardstick than the FMA peak."""
    read_bound = False
    """Whether the bandwidth of reading is a better one still."""
    dense = False
    """Asked of layers alone."""

    @property
    def operands(self) -> dict[str, Shape]:
        """Shapes of what it takes, by the names in `fastconv.bench.data.Arrays`."""
        raise NotImplementedError

    @property
    def results(self) -> tuple[Result, ...]:
        """What it returns."""
        raise NotImplementedError

    @property
    def reduction(self) -> int:
        """Terms of the largest sum that a weight stands in; weights are scaled by it."""
        return 1

    @property
    def macs(self) -> int:
        """Multiplications, or elements written where there are none."""
        return sum(prod(result.shape) for result in self.results)

    @property
    def flops(self) -> int:
        """None, unless it multiplies."""
        return 0

    @property
    def elements(self) -> int:
        """Numbers of the size of the input's read and written at least once."""
        read = sum(map(prod, self.operands.values()))
        # Indices are int64: two float32.
        return read + sum((1 + each.integer) * prod(each.shape) for each in self.results)

    @property
    def label(self) -> str:
        raise NotImplementedError


_TAPS_OF_A_COPY = 25
"""Copying takes 8 bytes an element, at 260 GFLOP/s and 40 GB/s the time of 26 multiply-adds."""


@dataclass(frozen=True, kw_only=True)
class Convolution(Operator):
    """A convolution with bias over the axes of its window."""

    k: int
    window: Window
    groups: int = 1

    op = "convolution"

    @property
    def x_shape(self) -> Shape:
        return (self.n, self.c, *self.window.size)

    @property
    def weight_shape(self) -> Shape:
        return (self.k, self.c // self.groups, *self.window.kernel)

    @property
    def out_shape(self) -> Shape:
        return (self.n, self.k, *self.window.out_size)

    @property
    def operands(self) -> dict[str, Shape]:
        return {"x": self.x_shape, "weight": self.weight_shape, "bias": (self.k,)}

    @property
    def results(self) -> tuple[Result, ...]:
        return (Result(self.out_shape, self.reduction),)

    @property
    def reduction(self) -> int:
        return self.c // self.groups * self.window.taps

    @property
    def macs(self) -> int:
        return prod(self.out_shape) * self.reduction

    @property
    def flops(self) -> int:
        return 2 * self.macs

    @property
    def memory_bound(self) -> bool:  # type: ignore[override]
        """Depthwise, with as few taps as machines multiply while they copy an element."""
        return self.groups == self.c > 1 and self.window.taps <= _TAPS_OF_A_COPY

    @property
    def label(self) -> str:
        return self.window.describe(f"{self.c}->{self.k}", self.groups, self.n)


@dataclass(frozen=True, kw_only=True)
class Gradient(Convolution):
    """Gradients of a convolution with respect to those of its operands that are wanted."""

    wanted: tuple[str, ...]
    """Of ``"x"``, ``"weight"`` and ``"bias"``, in this order."""

    op = "gradient"

    @classmethod
    def of(cls, layer: ConvLayer, family: str, *wanted: str) -> Gradient:
        """The gradients of a layer of a network."""
        return cls(
            id=f"{family}/{layer.id}",
            family=family,
            places=tuple(f"{family}/{place}" for place in layer.places),
            n=layer.n,
            c=layer.c,
            k=layer.k,
            window=layer.window,
            groups=layer.groups,
            wanted=wanted,
        )

    @property
    def operands(self) -> dict[str, Shape]:
        return super().operands | {"grad_output": self.out_shape}

    @property
    def results(self) -> tuple[Result, ...]:
        places = self.n * prod(self.window.out_size)
        terms = {
            "x": self.k // self.groups * self.window.taps,
            "weight": places,
            "bias": places,
        }
        return tuple(
            Result(super(Gradient, self).operands[name], terms[name]) for name in self.wanted
        )

    @property
    def macs(self) -> int:
        return prod(self.out_shape) * self.reduction * len({"x", "weight"} & set(self.wanted))

    @property
    def elements(self) -> int:
        # The input and the weights are each other's gradients' operands.
        reads = {"x": prod(self.weight_shape), "weight": prod(self.x_shape), "bias": 0}
        written = sum(prod(result.shape) for result in self.results)
        return prod(self.out_shape) + sum(reads[name] for name in self.wanted) + written


@dataclass(frozen=True, kw_only=True)
class Transposed(Operator):
    """A transposed convolution with bias.

    ``window`` is that of the convolution whose gradient it is: over the output, with the input as
    the places of the window.
    """

    k: int
    window: Window
    groups: int = 1

    op = "transposed"

    @property
    def output_padding(self) -> tuple[int, ...]:
        """By how much the output is larger than the smallest that its input comes from."""
        window = self.window
        return tuple(
            size + sum(pad) - (places - 1) * stride - dilation * (taps - 1) - 1
            for size, pad, places, stride, dilation, taps in zip(
                window.size,
                window.nested_padding,
                window.out_size,
                window.stride,
                window.dilation,
                window.kernel,
                strict=True,
            )
        )

    @property
    def operands(self) -> dict[str, Shape]:
        return {
            "x": (self.n, self.c, *self.window.out_size),
            "weight": (self.c, self.k // self.groups, *self.window.kernel),
            "bias": (self.k,),
        }

    @property
    def results(self) -> tuple[Result, ...]:
        return (Result((self.n, self.k, *self.window.size), self.reduction),)

    @property
    def reduction(self) -> int:
        return self.c // self.groups * self.window.taps

    @property
    def macs(self) -> int:
        return prod(self.operands["x"]) * self.k // self.groups * self.window.taps

    @property
    def flops(self) -> int:
        return 2 * self.macs

    @property
    def label(self) -> str:
        text = self.window.describe(f"{self.c}->{self.k}", self.groups, self.n)
        return f"{text} from {'x'.join(map(str, self.window.out_size))}"


@dataclass(frozen=True, kw_only=True)
class Linear(Operator):
    """A fully connected layer with bias."""

    k: int

    op = "linear"

    @property
    def read_bound(self) -> bool:  # type: ignore[override]
        """A few samples do not pay for the weights."""
        return self.n < 8

    @property
    def operands(self) -> dict[str, Shape]:
        return {"x": (self.n, self.c), "weight": (self.k, self.c), "bias": (self.k,)}

    @property
    def results(self) -> tuple[Result, ...]:
        return (Result((self.n, self.k), self.c),)

    @property
    def reduction(self) -> int:
        return self.c

    @property
    def macs(self) -> int:
        return self.n * self.c * self.k

    @property
    def flops(self) -> int:
        return 2 * self.macs

    @property
    def label(self) -> str:
        return f"{self.c}->{self.k} n{self.n}"


@dataclass(frozen=True, kw_only=True)
class Pooling(Operator):
    """A pooling over the axes of its window; ``kind`` is ``"max"`` or ``"avg"``."""

    kind: str
    window: Window
    indices: bool = False

    op = "pooling"
    memory_bound = True

    @property
    def operands(self) -> dict[str, Shape]:
        return {"x": (self.n, self.c, *self.window.size)}

    @property
    def results(self) -> tuple[Result, ...]:
        shape = (self.n, self.c, *self.window.out_size)
        values = Result(shape, self.window.taps)
        return (values, Result(shape, integer=True)) if self.indices else (values,)

    @property
    def label(self) -> str:
        return self.window.describe(f"{self.kind} {self.c}", n=self.n)


@dataclass(frozen=True, kw_only=True)
class Unfold(Operator):
    """The windows of images as columns."""

    window: Window

    op = "unfold"
    memory_bound = True

    @property
    def operands(self) -> dict[str, Shape]:
        return {"x": (self.n, self.c, *self.window.size)}

    @property
    def results(self) -> tuple[Result, ...]:
        return (Result((self.n, self.c * self.window.taps, prod(self.window.out_size))),)

    @property
    def label(self) -> str:
        return self.window.describe(f"{self.c}", n=self.n)


@dataclass(frozen=True, kw_only=True)
class Pad(Operator):
    """Borders around images; ``borders`` are those before and after each axis."""

    size: tuple[int, ...]
    borders: tuple[tuple[int, int], ...]
    mode: Literal["constant", "reflect", "replicate", "circular"]

    op = "pad"
    memory_bound = True

    @property
    def operands(self) -> dict[str, Shape]:
        return {"x": (self.n, self.c, *self.size)}

    @property
    def results(self) -> tuple[Result, ...]:
        sizes = zip(self.size, self.borders, strict=True)
        return (Result((self.n, self.c, *(size + sum(border) for size, border in sizes))),)

    @property
    def pads(self) -> list[int]:
        """As ``torch.nn.functional.pad`` takes them: before and after the last axis, and so on."""
        return [side for border in reversed(self.borders) for side in border]

    @property
    def label(self) -> str:
        size = "x".join(map(str, self.size))
        return f"{self.mode} {self.c} p{','.join(map(str, self.pads))} @{size}"


OPERATORS = tuple(
    kind.op for kind in (Convolution, Gradient, Transposed, Linear, Pooling, Unfold, Pad)
)

Timed = Case | Operator
"""Whatever a run can time."""
