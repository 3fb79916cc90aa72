"""Disk: the scratch files of a run, and their folder."""

from __future__ import annotations

from typing import NamedTuple

from imgpipe.formats.unnamedfiles import scratch_folder
from imgpipe.machine import lies_in_memory

__all__ = ["Disk", "disk_for"]


class Disk(NamedTuple):
    """The scratch files of a run.

    Attributes
    ----------
    size : int
        Bytes of all of them.
    folder : str
        Their folder; empty if there are none.
    in_memory : bool
        Whether the folder is in memory, so that they count towards the limit.
    """

    size: int = 0
    folder: str = ""
    in_memory: bool = False

    def __str__(self) -> str:
        if not self.size:
            return "none"
        place = "in memory" if self.in_memory else "on disk"
        return f"{self.size / 1e6:,.0f} MB {place}, in {self.folder}"


def disk_for(*sizes: int) -> Disk:
    """Return the space of scratch files of these sizes, in the folder of this run."""
    if not any(sizes):
        return Disk()
    folder = scratch_folder()
    return Disk(sum(sizes), folder, lies_in_memory(folder))
