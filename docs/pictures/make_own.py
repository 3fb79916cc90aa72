"""Pictures of the filters on the pages about your own filters and about plug-ins.

``python docs/pictures/make_own.py``, with scipy. It runs the Python of the page, and the example
package from its folder.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import imgpipe

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
LANDSCAPE = imgpipe.read(ROOT / "sample_images" / "landscape.png")
GAP = 8  # pixels of white between two pictures


def filters_of_the_page() -> dict[str, Any]:
    """Run the definitions of filters on the page, and return them by name."""
    text = (HERE.parent / "own-filters.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in re.findall(r"(?<!-->\n)^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        exec(block, names)
    return names


def beside(*pictures: np.ndarray) -> np.ndarray:
    """Return pictures of the same height in one row."""
    gap = np.full((pictures[0].shape[0], GAP, 3), 255, np.uint8)
    parts = [part for picture in pictures for part in (picture, gap)]
    return np.concatenate(parts[:-1], axis=1)


def main() -> None:
    """Write both pictures."""
    part = LANDSCAPE[120:336, 180:432]
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:  # the page writes files
        os.chdir(folder)
        for name in ("big.png", "scan.tif"):
            imgpipe.write(part, name)
        own = filters_of_the_page()
        os.chdir(before)
    made = [own[name]()(part) for name in ("emboss", "vignette", "mosaic", "local_range")]
    imgpipe.write(beside(*made), HERE / "own-filters.png", compression=9)

    sys.path.insert(0, str(ROOT / "examples" / "imgpipe-example"))
    from imgpipe_example.painting import kuwahara

    part = LANDSCAPE[60:420, 60:420]
    imgpipe.write(beside(part, kuwahara(4)(part)), HERE / "kuwahara.png", compression=9)


if __name__ == "__main__":
    main()
