"""Arrays and OME-Zarr images as sources of pixels: any box, chunk by chunk."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any, ClassVar, Literal

import numpy as np

from imgpipe.admission import Alpha, alpha_channel
from imgpipe.errors import FormatError, UsageError
from imgpipe.formats.folder import FolderOrigin
from imgpipe.formats.frames import Contents, must_have
from imgpipe.formats.zarr.chunks import open_by_zarr, read_region
from imgpipe.formats.zarr.declarations import (
    Array,
    Dataset,
    Multiscale,
    array_of,
    damaged,
    declaration,
    multiscale_of,
    of_damage,
)
from imgpipe.formats.zarr.ownattribute import OWN, metadata_of
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo, Pixels, check_pixels, guess_colour
from imgpipe.metadata import Colour, Density, Metadata, density_from_dpi
from imgpipe.records import dataclass

__all__ = ["ZarrSource", "contents", "open_source"]

_LIBRARY_BYTES = 4 << 20
_ZARR_BYTES = 48 << 20
_LARGE_BYTES = 4 << 20
_MICROMETRES_PER_INCH = 25400
_SMALLEST, _LARGEST = Fraction(1, 10**5), 10**10  # micrometres: of an atom, and of a county
_ROUNDED = Fraction(1, 10**14)  # of a number of 64 bits, after some steps
_CHANNELS = ("c", "channel", "band", "s", "rgb")
_MOST_CHANNELS = 65_535
_COLOURS = 4  # the most channels of an array whose axes have no names


@dataclass(frozen=True)
class Axes:
    """The axes of an array that are rows, columns and channels.

    Attributes
    ----------
    y, x : int
        Rows and columns.
    c : int or None
        Channels.
    count : int
        The number of all axes; the others have the length 1.
    """

    y: int
    x: int
    c: int | None
    count: int

    def region(self, box: Box, channels: int) -> tuple[slice, ...]:
        """Return the part of the array that is a box of the image."""
        made = [slice(0, 1)] * self.count
        made[self.y], made[self.x] = box.slices
        if self.c is not None:
            made[self.c] = slice(0, channels)
        return tuple(made)

    def pixels(self, values: Pixels) -> Pixels:
        """Return a part of the array as (rows, columns, channels)."""
        chosen = (self.y, self.x) if self.c is None else (self.y, self.x, self.c)
        others = tuple(axis for axis in range(self.count) if axis not in chosen)
        made = values.transpose(*chosen, *others)
        return made.reshape(*made.shape[:2], -1)


@dataclass(frozen=True)
class _Found:
    """Content of the declarations of an image."""

    array: Array
    attributes: dict[str, Any]
    image: Multiscale | None = None
    dataset: Dataset | None = None
    full: tuple[int, ...] | None = None
    """The shape of the full resolution, of a lower one."""


def contents(origin: FolderOrigin) -> Contents:
    """Return the levels of an image.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    made = _declared(origin)
    if made.get("node_type") != "group":
        found = _found(origin, 0)
        axes = _axes(found, origin.name)
        return Contents(levels=((found.array.shape[axes.y], found.array.shape[axes.x]),))
    levels = []
    for number in range(len(multiscale_of(made, origin).datasets)):
        found = _found(origin, number)
        axes = _axes(found, origin.name)
        levels.append((found.array.shape[axes.y], found.array.shape[axes.x]))
    return Contents(levels=tuple(levels))


def open_source(
    origin: FolderOrigin,
    max_pixels: int | None = None,
    alpha: Alpha = None,
    page: int = 0,
    level: int = 0,
) -> ZarrSource:
    """Open an array, or a level of an OME-Zarr image.

    Raises
    ------
    UsageError
        If there is no such page or level, or `alpha` is not the last channel.
    InputError
        If the folder cannot be used; `imgpipe.errors` has the kinds.
    """
    name = origin.name
    must_have("page", page, 1, name)
    found = _found(origin, level)
    axes, array = _axes(found, name), found.array
    height, width = array.shape[axes.y], array.shape[axes.x]
    channels = 1 if axes.c is None else array.shape[axes.c]
    check_pixels(height, width, name, max_pixels)
    if channels > _MOST_CHANNELS:
        raise FormatError(
            f"{name}: has {channels:,} channels, and imgpipe reads up to {_MOST_CHANNELS:,}; write "
            "those that you want to an array of their own"
        )
    if array.coding is None:
        open_by_zarr(origin, array)
    colour, index, nodata = _meaning(found, channels, alpha, origin)
    info = ImageInfo(
        height,
        width,
        channels,
        array.dtype,
        index,
        colour,
        _metadata(found, axes, name),
        nodata,
    )
    return ZarrSource(info, origin, array, axes)


@dataclass(frozen=True)
class ZarrSource:
    """An image whose chunks are read where they are needed."""

    access: ClassVar[Literal["random"]] = "random"
    info: ImageInfo
    origin: FolderOrigin
    array: Array
    axes: Axes

    @property
    def name(self) -> str:
        """The folder, for messages."""
        return self.origin.name

    @property
    def grain(self) -> tuple[int, int]:
        """Rows and columns of a chunk, of the part that is within the image."""
        rows, columns = self.array.chunk[self.axes.y], self.array.chunk[self.axes.x]
        return min(rows, self.info.height), 0 if columns >= self.info.width else columns

    @property
    def stored_tile(self) -> tuple[int, int]:
        """Rows and columns of a chunk as it is stored, for `imgpipe info`."""
        rows, columns = self.array.chunk[self.axes.y], self.array.chunk[self.axes.x]
        return rows, 0 if columns == self.info.width else columns

    @property
    def compressed(self) -> bool:
        """Return whether a chunk takes work to decode."""
        array = self.array
        is_raw = array.coding is not None and not array.coding.packers
        return not is_raw or array.chunk_bytes > _LARGE_BYTES

    @property
    def details(self) -> dict[str, str]:
        """Facts for `imgpipe info`."""
        array = self.array
        shards = "" if array.sharding is None else f", shards of {_times(array.file)}"
        return {
            "compression": array.codecs or "none",
            "stored": f"chunks of {_times(array.chunk)}{shards}, in an array of "
            f"{_times(array.shape)}",
        }

    @property
    def decode_bytes(self) -> int:
        """Memory of a reader beside the pixels that it gives out, in bytes."""
        array, info = self.array, self.info
        index = 0 if array.sharding is None else 3 * array.sharding.size
        whole = array.file if array.coding is None else array.chunk
        chunk = math.prod(whole) * array.dtype.itemsize
        rows, columns = self.grain
        tile = rows * (columns or info.width) * info.channels * info.dtype.itemsize
        library = _ZARR_BYTES if array.coding is None else _LIBRARY_BYTES
        return library + index + 4 * chunk + tile

    def read(self, box: Box) -> Pixels:
        """Return the pixels of `box`.

        Raises
        ------
        CorruptError
            If a chunk is damaged.
        """
        region = self.axes.region(box, self.info.channels)
        made = self.axes.pixels(read_region(self.origin, self.array, region))
        return np.ascontiguousarray(made)

    def tile_into(self, row: int, column: int, out: Pixels) -> None:
        """Fill `out` with the chunk in a row and a column of chunks, clipped at the edges."""
        rows, columns = self.grain
        y, x = row * rows, column * columns
        box = Box(y, x, y + out.shape[0], x + out.shape[1])
        region = self.axes.region(box, self.info.channels)
        out[...] = self.axes.pixels(read_region(self.origin, self.array, region))

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel to the workers without metadata."""
        info = replace(self.info, metadata=Metadata())
        return ZarrSource, (info, self.origin, self.array, self.axes)


def _declared(origin: FolderOrigin) -> dict[str, Any]:
    """Return the declaration of an image.

    Raises
    ------
    FormatError
        If it is of Zarr 2.
    """
    if "zarr.json" not in origin.names():
        raise FormatError(
            f"{origin.name}: is Zarr version 2, and imgpipe reads version 3; convert it first, for "
            f"example by: pip install 'zarr[cli]'; zarr migrate v3 {origin.name}"
        )
    return declaration(origin)


def _found(origin: FolderOrigin, level: int) -> _Found:
    made = _declared(origin)
    attributes = made.get("attributes", {})
    if made.get("node_type") != "group":
        if level:
            raise _no_level(origin, level, 1)
        return _Found(array_of(made, origin), attributes)
    image = multiscale_of(made, origin)
    if not 0 <= level < len(image.datasets):
        raise _no_level(origin, level, len(image.datasets))
    dataset = image.datasets[level]
    array = _level(origin, image, dataset)
    full = _level(origin, image, image.datasets[0]).shape if level else None
    return _Found(array, attributes, image, dataset, full)


def _level(origin: FolderOrigin, image: Multiscale, dataset: Dataset) -> Array:
    """Return the array of a level.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    path = dataset.path
    array = array_of(declaration(origin, path), origin, path)
    if len(image.axes) != len(array.shape):
        raise damaged(origin, path, f"{path}zarr.json has another number of axes")
    return replace(array, axes=image.axes)


def _no_level(origin: FolderOrigin, level: int, count: int) -> UsageError:
    has = "only level 0" if count == 1 else f"levels 0 to {count - 1}"
    return UsageError(
        f"{origin.name}: has no pyramid level {level}, {has}; choose one of these (--level)"
    )


def _axes(found: _Found, name: str) -> Axes:
    """Return the axes of rows, columns and channels.

    Raises
    ------
    FormatError
        If there are others.
    """
    array = found.array
    names, shape = array.axes or _guessed(array.shape), array.shape
    y, x = (names.index(axis) if axis in names else None for axis in "yx")
    c = next((at for at, axis in enumerate(names) if axis in _CHANNELS), None)
    more = [axis for axis, size in zip(names, shape, strict=True) if size > 1]
    others = [axis for axis in more if axis not in ("y", "x", *_CHANNELS)]
    if y is None or x is None or y == x or others:
        raise FormatError(
            f"{name}: is an array of {_times(shape)} ({', '.join(names)}), and imgpipe reads "
            "images of rows, columns and channels; write the plane that you want to an array of "
            "its own"
        )
    return Axes(y, x, c, len(shape))


def _guessed(shape: tuple[int, ...]) -> tuple[str, ...]:
    """Return names for axes without names: channels last if there are few, or else first."""
    more = len(shape) - 2
    if more == 1:
        return ("y", "x", "c") if shape[2] <= _COLOURS < shape[0] else _first(shape)
    return (*(f"axis {at}" for at in range(more)), "y", "x")[-len(shape) :]


def _first(shape: tuple[int, ...]) -> tuple[str, ...]:
    few = shape[0] <= _COLOURS or shape[2] > _COLOURS
    return ("c", "y", "x") if few and shape[0] < shape[2] else ("y", "x", "c")


def _meaning(
    found: _Found, channels: int, alpha: Alpha, origin: FolderOrigin
) -> tuple[Colour, int | None, float | None]:
    """Return colour, alpha, and the value of pixels without data."""
    own = found.attributes.get(OWN)
    usual, usual_alpha = guess_colour(channels)
    if not isinstance(own, dict):
        index = alpha_channel(alpha, channels, origin.name)
        return usual if usual_alpha == index else "other", index, None
    try:
        colour, index, nodata = own["colour"], own.get("alpha"), own.get("nodata")
        counts = {"gray": 1, "rgb": 3, "cmyk": 4, "other": 0}
        if channels - (index is not None) < counts[colour] or index not in (None, channels - 1):
            raise ValueError
        nodata = None if nodata is None else float(nodata)
    except of_damage:
        raise damaged(origin, "", f"its attribute {OWN!r} does not fit the image") from None
    if alpha is not None:
        index = alpha_channel(alpha, channels, origin.name)
    return colour, index, nodata


def _metadata(found: _Found, axes: Axes, name: str) -> Metadata:
    """Return the metadata of a level: those of the image, and its own resolution."""
    entries = metadata_of(found.attributes.get(OWN), name)
    upright = entries.pop("orientation", 1)
    density = None if found.image is None else _density(found.image, found.dataset, axes)
    made = Metadata(**entries, pixels_per_metre=density).completed(name, orientation=upright)
    if found.full is None or found.full == found.array.shape:
        return made
    before, after = ((shape[axes.y], shape[axes.x]) for shape in (found.full, found.array.shape))
    made = made.resized(before, after, exact=True).sized(*after)
    return replace(made, pixels_per_metre=density)


def _density(image: Multiscale, dataset: Dataset | None, axes: Axes) -> Density | None:
    """Return the resolution that the scale of a level says; None if it cannot be meant."""
    assert dataset is not None
    steps = []
    for axis in (axes.x, axes.y):
        unit, scale = image.units[axis], dataset.scale[axis]
        if unit is None or not math.isfinite(scale):
            return None
        micrometres = unit * Fraction(scale)
        if not _SMALLEST <= micrometres <= _LARGEST:
            return None
        steps.append(_MICROMETRES_PER_INCH / _exact(micrometres))
    x, y = steps
    return density_from_dpi(x, y)


def _exact(micrometres: Fraction) -> Fraction:
    """Return the size that a rounded number means: 84.66666666666667 is 254 / 3."""
    simple = micrometres.limit_denominator(1_000_000)
    return simple if abs(simple - micrometres) <= _ROUNDED * micrometres else micrometres


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
