"""Damaged files that are salvaged: what is there is read, the rest is blank and counted."""

from __future__ import annotations

import errno
import io
import logging
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import tifffile
from PIL import Image

import imgpipe
from imgpipe.chains.entry import chain_from
from imgpipe.chains.stages import resolve
from imgpipe.cli import execute
from imgpipe.engine.batch import Request
from imgpipe.engine.plan import WantedOutput
from imgpipe.errors import CorruptError, InputError
from imgpipe.filters import blur
from imgpipe.formats.base import Source
from imgpipe.formats.opening import open_sink, open_source
from imgpipe.formats.png.chunks import SIGNATURE, chunk
from imgpipe.formats.readwrite import Reading
from imgpipe.formats.tiff import reading, streams
from imgpipe.image import Pixels
from imgpipe.options import Options
from tests.batches import make_images


def smooth(height: int, width: int, channels: int = 3) -> Pixels:
    """Return an image that JPEG does not change much."""
    ramp = np.add.outer(np.arange(height) * 3, np.arange(width) * 2)[..., None]
    noise = np.random.default_rng(0).integers(0, 20, (height, width, channels))
    return (ramp // 2 % 200 + noise).astype(np.uint8)


IMAGE = smooth(300, 200)
TILED = smooth(520, 300)


def cut(share: float) -> Callable[[Path], None]:
    """Return a function that cuts a file off."""

    def damage(path: Path) -> None:
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])

    return damage


def overwrite(share: float, size: int = 40) -> Callable[[Path], None]:
    """Return a function that overwrites some bytes."""

    def damage(path: Path) -> None:
        data = bytearray(path.read_bytes())
        at = int(len(data) * share)
        data[at : at + size] = np.random.default_rng(3).integers(1, 250, size, np.uint8).tobytes()
        path.write_bytes(data)

    return damage


def in_a_chunk(damage: Callable[[Path], None]) -> Callable[[Path], None]:
    """Return a function that damages a chunk of a Zarr folder."""

    def inside(path: Path) -> None:
        damage(next(each for each in path.rglob("0/c/0/1/1") if each.is_file()))

    return inside


def written(pixels: Pixels, **save: Any) -> Callable[[Path], Any]:
    return lambda path: imgpipe.write(pixels, path, save=save)


def by_tifffile(pixels: Pixels, **options: Any) -> Callable[[Path], None]:
    meant = {"photometric": "rgb", "metadata": None} | options
    return lambda path: tifffile.imwrite(path, pixels, **meant)  # type: ignore[arg-type]


def by_pillow(pixels: Pixels, **options: Any) -> Callable[[Path], None]:
    return lambda path: Image.fromarray(pixels).save(path, **options)


class Case(NamedTuple):
    """A damaged file: its name, its writer, its damage, and the line that tells of it."""

    name: str
    write: Callable[[Path], Any]
    damage: Callable[[Path], None]
    says: str


CASES = {
    "PNG that was cut off": Case(
        "a.png", written(IMAGE), cut(0.6), "121 of 300 rows could not be read (40 %) and are black"
    ),
    "PNG in many chunks with a wrong byte": Case(
        "a.png", by_pillow(smooth(900, 200)), overwrite(0.7, 1), "392 of 900 rows may be wrong"
    ),
    "NPY": Case("a.npy", written(IMAGE), cut(0.6), "121 of 300 rows could not be read (40 %)"),
    "PPM": Case("a.ppm", written(IMAGE), cut(0.6), "121 of 300 rows could not be read (40 %)"),
    "BMP, whose last row comes first": Case(
        "a.bmp", written(IMAGE), cut(0.6), "121 of 300 rows could not be read (40 %)"
    ),
    "TGA": Case("a.tga", written(IMAGE), cut(0.6), "120 of 300 rows could not be read (40 %)"),
    "TIFF, tiles of deflate": Case(
        "a.tif",
        by_tifffile(IMAGE, tile=(64, 64), compression="deflate"),
        overwrite(0.5),
        "1 of 20 tiles could not be read (7 %) and is black",
    ),
    "TIFF, tiles of JPEG": Case(
        "a.tif",
        by_tifffile(IMAGE, tile=(64, 64), compression="jpeg"),
        overwrite(0.5),
        "1 of 20 tiles could not be read (7 %) and is black",
    ),
    "TIFF, raw tiles": Case(
        "a.tif",
        by_tifffile(IMAGE, tile=(64, 64)),
        cut(0.7),
        "7 of 20 tiles could not be read (29 %)",
    ),
    "TIFF, strips of deflate": Case(
        "a.tif",
        by_tifffile(IMAGE, rowsperstrip=32, compression="deflate"),
        overwrite(0.5),
        "32 of 300 rows could not be read (11 %) and are black",
    ),
    "TIFF, raw strips": Case(
        "a.tif", by_tifffile(IMAGE, rowsperstrip=32), cut(0.7), "91 of 300 rows could not be read"
    ),
    "Zarr": Case(
        "a.zarr",
        written(TILED, tile=256),
        in_a_chunk(cut(0.5)),
        "1 of 6 tiles could not be read (7 %) and is black",
    ),
    "JPEG 2000": Case(
        "a.jp2", written(TILED, tile=256), cut(0.7), "4 of 6 tiles could not be read"
    ),
    "JPEG that was cut off": Case(
        "a.jpg", by_pillow(IMAGE, quality=90), cut(0.6), "rows could not be read"
    ),
    "JPEG with surplus data": Case(
        "a.jpg", by_pillow(IMAGE, quality=90), overwrite(0.5, 500), "may be wrong"
    ),
    "JPEG with restart markers": Case(
        "a.jpg",
        by_pillow(IMAGE, quality=90, restart_marker_rows=2),
        overwrite(0.5, 300),
        "32 of 300 rows could not be read (11 %) and are black; 64 more may be wrong (21 %)",
    ),
}


def told(caplog: pytest.LogCaptureFixture) -> str:
    return "; ".join(record.getMessage() for record in caplog.records)


def of_input(caplog: pytest.LogCaptureFixture, path: Path) -> set[str]:
    """Return the lines about a file."""
    lines = (record.getMessage() for record in caplog.records)
    return {line for line in lines if line.startswith(f"{path}: ")}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_damaged_file_gives_the_same_pixels_and_the_same_line_however_the_work_is_cut(
    case: Case, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, out = tmp_path / case.name, tmp_path / "out.npy"
    case.write(path)
    clean = imgpipe.read(path)
    case.damage(path)
    with pytest.raises(CorruptError):
        imgpipe.read(path)
    found = imgpipe.read(path, salvage=True)
    assert case.says in told(caplog)
    right = (found == clean).all(axis=2)
    assert 0.2 < right.mean() < 1
    assert "may be wrong" in case.says or not found[~right].any()
    lines = of_input(caplog, path)
    expected = blur()(found)
    missing = set()
    for size in ((37, 53), (1000, 1000)):
        report = imgpipe.run(path, blur(), out, executor="serial", chunk=size, salvage=True)
        assert np.array_equal(np.load(out), expected)
        missing.add(report.missing)
    assert len(missing) == 1
    assert of_input(caplog, path) == lines


@pytest.mark.parametrize("name", ["TIFF, tiles of deflate", "JPEG that was cut off", "NPY"])
def test_worker_processes_mark_what_they_could_not_read(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    case, path, out = CASES[name], tmp_path / CASES[name].name, tmp_path / "out.npy"
    case.write(path)
    case.damage(path)
    report = imgpipe.run(path, blur(), out, workers=2, executor="processes", salvage=True)
    assert case.says in told(caplog)
    assert 0 < report.missing < 1
    assert np.array_equal(np.load(out), blur()(imgpipe.read(path, salvage=True)))


def test_whole_files_are_read_as_ever(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for case in CASES.values():
        path = tmp_path / case.name
        case.write(path)
        assert np.array_equal(imgpipe.read(path, salvage=True), imgpipe.read(path))
    assert not caplog.records


def test_a_wrong_checksum_of_right_pixels_is_no_damage(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(IMAGE).save(path)
    data = bytearray(path.read_bytes())
    data[-16] ^= 1  # of the checksum of the last chunk with pixels
    path.write_bytes(data)
    with pytest.raises(CorruptError):
        imgpipe.read(path)
    assert np.array_equal(imgpipe.read(path, salvage=True), IMAGE)
    assert not caplog.records


def test_missing_pixels_are_transparent_or_without_data(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.png"
    imgpipe.write(smooth(64, 64, 4) | 1, path, alpha="last")
    cut(0.5)(path)
    found = imgpipe.read(path, salvage=True)
    assert "and are transparent" in told(caplog)
    assert not found[-10:].any()
    assert found[:10].all()
    path = tmp_path / "a.tif"
    by_tifffile(
        IMAGE[..., 0] / np.float32(255), tile=(64, 64), compression="deflate", photometric=None
    )(path)
    overwrite(0.5)(path)
    assert np.isnan(imgpipe.read(path, salvage=True)).sum() in (64 * 64, 64 * 8, 44 * 64)
    assert "and is without data" in told(caplog)


def test_frames_that_cannot_be_read_are_blank(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, out = tmp_path / "a.tif", tmp_path / "out.tif"
    with tifffile.TiffWriter(path) as file:
        for _ in range(3):
            file.write(IMAGE, photometric="rgb", compression="deflate", metadata=None)
    overwrite(0.5)(path)
    report = imgpipe.run(path, "invert", out, workers=1, salvage=True)
    assert told(caplog) == f"{path}: frame 1 could not be read and is black"
    assert report.missing == pytest.approx(1 / 3)
    assert np.array_equal(imgpipe.read(out, page=2), 255 - IMAGE)
    assert (imgpipe.read(out, page=1) == 255).all()


def test_an_image_without_any_pixel_is_an_error(tmp_path: Path) -> None:
    path, out = tmp_path / "a.npy", tmp_path / "out.npy"
    np.save(path, IMAGE)
    path.write_bytes(path.read_bytes()[:140])
    with pytest.raises(CorruptError, match="none of its pixels can be read"):
        imgpipe.run(path, "invert", out, salvage=True)
    assert not out.exists()
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(InputError):
        imgpipe.read(path, salvage=True)


def test_bytes_in_memory_are_read_in_the_same_way(caplog: pytest.LogCaptureFixture) -> None:
    out = io.BytesIO()
    tifffile.imwrite(out, IMAGE, photometric="rgb", tile=(64, 64), compression="deflate")
    data = bytearray(out.getvalue())
    data[len(data) // 2] ^= 255
    imgpipe.read(io.BytesIO(data), salvage=True)
    assert told(caplog) == "memory: 1 of 20 tiles could not be read (7 %) and is black"


def test_chunks_and_measurements_are_salvaged_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.ppm"
    imgpipe.write(IMAGE, path)
    cut(0.6)(path)
    found = imgpipe.read(path, salvage=True)
    for box, pixels in imgpipe.iter_chunks(path, 64, salvage=True):
        assert np.array_equal(pixels, found[box.slices])
    total = imgpipe.measure(
        path, lambda chunk: int(chunk.sum()), lambda a, b: a + b, workers=1, salvage=True,
        executor="serial",
    )  # fmt: skip
    assert total == found.sum()
    assert len([r for r in caplog.records if "121 of 300 rows" in r.getMessage()]) == 3


def test_a_copy_is_decoded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, out = tmp_path / "a.png", tmp_path / "out.png"
    imgpipe.write(IMAGE, path)
    cut(0.6)(path)
    imgpipe.convert(path, out, salvage=True, workers=1)
    assert "121 of 300 rows" in told(caplog)
    assert np.array_equal(imgpipe.read(out), imgpipe.read(path, salvage=True))


def test_commands_warn_and_end_well(tmp_path: Path) -> None:
    path, out = tmp_path / "a.png", tmp_path / "out.png"
    imgpipe.write(IMAGE, path)
    cut(0.6)(path)
    command = [sys.executable, "-m", "imgpipe", "invert", str(path), "-o", str(out), "-j", "1"]
    strict = subprocess.run(command, capture_output=True, text=True, check=False)
    assert strict.returncode == 1
    assert not out.exists()
    done = subprocess.run([*command, "--salvage"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert out.exists()
    warning, report = done.stderr.splitlines()
    assert warning == (
        f"imgpipe: warning: {path}: 121 of 300 rows could not be read (40 %) and are black"
    )
    assert report.startswith(f"{out}: ")


def test_damaged_files_are_described(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("imgpipe").setLevel(logging.WARNING)
    path = tmp_path / "a.bmp"
    imgpipe.write(IMAGE, path)
    cut(0.6)(path)
    with pytest.raises(CorruptError):
        imgpipe.info(path)
    assert imgpipe.info(path, salvage=True).shape == IMAGE.shape
    assert not caplog.records


@pytest.mark.parametrize(("place", "size"), [(-3, 1), (-20_000, 1), (-30_000, 9000)])
def test_large_strips_are_read_up_to_the_damage_and_from_the_next_strip_on(
    place: int,
    size: int,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streams, "LARGE_BYTES", 1000)
    monkeypatch.setattr(reading, "LARGE_BYTES", 1000)
    path = tmp_path / "a.tif"
    by_tifffile(IMAGE, rowsperstrip=100, compression="deflate")(path)
    with tifffile.TiffFile(path) as file:
        at = file.pages.first.dataoffsets[2] + place  # in the second strip
    data = bytearray(path.read_bytes())
    data[at : at + size] = bytes(255 - byte for byte in data[at : at + size])
    path.write_bytes(data)
    found = imgpipe.read(path, salvage=True)
    right = (found == IMAGE).all(axis=(1, 2))
    assert right[:140].all()
    assert right[200:].all()
    lost = int((found[100:200] == 0).all(axis=(1, 2)).sum())
    assert f"{path}: {lost or 100} of 300 rows" in told(caplog)
    assert not lost or f"; {100 - lost} more may be wrong" in told(caplog)


def test_every_image_of_a_batch_is_salvaged_for_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def request(name: str) -> Request:
        case, path = CASES[name], tmp_path / CASES[name].name
        case.write(path)
        case.damage(path)
        out = tmp_path / f"{path.name}.npy"

        def goals(source: Source) -> tuple[WantedOutput, ...]:
            stages = resolve(chain_from(blur()), source.info)
            return (WantedOutput(stages, open_sink(out, stages[-1].after), str(out)),)

        return Request(lambda: open_source(path, Reading(salvage=True)), goals)

    names = ["JPEG that was cut off", "PNG that was cut off", "TIFF, tiles of deflate"]
    requests = [request(name) for name in names]
    outcomes = list(make_images(requests, Options(workers=2)))
    assert [outcome.error for outcome in outcomes] == [None] * 3
    for name in names:
        path = tmp_path / CASES[name].name
        assert f"{path}: " in told(caplog)
        assert np.array_equal(np.load(f"{path}.npy"), blur()(imgpipe.read(path, salvage=True)))


def test_parts_that_the_disk_does_not_give_are_missing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, given = tmp_path / "a.tif", os.preadv

    def preadv(file: int, buffers: Any, position: int) -> int:
        if position <= 90_000 < position + sum(map(len, buffers)):
            raise OSError(errno.EIO, "Input/output error")
        return given(file, buffers, position)

    by_tifffile(IMAGE, tile=(64, 64), compression="deflate")(path)
    monkeypatch.setattr(os, "preadv", preadv)
    with pytest.raises(CorruptError, match=r"at byte [0-9,]+: input/output error; check the disk"):
        imgpipe.read(path)
    imgpipe.read(path, salvage=True)
    assert "1 of 20 tiles could not be read" in told(caplog)


@pytest.mark.parametrize("name", ["interlaced.png", "inks.jpg"])
def test_images_that_are_decoded_at_once_are_read_somehow(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / name
    if name == "inks.jpg":
        Image.fromarray(smooth(300, 200, 4), "CMYK").save(path, quality=95)
    else:
        path.write_bytes(interlaced(IMAGE))
    clean = imgpipe.read(path).astype(int)
    cut(0.7)(path)
    with pytest.raises(CorruptError):
        imgpipe.read(path)
    found = imgpipe.read(path, salvage=True)
    assert told(caplog) == f"{path}: the image may be wrong"
    assert np.mean(found == clean) > 0.4
    assert np.mean(abs(found - clean) < 40) > 0.6


def interlaced(pixels: Pixels) -> bytes:
    """Return a PNG file with the seven passes of Adam7."""
    passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2)]
    rows = b"".join(
        b"\0" + line.tobytes()
        for y, x, down, across in [*passes, (1, 0, 2, 1)]
        for line in pixels[y::down, x::across]
    )
    head = struct.pack(">IIBBBBB", *pixels.shape[1::-1], 8, 2, 0, 0, 1)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return SIGNATURE + b"".join(chunk(kind, content) for kind, content in parts)


def test_the_command_info_describes_damaged_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.png"
    imgpipe.write(IMAGE, path)
    cut(0.6)(path)
    assert execute(["info", str(path)]) == 1
    assert execute(["info", str(path), "--salvage"]) == 0
    assert "200 x 300" in capsys.readouterr().out
