"""A fork server of our own.

The one in `multiprocessing` is shared by the whole process: its preloads may be somebody else's,
and it lives until the process ends. This one starts with the first pool and ends with the last.

It is a new interpreter, or a fork of this process where that is sure to have no other thread: the
command line asks for it before it opens anything, and saves importing everything twice.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import socket
import sys
import time
from multiprocessing import (
    connection,
    context,
    forkserver,
    popen_forkserver,
    process,
    reduction,
    resource_tracker,
    spawn,
    util,
)
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any, NoReturn

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


def own_fork_server(preload: list[str], *, by_fork: bool) -> tuple[BaseContext, Any]:
    """Return a context whose processes come from a new fork server, and that server, running.

    With `by_fork` the server is a fork of this process, if that has no other thread.
    """
    global _server  # noqa: PLW0603 - a process being started has no other way to its server
    _server = forkserver.ForkServer()
    _server.set_forkserver_preload(preload)
    # The server of later versions wants a key as well, and will be a new interpreter there.
    if by_fork and sys.version_info < (3, 14) and _threads() == 1:
        _fork(_server, preload)
    else:
        _server.ensure_running()
    return _Context(), _server


def _threads() -> int:
    """Return how many threads this process has, those of C libraries included."""
    return len(os.listdir("/proc/self/task"))


def _fork(server: Any, preload: list[str]) -> None:
    """Do what `ForkServer.ensure_running` does, but fork."""
    resource_tracker.ensure_running()
    address = connection.arbitrary_address("AF_UNIX")  # type: ignore[attr-defined]
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        if not util.is_abstract_socket_namespace(address):
            os.chmod(address, 0o600)
        listener.listen()
        alive_read, alive_write = os.pipe()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        pid = os.fork()
        if pid == 0:
            os.close(alive_write)  # its closing tells the server that this process is gone
            _serve(listener.fileno(), alive_read, preload)
    os.close(alive_read)
    server._forkserver_address = address
    server._forkserver_alive_fd = alive_write
    server._forkserver_pid = pid


def _serve(listener: int, alive: int, preload: list[str]) -> NoReturn:
    try:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        forkserver.main(listener, alive, preload)
    finally:
        os._exit(0)  # nothing of what the parent wants done at its end
