"""A cut covers every output pixel exactly once, and knows what it needs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from imgpipe.chains.stages import resolve
from imgpipe.engine.tiler import Tiler, falling
from imgpipe.filters import blur, box, crop
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo


def tiler(height: int, width: int, task_rows: int, chunk: tuple[int, int], **more: int) -> Tiler:
    info = ImageInfo(height, width, 3, np.dtype("uint8"), None, "rgb")
    stages = resolve(blur(sigma=1) | box(radius=2), info)
    return Tiler(info, stages, height, width, task_rows, chunk, **more)


@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.integers(1, 100),
    st.tuples(st.integers(1, 100), st.integers(1, 100)),
)
def test_every_pixel_is_in_one_chunk_of_one_task(height, width, task_rows, chunk) -> None:
    cut = tiler(height, width, task_rows, chunk)
    seen = np.zeros((height, width), int)
    tasks = list(cut.boxes())
    assert len(tasks) == len(cut)
    for task in tasks:
        for part in cut.chunks(task):
            seen[part.slices] += 1
    assert (seen == 1).all()


def test_context_rows_are_made_along_with_a_task() -> None:
    cut = tiler(100, 10, 30, (30, 10), context_rows=1)
    first, second, *_ = cut.boxes()
    assert cut.with_context(first) == first
    assert cut.with_context(second) == Box(29, 0, 60, 10)


def test_needs_are_the_halos_of_the_whole_chain_inside_the_image() -> None:
    cut = tiler(100, 50, 20, (20, 50))
    halo = 4 + 2
    assert cut.needs(Box(40, 0, 60, 50)) == Box(40 - halo, 0, 60 + halo, 50)
    assert cut.needs(Box(0, 0, 20, 50)) == Box(0, 0, 20 + halo, 50)


def test_a_crop_needs_only_its_part() -> None:
    info = ImageInfo(100, 100, 1, np.dtype("uint8"))
    stages = resolve(box(radius=1) | crop(x=10, y=20, width=30, height=40), info)
    cut = Tiler(info, stages, 40, 30, 40, (40, 30))
    assert cut.needs(Box(0, 0, 40, 30)) == Box(19, 9, 61, 41)


@given(
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.tuples(st.integers(1, 100), st.integers(0, 100)),
    st.tuples(st.integers(0, 40), st.integers(0, 40)),
)
def test_tasks_of_rows_and_columns_begin_with_smaller_ones(size, task, first) -> None:
    cut = replace(tiler(*size, task[0], (30, 30)), task_columns=task[1], first=first)
    seen = np.zeros(size, int)
    for part in cut.boxes():
        seen[part.slices] += 1
        assert part.y0 == 0 or (part.y0 - (first[0] or task[0])) % task[0] == 0
        if task[1]:
            assert part.x0 == 0 or (part.x0 - (first[1] or task[1])) % task[1] == 0
        else:
            assert part.width == size[1]
    assert (seen == 1).all()


def test_stretches_of_rows_never_go_up() -> None:
    assert falling([(0, 5), (3, 9), (1, 4), (6, 12)]) == [(0, 5), (1, 9), (1, 9), (6, 12)]
    cut = tiler(100, 50, 20, (20, 50))
    assert cut.most_rows == 20 + 2 * (4 + 2)
