"""Tally of warnings: equal ones are shown once and counted; every failure is shown."""

from __future__ import annotations

from collections import Counter

from imgpipe.batches.progress.wording import failure_line, one_line
from imgpipe.batches.results import Result

__all__ = ["WarningTally"]

_TOLD = 8  # different warnings
_KEPT = 1000


class WarningTally:
    """Counts the warnings of results. Those that differ only in the name of the file are equal."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._others = 0

    def note(self, result: Result) -> list[str]:
        """Take note of a result; return the lines about its failure and about new warnings."""
        lines = [failure_line(result)] if result.status == "failed" else []
        for text in result.warnings:
            bare = text.removeprefix(f"{result.path}: ")
            if bare in self._counts or len(self._counts) < _KEPT:
                self._counts[bare] += 1
            else:
                self._others += 1
            if self._counts[bare] == 1 and len(self._counts) <= _TOLD:
                lines.append(one_line(f"warning: {result.path}: {bare}"))
        return lines

    def rest(self) -> list[str]:
        """Return lines with the count of each warning, and the number of warnings not shown."""
        told = list(self._counts.items())[:_TOLD]
        lines = [f"warning in {n:,} outputs: {one_line(text)}" for text, n in told if n > 1]
        untold = self._counts.total() - sum(n for _, n in told) + self._others
        return [*lines, f"{untold:,} other warnings; --report lists them"] if untold else lines
