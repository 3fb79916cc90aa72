"""A function of the user's over a large image, against the other ways to do it in Python.

    python benchmarks/bench_own.py [--side 10000] [--rounds 3] [--arrays]

The function is the filter relief of the README (strength 2) in plain NumPy, or SciPy's Gaussian of
sigma 2. Every way runs on two workers, threads where it has them, as both functions spend their
time in libraries that release the interpreter. Its chunk size is the best of six, found beforehand.
imgpipe also runs with the size that it takes by itself. Rounds alternate.
From file to file every peer has the fastest PNG codec that it can call: OpenCV's, level 1.
"""

# ruff: noqa: E402 - threads are limited before NumPy is imported

from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import dask.array
import make_big
import numpy as np
import pyvips
import reporting
from numpy.typing import NDArray
from scipy import ndimage
from skimage.util import apply_parallel

import imgpipe

Pixels = NDArray[Any]
Kernel = Callable[[Pixels], Pixels]
WORKERS = 2
SIZES = (256, 384, 512, 768, 1024, 2048)

warnings.filterwarnings("ignore")
cv2.setNumThreads(WORKERS)


@imgpipe.filter(halo=1, executor="threads")
def relief(chunk: Pixels, *, strength: float = 1.0) -> Pixels:
    """Emboss, as anybody would write it."""
    return chunk.astype(float) + strength * (
        np.roll(chunk, 1, (0, 1)).astype(float) - np.roll(chunk, -1, (0, 1))
    )


@imgpipe.filter(halo=8, executor="threads")
def gaussian(chunk: Pixels) -> Pixels:
    """SciPy's Gaussian, sigma 2."""
    return np.asarray(ndimage.gaussian_filter(chunk, (2, 2, 0)))


def saturated(kernel: Kernel) -> Kernel:
    """Return what a peer must run to get 8 bits, which imgpipe does by itself."""
    return lambda chunk: np.clip(np.rint(kernel(chunk)), 0, 255).astype(np.uint8)


CASES: dict[str, tuple[imgpipe.Filter, Kernel, int]] = {
    "relief": (relief(strength=2), saturated(lambda c: relief.__wrapped__(c, strength=2)), 1),
    "gaussian": (gaussian(), gaussian.__wrapped__, 8),
}


def by_dask(array: Pixels, kernel: Kernel, halo: int, size: int) -> Pixels:
    """Run a kernel by dask.array.map_overlap."""
    chunked = dask.array.from_array(array, chunks=(size, size, 3))
    done = chunked.map_overlap(
        kernel, depth=(halo, halo, 0), boundary="nearest", dtype=array.dtype, meta=array[:0]
    )
    return np.asarray(done.compute(scheduler="threads", num_workers=WORKERS))


def by_skimage(array: Pixels, kernel: Kernel, halo: int, size: int) -> Pixels:
    """Run a kernel by skimage.util.apply_parallel."""
    return np.asarray(
        apply_parallel(
            kernel, array, chunks=(size, size), depth=halo, mode="nearest", dtype=array.dtype,
            channel_axis=-1, compute=True,
        )
    )  # fmt: skip


def by_pyvips(source: pyvips.Image, kernel: Kernel, halo: int, size: int) -> Pixels:
    """Run a kernel in a loop that fetches regions of a libvips image."""
    wide = source.embed(
        halo, halo, source.width + 2 * halo, source.height + 2 * halo, extend="copy"
    )
    region = pyvips.Region.new(wide)
    out = np.empty((source.height, source.width, 3), np.uint8)
    for y in range(0, source.height, size):
        for x in range(0, source.width, size):
            rows, columns = min(size, source.height - y), min(size, source.width - x)
            data = region.fetch(x, y, columns + 2 * halo, rows + 2 * halo)
            part = np.frombuffer(data, np.uint8).reshape(rows + 2 * halo, columns + 2 * halo, 3)
            out[y : y + rows, x : x + columns] = kernel(part)[halo:-halo, halo:-halo]
    return out


def by_imgpipe(array: Pixels, one: imgpipe.Filter, size: int, out: Pixels | None = None) -> Pixels:
    """Run a filter by imgpipe."""
    return imgpipe.apply(array, one, workers=WORKERS, chunk=size, out=out)


def bare(array: Pixels, one: imgpipe.Filter, size: int, out: Pixels) -> None:
    """Run the kernel alone, chunk by chunk, on one core: what nothing can be faster than."""
    halo = one.halo[0]
    for y in range(halo, len(array) - halo, size):
        for x in range(halo, array.shape[1] - halo, size):
            part = array[y - halo : y + size + halo, x - halo : x + size + halo]
            made = one.definition.kernel(part, **one.keywords)[halo:-halo, halo:-halo]
            if made.dtype != np.uint8:
                made = np.clip(np.rint(made), 0, 255).astype(np.uint8)
            out[y : y + made.shape[0], x : x + made.shape[1]] = made


def best_size(way: Callable[..., Pixels], array: Pixels, *args: Any) -> int:
    """Return the chunk size that is fastest for a way, on a part of the image."""
    part = np.ascontiguousarray(array[:4096, :4096])
    return min(SIZES, key=lambda size: min(seconds(way, part, *args, size) for _ in "abc"))


def seconds(run: Callable[..., Any], *args: Any) -> float:
    """Time one call."""
    began = time.perf_counter()
    run(*args)
    return time.perf_counter() - began


def array_ways(array: Pixels, case: str) -> dict[str, Callable[[], Any]]:
    """Return every way from array to array."""
    one, kernel, halo = CASES[case]
    out = np.empty_like(array)
    size = best_size(by_imgpipe, array, one)
    dask_size = best_size(by_dask, array, kernel, halo)
    skimage_size = best_size(by_skimage, array, kernel, halo)
    return {
        "imgpipe.apply": lambda: imgpipe.apply(array, one, workers=WORKERS),
        "imgpipe.apply, out=": lambda: imgpipe.apply(array, one, workers=WORKERS, out=out),
        f"imgpipe.apply, {size}": lambda: by_imgpipe(array, one, size),
        f"imgpipe.apply, out=, {size}": lambda: by_imgpipe(array, one, size, out),
        "imgpipe.apply, out=, processes": lambda: imgpipe.apply(
            array, one, workers=WORKERS, out=out, executor="processes"
        ),
        f"dask map_overlap, {dask_size}": lambda: by_dask(array, kernel, halo, dask_size),
        f"skimage apply_parallel, {skimage_size}": lambda: by_skimage(
            array, kernel, halo, skimage_size
        ),
        f"bare kernel, one core, {size}": lambda: bare(array, one, size, out),
        "bare kernel, one core, 384": lambda: bare(array, one, 384, out),
    }


def file_ways(path: Path, array: Pixels, case: str, folder: Path) -> dict[str, Callable[[], Any]]:
    """Return every way from PNG to PNG."""
    one, kernel, halo = CASES[case]
    out = str(folder / "out.png")
    dask_size = best_size(by_dask, array, kernel, halo)
    skimage_size = best_size(by_skimage, array, kernel, halo)

    def read() -> Pixels:
        return np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))

    def write(pixels: Pixels) -> None:
        cv2.imwrite(out, pixels, [cv2.IMWRITE_PNG_COMPRESSION, 1])

    def vips() -> None:
        image = pyvips.Image.new_from_file(str(path), access="sequential")
        made = pyvips.Image.new_from_array(by_pyvips(image, kernel, halo, 1024))
        made.pngsave(out, compression=1, filter="up")

    return {
        "imgpipe.run": lambda: imgpipe.run(path, one, out, workers=WORKERS, executor="processes"),
        "imgpipe.run, threads": lambda: imgpipe.run(path, one, out, workers=WORKERS),
        f"OpenCV codec, dask map_overlap, {dask_size}": lambda: write(
            by_dask(read(), kernel, halo, dask_size)
        ),
        f"OpenCV codec, skimage apply_parallel, {skimage_size}": lambda: write(
            by_skimage(read(), kernel, halo, skimage_size)
        ),
        "pyvips codec and fetch loop": vips,
    }


def compare(title: str, ways: dict[str, Callable[[], Any]], rounds: int) -> list[list[str]]:
    """Run every way in every round; return the rows of the table."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds):
        names = list(ways)
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            times[name].append(seconds(ways[name]))
            print(f"{title:18} {name:45} {times[name][-1]:7.2f} s", flush=True)
    ours = times[next(iter(ways))]
    return [
        [
            title, name, f"{median(taken):.2f}",
            f"{median(t / o for t, o in zip(taken, ours, strict=True)):.2f}",
        ]
        for name, taken in times.items()
    ]  # fmt: skip


def main() -> None:
    """Run everything and write the table."""
    parser = argparse.ArgumentParser(description="Compare ways to run a function over an image.")
    parser.add_argument("--side", type=int, default=10_000, help="rows and columns")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--arrays", action="store_true", help="only from array to array")
    args = parser.parse_args()
    code = reporting.fingerprint()
    path = make_big.make(args.side)
    array = np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED))
    rows: list[list[str]] = []
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            rows += compare(f"{case}, array", array_ways(array, case), args.rounds)
            if args.arrays:
                continue
            ways = file_ways(path, array, case, Path(folder))
            rows += compare(f"{case}, PNG", ways, args.rounds)
    title = f"A function of the user's over {args.side**2 / 1e6:,.0f} megapixels, two workers"
    table = reporting.table(["function", "way", "seconds", "of imgpipe"], rows)
    notes = f"{args.rounds} rounds, medians. {reporting.same_code(code)}"
    reporting.write("own", title, [notes, table], {"rows": rows})


if __name__ == "__main__":
    main()
