"""Answers of workers: made, failed, too large or wrongly named; and the recipe of all files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import NamedTuple

from imgpipe.batches.journal.filestatus import Status
from imgpipe.batches.work.heldfiles import Finished
from imgpipe.chains.chain import Chain
from imgpipe.errors import FilterError, ImgpipeError, InputError, MemoryPlanError, OutputError
from imgpipe.formats.readwrite import Reading, Writing
from imgpipe.records import dataclass
from imgpipe.refusals import causes

__all__ = [
    "Answer",
    "Failed",
    "File",
    "Made",
    "Misnamed",
    "Output",
    "Recipe",
    "Tail",
    "TooLarge",
    "failed",
    "spent",
]


class Output(NamedTuple):
    """An output of a file: its path, and that of the temporary, in the same folder."""

    path: str
    temporary: str


class File(NamedTuple):
    """A source, and its outputs.

    Attributes
    ----------
    name : str
        The path of the source.
    outputs : tuple of Output
        The outputs.
    tails : tuple of int
        For each of them, the number of its tail in the recipe; by default these are all tails.
    page : int or None
        The frame of the source that they are made of; None for the choice of the recipe.
    """

    name: str
    outputs: tuple[Output, ...]
    tails: tuple[int, ...] = ()
    page: int | None = None

    @property
    def numbered(self) -> dict[int, Output]:
        """The outputs by the numbers of their tails."""
        numbers = self.tails or range(len(self.outputs))
        return dict(zip(numbers, self.outputs, strict=True))


@dataclass(frozen=True)
class Tail:
    """The way to one output.

    Attributes
    ----------
    chain : Chain
        The filters.
    writing : Writing
        Choices about the output.
    """

    chain: Chain
    writing: Writing = Writing()


@dataclass(frozen=True)
class Recipe:
    """Instructions for all files of a batch.

    Attributes
    ----------
    tails : tuple of Tail
        The way to each output.
    reading : Reading
        Choices about the sources.
    allowance : int
        Memory that one worker may use for a file, in bytes.
    copies : bool
        Whether coded pixels are copied where `convert` does that.
    chunk : (int, int) or None
        Rows and columns of a chunk, if they are given.
    if_smaller : bool
        Whether an output is left out unless it has fewer bytes than its source.
    scratch : str or None
        The folder of scratch files; by default they are beside the outputs.
    renames : bool
        Whether outputs of a file that has the suffix of another format get the right one.
    stops_at_failure : bool
        Whether a worker asks for more after a file that failed, because the batch may stop then.
    """

    tails: tuple[Tail, ...]
    reading: Reading = field(default_factory=Reading)
    allowance: int = 256 << 20
    copies: bool = False
    chunk: tuple[int, int] | None = None
    if_smaller: bool = False
    scratch: str | None = None
    renames: bool = False
    stops_at_failure: bool = False

    def of_page(self, page: int | None) -> Recipe:
        """Return the same recipe for one frame; None for the choice that it has."""
        if page is None:
            return self
        return replace(self, reading=self.reading.of_page(page))


class Made(NamedTuple):
    """The answer for a file that was made.

    Attributes
    ----------
    name : str
        The source.
    status : Status
        Its properties while it was read.
    digest : str
        The digest of its bytes.
    pixels : int
        Its size.
    finished : tuple of Finished
        The outputs, to be published.
    seconds : tuple of (str, float)
        Seconds in each step.
    warnings : tuple of str
        Warnings about it, each once.
    not_smaller : tuple of str
        The outputs that were left out, because they are not smaller than the source.
    """

    name: str
    status: Status
    digest: str
    pixels: int
    finished: tuple[Finished, ...]
    seconds: tuple[tuple[str, float], ...]
    warnings: tuple[str, ...]
    not_smaller: tuple[str, ...] = ()


class TooLarge(NamedTuple):
    """The answer for a file that a crew has to make: its size in pixels, and why."""

    name: str
    pixels: int
    reason: str


class Misnamed(NamedTuple):
    """The answer for a file whose outputs get the suffix of its content instead of its own."""

    name: str
    suffix: str


class Failed(NamedTuple):
    """The answer for a file that could not be made.

    Attributes
    ----------
    name : str
        The source.
    stage : str
        The step that failed: open, read, filter, encode or write.
    error : ImgpipeError
        The reason.
    number : int
        The number of the system's error behind it, such as `errno.ENOSPC`; 0 for none.
    pixels : int
        Its size, 0 if that is not known.
    """

    name: str
    stage: str
    error: ImgpipeError
    number: int = 0
    pixels: int = 0


Answer = Made | TooLarge | Misnamed | Failed
_STEPS = {"seal": "encode", "measure": "filter", "merge": "filter"}
"""Steps of tasks that are part of others for people: a format that is encoded whole is sealed."""


def spent(seconds: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    """Return the seconds in each step of a file, in the words of `Made`."""
    found: dict[str, float] = {}
    for name, each in seconds.items():
        step = _STEPS.get(name, name)
        found[step] = found.get(step, 0.0) + each
    return tuple(found.items())


def failed(name: str, stage: str, error: ImgpipeError, pixels: int) -> Failed:
    """Return the answer for a file that failed; its error may name a more exact stage."""
    if isinstance(error, FilterError):
        stage = "filter"
    elif isinstance(error, MemoryPlanError):
        stage = "plan"
    elif isinstance(error, InputError) and stage != "open":
        stage = "read"
    elif isinstance(error, OutputError):
        stage = {"filter": "encode", "encode": "encode"}.get(stage, "write")  # or to open it
    numbers = (getattr(cause, "errno", None) or 0 for cause in causes(error))
    number = next(filter(None, numbers), 0)
    return Failed(name, stage, error, number, pixels)
