"""Metadata: resolutions that are exact, and entries that stay true."""

from __future__ import annotations

from fractions import Fraction
from typing import get_args

import pytest

from imgpipe import exif, metadata, xmp
from imgpipe.metadata import Metadata, density_from_dpi, density_from_metres
from imgpipe.texts import Text


@pytest.mark.parametrize("dpi", [1, 72, 96, 150, 240, 300, 600, 1200, 2400])
def test_a_resolution_in_inches_survives_whole_pixels_per_metre(dpi: int) -> None:
    exact = density_from_dpi(dpi, dpi)
    assert exact[0] * Fraction(254, 10_000) == dpi
    assert density_from_metres(round(exact[0]), round(exact[1])) == exact


def test_a_rounded_resolution_is_the_whole_one_that_it_came_from() -> None:
    assert Metadata(pixels_per_metre=density_from_dpi(299.9994, 72.009)).dpi == (300, 72)
    assert density_from_metres(11811, 2835) == density_from_dpi(300, 72)


@pytest.mark.parametrize("metres", [1, 999, 1000, 5000, 11800, 11812])
def test_other_resolutions_stay(metres: int) -> None:
    assert density_from_metres(metres, metres) == (metres, metres)


@pytest.mark.parametrize("dpi", [Fraction(1, 10**6), Fraction(1, 3000), Fraction(1, 3)])
def test_a_resolution_is_never_rounded_to_nothing(dpi: Fraction) -> None:
    assert Metadata(pixels_per_metre=density_from_dpi(dpi, dpi)).dpi == (dpi, dpi)


def test_fractions_of_a_pixel_per_inch_stay() -> None:
    assert Metadata(pixels_per_metre=density_from_dpi(72.5, Fraction(1, 3))).dpi == (
        Fraction(145, 2),
        Fraction(1, 3),
    )


def test_every_edit_is_a_function_for_blocks() -> None:
    for edit in get_args(metadata._Edit):
        assert edit in exif.__all__
        assert edit in xmp.__all__ or edit in ("swapped", "without_sensor")


def test_blocks_are_left_alone_where_there_are_none() -> None:
    bare = Metadata(pixels_per_metre=density_from_dpi(300, 300))
    assert bare.repainted() == bare.sized(3, 4) == bare.flipped("vertical", 3, 4) == bare


@pytest.mark.parametrize("begin", ["/9j/", "\n iVBORw0KGgo", "data:image/jpeg;base64,/9j/"])
def test_pictures_written_as_texts_are_previews(begin: str) -> None:
    title, drawing = Text("Title", begin), Text("Comment", begin + "A" * 100)
    assert Metadata(texts=(title, drawing)).repainted().texts == (title,)
