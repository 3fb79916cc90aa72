"""Outputs in place of their sources. Another folder can keep the sources.

The ``done`` line of such an output is on the disk before the output takes the place of its source.
If the file is not the one of that line, it is the source, and is made; else it is done. So nothing
is made twice, whenever a run is killed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable

from imgpipe.batches.agenda import Agenda
from imgpipe.batches.inputs.files import Files
from imgpipe.batches.journal.digests import file_digest
from imgpipe.batches.journal.filestatus import status_at
from imgpipe.batches.naming.assignments import Assignment
from imgpipe.batches.work.heldfiles import remove
from imgpipe.errors import OutputError, UsageError
from imgpipe.plurals import counted
from imgpipe.publish import explained, make_folder, sync_folder, synced
from imgpipe.temporaries import temporary_beside

__all__ = ["common_root", "keep", "must_be_free", "must_be_sources"]

_SHOWN = 3


def common_root(files: Files, base: str | None) -> str:
    """Return the folder in which the trees of all files begin.

    Raises
    ------
    UsageError
        If they begin in several.
    """
    if base is not None:
        return base
    roots: dict[str, str] = {}
    for folder in dict.fromkeys(folder for folder, _ in files.folders):
        root = folder.root or os.curdir
        roots.setdefault(os.path.realpath(root), root)
    if len(roots) > 1:
        shown = ", ".join(list(roots.values())[:_SHOWN])
        raise UsageError(
            f"in place: the sources begin in {len(roots)} folders, such as {shown}; --base DIR "
            "says where all of them begin"
        )
    return next(iter(roots.values()), os.curdir)


def must_be_sources(placed: Iterable[Assignment]) -> None:
    """Raise if an output has another name than its source.

    Raises
    ------
    UsageError
        If so.
    """
    for each in placed:
        if os.path.basename(each.output) != each.found.name:
            raise UsageError(
                f"{each.found.path}: cannot be replaced, because its name does not say its format; "
                "call it like that first"
            )


def must_be_free(agenda: Agenda, backup: str, folder: str) -> None:
    """Raise if the folder for replaced sources holds other files of the same names.

    Raises
    ------
    UsageError
        If so, or if it is the folder of the sources.
    """
    if os.path.realpath(backup) == os.path.realpath(folder):
        raise UsageError(f"{backup}: the sources are in this folder; keep them in another one")
    taken = [
        kept
        for due in agenda.due
        for output in due.outputs
        if os.path.lexists(kept := os.path.join(backup, output))
        and not _is_copy(due.found.path, kept, thorough=False)
    ]
    if taken:
        raise UsageError(
            f"{backup}: has {counted(len(taken), 'file')} of these names from another run, such as "
            f"{taken[0]}; choose another folder"
        )


def keep(source: str, kept: str) -> bool:
    """Keep a file under another path as well: by a hard link, or by a copy where that cannot be.

    A folder is kept file by file. It is on the disk when this returns. Nothing is done if it is
    there already.

    Returns
    -------
    bool
        Whether it was not there before.

    Raises
    ------
    OutputError
        If something else is in the way, or it cannot be written.
    """
    try:
        if os.path.lexists(kept):
            if not _is_copy(source, kept, thorough=True):
                raise OutputError(
                    f"{kept}: another file is in the way, and {source} is not replaced; choose "
                    "another folder"
                )
            return False
        make_folder(os.path.dirname(kept))
        try:
            os.link(os.path.realpath(source), kept)
        except OSError:
            _copy(source, kept)
        sync_folder(os.path.dirname(kept))
    except OSError as error:
        told = OutputError(
            f"{kept}: the source cannot be kept: {explained(error, kept)}; it is not replaced"
        )
        raise told from error
    return True


def _copy(source: str, kept: str) -> None:
    temporary = temporary_beside(kept)
    try:
        _linked(source, temporary)
        os.rename(temporary, kept)
    finally:
        remove(temporary)


def _linked(source: str, kept: str) -> None:
    """Make a hard link, or a copy where that cannot be; of a folder, those of its files."""
    if os.path.isdir(source):
        shutil.copytree(source, kept, copy_function=_linked)
        for folder, _, _ in os.walk(kept):
            sync_folder(folder)
        return
    try:
        os.link(os.path.realpath(source), kept)
    except OSError:
        shutil.copy2(source, kept)
        synced(kept)


def _is_copy(source: str, kept: str, *, thorough: bool) -> bool:
    """Return whether `kept` is the file or folder `source`, or looks like a copy of it."""
    try:
        if os.path.samefile(source, kept):
            return True
        one, other = status_at(source), status_at(kept)
        if one.size != other.size:
            return False
        if not thorough:
            return one.mtime_ns == other.mtime_ns
        return file_digest(source) == file_digest(kept)
    except OSError:
        return False
