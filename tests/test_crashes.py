"""A crash of C code in the process of a command: one line, no output."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import imgpipe

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs fork")

ONE = ("-j", "1")
COMMAND = """
import os, signal, sys
import imgpipe.formats.png.reading as reading
from imgpipe.cli import main

number = getattr(signal, sys.argv.pop())

def crash(*_):
    os.kill(os.getpid(), number)

reading.PngRows.read_into = crash
sys.exit(main())
"""


def crashed(folder: Path, name: str, *more: str) -> subprocess.CompletedProcess[str]:
    """Return the end of a command; wait for every process that holds its standard error."""
    words = ["invert", str(folder / "in.png"), "-o", str(folder / "out.png"), *(more or ONE), name]
    command = [sys.executable, "-c", COMMAND, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    imgpipe.write(np.zeros((20, 30, 3), np.uint8), tmp_path / "in.png")
    (tmp_path / "out.png").write_bytes(b"old")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "says"), [("SIGSEGV", "segmentation fault"), ("SIGABRT", "aborted")]
)
def test_it_is_reported_in_one_line(name: str, says: str, folder: Path) -> None:
    done = crashed(folder, name)
    assert done.returncode == -getattr(signal, name)
    assert done.stderr.startswith(f"imgpipe: error: a library in C crashed this process ({says})")
    assert done.stderr.count("\n") == 1
    assert (folder / "out.png").read_bytes() == b"old"
    again = [sys.executable, "-m", "imgpipe", "invert", "in.png", "-o", "out.png", "-j", "1"]
    subprocess.run(again, cwd=folder, check=True)  # which sweeps the temporary file
    assert sorted(os.listdir(folder)) == ["in.png", "out.png"]


@pytest.mark.parametrize("more", [ONE, ("-j", "2", "--executor", "processes")])
def test_nobody_reports_a_kill(more: tuple[str, ...], folder: Path) -> None:
    """The small process ends too, and so do the workers, though they were given its pipe."""
    done = crashed(folder, "SIGKILL", *more)
    assert done.returncode == -signal.SIGKILL
    assert done.stderr == ""
