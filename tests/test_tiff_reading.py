"""TIFF files as sources: pixels as tifffile reads them, from boxes, rows, tiles and images."""

from __future__ import annotations

import io
import pickle
import sys
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from numpy.testing import assert_array_equal
from numpy.typing import NDArray
from PIL import Image

import imgpipe
from imgpipe.errors import CorruptError, FormatError, LimitError
from imgpipe.filters import blur
from imgpipe.formats.origin import FileOrigin, MemoryOrigin
from imgpipe.formats.tiff import open_source, reading, streams
from imgpipe.formats.tiff.reading import TiffStream
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo
from imgpipe.testing.files import taken_out
from tests.conftest import CORPORA, noise

Array = NDArray[Any]

LIBTIFF = sorted(Path(CORPORA or "/nowhere").glob("libtiffpic/**/*.tif"))
REFUSED = {"off_l16", "off_luv24", "off_luv32", "text"}
"""Logarithmic luminance, and ThunderScan."""

BY_PILLOW = {"ycbcr-cat": 1, "smallliz": 40}
"""YCbCr that tifffile does not read, and how far Pillow may be off, which spreads Cb otherwise."""

BYTES = ("none", "deflate", "zstd", "lzma", "packbits", "lzw")
IMAGES = ("png", "jpegxl", "jpeg2000", "webp", "lerc")


def smooth(shape: tuple[int, ...], dtype: str) -> Array:
    """Return an image that predictors and image codecs can do something with."""
    waves = np.sin(np.arange(np.prod(shape)).reshape(shape) / 40) / 2 + 0.5
    if np.dtype(dtype).kind == "f":
        return waves.astype(dtype)
    limits = np.iinfo(dtype)
    return (limits.min + waves * (float(limits.max) - limits.min) * 0.99).astype(dtype)


def written(path: Path, array: Array, **options: Any) -> Path:
    """Write rows, columns and channels."""
    if options.get("planarconfig") == "separate":
        array = np.ascontiguousarray(np.moveaxis(array, -1, 0))
    elif array.shape[-1] == 1:
        array = array[..., 0]
    tifffile.imwrite(path, array, **{"metadata": None, **options})
    return path


def info_of(path: Path) -> ImageInfo:
    return open_source(FileOrigin(str(path))).info


def pixels(path: Path) -> Array:
    """Return the image of a file; a box of it is read too, and rows if it is in memory."""
    source = open_source(FileOrigin(str(path)))
    if source.access == "sequential":
        return taken_out(source, path.name)
    made, (height, width) = source.read(source.info.box), source.info.shape[:2]
    box = Box(height // 3, width // 4, height - 2, width - 1)
    assert_array_equal(source.read(box), made[box.slices])
    elsewhere = open_source(MemoryOrigin(path.read_bytes()))
    assert elsewhere.access == "sequential"
    assert_array_equal(in_rows(elsewhere), made)
    return made


def in_rows(source: TiffStream) -> Array:
    out = np.empty(source.info.shape, source.info.dtype)
    rows = source.rows()
    for y in range(0, len(out), 11):
        rows.read_into(out[y : y + 11])
    rows.finish()
    rows.close()
    return out


@pytest.mark.lowest
@pytest.mark.parametrize("tiled", [True, False])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("compression", BYTES)
def test_every_type_compressed_as_bytes(
    tmp_path: Path, compression: str, planar: str, *, tiled: bool
) -> None:
    for number, dtype in enumerate(("u1", "i1", "u2", "i4", "u8", "f2", "f4", "f8")):
        array = smooth((29, 37, 3), dtype)
        path = written(
            tmp_path / "a.tif",
            array,
            compression=None if compression == "none" else compression,
            predictor=compression != "none" and dtype not in ("u8", "f8"),
            planarconfig=planar,
            photometric="rgb",
            byteorder="<>"[number % 2],
            bigtiff=number % 3 == 0,
            **({"tile": (16, 32)} if tiled else {"rowsperstrip": 7}),
        )
        made = pixels(path)
        assert made.dtype == np.dtype(dtype)
        assert_array_equal(made, array)


@pytest.mark.lowest
@pytest.mark.parametrize("compression", IMAGES)
def test_tiles_and_strips_that_are_images(tmp_path: Path, compression: str) -> None:
    options = {"webp": {"lossless": True}}
    for dtype in ("u1",) if compression == "webp" else ("u1", "u2"):
        for more in ({"tile": (32, 48)}, {"rowsperstrip": 16}):
            array = smooth((45, 67, 3), dtype)
            path = written(
                tmp_path / "a.tif",
                array,
                photometric="rgb",
                compression=compression,
                compressionargs=options.get(compression),
                **more,
            )
            assert_array_equal(pixels(path), tifffile.imread(path))
            assert compression == "jpegxl" or np.array_equal(pixels(path), array)


@pytest.mark.parametrize("bits", [1, 2, 4, 6, 10, 12, 14])
@pytest.mark.parametrize("channels", [1, 3])
def test_packed_samples(tmp_path: Path, bits: int, channels: int) -> None:
    """Fewer than 8 bits become 8, more stay the numbers that they are."""
    most = 2**bits - 1
    array = noise((29, 37, channels), "uint16") & most
    kind = bool if bits == 1 else "u1" if bits < 8 else "u2"
    if bits == 1 and channels == 3:
        return
    photometric = "rgb" if channels == 3 else "minisblack"
    packed = {} if bits == 1 else {"bitspersample": bits}
    path = written(tmp_path / "a.tif", array.astype(kind), photometric=photometric, **packed)
    expected = array if bits > 8 else np.round(array * (255 / most)).astype(np.uint8)
    assert_array_equal(pixels(path), expected)
    assert pixels(path).dtype == (np.uint16 if bits > 8 else np.uint8)


def test_white_may_be_zero(tmp_path: Path) -> None:
    for dtype in ("u1", "u2"):
        array = noise((9, 11, 1), dtype)
        path = written(tmp_path / "a.tif", array, photometric="miniswhite")
        assert_array_equal(pixels(path), np.iinfo(dtype).max - array)
    bits = noise((9, 11, 1), "uint8") > 99
    path = written(tmp_path / "a.tif", bits, photometric="miniswhite")
    assert_array_equal(pixels(path), np.where(bits, 0, 255))


def test_palettes_become_colours(tmp_path: Path) -> None:
    palette = noise((3, 256), "uint16")
    index = noise((9, 11, 1), "uint8")
    path = written(tmp_path / "a.tif", index, photometric="palette", colormap=palette)
    assert info_of(path).colour == "rgb"
    assert_array_equal(pixels(path), (palette >> 8).T[index[..., 0]])


@pytest.mark.parametrize(
    ("channels", "photometric", "extra", "colour", "alpha"),
    [
        (1, "minisblack", (), "gray", None),
        (2, "minisblack", ("unassalpha",), "gray", 1),
        (2, "minisblack", ("unspecified",), "other", None),
        (3, "rgb", (), "rgb", None),
        (4, "rgb", ("unassalpha",), "rgb", 3),
        (4, "rgb", ("unspecified",), "other", None),
        (5, "rgb", ("unspecified", "unassalpha"), "other", 4),
        (5, "rgb", ("unassalpha", "unspecified"), "other", None),
        (4, "separated", (), "cmyk", None),
        (5, "separated", ("unassalpha",), "cmyk", 4),
        (7, "minisblack", ("unspecified",) * 6, "other", None),
    ],
)
def test_meaning_of_channels(
    tmp_path: Path, channels: int, photometric: str, extra: Any, colour: str, alpha: int | None
) -> None:
    array = noise((9, 11, channels), "uint8")
    options: dict[str, Any] = {"photometric": photometric, "planarconfig": "contig"}
    if extra:
        options["extrasamples"] = extra
    path = written(tmp_path / "a.tif", array, **options)
    assert (info_of(path).colour, info_of(path).alpha) == (colour, alpha)
    assert_array_equal(pixels(path), array)


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_colour_times_alpha_is_divided(tmp_path: Path, planar: str) -> None:
    for dtype in ("uint8", "uint16"):
        most = np.iinfo(dtype).max
        straight = noise((20, 30, 4), dtype)
        straight[:5, :, 3], straight[5:10, :, 3] = 0, most
        stored = straight.copy()
        share = straight[..., 3:] / most
        stored[..., :3] = np.round(straight[..., :3] * share)
        stored[:5, :, :3] = 9  # which means nothing, since alpha is 0
        path = written(
            tmp_path / "a.tif",
            stored,
            photometric="rgb",
            extrasamples=("assocalpha",),
            planarconfig=planar,
        )
        made = pixels(path)
        assert info_of(path).alpha == 3
        assert_array_equal(made[..., 3], straight[..., 3])
        assert not made[:5, :, :3].any()
        assert_array_equal(made[5:10], straight[5:10])
        again = np.round(made[..., :3].astype(float) * share)
        assert_array_equal(again[5:], stored[5:, :, :3])


RAMP = (np.mgrid[:70, :101].sum(0)[..., None] // (1, 2, 4)).astype(np.uint8)


@pytest.mark.lowest
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_jpeg_tiles_are_those_of_tifffile(tmp_path: Path, planar: str) -> None:
    for sampling in ((1, 1), (2, 2)) if planar == "contig" else (None,):
        for more in ({"tile": (32, 48)}, {"rowsperstrip": 16}):
            path = written(
                tmp_path / "a.tif",
                RAMP,
                compression="jpeg",
                photometric="rgb",
                planarconfig=planar,
                subsampling=sampling,
                **more,
            )
            expected = tifffile.imread(path)
            made = pixels(path)
            assert_array_equal(
                made, np.moveaxis(expected, 0, -1) if planar == "separate" else expected
            )
            assert np.abs(made.astype(int) - RAMP).mean() < 2


def test_colours_of_jpeg_are_those_of_the_tags(tmp_path: Path) -> None:
    """A stream of red, green and blue says nothing of that itself."""
    coded = imagecodecs.jpeg8_encode(RAMP, level=95, colorspace="RGB", outcolorspace="RGB")
    at = coded.index(b"\xff\xee")
    coded = coded[:at] + coded[at + 2 + int.from_bytes(coded[at + 2 : at + 4]) :]
    coded = coded.replace(b"R\x11\0G\x11\0B\x11\0", b"\1\x11\0\2\x11\0\3\x11\0")
    coded = coded.replace(b"\3R\0G\0B\0", b"\3\1\0\2\0\3\0")
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path,
        iter([coded]),
        shape=RAMP.shape,
        dtype=RAMP.dtype,
        rowsperstrip=70,
        compression="jpeg",
        photometric="rgb",
        metadata=None,
    )
    with tifffile.TiffFile(path, mode="r+b") as file:
        file.pages.first.tags[262].overwrite(2)
    assert np.abs(pixels(path).astype(int) - RAMP).mean() < 2


@pytest.mark.parametrize("compression", [None, "deflate"])
@pytest.mark.parametrize("codes", [(324, 325), (324,), (325,)])
def test_tiles_that_are_not_stored_hold_no_data(
    tmp_path: Path, compression: str | None, codes: tuple[int, ...]
) -> None:
    array = noise((64, 96, 1), "uint8")
    path = written(tmp_path / "a.tif", array, tile=(32, 48), compression=compression)
    expected = array.copy()
    expected[32:, :48] = 0
    with tifffile.TiffFile(path, mode="r+b") as file:
        for code in codes:
            values = list(file.pages[0].tags[code].value)
            values[2] = 0
            file.pages[0].tags[code].overwrite(values)
    assert_array_equal(pixels(path), expected)


def test_only_one_row_of_tiles_is_held(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tif", noise((640, 96, 1), "uint8"), tile=(32, 48), compression=8)
    source = open_source(MemoryOrigin(path.read_bytes()))
    rows, out = source.rows(), np.empty((640, 96, 1), np.uint8)
    for y in range(0, 640, 7):
        rows.read_into(out[y : y + 7])
        assert len(rows._segments._kept) <= 2
    rows.close()


@pytest.mark.parametrize("options", [{"tile": (32, 48)}, {"rowsperstrip": 9}])
def test_boxes_in_any_order(tmp_path: Path, options: dict[str, Any]) -> None:
    array = noise((70, 101, 3), "uint16")
    for more in ({}, {"compression": "deflate", "predictor": True}, {"byteorder": ">"}):
        for planar in ("contig", "separate"):
            path = written(
                tmp_path / "a.tif",
                array,
                photometric="rgb",
                planarconfig=planar,
                **options,
                **more,
            )
            assert_array_equal(taken_out(open_source(FileOrigin(str(path))), "a.tif"), array)


def test_tiles_one_by_one(tmp_path: Path) -> None:
    array = noise((70, 101, 3), "uint8")
    for options in ({}, {"compression": "deflate", "predictor": True}):
        path = written(tmp_path / "a.tif", array, tile=(32, 48), photometric="rgb", **options)
        source = open_source(FileOrigin(str(path)))
        assert isinstance(source, reading.TiffSource)
        assert source.grain == (32, 48)
        assert source.compressed == bool(options)
        for box in Box.of(70, 101).cut(32, 48):
            out = np.zeros((*box.shape, 3), np.uint8)
            source.tile_into(box.y0 // 32, box.x0 // 48, out)
            assert_array_equal(out, array[box.slices])


def test_grain_of_strips(tmp_path: Path) -> None:
    array = noise((70, 101, 3), "uint8")
    path = written(tmp_path / "a.tif", array, rowsperstrip=8, compression="deflate")
    assert open_source(FileOrigin(str(path))).grain == (8, 0)
    path = written(tmp_path / "a.tif", array, rowsperstrip=8)
    assert open_source(FileOrigin(str(path))).grain == (1, 1)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("compression", ["deflate", "lzw", "zstd", "jpeg"])
def test_large_strips_come_in_rows(
    tmp_path: Path, compression: str, planar: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LARGE_BYTES", 1000)
    monkeypatch.setattr(streams, "LARGE_BYTES", 1000)
    monkeypatch.setattr(streams, "_PIECE_BYTES", 500)
    array = smooth((70, 101, 3), "u1")
    for rows in (70, 32):
        path = written(
            tmp_path / "a.tif",
            array,
            rowsperstrip=rows,
            compression=compression,
            predictor=compression != "jpeg",
            planarconfig=planar,
            photometric="rgb",
        )
        source = open_source(FileOrigin(str(path)))
        assert source.access == "sequential"
        streamed = streams.stream_of(source.description.layout) is not None
        assert streamed == (compression in ("deflate", "jpeg"))
        expected = tifffile.imread(path)
        assert_array_equal(
            pixels(path), np.moveaxis(expected, 0, -1) if planar == "separate" else expected
        )


@pytest.mark.parametrize("compression", ["deflate", "jpeg"])
def test_the_end_of_a_large_strip_is_checked(
    tmp_path: Path, compression: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LARGE_BYTES", 1000)
    monkeypatch.setattr(streams, "LARGE_BYTES", 1000)
    array = smooth((70, 101, 3), "u1")
    options = {"compression": compression, "rowsperstrip": 35, "photometric": "rgb"}
    path = written(tmp_path / "a.tif", array, **options)
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        ends = np.add(page.dataoffsets, page.databytecounts)
    for end in ends.tolist():
        data = bytearray(path.read_bytes())
        data[end - 1] ^= 1
        with pytest.raises(CorruptError, match=r"the strip at .* cannot be decoded"):
            in_rows(open_source(MemoryOrigin(bytes(data))))


def test_memory_of_large_strips_is_declared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LARGE_BYTES", 1000)
    monkeypatch.setattr(streams, "LARGE_BYTES", 1000)
    array = np.zeros((4000, 1000, 3), np.uint8)
    needs = {}
    for compression in ("deflate", "lzw"):
        path = written(tmp_path / "a.tif", array, rowsperstrip=4000, compression=compression)
        needs[compression] = open_source(FileOrigin(str(path))).decode_bytes
    assert needs["deflate"] < array.nbytes
    assert needs["lzw"] > 2 * array.nbytes


def test_a_source_travels_light(tmp_path: Path) -> None:
    array = np.zeros((1024, 1024), np.uint8)
    path = tmp_path / "a.tif"
    icc = bytes(36) + b"acsp" + bytes(100_000)
    tifffile.imwrite(path, array, tile=(16, 16), compression="deflate", iccprofile=icc)
    source = open_source(FileOrigin(str(path)))
    assert source.info.metadata.icc == icc
    assert len(pickle.dumps(source)) < 3000
    assert_array_equal(pickle.loads(pickle.dumps(source)).read(Box(5, 6, 70, 80)), 0)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"photometric": "cielab"}, r"CIE L\*a\*b\* colours, which are not supported"),
        ({"photometric": "cfa"}, "raw sensor data"),
    ],
)
def test_other_colours_are_refused(tmp_path: Path, options: dict[str, Any], says: str) -> None:
    channels = 1 if options["photometric"] == "cfa" else 3
    path = written(tmp_path / "a.tif", noise((9, 11, channels), "uint8"), **options)
    with pytest.raises(FormatError, match=rf"a\.tif: holds {says}"):
        imgpipe.read(path)


def test_complex_numbers_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((9, 11), np.complex64))
    with pytest.raises(FormatError, match="complex numbers of 64 bits"):
        imgpipe.read(tmp_path / "a.tif")


def test_jpeg_of_other_kinds_is_refused(tmp_path: Path) -> None:
    path = written(
        tmp_path / "a.tif",
        noise((32, 32, 2), "uint8"),
        compression="jpeg",
        photometric="minisblack",
        planarconfig="contig",
    )
    with pytest.raises(FormatError, match=r"a\.tif: it has 2 components, .*; convert"):
        imgpipe.read(path)


def test_a_codec_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "a.tif", noise((9, 11, 1), "uint8"), compression="zstd")
    monkeypatch.setattr("imagecodecs.ZSTD.available", False)
    with pytest.raises(FormatError, match=r"needs an imagecodecs with ZSTD: pip install"):
        imgpipe.read(path)


def test_large_images_and_tiles_are_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tif", noise((64, 96, 1), "uint8"), tile=(32, 48))
    with pytest.raises(LimitError, match=r"a\.tif: has 96 x 64 = 6,144 pixels, but the limit is"):
        open_source(FileOrigin(str(path)), 6000)
    path = written(tmp_path / "a.tif", noise((8, 9, 1), "uint8"), tile=(160, 160))
    with pytest.raises(LimitError, match=r"a\.tif: has 160 x 160 = "):
        open_source(FileOrigin(str(path)), 6000)


@pytest.mark.parametrize("options", [{"tile": (32, 48)}, {}, {"compression": "jpeg"}])
def test_tiled_equals_whole(tmp_path: Path, options: dict[str, Any], pool: Executor) -> None:
    array = noise((150, 201, 3), "uint8")
    path = written(tmp_path / "a.tif", array, photometric="rgb", **options)
    imgpipe.run(path, blur(), tmp_path / "out.npy", executor=pool, chunk=37, workers=2)
    expected = blur()(imgpipe.read(path))
    assert_array_equal(np.load(tmp_path / "out.npy"), expected)
    out = io.BytesIO()
    imgpipe.run(io.BytesIO(path.read_bytes()), blur(), out, executor="serial")
    out.seek(0)
    assert_array_equal(imgpipe.read(out), expected)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "CMYK", "YCbCr", "I;16"])
def test_files_that_libtiff_wrote(mode: str) -> None:
    kinds = {"1": ("tiff_ccitt", "group3", "group4", "packbits", "tiff_lzw")}
    plain = (None, "tiff_lzw", "tiff_adobe_deflate")
    channels = {"LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4, "YCbCr": 3}.get(mode, 1)
    array = np.squeeze(np.repeat(RAMP, 2, axis=2)[..., :channels])
    array = array > 80 if mode == "1" else array.astype(np.uint16) * 200 if "16" in mode else array
    image = Image.fromarray(array)
    if mode not in ("1", "I;16"):
        image = Image.frombytes(mode, image.size, np.ascontiguousarray(array).tobytes())
    if mode == "P":
        image.putpalette(noise((256, 3), "uint8").tobytes())
    jpeg = ("jpeg",) if mode in ("L", "RGB", "RGBA", "CMYK", "YCbCr") else ()
    for compression in (*kinds.get(mode, plain), *jpeg):
        out = io.BytesIO()
        image.save(out, "TIFF", compression=compression)
        with Image.open(io.BytesIO(out.getvalue())) as back:
            expected = np.asarray(back.convert("RGB") if mode in ("P", "YCbCr") else back)
        expected = expected * np.uint8(255) if mode == "1" else expected
        made = imgpipe.read(io.BytesIO(out.getvalue()))
        off = np.abs(np.squeeze(made).astype(int) - expected)
        assert off.max() <= (mode == "YCbCr"), compression  # whose rounding differs


@pytest.mark.skipif(not LIBTIFF, reason="IMGPIPE_CORPORA has no folder libtiffpic")
def test_pictures_of_libtiff() -> None:
    """Each is an image, the same as tifffile reads and the specification means, or refused."""
    for path in LIBTIFF:
        if path.stem in REFUSED:
            with pytest.raises(FormatError, match=path.name):
                imgpipe.read(path)
            continue
        made, info = pixels(path), info_of(path)
        if path.stem in BY_PILLOW:
            with Image.open(path) as image:
                expected = np.asarray(image.convert("RGB")).astype(int)
            assert np.abs(made - expected).max() <= BY_PILLOW[path.stem]
            continue
        if path.stem in ("zackthecat", "dscf0013"):  # which Pillow reads otherwise, or not at all
            assert info.colour == "rgb"
            assert 50 < made.mean() < 200
            continue
        with tifffile.TiffFile(path) as file:
            page = file.pages.first
            expected = np.atleast_3d(page.asarray())
            if page.planarconfig == 2:
                expected = np.moveaxis(expected, 0, -1)
            if page.photometric == 3:
                expected = np.moveaxis(page.colormap >> 8, 0, -1)[expected[..., 0]]
            elif page.bitspersample < 8:
                most = 2**page.bitspersample - 1
                expected = np.round(expected * (255 / most)).astype(np.uint8)
            if page.photometric == 0:
                expected = np.iinfo(made.dtype).max - expected
        if path.stem == "strike":  # its colours are stored multiplied by alpha
            assert info.alpha == 3
            share = made[..., 3:] / 255
            made = np.concatenate([np.round(made[..., :3] * share), made[..., 3:]], axis=2)
            opaque = made[..., 3] > 0
            made, expected = made[opaque], expected[opaque]
            assert (made == expected).mean() > 0.99
            continue
        assert_array_equal(made, expected, path.name)


def test_nothing_of_tiff_is_loaded_for_others() -> None:
    import subprocess

    code = (
        "import sys, io, numpy, imgpipe; out = io.BytesIO(); "
        "imgpipe.write(numpy.zeros((9, 9), 'u1'), out); out.seek(0); imgpipe.read(out); "
        "print([m for m in ('tifffile', 'simplejpeg', 'PIL') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
