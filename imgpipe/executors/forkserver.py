"""A fork server of our own.

The one in `multiprocessing` is shared by the whole process: its preloads may be somebody else's,
and it lives until the process ends. This one starts with the first pool and ends with the last.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import time
from multiprocessing import context, forkserver, popen_forkserver, process, reduction, spawn, util
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

__all__ = ["own_fork_server", "stop"]

_STOP_SECONDS = 1.0

_server: Any = None


class _Popen(popen_forkserver.Popen):
    """The standard library's, but connected to our server and blind to the main module."""

    _fds: list[int]

    def _launch(self, process_obj: Any) -> None:
        prepared = spawn.get_preparation_data(process_obj._name)
        for key in ("init_main_from_name", "init_main_from_path"):
            prepared.pop(key, None)
        message = io.BytesIO()
        context.set_spawning_popen(self)
        try:
            reduction.dump(prepared, message)
            reduction.dump(process_obj, message)
        finally:
            context.set_spawning_popen(None)
        self.sentinel, child_end = _server.connect_to_new_process(self._fds)
        kept_open = os.dup(child_end)  # its closing tells the child that this process is gone
        self.finalizer = util.Finalize(self, _close, (kept_open, self.sentinel))
        with open(child_end, "wb") as pipe:
            pipe.write(message.getbuffer())
        self.pid = forkserver.read_signed(self.sentinel)


def _close(*fds: int) -> None:
    for fd in fds:
        os.close(fd)


class _Process(process.BaseProcess):
    _start_method = "forkserver"

    @staticmethod
    def _Popen(process_obj: Any) -> _Popen:  # noqa: N802 - the name the base class calls
        return _Popen(process_obj)


class _Context(BaseContext):
    _name = "forkserver"
    Process = _Process


def stop(server: Any) -> None:
    """End a fork server and whatever it still has forked.

    The standard library would wait without limit for a worker that nobody knows of: one that was
    being started when an exception came.
    """
    with server._lock:
        pid = server._forkserver_pid
        if pid is None:
            return
        os.close(server._forkserver_alive_fd)
        server._forkserver_alive_fd = server._forkserver_pid = None
        server._forkserver_address = None
        if not _ended(pid, _STOP_SECONDS):
            for child in _children(pid):
                with contextlib.suppress(OSError):
                    os.kill(child, signal.SIGKILL)
            if not _ended(pid, _STOP_SECONDS):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def _ended(pid: int, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        if time.monotonic() > until:
            return False
        time.sleep(0.002)
    return True


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError, ValueError):
        return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def own_fork_server(preload: list[str]) -> tuple[BaseContext, Any]:
    """Return a context whose processes come from a new fork server, and that server."""
    global _server  # noqa: PLW0603 - a process being started has no other way to its server
    _server = forkserver.ForkServer()
    _server.set_forkserver_preload(preload)
    return _Context(), _server
