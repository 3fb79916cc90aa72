"""Options of a run, checked before anything is opened."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from typing import Any, cast

from imgpipe import arguments
from imgpipe.accelerators.choice import asked_for
from imgpipe.events import Observer, Observing
from imgpipe.executors.choice import ExecutorLike, must_be_known
from imgpipe.formats.unnamedfiles import scratch_in
from imgpipe.observers import observed
from imgpipe.records import dataclass

__all__ = ["Options"]


@dataclass(frozen=True)
class Options:
    """Options of a run, for `run_between`. The fields are the parameters of `run`."""

    workers: int | None = None
    max_memory: int | str | None = None
    executor: ExecutorLike = None
    on_event: Observing | None = None
    chunk: int | tuple[int, int] | None = None
    timeout: float | None = None
    progress: bool = False
    scratch: str | os.PathLike[str] | None = None
    accelerator: str | None = None  # then "none", "auto" or a name

    def __post_init__(self) -> None:
        if self.workers is not None:
            self._set("workers", arguments.whole(self.workers, "workers", at_least=1))
        if self.max_memory is not None:
            self._set("max_memory", arguments.size(self.max_memory, "max_memory"))
        must_be_known(self.executor)
        self._set("on_event", arguments.functions(self.on_event, "on_event", "an event"))
        if self.chunk is not None:
            self._set("chunk", arguments.pair(self.chunk, "chunk", at_least=1))
        if self.timeout is not None:
            self._set("timeout", arguments.seconds(self.timeout, "timeout"))
        arguments.flag(self.progress, "progress")
        if self.scratch is not None:
            self._set("scratch", arguments.folder(self.scratch, "scratch"))
        self._set("accelerator", asked_for(self.accelerator, cast("int | None", self.max_memory)))

    def scratch_beside(self, output: Any = None) -> AbstractContextManager[None]:
        """Return the context with the scratch files of a run in their folder."""
        return scratch_in(cast("str | None", self.scratch), output)

    def observed(self) -> AbstractContextManager[Observer]:
        """Return the context of the observers: it gives one observer that tells all."""
        return observed(self.on_event, progress=self.progress)

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)
