"""Other files of a tree: no images, and copied as they are."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import time
from collections.abc import Callable

from imgpipe.batches.agenda import Due
from imgpipe.batches.faults import unreadable
from imgpipe.batches.journal.records import Record
from imgpipe.batches.preparation import COPIED, Prepared
from imgpipe.batches.publishing.attributes import preserve
from imgpipe.batches.results import Result, Stage
from imgpipe.errors import ImgpipeError, InputError, OutputError
from imgpipe.publish import OutputFile, explained, make_folder

__all__ = ["copied"]

_BLOCK = 1 << 20


def copied(due: Due, prepared: Prepared, stopped: Callable[[], bool]) -> Result | None:
    """Copy a file; return its end, or None if the batch is to end before.

    Parameters
    ----------
    due : Due
        The file.
    prepared : Prepared
        The batch.
    stopped : callable
        Whether the batch is to end. It is asked between blocks of bytes.
    """
    source, path = due.found.path, prepared.path(due.outputs[0])
    try:
        record = _copy(due, path, prepared, stopped)
        if record is None:
            return None
        assert prepared.journal is not None
        prepared.journal.finished([record])
    except ImgpipeError as error:
        stage: Stage = "read" if isinstance(error, InputError) else "write"
        return Result(source, path, "failed", stage=stage, error=error)
    return Result(source, path, "done", bytes_in=record.size, bytes_out=record.out_size)


def _copy(due: Due, path: str, prepared: Prepared, stopped: Callable[[], bool]) -> Record | None:
    """Copy a file; return its record, or None if the batch is to end."""
    source, (output,) = due.found.path, due.outputs
    with contextlib.ExitStack() as held:
        try:
            file = held.enter_context(open(source, "rb", buffering=0))
            before = os.fstat(file.fileno())
        except OSError as error:
            raise unreadable(source, error) from error
        _make_folder(path)
        target = OutputFile(path)
        held.callback(target.abort)
        assert prepared.journal is not None
        prepared.journal.begin({output: os.path.basename(target.working_path)})
        digest = hashlib.blake2b(digest_size=16)
        while block := _read(file, source):
            if stopped():
                return None
            target.write(block)
            digest.update(block)
        after = os.fstat(file.fileno())
        if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
            raise InputError(f"{source}: changed while it was read; run again when it is complete")
        prepared.journal.sync()
        target.commit()
        try:
            if prepared.choices.preserve:
                preserve(source, path)
            written = os.stat(path)
        except OSError as error:  # it has been removed
            raise OutputError(f"{path}: cannot write: {explained(error, path)}") from error
    return Record(
        output, due.found.below, before.st_size, before.st_mtime_ns, before.st_ctime_ns,
        digest.hexdigest(),
        written.st_size, written.st_mtime_ns, time.time_ns(), COPIED,
        out_digest=digest.hexdigest() if prepared.choices.checksum else "",
    )  # fmt: skip


def _read(file: io.RawIOBase, source: str) -> bytes:
    try:
        return file.read(_BLOCK) or b""
    except OSError as error:
        raise unreadable(source, error) from error


def _make_folder(path: str) -> None:
    folder = os.path.dirname(path)
    try:
        make_folder(folder)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made: {explained(error, folder)}") from error
