"""Description of an image file: its contents, and the way in which imgpipe reads it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from imgpipe.chains.stages import seen
from imgpipe.errors import InputError
from imgpipe.formats.base import Source
from imgpipe.formats.declaration import Format
from imgpipe.formats.folder import FolderOrigin
from imgpipe.formats.frames import Contents
from imgpipe.formats.opening import SourceLike, format_at, open_source, origin_of
from imgpipe.formats.origin import Origin, size_of
from imgpipe.formats.readwrite import Reading
from imgpipe.image import ImageInfo
from imgpipe.metadata import Metadata
from imgpipe.plurals import area, counted
from imgpipe.records import dataclass

__all__ = ["Description", "describe"]

_MOST_PAGES = 1000  # of which the headers are read
_MOST_RUNS = 8  # of pages that are alike, in words
_NAMES = {
    "icc": "ICC profile",
    "exif": "EXIF",
    "xmp": "XMP",
    "iptc": "IPTC",
    "geo": "georeference",
    "pixels_per_metre": "resolution",
    "pixel_aspect": "aspect of pixels",
    "srgb_intent": "sRGB intent",
    "cicp": "CICP",
    "light_levels": "light levels",
}
_ACCESS = {
    "random": "in parts: each worker reads the parts that it needs",
    "sequential": "row by row, from top to bottom",
    "whole": "as a whole, into memory",
}


@dataclass(frozen=True)
class Description:
    """Properties of an image file.

    Attributes
    ----------
    name : str
        The file.
    format : str
        Its format.
    size : int
        Its bytes; those of all its files for a folder.
    files : int or None
        The number of its files, for a folder.
    info : ImageInfo
        The image, upright.
    contents : Contents
        Its frames, levels and other pictures.
    pages : tuple of (ImageInfo or None)
        The frames of a file without timing, upright; None for one that cannot be read, and nothing
        for those after the first thousand. Frames of an animation are alike.
    access : {"random", "sequential", "whole"}
        The way in which imgpipe reads it.
    grain : (int, int)
        Rows and columns of its tiles as they are stored, 0 columns for strips; (1, 0) or (1, 1)
        where there are none.
    decode_bytes : int
        Memory of a reader beside the pixels, in bytes.
    details : dict of str to str
        Further facts, such as the compression.
    """

    name: str
    format: str
    size: int
    files: int | None
    info: ImageInfo
    contents: Contents
    pages: tuple[ImageInfo | None, ...]
    access: str
    grain: tuple[int, int]
    decode_bytes: int
    details: dict[str, str]

    @property
    def read_as(self) -> str:
        """The way in which imgpipe reads the file, and the reason, in words."""
        reason = self.details.get("because")
        return f"{_ACCESS[self.access]}{f', because {reason}' if reason else ''}"

    @property
    def blocks(self) -> str:
        """Its tiles or strips in words; empty if there are none."""
        rows, columns = self.grain
        if columns > 1:
            return f"tiles of {columns} x {rows} pixels"
        return f"strips of {rows} rows" if rows > 1 else ""

    def as_dict(self) -> dict[str, Any]:
        """Return all properties as values that JSON can hold."""
        info, contents = self.info, self.contents
        timing = contents.timing
        return {
            "name": self.name,
            "format": self.format,
            "bytes": self.size,
            "files": self.files,
            "width": info.width,
            "height": info.height,
            "channels": info.channels,
            "dtype": str(info.dtype),
            "colour": info.colour,
            "alpha": info.alpha,
            "nodata": info.nodata,
            "blocks": None if self.grain[0] == 1 else list(self.grain),
            "frames": contents.frames,
            "pages": [None if page is None else _size(page) for page in self.pages],
            "seconds": None if timing is None else list(timing.seconds),
            "loop": None if timing is None else timing.loop,
            "levels": [list(level) for level in contents.levels],
            "associated": list(contents.associated),
            "metadata": dict(_listed(info.metadata)),
            "access": self.access,
            "read_as": self.read_as,
            "decode_bytes": self.decode_bytes,
            **{key: text for key, text in self.details.items() if key != "because"},
        }

    def __str__(self) -> str:
        info, contents = self.info, self.contents
        colour = info.colour.upper() if info.colour in ("rgb", "cmyk") else info.colour
        alpha = "" if info.alpha is None else " and alpha"
        files = "" if self.files is None else f" in {counted(self.files, 'file')}"
        lines = {
            "format": f"{self.format}, {counted(self.size, 'byte')}{files}",
            "size": f"{info.width} x {info.height} ({area(info.pixels)})",
            "values": f"{info.channels} x {info.dtype}, {colour}{alpha}",
            "no data": "" if info.nodata is None else f"{info.nodata:g}",
            "blocks": self.blocks,
            **{key: text for key, text in self.details.items() if key != "because"},
            "frames": _frames(contents) + _kinds(self.pages),
            "levels": ", ".join(f"{columns} x {rows}" for rows, columns in contents.levels[1:]),
            "others": ", ".join(contents.associated),
            "metadata": ", ".join(f"{key} {text}" for key, text in _listed(info.metadata)),
            "read": self.read_as,
        }
        told = [f"  {key + ':':13}{text}" for key, text in lines.items() if text]
        return "\n".join([self.name, *told])


def describe(src: SourceLike, *, salvage: bool = False) -> Description:
    """Return the properties of an image file. No pixel is read.

    Parameters
    ----------
    src : path or binary file
        The file.
    salvage : bool, default False
        Whether the file may be damaged after its header.

    Raises
    ------
    InputError
        If it cannot be read, or is no image.
    """
    origin = origin_of(src)
    found = format_at(origin)
    source = open_source(origin, Reading(salvage=salvage))
    contents = found.contents(origin) if found.contents is not None else Contents()
    return _described(origin, found, source, contents)


def _pages(origin: Origin, contents: Contents) -> Iterator[ImageInfo | None]:
    """Yield the frames of a file without timing."""
    if contents.frames == 1 or contents.timing is not None:
        return
    for page in range(min(contents.frames, _MOST_PAGES)):
        try:
            yield seen(open_source(origin, Reading(page=page)).info)
        except InputError:
            yield None


def _described(origin: Origin, format: Format, source: Source, contents: Contents) -> Description:
    files = None
    if isinstance(origin, FolderOrigin):
        size, files = origin.total()
    else:
        with origin.open(0) as file:
            size = size_of(file)
    return Description(
        name=origin.name,
        format=format.name,
        size=size,
        files=files,
        info=seen(source.info),
        contents=contents,
        pages=tuple(_pages(origin, contents)),
        access=source.access,
        grain=getattr(source, "stored_tile", source.grain),
        decode_bytes=source.decode_bytes,
        details={**getattr(source, "details", {}), **_turned(source.info)},
    )


def _turned(info: ImageInfo) -> dict[str, str]:
    """Return the orientation of a file whose pixels are turned when they are read."""
    orientation = info.metadata.orientation
    return {} if orientation == 1 else {"orientation": f"{orientation}, turned upright"}


def _frames(contents: Contents) -> str:
    if contents.frames == 1:
        return ""
    if contents.timing is None:
        return str(contents.frames)
    seconds = sum(contents.timing.seconds)
    times = {0: "for ever", 1: "once"}.get(contents.timing.loop, f"{contents.timing.loop} times")
    return f"{contents.frames} in {seconds:g} s, shown {times}"


def _kinds(pages: tuple[ImageInfo | None, ...]) -> str:
    """Return the sizes and types of the pages in words, if they differ."""
    known = [None if page is None else tuple(_size(page).values()) for page in pages]
    runs = [(kind, len(list(same))) for kind, same in itertools.groupby(known)]
    if len(runs) < 2:
        return ""
    told, first = list[str](), 0
    for kind, count in runs[:_MOST_RUNS]:
        numbers = f"{first}" if count == 1 else f"{first} to {first + count - 1}"
        each = "damaged" if kind is None else "{} x {}, {} x {}".format(*kind)
        told.append(f"{numbers}: {each}")
        first += count
    return f" ({'; '.join(told)}{'; and others' * (len(runs) > _MOST_RUNS)})"


def _size(info: ImageInfo) -> dict[str, Any]:
    return {
        "width": info.width,
        "height": info.height,
        "channels": info.channels,
        "dtype": str(info.dtype),
    }


def _listed(metadata: Metadata) -> list[tuple[str, str]]:
    """Return the entries that there are, in words."""
    found: list[tuple[str, str]] = []
    for each in fields(metadata):
        value = getattr(metadata, each.name)
        if value in (None, (), 1) and not (each.name == "srgb_intent" and value is not None):
            continue
        found.append((_NAMES.get(each.name, each.name), _in_words(each.name, value, metadata)))
    return found


def _in_words(name: str, value: Any, metadata: Metadata) -> str:
    if isinstance(value, bytes):
        return f"({counted(len(value), 'byte')})"
    if name == "pixels_per_metre":
        assert metadata.dpi is not None
        return " x ".join(f"{float(each):.6g}" for each in dict.fromkeys(metadata.dpi)) + " dpi"
    if name == "texts":
        return f"({', '.join(text.keyword for text in value)})"
    if name == "geo":
        return "(yes)"
    if isinstance(value, tuple):
        return f"({', '.join(f'{part:g}' for part in value)})"
    return f"{value:g}"
