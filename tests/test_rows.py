"""A position in a sequential source passes rows over, and reads bands that overlap."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgpipe.admission import admitted
from imgpipe.errors import Cancelled
from imgpipe.formats.arrays import SequentialArray
from imgpipe.formats.rows import RowsOf
from imgpipe.geometry import Box
from imgpipe.image import Pixels

IMAGE = np.random.default_rng(3).integers(0, 256, (61, 7, 3), np.uint8)


def rows_of(image: Pixels) -> RowsOf:
    found = admitted(image)
    return RowsOf(SequentialArray(found.info, found.pixels))


@given(st.lists(st.tuples(st.integers(0, 61), st.integers(0, 61)), min_size=1, max_size=8))
def test_bands_that_go_down_hold_their_rows(places: list[tuple[int, int]]) -> None:
    tops, ends = (sorted(side) for side in zip(*map(sorted, places), strict=True))
    with contextlib.closing(rows_of(IMAGE)) as rows:
        for top, end in zip(tops, ends, strict=True):
            band = np.empty((end - top, 7, 3), np.uint8)
            rows.fill(band, top)
            np.testing.assert_array_equal(band, IMAGE[top:end])
        rows.finish()


@pytest.mark.parametrize("box", [Box(0, 0, 61, 7), Box(5, 2, 40, 6), Box(60, 6, 61, 7)])
def test_a_box_is_read(box: Box) -> None:
    with contextlib.closing(rows_of(IMAGE)) as rows:
        np.testing.assert_array_equal(rows.read(box), IMAGE[box.slices])


def test_passing_rows_over_can_be_stopped() -> None:
    def stop() -> None:
        raise Cancelled("stopped")

    found = admitted(IMAGE)
    rows = RowsOf(SequentialArray(found.info, found.pixels), stop)
    with contextlib.closing(rows), pytest.raises(Cancelled):
        rows.skip_to(30)


def test_the_end_of_a_file_is_checked_once() -> None:
    with contextlib.closing(rows_of(IMAGE)) as rows:
        ends = 0

        def finish() -> None:
            nonlocal ends
            ends += 1

        rows._rows.finish = finish  # type: ignore[method-assign]
        rows.skip_to(60)
        rows.finish()
        assert ends == 0
        rows.skip_to(61)
        rows.finish()
        rows.finish()
        assert ends == 1
