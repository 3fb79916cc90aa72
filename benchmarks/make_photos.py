"""Make photographs as of a camera: `make photos` writes 48 JPEGs to benchmarks/data/photos.

They have 2 to 12 megapixels, 331 megapixels together, chroma at half the resolution (4:2:0), an
ICC profile and EXIF. A third of them is stored turned, with orientation 6. Their pixels are mosaics
of the photographs that come with scikit-image, as in `make big`. Each run makes the same files.
"""

from __future__ import annotations

import os
import time
from functools import cache
from pathlib import Path

import make_big
import numpy as np
from PIL import Image, ImageCms

PHOTOS = make_big.DATA / "photos"
COUNT = 48
SMALLEST, LARGEST = 2.0, 11.8  # megapixels; the mean of evenly spread sizes is 6.9
ASPECTS = (4 / 3, 3 / 2, 16 / 9)
QUALITY = 90
ORIENTATION, MAKER, TAKEN = 0x0112, 0x010F, 0x0132  # tags of EXIF
TURNED = 6


def main() -> None:
    """Write the photographs."""
    began = time.monotonic()
    files = sorted(make().iterdir())
    size = sum(path.stat().st_size for path in files) / 1e6
    pixels = sum(np.prod(Image.open(path).size) for path in files) / 1e6
    print(
        f"{PHOTOS}: {len(files)} files, {pixels:.0f} megapixels, {size:.0f} MB "
        f"in {time.monotonic() - began:.0f} s"
    )


def make() -> Path:
    """Write the photographs unless they are there; return their folder."""
    PHOTOS.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(11)
    sizes = rng.permutation(np.linspace(SMALLEST, LARGEST, COUNT))
    turned = rng.permutation(COUNT) % 3 == 0
    for at, megapixels in enumerate(sizes):
        path = PHOTOS / f"IMG_{at + 1:04}.jpg"
        if not path.exists():
            aspect = ASPECTS[at % len(ASPECTS)]
            height = round((megapixels * 1e6 / aspect) ** 0.5)
            save(path, height, round(height * aspect), TURNED if turned[at] else 1, seed=at)
    return PHOTOS


def save(path: Path, height: int, width: int, orientation: int = 1, seed: int = 1) -> None:
    """Write one photograph; an interrupted run leaves none of half its bytes."""
    exif = Image.Exif()
    exif[ORIENTATION], exif[MAKER] = orientation, "imgpipe"
    exif[TAKEN] = f"2026:05:{1 + seed % 28:02} 12:00:00"
    unfinished = path.with_name(f".{path.name}.part")
    Image.fromarray(make_big.mosaic(height, width, seed=seed)).save(
        unfinished, "jpeg", quality=QUALITY, subsampling="4:2:0", exif=exif, icc_profile=profile()
    )
    os.replace(unfinished, path)


@cache
def profile() -> bytes:
    """Return the profile of sRGB, the same bytes each time."""
    made = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    made[24:36] = bytes(12)  # the time at which it was made
    return bytes(made)


if __name__ == "__main__":
    main()
