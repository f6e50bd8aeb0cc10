"""Filter a photo: blur, sharpen, Sobel and emboss as one convolution, then 2x2 pooling.

    python examples/filter_photo.py                     # scikit-image's astronaut
    python examples/filter_photo.py camera -o maps.png
    python examples/filter_photo.py holiday.jpg

Writes one picture of the feature maps. Needs matplotlib to read and write pictures, and
scikit-image for the two photos that it brings along.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

import fastconv

NAMED = ("astronaut", "camera")

BINOMIAL = np.array([1, 6, 15, 20, 15, 6, 1]) / 64

# Each 7x7, so that one convolution with one weight array computes them all.
FILTERS = {
    "blur": np.outer(BINOMIAL, BINOMIAL),
    "sharpen": np.pad([[0, -1, 0], [-1, 5, -1], [0, -1, 0]], 2),
    "Sobel, vertical edges": np.pad([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], 2),
    "Sobel, horizontal edges": np.pad([[-1, -2, -1], [0, 0, 0], [1, 2, 1]], 2),
    "emboss": np.pad([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]], 2),
}


def read_photo(source: str) -> np.ndarray:
    """Grey values from 0 to 1, float32 (h, w), of a named photo or a file."""
    if source in NAMED:
        try:
            from skimage import data
        except ImportError:
            raise SystemExit(
                f"the photo {source!r} comes with scikit-image, which is missing: "
                "pip install scikit-image"
            ) from None
        pixels = getattr(data, source)()
    else:
        from matplotlib import image

        try:
            pixels = image.imread(source)
        except FileNotFoundError:
            raise SystemExit(
                f"no file {source!r}, and no named photo: those are {', '.join(NAMED)}"
            ) from None
        except OSError as error:
            raise SystemExit(f"cannot read {source!r} as a picture: {error}") from None
    grey = np.asarray(pixels, dtype=np.float32)
    if pixels.dtype.kind == "u":
        grey /= np.iinfo(pixels.dtype).max
    if grey.ndim == 3:
        # How bright an eye finds red, green and blue (ITU-R BT.601); opacity is left out.
        eye = np.array([0.299, 0.587, 0.114], dtype=np.float32)
        grey = grey[..., 0] if grey.shape[2] < 3 else grey[..., :3] @ eye
    return np.ascontiguousarray(grey)


def feature_maps(photo: np.ndarray) -> dict[str, np.ndarray]:
    """All maps of a (h, w) photo by name, the photo itself first."""
    weight = np.stack(list(FILTERS.values()))[:, None].astype(np.float32)
    maps = fastconv.conv2d(photo[None], weight, padding="same")
    named = {"photo": photo} | dict(zip(FILTERS, maps, strict=True))
    edges = np.hypot(named["Sobel, vertical edges"], named["Sobel, horizontal edges"])
    small_photo, small_edges = fastconv.max_pool2d(np.stack([photo, edges]), 2)
    return named | {
        "edges: both Sobels": edges,
        "photo, 2x2 max pooling": small_photo,
        "edges, 2x2 max pooling": small_edges,
    }


def draw(maps: dict[str, np.ndarray], path: Path) -> None:
    """Write the maps as one picture, three in a row."""
    from matplotlib.figure import Figure

    h, w = maps["photo"].shape
    figure = Figure(figsize=(12, 12 * h / w + 1), layout="constrained")
    for axes, (name, values) in zip(figure.subplots(3, 3).flat, maps.items(), strict=True):
        if name.startswith(("photo", "blur", "sharpen")):
            low, high = 0.0, 1.0
        elif name.startswith("edges"):
            low, high = 0.0, np.percentile(values, 99)
        else:
            # Signed maps: zero is grey, and a few extreme pixels must not flatten the rest.
            high = np.percentile(np.abs(values), 99)
            low = -high
        axes.imshow(values, cmap="gray", vmin=low, vmax=high)
        axes.set_title(f"{name}, {values.shape[0]} x {values.shape[1]}", fontsize=11)
        axes.set_axis_off()
    figure.savefig(path, dpi=100)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Filter a photo with fastconv.")
    parser.add_argument(
        "photo", nargs="?", default="astronaut", help=f"a file, or {' or '.join(NAMED)}"
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("feature_maps.png"), help="default: %(default)s"
    )
    options = parser.parse_args(arguments)
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        sys.exit("reading and drawing pictures needs matplotlib: pip install matplotlib")
    maps = feature_maps(read_photo(options.photo))
    draw(maps, options.output)
    print(f"{len(maps)} maps of {options.photo}: {options.output}")


if __name__ == "__main__":
    main()
