"""Events of a batch: records of its progress for programs, people and reports.

An observer of a batch is a function of one event. They come in this order::

    BatchStarted
    BatchScanning, any number
    BatchPlanned
    OutputPlanned (of a dry run), HeaderRead, SourceStarted, OutputAdvanced, OutputEnded, Tick,
    in any order
    BatchEnded

`BatchRefused` may come at any time instead of the rest. Where a folder is watched, there are
`WatchNotice` and `Heartbeat` as well.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import field

from imgpipe.batches.results import BatchReport, Result
from imgpipe.errors import ImgpipeError
from imgpipe.records import dataclass

__all__ = [
    "BatchEnded",
    "BatchEvent",
    "BatchObserver",
    "BatchPlanned",
    "BatchRefused",
    "BatchScanning",
    "BatchStarted",
    "HeaderRead",
    "Heartbeat",
    "OutputAdvanced",
    "OutputEnded",
    "OutputPlanned",
    "SourceStarted",
    "Tick",
    "WatchNotice",
    "kind_of",
]


@dataclass(frozen=True)
class BatchStarted:
    """The command is understood, and the walk begins.

    Attributes
    ----------
    time : float
        Seconds since 1970, UTC.
    version : str
        The version of imgpipe.
    argv : tuple of str
        The command.
    chain : str
        The chain as text.
    out : str
        The output folder.
    workers : int
        Number of workers.
    max_memory : int
        Limit, in bytes.
    pid : int
        The process.
    accelerator : str
        Name and version of the accelerator and the filters that it may compute, or ``none``.
    """

    time: float
    version: str
    argv: tuple[str, ...]
    chain: str
    out: str
    workers: int
    max_memory: int
    pid: int
    accelerator: str = "none"


@dataclass(frozen=True)
class BatchScanning:
    """The walk has seen a number of files."""

    files: int


@dataclass(frozen=True)
class BatchPlanned:
    """The agenda is known, and work begins.

    Attributes
    ----------
    sources : int
        Number of source files.
    passed_over : mapping
        Number of files and folders that were passed over, by reason.
    current : int
        Outputs that are left as they are. An `OutputEnded` follows for each of them.
    to_do : mapping
        Number of outputs that are to be made, by kind (see `kind_of`).
    pixels : mapping or None
        Pixels of their sources, by kind; None if not all headers were read.
    peak_memory : int or None
        The memory that is planned, in bytes; None if not all headers were read.
    """

    sources: int
    passed_over: Mapping[str, int]
    current: int
    to_do: Mapping[str, int]
    pixels: Mapping[str, int] | None = None
    peak_memory: int | None = None


@dataclass(frozen=True)
class OutputPlanned:
    """A dry run predicts the end of an output.

    Attributes
    ----------
    path, output : str
        As in the result that a run would give.
    action : str
        ``make``, ``copy``, ``skip`` or ``fail``.
    reason : str
        Reason of the action. For ``fail``, the reason why the output was to be made.
    height, width : int
        The size of the output; 0 if there is none.
    pixels : int
        Pixels of the source.
    passes : int
        Passes over them.
    error : ImgpipeError or None
        The failure.
    """

    path: str
    output: str
    action: str
    reason: str = ""
    height: int = 0
    width: int = 0
    pixels: int = 0
    passes: int = 0
    error: ImgpipeError | None = None


@dataclass(frozen=True)
class HeaderRead:
    """The header of the source of an output was read ahead, where the plan has no pixels.

    Attributes
    ----------
    path, output : str
        As in the result that is to come.
    pixels : int
        As in `OutputEnded`.
    """

    path: str
    output: str
    pixels: int


@dataclass(frozen=True)
class SourceStarted:
    """Work on a source began.

    Attributes
    ----------
    path : str
        The source.
    outputs : int
        Number of outputs that will end.
    """

    path: str
    outputs: int = 1


@dataclass(frozen=True)
class OutputAdvanced:
    """Some more pixels of a large image are done.

    Attributes
    ----------
    path, output : str
        As in the result that is to come.
    pixels : int
        Pixels of the source that are done up to now, for this output.
    """

    path: str
    output: str
    pixels: int


@dataclass(frozen=True)
class OutputEnded:
    """An output is done, skipped or has failed.

    Attributes
    ----------
    result : Result
        The end of the output.
    pixels : int
        Pixels of the source, divided by the number of outputs that are made of it; 0 if unknown.
    """

    result: Result
    pixels: int = 0


@dataclass(frozen=True)
class Tick:
    """Half a second has passed: displays of time go on."""


@dataclass(frozen=True)
class WatchNotice:
    """A watched folder, or a file in it, has changed; no output has ended.

    Attributes
    ----------
    kind : str
        ``polling``, ``inbox_missing``, ``inbox_back`` or ``move_failed``.
    path : str
        The folder or file.
    message : str
        The same in words.
    """

    kind: str
    path: str
    message: str


@dataclass(frozen=True)
class Heartbeat:
    """The sign of life of a watch, once a minute.

    Attributes
    ----------
    waiting, running : int
        Files that are not begun, and those that are being made.
    done, failed : int
        Outputs, since the start.
    present : bool
        Whether the folder is there.
    polling : bool
        Whether it is scanned at short intervals, because there are no events.
    """

    waiting: int
    running: int
    done: int
    failed: int
    present: bool
    polling: bool


@dataclass(frozen=True)
class BatchEnded:
    """The batch is over.

    Attributes
    ----------
    exit : int
        The exit code.
    report : BatchReport
        Facts about the batch.
    interrupted : str or None
        Name of the signal that stopped it.
    utilisation : float or None
        Share of the time of all workers in which they worked, 0 to 1.
    bottleneck : str or None
        The step that bounds the speed.
    resume : str or None
        The command that makes the rest.
    """

    exit: int
    report: BatchReport
    interrupted: str | None = None
    utilisation: float | None = None
    bottleneck: str | None = None
    resume: str | None = None


@dataclass(frozen=True)
class BatchRefused:
    """The batch ends with an error before any work, or by an error that is no file's fault.

    Attributes
    ----------
    exit : int
        The exit code.
    error : Exception
        The error.
    report : BatchReport
        The results before the refusal.
    """

    exit: int
    error: BaseException
    report: BatchReport = field(default_factory=BatchReport)


BatchEvent = (
    BatchStarted
    | BatchScanning
    | BatchPlanned
    | OutputPlanned
    | HeaderRead
    | SourceStarted
    | OutputAdvanced
    | OutputEnded
    | Tick
    | WatchNotice
    | Heartbeat
    | BatchEnded
    | BatchRefused
)
"""Any event of a batch."""
BatchObserver = Callable[[BatchEvent], object]
"""A function of one event. It is called in the parent process, by one thread."""


def kind_of(path: str, output: str) -> str:
    """Return the kind of work: the suffixes of source and output, as ``.jpg .webp``."""
    return f"{os.path.splitext(path)[1]} {os.path.splitext(output)[1]}".lower()
