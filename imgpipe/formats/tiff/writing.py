"""TIFF and BigTIFF files that are written: options, and decisions before the first pixel."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, NamedTuple

from imgpipe.arguments import shown
from imgpipe.errors import UsageError
from imgpipe.formats.base import Sink
from imgpipe.formats.compression import Compression, Method, one_of
from imgpipe.formats.declaration import CMYK, GRAY, RGB, Format
from imgpipe.formats.frames import Timing
from imgpipe.formats.jpegs.encoding import Subsampling
from imgpipe.formats.spooled import amendable
from imgpipe.formats.target import Target
from imgpipe.formats.tiff.blocks import CLASSIC_BYTES, TiffFile, bound
from imgpipe.formats.tiff.metadatatags import described
from imgpipe.formats.tiff.sinks import Building, EncodedTiff, RawTiff
from imgpipe.formats.tiff.storage import Storage
from imgpipe.image import ImageInfo
from imgpipe.parameters import Through, is_whole

__all__ = ["DEFAULT_COMPRESSION", "TiffAlbum", "album", "narrowed", "open_sink"]

_TILE, _COG_TILE, _STRIPS = (256, 256), (512, 512), (0, 0)
_STEP, _MOST = 16, 4096  # pixels of the side of a tile
_STRIPS_WORD = "strips"


def _tile(given: Any) -> tuple[int, int]:
    """Return rows and columns of a tile, (0, 0) for strips."""
    if isinstance(given, (str, tuple)) and given in (_STRIPS_WORD, _STRIPS):
        return _STRIPS
    found = re.fullmatch(r"(\d{1,5})(?:x(\d{1,5}))?", given) if isinstance(given, str) else None
    sides = given if isinstance(given, (tuple, list)) else (given, given)
    if found:
        sides = int(found[1]), int(found[2] or found[1])
    fit = len(sides) == 2 and all(
        is_whole(side, at_least=_STEP) and side <= _MOST and side % _STEP == 0 for side in sides
    )
    if not fit:
        raise ValueError(
            f"must be N or ROWSxCOLUMNS, multiples of {_STEP} up to {_MOST}, or {_STRIPS_WORD}, "
            f"not {shown(given)}"
        )
    return int(sides[0]), int(sides[1])


DEFAULT_COMPRESSION = Compression("deflate", 1)
Wanted = Annotated[
    Compression,
    one_of(
        Method("deflate", 0, 9, usual=1),
        Method("zstd", 1, 22, usual=1),
        Method("lzw"),
        Method("jpeg", 1, 100, usual=90),
        Method("none"),
    ),
    "deflate:0 to deflate:9, or 0 to 9 for short; zstd:1 to zstd:22; lzw; jpeg:QUALITY; or none.",
]
Tile = Annotated[
    Any,
    Through(_tile, "size"),
    "Rows and columns of a tile, N or ROWSxCOLUMNS, or strips; 256, or 512 with --cog, by default.",
]
Ratio = Annotated[Subsampling, "Resolution of the colours: 4:4:4 is full, 4:2:0 half both ways."]


def open_sink(
    target: Target,
    info: ImageInfo,
    *,
    compression: Wanted = DEFAULT_COMPRESSION,
    tile: Tile = None,
    subsampling: Ratio = "4:2:0",
    pyramid: Annotated[bool, "Add smaller versions of the image, each half the size."] = False,
    cog: Annotated[bool, "Write a Cloud-Optimized GeoTIFF: a pyramid in another order."] = False,
) -> Sink:
    """Begin a TIFF file, or a BigTIFF where it may have more than 4 GB.

    Parameters
    ----------
    target : Target
        Target of the file.
    info : ImageInfo
        The image.
    compression : Compression
        Compression of its tiles or strips.
    tile : int, (int, int) or "strips", optional
        Rows and columns of a tile; 256, or 512 with `cog`.
    subsampling : str
        Subsampling of the colours of JPEG data.
    pyramid : bool
        Whether to add levels, each with half the pixels of the one before along both sides, until
        one fits a tile. They are SubIFDs of the image.
    cog : bool
        Whether to add these levels as pages, with all directories first and the image last.

    Returns
    -------
    RawTiff or EncodedTiff

    Raises
    ------
    UsageError
        If the compression cannot hold such an image, or strips a pyramid.
    """
    wanted = _Wanted(compression, tile, subsampling, pyramid, cog)
    levels = wanted.levels(info, target.name)
    file = TiffFile(target, big=bound(levels, described(info)) > CLASSIC_BYTES)
    return _sink(file, levels, lambda held: held.commit(), cog=cog)


def narrowed(format: Format, *, compression: Compression = DEFAULT_COMPRESSION, **_: Any) -> Format:
    """Return the declaration of files with these options: JPEG data holds fewer images."""
    if compression.method != "jpeg":
        return format
    layouts = (GRAY, RGB, CMYK)
    return replace(format, name="JPEG data in TIFF", dtypes=("uint8",), layouts=layouts)


def album(
    target: Target, infos: tuple[ImageInfo, ...], timing: Timing | None = None, **options: Any
) -> TiffAlbum:
    """Begin a TIFF file of such pages; the options are those of `open_sink`.

    Raises
    ------
    UsageError
        If the compression cannot hold one of them.
    """
    return TiffAlbum(amendable(target), infos, **options)


class _Wanted(NamedTuple):
    """The options of a file."""

    compression: Compression
    tile: Any
    subsampling: Subsampling
    pyramid: bool
    cog: bool

    def levels(self, info: ImageInfo, name: str) -> tuple[Storage, ...]:
        """Return the storage of an image, and those of the levels of its pyramid."""
        usual = (_COG_TILE if self.cog else _TILE) if self.tile is None else _tile(self.tile)
        storage = Storage(info, usual, self.compression, self.subsampling)
        storage.must_be_held(name)
        if not self.pyramid and not self.cog:
            return (storage,)
        if usual == _STRIPS:
            raise UsageError(f"{name}: a pyramid is made of tiles; leave out --tile strips")
        return storage.levels()


class TiffAlbum:
    """A file of several pages, which may differ in size and type."""

    def __init__(
        self,
        target: Target,
        infos: tuple[ImageInfo, ...],
        *,
        compression: Compression = DEFAULT_COMPRESSION,
        tile: Any = None,
        subsampling: Subsampling = "4:2:0",
        pyramid: bool = False,
        cog: bool = False,
    ) -> None:
        if cog and len(infos) > 1:
            raise UsageError(
                f"{target.name}: a Cloud-Optimized GeoTIFF has one page, not {len(infos)}; leave "
                "out --cog, or choose a page by --page"
            )
        self._target, self._cog = target, cog
        self._wanted = _Wanted(compression, tile, subsampling, pyramid, cog)
        each = Counter(infos)
        levels = {info: self._wanted.levels(info, target.name) for info in each}
        size = sum(count * bound(levels[info], described(info)) for info, count in each.items())
        self._file = TiffFile(target, big=size > CLASSIC_BYTES)

    def frame(self, info: ImageInfo) -> Sink:
        """Return the sink of the next page."""
        levels = self._wanted.levels(info, self._target.name)
        return _sink(self._file, levels, lambda held: held.size, cog=self._cog)

    def commit(self) -> int:
        """Publish the file and return its size in bytes."""
        return self._target.commit()

    def abort(self) -> None:
        """Leave nothing behind. Safe to call at any time, and twice."""
        self._target.abort()


def _sink(
    file: TiffFile,
    levels: tuple[Storage, ...],
    publish: Callable[[Target], int],
    *,
    cog: bool,
) -> Sink:
    """Return the sink of the next image of a file."""
    block = file.block(levels, described(levels[0].info), chained=cog)
    end, place = 0, None
    if levels[0].raw:
        end = block.place_raw()
        file.grown(end)
        place = file.target.place(end)
    else:
        file.target = amendable(file.target)
    last_first = cog and len(levels) > 1 and place is None
    building = Building(file, block, lambda: publish(file.target), last_first=last_first)
    if place is None:
        return EncodedTiff(building)
    place.write(file.begun(block))
    return RawTiff(building, place, end)
