"""Formats: whole commands between them, against libvips.

    python benchmarks/bench_formats.py [--size 10000] [--rounds 3] [--only TEXT] [--memory]

Every row is a Gaussian blur of sigma 2, except where it says otherwise, with one worker for each
processor. libvips blurs with 13 taps, as imgpipe does (`min_ampl=0.011`), and also as it comes,
with 7 taps. Runs of all ways take turns; ratios are of medians. With --memory each command runs
once more, and its memory is sampled: the sum of the proportional set sizes of all its processes.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import make_big
import pyvips
import reporting
from measure import Measurement, measure

PEER = Path(__file__).parent / "peers" / "pyvips_formats.py"
PROCESSORS = len(os.sched_getaffinity(0))
TAPS_13, AS_IT_COMES = "0.011", "0.2"
TILES = {"tile": 1, "tile_width": 256, "tile_height": 256}
DEFLATE = {**TILES, "compression": "deflate", "predictor": "horizontal"}
JPEG = {"Q": 90, "subsample_mode": "on"}
JPEG_TILES = {**TILES, "compression": "jpeg", "Q": 89}
SIGMA = 2.0


@dataclass(frozen=True)
class Work:
    """A row of the table.

    Attributes
    ----------
    source, suffix : str
        Name of the input, and suffix of the output.
    ours : tuple of str
        Options of imgpipe.
    theirs : dict
        Options of the saver of libvips.
    sigma : float
        Of the blur; 0 for none.
    at_most : float
        The ratio that is wanted.
    """

    source: str
    suffix: str
    ours: tuple[str, ...]
    theirs: dict[str, int | str]
    sigma: float = SIGMA
    at_most: float = 1.0


WORKS = {
    "JPEG to JPEG": Work("photo.jpg", ".jpg", ("--quality", "90"), JPEG, at_most=1.25),
    "JPEG to JPEG, no filter": Work(
        "photo.jpg", ".jpg", ("--quality", "90"), JPEG, sigma=0, at_most=1.1
    ),
    "tiled TIFF, raw": Work("raw.tif", ".tif", ("--compression", "none"), TILES, at_most=1.25),
    "tiled TIFF, deflate": Work("deflate.tif", ".tif", (), DEFLATE, at_most=0.2),
    "tiled TIFF, deflate, level 1 of libvips": Work(
        "deflate.tif", ".tif", (), {**DEFLATE, "level": 1}, at_most=0.55
    ),
    "tiled TIFF, JPEG": Work(
        "jpeg.tif", ".tif", ("--compression", "jpeg:89"), JPEG_TILES, at_most=1.0
    ),
    "PNG to JPEG": Work("photo.png", ".jpg", ("--quality", "90"), JPEG, at_most=1.0),
    "JPEG to PNG": Work("photo.jpg", ".png", (), {}, at_most=0.45),
}
INPUTS = {"photo.jpg": JPEG, "raw.tif": TILES, "deflate.tif": DEFLATE, "jpeg.tif": JPEG_TILES}


@dataclass
class Row:
    """Measurements of a piece of work, by the way in which it is done."""

    runs: dict[str, list[Measurement]] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    def wall(self, way: str) -> float:
        """Return the median of the seconds."""
        return median(one.wall for one in self.runs[way])

    def cpu(self, way: str) -> float:
        """Return the median of the processor seconds."""
        return median(one.cpu for one in self.runs[way])


OURS, THEIRS, USUAL = "imgpipe", "libvips, 13 taps", "libvips as it comes"


def commands(work: Work, folder: Path) -> dict[str, tuple[list[str], Path]]:
    """Return the command of each way, and its output."""
    source, outputs = folder / work.source, {}
    mine = folder / f"imgpipe-out{work.suffix}"
    command = ["blur", str(source), "--sigma", f"{work.sigma:g}"]
    if not work.sigma:
        command = ["convert", str(source)]
    command += ["-o", str(mine), "-j", str(PROCESSORS), "--quiet", *work.ours]
    outputs[OURS] = [sys.executable, "-m", "imgpipe", *command], mine
    options = [f"{name}={value}" for name, value in work.theirs.items()]
    for way, taps in ((THEIRS, TAPS_13), (USUAL, AS_IT_COMES)):
        if way == USUAL and not work.sigma:
            continue
        theirs = folder / f"vips-out{work.suffix}"
        words = [str(source), str(theirs), f"{work.sigma:g}", taps, *options]
        outputs[way] = [sys.executable, str(PEER), *words], theirs
    return outputs


def inputs(size: int, folder: Path) -> None:
    """Write the inputs of all rows."""
    photo = make_big.make(size)
    (folder / "photo.png").symlink_to(photo.resolve())
    for name, options in INPUTS.items():
        image = pyvips.Image.new_from_file(str(photo), access="sequential")
        image.write_to_file(str(folder / name), **options)


def compare(work: Work, folder: Path, rounds: int, *, memory: bool) -> Row:
    """Return the measurements of one piece of work."""
    row, ways = Row(), commands(work, folder)
    for turn in range(rounds + 1):
        names = list(ways)
        for way in names[turn % len(names) :] + names[: turn % len(names)]:
            command, out = ways[way]
            out.unlink(missing_ok=True)
            one = measure(command)
            if turn:  # the first round brings the files into the page cache
                row.runs.setdefault(way, []).append(one)
            row.sizes[way] = out.stat().st_size
    for way, (command, out) in ways.items() if memory else ():
        out.unlink(missing_ok=True)
        row.memory[way] = measure(command, memory=True).memory
    for _, out in ways.values():
        out.unlink(missing_ok=True)
    return row


def line(name: str, work: Work, row: Row) -> list[str]:
    """Return the cells of a row."""
    usual = f"{row.wall(USUAL):.2f}" if USUAL in row.runs else ""
    held = (row.memory.get(way, 0) for way in (OURS, THEIRS))
    return [
        name,
        f"{row.wall(OURS):.2f}",
        f"{row.wall(THEIRS):.2f}",
        usual,
        f"{row.wall(OURS) / row.wall(THEIRS):.2f}",
        f"{work.at_most:g}",
        f"{row.cpu(OURS):.2f}, {row.cpu(THEIRS):.2f}",
        ", ".join(f"{row.sizes[way] / 1e6:.1f}" for way in (OURS, THEIRS)),
        ", ".join(f"{size / 1e6:.0f}" if size else "" for size in held),
    ]


def main() -> None:
    """Measure all rows, and write the table."""
    parser = argparse.ArgumentParser(description="Compare formats with libvips.")
    parser.add_argument("--size", type=int, default=10_000, help="rows and columns")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", action="append", metavar="TEXT", help="rows whose name has this")
    parser.add_argument("--memory", action="store_true", help="sample the memory in a further run")
    chosen = parser.parse_args()
    code = reporting.fingerprint()
    found = {}
    with tempfile.TemporaryDirectory(dir=make_big.DATA, prefix="bench-") as name:
        folder = Path(name)
        inputs(chosen.size, folder)
        for label, work in WORKS.items():
            if chosen.only and not any(text.lower() in label.lower() for text in chosen.only):
                continue
            found[label] = compare(work, folder, chosen.rounds, memory=chosen.memory)
            print(" | ".join(line(label, work, found[label])), flush=True)
    rows = [line(label, WORKS[label], row) for label, row in found.items()]
    heads = [
        "work", "imgpipe s", "libvips s", "as it comes s", "ratio", "wanted", "CPU s",
        "file MB", "memory MB",
    ]  # fmt: skip
    megapixels = chosen.size**2 / 1e6
    reporting.write(
        "formats",
        f"Gaussian blur, sigma {SIGMA:g}, {megapixels:,.0f} megapixels, between formats",
        [
            f"{chosen.rounds} rounds, medians. {reporting.same_code(code)}",
            "Pairs are imgpipe and libvips with 13 taps.",
            reporting.table(heads, rows),
        ],
        {"rows": rows},
    )


if __name__ == "__main__":
    main()
