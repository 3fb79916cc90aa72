"""Scan: the folders to look through, and the files in them.

Events only mark folders. The walk of a batch decides about the files.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from imgpipe.batches.inputs.files import Folder, Found
from imgpipe.batches.inputs.walk import Rules, Walk, is_image_folder
from imgpipe.records import dataclass

__all__ = ["Scan", "Scanner"]


@dataclass(frozen=True)
class Scan:
    """The result of a scan.

    Attributes
    ----------
    found : list of Found
        The files.
    folders : set of str or None
        The folders that were looked through; None for all there are.
    passed_over : Counter
        Number of files and folders that were passed over, by reason.
    unreadable : list of str
        Folders that could not be looked through.
    """

    found: list[Found]
    folders: set[str] | None
    passed_over: Counter[str]
    unreadable: list[str]

    def covers(self, path: str) -> bool:
        """Return whether a file would have been found if it was still there."""
        folder = os.path.dirname(path)
        if any(_is_within(folder, each) for each in self.unreadable):
            return False
        return self.folders is None or folder in self.folders


class Scanner:
    """Looks through a folder, or parts of it.

    Parameters
    ----------
    inbox : str
        The folder.
    rules : Rules
        Rules of the walk.

    Attributes
    ----------
    folders : dict
        The folders that the last scan of everything has entered, by path.
    """

    def __init__(self, inbox: str, rules: Rules) -> None:
        self.inbox, self._rules = inbox, rules
        self.folders: dict[str, Folder] = {}

    def everything(self) -> Scan:
        """Scan the whole folder."""
        walk = _Counting(self._rules)
        found = walk.through(Folder(self.inbox, ""))
        self.folders = {folder.path: folder for folder in walk.entered}
        return _scan(walk, found, None)

    def only(self, folders: Iterable[str]) -> Scan:
        """Scan folders that are known, without the folders in them."""
        if self._rules.follow:  # whether a file is known by another way only a whole walk can tell
            return self.everything()
        walk = _Counting(replace(self._rules, max_depth=0))
        chosen = sorted(set(folders) & self.folders.keys())
        found = [each for path in chosen for each in walk.through(self.folders[path])]
        return _scan(walk, found, set(chosen))

    def place_of(self, path: str) -> tuple[str, str]:
        """Return the folder that an event marks, and the file that it is about.

        Parameters
        ----------
        path : str
            The path of the event. It may lie in a folder that is an image.
        """
        inner = os.path.relpath(path, self.inbox).split(os.sep)
        for number, name in enumerate(inner):
            if is_image_folder(name):
                path = os.path.join(self.inbox, *inner[: number + 1])
                break
        return os.path.dirname(path), path


class _Counting(Walk):
    """A walk that only counts the files that it passes over: it comes again every minute."""

    def pass_over(self, path: str, reason: str) -> None:
        """Count a file or folder that is passed over."""
        self.passed_over[reason] += 1


def _scan(walk: Walk, found: Iterable[Found], folders: set[str] | None) -> Scan:
    unreadable = [path for path, _ in walk.unreadable]
    return Scan(list(_once(found)), folders, walk.passed_over, unreadable)


def _once(found: Iterable[Found]) -> Iterator[Found]:
    yield from dict.fromkeys(found)


def _is_within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(os.path.join(folder, ""))
