"""``python -m fastconv classify``: its options and what it prints.

Exit codes: 0 done, 1 a file cannot be read, 2 bad options or something is not installed.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter

import fastconv
from fastconv.pretrained.classifiers import CLASSIFIERS
from fastconv.pretrained.photos import read_photo

REPEATS = 5
"""Timed runs after the first, which packs the weights: the median of few is steady enough."""


@dataclass(frozen=True)
class Guess:
    """A class that the photo may show."""

    index: int
    key: str
    label: str
    probability: float


@dataclass(frozen=True)
class Answer:
    """The likeliest classes of a photo, the first first, and the milliseconds that they took.

    `load_ms` is for reading the weights, `first_ms` for the first run, which prepares the network
    for the size of its input, `run_ms` for each later one.
    """

    photo: str
    network: str
    threads: int
    load_ms: float
    first_ms: float
    run_ms: float
    top: list[Guess]


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the subcommand."""
    parser.add_argument("photo", metavar="PHOTO", type=Path, help="a file that Pillow can read")
    parser.add_argument(
        "--top",
        metavar="N",
        type=int,
        default=5,
        help="how many classes to show (default %(default)s)",
    )
    parser.add_argument(
        "--network",
        choices=CLASSIFIERS,
        default=next(iter(CLASSIFIERS)),
        help="default: %(default)s",
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")


def main(options: argparse.Namespace) -> int:
    """Run the subcommand; the value is the exit code."""
    classes = len(CLASSIFIERS[options.network].labels())
    try:
        if not 1 <= options.top <= classes:
            raise argparse.ArgumentTypeError(f"--top takes 1 to {classes}, got {options.top}")
        answer = classify(options.photo, options.network, options.top)
    except (argparse.ArgumentTypeError, ModuleNotFoundError) as error:
        print(f"fastconv classify: {error}", file=sys.stderr)
        return 2
    except (OSError, ValueError) as error:
        print(f"fastconv classify: {error}", file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps(asdict(answer), indent=2))
    else:
        show(answer)
    return 0


def classify(photo: str | Path, network: str, top: int) -> Answer:
    """Find the `top` likeliest classes of the photo in that file."""
    row = CLASSIFIERS[network]
    # What is quick to find missing comes before what is slow to load.
    weights = row.package.file(row.weights)
    x = row.prepare(read_photo(photo))
    start = perf_counter()
    run = row.build(weights)
    loaded = perf_counter()
    logits = run(x)
    times = [perf_counter()]
    for _ in range(REPEATS):
        run(x)
        times.append(perf_counter())
    later = median(end - begin for begin, end in pairwise(times))
    probability = fastconv.softmax(logits, 1)[0]
    labels = row.labels()
    # A stable sort: of equal ones the first counts as the likelier.
    order = (-probability).argsort(kind="stable")[:top].tolist()
    return Answer(
        photo=str(photo),
        network=network,
        threads=fastconv.get_num_threads(),
        load_ms=1e3 * (loaded - start),
        first_ms=1e3 * (times[0] - loaded),
        run_ms=1e3 * later,
        top=[Guess(i, labels[i].key, labels[i].name, float(probability[i])) for i in order],
    )


BAR = 30


def show(answer: Answer) -> None:
    """Print a table with bars: rich's on a terminal that has it, plain text everywhere else."""
    threads = f"{answer.threads} thread{'s' * (answer.threads > 1)}"
    footer = (
        f"{answer.network} on {threads}: {answer.run_ms:.1f} ms "
        f"(the first time {answer.first_ms:.0f}, reading the weights {answer.load_ms:.0f})"
    )
    if sys.stdout.isatty():
        try:
            _show_rich(answer, footer)
        except ImportError:
            pass
        else:
            return
    width = max(len(guess.label) for guess in answer.top)
    print(answer.photo)
    for guess in answer.top:
        bar = "#" * round(BAR * guess.probability)
        print(f"{guess.label:{width}}  {guess.probability:6.1%}  {bar}".rstrip())
    print(footer)


def _show_rich(answer: Answer, footer: str) -> None:
    from rich.console import Console
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for place, guess in enumerate(answer.top):
        table.add_row(
            Text(guess.label, style="" if place else "bold"),
            f"{guess.probability:6.1%}",
            ProgressBar(total=1, completed=guess.probability, width=BAR),
        )
    console = Console(highlight=False)
    # Soft-wrapped lines are printed as they are, to be copied.
    console.print(answer.photo, style="dim", markup=False, soft_wrap=True)
    console.print(table)
    console.print(footer, style="dim", markup=False, soft_wrap=True)
