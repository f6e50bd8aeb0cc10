"""Write one of the README's tables of figures from a report of ``python -m fastconv bench --json``.

Usage: python tools/readme_figures.py REPORT.json [REGEX]. Of layers, the lines are those measured
in float32, NCHW, with one thread; of ``--networks``, all of batch 1. REGEX chooses those whose name
or description matches. The text around the table stays.
"""

import math
import re
import sys
from pathlib import Path

from fastconv.bench.data import Variant
from fastconv.bench.networks_summary import batch_of, means
from fastconv.bench.peers import compare, show_threads
from fastconv.bench.results import Report
from fastconv.bench.wording import show_time

README = Path(__file__).parents[1] / "README.md"
LAYERS_HEAD = """\
| layer | algorithm | ms | GFLOP/s | share of FMA peak | × NumPy im2col | × Python loops |
| --- | --- | --: | --: | --: | --: | --: |
"""


def figure(value, form):
    return "" if math.isnan(value) else format(value, form)


def layer_line(row):
    peak = row.peak_share if row.gflops else math.nan
    cells = (
        row.result.label,
        row.algorithm,
        f"{1e3 * row.seconds:.3g}",
        figure(row.gflops or math.nan, ".0f"),
        figure(peak, ".2f"),
        figure(row.times_numpy, ".1f"),
        figure(row.times_loops, ",.0f"),
    )
    return f"| {' | '.join(cells)} |\n"


def layers_table(report, chosen):
    rows = [row for row in report.rows() if row.variant == Variant() and not row.failure]
    caption = (
        f"One thread, float32, NCHW; measured FMA peak {report.peak():.0f} GFLOP/s, "
        f"copy {report.copy():.1f} GB/s.\n\n"
    )
    return caption + LAYERS_HEAD + "".join(layer_line(row) for row in rows if chosen(row.result))


def network_line(result, counts):
    _, *form = result.label.split(", ")
    cells = [
        ", ".join((f"`{result.family}`", *form)),
        f"{result.geometry['parameters']:,}",
        f"{result.macs / 1e6:,.1f}",
    ]
    for threads in counts:
        found = compare(result, threads)
        if found is None:
            ours = result.seconds("fastconv", Variant(threads))
            cells += [show_time(ours) if ours else "", ""]
        else:
            theirs = f"{show_time(min(found.peers.values()))} ({found.fastest})"
            cells += [show_time(found.seconds), theirs]
    return f"| {' | '.join(cells)} |\n"


def networks_table(report, chosen):
    results = [result for result in report.cases if batch_of(result) == 1 and chosen(result)]
    counts = sorted({m.threads for result in results for m in result.measurements})
    head = ["network", "parameters", "million MACs"]
    for threads in counts:
        head += [f"ms, {show_threads(threads)}", "fastest peer"]
    ruler = ["---", *["--:"] * (len(head) - 1)]
    caption = "".join(
        f"On {show_threads(mean.threads)} fastconv is {mean.value:.2f} times as fast as the "
        f"fastest peer of each (geometric mean of {mean.count}).\n"
        for mean in means(report)
        if mean.to == "fastest peer" and mean.batch == 1
    )
    lines = "".join(f"| {' | '.join(cells)} |\n" for cells in (head, ruler))
    return f"{lines}{''.join(network_line(result, counts) for result in results)}\n{caption}"


def main(path, pattern=""):
    report = Report.from_json(Path(path).read_text(encoding="utf-8"))
    networks = all(result.op == "network" for result in report.cases)
    name, table = ("networks", networks_table) if networks else ("figures", layers_table)
    text = table(report, lambda result: re.search(pattern, f"{result.id} {result.label}"))
    readme = README.read_text(encoding="utf-8")
    replaced, count = re.subn(
        rf"(?s)(<!-- {name}: begin -->\n).*?(<!-- {name}: end -->)",
        lambda match: match[1] + text + match[2],
        readme,
    )
    if count != 1:
        sys.exit(f"README.md has no place for the {name}")
    README.write_text(replaced, encoding="utf-8")
    print(f"{name} written; say in the README what machine this was: {report.facts}")


main(*sys.argv[1:])
