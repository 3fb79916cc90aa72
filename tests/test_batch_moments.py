"""Batches that end at random moments: resumed, they are what an uninterrupted one is."""

from __future__ import annotations

import hashlib
import json
import os
import random
import sys
from pathlib import Path

import pytest

import imgpipe
from tests.batches import left_behind, made, tree
from tests.conftest import noise
from tests.scripts import run_script

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts calls of the system")

MOMENTS = int(os.environ.get("IMGPIPE_MOMENTS", "8"))
"""Number of batches that are ended."""

_CALLS = 220  # of the system, that such a batch makes

SCRIPT = """
import os, signal, sys

at, presses, how = map(int, sys.argv[1:4])
calls = 0


def counted(call):
    def counting(*args, **given):
        global calls, presses
        calls += 1
        if calls >= at and presses:
            presses -= 1
            os.kill(os.getpid(), how)
        return call(*args, **given)

    return counting


from imgpipe.cli import main

for name in ("write", "replace", "fsync", "close", "pread", "fstat", "getpid"):
    setattr(os, name, counted(getattr(os, name)))

sys.argv[1:] = sys.argv[4:]
code = 0
try:
    code = main()
except SystemExit as end:
    code = end.code
print(calls, file=sys.stderr, flush=True)
os._exit(code or 0)
"""
"""A command that gets a signal at its n-th call of the system, and others at the calls after."""


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty small pictures in three folders."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(40):
        path = folder / ["", "a", "a/b"][number % 3] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        imgpipe.write(noise((30, 40, 3), "uint8", seed=number), path)
    return folder


@pytest.fixture(scope="module")
def whole(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Digests of the outputs of an uninterrupted batch."""
    out = tmp_path_factory.mktemp("whole")
    assert made(photos, "blur:1", out).report.done == 40
    return digests(out)


def digests(folder: Path) -> dict[str, str]:
    """Return a digest of every file in a tree."""
    return {name: hashlib.sha256(data).hexdigest() for name, data in tree(folder).items()}


def command(photos: Path, jobs: int) -> list[str]:
    """Return the arguments of a batch."""
    return ["blur", str(photos), "-o", "out", "--sigma", "1", "-j", str(jobs), "--progress", "none"]


def ended_at(moment: int, presses: int, how: int, photos: Path, folder: Path, jobs: int) -> int:
    """End a batch at a moment; return its exit code."""
    done = run_script(
        SCRIPT, folder, moment, presses, how, *command(photos, jobs), code=None
    )  # fmt: skip
    return done.returncode


def check_resumed(photos: Path, folder: Path, whole: dict[str, str]) -> None:
    """Resume a batch that was ended, and check that nothing is lost and nothing is made twice."""
    out = folder / "out"
    there = set(digests(out)) if out.exists() else set()
    finished = recorded(out)
    assert finished <= there, "an output is recorded that is not there"
    again = made(photos, "blur:1", out, resume=True)
    assert again.report.skipped == len(finished)
    assert again.report.done == 40 - len(finished)
    assert not left_behind(out)
    assert digests(out) == whole


def recorded(out: Path) -> set[str]:
    """Return the outputs that the journal calls finished."""
    journal = out / ".imgpipe" / "journal.jsonl"
    lines = journal.read_text().splitlines() if journal.exists() else []
    records = [json.loads(line) for line in lines if line.endswith("}")]
    return {record["output"] for record in records if record["event"] == "done"}


@pytest.mark.parametrize("seed", range(MOMENTS))
def test_a_batch_that_is_killed_at_a_random_moment_goes_on(
    seed: int, photos: Path, whole: dict[str, str], tmp_path: Path
) -> None:
    drawn = random.Random(seed)
    jobs = 1 + seed % 2
    moment = drawn.randrange(1, _CALLS)
    code = ended_at(moment, 1, 9, photos, tmp_path, jobs)
    assert code in (-9, 0)  # if it was over before
    check_resumed(photos, tmp_path, whole)


@pytest.mark.parametrize("seed", range(-(-MOMENTS // 2)))
def test_a_batch_that_is_interrupted_at_a_random_moment_goes_on(
    seed: int, photos: Path, whole: dict[str, str], tmp_path: Path
) -> None:
    """By one press, or by two at once."""
    drawn = random.Random(1000 + seed)
    moment, presses = drawn.randrange(1, _CALLS), 1 + seed % 2
    code = ended_at(moment, presses, 2, photos, tmp_path, jobs=2)
    assert code in (130, 0)
    if presses == 1 and (tmp_path / "out").exists():
        assert not left_behind(tmp_path / "out")
    check_resumed(photos, tmp_path, whole)
