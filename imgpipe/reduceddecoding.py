"""Reduced decoding: a smaller image of the file, for a thumbnail."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import replace

from imgpipe.chains.chain import Chain, Filter
from imgpipe.chains.orientation import turns
from imgpipe.formats.base import Reduced, Reducible, Source
from imgpipe.formats.opening import contents_of, open_source
from imgpipe.formats.origin import Origin
from imgpipe.formats.readwrite import Reading
from imgpipe.image import ImageInfo
from imgpipe.metadata import Metadata

__all__ = ["TIMES", "first_thumbnail", "shrunk"]

_log = logging.getLogger("imgpipe")
TIMES = 2
"""Times the size of a thumbnail that a level of a pyramid has at least."""
_NONE = Metadata()


def shrunk(
    source: Source, origin: Origin, chains: Sequence[Chain], reading: Reading
) -> tuple[Source, tuple[Chain, ...]]:
    """Return an image, smaller if that is enough for all chains, and the chains for it.

    Each chain has to begin with a thumbnail that may be made from a smaller image. That is one that
    the decoder makes for the largest thumbnail, or a level of a pyramid with at least twice as many
    rows and columns.
    """
    firsts = [first for chain in chains if (first := first_thumbnail(chain)) is not None]
    if len(firsts) < len(chains):
        return source, tuple(chains)
    if reading.salvage or reading.level:
        return source, tuple(chains)
    from imgpipe.filters.thumbnails import after_reduction  # noqa: PLC0415 - rarely needed

    turned = turns(source.info.metadata.orientation if reading.autorotate else 1)
    stored = source.info.height, source.info.width
    full = stored[::-1] if turned[2] else stored
    size = _largest(firsts, full)
    small = _smaller(source, origin, size[::-1] if turned[2] else size, reading)
    if small is None:
        return source, tuple(chains)
    _log.info("%s: decoded as %d x %d", source.name, small.info.width, small.info.height)
    share = small.share if isinstance(small, Reduced) else None
    axes = (
        _part(source.info.height, small.info.height, share, reversed_=turned[0]),
        _part(source.info.width, small.info.width, share, reversed_=turned[1]),
    )
    down, along = axes[::-1] if turned[2] else axes
    return small, tuple(
        Chain((after_reduction(first, full, down, along), *others)) for first, *others in chains
    )


def _largest(firsts: list[Filter], full: tuple[int, int]) -> tuple[int, int]:
    """Return the most rows and the most columns of the thumbnails."""
    from imgpipe.filters.thumbnails import thumbnail_size  # noqa: PLC0415 - rarely needed

    made = [
        thumbnail_size(full, one.keywords["size"], enlarge=one.keywords["enlarge"])
        for one in firsts
    ]
    return max(rows for rows, _ in made), max(columns for _, columns in made)


def _part(
    full: int, reduced: int, share: tuple[int, int] | None, *, reversed_: bool
) -> tuple[int, int, int]:
    """Return an axis of a smaller image: see `imgpipe.kernels.axes.Axis`.

    If its share is not known, it is a power of two, as in a pyramid.
    """
    whole, part = share or (1 << round(full / reduced).bit_length() - 1, 1)
    if -(-full * part // whole) != reduced:  # it shows the image from end to end
        return reduced, 1, 0
    common = math.gcd(whole, part)
    whole, part = whole // common, part // common
    return full * part, whole, (reduced * whole - full * part) * reversed_


def first_thumbnail(chain: Chain) -> Filter | None:
    """Return the thumbnail that a chain begins with, if it may be made from a smaller image."""
    first = next(iter(chain), None)
    if first is None or first.name != "thumbnail":
        return None
    from imgpipe.filters.thumbnails import thumbnail  # noqa: PLC0415 - rarely needed

    if first.definition is not thumbnail.definition or first.keywords["exact"]:
        return None
    return first


def _smaller(
    source: Source, origin: Origin, size: tuple[int, int], reading: Reading
) -> Source | None:
    """Return the smallest image of the file that is enough for thumbnails of this size."""
    if isinstance(source, Reducible):
        return source.reduced(size)
    least = TIMES * size[0], TIMES * size[1]
    levels = contents_of(origin).levels
    fitting = [
        (size, level)
        for level, size in enumerate(levels)
        if level and size[0] >= least[0] and size[1] >= least[1]
    ]
    if not fitting:
        return None
    found = open_source(origin, replace(reading, level=min(fitting)[1]))
    return found if _kind(found.info) == _kind(source.info) else None


def _kind(info: ImageInfo) -> ImageInfo:
    """Return an image without its size and its metadata, for a comparison."""
    return replace(info, height=0, width=0, metadata=_NONE)
