"""Run convolutions and pools through explicit plans: any algorithm at any CPU level in one process.

Also the list of shapes that all sweeps share: sizes around the vector lengths (4, 8, 16) and around
the register tiles (6, 8, 14 by 12, 16, 32) and lines (24, 48), and the forms that take a path of
their own.
"""

from typing import NamedTuple

import numpy as np

from fastconv import _core

ALGORITHMS = _core.algorithms()
FLOATS = ("float32", "float64", "float16")
NO_ACTIVATION = ("none", 0.0, 0.0)


class Case(NamedTuple):
    """A convolution problem; `c` and `k` count the channels of one group."""

    n: int = 1
    c: int = 3
    h: int = 5
    w: int = 9
    k: int = 5
    kh: int = 3
    kw: int = 3
    stride: tuple = (1, 1)
    padding: tuple = (0, 0, 0, 0)
    dilation: tuple = (1, 1)
    groups: int = 1

    def arrays(self, rng, dtype, channels_last=False):
        """Return a random input and weight."""
        shape = (self.n, self.c * self.groups, self.h, self.w)
        if channels_last:
            shape = (shape[0], *shape[2:], shape[1])
        x = rng.standard_normal(shape).astype(dtype)
        weight = (self.k * self.groups, self.c, self.kh, self.kw)
        return x, rng.standard_normal(weight).astype(dtype)

    def keywords(self):
        """Return the arguments of the public functions."""
        top, bottom, left, right = self.padding
        return {
            "stride": self.stride,
            "padding": ((top, bottom), (left, right)),
            "dilation": self.dilation,
            "groups": self.groups,
        }

    def plan(self, dtype, *, channels_last=False, activation=NO_ACTIVATION, **choice):
        """Make the plan; `choice` is the algorithm and the level."""
        return _core.ConvPlan(
            self.n,
            self.c * self.groups,
            (self.h, self.w),
            self.k * self.groups,
            self.c,
            (self.kh, self.kw),
            self.stride,
            self.padding,
            self.dilation,
            self.groups,
            channels_last,
            dtype,
            activation,
            choice.get("algorithm", "auto"),
            choice.get("level"),
            False,
        )

    def plans(self, dtype, **form):
        """Yield every plan that serves this problem: algorithms times levels."""
        for level in _core.config()["levels"]:
            for algorithm in ALGORITHMS:
                try:
                    plan = self.plan(dtype, algorithm=algorithm, level=level, **form)
                except ValueError:
                    assert not self.must_serve(algorithm, dtype), (self, algorithm, level)
                    continue
                assert (plan.algorithm, plan.level) == (algorithm, level)
                yield plan

    def must_serve(self, algorithm, dtype):
        """Tell whether refusing this problem would be a defect of the algorithm."""
        match algorithm:
            case "im2col":
                return True
            case "direct":
                return self.groups == 1
            case "pointwise":
                plain = self._replace(n=1, c=1, k=1, h=1, w=1)
                return plain == Case(c=1, k=1, h=1, w=1, kh=1, kw=1)
            case "depthwise":
                return self.c == self.k == 1 and self.groups > 1
            case "winograd_f43" | "winograd_f23" | "winograd_f25":
                r = int(algorithm[-1])
                return dtype != "float64" and (self.kh, self.kw, *self.stride) == (r, r, 1, 1)
        raise AssertionError(algorithm)


def run(plan, x, weight, bias=None, residual=None, out=None):
    """Pack, run and return the output."""
    if out is None:
        out = np.full(plan.out_shape, np.nan, x.dtype)
    plan.run(x, plan.pack(weight), bias, residual, out)
    return out


def pool_plan(kind, x, kernel, stride, padding, **form):
    """Make the plan of a pool over `x`; `form` is the rest by name, with the usual defaults."""
    channels_last = form.get("channels_last", False)
    n, *plane = x.shape
    c, *sizes = (plane[-1], *plane[:-1]) if channels_last else plane
    return _core.PoolPlan(
        kind,
        form.get("adaptive", False),
        n,
        c,
        tuple(sizes),
        kernel,
        stride,
        padding,
        form.get("dilation", (1,) * len(sizes)),
        form.get("ceil_mode", False),
        form.get("count_include_pad", True),
        form.get("divisor", 0),
        channels_last,
        x.dtype.name,
        form.get("level"),
    )


def run_pool(plan, x, *, indices=False):
    """Run a pool; return its output, with `indices` also the positions."""
    out = np.empty(plan.out_shape, x.dtype)
    at = np.empty(plan.out_shape, np.int64) if indices else None
    plan.run(x, out, at)
    return (out, at) if indices else out


def _widths():
    """Output widths around the tiles."""
    widths = (1, 2, 5, 6, 7, 11, 13, 14, 15, 16, 17, 27, 28, 29, 42, 43, 57)
    rows = [Case(w=w, h=h, k=k) for w in (6, 7, 9) for h in (5, 7) for k in (16, 17)]
    return [Case(w=ow + 2, h=4, k=17) for ow in widths] + rows


def _channels():
    outputs = [Case(k=k) for k in (1, 2, 3, 4, 7, 8, 9, 13, 15, 16, 17, 23, 31, 32, 33, 47, 65)]
    inputs = [Case(c=c, k=16) for c in (1, 2, 4, 5, 7, 8, 9, 15, 16, 17, 37)]
    return outputs + inputs


def _kernels():
    sizes = [(1, 1), (1, 7), (7, 1), (2, 2), (4, 3), (5, 5), (7, 7), (11, 11)]
    return [Case(h=12, w=14, k=18, kh=kh, kw=kw, padding=(1, 1, 1, 1)) for kh, kw in sizes]


def _pointwise():
    planes = [(1, 1), (1, 7), (3, 5), (4, 4), (5, 6), (7, 7), (2, 29)]
    channels = [(1, 1), (5, 7), (16, 16), (17, 33), (64, 31)]
    plain = [Case(2, c, h, w, k, 1, 1) for h, w in planes for c, k in channels]
    return [
        *plain,
        Case(2, 8, 9, 9, 17, 1, 1, stride=(2, 2)),
        Case(9, 70, 1, 1, 49, 1, 1),
        Case(4, 33, 2, 3, 130, 1, 1),
        Case(3, 8, 7, 1, 17, 1, 1, stride=(1, 3)),
        Case(1, 8, 9, 7, 16, 1, 1, padding=(1, 0, 2, 1)),
        Case(1, 4, 5, 6, 6, 1, 1, groups=3),
        Case(1, 2, 3, 5, 4, 1, 1, dilation=(2**31 - 1, 2**31 - 1)),
    ]


def _depthwise():
    plain = [Case(1, 1, 7, w, 1, groups=5) for w in (3, 4, 6, 7, 9, 10, 11, 17, 18, 19, 33, 34, 35)]
    channels = [Case(2, 1, 6, 8, 1, groups=g) for g in (2, 3, 7, 8, 9, 15, 16, 17, 31, 33)]
    return [
        *plain,
        *channels,
        Case(1, 1, 13, 15, 1, 3, 3, padding=(1, 1, 1, 1), groups=17),
        Case(1, 1, 14, 14, 1, 3, 3, stride=(2, 2), padding=(1, 1, 1, 1), groups=9),
        Case(1, 1, 11, 19, 1, 5, 5, padding=(2, 2, 2, 2), groups=6),
        Case(2, 1, 11, 19, 1, 5, 5, stride=(2, 2), padding=(1, 2, 0, 2), groups=6),
        Case(1, 1, 9, 40, 1, 1, 7, padding=(0, 0, 3, 3), groups=4),
        Case(1, 1, 12, 17, 1, 3, 2, stride=(3, 1), dilation=(2, 3), padding=(2, 2, 1, 1), groups=8),
        Case(1, 1, 6, 7, 3, groups=4),
        Case(1, 1, 17, 20, 1, 4, 4, padding=(2, 1, 1, 2), groups=3),
        Case(2, 1, 22, 19, 1, 7, 7, padding=(3, 3, 3, 3), groups=2),
        Case(1, 1, 21, 9, 1, 3, 2, dilation=(2, 1), groups=2),
        Case(1, 1, 23, 12, 1, 7, 3, stride=(2, 1), dilation=(2, 1), padding=(3, 3, 1, 1), groups=2),
        Case(1, 1, 17, 300, 1, 7, 1, padding=(3, 3, 0, 0), groups=2),
        Case(1, 1, 3, 3, 1, padding=(3, 3, 3, 3), groups=3),
    ]


def _forms():
    return [
        Case(2, 3, 12, 13, 20, 3, 3, stride=(2, 2), padding=(1, 1, 1, 1)),
        Case(1, 3, 23, 23, 33, 7, 7, stride=(2, 2), padding=(3, 3, 3, 3)),
        Case(1, 3, 27, 31, 16, 11, 11, stride=(4, 4)),
        Case(3, 5, 9, 11, 7, 2, 3, stride=(1, 2), padding=(0, 1, 2, 0)),
        Case(1, 4, 10, 9, 6, 3, 2, stride=(3, 1), padding=(2, 0, 0, 1)),
        Case(1, 4, 9, 9, 8, 2, 2, stride=(5, 4)),
        Case(1, 6, 13, 12, 17, 3, 3, dilation=(2, 3), padding=(2, 2, 3, 3)),
        Case(2, 4, 11, 11, 9, 3, 3, stride=(2, 1), dilation=(2, 2), padding=(1, 2, 3, 4)),
        Case(1, 2, 2, 2, 5, 3, 3, padding=(4, 5, 4, 5)),
        Case(1, 3, 1, 1, 4, 1, 1, padding=(1, 1, 1, 1)),
        Case(1, 3, 1, 40, 16, 1, 5, padding=(0, 0, 2, 2)),
        Case(1, 3, 40, 1, 16, 5, 1, padding=(2, 2, 0, 0)),
        Case(1, 1, 28, 28, 6, 5, 5, padding=(2, 2, 2, 2)),
        Case(2, 6, 14, 14, 16, 5, 5),
        Case(1, 16, 5, 5, 120, 5, 5),
        Case(1, 130, 6, 7, 19, 3, 3, padding=(1, 1, 1, 1)),
        Case(1, 64, 8, 30, 48, 3, 3, padding=(1, 1, 1, 1)),
        Case(2, 2, 7, 9, 3, groups=2),
        Case(7, 40, 3, 3, 50, 3, 3),
        Case(5, 33, 4, 5, 18, 2, 2, stride=(2, 2), groups=2),
        Case(1, 3, 8, 8, 17, 3, 3, padding=(1, 1, 1, 1), groups=3),
        Case(2, 4, 9, 8, 4, 3, 3, stride=(2, 2), padding=(1, 1, 1, 1), groups=4),
        Case(1, 9, 6, 6, 1, 3, 3, groups=2),
        Case(1, 16, 7, 7, 16, 3, 3, padding=(1, 1, 1, 1), groups=2),
        Case(0, 3, 6, 6, 4),
    ]


def _winograd():
    """Grids of tiles around the parts of a vector that rows of tiles share, blocks, batches."""
    around = (1, 1, 1, 1)
    sides = (2, 4, 7, 8, 12, 13, 14, 15, 16, 17, 28, 29, 30, 31, 33)
    return [
        *(Case(1, 3, side, side, 5, padding=around) for side in sides),
        *(Case(1, 2, side, side, 3, 5, 5, padding=(2, 2, 2, 2)) for side in sides[1:]),
        Case(1, 2, 5, 70, 18, padding=around),
        Case(1, 2, 70, 6, 3, padding=around),
        Case(1, 2, 62, 61, 3, padding=(0, 2, 1, 0)),
        Case(5, 20, 7, 6, 17, padding=around),
        Case(3, 18, 14, 14, 33, padding=around, groups=2),
        Case(1, 300, 15, 15, 40, padding=around),
        Case(3, 64, 14, 14, 33, padding=around),
        Case(1, 64, 24, 24, 49, padding=around),
        Case(1, 64, 10, 224, 20, padding=around),
        Case(1, 5, 19, 23, 18, dilation=(2, 2), padding=(2, 2, 2, 2)),
        Case(2, 17, 14, 20, 3, dilation=(3, 5), padding=(3, 3, 5, 5)),
        Case(1, 3, 9, 9, 3, dilation=(4, 4), padding=(1, 0, 3, 0)),
        Case(1, 3, 21, 20, 4, 5, 5, dilation=(2, 3), padding=(4, 4, 0, 6)),
        Case(1, 16, 18, 36, 16, dilation=(1, 6), padding=(1, 1, 6, 6)),
        Case(1, 16, 18, 24, 16, 5, 5, dilation=(1, 6), padding=(2, 2, 12, 12)),
        Case(3, 5, 12, 13, 18, dilation=(2, 1), padding=(2, 2, 1, 1)),
        Case(1, 2, 4, 261, 3, dilation=(1, 2), padding=(1, 1, 2, 2)),
    ]


def _random(count):
    """Problems that nobody thought of."""
    rng = np.random.default_rng(20)

    def pick(*values):
        return values[rng.integers(len(values))]

    cases = []
    while len(cases) < count:
        kh, kw = pick(1, 2, 3, 5), pick(1, 2, 3, 4)
        case = Case(
            n=pick(1, 1, 2, 3),
            c=pick(1, 2, 3, 6, 19),
            h=pick(1, 4, 7, 10),
            w=pick(1, 5, 8, 18, 31),
            k=pick(1, 4, 10, 16, 21),
            kh=kh,
            kw=kw,
            stride=(pick(1, 1, 2, 3), pick(1, 1, 2, 3)),
            padding=(pick(0, 0, 1, 3), pick(0, 0, 1, 2), pick(0, 0, 1, 2), pick(0, 0, 1, 4)),
            dilation=(pick(1, 1, 1, 2), pick(1, 1, 1, 3)),
            groups=pick(1, 1, 1, 2, 3),
        )
        reach_h, reach_w = case.dilation[0] * (kh - 1) + 1, case.dilation[1] * (kw - 1) + 1
        padded_h, padded_w = case.h + sum(case.padding[:2]), case.w + sum(case.padding[2:])
        if reach_h <= padded_h and reach_w <= padded_w:
            cases.append(case)
    return cases


CASES = list(
    dict.fromkeys(
        [
            *_widths(),
            *_channels(),
            *_kernels(),
            *_pointwise(),
            *_depthwise(),
            *_forms(),
            *_winograd(),
            *_random(60),
        ]
    )
)
