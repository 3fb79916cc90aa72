"""TIFF files without metadata: pixels are copied, and no byte of the metadata is left."""

from __future__ import annotations

import io
import logging
import random
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

import imgpipe
from imgpipe.cli import execute
from imgpipe.errors import ImgpipeError
from tests.conftest import CORPORA

LIBTIFF = sorted(Path(CORPORA or "/nowhere").glob("libtiffpic/**/*.tif"))
PIXELS = np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8)
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
SECRET = b"Secret"


def tag(code: int, kind: str, value: Any, count: int = 0) -> tuple[Any, ...]:
    return code, kind, count or len(value), value, True


METADATA = [
    tag(271, "s", "Secret Maker", 0),
    tag(33432, "s", "Secret rights, all of them", 0),
    tag(700, "B", b"<x:xmpmeta>Secret</x:xmpmeta>"),
    tag(33723, "B", b"\x1c\x02\x78\0\x06Secret"),
    tag(34377, "B", b"8BIM\x04\x0c\0\0\0\0\0\x08Secret\0\0"),
    tag(37724, "B", b"Adobe Photoshop Document Data Block\0Secret"),
    tag(42112, "s", "<GDALMetadata>Secret</GDALMetadata>", 0),
    tag(33922, "d", (0.0, 0.0, 0.0, 1.5, 2.5, 0.0)),
    tag(65000, "s", "Secret of a maker", 0),
    tag(34675, "B", PROFILE),
]


def pyramid(path: Path, order: str, *, big: bool, **options: Any) -> None:
    """Write two pages, with two smaller levels each, and metadata everywhere."""
    options = {"photometric": "rgb", "tile": (32, 32), "extratags": METADATA} | options
    with tifffile.TiffWriter(path, byteorder=order, bigtiff=big) as file:
        for page in (PIXELS, 255 - PIXELS):
            file.write(page, description="Secret page", subifds=2, metadata=None, **options)
            for step in (2, 4):
                file.write(page[::step, ::step], subfiletype=1, metadata=None, **options)


def stripped(path: Path, *, copied: bool = True, **options: Any) -> Path:
    out = path.with_name("out.tif")
    report = imgpipe.convert(path, out, strip=True, workers=1, **options)
    assert ("copied as it is stored" in str(report)) is copied
    return out


def overwritten(path: Path, number: int, /, **parts: int) -> None:
    """Change type, count or offset of a tag in the first directory."""
    with tifffile.TiffFile(path) as file:
        place = file.pages.first.tags[number].offset
    with path.open("r+b") as file:
        for name, value in parts.items():
            at, form = {
                "code": (0, "<H"),
                "kind": (2, "<H"),
                "count": (4, "<I"),
                "offset": (8, "<I"),
            }[name]
            file.seek(place + at)
            file.write(struct.pack(form, value))


def with_exif(path: Path) -> None:
    """Write a file with a directory of EXIF and one of GPS."""
    exif = Image.Exif()
    exif[0x010E], exif[0x0131], exif[0x0112] = "Secret picture", "Secret program", 6
    exif.get_ifd(0x8769)[0x927C] = b"Secret note of the maker"
    exif.get_ifd(0x8769)[0xA434] = "Secret lens"
    exif.get_ifd(0x8825)[0x001D] = "Secret date of the place"
    first = path.with_suffix(".png")
    Image.fromarray(PIXELS).save(first, exif=exif, icc_profile=PROFILE, dpi=(300, 300))
    imgpipe.convert(first, path, autorotate=False, workers=1)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", ["zlib", None])
def test_pages_and_levels_are_copied_and_nothing_else(
    tmp_path: Path, order: str, compression: str | None, *, big: bool
) -> None:
    path = tmp_path / "a.tif"
    pyramid(path, order, big=big, compression=compression)
    out = stripped(path)
    assert path.read_bytes().count(SECRET) > 20
    assert SECRET not in out.read_bytes()
    with tifffile.TiffFile(path) as before, tifffile.TiffFile(out) as after:
        assert len(after.pages) == 2
        for old, new in zip(before.pages, after.pages, strict=True):
            for one, other in zip((old, *old.pages), (new, *new.pages), strict=True):
                assert (one.asarray() == other.asarray()).all()
                assert one.dataoffsets == other.dataoffsets
                assert (one.subfiletype, one.photometric) == (other.subfiletype, other.photometric)
                assert other.tags[34675].value == PROFILE
                left = {code for code, *_ in METADATA if code in other.tags}
                assert left == {34675}
    found = imgpipe.info(out)
    assert found.metadata == imgpipe.image.Metadata(icc=PROFILE)
    for page in (0, 1):
        assert (imgpipe.read(out, page=page) == imgpipe.read(path, page=page)).all()
        assert (imgpipe.read(out, level=2) == imgpipe.read(path, level=2)).all()


def test_directories_of_exif_and_their_values_are_gone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.tif"
    with_exif(path)
    out = stripped(path)
    assert path.read_bytes().count(SECRET) == 5
    assert SECRET not in out.read_bytes()
    with Image.open(path) as old, Image.open(out) as new:
        assert (np.asarray(old) == np.asarray(new)).all()
        assert new.info["icc_profile"] == PROFILE
        assert not {270, 282, 283, 296, 305, 34665, 34853} & {*new.tag_v2}
    assert (imgpipe.read(out) == imgpipe.read(path)).all()
    (line,) = caplog.messages
    assert "stay turned (orientation 6)" in line


def test_bytes_that_no_tag_points_to_are_gone(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PIXELS, compression="zlib", description="Secret", metadata=None)
    overwritten(path, 270, offset=path.stat().st_size)  # as programs change a text
    path.write_bytes(path.read_bytes() + b"another\0Secret of a viewer")
    assert path.read_bytes().count(SECRET) == 2
    data = stripped(path).read_bytes()
    assert SECRET not in data
    assert b"another" not in data
    assert len(data) < path.stat().st_size
    assert (tifffile.imread(io.BytesIO(data)) == PIXELS).all()


def test_a_shape_of_pixels_stays_but_no_resolution(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    for unit, resolution, kept in ((1, (2, 1), True), (1, (7, 7), False), (2, (300, 100), False)):
        tifffile.imwrite(path, PIXELS, resolution=resolution, resolutionunit=unit, metadata=None)
        with tifffile.TiffFile(stripped(path)) as file:
            assert [code in file.pages.first.tags for code in (282, 283, 296)] == [kept] * 3


def test_the_value_of_pixels_without_data_stays_if_it_is_one(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    for text, value in (("7", 7), ("Secret", None)):
        tags = [(42113, "s", 0, text, True)]
        tifffile.imwrite(path, PIXELS, extratags=tags, metadata=None)
        out = stripped(path)
        assert imgpipe.info(out).nodata == value
        assert SECRET not in out.read_bytes()


def test_a_copy_may_go_from_and_to_memory_or_the_same_file(tmp_path: Path) -> None:
    path, out = tmp_path / "a.tif", io.BytesIO()
    pyramid(path, "<", big=False)
    out.name = "out.tif"
    imgpipe.convert(io.BytesIO(path.read_bytes()), out, strip=True)
    imgpipe.convert(path, path, strip=True)
    assert out.getvalue() == path.read_bytes()
    imgpipe.convert(path, path, strip=True)
    assert out.getvalue() == path.read_bytes(), "nothing was left to remove"


def test_a_mask_stays(tmp_path: Path) -> None:
    path, mask = tmp_path / "a.tif", PIXELS[..., 0] > 99
    with tifffile.TiffWriter(path) as file:
        file.write(PIXELS, description="Secret", metadata=None)
        file.write(mask, subfiletype=4, photometric=4, description="Secret", metadata=None)
    out = stripped(path)
    assert SECRET not in out.read_bytes()
    with tifffile.TiffFile(out) as file:
        assert (file.pages[1].asarray() == mask).all()
        assert file.pages[1].subfiletype == 4


@pytest.mark.skipif(not LIBTIFF, reason="IMGPIPE_CORPORA has no folder libtiffpic")
def test_pictures_of_libtiff_are_copied(tmp_path: Path) -> None:
    again = []
    for path in LIBTIFF:
        out = tmp_path / "out.tif"
        try:
            before = imgpipe.read(path, autorotate=False)
        except ImgpipeError:
            continue
        report = imgpipe.convert(path, out, strip=True, workers=1)
        if "copied as it is stored" not in str(report):
            again.append(path.stem)
        assert (imgpipe.read(out, autorotate=False) == before).all(), path
    assert again == ["smallliz", "zackthecat"], "which are old JPEG"


def test_the_plan_says_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.tif"
    with_exif(path)
    given = ["convert", str(path), "-o", str(tmp_path / "b.tif"), "--strip", "--dry-run"]
    assert execute(given) == 0
    assert "coded pixels, copied" in capsys.readouterr().out


# ------------------------------------------------------------------ decoded and encoded again


def decoded_again(path: Path, caplog: pytest.LogCaptureFixture) -> str:
    """Return the reason; pixels and secrecy are those of a copy."""
    caplog.clear()
    before = imgpipe.read(path)
    out = stripped(path, copied=False)
    assert (imgpipe.read(out) == before).all()
    assert SECRET not in out.read_bytes()
    (line,) = caplog.messages
    return line.removeprefix(f"{path}: decoded and encoded again, because ")


def test_a_stack_whose_text_counts_its_pages(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.stack([PIXELS[..., 0]] * 3), imagej=True, metadata={"Info": "Secret"})
    with tifffile.TiffFile(path) as file:
        link = file.pages.first.offset + 2 + 12 * len(file.pages.first.tags)
    data = bytearray(path.read_bytes())
    data[link : link + 4] = bytes(4)  # as in a file above 4 GB
    path.write_bytes(data)
    assert imgpipe.read(path, page=2).shape == (90, 70, 1)
    assert decoded_again(path, caplog) == "its metadata say how pixels are stored"


def test_metadata_within_coded_pixels(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, jpeg = tmp_path / "a.tif", io.BytesIO()
    Image.fromarray(PIXELS).save(jpeg, "JPEG", comment=SECRET)
    tifffile.imwrite(
        path,
        iter([jpeg.getvalue()]),
        shape=PIXELS.shape,
        dtype="uint8",
        photometric="ycbcr",
        compression="jpeg",
        metadata=None,
    )
    assert SECRET in path.read_bytes()
    assert decoded_again(path, caplog) == "its tiles or strips hold metadata"
    tifffile.imwrite(path, PIXELS, compression="jpeg", photometric="ycbcr", description="Secret")
    assert SECRET not in stripped(path).read_bytes()


def test_metadata_that_share_bytes_with_pixels(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PIXELS, metadata=None, description="Secret" * 5)
    with tifffile.TiffFile(path) as file:
        strip = file.pages.first.dataoffsets[0]
    overwritten(path, 270, offset=strip + 10)
    assert decoded_again(path, caplog) == "metadata share bytes with something else"
    overwritten(path, 270, code=301, kind=3, count=10)  # a curve, which stays
    assert (imgpipe.read(stripped(path)) == PIXELS).all()


def test_strips_that_are_larger_than_they_say(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PIXELS, metadata=None, description="Secret" * 5)
    overwritten(path, 279, offset=100)
    assert "larger than it says" in decoded_again(path, caplog)
    tifffile.imwrite(path, PIXELS, metadata=None, description="Secret" * 5)
    overwritten(path, 279, offset=PIXELS.nbytes + 10_000)
    assert SECRET not in stripped(path).read_bytes()


def test_pictures_that_are_never_carried_over(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(PIXELS, metadata=None)
        file.write(PIXELS[:20, :60], subfiletype=1, description="Secret label", metadata=None)
    out = stripped(path, copied=False)
    assert SECRET not in out.read_bytes()
    assert (imgpipe.read(out) == PIXELS).all()


def test_damaged_files_are_errors_or_read_as_before(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    choose, path, out = random.Random(3), tmp_path / "a.tif", io.BytesIO()
    pyramid(path, "<", big=False, compression="zlib")
    whole = path.read_bytes()
    with tifffile.TiffFile(path) as file:
        tables = [one.offset for page in file.pages for one in (page, *page.pages)]
    caplog.set_level(logging.CRITICAL)
    copied = 0
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(choose.randrange(1, 4)):
            at = choose.choice(tables) + choose.randrange(250)
            data[at] = choose.choice((0, 1, 255, data[at] ^ 1 << choose.randrange(8)))
        given = io.BytesIO(data)
        out.seek(0)
        out.truncate()
        out.name = "out.tif"
        try:
            report = imgpipe.convert(given, out, strip=True, workers=1)
            assert (imgpipe.read(out) == imgpipe.read(given)).all()
        except ImgpipeError:
            continue
        copied += "copied" in str(report)
    assert copied > 5
