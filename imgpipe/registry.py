"""Registry: names and modules of the members of the open sets, listed without an import.

Built-in members stand in the tables below, so that help can be printed without NumPy. Other
packages add theirs through entry points (``imgpipe.filters``, ``imgpipe.formats``,
``imgpipe.executors``, ``imgpipe.accelerators``); one that fails to load is an error when it is
asked for by name, and never before.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from imgpipe.errors import UsageError
from imgpipe.filtertable import FILTER_TABLE, OTHER_NAMES
from imgpipe.formattable import FORMAT_TABLE, Member, OptionHelp
from imgpipe.suggestions import suggestion

__all__ = [
    "ACCELERATORS",
    "EXECUTORS",
    "FILTERS",
    "FORMATS",
    "OF_OTHER_PACKAGES",
    "Member",
    "OptionHelp",
    "Registry",
    "filters_by_family",
    "format_name",
]

OF_OTHER_PACKAGES = "Other packages"
"""The family of filters that other packages add."""


class Registry(Mapping[str, Member]):
    """A mapping of names to members that loads them when asked.

    Parameters
    ----------
    kind : str
        The noun for a member, for messages.
    members : dict
        The built-in ones.
    group : str, optional
        Entry-point group of those that other packages add.
    other_names : mapping of str, optional
        Names that other programs use, and the nearest member; for suggestions.
    """

    def __init__(
        self,
        kind: str,
        members: dict[str, Member],
        group: str = "",
        other_names: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._kind, self._members, self._group = kind, members, group
        self._other_names = other_names
        self.built_in: Mapping[str, Member] = dict(members)
        self._discovered = not group
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Member:
        if name not in self._members:
            self._discover()
        return self._members[name]

    def __iter__(self) -> Iterator[str]:
        self._discover()
        return iter(self._members)

    def __len__(self) -> int:
        self._discover()
        return len(self._members)

    def load(self, name: str) -> Any:
        """Import a member.

        Raises
        ------
        UsageError
            If there is no such member, or it fails to import.
        """
        try:
            member = self[name]
        except KeyError:
            likely = self.suggestion(name, f"there are: {', '.join(sorted(self))}")
            raise UsageError(f"there is no {self._kind} {name!r}{likely}") from None
        if name in self._loaded:
            return self._loaded[name]
        try:
            module = importlib.import_module(member.module)
            return getattr(module, member.attribute) if member.attribute else module
        except (Exception, SystemExit) as error:
            if member.module.startswith("imgpipe."):
                raise
            raise UsageError(
                f"the {self._kind} {name!r} comes from {member.module}, which fails to load "
                f"({type(error).__name__}: {error}); update or remove that package"
            ) from error

    def suggestion(self, wrong: str, otherwise: str = "") -> str:
        """Return the end of a message about a name that no member has.

        Parameters
        ----------
        wrong : str
            The name.
        otherwise : str, optional
            The end of the message if no member is near.
        """
        return suggestion(wrong, self, otherwise, self._other_names)

    @contextlib.contextmanager
    def with_member(self, name: str, loaded: Any) -> Iterator[None]:
        """Have one member more for a while, such as one of another package under test."""
        members, held = dict(self._members), dict(self._loaded)
        self._members[name], self._loaded[name] = Member("", ""), loaded
        try:
            yield
        finally:
            self._members, self._loaded = members, held

    def _discover(self) -> None:
        if self._discovered:
            return
        self._discovered = True
        if not _announced(self._group):
            return
        from importlib.metadata import entry_points  # noqa: PLC0415 - slow, and rarely needed

        for point in entry_points(group=self._group):
            summary = f"from {point.dist.name}" if point.dist else f"from {point.module}"
            self._members.setdefault(point.name, Member(point.module, summary, point.attr))


def _announced(group: str) -> bool:
    """Return whether some installed package may have entry points of `group`.

    Looks at the files itself: `importlib.metadata` takes as long to import as all of click.
    """
    for folder in sys.path:
        if os.path.isfile(folder):  # a zip archive: not worth opening here
            return True
        with contextlib.suppress(OSError):
            for name in os.listdir(folder or os.curdir):
                if name.endswith("-info") and group in _entry_points(os.path.join(folder, name)):
                    return True
    return False


def _entry_points(folder: str) -> str:
    """Return the entry points in the metadata of a package, as text."""
    with contextlib.suppress(OSError):
        name = os.path.join(folder, "entry_points.txt")
        with open(name, encoding="utf-8", errors="replace") as file:
            return file.read()
    return ""


FILTERS = Registry(
    "filter",
    {
        name: Member(f"imgpipe.filters.{module}", summary, name, family=family)
        for family, filters in FILTER_TABLE.items()
        for name, (module, summary) in filters.items()
    },
    group="imgpipe.filters",
    other_names=OTHER_NAMES,
)

FORMATS = Registry("format", FORMAT_TABLE, group="imgpipe.formats")

EXECUTORS = Registry(
    "executor",
    {
        "serial": Member(
            "imgpipe.executors.serial", "No workers: one task after the other.", "SerialExecutor"
        ),
        "threads": Member(
            "imgpipe.executors.threads", "Threads of this process.", "ThreadExecutor"
        ),
        "processes": Member(
            "imgpipe.executors.processes.keptpool",
            "Processes of this machine; one that dies is replaced.",
            "processes",
        ),
    },
    group="imgpipe.executors",
)


ACCELERATORS = Registry(
    "accelerator",
    {
        "opencv": Member(
            "imgpipe.accelerators.opencv",
            "OpenCV computes kernels of integers.",
            name="OpenCV",
            needs=("cv2",),
            extra="fast",
        ),
    },
    group="imgpipe.accelerators",
)


def filters_by_family() -> dict[str, list[str]]:
    """Return the names of all filters by family, those of other packages last."""
    found: dict[str, list[str]] = {family: [] for family in FILTER_TABLE}
    for name, member in FILTERS.items():
        found.setdefault(member.family or OF_OTHER_PACKAGES, []).append(name)
    return found


def format_name(given: str) -> str:
    """Return the name of a format that is given by its name or by one of its suffixes."""
    name = given.lower().removeprefix(".")
    by_suffix = (each for each, member in FORMATS.items() if f".{name}" in member.suffixes)
    return name if name in FORMATS.built_in else next(by_suffix, name)
