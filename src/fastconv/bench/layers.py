"""One layer to check and time: its geometry, and what follows from it.

Knows ``fastconv._core`` for output sizes only.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from math import prod

from fastconv import _core

Pair = tuple[int, int]
Shape = tuple[int, ...]
Padding = tuple[int, int, int, int]
"""Top, bottom, left, right."""


def show_each(numbers: tuple[int, ...], sign: str = "x") -> str:
    """One number if all are the same.

    Examples
    --------
    >>> show_each((3, 3)), show_each((1, 3, 3))
    ('3', '1x3x3')
    """
    return str(numbers[0]) if len(set(numbers)) == 1 else sign.join(map(str, numbers))


@dataclass(frozen=True, slots=True)
class Window:
    """A window that moves over any number of axes, and how it does so.

    Each tuple has a number for every axis, ``padding`` two: before and after the first axis, then
    those of the next.
    """

    size: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    ceil_mode: bool = False

    @property
    def axes(self) -> int:
        return len(self.size)

    @property
    def taps(self) -> int:
        """Positions in the window."""
        return prod(self.kernel)

    @property
    def nested_padding(self) -> tuple[Pair, ...]:
        """The padding as fastconv's functions take it."""
        return tuple(zip(self.padding[::2], self.padding[1::2], strict=True))

    @property
    def even_padding(self) -> tuple[int, ...] | None:
        """A number for each axis, where both sides have the same."""
        return self.padding[::2] if self.padding[::2] == self.padding[1::2] else None

    @property
    def out_size(self) -> tuple[int, ...]:
        """Places of the window on each axis."""
        names = ("depth", "height", "width")[-self.axes :]
        axes = zip(
            names,
            self.size,
            self.nested_padding,
            self.kernel,
            self.stride,
            self.dilation,
            strict=True,
        )
        return tuple(
            _core.out_size(name, size, before, after, taps, stride, dilation, self.ceil_mode)[0]
            for name, size, (before, after), taps, stride, dilation in axes
        )

    def describe(self, head: str, groups: int = 1, n: int = 1) -> str:
        """``head``, then the window in the words of reports."""
        text = f"{head} {'x'.join(map(str, self.kernel))}"
        if set(self.stride) != {1}:
            text += f"/{show_each(self.stride)}"
        if any(self.padding):
            text += f" p{show_each(self.even_padding or self.padding, ',')}"
        if set(self.dilation) != {1}:
            text += f" d{show_each(self.dilation)}"
        if groups > 1:
            text += f" g{groups}"
        text += f" @{show_each(self.size)}"
        return text if n == 1 else f"{text} n{n}"


@dataclass(frozen=True, slots=True)
class Result:
    """An array that a call returns, each element a sum of so many terms, or an integer."""

    shape: Shape
    terms: int = 1
    integer: bool = False


@dataclass(frozen=True, kw_only=True)
class Layer:
    """What convolutions and poolings share.

    Attributes
    ----------
    id : str
        Stable name, ``family/layer``; results of different runs are matched by it.
    family : str
        The group in which reports show the layer.
    n, c, h, w : int
        Shape of the input, always given in this order whatever the layout of a run.
    kh, kw : int
        Window.
    places : tuple of str
        Other networks' layers of exactly this geometry, which are not timed again.
    """

    id: str
    family: str
    n: int
    c: int
    h: int
    w: int
    kh: int
    kw: int
    stride: Pair = (1, 1)
    padding: Padding = (0, 0, 0, 0)
    dilation: Pair = (1, 1)
    places: tuple[str, ...] = ()

    op = ""
    ceil_mode = False
    read_bound = False

    @property
    def x_shape(self) -> tuple[int, int, int, int]:
        return (self.n, self.c, self.h, self.w)

    @property
    def window(self) -> Window:
        return Window(
            (self.h, self.w),
            (self.kh, self.kw),
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
        )

    @property
    def out_size(self) -> Pair:
        """Output height and width."""
        oh, ow = self.window.out_size
        return oh, ow

    @property
    def nested_padding(self) -> tuple[Pair, ...]:
        """The padding as fastconv's functions take it."""
        return self.window.nested_padding

    @property
    def geometry(self) -> tuple[object, ...]:
        """Everything but the names: equal for layers that are one case."""
        names = {"id", "family", "places"}
        values = (getattr(self, f.name) for f in fields(self) if f.name not in names)
        return self.op, *values


@dataclass(frozen=True, kw_only=True)
class ConvLayer(Layer):
    """A convolution with bias; ``k`` output channels in ``groups`` groups."""

    k: int
    groups: int = 1

    op = "conv"

    @property
    def operands(self) -> dict[str, Shape]:
        return {"x": self.x_shape, "weight": self.weight_shape, "bias": (self.k,)}

    @property
    def results(self) -> tuple[Result, ...]:
        return (Result(self.out_shape, self.reduction),)

    @property
    def weight_shape(self) -> tuple[int, int, int, int]:
        return (self.k, self.c // self.groups, self.kh, self.kw)

    @property
    def out_shape(self) -> tuple[int, int, int, int]:
        return (self.n, self.k, *self.out_size)

    @property
    def reduction(self) -> int:
        """Terms of one output element."""
        return self.c // self.groups * self.kh * self.kw

    @property
    def macs(self) -> int:
        """Multiplications; those with the zero border are counted, as is the custom."""
        oh, ow = self.out_size
        return self.n * self.k * oh * ow * self.reduction

    @property
    def flops(self) -> int:
        return 2 * self.macs

    @property
    def elements(self) -> int:
        """Numbers read and written at least once."""
        oh, ow = self.out_size
        weights = self.k * (self.reduction + 1)
        return self.n * self.c * self.h * self.w + weights + self.n * self.k * oh * ow

    @property
    def depthwise(self) -> bool:
        return self.groups == self.c > 1

    @property
    def dense(self) -> bool:
        """Enough arithmetic per element that the FMA peak is the yardstick."""
        return self.reduction >= 64 and self.k // self.groups >= 16

    @property
    def memory_bound(self) -> bool:
        """Whether copy bandwidth is a better yardstick than the FMA peak."""
        return self.depthwise

    @property
    def label(self) -> str:
        return self.window.describe(f"{self.c}->{self.k}", self.groups, self.n)


@dataclass(frozen=True, kw_only=True)
class PoolLayer(Layer):
    """A pooling; ``kind`` is ``"max"``, ``"avg"`` or ``"global_avg"``."""

    kind: str
    ceil_mode: bool = False

    op = "pool"
    dense = False
    depthwise = False
    memory_bound = True

    @property
    def operands(self) -> dict[str, Shape]:
        return {"x": self.x_shape}

    @property
    def results(self) -> tuple[Result, ...]:
        return (Result(self.out_shape, self.reduction),)

    @property
    def out_shape(self) -> tuple[int, int, int, int]:
        return (self.n, self.c, *self.out_size)

    @property
    def reduction(self) -> int:
        """Elements of one window."""
        return self.kh * self.kw

    @property
    def macs(self) -> int:
        """Elements looked at, the loops' measure of work."""
        oh, ow = self.out_size
        return self.n * self.c * oh * ow * self.reduction

    @property
    def flops(self) -> int:
        """None: comparisons and additions of a pooling are not counted."""
        return 0

    @property
    def elements(self) -> int:
        """Numbers read and written at least once."""
        oh, ow = self.out_size
        return self.n * self.c * (self.h * self.w + oh * ow)

    @property
    def label(self) -> str:
        return self.window.describe(f"{self.kind} {self.c}", n=self.n)


Case = ConvLayer | PoolLayer
