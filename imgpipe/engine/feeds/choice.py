"""Choice of the feed of a plan."""

from __future__ import annotations

from typing import Literal, NamedTuple, cast

from imgpipe.engine.costs import Cost
from imgpipe.engine.feeds.bands import BandsFeed, InlineBandsFeed, band_bytes
from imgpipe.engine.feeds.base import Feed
from imgpipe.engine.feeds.carried import CarriedFeed
from imgpipe.engine.feeds.direct import DirectFeed
from imgpipe.engine.feeds.opened import OpenedFeed
from imgpipe.engine.feeds.ring import RingFeed, ring_rows
from imgpipe.engine.feeds.tiles import TilesFeed, tiles_bytes
from imgpipe.engine.feeds.whole import Decoded, HeldImage, WholeFeed
from imgpipe.engine.parts import Parts
from imgpipe.engine.tiler import Tiler
from imgpipe.engine.tileuse import TileUse
from imgpipe.formats.base import (
    Check,
    Placer,
    RandomSource,
    SequentialSource,
    Source,
    Tiles,
)

__all__ = [
    "Cut",
    "FeedName",
    "cost_of_feed",
    "cost_of_reading",
    "feed_for",
    "ring_bytes",
    "slot_bytes",
]

FeedName = Literal["bands", "ring", "direct", "tiles", "whole", "inline", "opened"]
"""The feeds by name; ``inline`` is within the task, for executors that share nothing."""


class Cut(NamedTuple):
    """The tasks of a pass, and their use of the tiles of a source that has compressed ones."""

    tiler: Tiler
    use: TileUse | None = None


def cost_of_feed(way: FeedName, source: Source, cut: Cut, window: int) -> Cost:
    """Return the memory that a pass over `source` takes for its input, as its feed says."""
    return _cost_of_pixels(way, source, cut, window) + cost_of_reading(way, source)


def cost_of_reading(way: FeedName, source: Source) -> Cost:
    """Return the memory of the decoder: there is one, or one in each worker."""
    every = way in ("direct", "tiles", "opened")
    decoder = source.decode_bytes
    return Cost(per_worker=decoder) if every else Cost(shared=decoder)


def _cost_of_pixels(way: FeedName, source: Source, cut: Cut, window: int) -> Cost:
    tiler, use = cut
    match way:
        case "tiles":
            assert use is not None
            return TilesFeed.cost(use, window, tiler)
        case "bands" | "ring":
            return (BandsFeed if way == "bands" else RingFeed).cost(tiler, window)
        case "direct":
            return DirectFeed.cost(tiler)
        case "whole":
            return WholeFeed.cost(cast(Decoded, source))
        case "opened":
            return OpenedFeed.cost(source)
    carries = CarriedFeed if source.access == "random" else InlineBandsFeed
    return carries.cost(tiler, window)


def slot_bytes(way: FeedName, tilers: tuple[Tiler, ...], *, together: bool = False) -> int:
    """Return the size of a slot for the input of a task of any of these passes; 0 for no slots.

    If they are made `together`, a task has a part of each.
    """
    if way != "bands":
        return 0
    return band_bytes(*tilers) if together else max(map(band_bytes, tilers))


def ring_bytes(way: FeedName, source: Source, tilers: tuple[Tiler, ...], window: int) -> int:
    """Return the size of the ring of a pass that makes one output or several; 0 for none."""
    match way:
        case "tiles":
            return tiles_bytes(source, tilers, window)
        case "ring":
            return ring_rows(Parts(tilers), source.info, window) * source.info.row_bytes
    return 0


def feed_for(
    way: FeedName,
    source: Source,
    parts: Parts,
    check: Check,
    *,
    window: int,
    band_bytes: int,
    shared: bool,
    held: HeldImage | None = None,
    keep: Placer | None = None,
) -> Feed:
    """Return the feed called `way`.

    Parameters
    ----------
    way : str
        ``bands``, ``ring``, ``direct``, ``tiles``, ``whole``, ``inline`` or ``opened``.
    source : Source
        The image.
    parts : Parts
        The tasks.
    check : callable
        Raises if the run is to end.
    window : int
        The number of tasks under way at once.
    band_bytes : int
        Bytes of a band.
    shared : bool
        Whether memory must be visible to other processes.
    held : HeldImage, optional
        Keeps an image that is decoded as a whole.
    keep : Placer, optional
        Gets the rows of bands, for further passes.
    """
    feed: Feed
    match way:
        case "direct":
            feed = DirectFeed(cast(RandomSource, source))
        case "tiles":
            tiles = cast(Tiles, source)
            use = TileUse(parts, tiles.info, tiles.grain)
            feed = TilesFeed(tiles, use, count=len(parts), window=window, shared=shared)
        case "opened":
            feed = OpenedFeed(source)
        case "whole":
            whole = cast(Decoded, source)
            feed = WholeFeed(whole, parts, check, shared=shared, held=held)
        case "bands":
            feed = BandsFeed(
                cast(SequentialSource, source), parts, check,
                count=window, size=band_bytes, shared=shared, keep=keep,
            )  # fmt: skip
        case "ring":
            rows = cast(SequentialSource, source)
            feed = RingFeed(rows, parts, check, window=window, shared=shared, keep=keep)
        case "inline":
            feed = _inline(source, parts, check, window)
    return feed


def _inline(source: Source, parts: Parts, check: Check, window: int) -> Feed:
    if source.access == "random":
        return CarriedFeed(source, parts, check, count=window)
    return InlineBandsFeed(
        cast(SequentialSource, source), parts, check, count=window, size=0, shared=False
    )
