"""Copies of Zarr images: their chunks and shards as they are, with other declarations or the same.

Of the folder only the files of the image are copied. If it holds more, such as labels or links, it
is not copied.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

from imgpipe.errors import InputError
from imgpipe.formats.base import Check
from imgpipe.formats.declaration import NotCopiedError
from imgpipe.formats.folder import FolderOrigin, Piece
from imgpipe.formats.origin import pieces_of
from imgpipe.formats.zarr.chunks import must_be_complete
from imgpipe.formats.zarr.declarations import (
    MARK,
    Array,
    array_of,
    declaration,
    multiscale_of,
    of_damage,
)
from imgpipe.formats.zarr.ome import channels_of
from imgpipe.formats.zarr.ownattribute import OWN, own_of
from imgpipe.formats.zarr.reading import ZarrSource, open_source
from imgpipe.image import ImageInfo
from imgpipe.metadata import Metadata

__all__ = ["must_be_intact", "spliced"]

_OF_ARRAYS = (
    *("zarr_format", "node_type", "shape", "data_type", "chunk_grid", "chunk_key_encoding"),
    *("fill_value", "codecs", "dimension_names"),
)
_DIGITS = 12
_KINDS = ("space", "time", "channel")
_NUMBER = r"(0|[1-9]\d{0,15})"
_FOLDER = re.compile(r"c|\d{1,16}")  # of chunks


def spliced(origin: FolderOrigin, metadata: Metadata | None) -> Iterator[Piece]:
    """Return the files of an image, piece by piece.

    Parameters
    ----------
    origin : FolderOrigin
        Its folder.
    metadata : Metadata or None
        The metadata that it is to have; None for its declarations as they are.

    Raises
    ------
    InputError
        If it cannot be read.
    NotCopiedError
        If the folder holds something else.
    """
    made = declaration(origin)
    arrays = _arrays(origin, made)
    for _ in _files(origin, arrays):
        pass  # all names, before the first byte is copied
    texts = {}
    if metadata is not None:
        info = replace(open_source(origin).info, metadata=metadata)
        texts = {part: _text(one) for part, one in _declarations(origin, made, arrays, info)}
    return _pieces(origin, arrays, texts)


def must_be_intact(source: ZarrSource, check: Check) -> None:
    """Refuse an image with chunks or shards that are cut off, as far as that is known.

    Raises
    ------
    CorruptError
        If there are any.
    """
    origin = source.origin
    arrays = _arrays(origin, declaration(origin))
    for part in _files(origin, arrays):
        check()
        if not part.endswith(MARK):
            array = next(one.array for path, one in arrays.items() if part.startswith(path))
            must_be_complete(origin.part(part), array)


def _pieces(
    origin: FolderOrigin, arrays: dict[str, _Chunks], texts: dict[str, bytes]
) -> Iterator[Piece]:
    for part in _files(origin, arrays):
        empty = True
        for data in [texts[part]] if part in texts else pieces_of(origin.part(part)):
            empty = False
            yield Piece(part, data)
        if empty:  # which is damage, and must not become a chunk that is not there
            yield Piece(part, b"")


class _Chunks(NamedTuple):
    """An array, the names of its chunks, and their number along each axis."""

    array: Array
    names: re.Pattern[str]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, array: Array) -> _Chunks:
        parts = [*filter(None, [array.prefix]), *[_NUMBER] * len(array.shape)]
        counts = [-(-size // file) for size, file in zip(array.shape, array.file, strict=True)]
        return cls(array, re.compile(re.escape(array.separator).join(parts)), tuple(counts))

    def has(self, name: str) -> bool:
        """Return whether a file is a chunk."""
        found = self.names.fullmatch(name)
        return found is not None and all(
            int(number) < count for number, count in zip(found.groups(), self.counts, strict=True)
        )

    def may_be_in(self, inside: str, name: str) -> bool:
        """Return whether a folder, in another one of the array, may hold chunks."""
        return inside.count("/") <= len(self.counts) and _FOLDER.fullmatch(name) is not None


def _arrays(origin: FolderOrigin, made: dict[str, Any]) -> dict[str, _Chunks]:
    """Return the arrays of an image by their folders, with a slash at the end unless it is it."""
    if made.get("node_type") != "group":
        return {"": _Chunks.of(array_of(made, origin))}
    paths = {one.path for one in multiscale_of(made, origin).datasets}
    if any(one != other and one.startswith(other) for one in paths for other in paths):
        raise NotCopiedError("it holds an array within another one")
    return {
        path: _Chunks.of(array_of(declaration(origin, path), origin, path))
        for path in sorted(paths)
    }


def _files(origin: FolderOrigin, arrays: dict[str, _Chunks]) -> Iterator[str]:
    """Yield the names of declarations and chunks.

    Raises
    ------
    NotCopiedError
        If there are links, or folders of something else.
    """
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        path = next((each for each in arrays if folder.startswith(each)), None)
        chunks = None if path is None else arrays[path]
        inside = folder.removeprefix(path or "")
        for entry in _entries(origin, folder):
            name = f"{folder}{entry.name}"
            if entry.is_symlink():
                raise NotCopiedError(f"it holds links, such as {name}")
            if entry.is_dir():
                waiting.append(f"{name}/")
                if chunks is None:
                    known = any(each.startswith(f"{name}/") for each in arrays)
                else:
                    known = chunks.may_be_in(inside, entry.name)
            else:
                known = entry.name != MARK or not (chunks and inside)
                if entry.name == MARK or (chunks and chunks.has(inside + entry.name)):
                    yield name
            if not known:
                raise NotCopiedError(f"it holds more than the image, such as {name}")


def _entries(origin: FolderOrigin, folder: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(os.path.join(origin.path, folder)) as found:
            yield from found
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InputError(f"{origin.name}: cannot be read: {reason}; check the disk") from error


def _declarations(
    origin: FolderOrigin, made: dict[str, Any], arrays: dict[str, _Chunks], info: ImageInfo
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the declarations of an image with these metadata."""
    own = {OWN: own_of(info, origin.name)}
    if "" in arrays:
        yield MARK, _bare(made) | {"attributes": own}
        return
    group = {"zarr_format": 3, "node_type": "group", "attributes": {}}
    yield MARK, group | {"attributes": {"ome": _ome(made, info), **own}}
    for path in arrays:
        yield f"{path}{MARK}", _bare(declaration(origin, path))
        folders = path.split("/")[:-2]
        for depth in range(1, len(folders) + 1):
            yield f"{'/'.join(folders[:depth])}/{MARK}", group


def _bare(made: dict[str, Any]) -> dict[str, Any]:
    """Return the declaration of an array without attributes."""
    return {key: made[key] for key in _OF_ARRAYS if key in made} | {"attributes": {}}


def _ome(made: dict[str, Any], info: ImageInfo) -> dict[str, Any]:
    """Return the attribute of OME-Zarr: axes and levels, in pixels of the full resolution."""
    try:
        image = made["attributes"]["ome"]["multiscales"][0]
        first = _numbers(image["datasets"][0], "scale")
        axes = [
            {key: axis[key] for key in ("name", "type") if key == "name" or axis.get(key) in _KINDS}
            for axis in image["axes"]
        ]
        datasets = [
            {
                "path": each["path"],
                "coordinateTransformations": [
                    {
                        "type": kind,
                        kind: [round(a / b, _DIGITS) for a, b in zip(numbers, first, strict=True)],
                    }
                    for kind in ("scale", "translation")
                    if (numbers := _numbers(each, kind))
                ],
            }
            for each in image["datasets"]
        ]
    except (*of_damage, ZeroDivisionError) as error:
        raise NotCopiedError("the scales of its levels are damaged") from error
    shown = {"name": "image", "axes": axes, "datasets": datasets}
    return {"version": "0.5", "multiscales": [shown], **channels_of(info)}


def _numbers(dataset: dict[str, Any], kind: str) -> list[float]:
    """Return the numbers of a transformation of a level."""
    for each in dataset["coordinateTransformations"]:
        if each["type"] == kind:
            made = [float(number) for number in each[kind]]
            if not all(map(math.isfinite, made)):
                raise ValueError
            return made
    return []


def _text(made: dict[str, Any]) -> bytes:
    return json.dumps(made, indent=2).encode()
