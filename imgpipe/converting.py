"""Conversion of an image file to another format, or of its metadata alone."""

from __future__ import annotations

import inspect
import io
import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any, NamedTuple

from imgpipe import arguments
from imgpipe.adapting import check_range, warn_of_range
from imgpipe.chains.chain import Chain
from imgpipe.cleanup import uninterrupted
from imgpipe.engine.budget import default_budget
from imgpipe.engine.control import Control
from imgpipe.errors import UsageError
from imgpipe.events import Report
from imgpipe.formats.base import Data, Source
from imgpipe.formats.heldtargets import HeldTargets
from imgpipe.formats.opening import (
    SourceLike,
    TargetLike,
    format_to,
    must_take,
    name_of,
    open_copy,
    origin_of,
)
from imgpipe.formats.origin import Origin, size_of
from imgpipe.formats.readwrite import Reading, Writing
from imgpipe.formats.soundness import Extent, must_be_sound
from imgpipe.formats.target import Target
from imgpipe.options import Options
from imgpipe.running import plan_run, run, run_as

__all__ = ["Copied", "Copy", "convert", "copied", "copy_of", "plan_conversion"]

_log = logging.getLogger(__name__)
_TURNED = (
    "%s: the pixels are copied as they are stored, and stay turned (orientation %d); an option of "
    "the output format, such as --quality, makes imgpipe turn them"
)


def convert(
    src: SourceLike, dst: TargetLike, *, if_smaller: bool = False, **options: Any
) -> Report:
    """Write an image file in another format: `run` without a filter.

    If input and output have the same format, and no option asks for other pixels or another
    encoding, the coded pixels are copied: nothing is lost, and it is fast. A damaged file is an
    error, as far as the check of a copy notices damage. With ``strip=True`` the metadata are left
    out of the copy. If that is not possible, a warning says that the image is decoded and encoded
    again: then only its full resolution, or its pages, are kept.

    Parameters
    ----------
    src, dst : path or binary file
        As for `run`.
    if_smaller : bool, default False
        Write the output only if it has fewer bytes than the input. Otherwise nothing is written,
        and `skipped` of the report is ``not_smaller``.
    **options
        The other arguments of `run`, except those about the filter.

    Returns
    -------
    Report
        Sizes, time and speed.

    Raises
    ------
    InputError, OutputError, UsageError
        As for `run`.
    """
    given = _given(src, dst, options)
    origin = origin_of(src)
    limit = _size_of(origin, dst, given) if arguments.flag(if_smaller, "if_smaller") else None
    copy = _copy(origin, dst, given)
    if copy is not None:
        return _copied(copy, dst, given, limit)
    if limit is None:
        return run(origin, Chain(()), dst, **options)
    return _if_smaller(origin, dst, given, limit)


def plan_conversion(
    src: SourceLike, dst: TargetLike, *, if_smaller: bool = False, **options: Any
) -> str:
    """Return the plan of `convert` with the same arguments in words; nothing is read or written."""
    given = _given(src, dst, options)
    origin = origin_of(src)
    if arguments.flag(if_smaller, "if_smaller"):
        _size_of(origin, dst, given)
    copy = _copy(origin, dst, given)
    if copy is None:
        return str(plan_run(origin, Chain(()), dst, **options))
    copy.target.abort()
    return f"input:   {copy.source.name}\noutput:  {name_of(dst)}\nread as: coded pixels, copied"


class Copy(NamedTuple):
    """A copy of coded pixels that is to be made.

    Attributes
    ----------
    origin : Origin
        The input.
    reading : Reading
        Choices about it.
    source : Source
        The image in it.
    content : iterator of bytes
        The bytes of the output.
    target : Target
        Takes them.
    """

    origin: Origin
    reading: Reading
    source: Source
    content: Iterator[Data]
    target: Target


def copy_of(origin: Origin, dst: TargetLike, reading: Reading, writing: Writing) -> Copy | None:
    """Return the copy to be made; None if the pixels have to be decoded."""
    check_range(writing)
    if writing.options:
        return None
    if reading.nodata is not None and "nodata" in (format_to(dst, writing.format).metadata or ()):
        return None  # the output says which value it is
    found = open_copy(origin, dst, reading, writing)
    if found is None:
        return None
    warn_of_range(writing, "the pixels are copied as they are stored", name_of(dst))
    return Copy(origin, reading, *found)


class Copied(NamedTuple):
    """A copy that was made.

    Attributes
    ----------
    kept : bool
        Whether it is smaller than the size that was given, and so was not left out.
    size : int
        Its bytes.
    extent : Extent
        Its frames.
    """

    kept: bool
    size: int
    extent: Extent


def copied(
    copy: Copy, memory: int, check: Callable[[], None] = lambda: None, most: int | None = None
) -> Copied:
    """Make a copy, if it is smaller than `most`.

    Parameters
    ----------
    copy : Copy
        The copy.
    memory : int
        Bytes that the check of the input may take.
    check : callable
        Raises if the work is to end.
    most : int, optional
        The output is left out unless it has fewer bytes.

    Raises
    ------
    InputError, OutputError
        If the input is damaged, or the output cannot be written.
    """
    try:
        extent = must_be_sound(copy.origin, copy.source, copy.reading, memory, check)
        for piece in copy.content:
            check()
            copy.target.write(piece)
        fits = most is None or copy.target.size < most
        size = copy.target.commit() if fits else copy.target.size
    except BaseException:
        with uninterrupted():
            copy.target.abort()
        raise
    if not fits:
        copy.target.abort()
    orientation = copy.source.info.metadata.orientation
    if fits and orientation != 1:
        _log.warning(_TURNED, copy.source.name, orientation)
    return Copied(fits, size, extent)


def _given(src: SourceLike, dst: TargetLike, options: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments of `run` by name, checked as far as they can be without the files."""
    for name in ("filter", "halo", "dtype"):
        if name in options:
            raise UsageError(f"{name} is for run; a conversion has no filter")
    given = inspect.signature(run).bind(src, Chain(()), dst, **options).arguments
    name_of(src, "src")
    must_take(dst, _choices(Writing, given))
    return given


def _choices(kind: Any, given: dict[str, Any]) -> Any:
    return kind(**{each.name: given[each.name] for each in fields(kind) if each.name in given})


def _copy(origin: Origin, dst: TargetLike, given: dict[str, Any]) -> Copy | None:
    """Return the copy to be made; None if the pixels have to be decoded."""
    if given.get("region") is not None:
        return None
    return copy_of(origin, dst, _choices(Reading, given), _choices(Writing, given))


def _limit(max_memory: int | str | None) -> int:
    return default_budget() if max_memory is None else arguments.size(max_memory, "max_memory")


def _size_of(origin: Origin, dst: TargetLike, given: dict[str, Any]) -> int:
    """Return the bytes of the input.

    Raises
    ------
    UsageError
        If input or output is no file.
    """
    if format_to(dst, given.get("format")).marks or hasattr(origin, "total"):
        raise UsageError(f"{name_of(dst)}: if_smaller compares files, and here is a folder")
    if not isinstance(dst, (str, os.PathLike, io.BytesIO)):
        raise UsageError(f"{name_of(dst)}: if_smaller needs a file, which can be left out again")
    with origin.open() as file:
        return size_of(file)


def _if_smaller(origin: Origin, dst: TargetLike, given: dict[str, Any], limit: int) -> Report:
    """Convert `origin`, and keep the output if it has fewer bytes than `limit`."""
    holding = HeldTargets()
    writing = replace(_choices(Writing, given), hold=holding)
    beside = {name: given.get(name) for name in ("region", "control")}
    try:
        report = run_as(
            origin,
            Chain(()),
            dst,
            _choices(Reading, given),
            writing,
            _choices(Options, given),
            **beside,
        )
        if report.size >= limit:
            return replace(report, skipped="not_smaller")
        holding.publish()
        return report
    finally:
        with uninterrupted():
            holding.abort()


def _copied(copy: Copy, dst: TargetLike, given: dict[str, Any], most: int | None = None) -> Report:
    began, cpu = time.monotonic(), time.process_time()
    control = given.get("control") or Control()
    made = copied(copy, _limit(given.get("max_memory")), control.check, most)
    info, frames = made.extent.largest, made.extent.frames
    return Report(
        source=copy.source.name,
        destination=name_of(dst),
        height=info.height,
        width=info.width,
        channels=info.channels,
        dtype=str(info.dtype),
        size=made.size,
        seconds=time.monotonic() - began,
        cpu_seconds=time.process_time() - cpu,
        workers=0,
        executor=f"none in process {os.getpid()}, because coded pixels are copied",
        peak_memory=0,
        planned_memory=0,
        passes=0,
        tasks=0,
        lost=0,
        frames=frames,
        pixels=made.extent.pixels if frames > 1 else None,
        skipped="" if made.kept else "not_smaller",
    )
