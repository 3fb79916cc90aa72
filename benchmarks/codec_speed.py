"""Time and size of codecs that take the whole image, for a photograph, on one core.

    python benchmarks/codec_speed.py [PICTURE] [--megapixels 4]

PICTURE is benchmarks/data/big.png by default, which `make big` makes. A part of its middle counts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from codec_memory import encoder

from imgpipe import read
from imgpipe.formats.formatchoice import loaded
from imgpipe.formats.origin import MemoryOrigin
from imgpipe.image import ImageInfo

BIG = Path(__file__).parent / "data" / "big.png"
CASES: list[tuple[str, dict[str, Any]]] = [
    ("jpegxl", {}),
    ("jpegxl", {"effort": 3}),
    ("jpegxl", {"quality": 90}),
    ("webp", {}),
    ("webp", {"effort": 4}),
    ("webp", {"lossless": True, "effort": 0}),
    ("webp", {"lossless": True}),
    ("avif", {}),
    ("avif", {"effort": 2}),
    ("avif", {"lossless": True}),
    ("gif", {}),
    ("qoi", {}),
]


def main() -> None:
    """Time every case, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("picture", nargs="?", default=str(BIG))
    parser.add_argument("--megapixels", type=float, default=4)
    args = parser.parse_args()
    side = int((args.megapixels * 1e6) ** 0.5)
    pixels = read(args.picture, (4000, 4000, 4000 + side, 4000 + side))
    info = ImageInfo(*pixels.shape, pixels.dtype, None, "rgb")
    print(f"{'':38}{'encode':>10}{'decode':>10}{'size':>10}")
    print(f"{'':38}{'ms per megapixel':>20}{'of raw':>10}")
    for name, options in CASES:
        form = loaded(name)
        encode, _ = encoder(form, info, options)
        spent, content = timed(lambda encode=encode: bytes(encode(np.array(pixels))))
        source: Any = form.read(MemoryOrigin(content), None)  # type: ignore[misc]
        out = np.empty(source.info.shape, source.info.dtype)
        back, _ = timed(lambda source=source, out=out: source.decode_into(out))
        each = 1e3 / (info.pixels / 1e6)
        share = len(content) / info.nbytes
        shown = f"{name} {options or ''}"
        print(f"{shown:38}{spent * each:10.1f}{back * each:10.1f}{share:10.3f}")


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the least processor time of three runs, and the result."""
    found = []
    for _ in range(3):
        started = time.process_time()
        result = work()
        found.append(time.process_time() - started)
    return min(found), result


if __name__ == "__main__":
    main()
