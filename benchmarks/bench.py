"""Compare whole commands: `make bench`.

Every tool blurs the same large PNG file into another, as a command from the shell. Rounds go
through all tools, each time in another order, and ratios are taken within a round, so that what
else the machine is doing hits all alike. Memory is sampled in a round of its own, because that
slows things down. Nothing here passes or fails: the report says what was measured.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import make_big
import reporting
from accuracy import Reference, decoded
from measure import Measurement, measure

BIN = Path(sys.executable).parent
PEERS = Path(__file__).parent / "peers"
PROCESSORS = len(os.sched_getaffinity(0))
PARALLEL, SERIAL = f"imgpipe -j {PROCESSORS}", "imgpipe -j 1"
VIPS, VIPS_FASTEST = "pyvips, default", "pyvips, fastest"
OPENCV, PILLOW = "OpenCV", "Pillow"

Command = Callable[[Path, Path, float], list[str]]


def imgpipe_command(jobs: int) -> Command:
    """Return how imgpipe is called."""

    def command(source: Path, output: Path, sigma: float) -> list[str]:
        options = ["-o", str(output), "--sigma", f"{sigma:g}", "-j", str(jobs), "--quiet"]
        return [str(BIN / "imgpipe"), "blur", str(source), *options]

    return command


def peer_command(script: str) -> Command:
    """Return how one of the scripts in peers/ is called."""

    def command(source: Path, output: Path, sigma: float) -> list[str]:
        return [sys.executable, str(PEERS / script), str(source), str(output), f"{sigma:g}"]

    return command


TOOLS: dict[str, Command] = {
    PARALLEL: imgpipe_command(PROCESSORS),
    SERIAL: imgpipe_command(1),
    VIPS: peer_command("pyvips_default.py"),
    VIPS_FASTEST: peer_command("pyvips_fastest.py"),
    OPENCV: peer_command("opencv_blur.py"),
    PILLOW: peer_command("pillow_blur.py"),
}
NEEDS = {VIPS: "pyvips", VIPS_FASTEST: "pyvips", OPENCV: "cv2", PILLOW: "PIL"}


@dataclass
class Result:
    """Measurements of one tool."""

    rounds: list[Measurement]
    size: int = 0
    memory: int = 0
    processes: int = 0
    max_error: float = 0.0
    mean_error: float = 0.0

    def middle(self, field: str) -> float:
        """Return the median of a field over the rounds."""
        return float(median(getattr(one, field) for one in self.rounds))

    @property
    def busy(self) -> float:
        """Return the part of all processors that was used."""
        return median(one.cpu / one.wall for one in self.rounds) / PROCESSORS

    def as_dict(self) -> dict[str, Any]:
        """Return everything, for JSON."""
        return {**vars(self), "rounds": [one.as_dict() for one in self.rounds]}


def main() -> None:
    """Measure, compare, report."""
    chosen = arguments()
    code = reporting.fingerprint()
    tools = wanted(chosen.only)
    source = make_big.make(chosen.size)
    with tempfile.TemporaryDirectory(dir=make_big.DATA, prefix="bench-") as folder:
        results = compare(tools, source, Path(folder), chosen.sigma, chosen.rounds)
        extras = small_commands(Path(folder), max(5, chosen.rounds)) if not chosen.only else {}
        if chosen.full:
            extras["400 MP memory"] = [memory_at(20_000, Path(folder), chosen.sigma)]
    values = summary(results, extras)
    megapixels = chosen.size**2 / 1e6
    reporting.write(
        "bench",
        f"Gaussian blur, sigma {chosen.sigma:g}, {megapixels:,.0f} megapixels, PNG to PNG",
        [
            f"{chosen.rounds} rounds. {reporting.same_code(code)}",
            result_table(results),
            target_table(values),
        ],
        {
            "tools": {name: result.as_dict() for name, result in results.items()},
            "extras": extras,
            "targets": values,
        },
    )


def arguments() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(description="Compare whole commands on a large PNG file.")
    parser.add_argument("--size", type=int, help="rows and columns; 10000 by default")
    parser.add_argument("--rounds", type=int, help="5 by default")
    parser.add_argument("--sigma", type=float, default=2.0)
    parser.add_argument("--only", action="append", metavar="NAME", help="tools whose name has this")
    parser.add_argument("--quick", action="store_true", help="2000 x 2000, 2 rounds")
    parser.add_argument("--full", action="store_true", help="memory at 400 megapixels as well")
    chosen = parser.parse_args()
    chosen.size = chosen.size or (2000 if chosen.quick else 10_000)
    chosen.rounds = chosen.rounds or (2 if chosen.quick else 5)
    return chosen


def wanted(only: list[str] | None) -> dict[str, Command]:
    """Return the tools that were asked for and are installed."""
    found = {}
    for name, command in TOOLS.items():
        if only and not any(part.lower() in name.lower() for part in only):
            continue
        if name in NEEDS and importlib.util.find_spec(NEEDS[name]) is None:
            print(f"without {name}: {NEEDS[name]} is not installed; pip install 'imgpipe[bench]'")
            continue
        found[name] = command
    return found


def compare(
    tools: dict[str, Command], source: Path, folder: Path, sigma: float, rounds: int
) -> dict[str, Result]:
    """Run all tools in turn, round by round, and once more for memory, size and errors."""
    picture = decoded(source)  # also brings the file into the page cache
    reference = Reference(picture, sigma)
    del picture
    output = folder / "out.png"
    results = {name: Result([]) for name in tools}
    names = list(tools)
    for turn in range(rounds):
        for at in range(len(names)):
            name = names[(at + turn) % len(names)]
            output.unlink(missing_ok=True)
            one = measure(tools[name](source, output, sigma))
            results[name].rounds.append(one)
            print(f"round {turn + 1}  {name:18} {one.wall:6.2f} s  CPU {one.cpu:6.2f} s  "
                  f"others kept {one.others:.1f} processors busy", flush=True)  # fmt: skip
    for name, result in results.items():
        output.unlink(missing_ok=True)
        one = measure(tools[name](source, output, sigma), memory=True)
        result.size, result.memory, result.processes = (
            output.stat().st_size, one.memory, one.processes
        )  # fmt: skip
        result.max_error, result.mean_error = reference.errors(
            output, borders=name.startswith("imgpipe")
        )
    return results


def small_commands(folder: Path, rounds: int) -> dict[str, list[float]]:
    """Return seconds of commands that are over in no time, each beside a bare import."""
    picture = make_big.photograph("astronaut.png")
    make_big.save(picture, folder / "small.png")
    commands = {
        "512x512": TOOLS[PARALLEL](folder / "small.png", folder / "small-out.png", 2.0),
        "512x512, bare": [sys.executable, "-c", "import numpy, PIL.Image"],
        "help": [str(BIN / "imgpipe"), "--help"],
        "help, bare": [sys.executable, "-c", "import click"],
    }
    for command in commands.values():  # once unmeasured: caches of bytecode and files
        measure(command)
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            seconds[name].append(measure(command).wall)
    return seconds


def memory_at(size: int, folder: Path, sigma: float) -> float:
    """Return the peak memory of imgpipe on a larger picture, in bytes."""
    source = make_big.make(size)
    return measure(TOOLS[PARALLEL](source, folder / "large.png", sigma), memory=True).memory


# --------------------------------------------------------------------------------- reporting


@dataclass(frozen=True)
class Target:
    """Aim of imgpipe: a number that is the most, or the least."""

    name: str
    limit: float
    aim: float | None = None
    unit: str = ""
    least: bool = False

    def verdict(self, value: float) -> str:
        """Return how a measurement compares."""
        if not self._reaches(value, self.limit):
            return "missed"
        if self.aim is not None and not self._reaches(value, self.aim):
            return "met, short of the aim"
        return "met"

    def __str__(self) -> str:
        aim = "" if self.aim is None else f" (aim {self.aim:g})"
        return f"{'>=' if self.least else '<='} {self.limit:g}{self.unit}{aim}"

    def _reaches(self, value: float, limit: float) -> bool:
        return value >= limit if self.least else value <= limit


NOTE = (
    "Times are medians; ratios are medians of the ratios within a round. Memory is the highest "
    "sum of proportional set sizes over all processes. Errors are in levels against the Gaussian "
    "in double precision with a radius of 4 sigma, in windows of the picture; near its borders "
    "only for imgpipe. libvips cuts its Gaussian off where it falls below a fifth of its peak "
    "(min_ampl), which accounts for most of its error. The last column tells how many processors "
    "others kept busy meanwhile: above 0.1, wall times say little."
)

TARGETS = {
    "wall vips": Target("wall / pyvips default", 0.45, 0.4),
    "wall vips fastest": Target("wall / pyvips fastest", 1.2, 1.0),
    "file vips fastest": Target("file / pyvips fastest", 1.0),
    "file pillow": Target("file / Pillow default", 1.10, 1.05),
    "memory": Target("peak memory at this size", 250, unit=" MB"),
    "memory 400": Target("peak memory at 400 MP", 250, unit=" MB"),
    "cpu": Target(f"CPU of -j {PROCESSORS} / serial", 1.15),
    "busy": Target(f"processors busy at -j {PROCESSORS}", 0.85, least=True),
    "512x512": Target("512 x 512 / import numpy, PIL.Image", 2.0),
    "help": Target("--help / import click", 1.5),
}


def summary(results: dict[str, Result], extras: dict[str, list[float]]) -> dict[str, float]:
    """Return the value for each target that was measured; ratios are taken pair by pair."""
    values: dict[str, float] = {}
    ours = results.get(PARALLEL)

    def ratio(key: str, other: str, field: str) -> None:
        if ours and other in results:
            pairs = zip(ours.rounds, results[other].rounds, strict=True)
            values[key] = median(getattr(a, field) / getattr(b, field) for a, b in pairs)

    ratio("wall vips", VIPS, "wall")
    ratio("wall vips fastest", VIPS_FASTEST, "wall")
    ratio("cpu", SERIAL, "cpu")
    if ours:
        for key, other in (("file vips fastest", VIPS_FASTEST), ("file pillow", PILLOW)):
            if other in results:
                values[key] = ours.size / results[other].size
        values["memory"] = ours.memory / 1e6
        values["busy"] = ours.busy
    if "400 MP memory" in extras:
        values["memory 400"] = extras["400 MP memory"][0] / 1e6
    for key in ("512x512", "help"):
        if key in extras:
            pairs_of = zip(extras[key], extras[f"{key}, bare"], strict=True)
            values[key] = median(mine / bare for mine, bare in pairs_of)
    return values


def result_table(results: dict[str, Result]) -> str:
    """Return one line for each tool."""
    heads = ["tool", "wall s", "of imgpipe", "CPU s", "busy", "memory MB", "file MB",
             "max error", "mean error", "others busy"]  # fmt: skip
    ours = results.get(PARALLEL)
    rows = []
    for name, one in results.items():
        pairs = zip(one.rounds, ours.rounds if ours else one.rounds, strict=True)
        rows.append([
            name,
            f"{one.middle('wall'):.2f}",
            f"{median(other.wall / mine.wall for other, mine in pairs):.2f}",
            f"{one.middle('cpu'):.2f}",
            f"{one.busy:.2f}",
            f"{one.memory / 1e6:.0f}",
            f"{one.size / 1e6:.1f}",
            f"{one.max_error:.2f}",
            f"{one.mean_error:.3f}",
            f"{one.middle('others'):.2f}",
        ])  # fmt: skip
    return f"{reporting.table(heads, rows)}\n\n{NOTE}"


def target_table(values: dict[str, float]) -> str:
    """Return one line for each target that was measured."""
    rows = [
        [target.name, str(target), f"{values[key]:.3g}{target.unit}", target.verdict(values[key])]
        for key, target in TARGETS.items()
        if key in values
    ]
    return reporting.table(["of imgpipe", "target", "measured", "verdict"], rows)


if __name__ == "__main__":
    main()
