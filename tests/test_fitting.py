"""Fitting an image into what a format declares, by conversions that it requires, or refusing it."""

from __future__ import annotations

import io
import logging
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import imgpipe
from imgpipe.errors import UsageError
from imgpipe.exif import with_texts
from imgpipe.filters import astype, blur, flatten, invert, to_rgb
from imgpipe.formats.declaration import CMYK, GRAY, GRAY_ALPHA, RGB, RGBA, Format, Layout
from imgpipe.formats.fitting import fitted, fitting, left_out
from imgpipe.formats.readwrite import Writing
from imgpipe.image import ImageInfo
from imgpipe.metadata import Metadata, Text, density_from_dpi
from tests.conftest import noise

RGB_IMAGE = ImageInfo(4, 5, 3, np.dtype(np.uint8), None, "rgb")
TOY = Format("Toy", (".toy",), dtypes=("uint8", "uint16"), layouts=(GRAY, RGB, RGBA), side=100)
FLAT = replace(TOY, dtypes=("uint8",), layouts=(GRAY, RGB, CMYK))


def test_an_image_that_fits_stays_unchanged() -> None:
    for image in (RGB_IMAGE, replace(RGB_IMAGE, channels=4, alpha=3)):
        assert fitted(image, TOY, "a.toy") == image
        assert fitting(image, TOY, "a.toy").elements == ()
    anything = Format("Any", (".any",))
    odd = ImageInfo(9, 9, 7, np.dtype(np.float64), 6)
    assert fitted(odd, anything, "a.any") == odd
    assert fitting(odd, anything, "a.any", background="#000000", value_range="0..1") == ((), "")


def test_channels_mean_what_readers_will_take_them_for() -> None:
    unsaid = replace(RGB_IMAGE, channels=4, colour="other")
    assert fitted(unsaid, TOY, "a.toy").alpha == 3
    inks = Layout(4, "other")
    assert fitted(unsaid, replace(TOY, layouts=(RGBA, inks)), "a.toy").alpha is None
    assert fitted(unsaid, replace(TOY, layouts=None), "a.toy").alpha is None


CONVERSIONS: list[tuple[dict[str, Any], Format, tuple[str, ...], str]] = [
    ({"dtype": np.dtype(np.uint16)}, FLAT, ("astype:uint8",), "uint16 becomes uint8"),
    ({"dtype": np.dtype(np.uint32)}, TOY, ("astype:uint16",), "uint32 becomes uint16"),
    ({"dtype": np.dtype(np.uint8)}, replace(TOY, dtypes=("uint16",)), ("astype:uint16",), ""),
    ({"dtype": np.dtype(np.uint16)}, replace(TOY, dtypes=("float32",)), ("astype:float32",), ""),
    (
        {"dtype": np.dtype(np.float64)},
        replace(TOY, dtypes=("float32",)),
        ("astype:float32",),
        "float64 becomes float32",
    ),
    (
        {"channels": 4, "alpha": 3},
        FLAT,
        ("flatten:colour=#ffffff",),
        "alpha is laid over white",
    ),
    (
        {"channels": 2, "alpha": 1, "colour": "gray"},
        FLAT,
        ("flatten:colour=#ffffff",),
        "alpha is laid over white",
    ),
    ({"channels": 2, "alpha": 1, "colour": "gray"}, TOY, ("to_rgb",), ""),
    ({"channels": 1, "colour": "gray"}, replace(TOY, layouts=(RGB, RGBA)), ("to_rgb",), ""),
    ({"channels": 4, "colour": "cmyk"}, TOY, ("to_rgb",), "CMYK becomes RGB by a plain formula"),
    (
        {"channels": 4, "colour": "cmyk", "metadata": Metadata(icc=bytes(16) + b"CMYK")},  # damaged
        TOY,
        ("to_rgb",),
        "CMYK becomes RGB by a plain formula",
    ),
    (
        {"channels": 5, "alpha": 4, "colour": "cmyk", "dtype": np.dtype(np.uint16)},
        replace(FLAT, layouts=(GRAY, RGB)),
        ("flatten:colour=#ffffff", "to_rgb", "astype:uint8"),
        "alpha is laid over white; CMYK becomes RGB by a plain formula; uint16 becomes uint8",
    ),
    (
        {"channels": 2, "alpha": 1, "colour": "other"},
        replace(TOY, layouts=(GRAY, GRAY_ALPHA)),
        (),
        "",
    ),
]


@pytest.mark.parametrize(("changes", "format", "elements", "lost"), CONVERSIONS)
def test_conversions_are_those_that_the_target_requires(
    changes: dict[str, Any], format: Format, elements: tuple[str, ...], lost: str
) -> None:
    assert fitting(replace(RGB_IMAGE, **changes), format, "a.toy") == (elements, lost)


def test_a_range_makes_integers_of_floats_and_of_signed_ones() -> None:
    for dtype in ("float32", "int16"):
        image = replace(RGB_IMAGE, dtype=np.dtype(dtype))
        found = fitting(image, TOY, "a.toy", value_range="-5..9")
        assert found.elements == ('astype:uint16,range="-5..9"',)
        assert found.lost == f"{dtype} becomes uint16, with -5 as black and 9 as white"
    wide = replace(RGB_IMAGE, dtype=np.dtype(np.uint16))
    assert fitting(wide, FLAT, "a.toy", value_range="5..9").elements == (
        'astype:uint8,range="5..9"',
    )
    assert fitting(wide, TOY, "a.toy", value_range="5..9").elements == ()
    small = Format("Small", (".s",), dtypes=("uint8", "float32"))
    floats = replace(RGB_IMAGE, dtype=np.dtype("float32"))
    assert fitting(floats, small, "a.s", value_range="0..1").elements == ()


@pytest.mark.parametrize(
    ("dtype", "value_range", "says"),
    [
        ("uint16", "measured", "its minimum as black and its maximum as white"),
        ("uint16", "full", "0 as black and 65535 as white"),
        ("int8", "full", "0 as black and 127 as white"),
        ("float64", "full", "0 as black and 1 as white"),
        ("float32", "-1e3..2.5", "-1e3 as black and 2.5 as white"),
    ],
)
def test_the_values_that_become_black_and_white_are_told(
    dtype: str, value_range: str, says: str
) -> None:
    image = replace(RGB_IMAGE, dtype=np.dtype(dtype))
    found = fitting(image, FLAT, "a.toy", value_range=value_range)
    assert found.lost == f"{dtype} becomes uint8, with {says}"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"dtype": np.dtype(np.float32)}, "Toy supports uint8 and uint16, not float32; say which"),
        ({"dtype": np.dtype(np.int8)}, "Toy supports uint8 and uint16, not int8; say which"),
        ({"channels": 2}, "Toy supports 1, 3 and 4 channels, not 2; select"),
        (
            {"channels": 2, "colour": "other"},
            "Toy supports 1, 3 and 4 channels, not 2; give --alpha last",
        ),
        ({"channels": 5, "colour": "other"}, "Toy supports 1, 3 and 4 channels, not 5; select"),
    ],
)
def test_arbitrary_conversions_are_refused_with_a_way_out(
    changes: dict[str, Any], says: str
) -> None:
    for fits in (fitted, fitting):
        with pytest.raises(UsageError) as caught:
            fits(replace(RGB_IMAGE, **changes), TOY, "a.toy")
        assert str(caught.value).startswith(f"a.toy: {says}")
        assert str(caught.value).endswith("write .tif or .npy")


@pytest.mark.parametrize(("size", "said"), [((4, 101), "101 x 4"), ((0, 5), "5 x 0")])
def test_sizes_are_refused_with_formats_that_hold_them(size: tuple[int, int], said: str) -> None:
    with pytest.raises(UsageError, match=f"Toy cannot hold {said} pixels.*up to 100 ") as caught:
        fitted(replace(RGB_IMAGE, height=size[0], width=size[1]), TOY, "a.toy")
    assert str(caught.value).endswith("write .tif, .png or .npy")


def test_four_unknown_channels_are_not_inks() -> None:
    unsaid = replace(RGB_IMAGE, channels=4, colour="other")
    with pytest.raises(UsageError, match="not 4 channels of unknown meaning; give --alpha last"):
        fitting(unsaid, FLAT, "a.toy")
    assert fitting(replace(unsaid, colour="cmyk"), FLAT, "a.toy").elements == ()


def test_metadata_that_a_format_cannot_hold_are_named() -> None:
    known = Metadata(exif=b"x", xmp=b"x", pixels_per_metre=density_from_dpi(300, 300))
    image = replace(RGB_IMAGE, metadata=known, nodata=-1.0)
    assert left_out(image, TOY) == ""  # which says nothing about metadata
    held = replace(TOY, metadata=("exif", "nodata"))
    assert left_out(image, held) == "XMP, the resolution"
    assert left_out(image, replace(TOY, metadata=("exif", "xmp", "resolution"))) == (
        "the value of pixels without data"
    )
    screen = Metadata(pixels_per_metre=density_from_dpi(72, 72))
    assert left_out(replace(RGB_IMAGE, metadata=screen, nodata=np.nan), held) == ""
    texts = Metadata(texts=(Text("Title", "a"), Text("Comment", "b")))
    assert left_out(replace(RGB_IMAGE, metadata=texts), held) == "the text 'Comment'"
    taken = replace(texts, exif=with_texts(None, [Text("Title", "another")]))
    assert left_out(replace(RGB_IMAGE, metadata=taken), held) == "the text 'Title' and 'Comment'"
    said = replace(texts, exif=with_texts(None, [Text("Title", "a")]))
    assert left_out(replace(RGB_IMAGE, metadata=said), held) == "the text 'Comment'"
    both = Metadata(texts=(Text("Author", "a"), Text("Artist", "b")))  # have one tag
    assert left_out(replace(RGB_IMAGE, metadata=both), held) == "the text 'Artist'"


# --- through the ways in ----------------------------------------------------------------


class TestRun:
    """A run to a target that cannot hold the image as it is."""

    @pytest.fixture
    def rgba(self, tmp_path: Any) -> Any:
        array = noise((31, 43, 4), "uint16", 1)
        array[:9, :, 3] = 0
        path = tmp_path / "in.png"
        imgpipe.write(array, path, alpha="last")
        return path

    def test_converts_at_the_end_of_the_chain(self, rgba: Any, tmp_path: Any) -> None:
        """In pieces as in one: the conversions are stages like all others."""
        chain = blur(2) | flatten("#102030") | astype("uint8")
        expected = chain(imgpipe.read(rgba), alpha="last")
        imgpipe.write(expected, tmp_path / "expected.qoi")
        out = tmp_path / "out.jpg"
        imgpipe.write(expected, tmp_path / "expected.jpg")
        for chunk in (7, 64):
            imgpipe.run(rgba, blur(2), out, background="#102030", chunk=chunk, executor="serial")
            assert out.read_bytes() == (tmp_path / "expected.jpg").read_bytes()

    def test_says_once_what_is_lost(
        self, rgba: Any, tmp_path: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING, "imgpipe"):
            imgpipe.run(rgba, invert(), tmp_path / "out.jpg", executor="serial")
        (record,) = caplog.records
        assert record.getMessage() == (
            f"{tmp_path / 'out.jpg'}: converted for JPEG: alpha is laid over white; "
            "uint16 becomes uint8"
        )
        caplog.clear()
        imgpipe.run(rgba, invert(), tmp_path / "out.png", executor="serial")
        imgpipe.write(noise((3, 4, 1), "uint8"), tmp_path / "gray.webp")  # gray as RGB: all there
        assert not caplog.records

    def test_floats_need_a_range(self, tmp_path: Any) -> None:
        array = np.linspace(-1, 3, 35, dtype=np.float32).reshape(5, 7)
        np.save(tmp_path / "in.npy", array)
        with pytest.raises(UsageError, match=r"--value-range 0\.\.1 .*astype:uint16,range=0\.\.1"):
            imgpipe.run(tmp_path / "in.npy", invert(), tmp_path / "out.png")
        for given in ("-1..3", (-1, 3), "measured"):
            out = io.BytesIO()
            imgpipe.write(array, out, value_range=given)
            made = imgpipe.read(out)[..., 0]
            assert np.array_equal(made, astype("uint16", "-1..3")(array))

    def test_a_range_that_is_not_used_is_told(
        self, tmp_path: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        array = noise((5, 7, 1), "uint16")
        imgpipe.write(array, tmp_path / "a.png", value_range="500..4000")
        assert "the value range 500..4000 is not used, because PNG holds uint16" in caplog.text
        assert np.array_equal(imgpipe.read(tmp_path / "a.png"), array)
        caplog.clear()
        imgpipe.convert(tmp_path / "a.png", tmp_path / "b.png", value_range="500..4000")
        assert "is not used" in caplog.text
        caplog.clear()
        imgpipe.write(array, tmp_path / "a.qoi", value_range="500..4000")
        assert "is not used" not in caplog.text
        made = imgpipe.read(tmp_path / "a.qoi")
        assert np.array_equal(made[..., :1], astype("uint8", "500..4000")(array))

    def test_wrong_choices_are_refused_before_anything_is_read(self, tmp_path: Any) -> None:
        with pytest.raises(UsageError, match=r"background: .* is not a colour; give a name"):
            Writing(background="quite red")
        with pytest.raises(UsageError, match="value_range must be full, measured, or two numbers"):
            Writing(value_range="some")
        image = noise((3, 4, 3), "uint8")
        with pytest.raises(UsageError, match="must have the smaller number first"):
            imgpipe.write(image, tmp_path / "a.png", value_range=(3, 1))
        with pytest.raises(UsageError, match="3 beside alpha cannot be 'cmyk'"):
            imgpipe.write(image, tmp_path / "a.jpg", colour="cmyk")

    def test_options_of_the_format_may_require_conversions(
        self, rgba: Any, tmp_path: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        """JPEG data in TIFF is as JPEG files are: 8 bits without alpha."""
        out = tmp_path / "out.tif"
        imgpipe.run(rgba, invert(), out, compression="jpeg", executor="serial")
        (line,) = caplog.messages
        assert line == (
            f"{out}: converted for JPEG data in TIFF: alpha is laid over white; "
            "uint16 becomes uint8"
        )
        assert imgpipe.info(out).shape == (31, 43, 3)
        floats = noise((9, 9, 3), "float32")
        for array, says in ((floats, "--value-range"), (floats[..., :2], "supports 1, 3 and 4")):
            with pytest.raises(UsageError, match=f"{says}.* or choose another compression"):
                imgpipe.write(array, out, compression="jpeg")
        imgpipe.write(floats, out, compression="jpeg", value_range="measured")
        assert imgpipe.info(out).dtype == np.uint8

    def test_inks_become_rgb_where_there_are_none(self, tmp_path: Any) -> None:
        inks = noise((9, 11, 4), "uint8", 2)
        imgpipe.write(inks, tmp_path / "inks.tif", colour="cmyk")
        assert imgpipe.info(tmp_path / "inks.tif").colour == "cmyk"
        imgpipe.run(tmp_path / "inks.tif", imgpipe.Chain(()), tmp_path / "a.png")
        made = imgpipe.read(tmp_path / "a.png")
        light, paper = 255 - inks[..., :3].astype(int), 255 - inks[..., 3:].astype(int)
        assert np.array_equal(made, (2 * light * paper + 255) // 510)
        gray = noise((2, 2, 1), "uint8")
        assert np.array_equal(to_rgb()(gray), np.repeat(gray, 3, axis=2))
