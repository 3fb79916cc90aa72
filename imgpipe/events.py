"""Events: the reports of the engine, each with its time, place and run.

An observer is a function of one event. Bars, timelines and pages are observers; the engine
prints nothing. `imgpipe.observers` delivers the events, in the thread of the run: a slow observer
slows the run down.

Every event has `time`, in seconds of `time.monotonic`, and `run`, the number of its run: 1, 2, …
in the order in which this process began them, and 0 where there is no run, as in a check. The
times of all processes of a machine are from one clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from imgpipe.geometry import Box
from imgpipe.plurals import counted
from imgpipe.records import dataclass

__all__ = [
    "Compared",
    "Event",
    "Finished",
    "Observer",
    "Observing",
    "Report",
    "SpanDone",
    "Started",
    "TaskDone",
    "WorkerLost",
    "Written",
]


@dataclass(frozen=True, kw_only=True)
class Started:
    """A run begins, planned and with its files open.

    Attributes
    ----------
    source, destination : str
        Names of the two ends.
    pixels : int
        Pixels of the output.
    tasks : int
        Tasks of all passes together.
    passes : int
        Number of passes over the input or the output.
    workers : int
        Processes or threads that take tasks.
    earlier : int
        Pixels of the passes before the one that makes the output.
    """

    time: float
    run: int = 0
    source: str
    destination: str
    pixels: int
    tasks: int
    passes: int
    workers: int
    earlier: int = 0


@dataclass(frozen=True, kw_only=True)
class TaskDone:
    """A worker has done a task.

    Attributes
    ----------
    time : float
        Time at which the engine got the receipt; also `landed`.
    kind : str
        ``chunks``, ``measure``, ``merge``, ``decode``, ``copy`` or ``seal``.
    pass_index, index : int
        Numbers of the pass, and of the task within it.
    box : Box
        The pixels it made; the first tile if it decoded some.
    worker : str
        The worker that did it, such as ``worker 1``: a label that stays the same for the run. A
        worker that takes the place of a lost one may have its label. ``parent`` for ``copy``.
    pid : int
        Process id of the worker; 0 if the worker may be on another host.
    made : float
        Time at which the engine made the task.
    started, ended : float
        Times at which the worker began and ended it. If `pid` is 0, by the clock of its host.
    cpu : float
        Processor time of the worker's process by then, in seconds.
    spans : tuple of (str, float)
        Seconds in each step, such as ``read``, ``filter``, ``encode``.
    """

    time: float
    run: int = 0
    kind: str
    pass_index: int
    index: int
    box: Box
    worker: str
    pid: int = 0
    made: float
    started: float
    ended: float
    cpu: float = 0.0
    spans: tuple[tuple[str, float], ...] = ()

    @property
    def landed(self) -> float:
        """Time at which the engine got the receipt."""
        return self.time


@dataclass(frozen=True, kw_only=True)
class SpanDone:
    """A reader has read rows for the workers, or the writer has written their results.

    Reading and writing by the workers themselves is in `TaskDone.spans`.

    Attributes
    ----------
    name : str
        ``read`` or ``write``.
    box : Box
        Pixels of the input that were read, or of the output that were written.
    started, ended : float
        Times at which that began and ended. It may overlap with everything else.
    """

    time: float
    run: int = 0
    name: str
    box: Box
    started: float
    ended: float


@dataclass(frozen=True, kw_only=True)
class Written:
    """Output has left the stitcher for the file.

    Attributes
    ----------
    output : int
        Number of the output in the run, from 0 on.
    pixels, size : int
        Pixels and bytes of it written so far.
    """

    time: float
    run: int = 0
    output: int = 0
    pixels: int
    size: int


@dataclass(frozen=True, kw_only=True)
class WorkerLost:
    """Workers died; their tasks run again.

    Attributes
    ----------
    reason : str
        The known facts about it, such as the signal.
    tasks : int
        Tasks to be done again.
    """

    time: float
    run: int = 0
    reason: str
    tasks: int


@dataclass(frozen=True, repr=False)
class Report:
    """Facts about a finished run.

    Attributes
    ----------
    source, destination : str
        Names of the two ends.
    height, width, channels : int
        Size of the output; of the largest frame, if there are several.
    dtype : str
        Its type.
    size : int
        Bytes of the output file; of the array where there is no file.
    seconds : float
        From start to commit.
    cpu_seconds : float
        Processor time of this process and its workers during the run.
    workers : int
        Workers used.
    executor : str
        ``serial``, ``processes`` or the class the caller passed, and why.
    accelerator : str
        Name and version of the accelerator and the filters that it computes, or ``none``.
    peak_memory : int
        Highest sum of the proportional set sizes of all processes, in bytes, sampled;
        0 where the system does not tell.
    planned_memory : int
        The bound that was planned, in bytes.
    passes, tasks, lost : int
        Passes over the input, tasks done, and times that workers were lost.
    frames : int
        Frames of the output.
    pixels : int or None
        Pixels of all frames; None if there is one.
    missing : float
        The share of the input that could not be read, from 0 to 1; see `imgpipe.run`, `salvage`.
    skipped : str
        Reason why the output was not kept: ``not_smaller``, see `imgpipe.convert`; else empty.
    """

    source: str
    destination: str
    height: int
    width: int
    channels: int
    dtype: str
    size: int
    seconds: float
    cpu_seconds: float
    workers: int
    executor: str
    peak_memory: int
    planned_memory: int
    passes: int
    tasks: int
    lost: int
    frames: int = 1
    pixels: int | None = None
    missing: float = 0.0
    skipped: str = ""
    accelerator: str = "none"

    @property
    def megapixels_per_second(self) -> float:
        """Output pixels in millions, per second."""
        pixels = self.height * self.width if self.pixels is None else self.pixels
        return pixels / 1e6 / max(self.seconds, 1e-9)

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        if self.skipped:
            return (
                f"{self.destination}: not written, because its {self.size:,} bytes are not fewer "
                f"than those of {self.source}"
            )
        large = self.size >= 999_950  # which would be 1000.0 kB
        size = f"{self.size / 1e6:,.2f} MB" if large else f"{self.size / 1e3:.1f} kB"
        memory = f", {self.peak_memory / 1e6:,.0f} MB at most" if self.peak_memory else ""
        made_by = counted(self.workers, "worker") if self.workers else "copied as it is stored"
        frames = f"{self.frames} frames of " if self.frames > 1 else ""
        if (self.pixels or 0) not in (0, self.frames * self.height * self.width):
            frames += "up to "
        return (
            f"{self.destination}: {frames}{self.width} x {self.height} x {self.channels} "
            f"{self.dtype}, {size} in {self.seconds:.2f} s "
            f"({self.megapixels_per_second:,.1f} MP/s, {made_by}{memory})"
        )


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The output is in its place."""

    time: float
    run: int = 0
    report: Report


@dataclass(frozen=True, kw_only=True)
class Compared:
    """A check has compared a picture with its pieces.

    Attributes
    ----------
    name : str
        The filter that is checked.
    done, total : int
        Comparisons so far, and all that are known to come; more may be found necessary.
    """

    time: float
    run: int = 0
    name: str
    done: int
    total: int


Event = Started | TaskDone | SpanDone | Written | WorkerLost | Finished | Compared
"""Any event of a run."""
Observer = Callable[[Event], None]
"""A function of one event."""
Observing = Observer | Sequence[Observer]
"""The type of `on_event`: an observer, or several."""
