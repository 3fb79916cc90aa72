"""The georeference of an image: its tags, and its truth after pixels have moved."""

from __future__ import annotations

import numpy as np
import pytest

from imgpipe.chains.stages import resolve
from imgpipe.filters import crop, flip, resize, rotate
from imgpipe.geo import Geo
from imgpipe.image import ImageInfo, Metadata

KEYS = (1, 1, 0, 2, 1024, 0, 1, 1, 1025, 0, 1, 1)
POINT_KEYS = (*KEYS[:-1], 2)
NORTH_UP = {
    33550: (10.0, 20.0, 0.0),
    33922: (0.0, 0.0, 0.0, 500_000.0, 4_000_000.0, 0.0),
    34735: KEYS,
    34736: (6378137.0,),
    34737: "WGS 84|",
}
SHEARED = {34264: (1.0, 2, 0, 3, 4, -5, 0, 6, 0, 0, 1, 0, 0, 0, 0, 1), 34735: KEYS}
HEIGHT, WIDTH = 30, 40


def place(geo: Geo, x: float, y: float) -> np.ndarray:
    """Return where the centre of the pixel in column x and row y is."""
    assert geo.transform is not None
    half = 0.0 if geo.pixel_is_point else 0.5
    return (np.reshape(geo.transform, (4, 4)) @ (x + half, y + half, 0, 1))[:2]


@pytest.mark.parametrize("tags", [NORTH_UP, SHEARED, {33922: (0.0, 0, 0, 1, 2, 3) * 4}])
def test_tags_come_back(tags: dict) -> None:
    geo = Geo.of_tags({**tags, 256: 17})
    assert geo is not None
    assert geo.tags() == tags


def test_an_image_without_tags_has_no_georeference() -> None:
    assert Geo.of_tags({256: 17}) is None
    assert Geo.of_tags({33550: (1.0, 1.0, 0.0)}) is None


@pytest.mark.parametrize("tags", [{33922: (1, 2, 3)}, {34264: (1.0,)}, {34735: ("x",)}, {33550: 3}])
def test_damaged_tags_are_named(tags: dict) -> None:
    with pytest.raises(ValueError, match="GeoTIFF"):
        Geo.of_tags(tags)


def test_a_tie_point_may_be_anywhere() -> None:
    shifted = {**NORTH_UP, 33922: (2.0, 3.0, 0.0, 500_020.0, 3_999_940.0, 0.0)}
    assert Geo.of_tags(shifted) == Geo.of_tags(NORTH_UP)


@pytest.mark.parametrize("tags", [NORTH_UP, {**NORTH_UP, 34735: POINT_KEYS}, SHEARED])
@pytest.mark.parametrize(
    "moved",
    [
        crop(x=3, y=5, width=20, height=10),
        flip(direction="vertical"),
        flip(direction="horizontal"),
        rotate(angle=90),
        rotate(angle=180),
        rotate(angle=270),
        crop(x=3, y=5, width=20, height=10) | rotate(angle=90) | flip(),
    ],
)
def test_every_pixel_stays_at_its_place(tags: dict, moved: object) -> None:
    """The pixels hold their own column and row, so the result says where each came from."""
    geo = Geo.of_tags(tags)
    assert geo is not None
    columns, rows = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    pixels = np.dstack([columns, rows]).astype(np.uint8)
    info = ImageInfo(HEIGHT, WIDTH, 2, pixels.dtype, metadata=Metadata(geo=geo))
    made = moved(pixels)  # type: ignore[operator]
    after = resolve(moved, info)[-1].after.metadata.geo  # type: ignore[arg-type]
    for y, x in [(0, 0), (3, 7), (9, 9)]:
        np.testing.assert_allclose(place(after, x, y), place(geo, *made[y, x]), rtol=1e-12)


@pytest.mark.parametrize("keys", [KEYS, POINT_KEYS])
def test_the_corners_stay_when_the_image_is_resized(keys: tuple[int, ...]) -> None:
    geo = Geo.of_tags({**NORTH_UP, 34735: keys})
    info = ImageInfo(HEIGHT, WIDTH, 1, np.dtype("uint8"), metadata=Metadata(geo=geo))
    after = resolve(resize(size="50%"), info)[-1].after.metadata.geo
    assert geo is not None
    for corner in (-0.5, HEIGHT - 0.5):
        small = (corner + 0.5) / 2 - 0.5
        np.testing.assert_allclose(place(after, small, small), place(geo, corner, corner))


def test_control_points_move_with_the_pixels() -> None:
    points = (5.0, 6.0, 0.0, 100.0, 200.0, 0.0, 9.0, 9.0, 0.0, 140.0, 170.0, 0.0)
    info = ImageInfo(
        HEIGHT, WIDTH, 1, np.dtype("uint8"), metadata=Metadata(geo=Geo.of_tags({33922: points}))
    )
    after = resolve(crop(x=4, y=2, width=9, height=9), info)[-1].after.metadata.geo
    assert after.tags()[33922][:6] == (1.0, 4.0, 0.0, 100.0, 200.0, 0.0)
