"""The charts of the page as SVG: a roofline of the convolutions, and the ratio to the best peer.

Text and lines take their colours from the page's style sheet, so that they suit a light and a dark
page; what a mark stands for is its tooltip. Knows ``results``, ``peers`` and ``palette``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from html import escape
from itertools import count

from fastconv.bench.palette import TITLES
from fastconv.bench.peers import Comparison, show_threads
from fastconv.bench.results import Row
from fastconv.bench.wording import show_time

_WIDTH = 1120
_LEFT, _RIGHT, _TOP = 58, 14, 26

# Corners of a mark, its first one's angle in degrees, and the radii of its odd and even corners,
# by which all look alike in size. What is not listed is a hexagon.
_MARKS = {
    "direct": (24, 0, 5.0, 5.0),
    "pointwise": (4, 45, 5.6, 5.6),
    "depthwise": (3, -90, 6.2, 6.2),
    "im2col": (4, 0, 5.8, 5.8),
    "grouped": (5, -90, 5.6, 5.6),
    "winograd": (10, -90, 7.0, 3.2),
}
_OTHER_MARK = (6, 0, 5.3, 5.3)


class _Axis:
    """A logarithmic axis from one pixel to another."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high, self._start, self._end = low, high, start, end

    def at(self, value: float) -> float:
        """The pixel of a value."""
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self._start + share * (self._end - self._start)

    def ticks(self, steps: tuple[float, ...] = (1, 2, 5)) -> Iterator[float]:
        """Round values within the axis."""
        for decade in count(math.floor(math.log10(self.low))):
            for step in steps:
                value = step * 10.0**decade
                if value > self.high * 1.001:
                    return
                if value >= self.low * 0.999:
                    yield value


def _svg(height: int, title: str, parts: Iterable[str]) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )


def _text(
    x: float, y: float, text: str, anchor: str = "middle", kind: str = "", more: str = ""
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}" {more}>'
        f"{escape(text)}</text>"
    )


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


# ---- roofline


def mark(algorithm: str, x: float, y: float, kind: str = "", tip: str = "") -> str:
    """The shape that stands for an algorithm, with a tooltip."""
    name = "winograd" if algorithm.startswith("winograd") else algorithm
    corners, first, outer, inner = _MARKS.get(name, _OTHER_MARK)
    points = []
    for i in range(corners):
        angle = math.radians(first + 360 * i / corners)
        radius = inner if i % 2 else outer
        points.append(f"{x + radius * math.cos(angle):.1f},{y + radius * math.sin(angle):.1f}")
    title = f"<title>{escape(tip)}</title>" if tip else ""
    return f'<polygon points="{" ".join(points)}" class="mark {kind}">{title}</polygon>'


def roofline(rows: list[Row], peak: float, read: float) -> str:
    """GFLOP/s over arithmetic intensity, both logarithmic, under the machine's two roofs.

    Parameters
    ----------
    rows : list of Row
        Convolutions that were timed, at least one.
    peak : float
        GFLOP/s of multiply-adds, of all threads of the rows together.
    read : float
        GB/s of reading, likewise.
    """
    height, bottom = 520, 470
    intensities = [_intensity(row) for row in rows]
    rates = [row.gflops for row in rows]
    across = _Axis(
        min([*intensities, peak / read]) / 1.6, max(intensities) * 1.6, _LEFT, _WIDTH - _RIGHT
    )
    up = _Axis(min(rates) / 1.6, max([*rates, peak]) * 1.5, bottom, _TOP)
    parts = []
    for value in across.ticks():
        x = across.at(value)
        parts += [
            _line(x, _TOP, x, bottom, "grid"),
            _text(x, bottom + 18, f"{value:g}", kind="tick"),
        ]
    for value in up.ticks():
        y = up.at(value)
        parts += [
            _line(_LEFT, y, _WIDTH - _RIGHT, y, "grid"),
            _text(_LEFT - 8, y + 4, f"{value:g}", "end", "tick"),
        ]
    parts += _roofs(across, up, peak, read)
    for row in rows:
        tip = (
            f"{row.result.id}\n{row.result.label}\n{row.algorithm}: {row.gflops:.1f} GFLOP/s at "
            f"{_intensity(row):.1f} FLOP/byte, {row.peak_share:.0%} of the FMA peak"
        )
        x, y = across.at(_intensity(row)), up.at(row.gflops)
        parts.append(mark(row.algorithm, x, y, f"f-{row.result.family}", tip))
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    parts += [
        _text(middle, height - 8, "arithmetic intensity, FLOP/byte", kind="axis"),
        _text(0, _TOP - 12, "GFLOP/s", "start", "axis"),
    ]
    return _svg(height, "roofline of the convolutions", parts)


def _intensity(row: Row) -> float:
    """FLOP for each byte that has to be read or written once."""
    return row.gflops / row.gbytes


def _roofs(across: _Axis, up: _Axis, peak: float, read: float) -> list[str]:
    ridge = peak / read
    start = max(across.low, up.low / read)
    corner = max(ridge, across.low)
    x0, y0 = across.at(start), up.at(start * read)
    x1, y1 = across.at(corner), up.at(peak)
    path = f"M{x0:.1f},{y0:.1f} L{x1:.1f},{y1:.1f} L{_WIDTH - _RIGHT},{y1:.1f}"
    parts = [
        f'<path d="{path}" class="roof"/>',
        _text(_WIDTH - _RIGHT - 4, y1 - 8, f"FMA peak {peak:.0f} GFLOP/s", "end", "roof-name"),
    ]
    if corner > start:
        slope = math.degrees(math.atan2(y1 - y0, x1 - x0))
        x, y = x1 - 14, y1 + 14 * (y0 - y1) / (x1 - x0) - 8
        turn = f'transform="rotate({slope:.1f} {x:.1f} {y:.1f})"'
        parts.append(_text(x, y, f"reading {read:.1f} GB/s", "end", "roof-name", turn))
    return parts


# ---- ratios

_GAP, _WIDEST_BAR = 14, 40
_LETTER = 7.6
"""Pixels of a letter in a family's name, on the generous side."""

_FINE, _COARSE = (1, 1.5, 2, 3, 5, 7), (1, 3)


def ratios(found: list[Comparison]) -> str:
    """A bar for each layer at one thread count: the fastest peer's time over fastconv's.

    Bars start at 1 and rise where fastconv is the faster; families keep their order, their layers
    are sorted.
    """
    height, bottom = 330, 312
    values = [each.ratio for each in found]
    axis = _Axis(min(0.7, *values) / 1.05, max(2.0, *values) * 1.05, bottom, _TOP + 8)
    parts = []
    for value in axis.ticks(_FINE if axis.high / axis.low < 25 else _COARSE):
        y = axis.at(value)
        parts += [
            _line(_LEFT, y, _WIDTH - _RIGHT, y, "one" if value == 1 else "grid"),
            _text(_LEFT - 8, y + 4, f"{value:g}x", "end", "tick"),
        ]
    families = [f for f in TITLES if any(each.result.family == f for each in found)]
    members = {f: [each for each in found if each.result.family == f] for f in families}
    step = _step(members)
    left = float(_LEFT) + 4
    for family in families:
        ranked = sorted(members[family], key=lambda each: -each.ratio)
        room = _room(family, len(ranked), step)
        parts.append(_text(left + room / 2, _TOP - 8, TITLES[family], kind=f"family f-{family}"))
        first = left + (room - len(ranked) * step) / 2
        parts += [_bar(axis, each, first + i * step, step) for i, each in enumerate(ranked)]
        left += room + _GAP
    return _svg(height, "ratio to the fastest peer", parts)


def _room(family: str, bars: int, step: float) -> float:
    """Families of few bars keep the room of their names."""
    return max(bars * step, len(TITLES[family]) * _LETTER)


def _step(members: dict[str, list[Comparison]]) -> float:
    """From bar to bar, so that all fit."""
    room = _WIDTH - _LEFT - _RIGHT - 8 - _GAP * (len(members) - 1)
    step = float(_WIDEST_BAR)
    while sum(_room(family, len(each), step) for family, each in members.items()) > room:
        step *= 0.98
    return step


def _bar(axis: _Axis, each: Comparison, x: float, step: float) -> str:
    top, bottom = sorted((axis.at(each.ratio), axis.at(1)))
    tip = (
        f"{each.result.id}, {show_threads(each.threads)}\n{each.result.label}\n"
        f"{each.ratio:.2f}x: fastconv {show_time(each.seconds)} ms, "
        f"{each.fastest} {show_time(each.peers[each.fastest])} ms"
    )
    kind = "loses" if each.behind else f"f-{each.result.family}"
    return (
        f'<rect x="{x + 0.1 * step:.2f}" y="{top:.1f}" width="{0.8 * step:.2f}" '
        f'height="{max(bottom - top, 1):.1f}" class="{kind}"><title>{escape(tip)}</title></rect>'
    )
