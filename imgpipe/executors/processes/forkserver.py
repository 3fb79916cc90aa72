"""Fork server: a process with all modules imported, from which workers are forked.

The one in `multiprocessing` is shared by the whole process: other code may have chosen its
preloads, and it lives until the process ends. This one starts with the first pool and ends with
the last.

It is a new interpreter, or a fork of this process where that is sure to have no other thread: the
command line asks for it before it opens anything, and saves importing everything twice.

It may be killed at any time. The next worker then comes from a new one; the workers of the old one
are ended by handles of their own, because no server reports their ends any more.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
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
from typing import Any, NoReturn, cast

__all__ = ["forget", "own_fork_server", "remove_socket", "stop"]

_STOP_SECONDS = 1.0
_DYING_SECONDS = 0.25
_FOLDER_BYTES = 60  # of an address of at most 107: the names of a folder and a socket follow
_NOT_TOLD = 255  # exit code of a worker whose fork server ended before it

_server: Any = None
_daemonic = threading.RLock()


class _Server(forkserver.ForkServer):
    """Fork server of the standard library, prepared for code that waits for all children."""

    _lock: Any
    _forkserver_pid: int | None
    _forkserver_alive_fd: int | None
    _folder = ""

    def ensure_running(self) -> None:
        """Start the server unless it runs."""
        with self._lock:
            pid = self._forkserver_pid
            if pid is not None and _ended(pid, 0):
                os.close(cast(int, self._forkserver_alive_fd))
                self._forkserver_alive_fd = self._forkserver_pid = None
                self._forkserver_address = None
        if self._forkserver_pid is None:
            with self.folder_of_its_own():
                super().ensure_running()

    @contextlib.contextmanager
    def folder_of_its_own(self) -> Iterator[str]:
        """Have `multiprocessing` put the socket of a new server into a folder for it alone.

        The server removes the folder when it ends. The usual one, which this process would remove,
        stays if this process is killed.
        """
        self.remove_folder()
        usual = tempfile.gettempdir()
        if len(os.fsencode(usual)) > _FOLDER_BYTES:
            usual = "/tmp"  # noqa: S108 - the folder in it is ours alone
        self._folder = tempfile.mkdtemp(prefix="imgpipe-socket-", dir=usual)
        settings: dict[str, Any] = process.current_process()._config  # type: ignore[attr-defined]
        before = settings.get("tempdir")
        settings["tempdir"] = self._folder
        try:
            yield self._folder
        except BaseException:
            self.remove_folder()
            raise
        finally:
            settings["tempdir"] = before

    def remove_folder(self) -> None:
        """Remove the folder that a killed server has left."""
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)

    def look_after(self) -> None:
        """Wait for the end of a server that no longer answers, so that a new one is started."""
        pid = self._forkserver_pid
        if pid is not None:
            _ended(pid, _DYING_SECONDS)


class _Popen(popen_forkserver.Popen):
    """The standard library's, but connected to our server and blind to the main module."""

    _fds: list[int]
    _handle: int | None = None  # of the process itself, which may outlive the server
    told = True  # whether the server told how the process ended

    def _launch(self, process_obj: Any) -> None:
        self._reading = threading.Lock()
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
        self._open = [kept_open, self.sentinel]
        self.finalizer = util.Finalize(self, _close, (kept_open, self.sentinel))
        try:
            with open(child_end, "wb") as pipe:
                pipe.write(message.getbuffer())
            self.pid = forkserver.read_signed(self.sentinel)
        except BaseException:
            self.finalizer()  # if there is a child nevertheless, it ends now
            raise
        with contextlib.suppress(OSError, AttributeError):  # an old kernel; or it has ended
            self._handle = os.pidfd_open(self.pid)
            util.Finalize(self, _close, (self._handle,))
            self._open.append(self._handle)

    def poll(self, flag: int = os.WNOHANG) -> int | None:
        """Return the exit code, None while there is none."""
        if self.returncode is None:
            if not connection.wait([self.sentinel], 0 if flag == os.WNOHANG else None):
                return None
            with self._reading:  # it can be read once only
                if self.returncode is None:
                    try:
                        self.returncode = forkserver.read_signed(self.sentinel)
                    except (OSError, EOFError):
                        self.told, self.returncode = False, _NOT_TOLD
        return self.returncode

    def forget(self) -> None:
        """Close, in a fork of the parent, the files that the parent holds open for the process."""
        for fd in self._open:
            with contextlib.suppress(OSError):
                os.close(fd)

    def gone(self, seconds: float) -> bool:
        """Return whether the process itself has ended, or does within `seconds`."""
        if self._handle is None:
            return self.poll() is not None  # as far as can be told
        waiting = select.poll()
        waiting.register(self._handle, select.POLLIN)
        return bool(waiting.poll(seconds * 1000))

    def _send_signal(self, sig: int) -> None:
        if self._handle is None:
            super()._send_signal(sig)  # type: ignore[misc]
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._handle, sig)


def _close(*fds: int) -> None:
    for fd in fds:
        os.close(fd)


class _Process(process.BaseProcess):
    """A worker process, with the cause and the remains of its end."""

    _start_method = "forkserver"
    _popen: _Popen | None
    condemned = False  # whether it was ended from here

    @staticmethod
    def _Popen(process_obj: Any) -> _Popen:  # noqa: N802 - the name the base class calls
        return _Popen(process_obj)

    def start(self) -> None:
        """Start it, from a daemonic process too: it ends when its parent does."""
        with _children_allowed():
            try:
                super().start()
            except (EOFError, OSError):
                _server.look_after()
                raise

    def terminate(self) -> None:
        """End it. SIGTERM may be blocked or ignored."""
        self.kill()

    def kill(self) -> None:
        """End it at once."""
        if not self.gone(0):
            self.condemned = True
        super().kill()

    def gone(self, seconds: float) -> bool:
        """Return whether it has ended, or does within `seconds`, its server dead or not."""
        return self._popen is None or self._popen.gone(seconds)

    def forget(self) -> None:
        """Close, in a fork of the parent, the files that the parent holds open for it."""
        if self._popen is not None:
            self._popen.forget()

    @property
    def told(self) -> bool:
        """Return whether its server reported its end."""
        return self._popen is not None and self.exitcode is not None and self._popen.told

    @property
    def ended_by_itself(self) -> bool:
        """Return whether it has ended by itself, according to its server."""
        return self.told and not self.condemned


@contextlib.contextmanager
def _children_allowed() -> Iterator[None]:
    """Let a daemonic process have children, as workers of `multiprocessing.Pool` may not.

    The reason to forbid it is that they would outlive it. Ours do not.
    """
    config: dict[str, Any] = process.current_process()._config  # type: ignore[attr-defined]
    with _daemonic:
        daemonic = config.pop("daemon", None)
        try:
            yield
        finally:
            if daemonic is not None:
                config["daemon"] = daemonic


class _Context(BaseContext):
    _name = "forkserver"
    Process = _Process


def stop(server: Any) -> None:
    """End a fork server and all its forks.

    The standard library would wait without limit for an unknown worker: one that was
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
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
        server.remove_folder()


def forget(server: Any) -> None:
    """Close, in a fork of this process, the pipe by which a fork server notes its end."""
    if server._forkserver_alive_fd is not None:
        with contextlib.suppress(OSError):
            os.close(server._forkserver_alive_fd)


def _ended(pid: int, seconds: float) -> bool:
    """Return whether a child of this process has ended, or does within `seconds`.

    Where SIGCHLD is ignored, or a handler of the caller's collects all children, there is no child
    to wait for once it has ended.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            if os.waitpid(pid, os.WNOHANG) != (0, 0):
                return True
        except ChildProcessError:
            return True
        left = until - time.monotonic()
        if left <= 0:
            return False
        _wait_for(pid, left)


def _wait_for(pid: int, seconds: float) -> None:
    """Wait until a process has ended, or a while, but no longer than `seconds`."""
    try:
        handle = os.pidfd_open(pid)
    except (OSError, AttributeError):  # an old kernel; or it has ended
        time.sleep(min(seconds, 0.002))
        return
    try:
        waiting = select.poll()
        waiting.register(handle, select.POLLIN)
        waiting.poll(seconds * 1000)
    finally:
        os.close(handle)


def _children(pid: int) -> list[int]:
    with (
        contextlib.suppress(OSError, ValueError),
        open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file,
    ):
        return [int(n) for n in file.read().split()]
    return []


def own_fork_server(preload: list[str], *, by_fork: bool) -> tuple[BaseContext, Any]:
    """Return a context whose processes come from a new fork server, and that server, running.

    With `by_fork` the server is a fork of this process, which has no other thread.
    """
    global _server  # noqa: PLW0603 - a process being started has no other way to its server
    _server = _Server()
    _server.set_forkserver_preload(preload)
    if by_fork:
        _fork(_server, preload)
    else:
        _server.ensure_running()
    return _Context(), _server


def _fork(server: _Server, preload: list[str]) -> None:
    """Start the server as `ForkServer.ensure_running` does, but with a fork."""
    resource_tracker.ensure_running()
    with server.folder_of_its_own(), socket.socket(socket.AF_UNIX) as listener:
        address = connection.arbitrary_address("AF_UNIX")  # type: ignore[attr-defined]
        listener.bind(address)
        os.chmod(address, 0o600)
        listener.listen()
        alive_read, alive_write = os.pipe()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(AttributeError, ValueError, OSError):  # None, closed, full
                stream.flush()
        try:
            pid = os.fork()
        except OSError:
            _close(alive_read, alive_write)
            raise
        if pid == 0:
            os.close(alive_write)  # its closing tells the server that this process is gone
            _serve(listener.fileno(), alive_read, preload, address)
    os.close(alive_read)
    server._forkserver_address = address
    server._forkserver_alive_fd = alive_write
    server._forkserver_pid = pid


def _serve(listener: int, alive: int, preload: list[str], address: str) -> NoReturn:
    try:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        forkserver.main(listener, alive, preload)
    finally:
        remove_socket(address)
        os._exit(0)  # without the exit handlers of the parent


def remove_socket(address: str | None) -> None:
    """Remove the socket of a fork server, and its folder."""
    if address is not None:
        with contextlib.suppress(OSError):  # the parent was faster
            os.unlink(address)
            os.rmdir(os.path.dirname(address))
