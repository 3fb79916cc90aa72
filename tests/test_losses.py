"""Marks for parts of an image that could not be read, and the line about them."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from imgpipe.formats.losses import Damage, Losses
from imgpipe.image import ImageInfo

INFO = ImageInfo(100, 70, 3, np.dtype(np.uint8), None, "rgb")


def test_tiles_are_counted_by_their_pixels() -> None:
    losses = Losses("a.tif", INFO, (64, 64), None)
    assert losses.damage() is None
    losses.lose(3)  # the corner of 36 x 6 pixels
    losses.lose(3)
    share = 36 * 6 / 7000
    says = "a.tif: 1 of 4 tiles could not be read (3 %) and is black"
    assert losses.damage() == Damage(pytest.approx(share), says)


def test_rows_are_counted_one_by_one() -> None:
    losses = Losses("a.tif", INFO, (32, 0), None)
    losses.lose(3)
    losses.lose(0)
    losses.doubt(1)
    says = "36 of 100 rows could not be read (36 %) and are black; 32 more may be wrong (32 %)"
    assert losses.damage() == Damage(pytest.approx(0.36), f"a.tif: {says}")


@pytest.mark.parametrize(
    ("lost", "share"),
    [(1, "less than 1 %"), (5, "1 %"), (495, "99 %"), (499, "more than 99 %"), (500, "100 %")],
)
def test_shares_are_whole_numbers_and_100_only_where_nothing_is_left(lost: int, share: str) -> None:
    losses = Losses("a.tif", replace(INFO, height=500), (1, 0), None)
    losses.doubt(0, lost)
    found = losses.damage()
    assert found is not None
    assert f"({share})" in found.text


def test_marks_are_those_of_all_processes() -> None:
    losses = Losses("a.png", INFO, (1, 0), None)
    other = pickle.loads(pickle.dumps(losses))
    other.doubt(99)
    found = losses.damage()
    assert found == Damage(0.0, "a.png: 1 of 100 rows may be wrong (1 %)")
    assert other.damage() == found


def test_doubts_are_taken_back_or_spread() -> None:
    losses = Losses("a.png", INFO, (1, 0), None)
    losses.doubt(10, 20)
    losses.trust()
    assert losses.damage() is None
    losses.lose(90, 10)
    losses.doubt_rest()
    found = losses.damage()
    assert found is not None
    assert found.text.endswith("and are black; 90 more may be wrong (90 %)")


@pytest.mark.parametrize(
    ("info", "blank", "look"),
    [
        (INFO, None, "black"),
        (INFO, 7.0, "without data"),
        (replace(INFO, channels=4, alpha=3), None, "transparent"),
        (replace(INFO, channels=4, colour="cmyk"), None, "white"),
        (replace(INFO, dtype=np.dtype(np.int16)), None, "0"),
    ],
)
def test_the_line_says_how_missing_pixels_look(
    info: ImageInfo, blank: float | None, look: str
) -> None:
    losses = Losses("a.png", info, info.shape[:2], blank)
    losses.lose(0)
    assert losses.damage() == Damage(1.0, f"a.png could not be read and is {look}")


def test_a_file_of_another_host_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    losses, other = (
        Losses("a.png", info, (1, 0), None) for info in (INFO, replace(INFO, height=9))
    )
    monkeypatch.setattr(losses, "_path", other._path)
    with pytest.raises(FileNotFoundError):
        losses.lose(3)
    assert other.damage() is None
