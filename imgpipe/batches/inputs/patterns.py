"""Patterns of paths: ``*``, ``?``, ``[a-z]``, and ``**`` for any number of folders."""

from __future__ import annotations

import fnmatch
import os
import re
from typing import NamedTuple

__all__ = ["EVERYTHING", "Pattern", "States", "has_wildcards", "split_pattern"]

States = frozenset[int]
"""Places in a pattern that a path may have reached."""

_WILD = re.compile(r"[*?[]")


class Pattern:
    """A pattern that is matched one name at a time, so that a walk enters no folder in vain.

    Parameters
    ----------
    text : str
        The pattern, below the folder in which the walk begins; empty for all files.
    ignore_case : bool
        Whether ``A`` is ``a``.

    Attributes
    ----------
    start : frozenset of int
        The states before the first name.
    """

    def __init__(self, text: str, *, ignore_case: bool = False) -> None:
        self._parts = [part for part in text.split(os.sep) if part not in ("", os.curdir)]
        self._text = text
        flags = re.IGNORECASE if ignore_case else 0
        self._matches = [
            re.compile(fnmatch.translate(part), flags).match if part != "**" else None
            for part in self._parts
        ]
        self.start = self._widened({0})

    def after(self, states: States, name: str) -> States:
        """Return the states after one more name of a path."""
        if len(self._parts) in states:  # a folder that matched: all that is in it matches
            return states
        reached = set[int]()
        for at in states:
            match = self._matches[at]
            if match is None:
                reached.add(at)
            elif match(name):
                reached.add(at + 1)
        return self._widened(reached)

    def ends(self, states: States) -> bool:
        """Return whether a path with these states matches."""
        return len(self._parts) in states

    def matches(self, path: str) -> bool:
        """Return whether a whole path matches."""
        states = self.start
        for name in path.split(os.sep):
            states = self.after(states, name)
        return self.ends(states)

    @property
    def has_folders(self) -> bool:
        """Return whether it is about more than the name of a file."""
        return len(self._parts) > 1

    def ignoring_case(self) -> Pattern:
        """Return the same pattern, for which ``A`` is ``a``."""
        return Pattern(self._text, ignore_case=True)

    def _widened(self, states: set[int]) -> States:
        """Return `states`, and the states after ``**``, which may match no folder."""
        for at, match in enumerate(self._matches):
            if match is None and at in states:
                states.add(at + 1)
        return frozenset(states)


EVERYTHING = Pattern("")


class SplitPattern(NamedTuple):
    """A pattern, divided where its wildcards begin.

    Attributes
    ----------
    root : str
        The longest folder without a wildcard; empty for the current one.
    rest : str
        The pattern below it.
    """

    root: str
    rest: str


def has_wildcards(text: str) -> bool:
    """Return whether `text` has a character that makes it a pattern."""
    return _WILD.search(text) is not None


def split_pattern(text: str) -> SplitPattern:
    """Return the folder in which the walk for a pattern begins, and the pattern below it."""
    parts = text.split(os.sep)
    first = next((at for at, part in enumerate(parts) if has_wildcards(part)), len(parts) - 1)
    root = os.sep.join(parts[:first])
    if first and not root:
        root = os.sep  # of an absolute pattern such as /*.tif
    return SplitPattern(root, os.sep.join(parts[first:]))
