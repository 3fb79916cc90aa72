"""Held targets: complete outputs that appear all together, or not at all."""

from __future__ import annotations

import contextlib
from typing import Any

__all__ = ["HeldTarget", "HeldTargets"]


class HeldTarget:
    """A target that `commit` completes, and only `publish` publishes.

    Parameters
    ----------
    target : Target or FolderTarget
        Takes the bytes.
    """

    def __init__(self, target: Any) -> None:
        self._target, self._complete = target, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._target, name)

    def commit(self) -> int:
        """Have all bytes on the disk, where that can be done already; return their number."""
        self._complete = True
        flush = getattr(self._target, "flush", None)
        return int(self._target.size if flush is None else flush())

    def abort(self) -> None:
        """Leave nothing behind, unless it is complete: then `HeldTargets` decides."""
        if not self._complete:
            self._target.abort()


class HeldTargets:
    """Targets of outputs that appear together or not at all."""

    def __init__(self) -> None:
        self._held: list[Any] = []

    def __call__(self, target: Any) -> HeldTarget:
        """Return `target`, held back."""
        self._held.append(target)
        return HeldTarget(target)

    def publish(self) -> list[int]:
        """Make all outputs appear, in the order in which they were begun; return their sizes.

        If one cannot, those that have appeared are removed, unless they replaced another file.

        Raises
        ------
        OutputError
            If one cannot.
        """
        sizes: list[int] = []
        try:
            for target in self._held:
                size = target.commit()
                sizes.append(size)
        except BaseException:
            for target in self._held[: len(sizes)]:
                with contextlib.suppress(OSError, AttributeError):
                    target.withdraw()
            raise
        return sizes

    def abort(self) -> None:
        """Remove the outputs that have not appeared."""
        for target in self._held:
            target.abort()
