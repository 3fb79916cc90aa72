"""A chain in one pass, against the same filters one after the other.

    python benchmarks/bench_chain.py [--side 10000] [--rounds 3]

Both ways are whole commands from PNG to PNG with two workers. One after the other, what lies
between is written as fast as it can be, at compression 1.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median

import make_big
import reporting
from measure import Measurement, measure

CHAIN = ("blur:sigma=1.5", "unsharp:radius=4", "grayscale")


def command(chain: str, source: Path, out: Path, compression: int | None = None) -> list[str]:
    """Return the command that runs `chain`."""
    words = [sys.executable, "-m", "imgpipe", "run", chain, str(source), "-o", str(out)]
    words += ["-j", "2", "--quiet"]
    return words if compression is None else [*words, "--compression", str(compression)]


def one_by_one(source: Path, folder: Path) -> list[list[str]]:
    """Return a command for each filter, every one of the output of the one before."""
    files = [source, *(folder / f"{turn}.png" for turn in range(len(CHAIN)))]
    levels = [1] * (len(CHAIN) - 1) + [None]
    return [
        command(chain, files[turn], files[turn + 1], levels[turn])
        for turn, chain in enumerate(CHAIN)
    ]


def row(name: str, runs: list[list[Measurement]], held: list[Measurement]) -> list[str]:
    """Return a row of the table: a list of runs is done one after the other, each round."""
    wall = median(sum(one.wall for one in turn) for turn in runs)
    cpu = median(sum(one.cpu for one in turn) for turn in runs)
    memory = max(one.memory for one in held)
    return [name, f"{wall:.2f}", f"{cpu:.2f}", f"{memory / 1e6:.0f}"]


def main() -> None:
    """Run everything and write the table."""
    parser = argparse.ArgumentParser(description="Compare a chain with its filters one by one.")
    parser.add_argument("--side", type=int, default=10_000, help="rows and columns")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    code = reporting.fingerprint()
    path = make_big.make(args.side)
    with tempfile.TemporaryDirectory() as folder:
        steps = one_by_one(path, Path(folder))
        ways = {
            "in one chain": [command(" | ".join(CHAIN), path, Path(folder) / "chain.png")],
            "one after the other": steps,
            **{f"`{chain}` alone": [step] for chain, step in zip(CHAIN, steps, strict=True)},
        }
        for step in steps:
            measure(step)
        runs: dict[str, list[list[Measurement]]] = {name: [] for name in ways}
        for turn in range(args.rounds):
            names = list(ways)
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                runs[name].append([measure(one) for one in ways[name]])
        held = {name: [measure(one, memory=True) for one in ways[name]] for name in ways}
    rows = [row(name, runs[name], held[name]) for name in ways]
    table = reporting.table(["", "wall s", "CPU s", "memory MB"], rows)
    title = f"`{' | '.join(CHAIN)}` over {args.side**2 / 1e6:,.0f} megapixels, from PNG to PNG"
    notes = f"{args.rounds} rounds, medians. {reporting.same_code(code)}"
    reporting.write("chain", title, [notes, table], {"rows": rows})


if __name__ == "__main__":
    main()
