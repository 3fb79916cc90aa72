"""Choice: the feed that a plan asks for."""

from __future__ import annotations

from typing import cast

from imgpipe.engine.cut import Cut
from imgpipe.engine.feeds.bands import BandsFeed, InlineBandsFeed
from imgpipe.engine.feeds.base import Feed
from imgpipe.engine.feeds.carried import CarriedFeed
from imgpipe.engine.feeds.direct import DirectFeed
from imgpipe.engine.feeds.whole import WholeFeed
from imgpipe.formats.base import Check, RandomSource, SequentialSource, Source, WholeSource

__all__ = ["feed_for"]


def feed_for(
    way: str,
    source: Source,
    cut: Cut,
    check: Check,
    *,
    window: int,
    band_bytes: int,
    shared: bool,
) -> Feed:
    """Return the feed called `way`.

    Parameters
    ----------
    way : str
        ``bands``, ``direct``, ``whole`` or ``inline``.
    source : Source
        The image.
    cut : Cut
        The tasks.
    check : callable
        Raises if the run is to end.
    window : int
        How many tasks are under way at once.
    band_bytes : int
        Bytes of a band.
    shared : bool
        Whether memory must be visible to other processes.
    """
    match way:
        case "direct":
            return DirectFeed(cast(RandomSource, source))
        case "whole":
            return WholeFeed(cast(WholeSource, source), cut, check, shared=shared)
        case "bands":
            return BandsFeed(
                cast(SequentialSource, source), cut, check,
                count=window, size=band_bytes, shared=shared,
            )  # fmt: skip
    if source.access == "random":
        return CarriedFeed(source, cut, check, count=window)
    return InlineBandsFeed(
        cast(SequentialSource, source), cut, check, count=window, size=0, shared=False
    )
