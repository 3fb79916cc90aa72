"""Parts: the boxes that each task makes for each branch, and the rows that it needs for them."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from imgpipe.chains.entry import chain_from
from imgpipe.chains.stages import resolve
from imgpipe.engine.parts import Parts
from imgpipe.engine.tiler import Tiler
from imgpipe.image import ImageInfo

INFO = ImageInfo(97, 40, 3, np.dtype("uint8"))
CHAINS = ["invert", "blur:2", "resize:50%", "resize:170%", "crop:3,20,30,60", "flip"]
BRANCHES = st.lists(
    st.tuples(st.sampled_from(CHAINS[:-1]), st.integers(1, 120)), min_size=1, max_size=4
)


def tiler(chain: str, task_rows: int) -> Tiler:
    stages = resolve(chain_from(chain), INFO)
    after = stages[-1].after
    return Tiler(INFO, stages, after.height, after.width, task_rows, (16, 16))


@given(BRANCHES)
def test_each_part_of_each_branch_is_made_once_and_in_order(
    branches: list[tuple[str, int]],
) -> None:
    tilers = tuple(tiler(*branch) for branch in branches)
    parts = Parts(tilers)
    assert len(parts) == max(map(len, tilers))
    for branch, own in enumerate(tilers):
        every = [part for task in parts for part in task if part.branch == branch]
        assert [part.turn for part in every] == list(range(len(own)))
        assert [part.box for part in every] == list(own.boxes())
    assert all(parts[index] for index in range(len(parts)))


@given(BRANCHES)
def test_bands_hold_what_their_tasks_need_and_go_down_the_image(
    branches: list[tuple[str, int]],
) -> None:
    tilers = tuple(tiler(*branch) for branch in branches)
    parts = Parts(tilers)
    bands = parts.bands(INFO.width)
    for index, band in enumerate(bands):
        assert band.clip(INFO.height, INFO.width) == band
        assert all(band.contains(tilers[part.branch].needs(part.box)) for part in parts[index])
    for one, next_one in pairwise(bands):
        assert one.y0 <= next_one.y0
        assert one.y1 <= next_one.y1


def test_a_smaller_output_follows_the_larger_one_down_the_image() -> None:
    parts = Parts((tiler("invert", 10), tiler("resize:50%", 10)))
    small = {
        part.turn: index for index in range(len(parts)) for part in parts[index] if part.branch
    }
    # Rows 0-10 of the half need rows 0-21 or so of the image, which the third task has first.
    assert small == {0: 2, 1: 4, 2: 6, 3: 8, 4: 9}


def test_a_task_reads_the_boxes_of_all_its_parts() -> None:
    parts = Parts((tiler("invert", 50), tiler("crop:3,20,30,60", 60)))
    assert [len(parts[0]), len(parts[1])] == [1, 2]
    assert len(parts.reads(1)) == 2
