"""Handles: a run in the background that can be followed, awaited and really stopped."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import logging
import os
import threading
import weakref
from dataclasses import fields
from typing import Any

from imgpipe import arguments
from imgpipe.chains.entry import FilterLike, chain_from
from imgpipe.cleanup import uninterrupted
from imgpipe.engine.control import Control
from imgpipe.errors import UsageError
from imgpipe.events import Report
from imgpipe.formats.opening import must_take, name_of
from imgpipe.formats.readwrite import Reading, Writing
from imgpipe.options import Options
from imgpipe.refusals import begin
from imgpipe.running import run

__all__ = ["Handle", "submit"]

_AS_A_FILE = 257  # how CPython is to read text: Py_file_input
_FIRST = 100  # of the steps of `multiprocessing` at the end of a process

_log = logging.getLogger("imgpipe")


class Handle:
    """A run that goes on in a thread of its own. Made by `submit`.

    Python waits for it before it ends. A run that fails, and whose handle is not asked for the
    result, says so in the log.
    """

    def __init__(self, **given: Any) -> None:
        self._name = f"{name_of(given['src'], 'src')} -> {name_of(given['dst'])}"
        self._control = Control()
        self._report: Report | None = None
        self._error: BaseException | None = None
        self._asked = False
        # A thread whose `join` is interrupted counts as ended from then on; this does not.
        self._ended = threading.Event()
        _register_wait()
        # No daemon: once Python is about to end, it waits for such threads and no others.
        self._thread = threading.Thread(
            target=self._work, args=(given,), name="imgpipe-run", daemon=False
        )
        begin(self._thread)
        _handles.add(self)

    def __repr__(self) -> str:
        state = "over" if self.done() else f"{self.progress:.0%} done"
        return f"<imgpipe run {self._name}, {state}>"

    @property
    def progress(self) -> float:
        """Share of the work that is done, from 0 to 1."""
        return 1.0 if self._report is not None else self._control.progress

    def done(self) -> bool:
        """Return whether the run has ended, one way or another."""
        return self._ended.is_set()

    def result(self, timeout: float | None = None) -> Report:
        """Wait for the end and return the report.

        Parameters
        ----------
        timeout : float, optional
            Seconds to wait at most.

        Raises
        ------
        TimeoutError
            If the run goes on after `timeout` seconds.
        Cancelled
            If it was cancelled.
        ImgpipeError
            The error of the run; a `UsageError` also if `timeout` is no time.
        """
        if timeout is not None:
            timeout = arguments.seconds(timeout, "timeout", or_none_at_all=True)
        if not self._ended.wait(timeout):
            raise TimeoutError("the run is not done yet")
        self._asked = True
        if self._error is not None:
            raise self._error
        assert self._report is not None
        return self._report

    def cancel(self) -> bool:
        """Stop the run: workers are ended, nothing is written. Returns once that is done.

        Returns
        -------
        bool
            False if the run had ended already.
        """
        if self.done():
            return False
        self._asked = True
        self._control.stop()
        self._ended.wait()
        return self._report is None

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):  # it was never made
            self._log_unread_failure()

    def _log_unread_failure(self) -> None:
        if self._error is not None and not self._asked:
            self._asked = True
            _log.error("%s: %s", self._name, self._error)

    def _work(self, given: dict[str, Any]) -> None:
        try:
            self._report = run(**given, control=self._control)
        except BaseException as error:  # noqa: BLE001 - raised again by `result`
            self._error = error
        finally:
            self._ended.set()
        if _exit.closed:
            self._log_unread_failure()


class _Exit:
    """The calls that Python makes before it ends."""

    lock = threading.Lock()
    process = 0  # the process in which it was registered
    closed = False  # failures are no longer reported


_exit = _Exit()
_handles: weakref.WeakSet[Handle] = weakref.WeakSet()


def _register_wait() -> None:
    """Register the wait for runs that are active when the main thread ends.

    Python must wait before it closes executors, which these runs use. It closes
    executors in the reverse order of their import.
    """
    with _exit.lock:
        if _exit.process == os.getpid():
            return
        try:
            for name in ("thread", "process"):
                importlib.import_module(f"concurrent.futures.{name}")
            threading._register_atexit(_wait_and_end)  # type: ignore[attr-defined]
            # A child process of `multiprocessing` lets go of its semaphores before that.
            importlib.import_module("multiprocessing.util").Finalize(
                None, _wait_for_all, exitpriority=_FIRST
            )
        except RuntimeError:  # the main thread has ended already
            _exit.closed = True
        _exit.process = os.getpid()


def _wait_for_all() -> None:
    """Wait for all runs; log failures that were not raised. Ctrl-C stops them."""
    known: set[Handle] = set()
    try:
        while new := set(_handles) - known:
            known |= new
            for handle in new:
                handle._ended.wait()
    except KeyboardInterrupt:
        known |= set(_handles)
        for handle in known:
            handle._asked |= not handle.done()
            handle._control.stop()
        with uninterrupted():
            for handle in known:
                handle._ended.wait()
        raise
    finally:
        _exit.closed = True
        for handle in known:
            handle._log_unread_failure()


def _wait_and_end() -> None:
    """Wait for all runs at the exit of Python, and end as interrupted after Ctrl-C.

    Python itself would print a `KeyboardInterrupt` here, and end with exit code 0.
    """
    try:
        _wait_for_all()
    except KeyboardInterrupt:
        _end_as_interrupted()


def _end_as_interrupted() -> None:
    """Let this process end like an interrupted script, after everything is closed.

    CPython ends so after an interrupted program. So it runs one here.
    """
    import ctypes  # noqa: PLC0415 - only for this

    names = {"KeyboardInterrupt": KeyboardInterrupt}
    with contextlib.suppress(KeyboardInterrupt, AttributeError):  # other Pythons have no such call
        run = ctypes.pythonapi.PyRun_String
        run.argtypes = ctypes.c_char_p, ctypes.c_int, ctypes.py_object, ctypes.py_object
        run.restype = ctypes.py_object
        run(b"raise KeyboardInterrupt", _AS_A_FILE, names, names)


def submit(
    src: str | os.PathLike[str], filter: FilterLike, dst: str | os.PathLike[str], **options: Any
) -> Handle:
    """Start a run in the background.

    Python waits for it before it ends, as for the tasks of its executors; Ctrl-C stops it.

    Parameters
    ----------
    src, filter, dst, **options
        As for `imgpipe.run`. Events are told in the thread of the run.

    Returns
    -------
    Handle
        With ``result()``, ``done()``, ``progress`` and ``cancel()``.

    Raises
    ------
    UsageError
        If an argument is wrong for any content of the files; ``result()`` raises the errors of the
        files themselves.
    WorkerError
        If the system gives no thread.
    """
    return Handle(**_meant(src, filter, dst, **options))


def _meant(*args: Any, **options: Any) -> dict[str, Any]:
    """Return the arguments of `run` by name, the filter as a chain."""
    given = inspect.signature(run).bind(*args, **options).arguments
    if "control" in given:
        raise UsageError("control is that of the handle; follow and stop the run by the handle")
    Options(**_of(Options, given))
    chain = chain_from(given["filter"], given.pop("halo", None), given.pop("dtype", None))
    name_of(given["src"], "src")
    Reading(**_of(Reading, given))
    must_take(given["dst"], Writing(**_of(Writing, given)))
    if given.get("region") is not None:
        given["region"] = arguments.box(given["region"], "region")
    return given | {"filter": chain}


def _of(choices: type[Options | Reading | Writing], given: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments that are fields of `choices`."""
    return {each.name: given[each.name] for each in fields(choices) if each.name in given}
