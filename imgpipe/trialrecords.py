"""Records of trials, in a file of the user's cache for other processes.

The file has a line for each event: ``equal``, ``different``, ``begun`` or ``ended``, and a key. A
library of C may end the process that tries it. So a process notes that a trial begins. If the
process dies, nothing follows this line. Two such lines count as an outcome: the library is not
tried again. One is not enough, because something else may have ended the process.

A process that notes a trial locks the file until the trial ends. So a line of a process that still
runs does not count. While the file is locked, other processes make their trials without a note.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections import Counter
from collections.abc import Iterator

try:
    import fcntl
except ImportError:  # not a POSIX system: trials are not noted before they end
    fcntl = None  # type: ignore[assignment]

__all__ = ["Record", "record_of", "record_path"]

_RECORD_BYTES = 1 << 20  # after which a record begins anew
_FATAL = 2  # processes that ended in a trial
_EVENTS = ("equal", "different", "begun", "ended")

_records: dict[str, Record] = {}


def record_of(name: str) -> Record:
    """Return the record of an accelerator in this process."""
    path = record_path(name)
    if path not in _records:
        _records[path] = Record(path)
    return _records[path]


def record_path(name: str) -> str:
    """Return the file with the outcomes of an accelerator; empty if the user has no folder."""
    home = os.path.expanduser("~")
    usual = os.path.join(home, ".cache")
    if sys.platform == "darwin":
        usual = os.path.join(home, "Library", "Caches")
    elif sys.platform == "win32":
        usual = os.environ.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local")
    asked = os.environ.get("XDG_CACHE_HOME", "")
    folder = asked if os.path.isabs(asked) else usual
    if not os.path.isabs(folder):  # no HOME, and a user without an entry in the system's list
        return ""
    return os.path.join(folder, "imgpipe", "accelerators", os.path.basename(name))


class Record:
    """The outcomes of an accelerator; a key is text of one line.

    Nothing here fails: without the file, every process makes its own trials.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._outcomes: dict[str, bool] = {}
        self._begun = Counter[str]()

    def outcome(self, key: str) -> bool | None:
        """Return whether a trial showed the same bits; None if there was none."""
        if key not in self._outcomes:
            self._read()
        return self._outcomes.get(key)

    def note(self, key: str, *, equal: bool) -> None:
        """Keep the outcome of a trial."""
        self._outcomes[key] = equal
        self._write("equal" if equal else "different", key)

    @contextlib.contextmanager
    def trial(self, key: str) -> Iterator[bool]:
        """Note that a trial begins; give False if it is not to be made.

        A trial that has ended two processes is not made again.
        """
        with self._locked() as locked:
            if not locked:
                yield True
                return
            self._read()
            if self._begun[key] >= _FATAL:
                yield False
                return
            self._write("begun", key)
            try:
                yield True
            finally:
                if key not in self._outcomes:
                    self._write("ended", key)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[bool]:
        """Lock the file unless another process has, and tell whether."""
        fd, locked = None, False
        try:
            if fcntl is not None and self.path:
                with contextlib.suppress(OSError, ValueError):
                    fd = self._opened()
                    fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    locked = True
            yield locked
        finally:
            if fd is not None:
                with contextlib.suppress(OSError):  # a child may have inherited the lock
                    fcntl.flock(fd, fcntl.LOCK_UN)
                os.close(fd)

    def _opened(self) -> int:
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        return os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | _NO_WAIT, 0o666)

    def _read(self) -> None:
        content = b""
        # If the file is damaged, the trials are made again.
        with contextlib.suppress(OSError, ValueError):
            fd = os.open(self.path, os.O_RDONLY | _NO_WAIT)
            with open(fd, "rb", buffering=0) as file:
                if stat.S_ISREG(os.fstat(fd).st_mode):
                    content = file.read(2 * _RECORD_BYTES)
        outcomes, self._begun = dict[str, bool](), Counter[str]()
        for line in content.decode(errors="replace").splitlines():
            event, _, key = line.partition(" ")
            if event not in _EVENTS:
                continue
            if event == "begun":
                self._begun[key] += 1
                continue
            del self._begun[key]
            if event != "ended":
                outcomes[key] = event == "equal" and outcomes.get(key, True)
        self._outcomes = {**outcomes, **self._outcomes}

    def _write(self, event: str, key: str) -> None:
        line = f"\n{event} {key}\n"  # the last line may be incomplete
        if not self.path:
            return
        with (
            contextlib.suppress(OSError, ValueError),
            open(self._opened(), "ab", buffering=0) as file,
        ):
            if file.tell() > _RECORD_BYTES:
                file.truncate(0)
            file.write(line.encode())


_NO_WAIT = getattr(os, "O_NONBLOCK", 0)  # a pipe in place of the file is not waited for
