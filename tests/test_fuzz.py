"""Mutated files of every format: an image or an error in one line, in time and within memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import tests.fuzz
from imgpipe.registry import FORMATS
from tests.fuzz import Outcome, Reader, cases, put

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")

READ = list(FORMATS.built_in)
FILES = 2000 // len(READ)
COMMANDS = 5  # of each format
SALVAGED = 20

COMMAND = """
import os, sys
from pathlib import Path
from imgpipe.cli import execute

for path in sorted(Path(sys.argv[1]).iterdir()):
    os.write(2, f"--- {path.name}\\n".encode())
    out = f"{path}.out.npy"
    code = execute(["invert", str(path), "-o", out, "-j", "1", "--max-pixels", "1M"])
    os.write(2, f"=== {code} {os.path.exists(out)}\\n".encode())
"""


@pytest.fixture(scope="module")
def reader() -> Iterator[Reader]:
    with Reader() as one:
        yield one


@pytest.mark.parametrize("name", READ)
def test_a_mutated_file_is_an_image_or_an_error(name: str, reader: Reader) -> None:
    file, seen = f"a{FORMATS[name].suffixes[0]}", set()
    for at, data in enumerate(cases(name, 0, FILES)):
        outcome = reader.read(file, data)
        assert outcome.good, f"{name} {at}: {outcome}"
        seen.add(outcome.kind)
    assert seen == {"image", "error"}  # or the mutations are too weak, or too strong


@pytest.mark.parametrize("name", READ)
def test_a_mutated_file_gives_an_image_or_an_error(name: str, reader: Reader) -> None:
    file = f"a{FORMATS[name].suffixes[0]}"
    for at, data in enumerate(cases(name, 6, SALVAGED)):
        outcome = reader.read(file, data, salvaged=True)
        assert outcome.good, f"{name} {at}: {outcome}"


def test_commands_print_nothing_but_lines_of_their_own(tmp_path: Path) -> None:
    """Words of codecs on file descriptor 2 would stand among them."""
    for name in READ:
        for at, data in enumerate(cases(name, 5, COMMANDS)):
            put(tmp_path / f"{name}{at}{FORMATS[name].suffixes[0]}", data)
    given = [sys.executable, "-c", COMMAND, str(tmp_path)]
    done = subprocess.run(given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-300:]
    told = done.stderr.split("--- ")[1:]
    assert len(told) == COMMANDS * len(READ)
    for each in told:
        file, *lines, end = each.splitlines()
        path = tmp_path / file
        begins = (f"imgpipe: warning: {path}: ", f"imgpipe: warning: {path}.out.npy: ")
        assert all(line.startswith(begins) for line in lines[:-1]), each
        if end == "=== 0 True":
            continue
        assert end == "=== 1 False", each
        assert lines[-1].startswith((f"imgpipe: error: {path}: ", f"imgpipe: error: {path}/")), each


def crash(name: str, data: bytes) -> Outcome:
    if data == b"crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    while data == b"hang":
        time.sleep(0.01)
    return Outcome("image")


def test_a_decoder_that_crashes_or_hangs_fails_its_file_alone(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tests.fuzz, "read", crash)
    assert reader.read("a.png", b"crash").kind == "crash"
    assert reader.read("a.png", b"").kind == "image"
    assert reader.read("a.png", b"hang", seconds=0.1).kind == "hang"
    assert reader.read("a.png", b"").kind == "image"
