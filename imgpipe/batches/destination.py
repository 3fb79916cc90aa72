"""Destination: what an output folder can tell apart, and what is in the way there."""

from __future__ import annotations

import operator
import os
import tempfile
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from imgpipe.batches.walk import Found
from imgpipe.errors import OutputError, UsageError

__all__ = ["COPY", "Destination", "Distinguishes", "Placed"]

COPY = -1
"""The number of the output of a file that is copied, among those of a source."""

_SHOWN = 10  # groups in a message
_FEW = 16  # outputs of a folder that are looked for one by one


class Distinguishes(NamedTuple):
    """The names that a file system can tell apart.

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


_LEAST = Distinguishes(case=False, forms=False)


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


_output_of = operator.attrgetter("output")


class Destination:
    """An output folder, which need not exist yet.

    Parameters
    ----------
    folder : str
        Its path.
    probe : callable, optional
        Tells what a folder that exists can distinguish.
    """

    def __init__(self, folder: str, probe: Callable[[str], Distinguishes] | None = None) -> None:
        self.folder = folder
        self._begin = os.path.join(folder, "")
        self._probe = probe or probed

    def path(self, output: str) -> str:
        """Return the whole path of an output."""
        return self._begin + output

    @cached_property
    def distinguishes(self) -> Distinguishes:
        """What its file system can tell apart; a file is made for a moment to find out."""
        here = os.path.realpath(self.folder)
        while not os.path.isdir(here):
            here = os.path.dirname(here)
        return self._probe(here)

    def one_to_one(self, placed: Sequence[Placed], remedy: str) -> list[Placed]:
        """Return `placed`, with the same file twice only once, if no two sources share an output.

        Parameters
        ----------
        placed : sequence of Placed
            Sources with their outputs.
        remedy : str
            The end of the message of an error.

        Raises
        ------
        UsageError
            If two sources have one output, or an output is the folder of another one. Nothing was
            written.
        """
        outputs = list(map(_output_of, placed))
        folded = _folded(outputs)
        self._must_be_no_folders(placed, outputs, folded)
        if len(folded) == len(outputs):
            return list(placed)
        if len(set(outputs)) == len(outputs) and self.distinguishes == (True, True):
            return list(placed)
        groups: dict[str, list[Placed]] = {}
        for each in placed:
            groups.setdefault(self.distinguishes.folded(each.output), []).append(each)
        kept = {key: _distinct(group) for key, group in groups.items()}
        shared = [group for group in kept.values() if len(group) > 1]
        if shared:
            raise UsageError(_collisions(shared, remedy))
        return [group[0] for group in kept.values()]

    def existing(self, outputs: Iterable[str]) -> set[str]:
        """Return the outputs that something is in the way of.

        Raises
        ------
        UsageError
            If a file is where a folder of outputs has to be.
        """
        if _holds_nothing(self.folder):
            return set()
        folders: dict[str, list[str]] = {}
        for output in outputs:
            folders.setdefault(output.rpartition(os.sep)[0], []).append(output)
        self._must_be_free_for(folders)
        return {
            each for below, several in folders.items() for each in self._existing(below, several)
        }

    def must_hold_no_source(self, placed: Iterable[Placed], existing: set[str]) -> None:
        """Raise if an output is one of the sources.

        Raises
        ------
        UsageError
            If so.
        """
        if not existing:
            return
        sources = {}
        for each in placed:
            if (key := _identity(each.found.path)) is not None:
                sources[key] = each.found.path
        for output in sorted(existing):
            path = self.path(output)
            if (key := _identity(path)) in sources:
                raise UsageError(
                    f"{path}: this output is the source {sources[key]}; choose another folder, or "
                    "use --in-place to replace sources"
                )

    def _must_be_no_folders(
        self, placed: Sequence[Placed], outputs: Sequence[str], folded: set[str]
    ) -> None:
        """Raise if an output is the folder of another one."""
        above = _all_above({output.rpartition(os.sep)[0] for output in outputs})
        if above.isdisjoint(folded) and _folded(above).isdisjoint(folded):
            return
        fold = self.distinguishes.folded
        above = set(map(fold, above))
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
                first = next(outputs[0] for below, outputs in folders.items()
                             if os.path.join(below, "").startswith(begin))  # fmt: skip
                raise UsageError(
                    f"{path}: is a file, but has to be the folder of {self.path(first)}; nothing "
                    "was written; move the file away, or choose another output folder"
                )

    def _existing(self, below: str, outputs: Sequence[str]) -> Iterator[str]:
        """Yield the outputs in one folder that something is in the way of."""
        folder = self.path(below)
        if not os.path.isdir(folder):
            return
        # A name that is not listed may be there still, where case does not matter.
        listed = frozenset(os.listdir(folder)) if len(outputs) > _FEW else frozenset[str]()
        for output in outputs:
            if output.rpartition(os.sep)[2] in listed or os.path.lexists(self.path(output)):
                yield output


def probed(folder: str) -> Distinguishes:
    """Return what a folder can distinguish, by a file that is made in it for a moment.

    Raises
    ------
    OutputError
        If no file can be made there.
    """
    try:
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".imgpipe-A\u00c4-") as file:
            head, name = os.path.split(file.name)
            return Distinguishes(
                case=not os.path.lexists(os.path.join(head, name.swapcase())),
                forms=not os.path.lexists(os.path.join(head, unicodedata.normalize("NFD", name))),
            )
    except OSError as error:
        raise OutputError(f"{folder}: no file can be made here ({error.strerror})") from error


def _holds_nothing(folder: str) -> bool:
    """Whether a folder is empty, or there is none."""
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is None
    except PermissionError:
        return False
    except OSError:
        return True


def _folded(paths: Collection[str]) -> set[str]:
    """Return the files that paths are if nothing is told apart; all at once is quick."""
    return set(_LEAST.folded("\0".join(paths)).split("\0")) if paths else set()


def _all_above(folders: Iterable[str]) -> set[str]:
    """Return folders and all folders that they are in, below that of the outputs."""
    found: set[str] = set()
    for folder in folders:
        above = folder
        while above and above not in found:
            found.add(above)
            above = above.rpartition(os.sep)[0]
    return found


def _distinct(group: list[Placed]) -> list[Placed]:
    """Return `group` without what is made of the same file in the same way as one before it."""
    if len(group) == 1:
        return group
    kept: dict[object, Placed] = {}
    for each in group:
        path = each.found.path
        kept.setdefault((_identity(path) or path, each.tail, each.page), each)
    return list(kept.values())


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _collisions(groups: list[list[Placed]], remedy: str) -> str:
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
