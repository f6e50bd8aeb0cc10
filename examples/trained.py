"""What the examples with trained networks share: where weights and photos come from.

The weights ship inside packages of which an example needs the files alone. Where something is
missing, the message tells how to get it; nothing is fetched from a network.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, TypeVar

from fastconv.pretrained.packages import Package
from fastconv.pretrained.photos import read_photo

if TYPE_CHECKING:
    from PIL.Image import Image

    from fastconv.graph import Graph

Value = TypeVar("Value")

NAMED = ("astronaut", "camera", "chelsea", "coffee", "page")


def parser(description: str, photo: str) -> argparse.ArgumentParser:
    """The command line of an example that takes a photo; `photo` is what it takes by default."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument(
        "photo",
        nargs="?",
        default=photo,
        help=f"a file, or of scikit-image's photos {', '.join(NAMED)} (default: %(default)s)",
    )
    return made


def weights(package: Package, path: str) -> Path:
    """The file of an installed package, or the end of the program with what to install."""
    try:
        return package.file(path)
    except ModuleNotFoundError as error:
        raise SystemExit(str(error)) from None


def open_photo(source: str) -> Image:
    """The photo of that name or in that file, or the end of the program with the reason."""
    if source in NAMED:
        try:
            from PIL.Image import fromarray
            from skimage import data
        except ModuleNotFoundError:
            raise SystemExit(
                f"the photo {source!r} comes with scikit-image, which is missing: "
                "pip install scikit-image"
            ) from None
        return fromarray(getattr(data, source)()).convert("RGB")
    try:
        return read_photo(source)
    except (ModuleNotFoundError, OSError, ValueError) as error:
        raise SystemExit(str(error)) from None


def timed(what: str, function: Callable[[], Value]) -> Value:
    """What the function gives; a line tells what is being done and how long it took."""
    print(f"{what} ... ", end="", flush=True)
    start = perf_counter()
    value = function()
    print(f"{1e3 * (perf_counter() - start):.0f} ms")
    return value


def load_onnx(path: Path) -> Graph:
    """The network in an ONNX file, or the end of the program with what to install."""
    try:
        from fastconv import onnx

        return onnx.load(path)
    except ModuleNotFoundError as error:
        raise SystemExit(str(error)) from None
