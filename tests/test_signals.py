"""Signals that the parent left ignored or blocked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import imgpipe
from imgpipe.filters import blur
from tests.conftest import noise
from tests.leftovers import session_ends
from tests.scripts import run_command, run_script

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

PIXELS = np.tile(noise((40, 1000, 1), "uint8"), (60, 1, 1))  # enough for workers

OWN = """
import imgpipe, os, signal, subprocess, sys, time
@imgpipe.filter(halo=0)
def own(chunk):
    assert subprocess.run(["false"]).returncode in EXPECTED
    return chunk
@imgpipe.filter(halo=0)
def crash(chunk):
    os.kill(os.getpid(), signal.SIGSEGV)
@imgpipe.filter(halo=0)
def hang(chunk):
    os.write(1, b"hangs\\n")  # one call: two threads may do it at once
    time.sleep(1000)
"""


@pytest.fixture(autouse=True)
def picture(tmp_path: Path) -> None:
    imgpipe.write(PIXELS, tmp_path / "in.png")
    (tmp_path / "own.py").write_text(OWN.replace("EXPECTED", "(1,)"))


@pytest.mark.parametrize("ignored", ["CHLD", "HUP TERM INT CHLD PIPE"])
@pytest.mark.parametrize("what", [["blur"], ["run", "own.py:own"]])
def test_a_command_whose_parent_ignores_signals(
    ignored: str, what: list[str], tmp_path: Path
) -> None:
    """A function of the user's gets the exit codes of its own child processes."""
    command = [sys.executable, "-m", "imgpipe", *what, "in.png", "-o", "out.png", "-j", "2", "-q"]
    done = run_command(command, tmp_path, before=f"trap '' {ignored}")
    assert done.stderr == ""
    expected = blur()(PIXELS) if what == ["blur"] else PIXELS
    np.testing.assert_array_equal(imgpipe.read(tmp_path / "out.png"), expected)


HOW = {
    "ignored": "signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
    "collected": "signal.signal(signal.SIGCHLD, lambda *_: [None for _ in iter(reaped, False)])",
    "blocked": "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, signal.SIGTERM})",
}


@pytest.mark.parametrize("how", HOW)
def test_a_script_that_has_its_own_way_with_child_processes(how: str, tmp_path: Path) -> None:
    """Workers that die are replaced all the same, and the end is waited for."""
    text = f"""
{OWN.replace("EXPECTED", "(0, 1)")}
def reaped():
    try:
        return os.waitpid(-1, os.WNOHANG) != (0, 0)
    except ChildProcessError:
        return False
{HOW[how]}
imgpipe.run("in.png", imgpipe.filters.blur(), "out.png", workers=2, executor="processes")
try:
    imgpipe.run("in.png", crash(), "crash.png", workers=2)
except imgpipe.errors.WorkerError as error:
    print(error)
imgpipe.run("in.png", own(), "own.png", workers=2)
"""
    assert "ended 3 workers in a row" in run_script(text, tmp_path).stdout
    np.testing.assert_array_equal(imgpipe.read(tmp_path / "out.png"), blur()(PIXELS))
    np.testing.assert_array_equal(imgpipe.read(tmp_path / "own.png"), PIXELS)
    assert not (tmp_path / "crash.png").exists()


def test_a_command_that_was_begun_with_sigterm_blocked_can_be_terminated(tmp_path: Path) -> None:
    block = "import os, signal, sys; signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM}); "
    command = [sys.executable, "-m", "imgpipe", "run", "own.py:hang", "in.png", "-o", "out.png"]
    process = subprocess.Popen(
        [sys.executable, "-c", block + "os.execv(sys.argv[1], sys.argv[1:])", *command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"hangs\n"
    process.send_signal(signal.SIGTERM)
    assert b"terminated; nothing was written" in process.communicate(timeout=60)[1]
    assert process.returncode == 128 + signal.SIGTERM
    assert session_ends(process.pid)
    assert not (tmp_path / "out.png").exists()


def test_a_command_ends_although_a_thread_of_it_never_does(tmp_path: Path) -> None:
    """A library that never returns holds its thread, for which everything else waits."""
    code = (
        "import imgpipe.cli.signals as signals, imgpipe.cli\n"
        "signals._PATIENCE, signals._LONGEST = 0.1, 0.3\n"
        "imgpipe.cli.main()\n"
    )
    options = ["--executor", "threads", "-j", "2", "-q"]
    command = ["run", "own.py:hang", "in.png", "-o", "out.png", *options]
    with subprocess.Popen(
        [sys.executable, "-c", code, *command],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stderr is not None
        hangs = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert (hangs, process.wait(60)) == ("hangs\n", 130)
        assert "interrupted; ended while a worker went on" in process.stderr.read()
    assert not (tmp_path / "out.png").exists()
