"""Refusals by the system: no thread, process, memory or file; one line with the remedy."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import imgpipe
from imgpipe.errors import WorkerError
from imgpipe.refusals import refusal, refused
from tests.conftest import noise
from tests.scripts import run_command, run_script

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

REFUSING = """
import _posixsubprocess, errno, os, sys, threading
what, left = sys.argv.pop(1), [int(sys.argv.pop(1))]

def limited(real, error):
    def call(*args, **kwargs):
        if left[0] <= 0:
            raise error
        left[0] -= 1
        return real(*args, **kwargs)
    return call

if what == "thread":
    error = RuntimeError("can't start new thread")
    newer = hasattr(threading, "_start_joinable_thread")  # Python 3.13
    name = "_start_joinable_thread" if newer else "_start_new_thread"
    setattr(threading, name, limited(getattr(threading, name), error))
else:
    error = BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
    os.fork = limited(os.fork, error)
    _posixsubprocess.fork_exec = limited(_posixsubprocess.fork_exec, error)
from imgpipe.cli import main
sys.exit(main())
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("refusals")
    imgpipe.write(np.tile(noise((40, 1000, 1), "uint8"), (60, 1, 1)), made / "in.png")
    (made / "own.py").write_text(
        "import imgpipe\n@imgpipe.filter(halo=0)\ndef own(chunk):\n    return 255 - chunk\n"
    )
    return made


def is_told(error: str, what: str) -> bool:
    """Return whether `error` is one line that names the refusal, and no bug."""
    return error.startswith(f"imgpipe: error: {what}") and error.count("\n") == 1


def left_in(folder: Path) -> set[str]:
    ours = {"in.png", "own.py", "script.py", "__pycache__"}
    return {path.name for path in folder.iterdir()} - ours


@pytest.mark.parametrize("what", ["thread", "process"])
@pytest.mark.parametrize("given", [0, 1, 2])
@pytest.mark.parametrize("chain", [["blur"], ["run", "own.py:own"]])
def test_threads_and_processes(what: str, given: int, chain: list[str], folder: Path) -> None:
    """As many as `given` may be started, and no more."""
    args = [what, given, *chain, "in.png", "-o", "out.png", "-j", "3"]
    done = run_script(REFUSING, folder, *args, code=None)
    if done.returncode == 0:  # so many are enough
        (folder / "out.png").unlink()
    else:
        assert done.returncode == 1
        assert is_told(done.stderr, f"the system gave no {what}; ")
    assert left_in(folder) == set()


def test_one_worker_does_without(folder: Path) -> None:
    for what in ("thread", "process"):
        run_script(REFUSING, folder, what, 0, "blur", "in.png", "-o", "out.png", "-j", 1)
        (folder / "out.png").unlink()


@pytest.mark.parametrize(
    "limit", ["ulimit -n 8", "ulimit -n 12", "ulimit -n 18", "ulimit -v 40000", "ulimit -v 180000"]
)
def test_limits_of_the_shell(limit: str, folder: Path) -> None:
    command = [sys.executable, "-m", "imgpipe", "blur", "in.png", "-o", "out.png", "-j", 2]
    done = run_command(command, folder, before=limit, code=None)
    if done.returncode == 0:  # it depends on the versions of the libraries
        (folder / "out.png").unlink()
    else:
        assert done.returncode == 1
        assert "internal error" not in done.stderr
        assert done.stderr.count("\n") == 1, done.stderr
    assert left_in(folder) == set()


def test_in_python_it_is_a_typed_error(folder: Path) -> None:
    text = """
import resource, imgpipe
resource.setrlimit(resource.RLIMIT_NOFILE, (12, 12))
try:
    imgpipe.run("in.png", imgpipe.filters.blur(), "out.png", workers=2)
except imgpipe.ImgpipeError as error:
    print(type(error).__name__)
"""
    assert run_script(text, folder).stdout in ("WorkerError\n", "MemoryPlanError\n")
    assert left_in(folder) == set()


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(errno.EMFILE, os.strerror(errno.EMFILE)), "opens no more files"),
        (OSError(errno.EAGAIN, os.strerror(errno.EAGAIN)), "gave no process"),
        (MemoryError(), "gave no memory"),
        (RuntimeError("can't start new thread"), "gave no thread"),
        (RuntimeError("cannot schedule new futures after interpreter shutdown"), "about to end"),
        (ImportError("x.so: failed to map segment from shared object"), "no address space"),
        (ModuleNotFoundError(name="PIL.Image"), "pillow is not installed: pip install pillow"),
    ],
)
def test_each_is_reported_with_what_to_do(error: BaseException, says: str) -> None:
    assert says in refusal(error)
    assert isinstance(refused(error), WorkerError)
    wrapped = ImportError("could not import name")
    wrapped.__cause__ = error
    assert says in refusal(wrapped)


@pytest.mark.parametrize("package", ["imagecodecs", "tifffile"])
def test_an_incomplete_installation_is_reported_and_the_file_is_not_blamed(
    package: str, tmp_path: Path
) -> None:
    imgpipe.write(np.zeros((9, 9, 3), np.uint8), tmp_path / "in.tif", save={"compression": "zstd"})
    text = f"import sys; sys.modules[{package!r}] = None; from imgpipe.cli import execute; "
    text += "sys.exit(execute(['blur', 'in.tif', '-o', 'out.npy', '-j', '1']))"
    done = subprocess.run(
        [sys.executable, "-c", text], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    told = f"imgpipe: error: the package {package} is not installed: pip install {package}\n"
    assert done.stderr == told


def test_other_errors_are_no_refusals() -> None:
    for error in (OSError(errno.ENOENT, "x"), RuntimeError("boom"), ImportError("x"), ValueError()):
        assert refused(error) is None


def test_errors_that_lead_to_each_other_come_to_an_end() -> None:
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__context__ = second, first
    assert refusal(first) == ""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere workers need no socket")
def test_workers_start_where_temporary_files_have_long_paths(tmp_path: Path) -> None:
    """The address of a socket has at most 107 bytes."""
    far = tmp_path / ("f" * 100)
    far.mkdir()
    np.save(tmp_path / "in.npy", np.arange(60, dtype="uint8").reshape(6, 10))
    command = [sys.executable, "-m", "imgpipe", "invert", "in.npy", "-o", "out.npy"]
    run_command([*command, "--executor", "processes"], tmp_path, before=f"export TMPDIR={far}")
    assert os.listdir(far) == []
    assert np.load(tmp_path / "out.npy")[0, 0] == 255
