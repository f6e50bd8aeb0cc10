"""The page of a run: one HTML file without anything from elsewhere.

Knows ``results``, ``peers``, ``summary`` and ``charts``.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from fastconv.bench.charts import mark, ratios, roofline
from fastconv.bench.data import Variant
from fastconv.bench.engines import ENGINES, PEERS
from fastconv.bench.page_style import style
from fastconv.bench.palette import TITLES
from fastconv.bench.peers import (
    BEHIND,
    FIGURES,
    Comparison,
    compare,
    comparisons,
    means,
    show_threads,
)
from fastconv.bench.peers_text import kept_away
from fastconv.bench.results import CaseResult, Measurement, Report, Row
from fastconv.bench.summary import summarise
from fastconv.bench.wording import head_lines, show_time, yardstick_line

_COMPETING = ("fastconv", "numpy", *PEERS)
"""Engines in their prepared form, among which the fastest is marked."""


def page(report: Report) -> str:
    """The text of the page; parts for which nothing was measured are left out."""
    found = comparisons(report)
    parts = [
        _head(report, bool(found)),
        _means(found) if found else "",
        _ratios(found) if found else "",
        _roofline(report),
        _rules(report),
        _layers(report),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>fastconv bench</title>\n<style>\n{style()}</style>\n</head>\n<body>\n"
        f"{''.join(parts)}</body>\n</html>\n"
    )


def _section(title: str, note: str, body: str) -> str:
    return f"<section>\n<h2>{escape(title)}</h2>\n<p>{escape(note)}</p>\n{body}\n</section>\n"


def _head(report: Report, with_peers: bool) -> str:
    lines = [*head_lines(report), yardstick_line(report), *kept_away(report)]
    text = "".join(f"<p>{escape(line)}</p>\n" for line in lines)
    failures = report.failures()
    if not report.complete:
        text += '<p class="warning">The run was ended before its last case.</p>\n'
    if failures:
        text += (
            f'<p class="warning">failed measurements: {len(failures)}; their cells say why.</p>\n'
        )
    title = "fastconv beside its peers" if with_peers else "fastconv, layer by layer"
    return f"<header>\n<h1>{title}</h1>\n{text}</header>\n"


# ---- charts


def _ratios(found: list[Comparison]) -> str:
    body = ""
    for threads in sorted({each.threads for each in found}):
        body += f'<p class="chart">{show_threads(threads)}</p>\n'
        body += ratios([each for each in found if each.threads == threads])
    return _section(
        "Ratio to the fastest peer, layer by layer",
        "The time of each layer's fastest peer over fastconv's: bars above 1 mean that fastconv is "
        f"faster; below {BEHIND} they are red. Sorted within a family; a bar's tooltip names it.",
        body,
    )


def _roofline(report: Report) -> str:
    rows = [row for row in report.plain_rows() if row.result.op == "conv"]
    if not rows or not report.reads:
        return ""
    threads = rows[0].variant.threads
    chart = roofline(rows, report.peak() * threads, report.read() * threads)
    return _section(
        f"Roofline of the convolutions, {rows[0].variant.label or '1 thread'}",
        "FLOP of the definition over bytes that have to move once, input, weights and output. The "
        "roofs were measured in the same run; arrays in cache may pass the sloping one, and "
        "Winograd algorithms, which do fewer multiplications, the level one.",
        _legend(rows) + chart,
    )


def _legend(rows: list[Row]) -> str:
    """Colours of the families, then shapes of the algorithms."""
    families = {row.result.family for row in rows}
    entries = [("direct", f"f-{name}", title) for name, title in TITLES.items() if name in families]
    entries += [(name, "", name) for name in sorted({row.algorithm for row in rows})]
    return '<div class="legend">{}</div>\n'.format(
        "".join(
            f'<span><svg viewBox="0 0 14 14">{mark(shape, 7, 7, kind)}</svg>{escape(text)}</span>'
            for shape, kind, text in entries
        )
    )


# ---- tables


def _means(found: list[Comparison]) -> str:
    heads = "".join(f"<th>{name}</th>" for name in FIGURES)
    lines = ""
    for line in means(found):
        cells = "".join(
            f"<td><b>{mean[0]:.2f}</b> <small>({mean[1]})</small></td>" if mean else "<td>–</td>"
            for mean in line.figures.values()
        )
        head = f"{show_threads(line.threads)}, {line.scope}"
        lines += f'<tr><td class="left">{head}</td>{cells}</tr>\n'
    return _section(
        "Geometric means of the ratio",
        "To the fastest peer of each layer, in brackets the number of layers; torch alone on "
        "contiguous tensors; one-shot: torch.nn.functional.conv2d over fastconv.conv2d.",
        f'<div class="scroll"><table>\n<thead><tr><th></th>{heads}</tr></thead>\n'
        f"<tbody>{lines}</tbody></table></div>",
    )


def _rules(report: Report) -> str:
    words = {True: "held", False: "missed", None: "–"}
    lines = "".join(
        f'<li><b class="{words[rule.held]}">{words[rule.held]}</b>'
        f"<span>{escape(rule.text)}: <i>{escape(rule.figure)}</i></span></li>\n"
        for rule in summarise(report)
    )
    return _section(
        "Targets",
        "What the project asks of its figures; one that is missed is no fault of the installation.",
        f'<ul class="rules">\n{lines}</ul>',
    )


def _layers(report: Report) -> str:
    asked = {m.engine for result in report.cases for m in result.measurements}
    engines = [name for name in ENGINES if name in asked]
    heads = "".join(f"<th>{name.replace(' ', '<br>')}</th>" for name in engines)
    width = len(engines) + 4
    body = ""
    for family, title in TITLES.items():
        lines = "".join(
            line
            for result in report.cases
            if result.family == family
            for line in _layer(result, engines)
        )
        if lines:
            body += f'<tbody>\n<tr><th colspan="{width}">{title}</th></tr>\n{lines}</tbody>\n'
    return _section(
        "All layers, float32 in NCHW, milliseconds",
        "The fastest engine of each line is marked; the one-shot pair, which packs the weights in "
        "every call, competes with itself alone. A dash says why on its tooltip.",
        '<div class="scroll"><table>\n<thead><tr><th class="left">layer</th>'
        '<th class="left">algorithm</th><th>threads</th>'
        f"{heads}<th>ratio</th></tr></thead>\n{body}</table></div>",
    )


def _layer(result: CaseResult, engines: list[str]) -> Iterator[str]:
    """A line for each thread count that fastconv was timed at."""
    by_threads = {
        threads: asked
        for threads in sorted({m.threads for m in result.measurements})
        if "fastconv" in (asked := _asked(result, threads))
    }
    for line, (threads, asked) in enumerate(by_threads.items()):
        times = [m.seconds for m in asked.values() if m.engine in _COMPETING and m.seconds]
        best = min(times, default=None)
        cells = "".join(_cell(asked.get(name), best) for name in engines)
        head = ""
        if line == 0:
            span = f'class="left" rowspan="{len(by_threads)}"'
            head = (
                f"<td {span}>{escape(result.id)}<br><small>{escape(result.label)}</small></td>"
                f"<td {span}><small>{escape(asked['fastconv'].algorithm)}</small></td>"
            )
        yield f"<tr>{head}<td>{threads}</td>{cells}{_ratio_cell(result, threads)}</tr>\n"


def _asked(result: CaseResult, threads: int) -> dict[str, Measurement]:
    """What engines did with the plain variant."""
    return {m.engine: m for m in result.measurements if m.variant == Variant(threads)}


def _cell(m: Measurement | None, best: float | None) -> str:
    if m is None:
        return "<td></td>"
    if m.seconds is None:
        why = m.failure or m.absent or "not timed"
        return f'<td title="{escape(why)}">{"failed" if m.failure else "–"}</td>'
    fastest = m.seconds == best and m.engine in _COMPETING
    return f"<td{' class=best' if fastest else ''}>{show_time(m.seconds)}</td>"


def _ratio_cell(result: CaseResult, threads: int) -> str:
    each = compare(result, threads)
    if each is None:
        return "<td></td>"
    kind = "loses" if each.behind else "ahead" if each.ratio > 1 else ""
    return f'<td class="{kind}">{each.ratio:.2f}</td>'
