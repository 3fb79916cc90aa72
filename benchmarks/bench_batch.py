"""Batches: whole folders, against other tools and against themselves.

    python benchmarks/bench_batch.py [--only TEXT] [--rounds 3] [--jobs 2] [--keep]

Each row is a piece of work and its peer. Both run in turns, after a round that is not counted, and
ratios are taken within a round; the table has medians. imgpipe waits until each output is on the
disk, its peers do not. Memory is the sum of the proportional set sizes of all processes. The trees
are made in benchmarks/data; those of a gigabyte and more are removed at the end, except with
--keep.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import batch_trees
import make_photos
import reporting
from measure import Measurement, measure

HERE = Path(__file__).parent
PEERS, PROBE = HERE / "peers", HERE / "batch_probe.py"
SIZES, FORMATS = ("400", "800", "1600"), ("webp", "jpg")
RSYNC_EXTRA = 0.3  # seconds: Python and its imports
GIGABYTE = 10**9  # as --max-memory counts
WALK_BYTES = 100e6  # that 100,000 paths may take

Command = Callable[[Path], list[str]]
"""Returns a command that writes into a folder."""


class Outcome(NamedTuple):
    """The cells of a row that was measured."""

    ours: str
    peer: str
    ratio: float
    processor: float | None = None  # ratio of processor time
    others: float = 0.0  # processors that were busy with other work
    note: str = ""


class Row(NamedTuple):
    """A row of the table: the work, its peer, the ratio that is wanted, the way to measure it."""

    work: str
    against: str
    at_most: float | None
    measured: Callable[[Bench], Outcome | str]


class Bench:
    """Runs commands in turns.

    Parameters
    ----------
    rounds : int
        Rounds that count.
    jobs : int
        Worker processes of each tool.
    folder : Path
        Folder of the outputs.
    """

    def __init__(self, rounds: int, jobs: int, folder: Path) -> None:
        self.rounds, self.jobs, self.folder = rounds, jobs, folder

    def race(self, *commands: Command, keep: bool = False) -> list[list[Measurement]]:
        """Return the measurements of each command; the output folder is empty at each start."""
        found: list[list[Measurement]] = [[] for _ in commands]
        for turn in range(self.rounds + 1):
            order = list(range(len(commands)))
            for at in order[turn % len(order) :] + order[: turn % len(order)]:
                one = measure(commands[at](self.folder if keep else self.empty()))
                if turn:  # the first round brings the files into the page cache
                    found[at].append(one)
        return found

    def empty(self) -> Path:
        """Return the folder of outputs, without outputs."""
        shutil.rmtree(self.folder, ignore_errors=True)
        return self.folder

    def imgpipe(self, *words: str | Path) -> Command:
        """Return a command of imgpipe: the words, and the output folder."""

        def command(out: Path) -> list[str]:
            run = [sys.executable, "-m", "imgpipe", *map(str, words), "-o", str(out)]
            return [*run, "-j", str(self.jobs), "--quiet"]

        return command

    def pool(self, script: str, work: str, source: Path, *options: str) -> Command:
        """Return the command of a peer: one of the scripts in peers/, in a pool of processes."""

        def command(out: Path) -> list[str]:
            words = [work, str(source), str(out), str(self.jobs), *options]
            return [sys.executable, str(PEERS / script), *words]

        return command

    def probe(self, *words: str | Path) -> tuple[dict[str, float], Measurement]:
        """Return the facts that a run of batch_probe.py prints."""
        with tempfile.TemporaryFile("w+") as file:
            one = measure([sys.executable, str(PROBE), *map(str, words)], stdout=file)
            file.seek(0)
            return json.load(file), one


def compared(ours: list[Measurement], peer: list[Measurement], note: str = "") -> Outcome:
    """Return the row of two commands that ran in turns."""

    def ratio(field: str) -> float:
        pairs = zip(ours, peer, strict=True)
        return median(getattr(mine, field) / getattr(other, field) for mine, other in pairs)

    return Outcome(
        f"{_wall(ours):.2f} s", f"{_wall(peer):.2f} s", ratio("wall"), ratio("cpu"),
        median(one.others for one in (*ours, *peer)), note,
    )  # fmt: skip


def _wall(runs: Sequence[Measurement]) -> float:
    return median(one.wall for one in runs)


# --- rows -----------------------------------------------------------------------------------


def blur_photos(script: str, *options: str) -> Callable[[Bench], Outcome]:
    """Return a row of the 48 photographs, blurred."""

    def measured(bench: Bench) -> Outcome:
        photos = make_photos.make()
        ours = bench.imgpipe("blur", photos, "--sigma", "2")
        return compared(*bench.race(ours, bench.pool(script, "blur", photos, *options)))

    return measured


def thumbnails(bench: Bench) -> Outcome:
    """Measure thumbnails, against the fastest of the others."""
    photos = make_photos.make()
    peers = {"Pillow": bench.pool("pillow_pool.py", "thumbnail", photos)}
    if tool := shutil.which("vipsthumbnail"):
        files = [str(path) for path in sorted(photos.iterdir())]

        def command(out: Path) -> list[str]:
            out.mkdir()
            name = f"{out}/%s.jpg[Q=90,keep=icc]"
            return [tool, "--size", "800x800>", "--path", name, *files]

        peers["vipsthumbnail"] = command
    else:
        peers["libvips in a pool"] = bench.pool("pyvips_pool.py", "thumbnail", photos)
    ours, *others = bench.race(bench.imgpipe("thumbnail", photos, "--size", "800"), *peers.values())
    named = dict(zip(peers, others, strict=True))
    fastest = min(named, key=lambda name: _wall(named[name]))
    each = ", ".join(f"{name} {_wall(runs):.2f} s" for name, runs in named.items())
    return compared(ours, named[fastest], each)


def several(bench: Bench) -> Outcome:
    """Measure six outputs from one decode, against six commands."""
    photos = make_photos.make()
    sizes, formats = ",".join(SIZES), ",".join(FORMATS)
    together = bench.imgpipe("thumbnail", photos, "--size", sizes, "--format", formats)

    def apart(out: Path) -> list[str]:
        out.mkdir()
        words = [
            bench.imgpipe("thumbnail", photos, "--size", size, "--format", each)
            for size in SIZES
            for each in FORMATS
        ]
        runs = [one(out / str(at)) for at, one in enumerate(words)]
        return ["sh", "-ec", "\n".join(map(shlex.join, runs))]

    return compared(*bench.race(together, apart), f"{sizes} as {formats}")


def webp(*options: str) -> Callable[[Bench], Outcome]:
    """Return a row of the photographs as WebP."""

    def measured(bench: Bench) -> Outcome:
        photos = make_photos.make()
        ours = bench.imgpipe("convert", photos, "--format", "webp", "--quality", "80")
        return compared(*bench.race(ours, bench.pool("pillow_pool.py", "webp", photos, *options)))

    return measured


def tiny(bench: Bench) -> Outcome:
    """Measure 2,000 tiny files."""
    tree = batch_trees.tiny()
    ours = bench.imgpipe("blur", tree, "--sigma", "2")
    return compared(*bench.race(ours, bench.pool("pillow_pool.py", "blur", tree)))


def giant(bench: Bench) -> Outcome:
    """Measure the time until small files are done, alone and beside a giant."""
    alone, among = batch_trees.crowd(), batch_trees.crowd_and_giant()
    pairs, whole = [], []
    for _ in range(bench.rounds):
        jobs = str(bench.jobs)
        first, _ = bench.probe("until-done", alone, bench.empty(), jobs, "")
        second, _ = bench.probe("until-done", among, bench.empty(), jobs, batch_trees.GIANT)
        pairs.append((second["small"], first["small"]))
        whole.append(second["all"])
    return Outcome(
        *_seconds(pairs), median(a / b for a, b in pairs),
        note=f"the giant is done after {median(whole):.2f} s",
    )  # fmt: skip


def _seconds(pairs: Sequence[tuple[float, float]]) -> tuple[str, str]:
    ours, peer = (median(each) for each in zip(*pairs, strict=True))
    return f"{ours:.2f} s", f"{peer:.2f} s"


def uneven(bench: Bench) -> Outcome:
    """Measure large and small files, against equal ones."""
    ways = (bench.imgpipe("blur", tree, "--sigma", "2")
            for tree in (batch_trees.uneven(), batch_trees.even()))  # fmt: skip
    return compared(*bench.race(*ways))


def budget(bench: Bench) -> Outcome:
    """Measure the memory for large files within a limit."""
    command = bench.imgpipe("blur", batch_trees.fifties(), "--max-memory", "1G")(bench.empty())
    command[command.index("-j") + 1] = "8"
    one = measure(command, memory=True)
    note = f"{one.processes} processes, {one.wall:.0f} s while memory was sampled"
    return Outcome(
        f"{one.memory / 1e6:.0f} MB", f"{GIGABYTE / 1e6:.0f} MB", one.memory / GIGABYTE,
        others=one.others, note=note,
    )  # fmt: skip


def resume(bench: Bench) -> Outcome | str:
    """Measure a resume and rsync, which find nothing to do."""
    if not shutil.which("rsync"):
        return "not run: rsync is not installed"
    tree = batch_trees.many()
    command = bench.imgpipe("blur", tree, "--sigma", "2")
    measure(command(bench.empty()))
    again = bench.imgpipe("blur", tree, "--sigma", "2", "--resume")

    def rsync(out: Path) -> list[str]:
        return ["rsync", "-an", f"{tree}/", f"{out}/"]

    ours, peer = bench.race(again, rsync, keep=True)
    plain = compared(ours, peer)
    ratio = median(a.wall / (b.wall + RSYNC_EXTRA) for a, b in zip(ours, peer, strict=True))
    return plain._replace(ratio=ratio, peer=f"{plain.peer} + {RSYNC_EXTRA} s", processor=None)


def walk(bench: Bench) -> Outcome:
    """Measure the walk, names and collisions, against find."""
    tree = batch_trees.paths()
    pairs, peak, due, others = [], [], set(), []
    for _ in range(bench.rounds + 1):
        facts, mine = bench.probe("plan", tree, bench.empty())
        find = measure(["find", str(tree), "-type", "f"])
        pairs.append((facts["seconds"], find.wall))
        peak.append(facts["peak"])
        due.add(facts["due"])
        others += [mine.others, find.others]
    pairs = pairs[1:]
    if due != {batch_trees.PATHS}:
        sys.exit(f"{due} files are due")
    held = f"{max(peak) / 1e6:.0f} MB in the process, "
    held += "within 100 MB" if max(peak) <= WALK_BYTES else "more than 100 MB"
    return Outcome(
        *_seconds(pairs), median(a / b for a, b in pairs), others=median(others),
        note=f"{held}; without the imports",
    )  # fmt: skip


def growth(bench: Bench) -> Outcome:
    """Measure the memory after many images, against that after few."""
    facts, one = bench.probe(
        "growth", batch_trees.mixed(), bench.empty(), str(bench.jobs), "200", str(batch_trees.MIXED)
    )
    few, many = facts["200"], facts[str(batch_trees.MIXED)]
    return Outcome(f"{many / 1e6:.0f} MB", f"{few / 1e6:.0f} MB", many / few, others=one.others)


ROWS = (
    Row("blur, JPEG to JPEG, 48 photographs", "libvips in a pool", 1.0,
        blur_photos("pyvips_pool.py")),
    Row("blur, JPEG to JPEG, 48 photographs", "libvips, 13 taps, in a pool", None,
        blur_photos("pyvips_pool.py", "0.011")),
    Row("blur, JPEG to JPEG, 48 photographs", "Pillow in a pool", 0.4,
        blur_photos("pillow_pool.py")),
    Row("thumbnails of 800 pixels, 48 photographs", "the fastest of the others", 1.0, thumbnails),
    Row("three sizes, two formats, one decode", "six commands", 0.5, several),
    Row("convert to WebP, quality 80", "Pillow in a pool", 1.0, webp()),
    Row("convert to WebP, quality 80", "Pillow, method 2, in a pool", None, webp("2")),
    Row("blur, 2,000 PNGs of 64 x 64", "Pillow in a pool", 1.3, tiny),
    Row("100 small PNGs beside one of 100 MP", "the small ones alone", 2.5, giant),
    Row("3 x 100 MP and 300 x 2 MP", "300 x 3 MP", 1.1, uneven),
    Row("40 x 50 MP, -j 8, memory", "--max-memory 1G", 1.0, budget),
    Row("resume with nothing to do, 20,000 files", "rsync -an", 3.0, resume),
    Row("walk, names, collisions: 100,000 paths", "find", 5.0, walk),
    Row("memory after 2,000 images", "after 200 images", 1.1, growth),
)  # fmt: skip


# --- the table ------------------------------------------------------------------------------

HEADS = (
    "work", "against", "imgpipe", "peer", "ratio", "at most", "verdict", "CPU ratio",
    "others busy", "note",
)  # fmt: skip


def cells(row: Row, outcome: Outcome | str) -> list[str]:
    """Return the cells of a row."""
    wanted = "" if row.at_most is None else f"{row.at_most:g}"
    if isinstance(outcome, str):
        return [row.work, row.against, "", "", "", wanted, outcome, "", "", ""]
    verdict = ""
    if row.at_most is not None:
        verdict = "met" if outcome.ratio <= row.at_most else "missed"
    processor = "" if outcome.processor is None else f"{outcome.processor:.2f}"
    return [
        row.work, row.against, outcome.ours, outcome.peer, f"{outcome.ratio:.2f}", wanted, verdict,
        processor, f"{outcome.others:.1f}", outcome.note,
    ]  # fmt: skip


def main() -> None:
    """Measure the rows, and write the table."""
    parser = argparse.ArgumentParser(description="Compare batches with other tools.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--only", action="append", metavar="TEXT", help="rows whose name has this")
    parser.add_argument("--keep", action="store_true", help="keep the trees of gigabytes")
    chosen = parser.parse_args()
    code, rows = reporting.fingerprint(), list[list[str]]()
    facts: list[dict[str, Any]] = []
    batch_trees.TREES.mkdir(parents=True, exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=batch_trees.TREES, prefix="out-") as name:
            bench = Bench(chosen.rounds, chosen.jobs, Path(name) / "out")
            for row in ROWS:
                named = f"{row.work} | {row.against}".lower()
                if chosen.only and not any(text.lower() in named for text in chosen.only):
                    continue
                outcome = row.measured(bench)
                rows.append(cells(row, outcome))
                print(" | ".join(rows[-1]), flush=True)
                facts.append({"work": row.work, "against": row.against, "outcome": outcome})
    finally:
        if not chosen.keep:
            batch_trees.remove_large()
    reporting.write(
        "batch",
        "Batches",
        [
            f"{chosen.rounds} rounds, {chosen.jobs} processes. {reporting.same_code(code)}",
            reporting.table(HEADS, rows),
        ],
        {"rows": facts},
    )


if __name__ == "__main__":
    main()
