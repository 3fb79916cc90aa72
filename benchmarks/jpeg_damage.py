"""Damage that JPEG decoding notices: files of a photograph, damaged at random places.

::

    python benchmarks/jpeg_damage.py
"""

from __future__ import annotations

import io
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from skimage import data

from imgpipe.errors import CorruptError
from imgpipe.formats.jpeg.scanlines import ScanlineSource
from imgpipe.formats.jpegs import strict
from imgpipe.formats.jpegs.markers import JpegError
from imgpipe.formats.origin import FileOrigin
from imgpipe.formats.rows import decode
from imgpipe.image import ImageInfo

COPIES = 100


def damaged(content: bytes, size: int, seed: int) -> bytes:
    """Return a copy with a flipped bit, or with so many random bytes."""
    rng, made = np.random.default_rng(seed), bytearray(content)
    at = int(rng.integers(strict.decode_header(content).start, len(made) - size - 2))
    if size:
        made[at : at + size] = rng.integers(0, 256, size, np.uint8).tobytes()
    else:
        made[at] ^= 1 << int(rng.integers(0, 8))
    return bytes(made)


def as_stream(path: Path, content: bytes) -> None:
    """Decode a file row by row."""
    path.write_bytes(content)
    origin, header = FileOrigin(str(path)), strict.decode_header(content)
    info = ImageInfo(header.height, header.width, 3, np.dtype(np.uint8), None, "rgb")
    decode(ScanlineSource(info, origin, header, len(content)), np.empty(info.shape, info.dtype))


def noticed(decoder: Any, *given: Any) -> bool:
    """Return whether decoding fails."""
    try:
        decoder(*given)
    except (JpegError, CorruptError):
        return True
    return False


def main() -> None:
    """Print how many of the copies are noticed."""
    picture = Image.fromarray(data.astronaut())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a.jpg")
        for options in ({}, {"restart_marker_rows": 2}):
            out = io.BytesIO()
            picture.save(out, "JPEG", quality=90, **options)
            for size in (0, 20, 500):
                copies = [damaged(out.getvalue(), size, seed) for seed in range(COPIES)]
                stream = sum(noticed(as_stream, path, copy) for copy in copies)
                whole = sum(noticed(strict.decode, copy) for copy in copies)
                print(f"{options} {size or 'bit'}: stream {stream}, whole {whole} of {COPIES}")


if __name__ == "__main__":
    main()
