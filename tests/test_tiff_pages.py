"""Pages of TIFF files: frames, levels, the other pictures of slides, and their metadata."""

from __future__ import annotations

import logging
import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.testing import assert_array_equal

from imgpipe import exif
from imgpipe.errors import UsageError
from imgpipe.formats.origin import FileOrigin, MemoryOrigin
from imgpipe.formats.tiff import contents, open_source
from imgpipe.image import ImageInfo
from tests.conftest import noise

NO_TAGS: dict[str, Any] = {"metadata": None, "software": False}


GEO_IS_DAMAGED = (
    "ignored its georeference: its GeoTIFF tags are damaged: the tie points are not of six "
    "numbers each"
)


def origin(path: Path) -> FileOrigin:
    return FileOrigin(str(path))


def info_of(path: Path, page: int = 0, level: int = 0) -> ImageInfo:
    return open_source(origin(path), None, page, level).info


def test_pages_are_frames_of_any_size_and_type(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    images = [noise((30, 40, 3), "uint8"), noise((9, 8), "uint16"), noise((5, 6), "float32")]
    with tifffile.TiffWriter(path) as file:
        for image in images:
            file.write(image, **NO_TAGS)
    assert contents(origin(path)).frames == 3
    assert contents(MemoryOrigin(path.read_bytes())).frames == 3
    for page, image in enumerate(images):
        source = open_source(origin(path), None, page)
        assert source.info.dtype == image.dtype
        assert_array_equal(np.squeeze(source.read(source.info.box)), image)  # type: ignore[union-attr]
    with pytest.raises(UsageError, match=r"a\.tif: has no page 3, pages 0 to 2; .*--page"):
        open_source(origin(path), None, 3)
    with pytest.raises(UsageError, match=r"has no pyramid level 1, only level 0; .*--level"):
        open_source(origin(path), None, 0, 1)


@pytest.mark.parametrize("below", [True, False])
def test_smaller_versions_are_levels(tmp_path: Path, *, below: bool) -> None:
    """Their directories may be below that of the image, or follow it."""
    path = tmp_path / "a.tif"
    image = noise((101, 203), "uint8")
    with tifffile.TiffWriter(path) as file:
        options = {"subifds": 2} if below else {}
        file.write(image, resolution=(300, 300), resolutionunit="inch", **options, **NO_TAGS)
        for step in (2, 4):
            file.write(image[::step, ::step], subfiletype=1, **NO_TAGS)
        file.write(image[:50], **NO_TAGS)
    found = contents(origin(path))
    assert found.frames == 2
    assert found.levels == ((101, 203), (51, 102), (26, 51))
    assert found.associated == ()
    for level, step in enumerate((1, 2, 4)):
        source = open_source(origin(path), None, 0, level)
        assert_array_equal(source.read(source.info.box)[..., 0], image[::step, ::step])  # type: ignore[union-attr]
    assert info_of(path).metadata.dpi == (300, 300)
    small = info_of(path, level=1).metadata.dpi
    assert small is not None
    assert 140 < small[0] < 160


def test_masks_and_previews_are_no_frames(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(noise((100, 200), "uint8"), **NO_TAGS)
        file.write(noise((100, 200), "uint8") > 9, subfiletype=4, photometric="mask", **NO_TAGS)
        file.write(noise((64, 64), "uint8"), subfiletype=1, **NO_TAGS)
    found = contents(origin(path))
    assert (found.frames, found.levels) == (1, ((100, 200),))
    assert found.associated == ("mask of 200 x 100", "smaller image of 64 x 64")


def test_an_image_below_its_preview_is_the_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as file:
        file.write(noise((10, 20), "uint8"), subfiletype=1, subifds=1, **NO_TAGS)
        file.write(noise((100, 150), "uint8"), **NO_TAGS)
    assert contents(origin(path)).levels == ((100, 150),)
    assert contents(origin(path)).associated == ("smaller image of 20 x 10",)


def test_planes_of_a_stack_are_frames(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    stack = noise((2, 3, 20, 30), "uint16")
    tifffile.imwrite(path, stack, metadata={"axes": "CZYX"})
    assert contents(origin(path)).frames == 6
    source = open_source(origin(path), None, 4)
    assert_array_equal(source.read(source.info.box)[..., 0], stack[1, 1])  # type: ignore[union-attr]
    tifffile.imwrite(path, stack, imagej=True, metadata={"axes": "ZCYX"})
    assert contents(origin(path)).frames == 6
    assert source.info.metadata.exif is None or b"OME" not in source.info.metadata.exif


def test_a_stack_of_imagej_may_have_a_single_directory(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    stack = noise((5, 20, 30), "uint16")
    tifffile.imwrite(path, stack, imagej=True, metadata={"axes": "ZYX"})
    with tifffile.TiffFile(path) as file:
        at = file.pages.first.offset
        order = file.byteorder
    data = bytearray(path.read_bytes())
    (count,) = struct.unpack_from(f"{order}H", data, at)
    struct.pack_into(f"{order}I", data, at + 2 + 12 * count, 0)
    path.write_bytes(data)
    assert contents(origin(path)).frames == 5
    for page, image in enumerate(stack):
        source = open_source(origin(path), None, page)
        assert_array_equal(source.read(source.info.box)[..., 0], image)  # type: ignore[union-attr]


def test_label_and_macro_of_a_slide_are_neither_frames_nor_carried(tmp_path: Path) -> None:
    path = tmp_path / "a.svs"
    image = noise((512, 1024, 3), "uint8")
    tiled: dict[str, Any] = {"tile": (64, 64), "photometric": "rgb", "metadata": None}
    about = "Aperio Image Library v1|User = Jane Doe"
    with tifffile.TiffWriter(path) as file:
        file.write(image, description=about, **tiled)
        file.write(image[::16, ::16], photometric="rgb", metadata=None)
        file.write(image[::4, ::4], **tiled)
        file.write(image[:40, :50], subfiletype=1, photometric="rgb", metadata=None)
        file.write(image[:60, :50], subfiletype=9, photometric="rgb", metadata=None)
    found = contents(origin(path))
    assert found.frames == 1
    assert found.levels == ((512, 1024), (128, 256))
    assert found.associated == ("thumbnail of 64 x 32", "label of 50 x 40", "macro of 50 x 60")
    assert b"Jane" not in (info_of(path).metadata.exif or b"")
    source = open_source(origin(path), None, 0, 1)
    assert_array_equal(source.read(source.info.box), image[::4, ::4])  # type: ignore[union-attr]


def test_a_stream_of_restart_intervals_is_tiles(tmp_path: Path) -> None:
    """As in the slides of Hamamatsu, each page of which is a single JPEG stream."""
    path = tmp_path / "a.ndpi"
    image = np.repeat(np.arange(128, dtype=np.uint8) * 2, 64 * 3).reshape(128, 64, 3)
    write_ndpi(path, image)
    source = open_source(origin(path))
    assert source.grain == (8, 64)
    assert np.abs(source.read(source.info.box).astype(int) - image).max() < 8  # type: ignore[union-attr]


_MAKE = b"Hamamatsu\0"


def write_ndpi(path: Path, image: np.ndarray[Any, Any]) -> None:
    """Write a page as Hamamatsu does: offsets of 64 bits, and a list of restart markers."""
    from imgpipe.formats.jpegs.encoding import Recipe, restart

    recipe = Recipe(3, 95, "4:4:4")
    rows = [image[y : y + 8] for y in range(0, len(image), 8)]
    interval = image.shape[1] // 8
    head = recipe.head(len(image), image.shape[1], b"", interval)
    body, starts = bytearray(head), []
    for number, row in enumerate(rows):
        starts.append(len(body))
        body += bytes(recipe.coded(np.ascontiguousarray(row)))
        body += restart(number) if number < len(rows) - 1 else b"\xff\xd9"
    data_at, list_at = 12, 12 + len(body)
    tags = [
        (256, 4, 1, image.shape[1]),
        (257, 4, 1, len(image)),
        (258, 3, 3, list_at + 4 * len(starts)),
        (259, 3, 1, 7),
        (262, 3, 1, 6),
        (271, 2, len(_MAKE), list_at + 4 * len(starts) + 6),  # strings never stand in their entry
        (273, 4, 1, data_at),
        (277, 3, 1, 3),
        (278, 4, 1, len(image)),
        (279, 4, 1, len(body)),
        (65420, 4, 1, 1),
        (65421, 11, 1, int.from_bytes(struct.pack("<f", 20.0), "little")),
        (65426, 4, len(starts), list_at),
    ]
    at = list_at + 4 * len(starts) + 6 + len(_MAKE)
    file = bytearray(b"II*\0" + struct.pack("<Q", at)) + body
    file += struct.pack(f"<{len(starts)}I", *starts) + struct.pack("<3H", 8, 8, 8) + _MAKE
    file += struct.pack("<H", len(tags))
    file += b"".join(struct.pack("<HHII", *tag) for tag in tags)
    file += bytes(8) + bytes(4 * len(tags))
    path.write_bytes(file)


def entry(code: int, kind: str, values: Any) -> tuple[Any, ...]:
    count = len(values) if isinstance(values, (Sequence, bytes)) else 1
    return code, kind, count if kind != "s" else 0, values, True


def test_metadata(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    icc = bytes(36) + b"acsp" + bytes(90)
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a/></x:xmpmeta>'
    tifffile.imwrite(
        path,
        noise((9, 11), "uint8"),
        iccprofile=icc,
        resolution=((30000, 127), (11811, 100)),
        resolutionunit="centimeter",
        description="a hill",
        datetime="2024:01:02 03:04:05",
        extratags=[
            entry(700, "B", xmp),
            entry(271, "s", "Maker"),
            entry(274, "H", 6),
            entry(33432, "s", "me"),
            entry(33550, "d", (2.0, 2.0, 0.0)),
            entry(33922, "d", (0.0, 0.0, 0.0, 100.0, 200.0, 0.0)),
            entry(34735, "H", (1, 1, 0, 1, 1024, 0, 1, 1)),
            entry(42113, "s", "-9999"),
        ],
        **NO_TAGS,
    )
    info = info_of(path)
    metadata = info.metadata
    assert metadata.icc == icc
    assert metadata.xmp == xmp
    assert metadata.orientation == 6
    assert metadata.dpi == (600, 300)
    assert metadata.pixels_per_metre == (Fraction(3_000_000, 127), Fraction(300 * 10_000, 254))
    assert metadata.geo is not None
    assert metadata.geo.transform is not None
    assert metadata.geo.transform[:4] == (2, 0, 0, 100)
    assert info.nodata == -9999
    assert metadata.exif is not None
    fields = exif.parse(metadata.exif).main
    words = {tag: fields[tag].data for tag in (270, 271, 306, 33432)}
    assert words == {
        270: b"a hill\0",
        271: b"Maker\0",
        306: b"2024:01:02 03:04:05\0",
        33432: b"me\0",
    }
    assert exif.orientation(metadata.exif) == 6


def test_ignored_tags_leave_a_line_in_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.tif"
    tags = [entry(42113, "s", "deep"), entry(33922, "d", (1.0, 2.0))]
    tifffile.imwrite(path, noise((9, 11), "uint8"), extratags=tags, **NO_TAGS)
    with caplog.at_level(logging.DEBUG):
        assert info_of(path).nodata is None
    assert [record.getMessage().partition("a.tif: ")[2] for record in caplog.records] == [
        GEO_IS_DAMAGED,
        "ignored the value 'deep' for pixels without data",
    ]


def test_a_picture_without_words_has_no_exif(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise((9, 11), "uint8"), **NO_TAGS)
    assert info_of(path).metadata.exif is None
    assert info_of(path).metadata.pixels_per_metre is None
