"""Pictures of the filters on the pages about your own filters and about plug-ins.

``python -m docs.pictures.make_own``, with scipy. It runs the Python of the page, and the example
package from its folder.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

import imgpipe
from tests.pages import blocks_of, write_files

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
LANDSCAPE = imgpipe.read(ROOT / "sample_images" / "landscape.png")
PAGE = "docs/own-filters.md"
GAP = 8  # pixels of white between two pictures


def filters_of_the_page() -> dict[str, Any]:
    """Run the Python of the page in this folder, and return its names."""
    write_files(PAGE, Path())
    sys.path.insert(0, os.getcwd())
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks_of(PAGE):
        if block.runs and block.language == "python":
            exec(block.text, names)
    return names


def beside(*pictures: np.ndarray) -> np.ndarray:
    """Return pictures of the same height in one row."""
    gap = np.full((pictures[0].shape[0], GAP, 3), 255, np.uint8)
    parts = [part for picture in pictures for part in (picture, gap)]
    return np.concatenate(parts[:-1], axis=1)


def gaussian(chunk: np.ndarray) -> np.ndarray:
    """Blur by SciPy."""
    return ndimage.gaussian_filter(chunk, (6, 6, 0))


def main() -> None:
    """Write the pictures."""
    part = LANDSCAPE[120:336, 180:432]
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:  # the page writes files
        os.chdir(folder)
        for name in ("big.png", "scan.tif"):
            imgpipe.write(part, name)
        own = filters_of_the_page()
        os.chdir(before)
    made = [own[name]()(part) for name in ("relief", "vignette", "mosaic", "local_range")]
    imgpipe.write(beside(*made), HERE / "own-filters.png", compression=9)

    part = LANDSCAPE[20:236, 60:410]
    blurs = [imgpipe.filter(gaussian, halo=halo)() for halo in (0, 24)]
    made = [imgpipe.apply(part, one, chunk=(54, 70), executor="serial") for one in blurs]
    imgpipe.write(beside(*made), HERE / "seams.png", compression=9)

    sys.path.insert(0, str(ROOT / "examples" / "imgpipe-example"))
    from imgpipe_example.painting import kuwahara

    part = LANDSCAPE[60:420, 60:420]
    imgpipe.write(beside(part, kuwahara(4)(part)), HERE / "kuwahara.png", compression=9)


if __name__ == "__main__":
    main()
