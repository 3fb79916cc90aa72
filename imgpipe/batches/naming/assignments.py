"""Assignments: the sources of a batch with their outputs."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from itertools import repeat
from typing import NamedTuple

from imgpipe.batches.inputs.files import Files, Found, MadeLater

__all__ = ["COPY", "Assignment", "RenamedAssignments", "names_by_folder"]

COPY = -1
"""The number of the output of a file that is copied, among those of a source."""


class Assignment(NamedTuple):
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


_placed = partial(tuple.__new__, Assignment)  # without a call of Python for each of many files


class RenamedAssignments(MadeLater[Assignment]):
    """Files whose outputs have the same name with another suffix.

    Parameters
    ----------
    files : Files
        The files.
    suffixes : mapping
        The suffixes of the outputs for each suffix of a file: equally many for all files.

    Attributes
    ----------
    files : Files
        The files.
    suffixes : mapping
        The suffixes.
    tails : tuple of int
        The numbers of the outputs of each file.
    """

    def __init__(self, files: Files, suffixes: Mapping[str, tuple[str, ...]]) -> None:
        self.files, self.suffixes = files, suffixes
        self.tails = tuple(range(max(map(len, suffixes.values()), default=1)))
        self._names = [list(self._named(tail)) for tail in self.tails]  # folder by folder

    def __len__(self) -> int:
        return len(self.files) * len(self.tails)

    def __iter__(self) -> Iterator[Assignment]:
        for found, outputs in zip(self.files, self.outputs, strict=True):
            yield from map(_placed, zip(repeat(found), outputs, self.tails, repeat(None)))

    @property
    def outputs(self) -> Iterator[tuple[str, ...]]:
        """The paths of the outputs of each file."""
        for (folder, _), *several in zip(self.files.folders, *self._names, strict=True):
            begin = os.path.join(folder.below, "")
            yield from zip(*([begin + name for name in names] for names in several), strict=True)

    @property
    def by_folder(self) -> Mapping[str, Sequence[str]]:
        """The names of the outputs in each folder."""
        found: dict[str, list[str]] = {}
        for several in self._names:
            for (folder, _), names in zip(self.files.folders, several, strict=True):
                found.setdefault(folder.below, []).extend(names)
        return found

    def _named(self, tail: int) -> Iterator[list[str]]:
        """Yield the names of the outputs of this number, folder by folder."""
        new = {suffix: several[tail] for suffix, several in self.suffixes.items()}
        stays = all(old == suffix for old, suffix in new.items())
        for _, names in self.files.folders:
            yield names if stays else [_renamed(name, new) for name in names]


def _renamed(name: str, suffixes: Mapping[str, str]) -> str:
    dot = name.rfind(".")
    return name[:dot] + suffixes[name[dot:]]


def names_by_folder(placed: Collection[Assignment]) -> Mapping[str, Sequence[str]]:
    """Return the names of the outputs in each folder."""
    if isinstance(placed, RenamedAssignments):
        return placed.by_folder
    folders: dict[str, list[str]] = {}
    for each in placed:
        folder, _, name = each.output.rpartition(os.sep)
        folders.setdefault(folder, []).append(name)
    return folders
