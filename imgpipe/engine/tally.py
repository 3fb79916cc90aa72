"""Tally: what becomes of the receipts of a run, and what they add up to."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace
from typing import Self, cast

from imgpipe.engine.passes import Control
from imgpipe.engine.plan import Plan
from imgpipe.engine.tiler import Task
from imgpipe.engine.worker import Receipt
from imgpipe.events import Event, Observer, Report, SpanDone, Started, TaskDone, WorkerLost, Written
from imgpipe.formats.base import OrderedSink, Sink
from imgpipe.machine import PeakMemory

__all__ = ["Delivery", "Tally"]

_RUNS = itertools.count(1)


class Delivery:
    """What becomes of the receipts of the last pass."""

    def __init__(self, sink: Sink, tell: Callable[[Event], None]) -> None:
        self._sink, self._tell = sink, tell
        self._pixels = self._size = 0

    def encoded(self, task: Task, receipt: Receipt) -> None:
        """Append what was encoded."""
        sink = cast(OrderedSink, self._sink)
        data = task.output.bytes() if task.output else memoryview(receipt.data)
        used, began = 0, time.monotonic()
        for size, facts in receipt.units:
            sink.append(data[used : used + size], facts)
            used += size
        now = time.monotonic()
        self._tell(SpanDone(time=now, name="write", box=task.box, started=began, ended=now))
        self._written(task, used)

    def placed(self, task: Task, _receipt: Receipt) -> None:
        """Count what is in its place already."""
        info = self._sink.info
        self._written(task, task.box.area * info.channels * info.dtype.itemsize)

    def _written(self, task: Task, size: int) -> None:
        self._pixels += task.box.area
        self._size += size
        self._tell(Written(time=time.monotonic(), pixels=self._pixels, size=self._size))


class Tally:
    """Counts what happens, passes it on to the caller's observer, and reports at the end."""

    def __init__(
        self, plan: Plan, executor: Executor, control: Control, observer: Observer | None
    ) -> None:
        self._plan, self._executor, self._control = plan, executor, control
        self._observer = observer
        self._began = time.monotonic(), time.process_time()
        self._cpu: dict[tuple[str, int], float] = {}
        self._run = next(_RUNS)
        self._done = self._lost = self._tasks = 0

    def __enter__(self) -> Self:
        self._peak = PeakMemory()
        return self

    def __exit__(self, *_: object) -> None:
        self._peak.stop()

    def __call__(self, event: Event) -> None:
        """Count `event` and pass it on, with the number of the run."""
        event = replace(event, run=self._run)
        if isinstance(event, Started):
            self._tasks = event.tasks
        elif isinstance(event, TaskDone) and event.kind not in ("copy", "merge"):
            self._done += 1
            self._control.progress = self._done / self._tasks
            self._cpu[event.worker, event.pid] = event.cpu
            if event.pid:
                self._peak.pids |= {event.pid, *getattr(self._executor, "pids", ())}
        elif isinstance(event, WorkerLost):
            self._lost += 1
        if self._observer is not None:
            self._observer(event)

    def report(self, size: int) -> Report:
        """Return what the run was like."""
        plan, (began, cpu_began) = self._plan, self._began
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
            peak_memory=self._peak.stop(),
            planned_memory=plan.memory,
            passes=plan.passes,
            tasks=self._done,
            lost=self._lost,
        )
