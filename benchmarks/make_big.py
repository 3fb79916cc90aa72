"""Make a large test picture: `make big` writes benchmarks/data/big.png, 10,000 x 10,000 RGB.

It is a mosaic of the photographs that come with scikit-image, at their native resolution. Each
piece is a random crop, mirrored, turned and made darker or brighter at random, so that deflate
finds no more in its window than in any photograph. Saved by Pillow with its default settings,
so with the adaptive row filters that most PNG files have.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import struct
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

DATA = Path(__file__).parent / "data"
PHOTOS = ("astronaut.png", "coffee.png", "chelsea.png", "motorcycle_left.png", "rocket.jpg")
BAND = 300  # rows of the mosaic that are laid at once; no photograph is smaller
Pixels = NDArray[Any]


def main() -> None:
    """Write the picture that the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--size", type=int, default=10_000, help="rows and columns")
    parser.add_argument("--output", type=Path, help="where to; by default in benchmarks/data")
    parser.add_argument("--format-16bit", action="store_true", help="16 bits per channel")
    chosen = parser.parse_args()
    make(chosen.size, 16 if chosen.format_16bit else 8, chosen.output)


def make(size: int, bits: int = 8, output: Path | None = None) -> Path:
    """Write the picture unless it is there; return where it is."""
    path = output or default_path(size, bits)
    if header(path) == (size, size, bits):
        print(f"{path}: is there already")
        return path
    began = time.monotonic()
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.part")
    save(mosaic(size, size, bits), unfinished)
    os.replace(unfinished, path)
    print(f"{path}: {path.stat().st_size / 1e6:.1f} MB in {time.monotonic() - began:.0f} s")
    return path


def default_path(size: int, bits: int = 8) -> Path:
    """Return where the picture of this size is kept."""
    name = "big" if size == 10_000 else f"big-{size}"
    return DATA / f"{name}{'' if bits == 8 else '-16bit'}.png"


def header(path: Path) -> tuple[int, ...] | None:
    """Return width, height and bits per channel of a PNG file, None if it is not one."""
    try:
        with path.open("rb") as file:
            start = file.read(26)
    except OSError:
        return None
    return struct.unpack(">IIB", start[16:25]) if start[1:4] == b"PNG" else None


def mosaic(height: int, width: int, bits: int = 8, seed: int = 1) -> Pixels:
    """Return a picture, shape (height, width, 3)."""
    rng = np.random.default_rng(seed)
    photos = [photograph(name) for name in PHOTOS]
    out = np.empty((height, width, 3), np.uint8 if bits == 8 else np.uint16)
    for y in range(0, height, BAND):
        band = out[y : y + BAND]
        x = 0
        for piece in pieces(photos, rng):
            across = min(piece.shape[1], width - x)
            band[:, x : x + across] = graded(piece[: len(band), :across], bits, rng)
            x += across
            if x == width:
                break
    return out


@cache
def photograph(name: str) -> Pixels:
    """Return a photograph of scikit-image, shape (rows, columns, 3)."""
    found = importlib.util.find_spec("skimage")
    if found is None or found.origin is None:
        raise SystemExit("the photographs come with scikit-image: pip install 'imgpipe[bench]'")
    with Image.open(Path(found.origin).parent / "data" / name) as image:
        return np.asarray(image.convert("RGB"))


def pieces(photos: list[Pixels], rng: np.random.Generator) -> Iterator[Pixels]:
    """Yield random pieces of the photographs, each `BAND` rows high, without end."""
    while True:
        photo = np.rot90(photos[rng.integers(len(photos))], int(rng.integers(4)))
        photo = photo[:: rng.choice([1, -1]), :: rng.choice([1, -1])]
        height, width = photo.shape[:2]
        top = rng.integers(height - BAND + 1)
        left = rng.integers(width // 2)
        yield photo[top : top + BAND, left:]


def graded(piece: Pixels, bits: int, rng: np.random.Generator) -> Pixels:
    """Return a piece made darker or brighter; in 16 bits with the noise of a sensor."""
    gain = rng.uniform(0.7, 1.1)
    if bits == 8:
        table = np.minimum(np.arange(256) * gain + 0.5, 255).astype(np.uint8)
        return np.asarray(table[piece])
    noise = rng.integers(-128, 129, piece.shape)
    return np.clip(piece * (gain * 257) + noise, 0, 65535).astype(np.uint16)


def save(pixels: Pixels, path: Path) -> None:
    """Write a PNG by Pillow, or by libpng where Pillow has no such images."""
    if pixels.dtype == np.uint8:
        Image.fromarray(pixels).save(path, format="png")
        return
    import imagecodecs

    path.write_bytes(imagecodecs.png_encode(pixels, level=6))


if __name__ == "__main__":
    main()
