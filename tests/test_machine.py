"""Processors and memory are those that this process may use."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from imgpipe import machine


def test_processors_are_counted_by_affinity_and_quota(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 2, 5, 7}, raising=False)
    monkeypatch.setattr(machine, "_own_cgroup", lambda: tmp_path)
    monkeypatch.setattr(machine, "_CGROUP", tmp_path)
    assert machine.usable_processors() == 4
    for limit, expected in (("max 100000", 4), ("250000 100000", 3), ("10000 100000", 1)):
        (tmp_path / "cpu.max").write_text(limit + "\n")
        assert machine.usable_processors() == expected


def test_memory_is_bounded_by_the_control_group(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(machine, "_own_cgroup", lambda: tmp_path)
    (tmp_path / "memory.max").write_text("9000000\n")
    (tmp_path / "memory.current").write_text("2000000\n")
    assert machine.available_memory() == 7_000_000


@pytest.mark.skipif(sys.platform != "linux", reason="told in /proc")
def test_the_memory_of_a_process_is_reported() -> None:
    assert machine.tree_memory({os.getpid()}) > 10_000_000
    assert machine.tree_memory({1 << 30}) == 0


def test_processes_ended_for_want_of_memory_are_counted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(machine, "_own_cgroup", lambda: tmp_path)
    before = machine.memory_kills()
    (tmp_path / "memory.events").write_text("low 0\noom 3\noom_kill 2\n")
    assert machine.memory_kills() == (before or 0) + 2


@pytest.mark.skipif(sys.platform != "linux", reason="told by /proc")
def test_folders_in_memory_are_known() -> None:
    lines = Path("/proc/mounts").read_text().splitlines()
    found = {line.split()[1]: line.split()[2] for line in lines}
    for folder in filter(os.path.isdir, found):
        mounted_over = [one for one in found if one != folder and os.path.samefile(one, folder)]
        if found[folder] in ("tmpfs", "ext4", "xfs", "overlay") and not mounted_over:
            assert machine.lies_in_memory(folder) == (found[folder] == "tmpfs")
    assert not machine.lies_in_memory("/no such folder")


@pytest.mark.skipif(sys.platform != "linux", reason="counted in /proc")
def test_open_files_are_allowed_as_far_as_the_hard_limit() -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    there = len(os.listdir("/proc/self/fd"))
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (there + 100, before[1]))
        for more, allowed in ((50, there + 100), (300, there + 300), (before[1], before[1])):
            machine.allow_open_files(more)
            assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == allowed
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
