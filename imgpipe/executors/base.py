"""What the engine knows of an executor: three facts, and whether it may repair it."""

from __future__ import annotations

import sys
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

__all__ = ["Supervised", "Traits", "traits_of"]


@dataclass(frozen=True, slots=True)
class Traits:
    """Three facts about an executor.

    Attributes
    ----------
    shares_memory : bool
        Its workers can attach shared memory of this machine.
    shares_files : bool
        Its workers see the same files.
    isolates : bool
        Its workers are other processes: one that dies is not the end of this one, and what
        this one has in memory they have not.
    """

    shares_memory: bool
    shares_files: bool
    isolates: bool


@runtime_checkable
class Supervised(Protocol):
    """An executor whose workers the engine may watch, kill and replace: our own process pool."""

    def rebuild(self) -> str:
        """Replace all workers once the old ones are gone; return what is known of their end."""

    def kill(self) -> None:
        """End all workers at once, whatever they are doing."""


def traits_of(executor: Executor) -> Traits:
    """Return what is known of `executor`.

    An executor of a class that imgpipe does not know may say so itself, in attributes of the same
    names. Otherwise its workers are taken to share nothing with this process, which is slow and
    always right.
    """
    if isinstance(executor, ThreadPoolExecutor):
        return Traits(shares_memory=True, shares_files=True, isolates=False)
    processes = sys.modules.get("concurrent.futures.process")  # slow to import, if nobody has
    if processes is not None and isinstance(executor, processes.ProcessPoolExecutor):
        return Traits(shares_memory=True, shares_files=True, isolates=True)
    return Traits(
        shares_memory=bool(getattr(executor, "shares_memory", False)),
        shares_files=bool(getattr(executor, "shares_files", False)),
        isolates=bool(getattr(executor, "isolates", True)),
    )
