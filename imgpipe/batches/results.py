"""Results: the end of every output of a batch, and the report of all of them."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import field
from typing import Literal

from imgpipe.batches.agenda import Reason, reason_text
from imgpipe.errors import BatchError, ImgpipeError
from imgpipe.plurals import area, counted
from imgpipe.records import dataclass

__all__ = ["BatchReport", "Result", "Stage", "StoppedBy", "exit_code"]

Status = Literal["done", "failed", "skipped"]
Stage = Literal["open", "read", "filter", "encode", "write", "plan"]
StoppedBy = Literal["fail_fast", "max_failures", "no_space", "output_lost", "signal"]

_SHOWN = 5


@dataclass(frozen=True)
class Result:
    """The end of one output. A `Batch` yields one for each.

    Attributes
    ----------
    path : str
        Path of the source.
    output : str
        Path of the output; empty if the source failed before it got one.
    status : {"done", "failed", "skipped"}
        Its end.
    reason : str or None
        Reason why it was skipped: ``current`` (up to date), ``exists``, ``source_older``,
        ``not_smaller`` or ``failed_before``.
    stage : str or None
        The stage that failed: ``open``, ``plan``, ``read``, ``filter``, ``encode`` or ``write``.
    error : ImgpipeError or None
        The failure. It has no traceback, which would keep the image in memory; where a filter
        failed, its message holds the traceback as text.
    attempts : int
        Number of attempts.
    pixels : int
        Pixels of the source, and of all its frames that are made.
    bytes_in, bytes_out : int
        Bytes of the source and of the output.
    seconds : dict
        Seconds in each step, by its name.
    warnings : tuple of str
        Warnings about it.
    """

    path: str
    output: str
    status: Status
    reason: Reason | None = None
    stage: Stage | None = None
    error: ImgpipeError | None = None
    attempts: int = 1
    pixels: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.error is not None:
            _let_go(self.error)


@dataclass
class BatchReport:
    """Facts about a batch.

    Attributes
    ----------
    done, failed, skipped : int
        Number of outputs.
    passed_over : Counter
        Number of files and folders that were passed over, by reason.
    reasons : Counter
        Number of skipped outputs, by reason.
    failures : list of Result
        The outputs that failed; of `imgpipe.watch`, the latest of them.
    pixels, bytes_in, bytes_out : int
        Sums over all outputs that are done.
    seconds : float
        Seconds from the start to the end; 0 while the batch goes on. Those of `imgpipe.watch`
        include the time of waiting for files.
    stopped_by : str or None
        Cause of a stop before the end: ``fail_fast``, ``max_failures``, ``no_space``,
        ``output_lost`` or ``signal``.
    stopped_because : str
        The same in words, where there is more to say.
    left : int
        Outputs that were not tried, because the batch was stopped.
    peak_memory : int
        Highest sum of the proportional set sizes of all processes, in bytes, sampled.
    utilisation : float or None
        Share of the time of all workers in which they worked, 0 to 1.
    bottleneck : str or None
        The step that bounds the speed: ``read``, ``filter``, ``encode``, ``write``, ``other`` or
        ``wait``.
    waited : bool
        Whether there was time without files, as in `imgpipe.watch`, so that there is no speed.
    """

    done: int = 0
    failed: int = 0
    skipped: int = 0
    passed_over: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    failures: list[Result] = field(default_factory=list)
    pixels: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    seconds: float = 0.0
    stopped_by: StoppedBy | None = None
    stopped_because: str = ""
    left: int = 0
    peak_memory: int = 0
    utilisation: float | None = None
    bottleneck: str | None = None
    waited: bool = False

    @property
    def outputs(self) -> int:
        """All outputs: done, failed, skipped and left."""
        return self.done + self.failed + self.skipped + self.left

    def add(self, result: Result) -> None:
        """Take note of the end of an output."""
        match result.status:
            case "done":
                self.done += 1
                self.pixels += result.pixels
                self.bytes_in += result.bytes_in
                self.bytes_out += result.bytes_out
            case "failed":
                self.failed += 1
                self.failures.append(result)
            case "skipped":
                self.skipped += 1
                self.reasons[str(result.reason)] += 1

    def raise_for_failures(self) -> None:
        """Raise if an output failed, or if the batch was stopped.

        Raises
        ------
        BatchError
            It names the first failures.
        """
        if not self.failures and self.stopped_by is None:
            return
        first = [str(each.error) for each in self.failures[:_SHOWN]]
        more = [f"and {self.failed - _SHOWN:,} more"] if self.failed > _SHOWN else []
        stopped = f"; stopped ({self.stopped_by}), {self.left:,} left" if self.stopped_by else ""
        head = f"{self.failed:,} of {counted(self.outputs, 'output')} failed{stopped}"
        raise BatchError("\n".join([head, *(f"  {line}" for line in [*first, *more])]))

    def __str__(self) -> str:
        return ", ".join(self._parts())

    @property
    def _skipped(self) -> str:
        """Reasons of skipped outputs, with counts if there are several."""
        words = {reason: reason_text(reason) for reason in self.reasons}
        if len(words) == 1:
            return f"skipped ({words.popitem()[1]})"
        counts = (f"{self.reasons[reason]:,} {text}" for reason, text in words.items())
        return f"skipped ({', '.join(counts)})"

    def _parts(self) -> Iterator[str]:
        yield f"{self.done:,} done"
        if self.skipped:
            yield f"{self.skipped:,} {self._skipped}"
        if self.failed:
            yield f"{self.failed:,} failed"
        if self.left:
            yield f"{self.left:,} left"
        if not self.done:
            yield f"{self.seconds:.1f} s"
            return
        size = area(self.pixels, "MP")
        if not self.seconds:  # the batch goes on
            yield size
            return
        speed = f" ({self.pixels / 1e6 / self.seconds:,.1f} MP/s)"
        yield f"{size} in {self.seconds:.1f} s{'' if self.waited else speed}"


def _let_go(error: BaseException) -> None:
    """Take the traceback off an error and off its causes: its frames hold the pixels of an image.

    A cause stays if it is an error of the system, or one of ours. Any other may hold pixels itself,
    and its text is in the message of ours.
    """
    here: BaseException | None = error
    while here is not None:
        here.__traceback__ = None
        cause = here.__cause__ if isinstance(here.__cause__, OSError | ImgpipeError) else None
        here.__cause__, here.__context__ = cause, None
        here = cause


def exit_code(report: BatchReport, signal_name: str | None = None) -> int:
    """Return the exit code of a batch that is over.

    It is 0 if all is done or skipped, 3 if outputs failed, 1 if something stopped the batch that is
    no file's fault, and 128 and the number of the signal that stopped it.
    """
    if signal_name is not None:
        return 128 + signal.Signals[signal_name]
    if report.stopped_by in ("no_space", "output_lost", "signal"):
        return 1
    return 3 if report.failed else 0
