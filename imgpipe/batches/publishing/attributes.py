"""Attributes: times, mode and extended attributes of sources, for their outputs."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable

from imgpipe.batches.inputs.files import Folder
from imgpipe.batches.journal.filestatus import status_at

__all__ = ["FolderTimes", "preserve"]


def preserve(source: str, output: str) -> int:
    """Give an output the times, the mode and the extended attributes of its source.

    It is done to the temporary, when all its bytes are written: renaming it changes none of these.
    Attributes that the file system of the output cannot hold are left out.

    Returns
    -------
    int
        The time of change of the output, in ns: part of its record in the journal.
    """
    with contextlib.suppress(OSError):
        shutil.copystat(source, output)
    return status_at(output).mtime_ns


class FolderTimes:
    """The folders that a batch makes, which get the times of the folders of their sources.

    Parameters
    ----------
    folders : iterable of Folder
        The folders of the sources.
    output : str
        The output folder. Those that are there already keep their times.
    """

    def __init__(self, folders: Iterable[Folder], output: str) -> None:
        self._pairs: dict[str, str] = {}
        for folder in folders:
            path, below = folder.path or os.curdir, folder.below
            while (made := os.path.join(output, below)) not in self._pairs:
                if os.path.lexists(made):
                    break
                self._pairs[made] = path
                if not below:
                    break
                path, below = os.path.join(path, os.pardir), os.path.dirname(below)

    def set(self) -> None:
        """Set the times, when all files are in their folders."""
        for made, source in self._pairs.items():
            with contextlib.suppress(OSError):
                found = os.stat(source)
                os.utime(made, ns=(found.st_atime_ns, found.st_mtime_ns))
