"""Route: the way of the pixels from the source to a sink, before anything is sized.

It names the feed, and the scratch files. The input is copied to one if it cannot be read in the
order that the chain needs. The encoding is deferred, with the output in one, if a unit stands for
too much of the input.
"""

from __future__ import annotations

import copy

import numpy as np

from imgpipe.chains.stages import Stage
from imgpipe.engine.cutting import TASK_BYTES, WIDE_BYTES, Grid, pitch, too_low, turns
from imgpipe.engine.feeds.choice import FeedName
from imgpipe.engine.rereading import worth_keeping
from imgpipe.engine.tileuse import in_tiles
from imgpipe.engine.wantedoutputs import WantedOutput
from imgpipe.executors.base import Traits
from imgpipe.formats.arrays import RandomArray
from imgpipe.formats.base import Source, further_of
from imgpipe.image import ImageInfo

__all__ = ["Route", "WantedOutput", "routes"]

_DEFERRED_BYTES = 17 << 20  # of rows of input that may go into a unit
_DEFERRED_SHARE = 4  # times its own size, at least
_TILE_BYTES = 16 << 10  # of a scratch file in tiles, at least
_TILE_COLUMNS = 64
_TILE_ROWS = 256


class Route:
    """The way of the pixels from a source to a goal.

    Parameters
    ----------
    source : Source
        The image.
    goal : WantedOutput
        The output.
    traits : Traits
        The executor.
    way : (str, bool)
        The feed, and whether the image is copied to a scratch file first.
    turned : bool
        Whether the image is read in columns.
    kept : bool
        Whether the first pass keeps the image in a scratch file, for the others.

    Attributes
    ----------
    further : tuple of Route
        The ways of the passes that the sink asks for after its own.
    """

    def __init__(
        self,
        source: Source,
        goal: WantedOutput,
        traits: Traits,
        way: tuple[FeedName, bool],
        *,
        turned: bool,
        kept: bool = False,
    ) -> None:
        self.kept = kept
        self.source, self.stages, self.sink = source, goal.stages, goal.sink
        self.feed, self.copied = way
        self.fed_from = _scratch_of(source.info) if self.copied else source
        self.tile = _tile(source.info) if self.copied and turned else (0, 0)
        sink = goal.sink
        self._traits, self._shares_memory = traits, traits.shares_memory
        places = traits.shares_files and self.feed != "opened"  # workers write to a scratch file
        self._may_be_deferred = places and sink.kind == "ordered"
        self.deferred = self._may_be_deferred and self._better_deferred()
        self.context_rows = sink.encoder.context_rows if sink.kind == "ordered" else 0
        self.further = tuple(
            Route(
                again, WantedOutput((), level, goal.destination), traits,
                ("direct" if traits.shares_files else "inline", False), turned=False,
            )
            for again, level in further_of(sink)
        )  # fmt: skip

    @property
    def streams(self) -> bool:
        """Return whether pixels come row by row, so that tasks must be stretches of rows."""
        return self.feed in ("bands", "inline")

    def grid(self, unit: tuple[int, int], *, in_order: bool = False) -> Grid:
        """Return the blocks that tasks should not cut, for units that may leave in order.

        A ring is small if tasks go down the image row by row.
        """
        ring = self.feed in ("tiles", "ring")
        rows_only = self.streams or (ring and unit[1] == 1)
        grain = self.fed_from.grain if self.feed == "direct" else (1, 1)
        return Grid((unit[0], 0) if rows_only else unit, grain, in_order or ring)

    def whole_if_possible(self) -> Route:
        """Return the route that holds a stream in memory instead of a scratch file."""
        if not self.copied or self.source.access != "sequential" or not self._shares_memory:
            return self
        goal = WantedOutput(self.stages, self.sink, "")
        return Route(self.source, goal, self._traits, ("whole", False), turned=False)

    def in_tiles_if_possible(self) -> Route:
        """Return the route that decodes each compressed tile of the source once."""
        other = copy.copy(self)
        if self.feed == "direct" and self._shares_memory and in_tiles(self.fed_from):
            other.feed = "tiles"
        return other

    def deferred_if_possible(self) -> Route:
        """Return the route that takes the least memory: with the encoding deferred."""
        other = copy.copy(self)
        other.deferred = self._may_be_deferred
        return other

    def _better_deferred(self) -> bool:
        """Return whether the encoding had better be deferred.

        This is so if a unit stands for very much of the input, for a strip of it so narrow that
        every row would have to be read by itself, or for much less than its halo.
        """
        source, sink = self.source, self.sink
        rows = min(sink.unit[0], sink.info.height)
        held = rows * pitch(source.info, self.stages, sink.info)
        if held > max(_DEFERRED_BYTES, _DEFERRED_SHARE * rows * sink.info.row_bytes):
            return True
        if self.feed != "direct":
            return False
        tiles = self.tile[0] or (sink.unit[1] and source.grain[1] > 1)
        narrow = turns(self.stages) and not tiles
        return narrow or too_low(source.info, self.stages, sink.info, sink.unit)


def routes(
    source: Source, goals: tuple[WantedOutput, ...], traits: Traits, *, opened: bool
) -> list[Route]:
    """Return the way of the pixels to each output; they all come in the same way."""
    way: tuple[FeedName, bool] = ("opened", False)
    if not opened:
        ways = [_feed(source, goal.stages, traits) for goal in goals]
        way = next((way for way in ways if way[1]), ways[0])
    turned = any(turns(goal.stages) for goal in goals)
    if way == ("bands", False) and any(_has_large_rows(source, goal) for goal in goals):
        way = "ring", False
    kept = way[0] in ("bands", "ring") and worth_keeping(source, goals)
    return [Route(source, goal, traits, way, turned=turned, kept=kept) for goal in goals]


def _feed(source: Source, stages: tuple[Stage, ...], traits: Traits) -> tuple[FeedName, bool]:
    """Return the feed, and whether the image is copied to a scratch file first."""
    in_order = all(stage.in_order for stage in stages)
    if not traits.shares_files:
        streams = source.access == "sequential" and in_order
        return "inline", not streams and source.access != "random"
    if source.access == "random":
        return "direct", False
    if not traits.shares_memory:
        return "direct", True
    if source.access == "whole":
        return "whole", False
    return ("bands", False) if in_order else ("direct", True)


def _has_large_rows(source: Source, goal: WantedOutput) -> bool:
    """Return whether a row of tiles is too large for one task, so that tasks are parts of it."""
    sink = goal.sink
    rows = min(sink.unit[0], sink.info.height)
    widest = max(sink.info.row_bytes, pitch(source.info, goal.stages, sink.info))
    return sink.unit[1] > 1 and rows * widest > WIDE_BYTES


def _scratch_of(info: ImageInfo) -> Source:
    """Return a source that stands for a scratch file, before there is one."""
    return RandomArray(info, np.empty(0), "scratch file")


def _tile(info: ImageInfo) -> tuple[int, int]:
    """Return rows and columns of the tiles of a scratch file that is read in columns.

    One row of tiles is copied at once.
    """
    rows = max(1, min(_TILE_ROWS, TASK_BYTES // info.row_bytes, info.height))
    pixel_bytes = info.row_bytes // info.width
    columns = max(_TILE_COLUMNS, _TILE_BYTES // (rows * pixel_bytes))
    return rows, min(columns, info.width)
