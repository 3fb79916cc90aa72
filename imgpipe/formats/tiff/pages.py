"""Pages of a TIFF file: frames, levels of pyramids, and the pictures that are none of these."""

from __future__ import annotations

import logging
import os
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, TypeVar, cast

import numpy as np

from imgpipe.errors import CorruptError, ImgpipeError
from imgpipe.formats.frames import Contents, must_have
from imgpipe.formats.lastfile import LastFile
from imgpipe.formats.origin import Origin
from imgpipe.formats.tiff.directories import Directory, Walk, is_level
from imgpipe.formats.tiff.metadata import SLIDES
from imgpipe.formats.tiff.plainpages import plain_page
from imgpipe.records import dataclass

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

_T = TypeVar("_T")

__all__ = ["Frame", "Opened", "contents", "opened_page"]

_OF_DAMAGE = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    ArithmeticError,
    NotImplementedError,
    struct.error,
    AssertionError,
    RuntimeError,
)
"""Exceptions of tifffile that mean a damaged file."""


@dataclass(frozen=True)
class Frame:
    """A frame: the offsets of its levels, of which the first is the full resolution."""

    levels: tuple[Directory, ...]


class Opened(NamedTuple):
    """An open page.

    Attributes
    ----------
    tags, full : TiffPage
        Its tags, and those of the full resolution, as tifffile has them; see `plain_page` too.
    walk : Walk
        The walk over the file.
    plane : int
        Number of the image, where several follow each other without tags of their own.
    """

    tags: TiffPage
    full: TiffPage
    walk: Walk
    plane: int = 0


@dataclass(frozen=True)
class _Pages:
    frames: tuple[Frame, ...]
    associated: tuple[str, ...]
    private: bool = False
    plain: bool = False


class _File:
    """An open file, which tifffile reads if it is asked to."""

    def __init__(self, origin: Origin, file: BinaryIO) -> None:
        self.file, self.walk = file, Walk(file, origin.name)
        self._name = os.path.basename(origin.name)

    @cached_property
    def tiff(self) -> TiffFile:
        """The file as tifffile reads it."""
        from tifffile import TiffFile  # noqa: PLC0415 - slow, and only for pages that are not plain

        # The others would have the library read all pages at once.
        flags: dict[str, Any] = {"is_ndpi": self.walk.ndpi, "is_scanimage": False, "is_lsm": False}
        self.file.seek(0)
        return TiffFile(self.file, name=self._name, _multifile=False, **flags)


def contents(origin: Origin) -> Contents:
    """Return the frames, levels and other pictures of a file.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    with _opened(origin) as opened:
        pages = _pages(origin, opened)
    levels = tuple((one.height, one.width) for one in pages.frames[0].levels)
    return Contents(len(pages.frames), None, levels, pages.associated, pages.private)


@contextmanager
def opened_page(origin: Origin, page: int, level: int) -> Iterator[Opened]:
    """Lend an open page of a file.

    Raises
    ------
    UsageError
        If there is no such page or level.
    InputError
        If the file cannot be read.
    """
    with _opened(origin) as opened:
        pages = _pages(origin, opened)
        frame = _numbered(pages.frames, page, "page", origin.name)
        found = _numbered(frame.levels, level, "level", origin.name)
        plain = plain_page(opened.walk, found) if pages.plain else None
        if plain is not None:
            tags = full = cast("TiffPage", plain)  # it has all that is asked of one
        else:
            tags = _tags(opened.tiff, found, page)
            full = tags if level == 0 else _tags(opened.tiff, frame.levels[0], page)
        yield Opened(tags, full, opened.walk, found.plane)


def _tags(tiff: TiffFile, directory: Directory, page: int) -> TiffPage:
    from tifffile import TiffPage  # noqa: PLC0415 - slow, and only for pages that are not plain

    tiff.filehandle.seek(directory.position)
    return TiffPage(tiff, index=page)


@contextmanager
def _opened(origin: Origin) -> Iterator[_File]:
    """Lend an open file, its exceptions made ours and its log kept from the user."""
    with origin.open() as file, _log.quiet(), np.errstate(all="ignore"):  # or it warns of damage
        try:
            yield _File(origin, file)
        except ImgpipeError:
            raise
        except _OF_DAMAGE as error:
            reason = str(error).partition("\n")[0][:120] or type(error).__name__
            raise CorruptError(
                f"{origin.name}: the file is damaged ({reason}); get a fresh copy"
            ) from error


_last = LastFile[_Pages]()


def _pages(origin: Origin, opened: _File) -> _Pages:
    return _last.of(origin, opened.file, lambda _: _found(opened))


def _found(opened: _File) -> _Pages:
    walk, chain = opened.walk, list(opened.walk.chain())
    if len(chain) == 1 and plain_page(walk, chain[0]) is not None:
        return _Pages((Frame((chain[0],)),), (), plain=True)
    tiff = opened.tiff
    slide = any(getattr(tiff, f"is_{one}", False) for one in SLIDES)
    if slide and len(chain) > 1 and not tiff.is_indica:
        return _of_slide(tiff)
    if len(chain) == 1 and tiff.is_imagej:
        return _of_stack(tiff, chain[0])
    return _sorted(walk, chain, slide=slide)


def _of_stack(tiff: TiffFile, first: Directory) -> _Pages:
    """Return the pages of a stack of ImageJ, whose large files have a single directory."""
    page, count = tiff.pages.first, int((tiff.imagej_metadata or {}).get("images", 1))
    simple = page.is_contiguous and int(page.planarconfig) == 1
    size = page.nbytes if simple else 0
    room = (tiff.filehandle.size - page.dataoffsets[0]) // size if size else 1
    planes = range(max(1, min(count, room)))
    return _Pages(tuple(Frame((replace(first, plane=plane),)) for plane in planes), ())


def _of_slide(tiff: TiffFile) -> _Pages:
    """Return the pages of a slide, as the library sorts them."""
    main, *others = tiff.series
    levels = [
        [
            Directory(page.offset, level.keyframe.imagelength, level.keyframe.imagewidth)
            for page in level.pages
            if page is not None
        ]
        for level in main.levels
    ]
    frames = [
        tuple(level[at] for level in levels if len(level) == len(levels[0]))
        for at in range(len(levels[0]))
    ]
    named = tuple(
        f"{one.name or 'image'} of {one.keyframe.imagewidth} x {one.keyframe.imagelength}".lower()
        for one in others
    )
    return _Pages(tuple(map(Frame, frames)), named, private=True)


def _sorted(walk: Walk, chain: list[Directory], *, slide: bool) -> _Pages:
    """Return the directories of frames, of their levels, and of other pictures."""
    frames: list[list[Directory]] = []
    associated: list[Directory] = []
    for one in chain:
        below = walk.below(one)
        full = next((each for each in below if not (each.reduced or each.mask)), None)
        if one.reduced and full is not None and full.width > one.width:
            frames.append([full])  # of a raw photograph, which begins with a preview
            _add([one, *(each for each in below if each is not full)], frames, associated)
            continue
        if not (one.reduced or one.mask):
            frames.append([one])
            _add(below, frames, associated)
        else:
            _add([one, *below], frames, associated)
    if not frames:  # the first one counts, because there is no other
        frames, associated = [[associated[0]]], associated[1:]
    levels = (sorted(frame, key=lambda one: -one.height * one.width) for frame in frames)
    private = slide or any(not one.mask for one in associated)
    named = tuple(map(str, associated))
    return _Pages(tuple(Frame(tuple(frame)) for frame in levels), named, private)


def _add(found: list[Directory], frames: list[list[Directory]], others: list[Directory]) -> None:
    """Add images that are no frames to the levels of the last frame, or to the others."""
    for one in found:
        level = bool(frames) and not one.mask and is_level(one, frames[-1][0])
        (frames[-1] if level else others).append(one)


def _numbered(found: tuple[_T, ...], number: int, noun: str, name: str) -> _T:
    must_have(noun, number, len(found), name)
    return found[number]


class _Quiet(logging.Filter):
    """A logging filter that drops the records of a library, in threads that ask for it."""

    def __init__(self, logger: str) -> None:
        super().__init__()
        self._threads: dict[int, int] = {}
        logging.getLogger(logger).addFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record may pass."""
        return threading.get_ident() not in self._threads

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Drop the log records of this thread."""
        me = threading.get_ident()
        self._threads[me] = self._threads.get(me, 0) + 1
        try:
            yield
        finally:
            self._threads[me] -= 1
            if not self._threads[me]:
                del self._threads[me]


_log = _Quiet("tifffile")
