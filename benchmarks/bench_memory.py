"""Memory of whole commands on images of 100 and 1,600 megapixels.

    python benchmarks/bench_memory.py [--times 1 4] [--only TEXT] [--max-memory 512M] [--keep]

The inputs are the photograph of `make big`, as it is and laid side by side 4 times each way:
40,000 x 40,000 pixels, streamed to files in benchmarks/data, which take 11 GB and are removed at
the end; outputs and scratch files take up to 10 GB more. Each command runs once while its memory is
sampled: the sum of the proportional set sizes of all its processes. A sampled run is slow, so the
seconds are no measure of speed. Then the size of the output is checked, and a crop of it: against
the same crop of the input with its halo, turned and filtered in memory. Lossy outputs may differ by
a few levels.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import make_big
import numpy as np
import pyvips
import reporting
from measure import measure

import imgpipe
from imgpipe.filters import blur, equalize
from imgpipe.filters import crop as crop_out
from imgpipe.geometry import Box

PROCESSORS = len(os.sched_getaffinity(0))
TILES = {"tile": True, "tile_width": 256, "tile_height": 256, "bigtiff": True}
DEFLATE = {"compression": "deflate", "predictor": "horizontal", "level": 1}
INPUTS: dict[str, dict[str, int | str | bool]] = {
    "photo.png": {"compression": 1, "filter": "up"},
    "photo.jpg": {"Q": 90, "subsample_mode": "on"},
    "raw.tif": TILES,
    "deflate.tif": {**TILES, **DEFLATE},
    "jpeg.tif": {**TILES, "compression": "jpeg", "Q": 89},
    "strips.tif": {"bigtiff": True},
    "one-strip.tif": {**DEFLATE, "bigtiff": True, "tile": False, "tile_height": 32_768},
    "16-bit.png": {"compression": 1, "filter": "up"},
    "turned.jpg": {"Q": 90},
    "wide.png": {"compression": 1, "filter": "up"},
}
CROP = 64  # rows and columns of the crop that is checked
HALO = 16
LOSSY_LEVELS = 12  # mean difference of a crop that two lossy files may have


@dataclass(frozen=True)
class Case:
    """A row of the table.

    Attributes
    ----------
    source, suffix : str
        Name of the input, and suffix of the output.
    words : tuple of str
        The filter or the command, and options.
    turn : int
        Quarter turns counter-clockwise that the output is turned by.
    refused : bool
        Whether the command may be refused, as its codec wants the whole image.
    """

    source: str
    suffix: str
    words: tuple[str, ...] = ("blur",)
    turn: int = 0
    refused: bool = False


CASES = {
    "JPEG to JPEG": Case("photo.jpg", ".jpg"),
    "JPEG to JPEG, no filter": Case("photo.jpg", ".jpg", ("convert", "--quality", "89")),
    "tiled TIFF, raw": Case("raw.tif", ".tif", ("blur", "--compression", "none")),
    "tiled TIFF, deflate": Case("deflate.tif", ".tif"),
    "tiled TIFF, JPEG": Case("jpeg.tif", ".tif", ("blur", "--compression", "jpeg:89")),
    "PNG to JPEG": Case("photo.png", ".jpg"),
    "JPEG to PNG": Case("photo.jpg", ".png"),
    "PNG to PNG": Case("photo.png", ".png"),
    "PNG to TIFF": Case("photo.png", ".tif"),
    "TIFF, raw tiles to JPEG": Case("raw.tif", ".jpg"),
    "TIFF, raw strips": Case("strips.tif", ".tif", ("blur", "--compression", "none")),
    "TIFF, one strip of deflate": Case("one-strip.tif", ".tif"),
    "PNG to TIFF with a pyramid": Case("photo.png", ".tif", ("blur", "--pyramid")),
    "TIFF to Cloud-Optimized GeoTIFF": Case("raw.tif", ".tif", ("blur", "--cog")),
    "PNG of 16 bits": Case("16-bit.png", ".png"),
    "PNG of 100,000 columns": Case("wide.png", ".png"),
    "PNG turned by 90 degrees": Case("photo.png", ".png", ("rotate", "--angle", "90"), 1),
    "JPEG turned by its orientation": Case("turned.jpg", ".jpg", turn=3),
    "JPEG equalized": Case("photo.jpg", ".jpg", ("equalize",)),
    "PNG with a wrapping border": Case("photo.png", ".png", ("blur", "--border", "wrap")),
    "PNG to JPEG XL": Case("photo.png", ".jxl", ("convert",), refused=True),
}


def make(name: str, times: int, folder: Path) -> Path:
    """Write an input, `times` x `times` photographs; return its path."""
    path = folder / f"{times}-{name}"
    if path.exists():
        return path
    image = pyvips.Image.new_from_file(str(make_big.make(10_000)), access="sequential")
    if name == "16-bit.png":
        image = (image * 257).cast("ushort").copy(interpretation="rgb16")
    across, down = (times, times) if name != "wide.png" else (10, 1)
    if times > 1 or across > 1:  # the photograph alone is in memory
        image = image.copy_memory().replicate(across, down)
    if name == "wide.png":
        image = image.crop(0, 0, image.width, 200 * times**2 + 300)
    if name == "turned.jpg":
        image = image.copy()
        image.set_type(pyvips.GValue.gint_type, "orientation", 6)
    unfinished = path.with_name(f"part-{path.name}")
    image.write_to_file(str(unfinished), **INPUTS[name])
    return unfinished.rename(path)


def check(case: Case, source: Path, out: Path) -> str:
    """Return the difference of a crop from the crop of the input, turned and filtered in memory.

    Raises
    ------
    SystemExit
        If the sizes or the crops differ.
    """
    height, width = imgpipe.info(source, autorotate=False).shape[:2]
    size = np.array((width, height) if case.turn % 2 else (height, width))
    after = imgpipe.info(out)
    if after.shape[:2] != tuple(size):
        sys.exit(f"{out}: {after.width} x {after.height} pixels, from {source}")
    y, x = (size * 3 // 4 - CROP // 2) // 2 * 2  # over a seam; the blur tells even rows from odd
    box = Box(y, x, y + CROP, x + CROP)
    made = crop(out, box)
    filtered = case.words[0]
    if filtered == "equalize":  # of the whole image, so by the run of one process
        wanted = crop(source, box, equalize())
    else:
        around = Box(y - HALO, x - HALO, y + CROP + HALO, x + CROP + HALO)
        wanted = np.rot90(crop(source, before_turn(around, case.turn, height, width)), case.turn)
        if filtered == "blur":
            wanted = imgpipe.apply(np.ascontiguousarray(wanted), blur(sigma=2), workers=1)
        wanted = wanted[HALO:-HALO, HALO:-HALO]
    away = np.abs(made.astype(float) - wanted)
    lossy = case.suffix == ".jpg" or any("jpeg" in word for word in case.words)
    if (away.mean() > LOSSY_LEVELS) if lossy else away.any():
        sys.exit(f"{out}: differs from {filtered} of {source} by {away.max():g} levels")
    return f"{away.mean():.1f} levels" if lossy else "equal"


def before_turn(box: Box, turns: int, height: int, width: int) -> Box:
    """Return the part of an image that becomes `box` by quarter turns counter-clockwise."""
    if turns == 1:
        return Box(box.x0, width - box.y1, box.x1, width - box.y0)
    if turns == 3:
        return Box(height - box.x1, box.y0, height - box.x0, box.y1)
    return box


def crop(path: Path, box: Box, first: imgpipe.Filter | None = None) -> make_big.Pixels:
    """Return a part of an image, as it is stored, or filtered."""
    with tempfile.NamedTemporaryFile(suffix=".npy", dir=path.parent) as file:
        part = crop_out(x=box.x0, y=box.y0, width=box.width, height=box.height)
        imgpipe.run(path, first | part if first else part, file.name, workers=1, autorotate=False)
        return np.load(file.name)


def plan_of(command: list[str]) -> dict[str, str] | str:
    """Return the lines of the plan, or the error."""
    done = subprocess.run([*command, "--dry-run"], capture_output=True, text=True, check=False)
    if done.returncode:
        return done.stderr.strip()
    lines = (line.partition(":") for line in done.stdout.splitlines())
    return {name: text.strip() for name, _, text in lines}


def row(name: str, case: Case, times: int, limit: str, folder: Path) -> list[str]:
    """Run a command, check its output, and return the cells of its row."""
    source, out = make(case.source, times, folder), folder / f"out-{os.getpid()}{case.suffix}"
    first, *options = case.words
    command = [sys.executable, "-m", "imgpipe", first, str(source), "-o", str(out), *options]
    command += ["-j", str(PROCESSORS), *(("--max-memory", limit) if limit else ())]
    megapixels = f"{np.prod(imgpipe.info(source).shape[:2]) / 1e6:,.0f}"
    plan = plan_of(command)
    if isinstance(plan, str):
        if not case.refused:
            sys.exit(plan)
        needs = plan.partition("needs ")[2].partition(" MB")[0]
        return [name, megapixels, limit, "refused", f"{int(needs):,}", "", "", ""]
    taken = measure([*command, "--quiet"], memory=True)
    found = check(case, source, out)
    out.unlink()
    planned = plan["memory"].split()[2]
    scratch = plan["scratch"].partition(" MB")[0] if "MB" in plan["scratch"] else ""
    return [
        name, megapixels, limit, f"{taken.memory / 1e6:.0f}", planned, scratch,
        f"{taken.wall:.0f}", found,
    ]  # fmt: skip


def main() -> None:
    """Measure all rows, and write the table."""
    parser = argparse.ArgumentParser(description="Measure the memory of whole commands.")
    parser.add_argument("--times", type=int, nargs="+", default=[1, 4], help="photographs a side")
    parser.add_argument("--only", action="append", metavar="TEXT", help="rows whose name has this")
    parser.add_argument(
        "--max-memory", nargs="*", default=["", "512M"], metavar="SIZE",
        help="limits, one run each; '' for the default",
    )  # fmt: skip
    parser.add_argument("--keep", action="store_true", help="keep the inputs")
    chosen = parser.parse_args()
    code, rows = reporting.fingerprint(), []
    folder = make_big.DATA / "memory"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        for name, case in CASES.items():
            if chosen.only and not any(text.lower() in name.lower() for text in chosen.only):
                continue
            for times in chosen.times:
                for limit in chosen.max_memory:
                    rows.append(row(name, case, times, limit, folder))
                    print(" | ".join(rows[-1]), flush=True)
    finally:
        if not chosen.keep:
            shutil.rmtree(folder)
    heads = [
        "work",
        "megapixels",
        "limit",
        "peak MB",
        "planned MB",
        "scratch MB",
        "seconds",
        "checked",
    ]
    reporting.write(
        "memory",
        "Memory of whole commands",
        [f"Blurs are of sigma 2. {reporting.same_code(code)}", reporting.table(heads, rows)],
        {"rows": rows},
    )


if __name__ == "__main__":
    main()
