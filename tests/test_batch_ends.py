"""Ends of batches: no process, thread, shared memory or temporary file outlives one."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import imgpipe
from tests.batches import left_behind
from tests.leftovers import eventually, nothing_new_in_shared_memory, unused_segments, workers_here
from tests.scripts import run_command

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
    pytest.mark.alone,  # looks at all shared memory
]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder with four small images and a large one."""
    monkeypatch.chdir(tmp_path)
    os.mkdir("in")
    for number in range(4):
        np.save(f"in/{number}.npy", np.full((4 + number, 7, 1), number, "uint8"))
    np.save("in/large.npy", np.zeros((4100, 4000, 1), "uint8"))
    return tmp_path


@pytest.fixture
def temporary() -> Iterator[str]:
    """Make a folder for temporary files, with a path that is short enough for sockets."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield folder


@pytest.fixture(autouse=True)
def no_memory_is_left() -> Iterator[None]:
    before = unused_segments()
    yield
    assert nothing_new_in_shared_memory(before)


# --- commands -------------------------------------------------------------------------------

ENDS = """
import os, imgpipe

@imgpipe.filter(halo=0)
def ends(chunk):
    if chunk.shape[0] == 5:  # one of the small images
        {}
    return chunk
"""
MAIN = 'int(os.environ["MAIN"])'

WAYS = {
    "pass": 0,
    "raise ValueError": 3,
    "os.kill(os.getpid(), 9)": 3,
    f"os.kill({MAIN}, 2)": 130,
    f"while True: os.kill({MAIN}, 2)": 130,
    f"os.kill({MAIN}, 15)": 143,
    f"os.kill({MAIN}, 9)": -signal.SIGKILL,
}


@pytest.mark.parametrize("way", WAYS)
def test_nothing_outlives_a_command(way: str, here: Path, temporary: str) -> None:
    Path("ends.py").write_text(ENDS.format(way))
    command = [sys.executable, "-m", "imgpipe", "run", "ends.py:ends", "in", "-o", "out", "-j", "2"]
    command += ["--progress", "none"]
    run_command(command, here, before=f"export MAIN=$$ TMPDIR={temporary}", code=WAYS[way])
    assert eventually(lambda: os.listdir(temporary) == [])
    ended_at_once = "while" in way or WAYS[way] < 0
    assert ended_at_once or not left_behind("out")


# --- the library ----------------------------------------------------------------------------


def leave(batch: imgpipe.Batch) -> None:
    """Leave the loop after the first result."""
    for _ in batch:
        break


def fail(batch: imgpipe.Batch) -> None:
    """Raise in the loop."""
    with batch:
        for _ in batch:
            raise ValueError


def test_nothing_outlives_a_batch(
    here: Path, temporary: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", temporary)
    processes, threads = workers_here(), set(os.listdir("/proc/self/task"))
    files = 0
    for way in (list, leave, fail):
        out = f"out by {way.__name__}"
        with contextlib.suppress(ValueError):
            way(imgpipe.Batch("in", "invert", out, workers=2))
        assert workers_here() <= processes
        assert set(os.listdir("/proc/self/task")) == threads
        assert os.listdir(temporary) == []
        assert not left_behind(out)
        gc.collect()
        files = files or len(os.listdir("/proc/self/fd"))  # the tracker, which stays, has some
        assert len(os.listdir("/proc/self/fd")) == files
