"""Signal handling: the end of the process at once if nothing is open, else at a safe point.

A batch is stopped by the first signal, and finishes what is nearly done. A second one ends the
process at once.

During a run the engine is asked to stop, and does so between two tasks. An exception out of
nowhere could hit between the start of a worker and the note of it, or leave a lock of the import
system held for good. It is raised only if the engine does not stop. If even that has no effect,
because a thread never returns from a library, the process ends at once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, NoReturn

from imgpipe.errors import Cancelled

__all__ = [
    "Signalled",
    "ending",
    "ignore",
    "install",
    "outcome",
    "raising",
    "received",
    "stopping",
]

_WORDS = {"SIGINT": "interrupted", "SIGTERM": "terminated", "SIGHUP": "the terminal went away"}
_NUMBERS = [getattr(signal, name) for name in _WORDS if hasattr(signal, name)]
_PATIENCE = 3.0  # seconds that the engine has to stop by itself
_LONGEST = 10.0  # seconds until the process ends whatever it does
_STUCK = "ended while a worker went on; the next run removes what was left over"
_TWICE = "ended at once; what was finished is recorded, and the next run removes what was left over"


class Signalled(BaseException):
    """The process was asked to end. No `Exception`, so that nothing takes it for a failure."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    def __str__(self) -> str:
        return f"{_WORDS[signal.Signals(self.number).name]}; {_state.outcome}"

    @classmethod
    def of(cls, name: str) -> Signalled:
        """Return it for the name of a signal."""
        return cls(signal.Signals[name])

    @property
    def signal_name(self) -> str:
        """The name of the signal."""
        return signal.Signals(self.number).name

    @property
    def exit_code(self) -> int:
        """The exit code that a shell reports after such a signal."""
        return 128 + self.number


class _State:
    stop: Callable[[], object] | None = None  # it stops the run that is going on
    received = 0
    since = 0.0  # time of the first signal
    twice = False  # whether a second signal ends the process
    outcome = "nothing was written"


_state = _State()


def install() -> None:
    """Handle the signals that end a process.

    One that is ignored stays ignored: that is how ``nohup`` and shells ask for it. None is
    blocked, for nobody can ask for that, and it is hardly ever meant.
    """
    _set(_handle)
    if hasattr(signal, "SIGCHLD"):
        if signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN:
            # Code that waits for a child process, such as a filter, would not get its exit code.
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {*_NUMBERS, signal.SIGCHLD, signal.SIGALRM})


def ignore() -> None:
    """Pay no more attention to these signals."""
    _set(signal.SIG_IGN)


def outcome(text: str) -> None:
    """Say whether the output is complete, before the process ends."""
    _state.outcome = text


@contextlib.contextmanager
def stopping(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` for a signal that comes during this context.

    Raises
    ------
    Signalled
        At the end of the context, if one came.
    """
    _state.stop = stop
    try:
        yield
    except Exception as error:
        if _state.received:
            raise Signalled(_state.received) from error
        raise
    finally:
        _insist_after(0)
        _state.stop = None
    if _state.received:
        raise Signalled(_state.received)


@contextlib.contextmanager
def raising() -> Iterator[None]:
    """Raise `Signalled` where a signal comes, in work that leaves nothing behind."""

    def stop() -> None:
        raise Signalled(_state.received)

    with stopping(stop):
        yield


@contextlib.contextmanager
def ending(stop: Callable[[str], object]) -> Iterator[None]:
    """Call `stop` with the name of the first signal; end the process at once at the second one."""
    _state.stop = lambda: stop(received())
    _state.twice = True
    try:
        yield
    finally:
        _state.stop, _state.twice = None, False


def received() -> str:
    """Return the name of the signal that came; empty if there was none."""
    return signal.Signals(_state.received).name if _state.received else ""


def _set(handler: Any) -> None:
    if threading.current_thread() is not threading.main_thread():
        return
    for number in _NUMBERS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def _handle(number: int, frame: FrameType | None) -> None:
    if _state.received and not _state.twice:  # the end is near, and not to be disturbed
        return
    second, _state.received = bool(_state.received), number
    _state.since = time.monotonic()
    if _state.stop is not None and not second:
        if not _state.twice:
            _insist_after(_PATIENCE)
        _state.stop()
        return
    if second:
        _state.outcome = _TWICE
    _end_at_once()


def _end_at_once() -> NoReturn:
    line = f"imgpipe: {Signalled(_state.received)}\n"
    with contextlib.suppress(OSError):
        os.write(2, line.encode(errors="replace"))
    os._exit(Signalled(_state.received).exit_code)


def _insist_after(seconds: float) -> None:
    """Raise `Signalled` after a while, again and again until it has effect; 0 for never."""
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGALRM, _insist if seconds else signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, seconds, 1.0 if seconds else 0.0)


def _insist(number: int, frame: FrameType | None) -> None:
    if time.monotonic() - _state.since > _LONGEST:
        _state.outcome = _STUCK
        _end_at_once()
    importing = frame is not None and frame.f_code.co_filename.startswith("<frozen importlib")
    if not importing and not _cleaning_up():
        raise Signalled(_state.received)


def _cleaning_up() -> bool:
    """Return whether a stop is being handled further down the stack."""
    handled = sys.exc_info()[1]
    while handled is not None and not isinstance(handled, (Signalled, Cancelled)):
        handled = handled.__context__
    return handled is not None
