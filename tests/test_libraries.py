"""Libraries of accelerators may fail in any way: images are made by NumPy then, with one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import imgpipe
from imgpipe.libraries import described, origin
from imgpipe.testing.pictures import noise

BROKEN = {
    "a missing library": 'raise ImportError("libGL.so.1: cannot open\\n\\nshared object file")',
    "a missing attribute": "__version__ = '4.9.0'",
    "its own exception": "class Panic(BaseException): pass\nraise Panic('panicked')",
    "an exit": "import sys; sys.exit(3)",
    "words": "import os, warnings; print('said'); os.write(1, b'said'); os.write(2, b'said')\n"
    "warnings.warn('said'); raise ImportError",
    "a crash": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
}


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "in.png"
    imgpipe.write(noise((300, 400, 3), "uint8"), path)
    return path


def eroded(picture: Path, source: str, *options: str) -> str:
    """Erode a picture by a command that finds this source as cv2; return its warnings."""
    folder = picture.parent
    (folder / "cv2.py").write_text(source)
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    line = "erode", str(picture), "-o", str(folder / "out.png"), "--overwrite", "-q"
    done = subprocess.run(
        [sys.executable, "-m", "imgpipe", *line, "--accelerator", "opencv", *options],
        env={**os.environ, "PYTHONPATH": path, "XDG_CACHE_HOME": str(folder / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stdout
    expected = imgpipe.apply(imgpipe.read(picture), "erode", accelerator="none")
    assert (imgpipe.read(folder / "out.png") == expected).all()
    return done.stderr


@pytest.mark.parametrize("fault", BROKEN)
def test_a_library_that_fails_in_the_fork_server_costs_one_line(fault: str, picture: Path) -> None:
    said = eroded(picture, BROKEN[fault], "--executor", "processes", "-j", "2")
    assert said.count("\n") <= 1
    assert "Traceback" not in said
    assert "said" not in said


@pytest.mark.parametrize("fault", ["its own exception", "an exit"])
def test_a_library_that_fails_in_the_command_costs_one_line(fault: str, picture: Path) -> None:
    said = eroded(picture, BROKEN[fault], "--executor", "serial")
    assert said.count("\n") <= 1
    assert "Traceback" not in said


def test_an_error_is_reported_in_one_line() -> None:
    assert described(ImportError("one\n\n  two\x1b")) == "ImportError: one two"
    assert described(ImportError()) == "ImportError"
    assert len(described(ValueError("x" * 5000))) < 300


def test_a_folder_is_no_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "some_pictures").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert not origin("some_pictures")
    (tmp_path / "some_module.py").write_text("")
    assert origin("some_module") == str(tmp_path / "some_module.py")
    assert not origin("a_module_that_does_not_exist")
