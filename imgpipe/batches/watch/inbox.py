"""Inbox: the watched folder, and the state of its files.

Hints mark folders, and only a scan finds files. All of it is scanned at the start, when hints were
lost, when a folder is new, and every minute. A file that is complete goes to the batch, unless the
journal has it already. It is there once at a time, and again after it has changed.
"""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from collections.abc import Callable

from imgpipe.batches.events import WatchNotice
from imgpipe.batches.inputs.files import Found
from imgpipe.batches.inputs.walk import is_image_folder
from imgpipe.batches.results import Result
from imgpipe.batches.watch.hints import Hint, Hints, HintsLost
from imgpipe.batches.watch.moves import move
from imgpipe.batches.watch.readiness import Readiness
from imgpipe.batches.watch.scan import Scan, Scanner
from imgpipe.batches.watch.stamps import Stamp, stamp_of
from imgpipe.batches.watch.verdicts import Judge
from imgpipe.batches.watch.watchfeed import FileEnded, FileReturned, WatchFeed
from imgpipe.errors import OutputError
from imgpipe.records import dataclass

__all__ = ["POLL_SECONDS", "Inbox", "WatchSettings"]

POLL_SECONDS = 5.0
"""Seconds between scans where there are no events."""

_WHOLE_SECONDS = 60.0  # between scans of everything, where there are events
_MISSING_SECONDS = 60.0  # between notices that the folder is not there
_LOOK_SECONDS = 1.0  # between looks for a folder that is not there
_CHECK_SECONDS = 5.0  # between looks whether the folder is still the same
_REST = 4  # times as long as a scan takes, until the next one


@dataclass(frozen=True)
class WatchSettings:
    """Settings of a watch.

    Attributes
    ----------
    settle : float
        Seconds that a file must be quiet before it is taken.
    poll : float or None
        Seconds between scans; None to rely on events.
    move_done, move_failed : str or None
        The folders that files go to in the end.
    """

    settle: float = 2.0
    poll: float | None = None
    move_done: str | None = None
    move_failed: str | None = None


@dataclass
class _Busy:
    """A file that the batch has."""

    found: Found
    stamp: Stamp
    left: int  # outputs
    failed: bool = False
    returned: bool = False  # before it was its turn


class Inbox:
    """A folder that is watched. All but `receive` is for one thread.

    Parameters
    ----------
    scanner : Scanner
        Finds the files.
    judge : Judge
        Decides about them.
    feed : WatchFeed
        Gets what is to be made.
    hints : Hints
        Gives hints.
    settings : WatchSettings
        Settings of the watch.
    clock : callable
        Returns seconds.

    Attributes
    ----------
    notices : deque of WatchNotice or Result
        Notices, and failures of files that the batch does not get.
    polling : bool
        Whether the folder is scanned at short intervals.
    present : bool
        Whether it is there.
    seen : int
        Number of files that the last scan of everything has found.
    """

    def __init__(
        self,
        scanner: Scanner,
        judge: Judge,
        feed: WatchFeed,
        hints: Hints,
        settings: WatchSettings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.notices: deque[WatchNotice | Result] = deque()
        self.polling, self.present, self.seen = False, True, 0
        self._scanner, self._judge, self._feed = scanner, judge, feed
        self._source, self._settings, self._clock = hints, settings, clock
        self._readiness = Readiness(settings.settle, clock)
        self._found: dict[str, Found] = {}  # files not known to be complete
        self._busy: dict[str, _Busy] = {}
        self._handled: dict[str, Stamp] = {}
        self._failed: set[str] = set()  # among the handled files
        self._received: deque[Hint | HintsLost] = deque()
        self._marked: set[str] = set()
        self._hinted: set[str] = set()
        self._unknown: set[str] = set()  # folders that the walk does not enter
        self._wake: Callable[[], None] = lambda: None
        self._identity: tuple[int, int] | None = None
        self._next_whole = self._rested = self._next_notice = 0.0

    @property
    def waiting(self) -> int:
        """Number of files that have arrived and are not begun."""
        return len(self._found) + len(self._feed)

    @property
    def running(self) -> int:
        """Number of files that the batch has begun."""
        return max(0, len(self._busy) - len(self._feed))

    def attach(self, wake: Callable[[], None]) -> None:
        """Set the function to call, from any thread, when there is something to do at once."""
        self._wake = wake
        self._feed.call(wake)

    # --- from one turn to the next ------------------------------------------------------

    def begin(self) -> Counter[str]:
        """Begin; return the number of files and folders that are passed over, by reason."""
        self._identity = self._identified()
        self._start_hints()
        return self._scan_everything().passed_over

    def receive(self, hint: Hint | HintsLost) -> None:
        """Take a hint, from any thread."""
        self._received.append(hint)
        self._wake()

    def turn(self) -> float:
        """Do the work that is due; return the time of the next work."""
        now = self._clock()
        self._take_back()
        if not self._is_there(now):
            return now + _LOOK_SECONDS
        self._note_hints(now)
        if now >= self._rested:
            if now >= self._next_whole:
                self._scan_everything()
            elif self._marked:
                self._scan_marked()
        self._hand_on()
        scan = self._rested if self._marked else max(self._next_whole, self._rested)
        return min(scan, self._readiness.next_look(), now + _CHECK_SECONDS)

    def end(self) -> None:
        """Take no more files; move the files that the batch has ended."""
        self._source.stop()
        self._take_back()

    def _take_back(self) -> None:
        """Take note of the answers of the batch."""
        for message in self._feed.back():
            self._end(message)

    # --- the folder itself --------------------------------------------------------------

    def _is_there(self, now: float) -> bool:
        """Return whether the folder is there; it may have become another one."""
        identity = self._identified()
        if identity is None:
            if self.present or now >= self._next_notice:
                self._next_notice = now + _MISSING_SECONDS
                self._notice("inbox_missing", "has disappeared; waiting for it")
            self.present = False
            self._received.clear()
            return False
        if not self.present:
            self._notice("inbox_back", "is there again")
        if not self.present or identity != self._identity:
            self.present, self._identity = True, identity
            self._start_hints()
            self._next_whole = self._rested = now
        return True

    def _identified(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._scanner.inbox)
        except OSError:
            return None
        return (found.st_dev, found.st_ino) if os.path.isdir(self._scanner.inbox) else None

    def _start_hints(self) -> None:
        self.polling = False
        reason = self._source.start(self._scanner.inbox, self.receive)
        if reason is not None:
            self._poll(reason)

    def _poll(self, reason: str) -> None:
        """Rely on scans from now on."""
        every = f"it is scanned every {self._interval():g} s"
        self._notice("polling", f"{reason}; {every}" if reason else every)
        self.polling = True

    def _interval(self) -> float:
        return POLL_SECONDS if self._settings.poll is None else self._settings.poll

    def _notice(self, kind: str, text: str) -> None:
        inbox = self._scanner.inbox
        self.notices.append(WatchNotice(kind, inbox, f"{inbox}: {text}"))

    # --- hints and scans ----------------------------------------------------------------

    def _note_hints(self, now: float) -> None:
        """Mark the folders that hints are about."""
        for _ in range(len(self._received)):
            hint = self._received.popleft()
            if isinstance(hint, HintsLost):
                self._next_whole = now
                continue
            folder, path = self._scanner.place_of(hint.path)
            if hint.folder and not is_image_folder(path):
                folder = path
            else:
                self._hinted.add(path)
                self._readiness.hint(path, renamed=hint.renamed)
            if folder in self._scanner.folders:
                self._marked.add(folder)
            elif folder not in self._unknown:
                self._unknown.add(folder)
                self._next_whole = now

    def _scan_everything(self) -> Scan:
        before = self._clock()
        scan = self._scanner.everything()
        self._take(scan)
        paths = {found.path for found in scan.found}
        self.seen = len(paths)
        gone = [path for path in self._handled if path not in paths and scan.covers(path)]
        for path in gone:
            del self._handled[path]
        self._failed &= self._handled.keys()
        folders = self._scanner.folders
        self._unknown = {each for each in self._unknown
                         if each not in folders and os.path.isdir(each)}  # fmt: skip
        if not self.polling and not self._source.covers(len(folders)):
            self._poll("some folders have no events, because the system has no more of them")
        every = self._interval() if self.polling else _WHOLE_SECONDS
        self._next_whole = before + every
        self._rest(before)
        return scan

    def _scan_marked(self) -> None:
        before = self._clock()
        self._take(self._scanner.only(self._marked))
        self._rest(before)

    def _rest(self, before: float) -> None:
        """Wait before the next scan, depending on the time of this one."""
        self._marked.clear()
        self._hinted.clear()
        now = self._clock()
        self._rested = now + _REST * (now - before)

    def _take(self, scan: Scan) -> None:
        """Take note of the files that a scan has found."""
        for found in scan.found:
            path = found.path
            known = self._handled.get(path)
            if known is not None and scan.folders is not None and path not in self._hinted:
                continue
            stamp = stamp_of(path)
            if stamp is not None and stamp != known:
                self._see(found, stamp)

    def _see(self, found: Found, stamp: Stamp) -> None:
        """Take note of a file that is new or has changed."""
        path = found.path
        busy = self._busy.get(path)
        if busy is not None and not busy.stamp.differs(stamp):
            return
        known = self._handled.get(path)
        if path in self._failed and known is not None and not known.differs(stamp):
            self._handled[path] = stamp
            return
        if busy is None and path not in self._readiness and self._judge.knows(found):
            verdict = self._judge.of(found)
            if verdict.kind in ("done", "failed"):
                self._settle(found, stamp, failed=verdict.kind == "failed")
                return
        self._found[path] = found
        self._readiness.see(path, stamp)

    # --- files --------------------------------------------------------------------------

    def _hand_on(self) -> None:
        """Hand on the files that are complete."""
        for path, stamp in self._readiness.complete():
            if path in self._busy:  # later, once more
                self._readiness.see(path, stamp)
                continue
            found = self._found.pop(path)
            verdict = self._judge.of(found)
            if verdict.due:
                outputs = sum(len(due.outputs) for due in verdict.due)
                self._busy[path] = _Busy(found, stamp, outputs)
                for due in verdict.due:
                    self._feed.put(due, stamp)
                continue
            if verdict.error is not None:
                failure = Result(path, "", "failed", stage="plan", error=verdict.error)
                self.notices.append(failure)
            self._settle(found, stamp, failed=verdict.kind != "done")
        if len(self._found) > len(self._readiness):  # some have vanished
            self._found = {path: found for path, found in self._found.items()
                           if path in self._readiness}  # fmt: skip

    def _end(self, message: FileReturned | FileEnded) -> None:
        """Take note of an answer, and of the end of the file if it is its last one."""
        path = message.path
        busy = self._busy.get(path)
        if busy is None:
            return
        if isinstance(message, FileReturned):
            busy.left -= message.outputs
            busy.returned = True
        else:
            busy.left -= 1
            busy.failed |= message.failed
        if busy.left:
            return
        del self._busy[path]
        stamp = stamp_of(path)
        if stamp is None:  # it is gone: if it comes back, it is another file
            self._handled.pop(path, None)
        elif busy.returned or busy.stamp.differs(stamp):
            self._found[path] = busy.found
            self._readiness.see(path, stamp)
        else:
            self._settle(busy.found, stamp, failed=busy.failed)

    def _settle(self, found: Found, stamp: Stamp, *, failed: bool) -> None:
        """Do no more about a file until it changes."""
        path = found.path
        self._handled[path] = stamp
        (self._failed.add if failed else self._failed.discard)(path)
        folder = self._settings.move_failed if failed else self._settings.move_done
        if folder is None:
            return
        try:
            move(path, found.below, folder)
        except OutputError as error:
            self.notices.append(WatchNotice("move_failed", path, str(error)))
        else:
            del self._handled[path]
            self._failed.discard(path)
