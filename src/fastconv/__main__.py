"""The command line: ``python -m fastconv`` with ``bench``, ``classify`` or ``info``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

import fastconv


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand and return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m fastconv", description="Fast convolution and pooling on NumPy arrays."
    )
    parser.add_argument("--version", action="version", version=f"fastconv {fastconv.__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("info", help="print build, processor and thread configuration")
    # Imported here: the parser's words live beside what they control.
    from fastconv.bench import cli as bench
    from fastconv.pretrained import cli as classify

    bench.add_options(
        commands.add_parser("bench", help="check and time every case against float64 and NumPy")
    )
    classify.add_options(
        commands.add_parser("classify", help="name what a photo shows, by a trained network")
    )
    options = parser.parse_args(arguments)
    if options.command == "info":
        fastconv.show_config()
        return 0
    return classify.main(options) if options.command == "classify" else bench.main(options)


def _exit() -> None:
    """Run as a program, which ends quietly when whoever reads its output has read enough."""
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:
        # Python would flush once more as it ends, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)


if __name__ == "__main__":
    _exit()
