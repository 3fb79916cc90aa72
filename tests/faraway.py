"""An executor that is far away: another process, in another folder, that cannot see our files.

The process has a view of the file system of its own where the system allows that: empty folders
hide the temporary files of the tests, shared memory and ``/proc``. Where the system does not allow
it, Python refuses to open what is in them. Tasks and results are pickled and sent through pipes.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, BinaryIO

from imgpipe.executors.base import Traits

_NEW_MOUNTS, _NEW_USER = 0x0002_0000, 0x1000_0000
_PRIVATE = 0x4000 | 0x4_0000  # MS_REC | MS_PRIVATE


class FarAwayExecutor(Executor):
    """One worker that shares nothing with this process.

    Parameters
    ----------
    workers : int
        Of no effect: there is one.
    hidden : path
        The folder that it cannot see.
    """

    traits = Traits(
        shares_memory=False, shares_files=False, isolates=True, same_host=False, processors=1
    )

    def __init__(self, workers: int = 1, hidden: str | os.PathLike[str] | None = None) -> None:
        del workers
        self._thread = ThreadPoolExecutor(1)
        self._folder = tempfile.TemporaryDirectory()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faraway", hidden or tempfile.gettempdir()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=self._folder.name,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
        self.hides_by: str = self._thread.submit(self._received).result()
        self.sent = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        return self._thread.submit(self._exchanged, pickle.dumps((fn, args, kwargs)))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._thread.shutdown(wait=True, cancel_futures=cancel_futures)
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            stream.close()
        self._process.wait()
        self._folder.cleanup()

    def _exchanged(self, task: bytes) -> Any:
        assert self._process.stdin is not None
        self.sent += len(task)
        try:
            _send(self._process.stdin, task)
            result, error = self._received()
        except (EOFError, BrokenPipeError) as gone:
            raise BrokenProcessPool("the far process has ended") from gone
        if error is not None:
            raise error
        return result

    def _received(self) -> Any:
        assert self._process.stdout is not None
        return pickle.loads(_receive(self._process.stdout))


def _send(stream: BinaryIO, data: bytes) -> None:
    stream.write(len(data).to_bytes(8, "little") + data)
    stream.flush()


def _receive(stream: BinaryIO) -> bytes:
    size = int.from_bytes(stream.read(8) or _no_more(), "little")
    return stream.read(size)


def _no_more() -> bytes:
    raise EOFError


def _hide_by_mounts(folders: list[str]) -> bool:
    """Cover `folders` with empty ones, for this process alone."""
    if not sys.platform.startswith("linux"):
        return False
    system = ctypes.CDLL(None)
    if system.unshare(_NEW_MOUNTS) and system.unshare(_NEW_MOUNTS | _NEW_USER):
        return False
    if system.mount(None, b"/", None, _PRIVATE, None):
        return False
    return not any(
        system.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, None) for folder in folders
    )


def _hide_by_refusal(folders: list[str]) -> None:
    """Have Python refuse to open files in `folders`."""

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("open", "os.listdir") and str(arguments[0]).startswith(tuple(folders)):
            raise FileNotFoundError(errno.ENOENT, "far away", arguments[0])

    sys.addaudithook(refuse)


def _serve(hidden: str) -> None:
    """Do tasks from standard input until it is closed."""
    tasks, results = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # output of tasks is no result
    folders = [folder for folder in (hidden, "/dev/shm", "/proc") if Path(folder).is_dir()]
    by_mounts = _hide_by_mounts(folders)
    if not by_mounts:
        _hide_by_refusal(folders)
    _send(results, pickle.dumps("mounts" if by_mounts else "refusal"))
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            fn, args, kwargs = pickle.loads(_receive(tasks))
            try:
                done = fn(*args, **kwargs), None
            except Exception as error:  # noqa: BLE001 - the future tells
                done = None, error
            _send(results, pickle.dumps(done))


if __name__ == "__main__":
    _serve(sys.argv[1])
