"""Tally of warnings: equal ones are shown once and counted; every failure is shown."""

from __future__ import annotations

import re

from imgpipe.batches.progress.wording import failure_line, one_line
from imgpipe.batches.results import Result

__all__ = ["WarningTally"]

_TOLD = 8  # different warnings
_KEPT = 1000
_NAME = "\0"  # stands for the name of a file


class WarningTally:
    """Counts the warnings of results.

    Those that differ only in the name of the source or of the output are equal.
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._lines: dict[str, str] = {}  # of those that are shown: the end of the line of a count
        self._others = 0

    def note(self, result: Result) -> list[str]:
        """Take note of a result; return the lines about its failure and about new warnings."""
        lines = [failure_line(result)] if result.status == "failed" else []
        for text in result.warnings:
            bare = text.removeprefix(f"{result.path}: ").removeprefix(f"{result.output}: ")
            kind = _without_names(bare, result)
            if kind in self._counts:
                self._counts[kind] += 1
            elif len(self._counts) < _KEPT:
                self._counts[kind] = 1
                if len(self._lines) < _TOLD:
                    lines.append(one_line(f"warning: {result.path}: {bare}"))
                    such_as = "" if kind == bare else f", such as {result.path}"
                    self._lines[kind] = one_line(f"{such_as}: {bare}")
            else:
                self._others += 1
        return lines

    def rest(self) -> list[str]:
        """Return lines with the count of each warning, and the number of warnings not shown."""
        told = {kind: self._counts[kind] for kind in self._lines}
        lines = [
            f"warning in {n:,} outputs{self._lines[kind]}" for kind, n in told.items() if n > 1
        ]
        untold = sum(self._counts.values()) - sum(told.values()) + self._others
        return [*lines, f"{untold:,} other warnings; --report lists them"] if untold else lines


def _without_names(text: str, result: Result) -> str:
    """Return `text` with a mark in place of the names of source and output."""
    for name in (result.path, result.output):
        if name and name in text:
            text = re.sub(rf"(?<![\w/.-]){re.escape(name)}(?![\w/-])", _NAME, text)
    return text
