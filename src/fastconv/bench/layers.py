"""One layer to check and time: its geometry, and what follows from it.

Knows ``fastconv._core`` for output sizes only.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from fastconv import _core

Pair = tuple[int, int]
Padding = tuple[int, int, int, int]
"""Top, bottom, left, right."""


def _show_pair(pair: Pair) -> str:
    return str(pair[0]) if pair[0] == pair[1] else f"{pair[0]}x{pair[1]}"


def _show_padding(padding: Padding) -> str:
    return str(padding[0]) if len(set(padding)) == 1 else ",".join(map(str, padding))


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

    @property
    def x_shape(self) -> tuple[int, int, int, int]:
        return (self.n, self.c, self.h, self.w)

    @property
    def out_size(self) -> Pair:
        """Output height and width."""
        top, bottom, left, right = self.padding
        (sh, sw), (dh, dw) = self.stride, self.dilation
        oh, _ = _core.out_size("height", self.h, top, bottom, self.kh, sh, dh, self.ceil_mode)
        ow, _ = _core.out_size("width", self.w, left, right, self.kw, sw, dw, self.ceil_mode)
        return oh, ow

    @property
    def nested_padding(self) -> tuple[Pair, Pair]:
        """The padding as fastconv's functions take it."""
        top, bottom, left, right = self.padding
        return (top, bottom), (left, right)

    @property
    def geometry(self) -> tuple[object, ...]:
        """Everything but the names: equal for layers that are one case."""
        names = {"id", "family", "places"}
        values = (getattr(self, f.name) for f in fields(self) if f.name not in names)
        return self.op, *values

    def _describe(self, head: str, groups: int = 1) -> str:
        text = f"{head} {self.kh}x{self.kw}"
        if self.stride != (1, 1):
            text += f"/{_show_pair(self.stride)}"
        if any(self.padding):
            text += f" p{_show_padding(self.padding)}"
        if self.dilation != (1, 1):
            text += f" d{_show_pair(self.dilation)}"
        if groups > 1:
            text += f" g{groups}"
        text += f" @{_show_pair((self.h, self.w))}"
        return text if self.n == 1 else f"{text} n{self.n}"


@dataclass(frozen=True, kw_only=True)
class ConvLayer(Layer):
    """A convolution with bias; ``k`` output channels in ``groups`` groups."""

    k: int
    groups: int = 1

    op = "conv"

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
        return self._describe(f"{self.c}->{self.k}", self.groups)


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
        return self._describe(f"{self.kind} {self.c}")


Case = ConvLayer | PoolLayer
