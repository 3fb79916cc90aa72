"""Scripts of their own, as people write them: run in a fresh process, which must leave nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.leftovers import session_ends

SECONDS = 100

at_the_end_of_python = pytest.mark.skipif(
    (3, 12) <= sys.version_info < (3, 12, 3),
    reason="Python 3.12.0 to 3.12.2 start no thread and no process at the end of a script",
)


def run_script(
    text: str, folder: Path, *args: object, before: str = "", code: int | None = 0
) -> subprocess.CompletedProcess[str]:
    """Run `text` as a script in `folder`, by a shell that does `before` first.

    Asserts the exit code, unless it is None, and that no process is left afterwards.
    """
    script = folder / "script.py"
    script.write_text(text)
    return run_command([sys.executable, script, *args], folder, before=before, code=code)


def run_command(
    command: list[object], folder: Path, *, before: str = "", after: str = "", code: int | None = 0
) -> subprocess.CompletedProcess[str]:
    """Run `command` by a shell that does `before` first and puts `after` behind it."""
    process = subprocess.Popen(
        ["bash", "-c", f'{before}\nexec "$@" {after}', "bash", *map(str, command)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
        process.wait()
    assert session_ends(process.pid), "a process is left"
    done = subprocess.CompletedProcess(command, process.returncode, out, err)
    if code is not None:
        assert done.returncode == code, done.stderr
    return done
