"""Placed: the files of a batch with their outputs."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from itertools import repeat
from typing import NamedTuple

from imgpipe.batches.files import Files, Found, MadeLater

__all__ = ["COPY", "Placed", "Renamed", "names_by_folder"]

COPY = -1
"""The number of the output of a file that is copied, among those of a source."""


class Placed(NamedTuple):
    """A source and one of its outputs.

    Attributes
    ----------
    found : Found
        The source.
    output : str
        Path of the output, below the output folder.
    tail : int
        The number of the output among those of a source.
    page : int or None
        The frame of the source, where each has an output.
    """

    found: Found
    output: str
    tail: int = 0
    page: int | None = None


_placed = partial(tuple.__new__, Placed)  # without a call of Python for each of many files


class Renamed(MadeLater[Placed]):
    """Files with one output each, which has the name of the file but for the suffix.

    Parameters
    ----------
    files : Files
        The files.
    suffixes : mapping
        The suffix of the output for each suffix of a file.

    Attributes
    ----------
    files : Files
        The files.
    suffixes : mapping
        The suffixes.
    """

    def __init__(self, files: Files, suffixes: Mapping[str, str]) -> None:
        self.files, self.suffixes = files, suffixes
        self._names = [names for _, names in files.folders]
        if any(old != new for old, new in suffixes.items()):
            self._names = [list(map(self._renamed, names)) for names in self._names]

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[Placed]:
        return map(_placed, zip(self.files, self.outputs, repeat(0), repeat(None)))

    @property
    def outputs(self) -> Iterator[str]:
        """The path of each output."""
        for (folder, _), names in zip(self.files.folders, self._names, strict=True):
            begin = os.path.join(folder.below, "")
            yield from [begin + name for name in names]

    @property
    def by_folder(self) -> Mapping[str, Sequence[str]]:
        """The names of the outputs in each folder."""
        found: dict[str, list[str]] = {}
        for (folder, _), names in zip(self.files.folders, self._names, strict=True):
            found.setdefault(folder.below, []).extend(names)
        return found

    def _renamed(self, name: str) -> str:
        dot = name.rfind(".")
        return name[:dot] + self.suffixes[name[dot:]]


def names_by_folder(placed: Collection[Placed]) -> Mapping[str, Sequence[str]]:
    """Return the names of the outputs in each folder."""
    if isinstance(placed, Renamed):
        return placed.by_folder
    folders: dict[str, list[str]] = {}
    for each in placed:
        folder, _, name = each.output.rpartition(os.sep)
        folders.setdefault(folder, []).append(name)
    return folders
