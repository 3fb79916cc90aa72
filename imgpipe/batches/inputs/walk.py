"""Walk: the files below a folder, for folders and patterns alike.

Found are the files whose suffix is that of an image format. All others are passed over, and
counted by reason.
"""

from __future__ import annotations

import logging
import operator
import os
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import field
from typing import NamedTuple

from imgpipe.batches.inputs.files import Files, Folder, Found, any_hidden, suffixes_of
from imgpipe.batches.inputs.patterns import EVERYTHING, Pattern, States
from imgpipe.records import dataclass
from imgpipe.registry import FORMATS

__all__ = [
    "JOURNAL_FOLDER",
    "SLIDES",
    "Rules",
    "Walk",
    "image_suffixes",
    "is_image_folder",
]

JOURNAL_FOLDER = ".imgpipe"
"""The folder of the journal, in an output folder."""

_JUNK = frozenset(
    {"@eadir", "#recycle", ".thumbnails", "lost+found", "$recycle.bin", "__macosx", ".trashes"}
)
_IMAGE_FOLDERS = (".zarr",)
SLIDES = frozenset({".avs", ".bif", ".ndpi", ".qptiff", ".scn", ".svs"})
"""Suffixes of slides: TIFF files by other names, which are read but never written."""
_SAY_EVERY = 10_000  # files

_name_of = operator.attrgetter("name")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rules:
    """Rules of a walk.

    Attributes
    ----------
    hidden : bool
        Take files and folders whose name begins with a dot, but not those of macOS (``._*``).
    follow : bool
        Follow links to files and folders.
    one_file_system : bool
        Stay on the file system of the folder in which the walk begins.
    max_depth : int or None
        Folders to enter below that folder; 0 for none.
    suffixes : collection of str or None
        Suffixes of the files to take, in lower case; None for those of image formats.
    include, exclude : tuple of Pattern
        Take only what matches one of `include`, and nothing that matches one of `exclude`. A
        pattern without a separator matches names, any other the path below the first folder.
    outputs : tuple of (int, int)
        Device and inode of the folders of outputs, which are left out.
    others : bool
        Whether files of other suffixes are collected.
    """

    hidden: bool = False
    follow: bool = False
    one_file_system: bool = False
    max_depth: int | None = None
    suffixes: Collection[str] | None = None
    include: tuple[Pattern, ...] = ()
    exclude: tuple[Pattern, ...] = ()
    outputs: tuple[tuple[int, int], ...] = ()
    others: bool = False


class _Place(NamedTuple):
    """A folder that is to be read, and the rules for its entries."""

    folder: Folder
    states: States
    depth: int
    device: int
    above: frozenset[tuple[int, int]]  # the folders it is in, where links are followed


class _Step(NamedTuple):
    """One entry of a folder.

    Attributes
    ----------
    entry : os.DirEntry
        The entry.
    place : _Place
        The folder, with the states of the pattern after the entry.
    wanted : bool
        Whether its name is that of an image, and the pattern matches.
    """

    entry: os.DirEntry[str]
    place: _Place
    wanted: bool


@dataclass
class Walk:
    """A walk through several folders.

    Parameters
    ----------
    rules : Rules
        Its rules.
    on_count : callable
        Called now and then with the number of files so far.

    Attributes
    ----------
    passed_over : Counter
        Number of files and folders that were passed over, by reason.
    others : list of Found
        Files that are no images, if the rules want them.
    unreadable : list of (str, OSError)
        Folders that could not be read.
    roots : int
        Number of folders in which it began.
    entered : list of Folder
        The folders that were read.
    """

    rules: Rules = field(default_factory=Rules)
    on_count: Callable[[int], None] = lambda _: None
    passed_over: Counter[str] = field(default_factory=Counter)
    others: list[Found] = field(default_factory=list)
    unreadable: list[tuple[str, OSError]] = field(default_factory=list)

    def __post_init__(self) -> None:
        wanted, self._images = self.rules.suffixes, image_suffixes() | SLIDES
        if wanted is None:
            wanted = self._images
        self._suffixes = frozenset(f".{suffix.removeprefix('.')}" for suffix in wanted)
        self._inodes = {inode for _, inode in self.rules.outputs}
        self._choosy = bool(self.rules.include or self.rules.exclude)
        self._count, self._told = 0, 0
        self.roots = 0
        self.entered: list[Folder] = []
        self._seen = set[tuple[int, int]]()  # files, where links are followed

    def through(self, root: Folder, pattern: Pattern = EVERYTHING) -> Files:
        """Return the files below `root` that match `pattern`, folder by folder, by name."""
        here = root.path or os.curdir
        found, links = Files(), list[Found]()
        self.roots += 1
        try:
            device = os.stat(here).st_dev
        except OSError as error:
            self.unreadable.append((here, error))
            return found
        above = frozenset(_folders_above(here)) if self.rules.follow else frozenset()
        waiting = [_Place(root, pattern.start, 0, device, above)]
        while waiting:
            waiting.extend(reversed(self._read(waiting.pop(), pattern, found, links)))
            if len(found) + self._count >= self._told + _SAY_EVERY:
                self._told = len(found) + self._count
                self.on_count(self._told)
        self._count += len(found)
        for link in self._inside(links, found, here) if links else ():
            found.add(link.folder, [link.name])
        return found

    def pass_over(self, path: str, reason: str) -> None:
        """Count a file or folder that is passed over."""
        self.passed_over[reason] += 1
        if _log.isEnabledFor(logging.INFO):
            _log.info("%s: passed over (%s)", path, reason.replace("_", " "))

    def _read(
        self, place: _Place, pattern: Pattern, found: Files, links: list[Found]
    ) -> list[_Place]:
        """Add the files of a folder; return the folders in it that are to be read."""
        folder = place.folder
        try:
            with os.scandir(folder.path or os.curdir) as listing:
                entries = list(listing)
        except OSError as error:
            self.unreadable.append((folder.path, error))
            return []
        if pattern is EVERYTHING and not (self._choosy or self.rules.follow):
            names = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
            if names and len(names) == len(entries) and self._adds_all(folder, names, found):
                return []
        if place.depth and JOURNAL_FOLDER in map(_name_of, entries):
            self.pass_over(folder.path, "earlier_output")
            return []
        self.entered.append(folder)
        return self._add_each(entries, place, pattern, found, links)

    def _adds_all(self, folder: Folder, names: list[str], found: Files) -> bool:
        """Return whether a folder holds only images that are taken, as most do: this is quick."""
        suffixes = suffixes_of(names)
        if any_hidden(names) or not self._suffixes.issuperset(map(str.lower, suffixes)):
            return False
        self.entered.append(folder)
        found.add(folder, sorted(names), suffixes)
        return True

    def _add_each(
        self,
        entries: list[os.DirEntry[str]],
        place: _Place,
        pattern: Pattern,
        found: Files,
        links: list[Found],
    ) -> list[_Place]:
        """Add the files of a folder one by one; return the folders in it that are to be read."""
        folder = place.folder
        taken: list[str] = []
        inner: list[_Place] = []
        for entry in sorted(entries, key=_name_of):
            name = entry.name
            if name[0] == "." and not self._takes_hidden(entry):
                continue
            states = place.states if pattern is EVERYTHING else pattern.after(place.states, name)
            if not states or (self._choosy and self._excludes(entry, folder)):
                continue
            wanted = name[name.rfind(".") :].lower() in self._suffixes and pattern.ends(states)
            if not entry.is_file(follow_symlinks=False):
                step = _Step(entry, place._replace(states=states), wanted)
                self._take_other_than_file(step, taken, links, inner)
            elif not wanted:
                self._other(entry, folder, matched=pattern.ends(states))
            elif not self.rules.follow or self._is_new(entry):
                taken.append(name)
        if taken:
            found.add(folder, taken)
        return inner

    def _takes_hidden(self, entry: os.DirEntry[str]) -> bool:
        """Return whether a file or folder is taken although its name begins with a dot."""
        if entry.name == JOURNAL_FOLDER:
            return False
        if self.rules.hidden and not entry.name.startswith("._"):
            return True
        self.pass_over(entry.path, "hidden")
        return False

    def _excludes(self, entry: os.DirEntry[str], folder: Folder) -> bool:
        """Return whether a file or folder is left out by ``include`` and ``exclude``."""
        below = os.path.join(folder.below, entry.name)
        rules = self.rules
        if any(_matches(pattern, below, entry.name) for pattern in rules.exclude):
            self.pass_over(entry.path, "excluded")
            return True
        if not rules.include or entry.is_dir(follow_symlinks=rules.follow):
            return False
        if any(_matches(pattern, below, entry.name) for pattern in rules.include):
            return False
        self.pass_over(entry.path, "excluded")
        return True

    def _other(self, entry: os.DirEntry[str], folder: Folder, *, matched: bool) -> None:
        """Take note of a file that is no image, or that a pattern does not match."""
        if not matched:
            return
        if self.rules.others:
            self.others.append(Found(folder, entry.name))
        else:
            self.pass_over(entry.path, self._reason(entry.name))

    def _reason(self, name: str) -> str:
        """Return the reason to pass over a file whose suffix is not taken."""
        is_image = name[name.rfind(".") :].lower() in self._images
        return "other_suffix" if is_image else "not_image"

    def _take_other_than_file(
        self, step: _Step, taken: list[str], links: list[Found], inner: list[_Place]
    ) -> None:
        """Deal with a folder, a link or a special file."""
        entry = step.entry
        if not os.path.exists(entry.path):
            self.pass_over(entry.path, "link_to_nothing")
        elif entry.is_dir():
            if step.wanted and is_image_folder(entry.name):
                taken.append(entry.name)
            elif entry.is_symlink() and not self.rules.follow:
                self.pass_over(entry.path, "link_to_folder")
            elif (place := self._entered(step)) is not None:
                inner.append(place)
        elif not entry.is_file():
            self.pass_over(entry.path, "special_file")
        elif not step.wanted:
            self.pass_over(entry.path, self._reason(entry.name))
        elif not self.rules.follow:
            links.append(Found(step.place.folder, entry.name))
        elif self._is_new(entry):
            taken.append(entry.name)

    def _entered(self, step: _Step) -> _Place | None:
        """Return the place of a folder, None if the rules forbid the walk to enter it."""
        entry, place, rules = step.entry, step.place, self.rules
        reason = ""
        above = place.above
        if rules.max_depth is not None and place.depth >= rules.max_depth:
            reason = "too_deep"
        elif entry.name.lower() in _JUNK:
            reason = "junk"
        elif rules.follow or rules.one_file_system or entry.inode() in self._inodes:
            status = os.stat(entry.path)
            key = (status.st_dev, status.st_ino)
            if key in rules.outputs:
                reason = "output"
            elif rules.one_file_system and status.st_dev != place.device:
                reason = "other_file_system"
            elif key in above:
                reason = "loop"
            elif rules.follow:
                above |= {key}
        if reason:
            self.pass_over(entry.path, reason)
            return None
        folder = place.folder.child(entry.name)
        return place._replace(folder=folder, depth=place.depth + 1, above=above)

    def _is_new(self, entry: os.DirEntry[str]) -> bool:
        """Return whether a file was not found by another way, where links are followed."""
        status = entry.stat()
        key = (status.st_dev, status.st_ino)
        if key in self._seen:
            self.pass_over(entry.path, "same_file")
            return False
        self._seen.add(key)
        return True

    def _inside(self, links: list[Found], found: Files, here: str) -> list[Found]:
        """Return the links to files of the tree that were not found themselves."""
        root = os.path.realpath(here)
        known = {os.path.realpath(each.path) for each in found}
        taken: list[Found] = []
        for link in links:
            target = os.path.realpath(link.path)
            if not target.startswith(os.path.join(root, "")):
                self.pass_over(link.path, "link_outside")
            elif target in known:
                self.pass_over(link.path, "same_file")
            else:
                known.add(target)
                taken.append(link)
        return taken


def image_suffixes() -> frozenset[str]:
    """Return the suffixes of all formats, in lower case."""
    return frozenset(suffix for member in FORMATS.values() for suffix in member.suffixes)


def is_image_folder(name: str) -> bool:
    """Return whether a folder of that name is an image."""
    return name.rstrip(os.sep).lower().endswith(_IMAGE_FOLDERS)


def _matches(pattern: Pattern, below: str, name: str) -> bool:
    return pattern.matches(below if pattern.has_folders else name)


def _folders_above(path: str) -> list[tuple[int, int]]:
    """Return device and inode of the folder `path` and of all folders above it."""
    found = []
    here = os.path.realpath(path)
    while True:
        status = os.stat(here)
        found.append((status.st_dev, status.st_ino))
        if here == os.path.dirname(here):
            return found
        here = os.path.dirname(here)
