"""Files that were found, by folder. Each has a name, and gets an object when it is needed."""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple, TypeVar

__all__ = ["Files", "Folder", "Found", "MadeLater", "any_hidden", "suffix_of", "suffixes_of"]

_Item_co = TypeVar("_Item_co", covariant=True)


class Folder(NamedTuple):
    """A folder, as all its files share it.

    Attributes
    ----------
    path : str
        Its path, empty for the current folder.
    below : str
        Its path below the place where its tree begins, empty for that place.
    """

    path: str
    below: str

    @property
    def root(self) -> str:
        """The folder where its tree begins, empty for the current folder."""
        if not self.below or not self.path.endswith(self.below):
            return self.path
        root = self.path[: -len(self.below)]
        return root.rstrip(os.sep) or root[:1]

    def child(self, name: str) -> Folder:
        """Return the folder `name` in this one."""
        return Folder(os.path.join(self.path, name), os.path.join(self.below, name))


class Found(NamedTuple):
    """A file that was found.

    Attributes
    ----------
    folder : Folder
        The folder that it is in.
    name : str
        Its name. Bytes that are no UTF-8 are surrogates in it, as `os.fsdecode` makes them.
    """

    folder: Folder
    name: str

    @property
    def path(self) -> str:
        """Its path."""
        folder = self.folder.path
        return f"{folder}{os.sep}{self.name}" if folder[-1:] not in _ENDS else folder + self.name

    @property
    def below(self) -> str:
        """Its path below the place where its tree begins."""
        below = self.folder.below
        return f"{below}{os.sep}{self.name}" if below else self.name


_ENDS = ("", os.sep)  # of folders after which no separator comes
_found = partial(tuple.__new__, Found)  # without a call of Python for each of many files


class MadeLater(Collection[_Item_co]):
    """Objects that are made each time they are gone through: many of them would take much."""

    def __contains__(self, item: object) -> bool:
        return any(item == each for each in self)


class Files(MadeLater[Found]):
    """Files in their order.

    Parameters
    ----------
    files : iterable of Found
        The first of them.

    Attributes
    ----------
    folders : list of (Folder, list of str)
        Folders with the names of their files. A folder may come again.
    suffixes : Counter
        Number of files by suffix, see `suffix_of`.
    """

    def __init__(self, files: Iterable[Found] = ()) -> None:
        self.folders: list[tuple[Folder, list[str]]] = []
        self.suffixes: Counter[str] = Counter()
        for folder, several in itertools.groupby(files, lambda found: found.folder):
            self.add(folder, [found.name for found in several])

    def __len__(self) -> int:
        return self.suffixes.total()

    def __iter__(self) -> Iterator[Found]:
        for folder, names in self.folders:
            yield from map(_found, zip(itertools.repeat(folder), names))

    def add(
        self, folder: Folder, names: list[str], suffixes: Mapping[str, int] | None = None
    ) -> None:
        """Add files of a folder, of which there is at least one.

        Parameters
        ----------
        folder : Folder
            The folder.
        names : list of str
            Their names. The list stays with these files.
        suffixes : mapping, optional
            Result of `suffixes_of` for these names, if that is known.
        """
        self.folders.append((folder, names))
        self.suffixes.update(suffixes_of(names) if suffixes is None else suffixes)


def suffix_of(name: str) -> str:
    """Return the end of a name from its last dot on, unless there are only dots before it."""
    stem, dot, end = name.rpartition(".")
    return dot + end if stem.strip(".") else ""


def suffixes_of(names: Sequence[str]) -> Counter[str]:
    """Return the number of names with each suffix, see `suffix_of`; there is at least one name."""
    suffix = suffix_of(names[0])
    if suffix and all(map(str.endswith, names, itertools.repeat(suffix))) and not any_hidden(names):
        return Counter({suffix: len(names)})  # as in most folders: this is quick
    return Counter(map(suffix_of, names))


def any_hidden(names: Sequence[str]) -> bool:
    """Return whether one of the names begins with a dot."""
    return any([name[0] == "." for name in names])  # noqa: C419 - a list is quicker
