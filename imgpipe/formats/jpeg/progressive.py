"""Progressive JPEG: coarse to fine in several scans, with tables made for the image.

Its encoder needs the coefficients of the whole image, so the last task encodes it.
"""

from __future__ import annotations

import io

import numpy as np

from imgpipe.formats.jpeg.splicing import spliced
from imgpipe.formats.jpegs.encoding import Recipe
from imgpipe.image import Pixels
from imgpipe.records import dataclass

__all__ = ["ProgressiveEncoder"]

_MODES = {1: "L", 3: "RGB", 4: "CMYK"}
_RATIOS = {"4:4:4": 0, "4:2:2": 1, "4:2:0": 2}
_SAMPLES = {"4:4:4": 3.0, "4:2:2": 2.0, "4:2:0": 1.5}  # of an RGB pixel


@dataclass(frozen=True)
class ProgressiveEncoder:
    """Encoder of a whole image.

    Attributes
    ----------
    recipe : Recipe
        The way to code pixels; CMYK is never subsampled.
    pixels : int
        Pixels of the image.
    marks : bytes
        Segments with metadata.
    """

    recipe: Recipe
    pixels: int
    marks: bytes

    @property
    def work_bytes(self) -> int:
        """Pillow's copy of RGB, coefficients of two bytes, the file, and the buffer for it."""
        channels = self.recipe.channels
        samples = _SAMPLES[self.recipe.subsampling] if channels == 3 else channels
        return int(self.pixels * (4 * (channels == 3) + 2 * samples + 3))

    def encode(self, pixels: Pixels) -> bytes:
        """Return the file of `pixels`."""
        from PIL import Image  # noqa: PLC0415 - only for this

        channels = self.recipe.channels
        held = pixels[:, :, 0] if channels == 1 else pixels
        image = Image.frombuffer(
            _MODES[channels], held.shape[1::-1], np.ascontiguousarray(held), "raw",
            _MODES[channels], 0, 1,
        )  # fmt: skip
        ratio = _RATIOS[self.recipe.subsampling] if channels == 3 else 0
        out = io.BytesIO()
        image.save(out, "JPEG", quality=self.recipe.quality, subsampling=ratio, progressive=True)
        return spliced(out.getvalue(), self.marks)
