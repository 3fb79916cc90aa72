"""TIFF files that are written: other readers see the same pixels and the same metadata."""

from __future__ import annotations

import io
import itertools
import os
import struct
import threading
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

import imgpipe
from imgpipe.errors import OutputError, ParameterError, UsageError
from imgpipe.exif import Exif, Field
from imgpipe.filters import invert
from imgpipe.formats import tiff
from imgpipe.formats.compression import Compression
from imgpipe.formats.opening import open_sink, open_source
from imgpipe.formats.raw import RawLayout
from imgpipe.formats.target import FileTarget, MemoryTarget
from imgpipe.formats.tiff import sinks
from imgpipe.formats.tiff.blocks import CLASSIC_BYTES, bound
from imgpipe.formats.tiff.encoding import SegmentEncoder
from imgpipe.formats.tiff.sinks import SegmentPlacer
from imgpipe.formats.tiff.storage import Storage
from imgpipe.formats.tiff.tags import Directory
from imgpipe.geo import Geo
from imgpipe.image import ImageInfo, Metadata, Text
from imgpipe.metadata import density_from_dpi
from imgpipe.testing.files import put_in
from tests.conftest import noise

TYPES = (
    "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64",
    "float16", "float32", "float64",
)  # fmt: skip
LOSSLESS = ("deflate:0", "deflate", "deflate:2", "deflate:6", "zstd", "lzw", "none")
COLOURS = ((1, "gray", None), (2, "gray", 1), (3, "rgb", None), (4, "rgb", 3), (4, "cmyk", None),
           (5, "cmyk", 4), (5, "other", None))  # fmt: skip


def about(pixels: np.ndarray, colour: Any = "other", **more: Any) -> ImageInfo:
    return ImageInfo(*pixels.shape, pixels.dtype, colour=colour, **more)


def written(path: Path, pixels: np.ndarray, info: ImageInfo | None = None, **save: Any) -> Path:
    sink = open_sink(path, info or about(pixels), save)
    put_in(sink, pixels)
    sink.commit()
    return path


def checked(**save: Any) -> dict[str, Any]:
    return {key: tiff.FORMAT.option(key, "o").check(value, "o") for key, value in save.items()}


def sink_of(target: Any, info: ImageInfo, **save: Any) -> Any:
    return tiff.open_sink(target, info, **checked(**save))


def photo(height: int, width: int) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    waves = [128 + 100 * np.sin(y / a + x / b) for a, b in ((9, 17), (23, 11), (31, 29))]
    return np.stack(waves, axis=2).astype(np.uint8)


@pytest.mark.parametrize("dtype", TYPES)
def test_tifffile_reads_every_type_colour_and_compression(dtype: str, tmp_path: Path) -> None:
    for at, (channels, colour, alpha) in enumerate(COLOURS):
        compression = LOSSLESS[at] if dtype != "uint16" else LOSSLESS[-1 - at]
        pixels = noise((75, 101, channels), dtype)
        tile = (32, "16x80", "strips")[(at + len(dtype)) % 3]
        info = about(pixels, colour, alpha=alpha)
        path = written(tmp_path / "o.tif", pixels, info, compression=compression, tile=tile)
        made = tifffile.imread(path).reshape(pixels.shape)
        np.testing.assert_array_equal(made, pixels, f"{colour}, {compression}, {tile}")
        read = open_source(path).info
        assert (read.colour, read.alpha) == (colour, alpha)
        np.testing.assert_array_equal(imgpipe.read(path).reshape(pixels.shape), pixels)


@pytest.mark.parametrize("compression", ["deflate", "lzw", "none"])
@pytest.mark.parametrize("tile", [32, "strips"])
def test_other_libraries_read_the_same_pixels(
    compression: str, tile: int | str, tmp_path: Path
) -> None:
    oiio, vips = pytest.importorskip("OpenImageIO"), pytest.importorskip("pyvips")
    for dtype in ("uint8", "uint16", "int16", "float32"):
        pixels = noise((75, 101, 3), dtype)
        path = tmp_path / f"{dtype}.tif"
        written(path, pixels, about(pixels, "rgb"), compression=compression, tile=tile)
        np.testing.assert_array_equal(cv2.imread(str(path), -1)[..., ::-1], pixels)
        opened = oiio.ImageInput.open(str(path))
        np.testing.assert_array_equal(opened.read_image(dtype), pixels)
        opened.close()
        np.testing.assert_array_equal(vips.Image.new_from_file(str(path)).numpy(), pixels)
        if dtype == "uint8":
            with Image.open(path) as image:
                np.testing.assert_array_equal(np.asarray(image), pixels)


def test_cmyk_has_the_polarity_of_other_libraries(tmp_path: Path) -> None:
    pixels = noise((20, 30, 4), "uint8")
    path = written(tmp_path / "o.tif", pixels, about(pixels, "cmyk"))
    with Image.open(path) as image:
        assert image.mode == "CMYK"
        np.testing.assert_array_equal(np.asarray(image), pixels)


@pytest.mark.parametrize(("subsampling", "factors"), [("4:2:0", (2, 2)), ("4:4:4", (1, 1))])
@pytest.mark.parametrize("tile", [64, "strips"])
def test_jpeg_data_is_read_alike_by_all(
    subsampling: str, factors: tuple[int, int], tile: Any, tmp_path: Path
) -> None:
    pixels = photo(150, 201)
    path = written(
        tmp_path / "o.tif", pixels, about(pixels, "rgb"),
        compression="jpeg:95", subsampling=subsampling, tile=tile,
    )  # fmt: skip
    made = tifffile.imread(path)
    assert np.abs(made.astype(int) - pixels).mean() < 4
    with Image.open(path) as image, tifffile.TiffFile(path) as file:
        assert np.abs(np.asarray(image).astype(int) - made).max() <= 2
        assert file.pages[0].tags[530].value == factors
        assert file.pages[0].photometric == tifffile.PHOTOMETRIC.YCBCR
    np.testing.assert_array_equal(imgpipe.read(path), made)
    for channels, colour in ((1, "gray"), (4, "cmyk")):
        other = np.repeat(pixels[..., :1], channels, axis=2)
        written(path, other, about(other, colour), compression="jpeg:95", tile=tile)
        read = imgpipe.read(path).reshape(other.shape)
        assert np.abs(read.astype(int) - other).max() < 20


@pytest.mark.parametrize(
    ("channels", "dtype", "alpha"), [(3, "uint16", None), (4, "uint8", 3), (5, "uint8", None)]
)
def test_jpeg_data_holds_no_other_images(
    channels: int, dtype: str, alpha: int | None, tmp_path: Path
) -> None:
    pixels = noise((9, 9, channels), dtype)
    colour = "rgb" if channels < 5 else "other"
    with pytest.raises(UsageError, match=r"o\.tif: JPEG data holds gray, RGB or CMYK of 8 bits"):
        open_sink(tmp_path / "o.tif", about(pixels, colour, alpha=alpha), {"compression": "jpeg"})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("given", ["17", 8, "256x", "x256", 8192, (256, 100), True, 256.0, "tile"])
def test_a_tile_has_sides_of_sixteens(given: Any, tmp_path: Path) -> None:
    pixels = noise((9, 9, 3), "uint8")
    with pytest.raises(ParameterError, match=r"tile: must be N or ROWSxCOLUMNS, multiples of 16"):
        open_sink(tmp_path / "o.tif", about(pixels), {"tile": given})


def test_other_compressions_are_refused_with_those_that_there_are(tmp_path: Path) -> None:
    known = "zstd[:1-22], lzw, jpeg[:1-100] or none, or 0-9 for deflate, not 'webp'"
    with pytest.raises(ParameterError) as caught:
        imgpipe.write(photo(9, 9), tmp_path / "o.tif", compression="webp")
    assert known in str(caught.value)


def test_a_file_has_the_tiles_that_are_asked_for(tmp_path: Path) -> None:
    for given, shape in ((None, (256, 256)), ("32x48", (32, 48)), ((16, 64), (16, 64))):
        save = {} if given is None else {"tile": given}
        imgpipe.write(photo(90, 90), tmp_path / "o.tif", save=save)
        with tifffile.TiffFile(tmp_path / "o.tif") as file:
            assert file.pages[0].tile == shape
    imgpipe.write(photo(2000, 900), tmp_path / "o.tif", save={"tile": "strips"})
    with tifffile.TiffFile(tmp_path / "o.tif") as file:
        assert not file.pages[0].is_tiled
        assert 1 < file.pages[0].rowsperstrip < 2000


@pytest.mark.parametrize("compression", ["deflate", "none", "jpeg"])
@pytest.mark.parametrize("tile", [64, "strips"])
def test_bytes_are_the_same_however_the_work_is_cut_up(
    compression: str, tile: Any, tmp_path: Path
) -> None:
    imgpipe.write(photo(403, 701), tmp_path / "in.png")
    made = set()
    for options in (
        {"executor": "serial"},
        {"executor": "threads", "workers": 2, "chunk": 50},
        {"executor": "threads", "workers": 3, "chunk": (401, 33)},
        {"workers": 2, "max_memory": "200M", "chunk": 64},
    ):
        imgpipe.run(
            tmp_path / "in.png", invert(), tmp_path / "o.tif",
            compression=compression, save={"tile": tile}, **options,
        )  # fmt: skip
        made.add((tmp_path / "o.tif").read_bytes())
    out = io.BytesIO()
    out.name = "o.tif"
    imgpipe.run(
        tmp_path / "in.png", invert(), out, compression=compression, save={"tile": tile}
    )  # fmt: skip
    assert made == {out.getvalue()}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes with a name")
@pytest.mark.parametrize("compression", ["deflate", "none"])
def test_a_pipe_gets_the_same_bytes(compression: str, tmp_path: Path) -> None:
    path, found = tmp_path / "pipe.tif", []
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: found.append(path.read_bytes()))
    reader.start()
    imgpipe.write(photo(90, 70), path, compression=compression)
    reader.join()
    imgpipe.write(photo(90, 70), tmp_path / "o.tif", compression=compression)
    assert found == [(tmp_path / "o.tif").read_bytes()]


def test_more_effort_makes_no_larger_files(tmp_path: Path) -> None:
    drawing = np.zeros((300, 300, 3), np.uint8)
    drawing[::7] = drawing[:, ::11] = 200
    for pixels in (photo(200, 300), drawing, photo(200, 200).astype(np.float32)):
        sizes = [imgpipe.write(pixels, tmp_path / "o.tif", compression=n) for n in range(10)]
        assert all(after <= before * 1.001 for before, after in itertools.pairwise(sizes))


@pytest.mark.parametrize("compression", [*LOSSLESS, "jpeg:100"])
def test_noise_stays_within_the_bound(compression: str) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (128, 128, 3), np.uint8)
    name, _, effort = compression.partition(":")

    chosen = Compression(name, int(effort) if effort else 1)
    encoder = Storage(about(pixels, "rgb"), (64, 64), chosen).encoder
    assert isinstance(encoder, SegmentEncoder)
    made = [
        encoder.encode(pixels[y : y + 64, x : x + 64], None)[0] for y in (0, 64) for x in (0, 64)
    ]
    assert sum(map(len, made)) <= encoder.bound(128)
    assert max(map(len, made)) * 2 <= encoder.bound(64)


# --- metadata ---------------------------------------------------------------------------

EXIF = Exif(
    ">",
    {271: Field.of(2, "Maker", ">"), 306: Field.of(2, "2001:02:03 04:05:06", ">"),
     274: Field.of(3, 6, ">"), 256: Field.of(4, 9999, ">")},
    {33434: Field.of(5, [Fraction(1, 60)], ">"), 37500: Field.of(7, b"secret of the maker", ">"),
     34855: Field.of(3, 400, ">")},
    {1: Field.of(2, "N", ">"), 2: Field.of(5, [Fraction(51), Fraction(30), Fraction(1, 3)], ">")},
    {1: Field.of(2, "R98", ">")},
).block()  # fmt: skip
GEO = Geo.of_tags(
    {33550: (10.0, 10.0, 0.0), 33922: (0.0, 0.0, 0.0, 500000.0, 4600000.0, 0.0),
     34735: (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32631), 34737: "UTM zone 31|"}
)  # fmt: skip
METADATA = Metadata(
    icc=b"\0" * 36 + b"acsp" + bytes(200),
    exif=EXIF,
    xmp=b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>",
    geo=GEO,
    pixels_per_metre=density_from_dpi(300, 150),
    chromaticities=(0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06),
    texts=(Text("Description", "A lake, in winter"), Text("Author", "Zoë"),
           Text("Copyright", "nobody"), Text("Software", "a camera"), Text("Title", "Lake")),
)  # fmt: skip


@pytest.mark.parametrize("compression", ["deflate", "none"])
def test_metadata_is_that_of_the_image(compression: str, tmp_path: Path) -> None:
    pixels = noise((40, 50, 3), "uint8")
    info = about(pixels, "rgb", metadata=METADATA, nodata=-9999.0)
    path = written(tmp_path / "o.tif", pixels, info, compression=compression, tile=16)
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        tags = {tag.code: tag.value for tag in page.tags}
        np.testing.assert_array_equal(page.asarray(), pixels)
        assert page.geotiff_tags["ProjectedCSTypeGeoKey"] == 32631
    assert (tags[282], tags[283], tags[296]) == ((300, 1), (150, 1), 2)
    assert (tags[34675], tags[700]) == (METADATA.icc, METADATA.xmp)
    assert (tags[270], tags[315], tags[33432], tags[305]) == (
        "A lake, in winter", "Zoë", "nobody", "a camera",
    )  # fmt: skip
    assert (tags[271], tags[306], tags[274], tags[256]) == (
        "Maker", "2001:02:03 04:05:06", 1, 50,
    )  # fmt: skip
    assert tags[42113] == "-9999"
    assert tags[33550] == (10.0, 10.0, 0.0)
    assert np.allclose([a / b for a, b in zip(*[iter(tags[318] + tags[319])] * 2, strict=True)],
                       METADATA.chromaticities)  # fmt: skip
    assert tags[34665]["ExposureTime"] == (1, 60)
    assert tags[34665]["MakerNote"] == b"secret of the maker"
    assert tags[34853]["GPSLatitude"] == (51, 1, 30, 1, 1, 3)
    with Image.open(path) as image:
        assert image.info["dpi"] == (300, 150)
        assert image.getexif().get_ifd(34665)[34855] == 400
        assert image.getexif().get_ifd(40965)[1] == "R98"


def test_damaged_exif_is_left_out(tmp_path: Path) -> None:
    pixels = noise((9, 9, 3), "uint8")
    for block in (b"", b"nonsense", EXIF[:40]):
        info = about(pixels, "rgb", metadata=Metadata(exif=block))
        path = written(tmp_path / "o.tif", pixels, info)
        np.testing.assert_array_equal(tifffile.imread(path), pixels)


def test_resolution_without_a_unit_stays_without(tmp_path: Path) -> None:
    pixels = noise((9, 9, 1), "uint8")
    path = written(
        tmp_path / "o.tif", pixels, about(pixels, metadata=Metadata(pixel_aspect=(2, 3)))
    )
    with tifffile.TiffFile(path) as file:
        tags = file.pages[0].tags
        assert [tags[code].value for code in (282, 283, 296)] == [(2, 1), (3, 1), 1]


def test_files_have_no_date_and_no_name_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "o.tif"
    imgpipe.write(photo(20, 20), path)
    with tifffile.TiffFile(path) as file:
        assert not {270, 305, 306, 315} & {tag.code for tag in file.pages[0].tags}


# --- sizes ------------------------------------------------------------------------------


def test_more_than_four_gigabytes_take_a_big_tiff(tmp_path: Path) -> None:
    small = ImageInfo(20_000, 20_000, 3, np.dtype(np.uint8), None, "rgb")
    for info, big in ((small, False), (replace(small, height=80_000), True)):
        for compression in ("none", "deflate"):
            memory = MemoryTarget(io.BytesIO())
            sink = sink_of(memory, info, compression=compression)
            assert sink._building.file.big is big
            sink.abort()


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="files have no holes")
def test_workers_place_raw_tiles_beyond_four_gigabytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgpipe.publish._supported", lambda call, *args: (
        call is not os.posix_fallocate and (call(*args), True)[1]
    ))  # fmt: skip # a file with holes, that takes no room
    info = ImageInfo(80_000, 20_000, 3, np.dtype(np.uint8), None, "rgb")
    sink = sink_of(FileTarget(tmp_path / "o.tif"), info, compression="none")
    assert sink.kind == "placed"
    last = imgpipe.Box(79_872, 19_968, 80_000, 20_000)
    pixels = noise((128, 32, 3), "uint8")
    sink.placer.place(last, pixels)
    sink.commit()
    assert (tmp_path / "o.tif").stat().st_size > 1 << 32
    with tifffile.TiffFile(tmp_path / "o.tif") as file:
        assert file.is_bigtiff
        assert file.pages[0].dataoffsets[-1] > 1 << 32
    source = open_source(tmp_path / "o.tif")
    np.testing.assert_array_equal(source.read(last), pixels)


class Kept(NamedTuple):
    """A place in memory, and the size of every write."""

    data: bytearray
    sizes: list[int]
    name: str = "kept"

    def write(self, parts: Any) -> None:
        for position, data in parts:
            view = memoryview(data).cast("B")
            self.data[position : position + len(view)] = view
            self.sizes.append(len(view))


class TestRawTiles:
    SHAPE, TILE = (150, 203, 3), (32, 48)

    def placed(self, boxes: Iterable[imgpipe.Box], dtype: str = "uint16") -> tuple[Any, Any, Kept]:
        pixels = noise(self.SHAPE, dtype)
        kept = Kept(bytearray(7 + 5 * 5 * 32 * 48 * 3 * pixels.itemsize), [])
        layout = RawLayout(7, self.SHAPE, np.dtype(dtype).newbyteorder("<"))
        for box in boxes:
            SegmentPlacer(kept, layout, self.TILE).place(box, pixels[box.slices])
        tiles = np.frombuffer(kept.data, layout.dtype, offset=7).reshape(5, 5, *self.TILE, 3)
        return pixels, tiles.swapaxes(1, 2).reshape(160, 240, 3), kept

    @pytest.mark.parametrize("joined", [1000, 20_000, 1 << 20])
    @pytest.mark.parametrize("cut", [(150, 203), (64, 96), (32, 48), (33, 20), (1, 203)])
    def test_hold_the_pixels_of_any_boxes_and_zeros_around_the_image(
        self, joined: int, cut: tuple[int, int], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sinks, "_JOINED_BYTES", joined)
        pixels, made, _ = self.placed(imgpipe.Box.of(*self.SHAPE[:2]).cut(*cut))
        np.testing.assert_array_equal(made[:150, :203], pixels)
        assert not made[150:].any()
        assert not made[:, 203:].any()

    def test_side_by_side_are_written_together_and_large_ones_some_rows_at_a_time(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        box, tile = [imgpipe.Box(32, 0, 64, 203)], 32 * 48 * 6
        assert self.placed(box)[2].sizes == [5 * tile]
        monkeypatch.setattr(sinks, "_JOINED_BYTES", 2 * tile)
        assert self.placed(box)[2].sizes == [2 * tile, 2 * tile, tile]
        monkeypatch.setattr(sinks, "_JOINED_BYTES", tile // 2)
        assert self.placed(box)[2].sizes == [tile // 2] * 10


def test_an_incomplete_file_is_never_published(tmp_path: Path) -> None:
    path = tmp_path / "o.tif"
    path.write_bytes(b"old")
    pixels = photo(300, 300)
    sink = open_sink(path, about(pixels, "rgb"))
    sink.append(*sink.encoder.encode(pixels[:256, :256], None))
    with pytest.raises(RuntimeError):
        sink.commit()
    sink.abort()
    assert path.read_bytes() == b"old"
    assert [one.name for one in tmp_path.iterdir()] == ["o.tif"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no full device")
@pytest.mark.parametrize("compression", ["deflate", "none"])
def test_a_full_disk_is_reported_in_a_line(compression: str) -> None:
    pixels = photo(90, 90)
    sink = sink_of(FileTarget("/dev/full"), about(pixels, "rgb"), compression=compression)

    def write() -> None:
        put_in(sink, pixels)
        sink.commit()

    with pytest.raises(OutputError, match=r"^/dev/full: cannot write: the disk is full"):
        write()


# --- pages ------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", ["deflate", "none"])
@pytest.mark.parametrize("memory", [False, True])
def test_pages_may_differ_in_size_and_type(compression: str, memory: bool, tmp_path: Path) -> None:
    pages = [photo(90, 70), noise((33, 200, 1), "float32"), noise((64, 64, 4), "uint16")]
    out, path = io.BytesIO(), tmp_path / "o.tif"
    target: Any = MemoryTarget(out) if memory else FileTarget(path)
    infos = tuple(
        about(page, "rgb" if page.shape[2] == 3 else "other",
              metadata=Metadata(texts=(Text("Description", f"page {at}"),)))
        for at, page in enumerate(pages)
    )  # fmt: skip
    made = tiff.album(target, infos, None, **checked(compression=compression, tile=32))
    for page, info in zip(pages, infos, strict=True):
        sink = made.frame(info)
        put_in(sink, page)
        sink.commit()
    assert not path.exists()
    size = made.commit()
    if memory:
        path.write_bytes(out.getvalue())
    assert path.stat().st_size == size
    with tifffile.TiffFile(path) as file:
        assert len(file.pages) == len(pages)
        for at, (page, found) in enumerate(zip(pages, file.pages, strict=True)):
            np.testing.assert_array_equal(found.asarray().reshape(page.shape), page)
            assert found.description == f"page {at}"


@pytest.mark.parametrize("compression", ["deflate", "none", "jpeg"])
def test_other_libraries_read_big_tiffs_too(compression: str, tmp_path: Path) -> None:
    oiio, vips = pytest.importorskip("OpenImageIO"), pytest.importorskip("pyvips")
    page, path = photo(150, 170), tmp_path / "o.tif"
    options = checked(compression=compression, tile=64, pyramid=True)
    info = about(page, "rgb")
    made = tiff.album(FileTarget(path), (info,) * 1_000_000, None, **options)
    sink = made.frame(info)
    put_in(sink, page)
    sink.commit()
    made.commit()
    with tifffile.TiffFile(path) as file:
        assert file.is_bigtiff
        pixels, level = (one.asarray() for one in file.series[0].levels[:2])
    opened = oiio.ImageInput.open(str(path))
    np.testing.assert_array_equal(opened.read_image("uint8"), pixels)
    opened.close()
    np.testing.assert_array_equal(vips.Image.new_from_file(str(path)).numpy(), pixels)
    np.testing.assert_array_equal(vips.Image.tiffload(str(path), subifd=0).numpy(), level)
    np.testing.assert_array_equal(cv2.imread(str(path), -1)[..., ::-1], pixels)
    with Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)


def test_pages_of_more_than_4_gb_together_make_a_big_tiff(tmp_path: Path) -> None:
    page = photo(90, 70)
    small = about(page, "rgb")
    large = ImageInfo(40_000, 40_000, 3, np.dtype(np.uint8), None, "rgb")
    options, path = checked(compression="none"), tmp_path / "o.tif"
    for infos, big in [((small, large), True), ((small,) * 9, False), ((large, small), True)]:
        made = tiff.album(FileTarget(path), infos, None, **options)
        sinks = [made.frame(info) for info in infos]  # which write no pixels
        put_in(sinks[infos.index(small)], page)
        for sink in sinks:
            sink.commit()
        made.commit()
        with tifffile.TiffFile(path) as file:
            assert file.is_bigtiff == big
            found = file.pages[infos.index(small)]
            np.testing.assert_array_equal(found.asarray(), page)


def test_an_album_that_is_aborted_leaves_nothing(tmp_path: Path) -> None:
    page = photo(90, 70)
    info = about(page, "rgb")
    made = tiff.album(FileTarget(tmp_path / "o.tif"), (info, info), None)
    sink = made.frame(info)
    put_in(sink, page)
    sink.commit()
    made.abort()
    made.abort()
    assert not list(tmp_path.iterdir())


def test_the_link_between_pages_is_32_bits_where_that_is_enough() -> None:
    info = ImageInfo(100, 100, 3, np.dtype(np.uint8), None, "rgb")

    storage = Storage(info, (256, 256), Compression("deflate", 1))
    most = bound((storage,), Directory())
    assert 100 * most < CLASSIC_BYTES < 100_000 * most
    out = io.BytesIO()
    made = tiff.album(MemoryTarget(out), (info,) * 100_000, None)
    sink = made.frame(info)
    put_in(sink, photo(100, 100))
    sink.commit()
    made.commit()
    assert struct.unpack("<2sHHH", out.getvalue()[:8]) == (b"II", 43, 8, 0)


def test_memory_for_encoding_is_planned(tmp_path: Path) -> None:
    pixels = photo(300, 300)
    sink = open_sink(tmp_path / "o.tif", about(pixels, "rgb"), {"compression": "zstd"})
    assert sink.kind == "ordered"
    assert sink.encoder.work_bytes > 256 * 256 * 3
    sink.abort()
