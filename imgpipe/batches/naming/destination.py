"""Destination: the output folder, its rules for names, and the files in the way."""

from __future__ import annotations

import os
import tempfile
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from imgpipe.batches.inputs.files import Found
from imgpipe.batches.naming.assignments import Assignment, names_by_folder
from imgpipe.errors import OutputError, UsageError

__all__ = ["Destination", "Identity", "NameRules", "sources_by_identity"]

Identity = tuple[int, int]
"""Device and inode of a file, the same for all its names."""

_SHOWN = 10  # groups in a message
_FEW = 16  # outputs of a folder that are looked for one by one


class NameRules(NamedTuple):
    """Differences between names that a file system keeps.

    Attributes
    ----------
    case : bool
        ``A`` and ``a``.
    forms : bool
        The composed and the decomposed form of a letter with an accent.
    """

    case: bool
    forms: bool

    def folded(self, path: str) -> str:
        """Return the same text for all paths that are one file."""
        if not self.forms:
            path = unicodedata.normalize("NFC", path)
        return path if self.case else path.casefold()


_LEAST = NameRules(case=False, forms=False)


class Destination:
    """An output folder, which need not exist yet.

    Parameters
    ----------
    folder : str
        Its path.
    probe : callable, optional
        Returns the rules for names of an existing folder.
    """

    def __init__(self, folder: str, probe: Callable[[str], NameRules] | None = None) -> None:
        self.folder = folder
        self._begin = os.path.join(folder, "")
        self._probe = probe or probed

    def path(self, output: str) -> str:
        """Return the whole path of an output."""
        return self._begin + output

    @cached_property
    def name_rules(self) -> NameRules:
        """Distinctions that its file system makes; a file is made for a moment to find out."""
        here = os.path.realpath(self.folder)
        while not os.path.isdir(here):
            here = os.path.dirname(here)
        return self._probe(here)

    def one_to_one(self, placed: Collection[Assignment], remedy: str) -> Collection[Assignment]:
        """Return `placed`, with the same file twice only once, if no two sources share an output.

        Parameters
        ----------
        placed : collection of Assignment
            Sources with their outputs.
        remedy : str
            The end of the message of an error.

        Raises
        ------
        UsageError
            If two sources have one output, or an output is the folder of another one. Nothing was
            written.
        """
        folders = names_by_folder(placed)
        folded = _folded(folders, _LEAST.folded)
        if _have_folders(folded):
            self._must_be_no_folders(placed, folders)
        if _count(folded) == len(placed):
            return placed
        if self.name_rules == (True, True) and _count(folders) == len(placed):
            return placed
        groups: dict[str, list[Assignment]] = {}
        for each in placed:
            groups.setdefault(self.name_rules.folded(each.output), []).append(each)
        kept = {key: _distinct(group) for key, group in groups.items()}
        shared = [group for group in kept.values() if len(group) > 1]
        if shared:
            raise UsageError(_collisions(shared, self._remedy(shared) or remedy))
        return [group[0] for group in kept.values()]

    def existing(self, placed: Collection[Assignment]) -> set[str]:
        """Return the outputs that something is in the way of.

        Raises
        ------
        UsageError
            If a file is where a folder of outputs has to be.
        """
        if _holds_nothing(self.folder):
            return set()
        folders = names_by_folder(placed)
        self._must_be_free_for(folders)
        return {
            each for below, several in folders.items() for each in self._existing(below, several)
        }

    def must_hold_no_source(self, placed: Iterable[Assignment], existing: set[str]) -> None:
        """Raise if an output is one of the sources.

        Raises
        ------
        UsageError
            If so.
        """
        if existing:
            self.must_be_no_source(existing, sources_by_identity(each.found for each in placed))

    def must_be_no_source(self, outputs: Collection[str], sources: Mapping[Identity, str]) -> None:
        """Raise if an output is one of the sources.

        Parameters
        ----------
        outputs : collection of str
            The outputs, of which some may exist.
        sources : mapping
            Result of `sources_by_identity` for the sources.

        Raises
        ------
        UsageError
            If so.
        """
        for output in sorted(outputs):
            path = self.path(output)
            key = _identity(path)
            if key is not None and key in sources:
                raise UsageError(
                    f"{path}: this output is the source {sources[key]}; choose another folder, or "
                    "use --in-place to replace sources"
                )

    def _remedy(self, groups: Sequence[Sequence[Assignment]]) -> str:
        """Return the remedy for sources with the same path in their trees; empty elsewhere."""
        fold = self.name_rules.folded
        for group in groups:
            if len({fold(each.found.below) for each in group}) == len(group):
                continue
            if len({fold(each.found.path) for each in group}) == len(group):
                return "--base DIR, a folder above all sources, gives each an output of its own"
            return (
                f"{self.folder} cannot tell these names apart; rename one of the sources, or "
                "choose a folder on another file system"
            )
        return ""

    def _must_be_no_folders(self, placed: Collection[Assignment], folders: Iterable[str]) -> None:
        """Raise if an output is the folder of another one."""
        fold = self.name_rules.folded
        above = set(map(fold, _all_above(folders)))
        for each in placed:
            if fold(each.output) in above:
                begin = os.path.join(fold(each.output), "")
                inner = next(one for one in placed if fold(one.output).startswith(begin))
                raise UsageError(
                    f"{each.output} from {each.found.path} would be an image, and the folder of "
                    f"{inner.output} from {inner.found.path}; nothing was written; rename one of "
                    "these sources, or choose other names with --name"
                )

    def _must_be_free_for(self, folders: Mapping[str, Sequence[str]]) -> None:
        """Raise if something that is no folder is in the way of a folder of outputs."""
        for folder in sorted(_all_above(folders)):
            path = self.path(folder)
            if not os.path.isdir(path) and os.path.lexists(path):
                begin = os.path.join(folder, "")
                first = next(os.path.join(below, names[0]) for below, names in folders.items()
                             if os.path.join(below, "").startswith(begin))  # fmt: skip
                raise UsageError(
                    f"{path}: is a file, but has to be the folder of {self.path(first)}; nothing "
                    "was written; move the file away, or choose another output folder"
                )

    def _existing(self, below: str, names: Sequence[str]) -> Iterator[str]:
        """Yield the outputs in one folder whose paths are taken."""
        folder = self.path(below)
        if not os.path.isdir(folder):
            return
        # A name that is not listed may be there still, where case does not matter.
        listed = frozenset(os.listdir(folder)) if len(names) > _FEW else frozenset[str]()
        begin = os.path.join(folder, "")
        for name in names:
            if name in listed or os.path.lexists(begin + name):
                yield os.path.join(below, name)


def probed(folder: str) -> NameRules:
    """Return the distinctions that a folder makes; a file is made in it for a moment.

    Raises
    ------
    OutputError
        If no file can be made there.
    """
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".imgpipe-A\u00c4-") as file:
            head, name = os.path.split(file.name)
            return NameRules(
                case=not os.path.lexists(os.path.join(head, name.swapcase())),
                forms=not os.path.lexists(os.path.join(head, unicodedata.normalize("NFD", name))),
            )
    except OSError as error:
        raise OutputError(f"{folder}: no file can be made here ({error.strerror})") from error


def _holds_nothing(folder: str) -> bool:
    """Return whether a folder is empty, or there is none."""
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is None
    except PermissionError:
        return False
    except OSError:
        return True


def _folded(
    folders: Mapping[str, Sequence[str]], fold: Callable[[str], str]
) -> dict[str, set[str]]:
    """Return the names in each folder, folded: those of a folder all at once, which is quick."""
    found: dict[str, set[str]] = {}
    for folder, names in folders.items():
        found.setdefault(fold(folder), set()).update(fold("\0".join(names)).split("\0"))
    return found


def _count(folders: Mapping[str, Collection[str]]) -> int:
    """Return the number of different names in all folders."""
    return sum(len(set(names)) for names in folders.values())


def _have_folders(folders: Mapping[str, set[str]]) -> bool:
    """Return whether a name in one of the folders is that of another folder, or of its parent."""
    above = (folder.rpartition(os.sep) for folder in _all_above(folders))
    return any(name in folders.get(outer, ()) for outer, _, name in above)


def _all_above(folders: Iterable[str]) -> set[str]:
    """Return folders and all their parents, below the output folder."""
    found: set[str] = set()
    for folder in folders:
        above = folder
        while above and above not in found:
            found.add(above)
            above = above.rpartition(os.sep)[0]
    return found


def _distinct(group: list[Assignment]) -> list[Assignment]:
    """Return `group` without repetitions: the same output of the same file."""
    if len(group) == 1:
        return group
    kept: dict[object, Assignment] = {}
    for each in group:
        path = each.found.path
        kept.setdefault((_identity(path) or path, each.tail, each.page), each)
    return list(kept.values())


def sources_by_identity(files: Iterable[Found]) -> dict[Identity, str]:
    """Return the paths of files by their identity, links or not."""
    paths = (found.path for found in files)
    return {key: path for path in paths if (key := _identity(path)) is not None}


def _identity(path: str) -> Identity | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _collisions(groups: list[list[Assignment]], remedy: str) -> str:
    for group in groups:
        if len({each.found.path for each in group}) == 1:
            return (
                f"{group[0].output}: several outputs of {group[0].found.path} have this name; give "
                "each a name of its own"
            )
    lines = [
        f"  {group[0].output} from {', '.join(each.found.path for each in group)}"
        for group in groups[:_SHOWN]
    ]
    more = [f"  and {len(groups) - _SHOWN:,} more"] if len(groups) > _SHOWN else []
    noun = "output has" if len(groups) == 1 else "outputs have"
    return "\n".join(
        [f"{len(groups):,} {noun} several sources; nothing was written:", *lines, *more, remedy]
    )
