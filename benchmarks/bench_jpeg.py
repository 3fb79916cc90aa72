"""Processor time of decoding and encoding a JPEG file, in milliseconds a megapixel.

::

    python benchmarks/bench_jpeg.py photo.jpg

The file must be large enough to be read as a stream. Three rows are printed: with other work on the
machine they differ.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from imgpipe.formats.jpegs import strict
from imgpipe.formats.jpegs.encoding import UNIT_ROWS, Recipe
from imgpipe.formats.opening import open_source
from imgpipe.geometry import Box
from imgpipe.machine import keep_freed_memory

BAND_ROWS, GROUP_ROWS = 128, 256


def decode_rows(source: Any) -> None:
    """Decode a file in order."""
    height, width, channels = source.info.shape
    band = np.empty((BAND_ROWS, width, channels), np.uint8)
    rows = source.rows()
    for y in range(0, height, BAND_ROWS):
        rows.read_into(band[: height - y])
    rows.finish()
    rows.close()


def decode_groups(groups: Any) -> None:
    """Decode a file in groups of rows."""
    height, width, _ = groups.info.shape
    for y in range(0, height, GROUP_ROWS):
        groups.read(Box(y, 0, min(height, y + GROUP_ROWS), width))


def encode(image: np.ndarray, subsampling: Any) -> None:
    """Encode an image in units."""
    recipe = Recipe(image.shape[2], 90, subsampling)
    for y in range(0, len(image), UNIT_ROWS):
        recipe.coded(image[y : y + UNIT_ROWS])


def works(path: str) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield what is measured, by name."""
    source: Any = open_source(path)
    image = np.empty(source.info.shape, np.uint8)
    yield "rows", lambda: decode_rows(source)
    groups = source.in_groups()
    if groups is not None:
        yield "groups", lambda: decode_groups(groups)
    yield "whole", lambda: strict.decode(Path(path).read_bytes(), out=image)
    for subsampling in ("4:4:4", "4:2:2", "4:2:0"):
        yield f"encode {subsampling}", lambda subsampling=subsampling: encode(image, subsampling)


def main() -> None:
    """Measure everything three times."""
    keep_freed_memory()
    (path,) = sys.argv[1:]
    megapixels = open_source(path).info.pixels / 1e6
    every = list(works(path))
    for _, work in every:  # libraries are loaded, memory is touched
        work()
    for _ in range(3):
        for name, work in every:
            begun = time.process_time()
            work()
            print(f"{name} {(time.process_time() - begun) * 1e3 / megapixels:.2f}", end="  ")
        print()


if __name__ == "__main__":
    main()
