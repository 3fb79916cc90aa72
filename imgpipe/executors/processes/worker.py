"""A worker process, the connection to it, and its end.

Each worker has a connection of its own. So the death of one breaks nothing that another has, and
half a result is followed by the end of the connection. There is no lock that a dead worker could
have held.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import queue
import socket
import tempfile
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from concurrent import futures
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import process as pools
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from multiprocessing.reduction import ForkingPickler
from typing import Any, TypeVar

from imgpipe.executors.base import End
from imgpipe.executors.processes.exitreasons import describe
from imgpipe.executors.processes.server import Server, launching
from imgpipe.executors.processes.startup import NUMBER_BYTES, do_tasks
from imgpipe.machine import memory_kills
from imgpipe.refusals import refusal

__all__ = ["JOIN_SECONDS", "OPEN_FILES", "Worker"]

T = TypeVar("T")

JOIN_SECONDS = 5.0
"""Longest time that a process takes to end, in seconds."""

OPEN_FILES = 8
"""Number of files that this process holds open for a worker, and some to spare."""

_AT_ONCE = 2  # tasks sent: one under way, and the next one
_SURE_TO_FIT = 64 << 10  # bytes that can be sent without waiting for the worker to read them
_DYING_SECONDS = 1.0
_LOOK_SECONDS = 1.0
_LOG_BYTES = 1 << 16


class Worker:
    """A worker process, which starts with its first task.

    Parameters
    ----------
    label : str
        Its name, for people.
    server : Server
        Starts it.
    """

    def __init__(self, label: str, server: Server) -> None:
        self.label = label
        self._server = server
        self._log = tempfile.TemporaryFile(prefix="imgpipe-worker-")  # noqa: SIM115 - see `end`
        weakref.finalize(self, self._log.close).atexit = False  # if its end is not awaited
        self._kills_before = memory_kills()
        self._process: Any = None
        self._link: connection.Connection | None = None
        self._listener: threading.Thread | None = None
        self._sender: queue.SimpleQueue[bytes | None] | None = None
        self._numbers = itertools.count()
        self._feeding = threading.RLock()
        self._waiting: deque[tuple[Future[Any], bytes]] = deque()
        self._sent: dict[int, tuple[Future[Any], int]] = {}
        self._given: set[Future[Any]] = set()
        self._unstarted = ""
        self._closing = self._dead = self._late = False
        self._ended: End | None = None

    @property
    def unfinished(self) -> int:
        """Number of its tasks."""
        return len(self._given)

    @property
    def process(self) -> Any | None:
        """The process; None if there is none yet."""
        return self._process

    @property
    def is_living(self) -> bool:
        """Return whether it has started, and can still do tasks as far as is known."""
        process = self._process
        if process is None or self._dead or self._ended is not None:
            return False
        return process.exitcode is None and not _gone(process, 0)

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Hand over a task; the future tells if the process has ended, or cannot be started.

        Raises
        ------
        RuntimeError
            If Python is about to end.
        """
        if getattr(pools, "_global_shutdown", False):
            raise RuntimeError("cannot schedule new futures after interpreter shutdown")
        if self._process is None and not self._unstarted:
            try:
                self._start()
            except (EOFError, OSError, UserWarning) as error:  # a killed tracker is warned of
                self._unstarted = f"no worker could be started ({type(error).__name__}: {error})"
                if refusal(error):
                    raise
        future: Future[T] = Future()
        if self._unstarted:
            future.set_exception(BrokenProcessPool(self._unstarted))
            return future
        try:
            task = bytes(ForkingPickler.dumps((fn, args, kwargs)))
        except Exception as error:  # noqa: BLE001 - the future tells
            future.set_exception(error)
            return future
        self._given.add(future)
        future.add_done_callback(self._given.discard)
        with self._feeding:
            self._waiting.append((future, task))
            self._feed()
        if self._dead:
            self._settle("the worker has ended")
        return future

    def strike(self) -> None:
        """Kill the process; `end` waits for its end."""
        if self._process is not None:
            with contextlib.suppress(OSError, ValueError, AttributeError):
                self._process.kill()

    def end(self, *, wanted: bool = False) -> End:
        """End the process at once, unless that is done; leave nothing undecided that it had."""
        if self._ended is None:
            process = self._process
            ended = process is not None and process.exitcode is not None
            self.strike()
            self._hang_up()
            self._join()
            if process is not None:
                with contextlib.suppress(ValueError, AssertionError):
                    process.join(JOIN_SECONDS)
                _gone(process, JOIN_SECONDS)
            self._settle("its worker was ended")
            self._ended = self._description(process, ended, wanted=wanted)
            self._log.close()
        return self._ended

    def finish(self, *, cancel: bool) -> None:
        """Let the process end after its last task; cancel the tasks that it was not sent."""
        with self._feeding:
            self._closing = True
            if self._link is None:
                return
            if cancel:
                while self._waiting:
                    self._waiting.popleft()[0].cancel()
            self._feed()

    def drain(self) -> None:
        """Wait, after `finish`, until all its tasks are done."""
        while futures.wait(list(self._given), _LOOK_SECONDS).not_done:
            self.look_after()

    def wait(self, until: float) -> None:
        """Wait for its end, after `drain`; from the time `until` on, end it.

        A function of the user's may have left a thread in it.
        """
        if self._process is not None and self._ended is None:
            left = max(0.0, until - time.monotonic())
            if not connection.wait([self._process.sentinel], left):
                self.strike()
            self._hang_up()
        self._join()
        self._log.close()

    def look_after(self) -> None:
        """End it if the process is gone and the threads have not noticed.

        This happens if it was killed while it sent a result, and a child of it lives on.
        """
        if self._process is None or self._ended is not None or not _gone(self._process, 0):
            self._late = False
        elif self._late:
            self.end()
        else:
            self._late = True

    def forget(self) -> None:
        """Close, in a fork of this process, the files that it holds open for the worker.

        Nothing is told to it, and no thread is joined: the fork has none.
        """
        with contextlib.suppress(OSError):
            if self._link is not None:
                self._link.close()
        if hasattr(self._process, "forget"):
            self._process.forget()
        self._log.close()

    # --- the connection -----------------------------------------------------------------

    def _start(self) -> None:
        ours, theirs = connection.Pipe()
        log = f"/proc/{os.getpid()}/fd/{self._log.fileno()}"
        try:
            with launching():
                process = self._server.context.Process(target=do_tasks, args=(theirs, log))  # type: ignore[attr-defined]
                process.start()
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._process, self._link = process, ours
        self._listener = threading.Thread(target=self._listen, name="imgpipe-worker", daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        """Take results until the connection or the process ends."""
        link, process = self._link, self._process
        assert link is not None
        with contextlib.suppress(EOFError, OSError):
            while link in connection.wait([link, process.sentinel]):
                self._take(link.recv_bytes())
        # The connection of a process that is dying ends a little before the process.
        _gone(process, _DYING_SECONDS)
        self._dead = True
        self._settle("the worker has ended")

    def _take(self, result: bytes) -> None:
        number = int.from_bytes(result[:NUMBER_BYTES], "little")
        with self._feeding:
            future, _ = self._sent.pop(number)
            self._feed()
        try:
            done, error = pickle.loads(memoryview(result)[NUMBER_BYTES:])  # noqa: S301 - ours
        except Exception as unreadable:  # noqa: BLE001 - the future tells
            done, error = None, unreadable
        with contextlib.suppress(InvalidStateError):
            if error is None:
                future.set_result(done)
            else:
                future.set_exception(error)

    def _feed(self) -> None:
        """Send what is waiting, but not much ahead; in the end, that there is no more."""
        while self._waiting and len(self._sent) < _AT_ONCE:
            future, task = self._waiting.popleft()
            if future.set_running_or_notify_cancel():
                number = next(self._numbers)
                self._sent[number] = future, len(task)
                self._send(number.to_bytes(NUMBER_BYTES, "little") + task)
        if self._closing and not self._waiting and not self._sent:
            self._send(b"")

    def _send(self, message: bytes) -> None:
        """Send a message; have a thread send it where that could take long."""
        assert self._link is not None
        on_the_way = sum(size for _, size in self._sent.values())
        if self._sender is None and on_the_way <= _SURE_TO_FIT:
            with contextlib.suppress(OSError):  # it has ended, and the listener tells
                self._link.send_bytes(message)
            return
        if self._sender is None:
            self._sender = queue.SimpleQueue()
            sender = threading.Thread(
                target=_send_all,
                args=(self._link, self._sender),
                name="imgpipe-sender",
                daemon=True,
            )
            sender.start()
        self._sender.put(message)

    def _hang_up(self) -> None:
        """End the connection, also for threads that wait for it."""
        if self._link is not None:
            with (
                contextlib.suppress(OSError),
                socket.socket(fileno=os.dup(self._link.fileno())) as one,
            ):
                one.shutdown(socket.SHUT_RDWR)

    def _join(self) -> None:
        if self._sender is not None:
            self._sender.put(None)
        if self._listener is not None and self._listener.ident is not None:
            self._listener.join(JOIN_SECONDS)
        if self._link is not None:
            self._link.close()

    def _settle(self, reason: str) -> None:
        """Complete all futures that are still open."""
        for future in list(self._given):
            with contextlib.suppress(InvalidStateError):
                future.set_exception(BrokenProcessPool(reason))

    # --- the end ------------------------------------------------------------------------

    def _description(self, process: Any | None, ended: bool, *, wanted: bool) -> End:  # noqa: FBT001
        if wanted:
            return End("the end of another run", wanted=True)
        if process is None:
            return End(self._unstarted or "an end before it was started", stillborn=True)
        by_itself = getattr(process, "ended_by_itself", ended)
        return describe(
            process, self._written(), by_itself=by_itself, kills_before=self._kills_before
        )

    def _written(self) -> str:
        """Return the text of the log of the process."""
        size = os.fstat(self._log.fileno()).st_size
        log = os.pread(self._log.fileno(), _LOG_BYTES, 0)
        if size > len(log):
            log += os.pread(self._log.fileno(), _LOG_BYTES, max(_LOG_BYTES, size - _LOG_BYTES))
        return log.decode(errors="replace")


def _gone(process: Any, seconds: float) -> bool:
    """Return whether a process has ended, or does within `seconds`."""
    if hasattr(process, "gone"):
        return bool(process.gone(seconds))
    return bool(connection.wait([process.sentinel], seconds))


def _send_all(link: connection.Connection, messages: queue.SimpleQueue[bytes | None]) -> None:
    with contextlib.suppress(OSError):
        while (message := messages.get()) is not None:
            link.send_bytes(message)
