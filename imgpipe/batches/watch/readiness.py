"""Readiness: decision that an arrived file is complete.

A file is complete when it has had no event, and has not changed, for a while; at once if it was
renamed into its place. One that is not complete is looked at again, and is never dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from imgpipe.batches.watch.stamps import Stamp, stamp_of

__all__ = ["UNFINISHED", "Readiness", "is_unfinished"]

UNFINISHED = (".part", ".partial", ".filepart", ".crdownload", ".tmp", "~")
"""The ends of the names of files that are still being written."""


class _Quiet(NamedTuple):
    """A file that has been quiet since a time."""

    stamp: Stamp
    since: float


class Readiness:
    """The files that have arrived and are not known to be complete.

    Parameters
    ----------
    settle : float
        Time for which a file must be quiet, in seconds.
    clock : callable
        Returns seconds.
    stamp : callable
        Returns the stamp of the file at a path.
    """

    def __init__(
        self,
        settle: float,
        clock: Callable[[], float],
        stamp: Callable[[str], Stamp | None] = stamp_of,
    ) -> None:
        self._settle, self._clock, self._stamp = settle, clock, stamp
        self._quiet: dict[str, _Quiet] = {}  # the longest quiet first
        self._renamed: set[str] = set()

    def __len__(self) -> int:
        return len(self._quiet)

    def __contains__(self, path: str) -> bool:
        return path in self._quiet

    def hint(self, path: str, *, renamed: bool = False) -> None:
        """Take note of an event of a file; `renamed` if it was renamed into its place."""
        (self._renamed.add if renamed else self._renamed.discard)(path)
        known = self._quiet.get(path)
        if known is not None:
            self._begin(path, known.stamp)

    def see(self, path: str, stamp: Stamp) -> None:
        """Take note of a file that was found; its quiet begins anew if it has changed."""
        known = self._quiet.get(path)
        if known is None or known.stamp != stamp:
            self._begin(path, stamp)

    def forget(self, paths: Iterable[str]) -> None:
        """Drop files that are gone."""
        for path in paths:
            self._quiet.pop(path, None)
            self._renamed.discard(path)

    def complete(self) -> list[tuple[str, Stamp]]:
        """Return the files that are complete, and wait for them no longer."""
        found: list[tuple[str, Stamp]] = []
        for path in self._to_look_at():
            known, stamp = self._quiet[path], self._stamp(path)
            self._renamed.discard(path)
            if stamp is None:
                self.forget([path])
            elif stamp == known.stamp and stamp.size and not is_unfinished(path):
                self.forget([path])
                found.append((path, stamp))
            else:
                self._begin(path, stamp)
        return found

    def next_look(self) -> float:
        """Return the time when a file may be complete; infinity if there is none."""
        if self._renamed & self._quiet.keys():
            return self._clock()
        first = next(iter(self._quiet.values()), None)
        return float("inf") if first is None else first.since + self._settle

    def _begin(self, path: str, stamp: Stamp) -> None:
        """Begin the quiet of a file anew."""
        self._quiet.pop(path, None)
        self._quiet[path] = _Quiet(stamp, self._clock())

    def _to_look_at(self) -> list[str]:
        now = self._clock()
        paths = [path for path in self._renamed if path in self._quiet]
        for path, known in self._quiet.items():
            if known.since + self._settle > now:
                break
            if path not in self._renamed:
                paths.append(path)
        return sorted(paths)


def is_unfinished(path: str) -> bool:
    """Return whether the name of a file says that it is still being written."""
    name = path.rpartition("/")[2]
    return name.startswith(".") or name.lower().endswith(UNFINISHED)
