"""Read the text in a photo by PP-OCR's networks: where lines are, which way up, what they say.

    pip install --no-deps rapidocr-onnxruntime==1.4.4
    pip install onnx scikit-image
    python examples/read_text.py                # scikit-image's photo of a page
    python examples/read_text.py receipt.jpg
    python examples/read_text.py --compare      # also runs onnxruntime, and tells the difference

Reads Chinese and English. Lines may be tilted, but not curved.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import trained
from numpy.typing import NDArray

from fastconv.pretrained.packages import RAPID_OCR
from fastconv.pretrained.photos import Preparation

if TYPE_CHECKING:
    from PIL.Image import Image

Floats = NDArray[np.float32]
Network = Callable[[Floats], Floats]

FOLDER = "rapidocr_onnxruntime/models"
FINDER = f"{FOLDER}/ch_PP-OCRv4_det_infer.onnx"
TURNER = f"{FOLDER}/ch_ppocr_mobile_v2.0_cls_infer.onnx"
READER = f"{FOLDER}/ch_PP-OCRv4_rec_infer.onnx"

# PP-OCR's own colours, sizes and thresholds.
PREPARE = Preparation(bgr=True, mean=(127.5, 127.5, 127.5), scale=127.5)
SHORT_SIDE = 736
LINE_HEIGHT = 48
TURNER_WIDTH = 192
TEXT, SURE_TEXT, SURE_TURNED, SURE_READ = 0.3, 0.5, 0.9, 0.5
MARGIN = 1.6


class Line(NamedTuple):
    """A line of text, and how sure the reader is of its letters, from 0 to 1."""

    text: str
    sureness: float


def find_lines(photo: Image, finder: Network) -> list[Image]:
    """The lines of text in a photo, each cut out and made level, from top to bottom."""
    from PIL.Image import Resampling, Transform
    from skimage.measure import label, regionprops

    # The finder halves its input five times, and was trained on letters of some size.
    factor = max(1, SHORT_SIDE / min(photo.size))
    size = [max(1, round(side * factor / 32)) * 32 for side in photo.size]
    text = finder(PREPARE(photo.resize(size, Resampling.BILINEAR)))[0, 0]
    quads = [
        corners(region.coords[:, ::-1]) * np.array(photo.size) / size
        for region in regionprops(label(text > TEXT))
        if region.area >= 20 and text[tuple(region.coords.T)].mean() >= SURE_TEXT
    ]
    lines = []
    for quad in sorted(quads, key=lambda quad: quad[:, 1].mean()):
        high, long = np.hypot(*(quad[1] - quad[0])), np.hypot(*(quad[3] - quad[0]))
        width = max(1, round(LINE_HEIGHT * long / high))
        outline = quad.ravel().tolist()
        lines.append(
            photo.transform((width, LINE_HEIGHT), Transform.QUAD, outline, Resampling.BICUBIC)
        )
    return lines


def corners(points: NDArray[np.int64]) -> NDArray[np.float64]:
    """The rectangle (4, 2) along a cloud of pixels (n, 2), with a margin.

    Its corners are the upper left, lower left, lower right and upper right one.
    """
    middle = points.mean(axis=0)
    along = np.linalg.eigh(np.cov(points.T))[1][:, 1]
    along *= np.sign(along[0]) or 1
    axes = np.stack([along, [-along[1], along[0]]])
    places = (points - middle) @ axes.T
    low, high = places.min(axis=0) - 0.5, places.max(axis=0) + 0.5
    # What is found is the core of a line; PP-OCR restores its height this way.
    margin = MARGIN * np.prod(high - low) / (2 * np.sum(high - low))
    (left, top), (right, bottom) = low - margin, high + margin
    around = np.array([[left, top], [left, bottom], [right, bottom], [right, top]])
    return middle + 0.5 + around @ axes


def read_line(line: Image, turner: Network, reader: Network, letters: list[str]) -> Line:
    """What a line says."""
    from PIL.Image import Transpose

    small = PREPARE(line.resize((min(line.width, TURNER_WIDTH), LINE_HEIGHT)))
    framed = np.zeros((1, 3, LINE_HEIGHT, TURNER_WIDTH), np.float32)
    framed[..., : small.shape[3]] = small
    ways = [line]
    if turner(framed)[0, 1] > SURE_TURNED:
        # It errs on long lines: both ways are read, and the surer reading counts.
        ways.append(line.transpose(Transpose.ROTATE_180))
    readings = [decode(reader(PREPARE(way))[0], letters) for way in ways]
    return max(readings, key=lambda reading: reading.sureness)


def decode(steps: Floats, letters: list[str]) -> Line:
    """The text of a row of probabilities (steps, letters), without repeats and gaps (letter 0)."""
    best = steps.argmax(axis=1)
    kept = (best != 0) & np.append(True, best[1:] != best[:-1])
    text = "".join(letters[i] for i in best[kept])
    return Line(text, float(steps.max(axis=1)[kept].mean()) if text else 0.0)


def read_letters(path: Path) -> list[str]:
    """The letters of the reader's outputs, which its file lists; the first is the gap."""
    import onnx

    listed = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    return ["", *listed["character"].split("\n"), " "]


class Beside:
    """A network that also runs in onnxruntime and keeps how far the two are apart at most."""

    def __init__(self, network: Network, path: Path) -> None:
        try:
            import onnxruntime
        except ModuleNotFoundError:
            raise SystemExit(
                "--compare needs onnxruntime, which is missing: pip install onnxruntime"
            ) from None
        self._network = network
        self._session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        self.apart = 0.0

    def __call__(self, x: Floats) -> Floats:
        y = self._network(x)
        (theirs,) = self._session.run(None, {self._session.get_inputs()[0].name: x})
        self.apart = max(self.apart, float(np.abs(y - theirs).max()))
        return y


def main(arguments: list[str] | None = None) -> None:
    parser = trained.parser("Read the text in a photo with fastconv.", "page")
    parser.add_argument(
        "--compare", action="store_true", help="run onnxruntime too, and print the difference"
    )
    options = parser.parse_args(arguments)

    paths = [trained.weights(RAPID_OCR, file) for file in (FINDER, TURNER, READER)]
    photo = trained.open_photo(options.photo)
    networks: list[Network] = trained.timed(
        "reading three networks", lambda: [trained.load_onnx(path) for path in paths]
    )
    if options.compare:
        networks = [Beside(*each) for each in zip(networks, paths, strict=True)]
    finder, turner, reader = networks
    letters = read_letters(paths[2])
    cut = trained.timed("finding lines", lambda: find_lines(photo, finder))
    lines = trained.timed(
        f"reading {len(cut)} lines", lambda: [read_line(it, turner, reader, letters) for it in cut]
    )
    lines = [line for line in lines if line.sureness >= SURE_READ]
    for line in lines:
        print(f"{line.sureness:.2f}  {line.text}")
    if not lines:
        print("no text found")
    for network, path in zip(networks, paths, strict=True):
        if isinstance(network, Beside):
            print(f"{path.name}: at most {network.apart:.1e} from onnxruntime")


if __name__ == "__main__":
    main()
