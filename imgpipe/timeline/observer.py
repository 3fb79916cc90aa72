"""The observer that writes a timeline to a file."""

from __future__ import annotations

import gzip
import os
import threading
from collections.abc import Iterable, Iterator
from typing import Self

from imgpipe import arguments
from imgpipe.contexts import Context
from imgpipe.errors import UsageError
from imgpipe.events import Event, Finished
from imgpipe.sidefile import SideFile
from imgpipe.timeline.recording import Recording
from imgpipe.timeline.verdict import Verdict, verdict

__all__ = ["Timeline"]

_SUFFIXES = {".html": 30_000, ".json": 200_000}  # and about how many bars such a file holds
_LARGEST_PLAIN = 100_000_000  # bytes; a larger trace is compressed
_CHUNK = 1 << 20


class Timeline(Context):
    """Writes a timeline of one run or of many: a bar for every task, and the bottleneck.

    ::

        with imgpipe.Timeline("run.html") as timeline:
            imgpipe.run("big.png", blur(2), "out.png", on_event=timeline)
        print(timeline.verdict.sentence)

    The file is written at the end of the context, also after a failure. Without a context it is
    written at the end of every run that succeeds. Its folder is made if it is missing. If its disk
    is full, a warning says so.

    Parameters
    ----------
    path : path-like
        The file. ``.html`` is a page that any browser opens; ``.json`` is a trace for
        ui.perfetto.dev, compressed by gzip if it is larger than 100 MB.
    title : str, optional
        The heading of the page; by default source and destination of the first run.

    Attributes
    ----------
    outcome : str
        The end of a batch in words, for the page; empty for runs, which tell their ends.

    Raises
    ------
    UsageError
        If the path has another suffix.
    OutputError
        At the beginning of the context, if the file cannot be written.
    """

    def __init__(self, path: str | os.PathLike[str], *, title: str = "") -> None:
        self.name = arguments.path(path, "path")
        self._suffix = os.path.splitext(self.name)[1].lower()
        if self._suffix not in _SUFFIXES:
            raise UsageError(
                f"{self.name}: a timeline is a .html or .json file; change the suffix of its name"
            )
        self.title, self.outcome = title, ""
        self._recording = Recording(_SUFFIXES[self._suffix])
        self._lock = threading.Lock()  # several runs may be under way
        self._file: SideFile | None = None

    def __enter__(self) -> Self:
        self._file = SideFile(self.name)
        return self

    def close(self, error: BaseException | None = None) -> None:
        """Write the file, unless the run was refused."""
        file, self._file = self._file, None
        if file is not None and isinstance(error, UsageError):
            file.abort()
        elif file is not None:
            self._write(file)

    def __call__(self, event: Event) -> None:
        """Take note of `event`."""
        with self._lock:
            self._recording(event)
            if isinstance(event, Finished) and self._file is None:
                self._write(SideFile(self.name))

    @property
    def verdict(self) -> Verdict:
        """The bottleneck so far: its name, a sentence, and the utilisation of the workers."""
        return verdict(self._recording)

    def _write(self, file: SideFile) -> None:
        try:
            for piece in self._page() if self._suffix == ".html" else self._trace():
                file.write(piece)
        except BaseException:
            file.abort()
            raise
        file.finish()

    def _page(self) -> Iterable[bytes]:
        from imgpipe.timeline.page import page  # noqa: PLC0415 - only at the end

        made = page(self._recording, self.verdict, self.title, self.outcome)
        return (made.encode(errors="replace"),)  # a name may be no text

    def _trace(self) -> Iterable[bytes]:
        from imgpipe.timeline.perfetto import trace_lines  # noqa: PLC0415 - only at the end

        plain = (line.encode() for line in trace_lines(self._recording, self.verdict))
        size = sum(map(len, trace_lines(self._recording, self.verdict)))  # ASCII only
        return _chunks(plain) if size <= _LARGEST_PLAIN else _gzipped(_chunks(plain))


def _chunks(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines in pieces that are worth a system call."""
    held = bytearray()
    for line in lines:
        held += line
        if len(held) >= _CHUNK:
            yield bytes(held)
            held.clear()
    yield bytes(held)


def _gzipped(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield gzip members, which together are one file."""
    for piece in pieces:
        yield gzip.compress(piece, 6, mtime=0)
