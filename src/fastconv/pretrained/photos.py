"""Reading photos with Pillow, and making of them what a network takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL.Image import Image

INSTALL = "reading photos needs Pillow, which is missing: pip install pillow"


def read_photo(path: str | Path) -> Image:
    """Return the picture in a file, upright and in 8-bit RGB; transparent parts are white.

    Raises
    ------
    ModuleNotFoundError
        If Pillow is missing; the message says how to install it.
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is no picture, a damaged one, or one of more than 8 bits that has no fixed
        range.
    """
    try:
        from PIL import Image, ImageOps
    except ModuleNotFoundError:
        raise ModuleNotFoundError(INSTALL, name="PIL") from None
    if not Path(path).exists():
        raise FileNotFoundError(f"there is no file {str(path)!r}")
    try:
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        # Pillow's decoders raise any of these on damaged files.
        raise ValueError(f"cannot read {str(path)!r} as a picture: {error}") from None
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode in ("I", "F"):
        raise ValueError(
            f"{str(path)!r} has pixels of 32 bits (mode {image.mode}): convert it to 8 bits first"
        )
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image.convert("RGB")


@dataclass(frozen=True)
class Preparation:
    """What a network was trained to be given: size, order of the colours, and their scale.

    Parameters
    ----------
    size
        Width and height to which the photo is stretched, or ``None`` to leave it.
    resample
        Pillow's name for the way to resize, ``"bilinear"`` or ``"bicubic"``.
    crop
        Side of the square that is cut out of the middle afterwards.
    bgr
        Whether blue comes first, as networks of Caffe have it.
    mean, scale
        What is subtracted from the colours 0 to 255, in the order of the channels, and by what
        the difference is divided.
    """

    size: int | None = None
    resample: str = "bilinear"
    crop: int | None = None
    bgr: bool = False
    mean: tuple[float, float, float] = (0, 0, 0)
    scale: float = 1

    def __call__(self, photo: Image) -> NDArray[np.float32]:
        """Return the photo as an array (1, 3, h, w)."""
        from PIL.Image import Resampling

        if self.size is not None:
            photo = photo.resize((self.size, self.size), Resampling[self.resample.upper()])
        if self.crop is not None:
            left, top = ((side - self.crop) // 2 for side in photo.size)
            photo = photo.crop((left, top, left + self.crop, top + self.crop))
        pixels = np.asarray(photo, dtype=np.float32)
        if self.bgr:
            pixels = pixels[..., ::-1]
        values = (pixels - np.array(self.mean, np.float32)) / np.float32(self.scale)
        return np.ascontiguousarray(values.transpose(2, 0, 1)[np.newaxis])
