"""Readiness: whether a file that has arrived is complete.

A file is complete when it has had no event, and has not changed, for a while; at once if it was
renamed into its place. One that is not complete is looked at again, and is never dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from imgpipe.batches.watch.stamps import Stamp, stamp_of

__all__ = ["UNFINISHED", "Readiness", "is_unfinished"]

UNFINISHED = (".part", ".partial", ".filepart", ".crdownload", ".tmp", "~")
"""The ends of the names of files that somebody still writes."""


class _Quiet(NamedTuple):
    """A file that has been quiet since a time."""

    stamp: Stamp
    since: float


class Readiness:
    """The files that have arrived and are not known to be complete.

    Times are seconds of one clock, which never go back.

    Parameters
    ----------
    settle : float
        How long a file must be quiet, in seconds.
    stamp : callable
        Returns the stamp of the file at a path.
    """

    def __init__(
        self, settle: float, stamp: Callable[[str], Stamp | None] = stamp_of
    ) -> None:
        self._settle, self._stamp = settle, stamp
        self._quiet: dict[str, _Quiet] = {}  # the longest quiet first
        self._renamed: set[str] = set()

    def __len__(self) -> int:
        return len(self._quiet)

    def __contains__(self, path: str) -> bool:
        return path in self._quiet

    def hint(self, path: str, now: float, *, renamed: bool = False) -> None:
        """Take note of an event of a file.

        Parameters
        ----------
        path : str
            The file.
        now : float
            The time.
        renamed : bool
            Whether the event is that it was renamed into its place.
        """
        if renamed:
            self._renamed.add(path)
        else:
            self._renamed.discard(path)
        known = self._quiet.pop(path, None)
        if known is not None:
            self._quiet[path] = _Quiet(known.stamp, now)

    def see(self, path: str, stamp: Stamp, now: float) -> None:
        """Take note of a file that was found; its quiet begins anew if it has changed."""
        known = self._quiet.get(path)
        if known is None or known.stamp != stamp:
            self._quiet.pop(path, None)
            self._quiet[path] = _Quiet(stamp, now)

    def forget(self, paths: Iterable[str]) -> None:
        """Drop files that are gone."""
        for path in paths:
            self._quiet.pop(path, None)
            self._renamed.discard(path)

    def complete(self, now: float) -> list[tuple[str, Stamp]]:
        """Return the files that are complete now, and wait for them no longer."""
        found: list[tuple[str, Stamp]] = []
        for path in self._to_look_at(now):
            known, stamp = self._quiet[path], self._stamp(path)
            if stamp is None:
                self.forget([path])
            elif stamp != known.stamp:
                self._renamed.discard(path)
                self.see(path, stamp, now)
            elif stamp.size and not is_unfinished(path):
                self.forget([path])
                found.append((path, stamp))
            else:
                self._renamed.discard(path)
                del self._quiet[path]
                self._quiet[path] = _Quiet(stamp, now)
        return found

    def next_look(self) -> float:
        """Return the time when a file may be complete; infinity if there is none."""
        if self._renamed & self._quiet.keys():
            return 0.0
        first = next(iter(self._quiet.values()), None)
        return float("inf") if first is None else first.since + self._settle

    def _to_look_at(self, now: float) -> list[str]:
        paths = [path for path in self._renamed if path in self._quiet]
        for path, known in self._quiet.items():
            if known.since + self._settle > now:
                break
            if path not in self._renamed:
                paths.append(path)
        return sorted(paths)


def is_unfinished(path: str) -> bool:
    """Whether the name of a file says that somebody still writes it."""
    name = path.rpartition("/")[2]
    return name.startswith(".") or name.lower().endswith(UNFINISHED)
