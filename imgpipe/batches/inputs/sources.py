"""Sources: the files that folders, patterns, names and lists stand for.

The place where a tree begins decides the paths below the output folder. It is the folder that was
given, the folder before the first wildcard of a pattern, the folder of a file that was given by
name, and the current folder for the names in a list.
"""

from __future__ import annotations

import itertools
import os
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import field

from imgpipe.batches.inputs.files import Files, Folder, Found
from imgpipe.batches.inputs.patterns import Pattern, has_wildcards, split_pattern
from imgpipe.batches.inputs.walk import Rules, Walk, is_image_folder
from imgpipe.batches.progress.wording import passed_over_line
from imgpipe.errors import UsageError
from imgpipe.records import dataclass

__all__ = ["Gathered", "gather", "is_tree"]


@dataclass
class Gathered:
    """The files that sources name.

    Attributes
    ----------
    files : Files
        The files, in the order of the sources, and by name in each folder.
    others : list of Found
        Files below the folders that are no images, if they were wanted.
    passed_over : Counter
        Number of files and folders that were passed over, by reason.
    missing : list of str
        Names in lists that do not exist.
    unreadable : list of (str, OSError)
        Folders that could not be read.
    """

    files: Files = field(default_factory=Files)
    others: list[Found] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)
    missing: list[str] = field(default_factory=list)
    unreadable: list[tuple[str, OSError]] = field(default_factory=list)


def gather(
    sources: Sequence[str],
    *,
    rules: Rules | None = None,
    lists: Iterable[Iterable[str]] = (),
    base: str | None = None,
    allow_empty: bool = False,
    on_count: Callable[[int], None] = lambda _: None,
    is_output: Callable[[Found], bool] | None = None,
) -> Gathered:
    """Return the files that `sources` and `lists` name.

    Parameters
    ----------
    sources : sequence of str
        Files, folders and patterns. What exists is taken as it is; only then is it a pattern.
    rules : Rules, optional
        Rules of the walk through folders. A file that is named is always taken.
    lists : iterable of iterables of str
        Names of files or folders; relative names keep their path below the current folder.
    base : str, optional
        The folder where all trees begin.
    allow_empty : bool
        Whether a folder or a pattern may yield no file.
    on_count : callable
        Called now and then with the number of files so far.
    is_output : callable, optional
        Tells the outputs of earlier runs in the folders: they are passed over.

    Raises
    ------
    UsageError
        If a source does not exist, yields no file, or is not below `base`.
    """
    gathering = _Gathering(Walk(rules or Rules(), on_count), base, allow_empty, is_output)
    for source in sources:
        gathering.add(source)
    for names in lists:
        for name in names:
            gathering.add_listed(name)
    return gathering.gathered()


def is_tree(source: str) -> bool:
    """Return whether `source` stands for any number of files: a folder or a pattern."""
    if os.path.lexists(source):
        return os.path.isdir(source) and not is_image_folder(source)
    return has_wildcards(source)


class _Gathering:
    def __init__(
        self,
        walk: Walk,
        base: str | None,
        allow_empty: bool,  # noqa: FBT001
        is_output: Callable[[Found], bool] | None,
    ) -> None:
        self._walk, self._base, self._allow_empty = walk, base, allow_empty
        self._is_output = is_output
        self._found: list[Files | tuple[Found]] = []
        self._missing: list[str] = []
        self._folders: dict[tuple[str, str], Folder] = {}  # by path and where it begins

    def gathered(self) -> Gathered:
        """Return all that was added, each path once."""
        walk = self._walk
        match self._found:
            case [Files() as files]:
                pass
            case found:
                files = Files(dict.fromkeys(itertools.chain.from_iterable(found)))
                if twice := sum(map(len, found)) - len(files):
                    walk.passed_over["same_file"] += twice
        return Gathered(files, walk.others, walk.passed_over, self._missing, walk.unreadable)

    def add(self, source: str) -> None:
        """Add a file, a folder or a pattern."""
        if os.path.lexists(source):
            if is_tree(source):
                self._add_tree(source, self._begin(source, ""))
            else:
                self._add_file(source, "")
        elif has_wildcards(source):
            self._add_pattern(source)
        else:
            raise UsageError(f"{source}: no such file or folder; check the path")

    def add_listed(self, name: str) -> None:
        """Add a file or a folder that stands in a list."""
        folder = "" if os.path.isabs(name) else os.path.dirname(os.path.normpath(name))
        if not os.path.lexists(name):
            self._missing.append(name)
        elif is_tree(name):
            below = "" if os.path.isabs(name) else os.path.normpath(name)
            self._add_tree(name, self._begin(name, "" if below == os.curdir else below))
        else:
            self._add_file(name, folder)

    def _add_tree(self, source: str, begin: Folder, pattern: Pattern | None = None) -> None:
        walk = self._walk
        found = walk.through(begin) if pattern is None else walk.through(begin, pattern)
        if self._is_output is not None:
            found = self._without_outputs(found, self._is_output)
        if not found and not self._allow_empty and not walk.unreadable:
            raise UsageError(self._nothing(source, begin, pattern))
        self._found.append(found)

    def _without_outputs(self, found: Files, is_output: Callable[[Found], bool]) -> Files:
        outputs = dict.fromkeys(filter(is_output, found))
        for each in outputs:
            self._walk.pass_over(each.path, "output")
        return Files(each for each in found if each not in outputs) if outputs else found

    def _add_pattern(self, source: str) -> None:
        root, rest = split_pattern(source)
        if not os.path.isdir(root or os.curdir):
            raise UsageError(f"{source}: nothing matched, because there is no folder {root!r}")
        self._add_tree(source, self._begin(root, ""), Pattern(rest))

    def _add_file(self, path: str, below: str) -> None:
        folder, name = os.path.split(path)
        if not name:
            folder, name = os.path.split(folder)  # an image that is a folder, with a separator
        if (folder, below) not in self._folders:
            self._folders[folder, below] = self._begin(folder, below)
        self._found.append((Found(self._folders[folder, below], name),))

    def _begin(self, path: str, below: str) -> Folder:
        """Return the folder `path`, whose tree begins at `below` unless there is a base."""
        if self._base is None:
            if below.split(os.sep, maxsplit=1)[0] == os.pardir:
                raise UsageError(
                    f"{path}: not below the current folder; --base DIR says where its tree begins"
                )
            return Folder(path, below)
        base, here = os.path.realpath(self._base), os.path.realpath(path or os.curdir)
        below = os.path.relpath(here, base)
        if below.split(os.sep)[0] == os.pardir:
            raise UsageError(f"{path or os.curdir}: not below the base {self._base}")
        return Folder(path, "" if below == os.curdir else below)

    def _nothing(self, source: str, begin: Folder, pattern: Pattern | None) -> str:
        """Return the message for a source that yields no file."""
        finding = (
            f"{source}: nothing matched" if pattern is not None else f"{source}: has no images"
        )
        if pattern is not None:
            again = Walk(self._walk.rules).through(begin, pattern.ignoring_case())
            if again:
                return (
                    f"{finding}; without regard to capital letters, {len(again)} "
                    f"{'file' if len(again) == 1 else 'files'} would match, "
                    f"such as {next(iter(again)).path}"
                )
            if folder := _called_like_a_pattern(source):
                rest = os.path.basename(source)
                return (
                    f"{finding}; {folder} is taken as a pattern too: give this folder itself, and "
                    f"--include {shlex.quote(rest)}"
                )
        passed = passed_over_line(self._walk.passed_over)
        return f"{finding}{f' ({passed})' if passed else ''}; to allow this, add --allow-empty"


def _called_like_a_pattern(source: str) -> str:
    """Return the folder at the begin of a pattern whose own name has wildcards, if there is one."""
    folder = os.path.dirname(source)
    while folder and not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return folder if has_wildcards(folder) else ""
