"""Hints: events of the file system, with the place of a change.

They come from watchdog, which is not required. An event may be lost, and a folder may have none:
hints say where to look first, not what is there.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from imgpipe.batches.watch.mounts import silent_type
from imgpipe.temporaries import text_of

__all__ = ["Hint", "Hints", "HintsLost", "NoHints", "WatchdogHints", "hints_for"]


class Hint(NamedTuple):
    """Something has changed at a path.

    Attributes
    ----------
    path : str
        The path.
    renamed : bool
        Whether a file was renamed, and has this path now.
    folder : bool
        Whether a folder has this path now.
    """

    path: str
    renamed: bool = False
    folder: bool = False


class HintsLost(NamedTuple):
    """Hints may have been lost."""


Receive = Callable[[Hint | HintsLost], None]


class Hints(Protocol):
    """A source of hints about a folder and all that is in it."""

    def start(self, folder: str, receive: Receive) -> str | None:
        """Begin to give hints.

        Parameters
        ----------
        folder : str
            The folder.
        receive : callable
            Gets the hints, in any thread.

        Returns
        -------
        str or None
            Reason why there are none; None if there are.
        """

    def covers(self, folders: int) -> bool:
        """Return whether so many folders can have hints."""

    def stop(self) -> None:
        """Give no more hints."""


class NoHints:
    """Absence of hints.

    Parameters
    ----------
    reason : str
        Reason why there are none.
    """

    def __init__(self, reason: str) -> None:
        self._reason = reason

    def start(self, folder: str, receive: Receive) -> str:
        """Return the reason why there are none."""
        return self._reason

    def covers(self, folders: int) -> bool:
        """Return False."""
        return False

    def stop(self) -> None:
        """Nothing was begun."""


class WatchdogHints:
    """Hints from watchdog."""

    def __init__(self) -> None:
        self._observer: Any = None
        self._listener: _Listener | None = None

    def start(self, folder: str, receive: Receive) -> str | None:
        """Begin to give hints; return the reason why there are none, or None."""
        self.stop()
        if kind := silent_type(folder):
            return f"the file system ({kind}) does not tell of all changes"
        self._listener = _Listener(receive)
        try:
            self._observer = _started(folder, receive)
        except ImportError:
            self.stop()
            return 'watchdog is not installed (pip install "imgpipe[watch]")'
        except OSError as error:
            self.stop()
            return f"the system gives no events ({error.strerror or error})"
        return None

    def covers(self, folders: int) -> bool:
        """Return whether so many folders can have hints."""
        if not _lives(self._observer):
            return False
        watched = _watched_folders()
        return watched is None or watched >= folders

    def stop(self) -> None:
        """Give no more hints."""
        observer, self._observer = self._observer, None
        listener, self._listener = self._listener, None
        if observer is not None:
            observer.stop()
            observer.join()
        if listener is not None:
            listener.close()


def hints_for(poll: float | None) -> Hints:
    """Return the source of hints, given the interval that was asked for instead."""
    return WatchdogHints() if poll is None else NoHints("")


def _started(folder: str, receive: Receive) -> Any:
    """Return an observer that gives hints."""
    from watchdog import events  # noqa: PLC0415 - not required

    observer: Any
    if sys.platform == "linux":
        from watchdog.observers.inotify import InotifyObserver  # noqa: PLC0415 - not required

        observer = InotifyObserver(generate_full_events=True)  # tells of files from elsewhere
    else:
        from watchdog.observers import Observer  # noqa: PLC0415 - not required

        observer = Observer()

    class Handler(events.FileSystemEventHandler):
        def on_any_event(self, event: events.FileSystemEvent) -> None:
            moved = event.event_type == events.EVENT_TYPE_MOVED
            if path := os.fsdecode(event.dest_path if moved else event.src_path):
                hint = Hint(path, moved and not event.is_directory, event.is_directory)
                receive(hint)

    wanted: list[type[events.FileSystemEvent]] = [
        events.DirCreatedEvent, events.DirMovedEvent, events.FileClosedEvent,
        events.FileCreatedEvent, events.FileMovedEvent,
    ]  # fmt: skip
    # It warns of folders that it meets twice, which happens with folders in new folders.
    warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"watchdog\.")
    try:
        observer.schedule(Handler(), folder, recursive=True, event_filter=wanted)
        observer.start()
    except BaseException:
        with contextlib.suppress(Exception):
            observer.stop()
            observer.join()
        raise
    return observer


def _lives(observer: Any) -> bool:
    """Return whether an observer works: its thread, the threads of its folders, and its reader."""
    if observer is None:
        return False
    threads = [observer, *observer.emitters, getattr(observer, "_inotify_fd", observer)]
    return all(thread.is_alive() for thread in threads)


def _watched_folders() -> int | None:
    """Return the number of folders of this process with events; None if it is not known."""
    try:
        numbers = os.listdir("/proc/self/fdinfo")
    except OSError:
        return None
    lines = "".join(text_of(f"/proc/self/fdinfo/{number}") for number in numbers)
    return lines.count("inotify wd:")


class _Listener(logging.Handler):
    """Takes warnings of watchdog: each means that events are lost, as when there are too many."""

    def __init__(self, receive: Receive) -> None:
        super().__init__(logging.WARNING)
        self._receive = receive
        self._logger = logging.getLogger("watchdog")
        self._propagated, self._logger.propagate = self._logger.propagate, False
        self._logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Take a warning."""
        self._receive(HintsLost())

    def close(self) -> None:
        """Take no more."""
        self._logger.removeHandler(self)
        self._logger.propagate = self._propagated
        super().close()
