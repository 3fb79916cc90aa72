"""Tally of the events of a run, for observers and for the report."""

from __future__ import annotations

import os
import time
from concurrent.futures import Executor
from typing import Self

from imgpipe.engine.control import Control
from imgpipe.engine.plan import Plan
from imgpipe.events import Event, Observer, Report, Started, TaskDone, WorkerLost
from imgpipe.machine import PeakMemory

__all__ = ["Tally"]


class Tally:
    """Counts events, passes them on to the observers, and reports at the end.

    Unless the run is `watched`, its memory is not sampled, which takes longer than a small image.
    """

    def __init__(
        self,
        executor: Executor,
        control: Control,
        observer: Observer | None,
        *,
        watched: bool = True,
    ) -> None:
        self._executor, self._control = executor, control
        self._watched = watched
        self._peak: PeakMemory | None = None
        self._observer = observer
        self._began = time.monotonic(), time.process_time()
        self._cpu: dict[tuple[str, int], float] = {}
        self._done = self._lost = self._tasks = 0

    def __enter__(self) -> Self:
        if self._watched:
            self._peak = PeakMemory()
        return self

    def __exit__(self, *_: object) -> None:
        self.sample_last()

    def sample_last(self) -> int:
        """Take the last sample of the memory, unless that is done; return the highest."""
        return 0 if self._peak is None else self._peak.stop()

    def __call__(self, event: Event) -> None:
        """Count `event` and pass it on."""
        if isinstance(event, Started):
            self._tasks = event.tasks
        elif isinstance(event, TaskDone) and event.kind not in ("copy", "merge", "decode"):
            self._done += 1
            self._control.progress = min(1.0, self._done / self._tasks)
            self._cpu[event.worker, event.pid] = event.cpu
            if event.pid and self._peak is not None:
                self._peak.pids |= {event.pid, *getattr(self._executor, "pids", ())}
        elif isinstance(event, WorkerLost):
            self._lost += 1
        if self._observer is not None:
            self._observer(event)

    def report(self, plan: Plan, size: int) -> Report:
        """Return the report on an output of `size` bytes that was made by `plan`."""
        began, cpu_began = self._began
        theirs = sum(cpu for (_, pid), cpu in self._cpu.items() if pid != os.getpid())
        return Report(
            source=plan.source,
            destination=plan.destination,
            height=plan.after.height,
            width=plan.after.width,
            channels=plan.after.channels,
            dtype=str(plan.after.dtype),
            size=size,
            seconds=time.monotonic() - began,
            cpu_seconds=time.process_time() - cpu_began + theirs,
            workers=plan.workers,
            executor=plan.executor,
            accelerator=plan.accelerator,
            peak_memory=self.sample_last(),
            planned_memory=plan.memory,
            passes=plan.passes,
            tasks=self._done,
            lost=self._lost,
        )
