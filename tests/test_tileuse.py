"""Tiles that tasks need: how often, in which order, and how many rows of them at once."""

from __future__ import annotations

import numpy as np
import pytest

from imgpipe.chains.entry import chain_from
from imgpipe.chains.stages import resolve
from imgpipe.engine.cutting import Grid, cut
from imgpipe.engine.parts import Parts
from imgpipe.engine.tileuse import TileUse, in_tiles, redundancy
from imgpipe.formats.arrays import RandomArray
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo

INFO = ImageInfo(400, 300, 3, np.dtype("uint8"), None, "rgb")


def use_of(chain: str, *, rows: int, grain: tuple[int, int] = (64, 100)) -> TileUse:
    stages = resolve(chain_from(chain), INFO)
    after = stages[-1].after
    tiler = cut(INFO, stages, after, Grid((rows, 0)), task_bytes=1)
    return TileUse(Parts((tiler,)), INFO, grain)


def test_tiles_are_counted_row_by_row() -> None:
    use = use_of("invert", rows=64)
    assert (use.across, use.count) == (3, 21)
    assert use.of(1).tolist() == [3, 4, 5]
    assert use.place(7) == (2, 1)
    assert use.box(20) == Box(384, 200, 400, 300)
    assert use.order.tolist() == list(range(21))
    assert use.uses.tolist() == [1] * 21
    assert redundancy([use]) == 1


def test_a_halo_has_tasks_share_tiles() -> None:
    use = use_of("box:radius=5", rows=64)
    assert use.of(1).tolist() == list(range(9))
    assert use.uses[3:18].tolist() == [3] * 15
    assert redundancy([use]) == pytest.approx(19 / 7)
    assert redundancy([use, use_of("invert", rows=64)]) == pytest.approx(26 / 7)


@pytest.mark.parametrize(
    ("chain", "rows", "ahead", "most"),
    [
        ("invert", 64, 0, 1),
        ("invert", 64, 2, 3),
        ("box:radius=5", 64, 0, 3),
        ("box:radius=5", 64, 1, 4),
        ("box:radius=5", 20, 0, 2),
        ("box:radius=5,border=wrap", 64, 0, 7),
        ("flip", 64, 0, 2),
    ],
)
def test_rows_of_tiles_that_are_needed_at_once(
    chain: str, rows: int, ahead: int, most: int
) -> None:
    assert use_of(chain, rows=rows).most_rows(ahead) == most


def test_tiles_that_no_task_needs_are_not_decoded() -> None:
    use = use_of("crop:x=110,y=70,width=80,height=50", rows=10)
    assert use.order.tolist() == [4]


def test_strips_are_tiles_of_whole_rows() -> None:
    use = use_of("box:radius=1", rows=20, grain=(30, 0))
    assert (use.across, use.count) == (1, 14)
    assert use.of(1).tolist() == [0, 1]


def test_only_compressed_tiles_are_decoded_apart() -> None:
    array = RandomArray(INFO, np.empty(0))
    assert not in_tiles(array)
