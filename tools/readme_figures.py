"""Write the README's table of figures from a report of ``python -m fastconv bench --json``.

Usage: python tools/readme_figures.py REPORT.json [REGEX]. The lines are the layers measured in
float32, NCHW, with one thread, whose name or description matches; the text around the table stays.
"""

import math
import re
import sys
from pathlib import Path

from fastconv.bench.data import Variant
from fastconv.bench.results import Report

README = Path(__file__).parents[1] / "README.md"
HEAD = """\
| layer | algorithm | ms | GFLOP/s | share of FMA peak | × NumPy im2col | × Python loops |
| --- | --- | --: | --: | --: | --: | --: |
"""


def figure(value, form):
    return "" if math.isnan(value) else format(value, form)


def line(row):
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


def main(path, pattern=""):
    report = Report.from_json(Path(path).read_text(encoding="utf-8"))
    rows = [
        row
        for row in report.rows()
        if row.variant == Variant()
        and not row.failure
        and re.search(pattern, f"{row.result.id} {row.result.label}")
    ]
    caption = (
        f"One thread, float32, NCHW; measured FMA peak {report.peak():.0f} GFLOP/s, "
        f"copy {report.copy():.1f} GB/s.\n\n"
    )
    table = caption + HEAD + "".join(map(line, rows))
    readme = README.read_text(encoding="utf-8")
    replaced, count = re.subn(
        r"(?s)(<!-- figures: begin -->\n).*?(<!-- figures: end -->)",
        lambda match: match[1] + table + match[2],
        readme,
    )
    if count != 1:
        sys.exit("README.md has no place for the figures")
    README.write_text(replaced, encoding="utf-8")
    print(f"{len(rows)} layers; say in the README what machine this was: {report.facts}")


main(*sys.argv[1:])
