"""Difference between thumbnails that shrink while decoding and exact ones, in levels of 255.

    python benchmarks/thumbnail_error.py [JPEG ...]

Without files: photographs of scikit-image as JPEG of quality 90, colours at half resolution.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator

import numpy as np

import imgpipe
from imgpipe.filters import thumbnail

SHARES = (16, 9, 7, 6, 4, 3, 2.4)  # longest side of the image / that of the thumbnail


def photographs() -> Iterator[tuple[str, bytes]]:
    """Yield the name and the bytes of each JPEG."""
    for path in sys.argv[1:]:
        with open(path, "rb") as file:
            yield path, file.read()
    if sys.argv[1:]:
        return
    from PIL import Image
    from skimage import data

    for name in ("astronaut", "coffee", "chelsea", "rocket"):
        out = io.BytesIO()
        Image.fromarray(getattr(data, name)()).save(out, "JPEG", quality=90, subsampling=2)
        yield name, out.getvalue()


def made(content: bytes, size: int, *, exact: bool) -> np.ndarray:
    """Return the pixels of a thumbnail."""
    out = io.BytesIO()
    imgpipe.run(io.BytesIO(content), thumbnail(size, exact=exact), out, workers=1)
    return imgpipe.read(io.BytesIO(out.getvalue())).astype(int)


def main() -> None:
    """Print one line for each photograph and size."""
    for name, content in photographs():
        info = imgpipe.info(io.BytesIO(content))
        for share in SHARES:
            size = int(max(info.height, info.width) / share)
            off = abs(made(content, size, exact=False) - made(content, size, exact=True))
            print(
                f"{name} 1/{share}: mean {off.mean():.2f}, 99% within "
                f"{np.percentile(off, 99):.0f}, most {off.max()}"
            )


if __name__ == "__main__":
    main()
