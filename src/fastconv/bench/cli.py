"""``python -m fastconv bench``: its options, and the order of things.

Exit codes: 0 done, 1 a result was wrong or an engine failed, 2 bad options, 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path

from fastconv.bench.cases import CASES, NETWORK_CASES, select
from fastconv.bench.console import PlainReporter, RichReporter, make_reporter
from fastconv.bench.data import Variant
from fastconv.bench.engines import chosen
from fastconv.bench.network_cases import BATCHES, Entry, NetworkCase, network_cases
from fastconv.bench.operator_cases import OPERATOR_CASES, QUICK_OPERATORS
from fastconv.bench.page import page
from fastconv.bench.peers import missing_line
from fastconv.bench.results import Report
from fastconv.bench.session import Plan, run
from fastconv.bench.timing import Budget

DEFAULT = Budget(rounds=5, seconds=0.03, slow_seconds=1.0)
QUICK = Budget(rounds=2, seconds=0.01, slow_seconds=0.05)
# Of whole networks: a call may take a second, and every round starts a process.
NETWORKS = Budget(rounds=5, seconds=0.5, slow_seconds=10.0)
NETWORKS_QUICK = Budget(rounds=2, seconds=0.1, slow_seconds=10.0)

INTERRUPTED = 130


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of the subcommand."""
    parser.add_argument(
        "--quick",
        action="store_true",
        help="few and short rounds; network layers only, or no gradients' parts, or batch 1 alone",
    )
    parser.add_argument(
        "--full",
        action="store_true",
        help="also float64, channels_last, and two threads beside one",
    )
    parser.add_argument(
        "--peers",
        action="store_true",
        help="also time whichever are installed of PyTorch, ONNX Runtime, OpenVINO and ncnn, "
        "and the one-shot functions; at one and at two threads",
    )
    parser.add_argument(
        "--operators",
        action="store_true",
        help="time convolutions over one and three axes, gradients, transposed convolutions and "
        "what only moves memory instead, beside PyTorch where it is installed; at one and at two "
        "threads",
    )
    parser.add_argument(
        "--networks",
        action="store_true",
        help="time whole networks instead, with their memory and the time to their first answer; "
        "with --peers beside these, at one and at two threads",
    )
    parser.add_argument(
        "--batch",
        metavar="N[,N]",
        type=_batches,
        help="batches of --networks (default 1,8)",
    )
    parser.add_argument(
        "--filter",
        metavar="REGEX",
        help="only cases whose name or description matches (regular expression or plain text)",
    )
    parser.add_argument(
        "--threads",
        metavar="N[,N]",
        type=_thread_counts,
        help="thread counts to time at (default 1; 1,2 with --full, --peers, --operators or "
        "--networks)",
    )
    parser.add_argument("--json", metavar="FILE", type=Path, help="write all figures to a file")
    parser.add_argument("--plot", metavar="FILE.png", type=Path, help="draw the figures")
    parser.add_argument(
        "--html", metavar="FILE.html", type=Path, help="write a page of charts and all figures"
    )
    parser.add_argument(
        "--load",
        metavar="FILE",
        type=Path,
        help="measure nothing: show, draw and make a page of what --json wrote",
    )
    parser.add_argument("--list", action="store_true", help="list the cases and end")


_PICTURES = (".png", ".svg", ".pdf", ".jpg")
"""Kinds that every backend of matplotlib writes."""


def _counts(text: str, most: int) -> tuple[int, ...]:
    parts = text.split(",")
    if not all(part.strip().isdecimal() and 1 <= int(part) <= most for part in parts):
        raise argparse.ArgumentTypeError(f"takes numbers from 1 to {most}, as in 1,2, got {text!r}")
    return tuple(sorted({int(part) for part in parts}))


def _thread_counts(text: str) -> tuple[int, ...]:
    return _counts(text, 256)


def _batches(text: str) -> tuple[int, ...]:
    return _counts(text, 1024)


def _variants(options: argparse.Namespace) -> list[Variant]:
    both = options.full or options.peers or options.operators or options.networks
    threads = options.threads or ((1, 2) if both else (1,))
    variants = [Variant(count) for count in threads]
    if options.full:
        variants.append(Variant(threads[0], dtype="float64"))
        variants.append(Variant(threads[0], channels_last=True))
    return variants


def _cases(options: argparse.Namespace) -> tuple[Entry, ...]:
    few = options.quick and not options.filter
    cases: tuple[Entry, ...]
    if options.networks:
        cases = network_cases(options.batch or (BATCHES[:1] if few else BATCHES))
    elif options.operators:
        cases = QUICK_OPERATORS if few else OPERATOR_CASES
    else:
        cases = NETWORK_CASES if few else CASES
    return cases if options.filter is None else select(cases, options.filter)


def main(options: argparse.Namespace) -> int:
    """Run the subcommand; the value is the exit code."""
    # A minutes-long run must not end in a file that cannot be written.
    complaint = _complaint(options)
    if complaint:
        print(f"fastconv bench: {complaint}", file=sys.stderr)
        return 2
    if options.load:
        return _show_file(options)

    cases = _cases(options)
    if not cases:
        print(f"fastconv bench: no case matches {options.filter!r}; see --list", file=sys.stderr)
        return 2
    if options.list:
        for case in cases:
            work = "" if isinstance(case, NetworkCase) else f"{case.macs / 1e6:>9.2f} M steps"
            print(f"{case.id:<28} {case.label:<32} {work}".rstrip())
        return 0

    engines, missing = chosen(options.peers or options.operators, {case.op for case in cases})
    if missing:
        print(f"fastconv bench: {missing_line(missing)}", file=sys.stderr)
        if options.peers and not any(engine.role == "peer" for engine in engines):
            return 2
    plan = Plan(cases, _variants(options), _budget(options), engines)
    report, reporter = Report(), make_reporter()
    report.facts["missing"] = missing
    report.facts["options"] = {
        "quick": options.quick,
        "full": options.full,
        "peers": options.peers,
        "operators": options.operators,
        "networks": options.networks,
        "filter": options.filter,
        "rounds": plan.budget.rounds,
        "seconds": plan.budget.seconds,
    }
    try:
        run(plan, report, reporter)
    except KeyboardInterrupt:
        print("interrupted: what follows is what was done", file=sys.stderr)
        _conclude(options, report, reporter)
        return INTERRUPTED
    _conclude(options, report, reporter)
    return 1 if report.failures() else 0


def _budget(options: argparse.Namespace) -> Budget:
    if options.networks:
        return NETWORKS_QUICK if options.quick else NETWORKS
    return QUICK if options.quick else DEFAULT


def _complaint(options: argparse.Namespace) -> str | None:
    """What stands against these options, if anything."""
    for name in ("full", "peers", "plot", "html"):
        if options.operators and getattr(options, name):
            return f"--{name} is of the networks' layers: it does not go with --operators"
    for name in ("full", "operators", "plot", "html"):
        if options.networks and getattr(options, name):
            return f"--{name} is not of whole networks: it does not go with --networks"
    if options.batch and not options.networks:
        return "--batch is of whole networks: it goes with --networks"
    if options.plot and options.plot.suffix.lower() not in _PICTURES:
        return f"--plot {options.plot}: draws {', '.join(_PICTURES)}"
    if options.plot and importlib.util.find_spec("matplotlib") is None:
        return "--plot needs matplotlib, which is missing: pip install matplotlib"
    for name in ("json", "plot", "html"):
        path = getattr(options, name)
        if path and not path.absolute().parent.is_dir():
            return f"--{name} {path}: there is no folder {path.absolute().parent}"
        if path and path.is_dir():
            return f"--{name} {path}: this is a folder"
    return None


def _conclude(
    options: argparse.Namespace, report: Report, reporter: PlainReporter | RichReporter
) -> None:
    """Files first: should the terminal be gone, they are not."""
    if options.json:
        options.json.write_text(report.to_json(), encoding="utf-8")
    if options.plot:
        _draw(report, options.plot)
    if options.html:
        options.html.write_text(page(report), encoding="utf-8")
    if report.cases:
        reporter.conclude(report)


def _draw(report: Report, path: Path) -> None:
    from fastconv.bench.plot import draw

    if not any(row.seconds == row.seconds for row in report.rows()):
        print("fastconv bench: nothing was timed, so nothing is drawn", file=sys.stderr)
        return
    draw(report, path)
    print(f"drawn: {path}")


def _show_file(options: argparse.Namespace) -> int:
    try:
        report = Report.from_json(options.load.read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"fastconv bench: --load {options.load}: {error}", file=sys.stderr)
        return 2
    measured = report.facts.get("options", {})
    pictured = not (measured.get("operators") or measured.get("networks"))
    if not pictured and (options.plot or options.html):
        print(
            f"fastconv bench: --load {options.load}: of operators and whole networks no pictures "
            "are drawn",
            file=sys.stderr,
        )
        return 2
    reporter = make_reporter()
    if isinstance(reporter, PlainReporter):
        reporter.begin(report, len(report.cases))
        for result in report.cases:
            reporter.finished(result)
    _conclude(options, report, reporter)
    return 0
