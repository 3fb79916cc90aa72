"""Start and end of a command: what is the same for every image, however small.

    python benchmarks/bench_start.py [--rounds 15]

The command turns an image of 2 megapixels upside down, from `.npy` to `.npy`, which takes next to
nothing. The rows above it are the parts of Python that no command can do without.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
import reporting
from measure import Measurement, measure

SIDE = 1500  # pixels; smaller images are done by one process


def commands(folder: Path) -> dict[str, list[str]]:
    """Return the commands that are measured, by name."""
    np.save(folder / "in.npy", np.zeros((SIDE, SIDE, 3), np.uint8))
    flip = ["-m", "imgpipe", "flip", str(folder / "in.npy"), "-o", str(folder / "out.npy"), "-q"]
    once = "import os; os.environ['OPENBLAS_NUM_THREADS'] = '1'; import "
    return {
        "Python": ["-c", ""],
        "Python with NumPy": ["-c", once + "numpy"],
        "Python with NumPy and click": ["-c", once + "numpy, click"],
        "`imgpipe --help`": ["-m", "imgpipe", "--help"],
        "`imgpipe flip`, one worker": [*flip, "-j", "1"],
        "`imgpipe flip`, two workers": [*flip, "-j", "2"],
    }


def main() -> None:
    """Measure all commands in turns, and write the table."""
    parser = argparse.ArgumentParser(description="Measure what every command takes.")
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    code = reporting.fingerprint()
    with tempfile.TemporaryDirectory() as folder:
        every = commands(Path(folder))
        found: dict[str, list[Measurement]] = {name: [] for name in every}
        for _ in range(args.rounds):
            for name, command in every.items():
                found[name].append(measure([sys.executable, *command]))
    rows = [
        [name, *(f"{1000 * median(each):.0f}" for each in zip(*map(_times, runs), strict=True))]
        for name, runs in found.items()
    ]
    table = reporting.table(["command", "ms", "CPU ms"], rows)
    notes = f"Medians of {args.rounds} rounds. {reporting.same_code(code)}"
    reporting.write("start", "Start and end of a command", [notes, table], {"rows": rows})


def _times(one: Measurement) -> tuple[float, float]:
    return one.wall, one.cpu


if __name__ == "__main__":
    main()
