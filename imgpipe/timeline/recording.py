"""Recording: lanes of a timeline, made from events as they come.

The totals are of all events. The bars of a lane are thinned, so that the memory of a recording has
a bound.
"""

from __future__ import annotations

from collections.abc import Iterable

from imgpipe.events import Event, Finished, SpanDone, Started, TaskDone, WorkerLost
from imgpipe.geometry import Box
from imgpipe.timeline.bars import STAGES, Bar, Bars

__all__ = ["KINDS", "Lane", "Recording"]

KINDS = "chunks", "measure", "merge", "decode", "copy", "seal", "read", "write", "finish", "task"
"""Kinds of bars: those of the tasks, of the reader and the writer, and all others."""

_STAGE_OF = {"measure": "filter", "merge": "filter", "seal": "encode", "copy": "read"}
_MARKS = 100  # of a lane, and for all lanes
_FEWEST = 64  # bars of a lane, however many lanes there are
_SIDES = 8  # lanes of readers, and of writers
_NOWHERE = Box(0, 0, 0, 0)


class Lane:
    """A row of the timeline: a slot for a worker, a reader or a writer.

    Attributes
    ----------
    role : str
        ``reader``, ``worker`` or ``writer``.
    name : str
        Its name, such as ``worker 1``.
    bars : Bars
        Its work, thinned.
    tasks : int
        Tasks, reads or writes of it.
    stages : list of float
        Seconds in each stage.
    marks : list of (float, str)
        Times at which something happened to it, and what.
    """

    def __init__(self, role: str, name: str) -> None:
        self.role, self.name = role, name
        self.bars = Bars()
        self.tasks = 0
        self.stages = [0.0] * len(STAGES)
        self.marks: list[tuple[float, str]] = []
        self.end = 0.0
        self.pid = self.run = 0  # of its last task
        self.in_doubt = False  # whether its worker may be lost

    @property
    def busy(self) -> float:
        """Seconds in all stages."""
        return sum(self.stages)

    def add(self, bar: Bar, limit: int) -> None:
        """Take a bar, and keep at most about `limit` of them."""
        self.bars.add(bar, limit)
        self.tasks += 1
        self.stages = [one + other for one, other in zip(self.stages, bar.stages, strict=True)]
        self.end = max(self.end, bar.end)

    def mark(self, time: float, text: str) -> None:
        """Note that something happened."""
        if len(self.marks) < _MARKS:
            self.marks.append((time, text))


class Recording:
    """The lanes of one run or of many, and all that happened in them.

    Parameters
    ----------
    most : int
        About how many bars are kept in all lanes together.

    Attributes
    ----------
    began, ended : float
        Times of the first and the last event; both 0 if there was none.
    finishing : float
        Seconds between the last write of a run and the output in its place, of all runs.
    runs, finished, lost : int
        Runs that began, runs that ended well, and times that workers were lost.
    names : tuple of (str, str)
        Source and destination of the first run.
    marks : list of (float, str)
        Losses of workers.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._workers: dict[str, Lane] = {}
        self._sides: dict[str, list[Lane]] = {"reader": [], "writer": []}
        self._side_of: dict[tuple[str, int], Lane] = {}
        self._last: dict[int, float] = {}  # times of the last events of the runs under way
        self._declared = 0
        self.began = self.ended = self.finishing = 0.0
        self.runs = self.finished = self.lost = 0
        self.names = ("", "")
        self.marks: list[tuple[float, str]] = []

    def __call__(self, event: Event) -> None:
        """Take note of `event`."""
        begin = event.time if isinstance(event, TaskDone) else getattr(event, "started", event.time)
        self.began = min(self.began or begin, begin)  # a task is made after its run began
        self.ended = max(self.ended, event.time)
        match event:
            case Started():
                self._begin(event)
            case TaskDone():
                self._task(event)
            case SpanDone():
                kind, stages = KINDS.index(event.name), _all_in(event.name, event)
                role = "reader" if event.name == "read" else "writer"
                bar = Bar(
                    event.started, event.ended, event.started, stages, 1, kind, event.run, 0,
                    event.box,
                )  # fmt: skip
                self._beside(role, bar)
            case WorkerLost():
                self._lose(event)
            case Finished():
                self._finish(event)
        if event.run in self._last:
            self._last[event.run] = max(self._last[event.run], event.time)

    @property
    def lanes(self) -> list[Lane]:
        """Readers, workers, writers."""
        workers = sorted(self._workers.values(), key=_number)
        return [*self._sides["reader"], *workers, *self._sides["writer"]]

    @property
    def workers(self) -> int:
        """Number of workers, including idle ones."""
        return max(self._declared, len(self._workers))

    @property
    def seconds(self) -> float:
        """Time from the first event to the last."""
        return self.ended - self.began

    @property
    def tasks(self) -> int:
        """Tasks of all workers."""
        return sum(lane.tasks for lane in self._workers.values())

    def share(self, role: str) -> float:
        """Return the share of the time that lanes of a role were busy, from 0 to 1.

        Of several readers or writers it is that of the busiest; of workers, the mean.
        """
        if role == "worker":
            busy, lanes = sum(lane.busy for lane in self._workers.values()), self.workers
        else:
            busy, lanes = max((lane.busy for lane in self._sides[role]), default=0.0), 1
        return min(1.0, busy / max(1e-9, self.seconds * lanes))

    def stages(self, roles: Iterable[str] = ("reader", "worker", "writer")) -> dict[str, float]:
        """Return the seconds in each stage, of all lanes of some roles."""
        lanes = [lane for lane in self.lanes if lane.role in roles]
        return {name: sum(lane.stages[at] for lane in lanes) for at, name in enumerate(STAGES)}

    # --- events -------------------------------------------------------------------------

    def _begin(self, event: Started) -> None:
        self.runs += 1
        self._declared = max(self._declared, event.workers)
        self._last[event.run] = event.time
        if self.runs == 1:
            self.names = event.source, event.destination

    def _task(self, event: TaskDone) -> None:
        started, ended = event.started, event.ended
        if not event.pid:  # another host, with a clock of its own
            started, ended = max(event.made, event.time - (ended - started)), event.time
        kind = KINDS.index(event.kind if event.kind in KINDS else "task")
        stages = _stages(event, ended - started)
        bar = Bar(started, ended, event.made, stages, 1, kind, event.run, event.index, event.box)
        if event.worker == "parent":
            self._beside("reader", bar)
            return
        lane = self._lane_of(event.worker)
        rebuilt = lane.in_doubt or lane.run == event.run  # and not made for another run
        if rebuilt and event.pid and lane.pid not in (0, event.pid):
            lane.mark(started, f"process {event.pid} took the place of {lane.pid}")
        lane.pid, lane.run, lane.in_doubt = event.pid or lane.pid, event.run, False
        lane.add(bar, self._limit)

    def _lane_of(self, label: str) -> Lane:
        """Return the lane of a worker: its own, or that of a lost one whose place it takes."""
        lane = self._workers.get(label)
        if lane is not None:
            return lane
        if self.lost and len(self._workers) >= self._declared:
            for old, free in list(self._workers.items()):
                if free.in_doubt:
                    self._workers[label] = self._workers.pop(old)
                    return free
        lane = self._workers[label] = Lane("worker", label)
        return lane

    def _beside(self, role: str, bar: Bar) -> None:
        """Put a bar into a lane of a reader or a writer in which it has room."""
        lanes = self._sides[role]
        own = self._side_of.get((role, bar.run))
        free = [lane for lane in (own, *lanes) if lane is not None and lane.end <= bar.start]
        if free:
            lane = free[0]
        elif len(lanes) < _SIDES:
            lane = Lane(role, f"{role} {len(lanes) + 1}" if lanes else role)
            lanes.append(lane)
        else:
            lane = min(lanes, key=lambda each: each.end)
        if bar.run in self._last:
            self._side_of[role, bar.run] = lane
        lane.add(bar, self._limit)

    def _lose(self, event: WorkerLost) -> None:
        self.lost += 1
        if len(self.marks) < _MARKS:
            self.marks.append((event.time, f"workers were lost: {event.reason}"))
        for lane in self._workers.values():
            lane.in_doubt = True

    def _finish(self, event: Finished) -> None:
        """Note the end of a run: after the last event, its output was put in its place."""
        self.finished += 1
        last = self._last.pop(event.run, event.time)
        self.finishing += event.time - last
        stages = tuple(event.time - last if name == "write" else 0.0 for name in STAGES)
        kind = KINDS.index("finish")
        bar = Bar(last, event.time, last, stages, 1, kind, event.run, 0, _NOWHERE)
        self._beside("writer", bar)
        for role in self._sides:
            self._side_of.pop((role, event.run), None)

    @property
    def _limit(self) -> int:
        lanes = len(self._workers) + sum(map(len, self._sides.values()))
        return max(_FEWEST, self._most // max(1, lanes))


def _stages(event: TaskDone, seconds: float) -> tuple[float, ...]:
    """Return the seconds in each stage; together they are at most `seconds`."""
    if event.kind == "copy":
        return _all_in("read", event)
    found = dict.fromkeys(STAGES, 0.0)
    for step, spent in event.spans:
        name = _STAGE_OF.get(step, step)
        found[name if name in found else "other"] += spent
    known = sum(found.values())
    if known > seconds:  # by another clock, or for threads of its own
        return tuple(spent * seconds / known for spent in found.values())
    found["other"] += seconds - known
    return tuple(found.values())


def _all_in(stage: str, event: SpanDone | TaskDone) -> tuple[float, ...]:
    return tuple(event.ended - event.started if name == stage else 0.0 for name in STAGES)


def _number(lane: Lane) -> tuple[int, str]:
    """Return a key that sorts ``worker 10`` after ``worker 2``."""
    digits = lane.name.rpartition(" ")[2]
    return (int(digits) if digits.isdecimal() else 0), lane.name
