"""The style sheet of the page, for light and dark screens and for paper.

Knows ``palette``.
"""

from __future__ import annotations

from fastconv.bench.palette import COLOURS

# The others are light enough for a dark page.
_LIGHTER = {"googlenet": "#7088FF", "random": "#A5A5A5"}


def style() -> str:
    """The text of the style element."""
    light = "".join(f"--{family}: {colour}; " for family, colour in COLOURS.items())
    dark = "".join(f"--{family}: {colour}; " for family, colour in _LIGHTER.items())
    fills = "".join(f".f-{family} {{ fill: var(--{family}) }}\n" for family in COLOURS)
    return (
        f":root {{ {light}}}\n{_RULES}{fills}"
        f"@media (prefers-color-scheme: dark) {{ :root {{ {dark}}} }}\n"
    )


_RULES = """\
:root {
  color-scheme: light dark;
  --page: #f6f6f4; --card: #ffffff; --ink: #1d2126; --soft: #626a73; --faint: #e2e4e6;
  --good: #0a7a55; --bad: #c62f2f; --best: #dff3e8;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171b; --card: #1c2026; --ink: #e7e9ec; --soft: #9aa3ad; --faint: #323840;
    --good: #4cc38a; --bad: #ff7070; --best: #17402e;
  }
}
* { box-sizing: border-box }
body {
  margin: 0 auto; padding: 2.4rem 1.4rem 4rem; max-width: 1360px;
  background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
}
h1 { margin: 0 0 .3rem; font-size: 2rem; letter-spacing: -.02em }
h2 { margin: 0 0 .2rem; font-size: 1.2rem }
header p, section > p { margin: .1rem 0; color: var(--soft) }
section > p.chart { margin-top: 1.1rem; color: var(--ink); font-weight: 600 }
section {
  margin-top: 1.4rem; padding: 1.3rem 1.5rem; border-radius: 12px; background: var(--card);
  border: 1px solid var(--faint);
}
.warning { color: var(--bad); font-weight: 600 }
.scroll { overflow-x: auto }

svg { display: block; width: 100%; height: auto; margin-top: .8rem; fill: var(--ink) }
svg .grid { stroke: var(--faint) }
svg .one { stroke: var(--ink); stroke-width: 1.4 }
svg .tick { font-size: 12px; fill: var(--soft) }
svg .axis { font-size: 13px; fill: var(--soft) }
svg .roof { fill: none; stroke: var(--ink); stroke-width: 1.8 }
svg .roof-name { font-size: 12.5px; font-weight: 600 }
svg .mark { stroke: var(--card); stroke-width: .9; fill-opacity: .88 }
svg .family { font-size: 12.5px; font-weight: 600 }
svg .loses { fill: var(--bad) }
svg rect:hover, svg .mark:hover { fill-opacity: 1; stroke: var(--ink) }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; margin-top: .7rem; color: var(--soft) }
.legend span { display: inline-flex; align-items: center; gap: .4rem }
.legend svg { width: 14px; height: 14px; margin: 0 }

table { border-collapse: collapse; width: 100%; margin-top: .8rem; font-size: 12.5px }
th, td { padding: .26rem .4rem; text-align: right; white-space: nowrap }
thead th { vertical-align: bottom }
th { color: var(--soft); font-weight: 600; border-bottom: 2px solid var(--faint) }
td { border-bottom: 1px solid var(--faint); font-variant-numeric: tabular-nums }
.left { text-align: left }
td[rowspan] { vertical-align: top; line-height: 1.35 }
tbody th { padding-top: 1.1rem; text-align: left; color: var(--ink); font-size: 15px }
td small { color: var(--soft) }
td.best { background: var(--best); font-weight: 700; border-radius: 4px }
td.ahead { color: var(--good); font-weight: 600 }
td.loses { color: var(--bad); font-weight: 600 }
ul.rules { list-style: none; margin: .6rem 0 0; padding: 0 }
ul.rules li { display: flex; gap: .8rem; padding: .16rem 0 }
ul.rules b { flex: 0 0 4.2rem }
ul.rules i { font-style: normal; color: var(--soft) }
.held { color: var(--good) }
.missed { color: var(--bad) }
@media print { section { break-inside: avoid-page; border: 0; padding: 0 } }
"""
