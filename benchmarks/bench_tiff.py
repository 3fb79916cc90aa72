"""Compressions of TIFF tiles: time of the processor and size, with predictor and padding.

    python benchmarks/bench_tiff.py [picture] [--rounds 3]

The middle of the picture, 2048 pixels on a side, is encoded in tiles of 256, by one core. Times are
the best of all rounds, which alternate. Without a picture it is the photograph of `make big`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import reporting

import imgpipe
from imgpipe.formats.tiff import FORMAT
from imgpipe.formats.tiff.storage import Storage
from imgpipe.image import ImageInfo

BIG = Path(__file__).parent / "data" / "big.png"
SIDE, TILE = 2048, 256
WAYS = (
    "none", "deflate:0", "deflate:1", "deflate:2", "deflate:4", "deflate:6", "deflate:9",
    "zstd:1", "zstd:3", "zstd:9", "lzw", "jpeg:90",
)  # fmt: skip


def tiles(pixels: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the tiles of a picture."""
    for y in range(0, SIDE, TILE):
        for x in range(0, SIDE, TILE):
            yield np.ascontiguousarray(pixels[y : y + TILE, x : x + TILE])


def main() -> None:
    """Measure all compressions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", nargs="?", default=str(BIG))
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    about = imgpipe.info(given.picture)
    y, x = (about.height - SIDE) // 2, (about.width - SIDE) // 2
    pixels = imgpipe.read(given.picture, (y, x, y + SIDE, x + SIDE))
    info = ImageInfo(*pixels.shape, pixels.dtype, colour=about.colour)
    option, parts = FORMAT.option("compression", "o.tif"), list(tiles(pixels))
    encoders = {
        way: Storage(info, (TILE, TILE), option.parse(way, "o.tif")).encoder for way in WAYS
    }
    seconds, sizes = dict.fromkeys(WAYS, float("inf")), {}
    for _ in range(given.rounds):
        for way, encoder in encoders.items():
            begin = time.process_time()
            sizes[way] = sum(memoryview(encoder.encode(one, None)[0]).nbytes for one in parts)
            seconds[way] = min(seconds[way], time.process_time() - begin)
    megapixels = SIDE * SIDE / 1e6
    rows = [
        (way, f"{1000 * seconds[way] / megapixels:.1f}", f"{sizes[way] / pixels.nbytes:.4f}")
        for way in WAYS
    ]
    print(reporting.table(("compression", "ms per megapixel", "size of raw"), rows))
    print(reporting.command_line())


if __name__ == "__main__":
    main()
