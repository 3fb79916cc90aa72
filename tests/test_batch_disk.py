"""Batches and disks: full ones, limits of the system, and the order of what is written."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imgpipe
from imgpipe.batches.faults import fault_in, unreadable
from imgpipe.batches.journal.journal import Journal
from imgpipe.batches.publishing import ledger
from imgpipe.batches.work import smallfiles
from imgpipe.batches.work.answers import Answer, Failed, File, failed
from imgpipe.batches.work.heldfiles import Syncing
from imgpipe.engine.callcontext import CallContext
from imgpipe.errors import OutputError
from tests.batches import left_behind, made, tree
from tests.conftest import noise
from tests.scripts import run_command

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="disks of Linux")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """An empty file system of 20 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=20m", "imgpipe", str(folder)]
    if not shutil.which("mount") or subprocess.run(command, check=False).returncode:
        pytest.skip("a file system can be mounted by root only")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_stops_the_batch_at_once_and_a_resume_makes_the_rest(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = tmp_path / "in", small_disk / "out"
    source.mkdir()
    for number in range(90):
        np.save(source / f"{number}.npy", np.full((500, 1000, 1), number, "uint8"))
    calls: dict[Syncing, list[Answer]] = {}  # by an object that each call has for itself
    attempt = smallfiles._Maker.make

    def make(maker: Any, file: File, call: CallContext, syncing: Syncing) -> Answer:
        answer = attempt(maker, file, call, syncing)
        calls.setdefault(syncing, []).append(answer)
        return answer

    monkeypatch.setattr(smallfiles._Maker, "make", make)
    batch = made(source, "invert", out, executor="threads", workers=2)
    assert (batch.report.stopped_by, batch.exit) == ("no_space", 1)
    assert str(out) in batch.report.stopped_because
    assert batch.report.failed == 0
    assert batch.report.done + batch.report.left == 90
    for answers in calls.values():
        assert not any(isinstance(answer, Failed) for answer in answers[:-1])
    in_vain = [answers for answers in calls.values() if isinstance(answers[-1], Failed)]
    assert len(in_vain) <= 4  # all calls that may be under way: two for each worker
    kept = tree(out)
    assert len(kept) == batch.report.done > 20
    assert not left_behind(out)
    subprocess.run(["mount", "-o", "remount,size=80m", str(small_disk)], check=True)
    again = made(source, "invert", out, resume=True)
    assert again.exit == 0
    assert again.report.done >= batch.report.left
    assert made(source, "invert", tmp_path / "whole").report.done == 90
    assert tree(out) == tree(tmp_path / "whole") == tree(out) | kept


def test_on_a_full_disk_every_output_gets_its_line(small_disk: Path, tmp_path: Path) -> None:
    source, out = tmp_path / "in", small_disk / "out"
    source.mkdir()
    for number in range(150):
        np.save(source / f"{number}.npy", np.full((20, 100, 1), number, "uint8"))
    filler = small_disk / "filler"
    filler.write_bytes(bytes(os.statvfs(small_disk).f_bavail * 4096 - 700_000))
    batch = made(source, "invert", out)
    assert batch.report.stopped_by == "no_space"
    kept = set(tree(out))
    assert len(kept) == batch.report.done > 20
    filler.unlink()
    again = made(source, "invert", out, resume=True)
    assert (again.report.skipped, again.report.done) == (len(kept), 150 - len(kept))


@pytest.mark.parametrize("stage", ["open", "read", "filter", "encode", "write"])
def test_an_output_that_finds_no_space_is_a_full_disk_at_any_stage(stage: str) -> None:
    """Space is reserved when the output is opened."""
    error = OutputError("x.png: cannot write")
    error.__cause__ = OSError(errno.ENOSPC, "full")
    answer = failed("a.png", stage, error, 0)
    assert fault_in(answer.stage, answer.number) == "no_space"


def test_errors_that_lead_to_each_other_are_no_full_disk() -> None:
    error, other = OutputError("x.png: cannot write"), ValueError("no disk")
    error.__cause__, other.__context__ = other, error
    assert failed("a.png", "write", error, 0).number == 0


def test_an_output_above_the_limit_of_the_system_fails_alone(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number, rows in enumerate([20, 900, 30, 40]):
        np.save(tmp_path / "in" / f"{number}.npy", np.zeros((rows, 1000, 1), "uint8"))
    command = [sys.executable, "-m", "imgpipe", "invert", "in", "-o", "out", "-j", "1"]
    done = run_command(command, tmp_path, before="ulimit -f 500", code=3)
    assert "3 done, 1 failed" in done.stderr
    assert "1.npy" in done.stderr
    assert sorted(tree(tmp_path / "out")) == ["0.npy", "2.npy", "3.npy"]
    assert not left_behind(tmp_path / "out")


def test_new_folders_are_on_the_disk_before_their_outputs_are_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in/a/b").mkdir(parents=True)
    imgpipe.write(noise((4, 5, 3), "uint8"), tmp_path / "in/a/b/x.png")
    steps: list[str] = []
    fsync, finished = os.fsync, Journal.finished

    def synced(fd: int) -> None:
        fsync(fd)
        steps.append(os.path.relpath(os.readlink(f"/proc/self/fd/{fd}"), tmp_path))

    def recorded(journal: Journal, records: Any) -> None:
        steps.append("done")
        finished(journal, records)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Journal, "finished", recorded)
    made(tmp_path / "in", "invert", tmp_path / "out")
    assert {".", "out", "out/a", "out/a/b"} <= set(steps[: steps.index("done")])


def test_outputs_are_on_the_disk_before_they_appear_and_recorded_afterwards_in_groups(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    for number in range(20):
        imgpipe.write(noise((4, 5, 3), "uint8", seed=number), tmp_path / "in" / f"{number}.png")
    steps: list[tuple[str, str]] = []  # and the file; several threads append
    fsync, replace, rename, write = os.fsync, os.replace, os.rename, os.write

    def synced(fd: int) -> None:
        fsync(fd)
        steps.append(("sync", os.readlink(f"/proc/self/fd/{fd}")))

    def placed(call: Any) -> Any:
        def place(old: Any, new: Any, **given: Any) -> None:
            steps.append(("place", os.path.realpath(old)))
            call(old, new, **given)

        return place

    def written(fd: int, data: Any) -> int:
        if os.readlink(f"/proc/self/fd/{fd}").endswith("journal.jsonl"):
            kind = "done" if b'"done"' in bytes(data) else "begin"
            steps.append((kind, os.readlink(f"/proc/self/fd/{fd}")))
        return write(fd, data)

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "_GROUP", 8)
        patch.setattr(ledger, "_SECONDS", 1e9)
        patch.setattr(os, "fsync", synced)
        patch.setattr(os, "replace", placed(replace))
        patch.setattr(os, "rename", placed(rename))
        patch.setattr(os, "write", written)
        assert made(tmp_path / "in", "invert", tmp_path / "out").report.done == 20
    kinds = [kind for kind, _ in steps]
    places = [number for number, kind in enumerate(kinds) if kind == "place"]
    assert len(places) == 20
    synced_files = [file for kind, file in steps[: places[0]] if kind == "sync"]
    assert synced_files[-1].endswith("journal.jsonl"), "it appeared before it was begun"
    for number in places:
        assert ("sync", steps[number][1]) in steps[:number], "it appeared before its data"
    groups = "".join(kind[0] for kind in kinds if kind in ("place", "done"))
    assert re.fullmatch("(p{8,}d)+(p+d)?", groups), groups


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.EACCES, "in/a: may not be read; check its permissions"),
        (errno.EIO, "in/a: cannot be read: input/output error; check the path and the disk"),
    ],
)
def test_a_source_that_cannot_be_read_is_named_with_the_remedy(number: int, says: str) -> None:
    assert str(unreadable("in/a", OSError(number, os.strerror(number)))) == says
