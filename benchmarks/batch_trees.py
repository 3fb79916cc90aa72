"""Trees of files for the benchmark of batches, in benchmarks/data/batch.

A tree is made when it is asked for, the same bytes each time, and is there for the next run. All
pixels are crops of the photograph of `make big`.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from multiprocessing import Pool
from pathlib import Path
from typing import NamedTuple

import make_big
import numpy as np
from PIL import Image

TREES = make_big.DATA / "batch"
SIDE = 10_000  # rows and columns of the photograph
GIANT = "a-giant.png"  # the first file in the order of names
TINY, CROWD, MIXED, FIFTIES = 2_000, 100, 2_000, 40
GIANTS, MIDDLE = 3, 300
MANY, PATHS, IN_A_FOLDER = 20_000, 100_000, 100
LARGE_TREES = ("uneven", "even", "fifties")  # a gigabyte and more each


def tiny() -> Path:
    """Return 2,000 PNGs of 64 x 64 pixels."""
    return _made("tiny", lambda to: _crops(to, [(64, 64)] * TINY, "png"))


def crowd() -> Path:
    """Return 100 PNGs of 512 x 512 pixels."""
    return _made("crowd", lambda to: _crops(to, [(512, 512)] * CROWD, "png"))


def crowd_and_giant() -> Path:
    """Return the same 100 PNGs, and one of 100 megapixels."""

    def build(to: Path) -> None:
        shutil.copytree(crowd(), to, dirs_exist_ok=True)
        _same(make_big.make(SIDE), to / GIANT)

    return _made("crowd-and-giant", build)


def uneven() -> Path:
    """Return 3 PNGs of 100 megapixels and 300 of 2 megapixels."""

    def build(to: Path) -> None:
        _crops(to, [(1250, 1600)] * MIDDLE, "png")
        _crops(to, [(SIDE, SIDE)], "png", "giant-")
        for at in range(1, GIANTS):
            shutil.copy(to / "giant-00000.png", to / f"giant-{at:05}.png")

    return _made("uneven", build)


def even() -> Path:
    """Return as many pixels as in `uneven`, in 300 PNGs of 3 megapixels."""
    return _made("even", lambda to: _crops(to, [(1500, 2000)] * MIDDLE, "png"))


def fifties() -> Path:
    """Return 20 PNGs and 20 JPEGs of 50 megapixels."""

    def build(to: Path) -> None:
        for kind in ("png", "jpg"):
            _crops(to, [(6250, 8000)], kind, kind)
            for at in range(1, FIFTIES // 2):
                shutil.copy(to / f"{kind}00000.{kind}", to / f"{kind}{at:05}.{kind}")

    return _made("fifties", build)


def mixed() -> Path:
    """Return 2,000 PNGs and JPEGs of 64 x 64 to 2 megapixels, small and large in any order."""
    rng = np.random.default_rng(2)
    sides = np.exp(rng.uniform(np.log(64), np.log(1414), MIXED)).astype(int).tolist()

    def build(to: Path) -> None:
        _crops(to, [(side, side) for side in sides[::2]], "png", "a")
        _crops(to, [(side, side) for side in sides[1::2]], "jpg", "b")
        for at, path in enumerate(sorted(to.iterdir(), key=lambda path: path.stem[1:])):
            path.rename(to / f"{at:05}{path.suffix}")

    return _made("mixed", build)


def many() -> Path:
    """Return 20,000 PNGs of 16 x 16 pixels, in 200 folders."""

    def build(to: Path) -> None:
        _crops(to, [(16, 16)], "png")
        data = (to / "00000.png").read_bytes()
        (to / "00000.png").unlink()
        for path in _names(to, MANY, ".png"):
            path.write_bytes(data)

    return _made("many", build)


def paths() -> Path:
    """Return 100,000 empty files, in 1,000 folders."""

    def build(to: Path) -> None:
        for path in _names(to, PATHS, ".jpg"):
            path.touch()

    return _made("paths", build)


def remove_large() -> None:
    """Remove the trees of a gigabyte and more."""
    for name in LARGE_TREES:
        with suppress(FileNotFoundError):
            shutil.rmtree(TREES / name)


# --- making ---------------------------------------------------------------------------------


def _made(name: str, build: Callable[[Path], None]) -> Path:
    """Return a tree, which is built first if it is not there as a whole."""
    tree, unfinished = TREES / name, TREES / f".{name}.part"
    if not tree.exists():
        print(f"making {tree}", flush=True)
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        build(unfinished)
        unfinished.rename(tree)
    return tree


def _names(to: Path, count: int, suffix: str) -> Iterator[Path]:
    """Yield names of files in folders, which are made."""
    for at in range(count):
        folder = to / f"{at // IN_A_FOLDER:04}"
        if at % IN_A_FOLDER == 0:
            folder.mkdir()
        yield folder / f"IMG_{at:06}{suffix}"


def _same(source: Path, path: Path) -> None:
    """Have a file under a further name, without a copy where that is possible."""
    try:
        os.link(source, path)
    except OSError:
        shutil.copy(source, path)


class _Crop(NamedTuple):
    """A file with a part of the photograph."""

    path: Path
    top: int
    left: int
    height: int
    width: int


def _crops(to: Path, shapes: list[tuple[int, int]], kind: str, prefix: str = "") -> None:
    """Write one file for each shape."""
    rng = np.random.default_rng(3)
    _photograph()  # the processes of the pool inherit it
    with Pool() as pool:
        pool.map(
            _write,
            [
                _Crop(
                    to / f"{prefix}{at:05}.{kind}",
                    int(rng.integers(SIDE - height + 1)),
                    int(rng.integers(SIDE - width + 1)),
                    height,
                    width,
                )
                for at, (height, width) in enumerate(shapes)
            ],
            chunksize=1,
        )


def _write(crop: _Crop) -> None:
    part = _photograph()[crop.top : crop.top + crop.height, crop.left : crop.left + crop.width]
    options = {"quality": 90} if crop.path.suffix == ".jpg" else {"compress_level": 1}
    Image.fromarray(np.ascontiguousarray(part)).save(crop.path, **options)


@cache
def _photograph() -> make_big.Pixels:
    """Return the photograph of 100 megapixels."""
    Image.MAX_IMAGE_PIXELS = None
    with Image.open(make_big.make(SIDE)) as image:
        return np.asarray(image)
