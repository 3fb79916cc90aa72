"""Others: the files of a tree that are no images, which a batch carries over as they are."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import time
from collections.abc import Callable, Iterator

from imgpipe.batches.agenda import Due
from imgpipe.batches.journal import Journal, MadeBy, Record
from imgpipe.batches.preserving import preserve
from imgpipe.batches.results import Result, Stage
from imgpipe.errors import ImgpipeError, InputError, OutputError
from imgpipe.publish import OutputFile, explained

__all__ = ["COPIED", "COPY", "copied"]

COPY = -1
"""The number of the output of a file that is copied, among those of a source."""
COPIED = MadeBy("copy", "", "")
"""What makes such outputs."""

_BLOCK = 1 << 20


def copied(
    copies: list[Due],
    folder: str,
    journal: Journal,
    *,
    preserved: bool,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[Result]:
    """Copy files, and yield the end of each.

    Parameters
    ----------
    copies : list of Due
        The files.
    folder : str
        The output folder.
    journal : Journal
        Gets their lines.
    preserved : bool
        Whether the copies have times, mode and extended attributes of their sources.
    stopped : callable
        Whether the batch is to end. It is asked between blocks of bytes; the file in work is left.
    """
    for due in copies:
        output = due.outputs[0]
        path = os.path.join(folder, output)
        try:
            record = _copy(due, path, journal, preserved=preserved, stopped=stopped)
        except ImgpipeError as error:
            stage: Stage = "read" if isinstance(error, InputError) else "write"
            yield Result(due.found.path, path, "failed", stage=stage, error=error)
            continue
        if record is None:
            return
        journal.finished([record])
        yield Result(due.found.path, path, "done", bytes_in=record.size, bytes_out=record.out_size)


def _copy(
    due: Due, path: str, journal: Journal, *, preserved: bool, stopped: Callable[[], bool]
) -> Record | None:
    """Copy a file; return its record, or None if the batch is to end."""
    source, (output,) = due.found.path, due.outputs
    with contextlib.ExitStack() as held:
        try:
            file = held.enter_context(open(source, "rb", buffering=0))
            before = os.fstat(file.fileno())
        except OSError as error:
            raise InputError(f"{source}: cannot be read ({error.strerror})") from error
        _make_folder(path)
        target = OutputFile(path)
        held.callback(target.abort)
        journal.begin({output: target.working_path})
        digest = hashlib.blake2b(digest_size=16)
        while block := _read(file, source):
            if stopped():
                return None
            target.write(block)
            digest.update(block)
        after = os.fstat(file.fileno())
        if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise InputError(f"{source}: changed while it was read; run again when it is complete")
        target.commit()
        if preserved:
            preserve(source, path)
        written = os.stat(path)
    return Record(
        output, due.found.below, before.st_size, before.st_mtime_ns, before.st_ctime_ns,
        digest.hexdigest(),
        written.st_size, written.st_mtime_ns, time.time_ns(), COPIED,
    )  # fmt: skip


def _read(file: io.RawIOBase, source: str) -> bytes:
    try:
        return file.read(_BLOCK) or b""
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error.strerror})") from error


def _make_folder(path: str) -> None:
    folder = os.path.dirname(path) or os.curdir
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made: {explained(error, folder)}") from error
