"""Ways to deflate rows of a photograph: size, time, and whether every process does the same.

    python benchmarks/bench_deflate.py [picture.png ...] [--rounds 5]

The first 1500 rows of a picture are filtered by Paeth, in strips as they are written to a file.
Size and time are relative to what compression 2 does; time is the processor's, the best of all
rounds, which alternate. Without a picture it is a mosaic of 3000 x 3000, sharp and blurred.
"""

from __future__ import annotations

import argparse
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import make_big
import numpy as np
import reporting
from isal import igzip_lib, isal_zlib

import imgpipe
from imgpipe.filters import blur
from imgpipe.formats import deflate
from imgpipe.formats.png import rowfilters

Way = Callable[[bytes], int]
ROWS, STRIP, PIECE = 1500, 2 << 20, 255 << 10


def one_shot(level: int, window_bits: int) -> Way:
    """Deflate by the function of ISA-L that has any window, in pieces."""
    settings = level, igzip_lib.COMP_DEFLATE, igzip_lib.MEM_LEVEL_EXTRA_LARGE, window_bits
    return lambda data: sum(
        len(igzip_lib.compress(data[start : start + PIECE], *settings))
        for start in range(0, len(data), PIECE)
    )


def stream(level: int, window_bits: int) -> Way:
    """Deflate by a stream of ISA-L that is flushed after four bytes."""

    def way(data: bytes) -> int:
        deflater = isal_zlib.compressobj(level, zlib.DEFLATED, -window_bits, 9)
        parts = [deflater.compress(data[:4]), deflater.flush(zlib.Z_SYNC_FLUSH)]
        return len(b"".join([*parts, deflater.compress(data[4:]), deflater.flush()]))

    return way


def by_zlib(level: int, strategy: int) -> Way:
    """Deflate by zlib."""
    return lambda data: len(b"".join(deflate.by_zlib(level, strategy)(memoryview(data))))


WAYS: dict[str, tuple[Way, str]] = {
    "compression 2": (lambda data: len(b"".join(deflate.by_isal_narrow(memoryview(data)))), "yes"),
    "ISA-L 1, window 4, no lead": (one_shot(1, 2), "no"),
    "ISA-L 3, window 4": (one_shot(3, 2), "yes"),
    "ISA-L 3, window 2": (one_shot(3, 1), "yes"),
    "ISA-L 0, window 4": (one_shot(0, 2), "yes"),
    "ISA-L 1, window 512, flushed first": (stream(1, 9), "yes"),
    "ISA-L 1, window 32 K, flushed first": (stream(1, 15), "yes"),
    "zlib-ng 1": (lambda data: len(imagecodecs.zlibng_encode(data, level=1)), "yes"),
    "libdeflate 1": (lambda data: len(imagecodecs.deflate_encode(data, level=1, raw=True)), "yes"),
    "zlib, runs only": (by_zlib(1, zlib.Z_RLE), "yes"),
    "zlib, Huffman codes only": (by_zlib(1, zlib.Z_HUFFMAN_ONLY), "yes"),
}


def strips(pixels: make_big.Pixels) -> list[bytes]:
    """Return the filtered rows of `pixels`, strip by strip."""
    rows = pixels[:ROWS].reshape(min(ROWS, len(pixels)), -1)
    line = 1 + rows.shape[1] * rows.itemsize
    count = max(1, STRIP // line)
    found = []
    for start in range(0, len(rows), count):
        part = rows[start : start + count]
        above = rows[start - 1] if start else np.zeros_like(rows[0])
        out = np.empty((len(part), line), np.uint8)
        kinds = np.full(len(part), rowfilters.PAETH, np.uint8)
        rowfilters.filter_rows(part, above, pixels.shape[2] * pixels.itemsize, kinds, out)
        found.append(out.tobytes())
    return found


def compare(pixels: make_big.Pixels, rounds: int) -> dict[str, tuple[int, float]]:
    """Return the size and the time of every way."""
    data = strips(pixels)
    sizes = {name: sum(map(way, data)) for name, (way, _) in WAYS.items()}
    times = {name: [float("inf")] * len(data) for name in WAYS}
    for _ in range(rounds):
        for at, strip in enumerate(data):
            for name, (way, _) in WAYS.items():
                began = time.process_time()
                way(strip)
                times[name][at] = min(times[name][at], time.process_time() - began)
    return {name: (sizes[name], sum(times[name])) for name in WAYS}


def main() -> None:
    """Run everything and write the table."""
    parser = argparse.ArgumentParser(description="Compare ways to deflate rows of photographs.")
    parser.add_argument("picture", type=Path, nargs="*")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    code = reporting.fingerprint()
    pictures = {path.name: imgpipe.read(path) for path in args.picture}
    if not pictures:
        sharp = imgpipe.read(make_big.make(3000))
        pictures = {"sharp": sharp, "blurred": imgpipe.apply(sharp, blur(sigma=2))}
    results = [compare(pixels, args.rounds) for pixels in pictures.values()]
    rows = []
    for name, (_, steady) in WAYS.items():
        row = [name, steady]
        for result in results:
            size, seconds = (
                a / b for a, b in zip(result[name], result["compression 2"], strict=True)
            )
            row += [f"{size:.3f}", f"{seconds:.2f}"]
        rows.append(row)
    heads = ["way", "same in every process"]
    heads += [f"{name}, {what}" for name in pictures for what in ("size", "time")]
    notes = f"{args.rounds} rounds. {reporting.same_code(code)}"
    title = "Deflating rows filtered by Paeth"
    reporting.write("deflate", title, [notes, reporting.table(heads, rows)], {"rows": rows})


if __name__ == "__main__":
    main()
