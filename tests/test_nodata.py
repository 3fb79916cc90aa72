"""Pixels without data: they stay where they are, and do not mix into their neighbours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imgpipe
from imgpipe.admission import nodata_held
from imgpipe.chains.decorator import filter
from imgpipe.chains.nodata import nodata_after, without_data
from imgpipe.chains.stages import resolve
from imgpipe.errors import FilterError, UsageError
from imgpipe.filters import (
    astype,
    autocontrast,
    bilateral,
    blend,
    blur,
    box,
    crop,
    equalize,
    flip,
    invert,
    linear,
    median,
    otsu,
    resize,
    sobel,
    unsharp,
)
from imgpipe.formats.readwrite import Reading
from imgpipe.image import ImageInfo, Pixels

NONE = -9999
COAST = np.zeros((47, 59), bool)
COAST[8:25, 20:44] = True
COAST[40, 3] = True
COAST[:, 56:] = True


def land(dtype: str = "float32", channels: int = 1, nodata: float = NONE) -> Pixels:
    """Return elevations around 100 with a lake, a hole and a sea without data."""
    rng = np.random.default_rng(3)
    array = (100 + 20 * rng.random((*COAST.shape, channels))).astype(dtype)
    array[COAST] = nodata
    return array


LOCAL = [blur(2), blur(7), box(3), bilateral(), median(2), unsharp(), invert(), linear(1.5)]


@pytest.mark.parametrize("one", LOCAL, ids=str)
@pytest.mark.parametrize(
    ("dtype", "nodata"), [("float32", NONE), ("float64", np.nan), ("int16", NONE)]
)
def test_they_stay_and_nothing_is_made_of_them(one: Any, dtype: str, nodata: float) -> None:
    made = one(land(dtype, nodata=nodata), nodata=nodata)
    there = np.isnan(made) if np.isnan(nodata) else made == nodata
    assert there[COAST].all()
    assert not there[~COAST].any()
    if one in LOCAL[:5]:  # within the range of the land
        assert made[~COAST].min() >= 100
        assert made[~COAST].max() <= 121


def test_an_average_is_that_of_the_pixels_with_data() -> None:
    array = np.full((9, 9, 1), 50.0)
    array[:, 5:] = NONE
    array[4, 4] = 59
    made = box(1)(array, nodata=NONE)
    assert made[4, 4, 0] == pytest.approx((5 * 50 + 59) / 6)
    assert made[0, 0, 0] == 50
    flat = blur(3)(np.where(array == NONE, NONE, 50.0), nodata=NONE)
    assert np.allclose(flat[:, :5], 50, rtol=1e-12)


def test_an_island_of_one_pixel_keeps_its_value() -> None:
    array = np.full((61, 61, 1), 255, np.uint8)
    array[30, 30] = 7
    made = blur(12)(array, nodata=255)
    assert made[30, 30, 0] == 7
    assert (made == 255).sum() == 61 * 61 - 1


def test_far_from_them_the_result_is_that_of_an_image_without() -> None:
    array = land("uint16", nodata=0)
    for one in (blur(2), median(1), sobel(), resize("50%")):
        made, plain = one(array, nodata=0), one(array)
        rows = slice(26, 31) if made.shape[:2] == COAST.shape else slice(14, 15)
        assert np.array_equal(made[rows, :8], plain[rows, :8])
        assert not np.array_equal(made, plain)


def test_edges_of_the_data_are_no_edges() -> None:
    array = np.where(COAST, NONE, 100)[..., None].astype(np.float32)
    made = sobel()(array, nodata=NONE)
    assert (made[~COAST] == 0).all()
    assert (made[COAST] == NONE).all()


def test_a_resized_pixel_has_data_if_half_of_its_weight_has() -> None:
    array = np.full((8, 8, 1), 10, np.float32)
    array[:, 3:] = NONE
    made = resize("50%", method="bilinear")(array, nodata=NONE)
    assert made[0, :, 0].tolist() == [10, 10, NONE, NONE]


@pytest.mark.parametrize("one", [autocontrast(), equalize(), otsu(), astype("uint8", "measured")])
def test_they_are_not_measured(one: Any) -> None:
    array = land("uint8", nodata=0)
    made = one(array, nodata=0)
    alone = one(array[~COAST][None])
    assert np.array_equal(made[~COAST], alone[0])
    assert (made[COAST] == 0).all()


def test_where_nothing_has_data_nothing_gets_any() -> None:
    for one in (blur(2), median(1), equalize(), resize("50%")):
        assert (one(np.full((9, 9, 1), 7, np.uint8), nodata=7) == 7).all()


@pytest.mark.parametrize("halo", [0, 1])
@pytest.mark.parametrize("alpha", ["keep", "premultiply"])
def test_a_division_by_zero_where_there_is_no_data_is_no_error(halo: int, alpha: Any) -> None:
    @filter(halo=halo, channels=1, alpha=alpha)
    def index(chunk: Pixels) -> Pixels:
        wide = chunk.astype(float)
        with np.errstate(invalid="ignore"):
            made = 1000 * (wide[..., 1] - wide[..., 0]) / (wide[..., 1] + wide[..., 0])
        if wide.shape[2] == 2:
            return made[..., None]
        share = wide[..., 2]  # at most the square of white
        return np.stack([made * share / 65535, share], 2)

    bands = np.full((30, 40, 2), (100, 300), np.uint16)
    bands[:20, 5:] = 0
    absent = bands[..., 0] == 0
    made = imgpipe.apply(bands, index(), nodata=0, chunk=8)[..., 0]
    assert np.array_equal(made, np.where(absent, 0, 500))
    with pytest.raises(FilterError, match="NaN"):
        index()(bands)


def test_geometry_moves_them() -> None:
    array = land()
    assert np.array_equal(flip()(array, nodata=NONE), array[::-1])
    assert np.array_equal(crop(1, 2, 30, 20)(array, nodata=NONE), array[2:22, 1:31])


def test_a_pixel_is_without_data_if_all_channels_say_so_or_one_is_nan() -> None:
    info = ImageInfo(1, 4, 3, np.dtype(np.float32), None, "rgb", nodata=0)
    pixels = np.array([[[0, 0, 0], [0, 0, 1], [np.nan, 2, 3], [4, 5, 6]]], np.float32)
    assert without_data(pixels, info).tolist() == [[True, False, True, False]]
    made = blur(1)(land("float32", 3), nodata=NONE)
    assert (made[COAST] == NONE).all()


def test_with_alpha_they_are_hidden() -> None:
    array = land("float32", 4)
    array[..., 3] = 1
    made = blur(2)(array, alpha=3, nodata=NONE)
    assert (made[COAST][:, :3] == NONE).all()
    assert made[~COAST][:, :3].min() >= 100


def test_of_two_images_both_need_data() -> None:
    array, other = land(nodata=NONE), land()[::-1].copy()
    made = blend(other)(array, nodata=NONE)
    assert np.array_equal(made[..., 0] == NONE, COAST | COAST[::-1])


@filter(halo=1)
def spread(chunk: Pixels) -> Pixels:
    """Add up nine pixels."""
    return sum(
        chunk[y : y + len(chunk) - 2, x : x + chunk.shape[1] - 2]
        for y in range(3)
        for x in range(3)
    )  # type: ignore[return-value]


CHAIN = blur(1.5) | spread() | median(2) | resize("140%") | unsharp(2) | autocontrast()


@pytest.mark.parametrize(
    ("border", "dtype"),
    [
        ("edge", "float32"),
        ("symmetric", "uint8"),
        ("reflect", "int16"),
        ("wrap", "uint8"),
        ("constant", "float32"),
    ],
)
def test_pieces_are_as_the_whole(dtype: str, border: Any) -> None:
    nodata = {"float32": np.nan, "uint8": 0, "int16": NONE}[dtype]
    array = land(dtype, 2, nodata)
    one = blur(1.5, border=border) | median(2, border=border) | CHAIN
    expected = one(array, nodata=nodata)
    for chunk in ((16, 11), 25):
        made = imgpipe.apply(array, one, nodata=nodata, chunk=chunk, executor="serial")
        assert np.array_equal(made, expected, equal_nan=dtype == "float32")


def test_workers_make_the_same(tmp_path: Path) -> None:
    array = land("float32", nodata=np.nan)
    for name in ("in.npy", "in.tif"):
        imgpipe.write(array, tmp_path / name)
        imgpipe.run(
            tmp_path / name, CHAIN, tmp_path / "out.npy", workers=2, executor="threads", chunk=9
        )
        expected = CHAIN(array, nodata=np.nan)
        assert np.array_equal(imgpipe.read(tmp_path / "out.npy"), expected, equal_nan=True)


# --- the value of a file, and the value of the caller -----------------------------------


def test_the_value_is_read_from_a_tiff_and_written_to_it(tmp_path: Path) -> None:
    source, out = tmp_path / "in.npy", tmp_path / "out.tif"
    np.save(source, land("int16"))
    imgpipe.run(source, blur(1), out, nodata=NONE, executor="serial")
    assert imgpipe.info(out).nodata == NONE
    imgpipe.run(out, blur(1), tmp_path / "again.tif", executor="serial")
    assert imgpipe.info(tmp_path / "again.tif").nodata == NONE
    expected = (blur(1) | blur(1))(land("int16"), nodata=NONE)
    assert np.array_equal(imgpipe.read(tmp_path / "again.tif"), expected)
    imgpipe.run(out, blur(1), tmp_path / "all.tif", nodata="none", executor="serial")
    assert imgpipe.info(tmp_path / "all.tif").nodata is None
    assert np.array_equal(imgpipe.read(tmp_path / "all.tif"), blur(1)(imgpipe.read(out)))


def test_nan_in_a_file_of_floats_goes_without_saying(tmp_path: Path) -> None:
    array = land(nodata=np.nan)
    np.save(tmp_path / "in.npy", array)
    imgpipe.run(tmp_path / "in.npy", blur(2), tmp_path / "out.tif", executor="serial")
    made = imgpipe.read(tmp_path / "out.tif")
    assert np.array_equal(made, blur(2)(array, nodata=np.nan), equal_nan=True)
    assert imgpipe.info(tmp_path / "out.tif").nodata is None
    imgpipe.run(tmp_path / "in.npy", blur(2), tmp_path / "o.npy", nodata="none", executor="serial")
    assert np.array_equal(imgpipe.read(tmp_path / "o.npy"), blur(2)(array), equal_nan=True)


def test_a_conversion_and_an_array_state_the_value(tmp_path: Path) -> None:
    """Coded pixels are not copied then: the copy would not say it."""
    plain, out = tmp_path / "plain.tif", tmp_path / "out.tif"
    imgpipe.write(land("int16"), plain)
    assert imgpipe.info(plain).nodata is None
    imgpipe.convert(plain, out, nodata=NONE, executor="serial")
    assert imgpipe.info(out).nodata == NONE
    imgpipe.convert(out, plain, nodata="none", executor="serial")
    assert imgpipe.info(plain).nodata is None
    imgpipe.write(land("int16"), out, nodata=NONE)
    assert imgpipe.info(out).nodata == NONE
    assert np.array_equal(imgpipe.read(out), land("int16"))
    png, copy = tmp_path / "a.png", tmp_path / "b.png"
    imgpipe.write(land("uint8", nodata=0), png)
    imgpipe.convert(png, copy, nodata=0)  # which PNG cannot state
    assert copy.read_bytes() == png.read_bytes()


def test_a_line_tells_that_a_format_cannot_state_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    imgpipe.write(land("uint16", nodata=0), tmp_path / "in.tif", nodata=0)
    imgpipe.run(tmp_path / "in.tif", blur(1), tmp_path / "out.png", executor="serial")
    lost = "left out metadata that PNG cannot hold: the value of pixels without data"
    assert caplog.messages == [f"{tmp_path / 'out.png'}: {lost}"]


def test_nan_is_no_integer_unless_a_range_is_given(tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", land(nodata=np.nan))
    with pytest.raises(FilterError, match="nan=0"):
        imgpipe.run(tmp_path / "in.npy", astype("uint8"), tmp_path / "out.png", executor="serial")
    out = tmp_path / "out.png"
    imgpipe.run(tmp_path / "in.npy", blur(1), out, value_range="99..121", executor="serial")
    assert ((imgpipe.read(out)[..., 0] == 0) == COAST).all()


def test_a_type_that_cannot_hold_the_value_gets_its_least_one() -> None:
    for dtype, kept in (("int32", NONE), ("uint8", 0), ("int8", -128), ("float64", NONE)):
        assert nodata_after(NONE, np.dtype(dtype)) == kept
        (stage,) = resolve(astype(dtype), ImageInfo(9, 9, 1, np.dtype(np.int16), nodata=NONE))
        assert stage.after.nodata == kept
    assert nodata_after(np.nan, np.dtype(np.int16)) is None


@pytest.mark.parametrize(
    ("given", "dtype", "held"),
    [
        ("-9999", "int16", -9999.0),
        (-9999, "uint8", None),
        (0.5, "uint8", None),
        ("1e40", "float32", np.inf),
        ("none", "float32", None),
        (0.1, "float32", float(np.float32(0.1))),
    ],
)
def test_the_value_is_one_of_the_type(given: Any, dtype: str, held: float | None) -> None:
    assert nodata_held(Reading(nodata=given).nodata, np.dtype(dtype)) == held


def test_other_words_are_refused() -> None:
    with pytest.raises(
        UsageError, match="nodata must be a number such as -9999, nan, or none, not 'sea'"
    ):
        Reading(nodata="sea")
