"""Zarr 3 and OME-Zarr 0.5: zarr and the models of OME-Zarr read what we write, and we theirs."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imgpipe
from imgpipe.errors import CorruptError, FormatError, InputError, ParameterError, UsageError
from imgpipe.filters import blur
from imgpipe.formats.levels import halved
from imgpipe.formats.opening import contents_of, open_sink, open_source, origin_of
from imgpipe.formats.readwrite import Reading
from imgpipe.formats.zarr.shards import crc32c
from imgpipe.geo import Geo
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo, Metadata
from imgpipe.metadata import Text, density_from_dpi
from imgpipe.testing.files import parts_of, put_in, taken_out
from tests.conftest import noise

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    ome_zarr_models = pytest.importorskip("ome_zarr_models")
    zarr = pytest.importorskip("zarr")

pytestmark = pytest.mark.lowest

TYPES = ("uint8", "int8", "uint16", "int32", "uint64", "float16", "float32", "float64")
WAYS: tuple[dict[str, Any], ...] = (
    {},
    {"shard": 128, "pyramid": True},
    {"compression": "blosc:5", "pyramid": True},
    {"compression": "gzip"},
    {"compression": "none"},
    {"compression": "zstd:9", "shard": 64},
    {"compression": "none", "shard": 192},
    {"compression": "blosc", "shard": 128},
)


def about(pixels: np.ndarray, **more: Any) -> ImageInfo:
    return ImageInfo(*pixels.shape, pixels.dtype, **more)


def group(path: Path) -> Any:
    return zarr.open_group(str(path), mode="r")


@pytest.mark.parametrize(("dtype", "save"), list(zip(TYPES, WAYS, strict=True)))
def test_zarr_and_the_models_of_ome_zarr_read_what_is_written(
    dtype: str, save: dict[str, Any], tmp_path: Path
) -> None:
    pixels, path = noise((201, 133, 3), dtype), tmp_path / "o.zarr"
    imgpipe.write(pixels, path, save={"tile": 64, **save})
    opened = group(path)
    model = ome_zarr_models.open_ome_zarr(opened)
    assert model.ome_attributes.version == "0.5"
    (image,) = model.ome_attributes.multiscales
    assert [axis.name for axis in image.axes] == ["c", "y", "x"]
    level = pixels
    for number, dataset in enumerate(image.datasets):
        if number:
            level = halved(level, about(level))
        array = opened[dataset.path]
        assert array.metadata.dimension_names == ("c", "y", "x")
        assert array.chunks == (1, 64, 64)
        np.testing.assert_array_equal(array[:], level.transpose(2, 0, 1))
        np.testing.assert_array_equal(imgpipe.read(path, level=number), level)
        assert dataset.coordinateTransformations[0].scale == [1, 2**number, 2**number]
    assert len(image.datasets) == (3 if save.get("pyramid") else 1)
    np.testing.assert_array_equal(taken_out(open_source(path), "o"), pixels)


def test_a_folder_is_the_same_however_the_work_is_cut_up(tmp_path: Path) -> None:
    pixels, path = noise((301, 403, 3), "uint8"), tmp_path / "o.zarr"
    imgpipe.write(pixels, tmp_path / "in.png")
    expected = None
    for way in (
        {"executor": "serial"},
        {"executor": "threads", "workers": 3, "chunk": 50},
        {"workers": 2, "max_memory": "200M"},
    ):
        save = {"tile": 64, "shard": 128, "pyramid": True}
        imgpipe.run(tmp_path / "in.png", blur(2), path, save=save, **way)
        made = parts_of(path)
        assert expected in (None, made), way
        expected = made
    np.testing.assert_array_equal(imgpipe.read(path), blur(2)(pixels))


ARRAYS: tuple[dict[str, Any], ...] = (
    {"chunks": (1, 32, 48)},
    {"chunks": (3, 20, 133), "compressors": None},
    {"chunks": (2, 32, 48), "shards": (2, 64, 96)},
    {"chunks": (1, 32, 48), "compressors": zarr.codecs.GzipCodec(level=1)},
    {"chunks": (1, 32, 48), "compressors": zarr.codecs.BloscCodec(cname="lz4", clevel=3)},
    {"chunks": (1, 32, 48), "serializer": zarr.codecs.BytesCodec(endian="big")},
    {"chunks": (1, 32, 48), "chunk_key_encoding": {"name": "v2", "separator": "."}},
    {"chunks": (1, 32, 48), "compressors": [zarr.codecs.ZstdCodec(), zarr.codecs.Crc32cCodec()]},
    {"chunks": (1, 32, 48), "filters": zarr.codecs.TransposeCodec(order=(2, 1, 0))},
)  # fmt: skip


@pytest.mark.parametrize("options", ARRAYS, ids=range(len(ARRAYS)))
def test_arrays_of_zarr_are_read(options: dict[str, Any], tmp_path: Path) -> None:
    pixels, path = noise((3, 99, 133), "uint16"), tmp_path / "in.zarr"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # codecs that Zarr 3 does not specify
        array = zarr.create_array(
            str(path), shape=pixels.shape, dtype="uint16", fill_value=7, **options
        )
        array[:, :64] = pixels[:, :64]
        expected = array[:].transpose(1, 2, 0)
        np.testing.assert_array_equal(taken_out(open_source(path), "in"), expected)
    assert expected[96, 0, 0] == 7  # there is no such chunk
    if "filters" not in options:
        tiles: Any = open_source(path)
        assert tiles.grain[0] == options["chunks"][1]
        out = np.empty((tiles.grain[0], 37, 3), "uint16")
        if tiles.grain[1]:
            tiles.tile_into(1, 2, out)
            np.testing.assert_array_equal(out, expected[32:64, 96:])


@pytest.mark.parametrize(
    ("shape", "names", "axes"),
    [
        ((30, 40), None, "yx"),
        ((30, 40, 3), None, "yxc"),
        ((4, 30, 40), None, "cyx"),
        ((40, 30, 9), ("x", "y", "c"), "xyc"),
        ((1, 2, 1, 30, 40), ("t", "c", "z", "y", "x"), "tczyx"),
    ],
)
def test_axes_are_known_by_their_names_or_their_lengths(
    shape: tuple[int, ...], names: Any, axes: str, tmp_path: Path
) -> None:
    pixels = noise(shape, "uint8") if len(shape) == 3 else noise((*shape, 1), "uint8")[..., 0]
    zarr.create_array(str(tmp_path / "in.zarr"), data=pixels, dimension_names=names)
    made = taken_out(open_source(tmp_path / "in.zarr"), "in")
    order = [axes.index(axis) for axis in "yxc" if axis in axes]
    rest = [at for at in range(len(axes)) if at not in order]
    expected = pixels.transpose(*order, *rest)
    np.testing.assert_array_equal(made, expected.reshape(30, 40, -1))


def test_resolution_alpha_and_pixels_without_data_are_kept(tmp_path: Path) -> None:
    pixels, path = noise((40, 50, 4), "int16"), tmp_path / "o.zarr"
    for dpi in (300, 25400, None):
        density = None if dpi is None else density_from_dpi(dpi, 2 * dpi)
        given = about(
            pixels, colour="rgb", alpha=3, nodata=-99.0,
            metadata=Metadata(pixels_per_metre=density),
        )  # fmt: skip
        sink = open_sink(path, given, {"pyramid": True, "tile": 32})
        put_in(sink, pixels)
        sink.commit()
        assert open_source(path).info == given
        model = ome_zarr_models.open_ome_zarr(group(path))
        units = [axis.unit for axis in model.ome_attributes.multiscales[0].axes]
        assert units == [None, None, None] if density is None else [None, *["micrometer"] * 2]
        labels = [each["label"] for each in group(path).attrs["ome"]["omero"]["channels"]]
        assert labels == ["red", "green", "blue", "alpha"]
    assert contents_of(origin_of(path)).levels == ((40, 50), (20, 25))
    assert open_source(path, Reading(level=1)).info.shape == (20, 25, 4)


def rewritten(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change the attributes of an image."""
    declared = path / "zarr.json"
    made = json.loads(declared.read_text())
    change(made["attributes"])
    declared.write_text(json.dumps(made))


@pytest.mark.parametrize(
    ("unit", "scale", "dpi"),
    [
        ("micrometer", 25400 / 300, 300),
        ("micrometer", 25400 / 299.9994, 300),  # of 11811 pixels per metre
        ("micrometer", 0.2525, Fraction(25400) / Fraction("0.2525")),
        ("nanometer", 252.5, Fraction(25400) / Fraction("0.2525")),
        ("millimeter", 25.4 / 72, 72),
        ("meter", 1e-6, 25400),
        ("inch", 1 / 600, 600),
        ("inch", 0.5, 2),
    ],
)
def test_the_scale_of_the_axes_is_the_resolution(
    unit: str, scale: float, dpi: int | Fraction, tmp_path: Path
) -> None:
    path, again = tmp_path / "o.zarr", tmp_path / "again.zarr"
    imgpipe.write(noise((20, 20, 3), "uint8"), path)

    def change(attributes: dict[str, Any]) -> None:
        (image,) = attributes["ome"]["multiscales"]
        for axis in image["axes"][1:]:
            axis["unit"] = unit
        image["datasets"][0]["coordinateTransformations"][0]["scale"] = [1, scale, scale]

    rewritten(path, change)
    assert imgpipe.info(path).metadata.dpi == (dpi, dpi)
    imgpipe.convert(path, again, save={"tile": 16})
    assert imgpipe.info(again).metadata.dpi == (dpi, dpi)
    (image,) = group(again).attrs["ome"]["multiscales"]
    micrometres = image["datasets"][0]["coordinateTransformations"][0]["scale"][1]
    assert micrometres == float(25400 / Fraction(dpi))


EVERYTHING = Metadata(
    xmp=b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>\xff',  # is no UTF-8
    geo=Geo(transform=(2.0, 0, 0, 5e5, 0, -2.0, 0, 4e6, 0, 0, 0, 0, 0, 0, 0, 1),
            keys=(1, 1, 0, 1, 1024, 0, 1, 1), doubles=(0.5,), text="plane|"),
    pixel_aspect=(4, 3), gamma=0.45455, srgb_intent=0,
    chromaticities=(0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06), cicp=(9, 16, 0, 1),
    mastering=(0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.329, 1000.0, 0.005),
    light_levels=(1000.0, 400.0), texts=(Text("Title", "Señor"), Text("A", "b", "fr", "c")),
)  # fmt: skip


def test_all_metadata_are_in_an_attribute(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pixels, path = noise((40, 50, 3), "uint8"), tmp_path / "o.zarr"
    sink = open_sink(path, about(pixels, colour="rgb", metadata=EVERYTHING), {"tile": 16})
    put_in(sink, pixels)
    sink.commit()
    ome_zarr_models.open_ome_zarr(group(path))
    found = open_source(path).info.metadata
    assert replace(found, xmp=EVERYTHING.xmp) == EVERYTHING
    assert "ignored the XMP" in caplog.text  # by the reader, which checks it for every format


def test_a_level_has_the_metadata_of_its_size(tmp_path: Path) -> None:
    pixels, path = noise((40, 50, 3), "uint8"), tmp_path / "o.zarr"
    known = Metadata(geo=EVERYTHING.geo, pixels_per_metre=density_from_dpi(300, 300))
    sink = open_sink(path, about(pixels, metadata=known), {"pyramid": True, "tile": 16})
    put_in(sink, pixels)
    sink.commit()
    found = open_source(path, Reading(level=1)).info.metadata
    assert found.dpi == (150, 150)
    assert found.geo is not None
    assert found.geo.transform is not None
    assert found.geo.transform[:6] == (4, 0, 0, 5e5, 0, -4)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("icc", "AAAA"), ("exif", 3), ("xmp", "?"), ("geo", [1]), ("geo", {"34735": [70000]}),
        ("orientation", 9), ("pixel_aspect", [0, 1]), ("gamma", "NaN"), ("gamma", 1e400),
        ("srgb_intent", []), ("cicp", [1, 2, 3]), ("mastering", None), ("texts", [{"key": 1}]),
        ("texts", [{"keyword": "a", "text": "\ud800"}]), ("texts", [{"keyword": 1, "text": "a"}]),
    ],
)  # fmt: skip
def test_damaged_metadata_cost_a_line_and_not_the_image(
    key: str, value: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pixels, path = noise((20, 20, 3), "uint8"), tmp_path / "o.zarr"
    imgpipe.write(pixels, path)
    texts = [{"keyword": "Title", "text": "a"}]
    rewritten(path, lambda made: made["imgpipe"].update(metadata={"texts": texts, key: value}))
    np.testing.assert_array_equal(imgpipe.read(path), pixels)
    assert imgpipe.info(path).metadata in (Metadata(texts=(Text("Title", "a"),)), Metadata())
    assert caplog.text.count("o.zarr: ignored the ") == 2  # each time it was opened


def test_metadata_that_would_be_a_burden_are_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pixels, path = noise((20, 20, 3), "uint8"), tmp_path / "o.zarr"
    known = Metadata(texts=(Text("Title", "a" * (5 << 20)),), gamma=math.inf, srgb_intent=1)
    sink = open_sink(path, about(pixels, metadata=known))
    put_in(sink, pixels)
    sink.commit()
    assert open_source(path).info.metadata == Metadata(srgb_intent=1)
    assert "o.zarr: left out the texts: the attributes of Zarr hold at most 4 MB" in caplog.text


def test_an_error_names_an_unsupported_feature_and_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(error: type[InputError], match: str, **options: Any) -> None:
        path = tmp_path / "in.zarr"
        zarr.create_array(str(path), overwrite=True, **options)
        with pytest.raises(error, match=rf"in\.zarr: {match}"):
            imgpipe.read(path)

    size = {"shape": (30, 40), "dtype": "uint8"}
    refused(FormatError, "is Zarr version 2, .* convert it first", zarr_format=2, **size)
    refused(FormatError, r"is an array of 5 x 30 x 40 \(z, y, x\), .* write the plane",
            shape=(5, 30, 40), dtype="uint8", dimension_names=("z", "y", "x"))  # fmt: skip
    refused(FormatError, "is an array of 2 x 5 x 30 x 40", shape=(2, 5, 30, 40), dtype="uint8")
    refused(FormatError, "holds bool", shape=(30, 40), dtype="bool")
    refused(FormatError, "holds complex64", shape=(30, 40), dtype="complex64")
    monkeypatch.setitem(sys.modules, "zarr", None)
    match = r"its codecs \(transpose.*\) need zarr: pip install 'imgpipe\[zarr\]'"
    refused(FormatError, match, filters=zarr.codecs.TransposeCodec(order=(1, 0)), **size)
    (tmp_path / "in.zarr" / "zarr.json").write_text(
        '{"zarr_format": 3, "node_type": "group", "attributes": {}}'
    )
    with pytest.raises(FormatError, match=r"is a Zarr group that is no OME-Zarr image; give the"):
        imgpipe.read(tmp_path / "in.zarr")


@pytest.mark.parametrize("path", ["/etc", "../other", "a/../..", ".", "", 3, None])
def test_a_level_outside_the_folder_is_damage(path: Any, tmp_path: Path) -> None:
    imgpipe.write(noise((20, 20, 3), "uint8"), tmp_path / "o.zarr")
    declared = tmp_path / "o.zarr" / "zarr.json"
    made = json.loads(declared.read_text())
    made["attributes"]["ome"]["multiscales"][0]["datasets"][0]["path"] = path
    declared.write_text(json.dumps(made))
    with pytest.raises(CorruptError, match="its multiscales are incomplete"):
        imgpipe.read(tmp_path / "o.zarr")


@pytest.mark.parametrize(
    ("declared", "says"),
    [
        ({"fill_value": [1, 2]}, "its fill value is none"),
        (
            {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [1, 16, 1 << 31]}}},
            "its chunks are far larger than the array",
        ),
    ],
)
def test_a_declaration_that_lies_is_damage(
    declared: dict[str, Any], says: str, tmp_path: Path
) -> None:
    imgpipe.write(noise((20, 20, 3), "uint8"), tmp_path / "o.zarr", save={"tile": 16})
    path = tmp_path / "o.zarr" / "0" / "zarr.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **declared}))
    with pytest.raises(CorruptError, match=rf"o\.zarr: the file is damaged: .*{says}"):
        imgpipe.read(tmp_path / "o.zarr")


def test_absurd_declarations_are_refused_before_allocation(tmp_path: Path) -> None:
    path = tmp_path / "o.zarr"
    imgpipe.write(noise((20, 20, 3), "uint8"), path)
    declared = path / "0" / "zarr.json"
    made = json.loads(declared.read_text())
    declared.write_text(json.dumps({**made, "shape": [1 << 40, 20, 20]}))
    with pytest.raises(FormatError, match=r"o\.zarr: has 1,099,511,627,776 channels"):
        imgpipe.read(path)
    declared.write_text("[" * 99_999)
    with pytest.raises(CorruptError, match=r"o\.zarr: .*0/zarr\.json is no declaration"):
        imgpipe.read(path)


@pytest.mark.parametrize("save", [{}, {"shard": 32}, {"compression": "none"}])
def test_damaged_chunks_are_reported(save: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "o.zarr"
    imgpipe.write(noise((40, 40, 1), "uint8"), path, save={"tile": 16, **save})
    chunk = path / "0" / "c" / "0" / "1" / "0"
    content = chunk.read_bytes()
    for damaged in (content[:-1], content[: len(content) // 2], b"", b"?" * len(content)):
        if damaged == b"?" * len(content) and save.get("compression"):
            continue  # any bytes are pixels
        chunk.write_bytes(damaged)
        with pytest.raises(CorruptError, match=r"o\.zarr/0/c/0/1/0: the file is damaged"):
            imgpipe.read(path)


def test_a_folder_that_is_removed_while_it_is_read_is_reported(tmp_path: Path) -> None:
    """A chunk that is not there holds the fill value, but not if everything is gone."""
    path = tmp_path / "o.zarr"
    imgpipe.write(noise((40, 40, 1), "uint8"), path, save={"tile": 16})
    source = open_source(path)
    (path / "0" / "c" / "0" / "1" / "0").unlink()
    assert not source.read(Box(16, 0, 32, 16)).any()
    shutil.rmtree(path)
    with pytest.raises(InputError, match=r"o\.zarr: was removed while it was read; get a fresh"):
        source.read(Box(0, 0, 16, 16))


def test_the_checksum_of_the_index_is_that_of_the_standard() -> None:
    assert crc32c(b"123456789") == 0xE3069283


def test_wrong_options_are_refused(tmp_path: Path) -> None:
    pixels = noise((20, 20, 3), "uint8")
    with pytest.raises(UsageError, match="a shard of 512 is no whole number of chunks of 96"):
        imgpipe.write(pixels, tmp_path / "o.zarr", save={"tile": 96, "shard": 512})
    for save in ({"tile": 17}, {"tile": 0}, {"shard": "big"}, {"compression": "lzw"}):
        with pytest.raises(ParameterError, match="must be"):
            imgpipe.write(pixels, tmp_path / "o.zarr", save=save)
    assert not list(tmp_path.iterdir())


def test_the_package_zarr_is_not_loaded_for_usual_codecs(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np, imgpipe\n"
        "imgpipe.write(np.zeros((99, 99), np.uint8), sys.argv[1], save={'shard': 1024})\n"
        "imgpipe.read(sys.argv[1])\n"
        "assert 'zarr' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "o.zarr"], check=True)
