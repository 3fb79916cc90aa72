"""Soundness of copies: a damaged file is an error also where coded pixels are only copied."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import imgpipe
from imgpipe.cli import execute
from imgpipe.errors import CorruptError
from imgpipe.formats.jpeg.soundness import must_be_intact as intact_jpeg
from imgpipe.formats.jpeg2000.reading import must_be_intact as intact_jpeg2000
from imgpipe.formats.opening import open_source
from imgpipe.formats.png.soundness import must_be_intact as intact_png

ALL = ["png", "jpg", "tif", "jp2", "jxl", "webp", "avif", "gif", "qoi", "ppm", "bmp", "tga", "npy"]
PIXELS = np.random.default_rng(5).integers(0, 255, (120, 160, 3), np.uint8)


def file_of(suffix: str, **save: Any) -> bytes:
    out = io.BytesIO()
    out.name = f"a.{suffix}"
    imgpipe.write(PIXELS, out, **save)
    return out.getvalue()


def refused(data: bytes, folder: Path, suffix: str, **options: Any) -> str:
    """Return the error of a copy, which leaves nothing at the output."""
    source, out = folder / f"a.{suffix}", folder / f"b.{suffix}"
    source.write_bytes(data)
    with pytest.raises(CorruptError, match=f"a.{suffix}") as caught:
        imgpipe.convert(source, out, **options)
    assert [each.name for each in folder.iterdir()] == [source.name]
    return str(caught.value)


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]


@pytest.mark.parametrize("suffix", ALL)
def test_a_file_that_is_cut_off_is_not_copied(tmp_path: Path, suffix: str) -> None:
    data = file_of(suffix)
    refused(data[: len(data) // 2], tmp_path, suffix)


@pytest.mark.parametrize("suffix", ALL)
def test_a_good_file_is_copied_byte_for_byte(tmp_path: Path, suffix: str) -> None:
    data = file_of(suffix)
    (tmp_path / f"a.{suffix}").write_bytes(data)
    imgpipe.convert(tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}")
    assert (tmp_path / f"b.{suffix}").read_bytes() == data


@pytest.mark.parametrize("strip", [False, True])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_a_changed_byte_is_noticed_where_there_is_a_checksum(
    tmp_path: Path, suffix: str, *, strip: bool
) -> None:
    data = file_of(suffix)
    error = refused(flipped(data, len(data) // 2), tmp_path, suffix, strip=strip)
    if not strip or suffix == "png":
        assert "--salvage" in error


def test_impossible_codes_of_a_jpeg_are_noticed(tmp_path: Path) -> None:
    data = file_of("jpg")
    middle = len(data) // 2
    noise = np.random.default_rng(1).bytes(500).replace(b"\xff", b"\0")
    assert "--salvage" in refused(data[:middle] + noise + data[middle + 500 :], tmp_path, "jpg")


@pytest.mark.parametrize("suffix", ["png", "gif", "tif"])
def test_the_last_frame_is_checked_too(tmp_path: Path, suffix: str) -> None:
    frames = [Image.fromarray(np.roll(PIXELS, number)) for number in range(3)]
    out = io.BytesIO()
    options = {"compression": "tiff_adobe_deflate"} if suffix == "tif" else {}
    frames[0].save(out, suffix.replace("tif", "tiff"), save_all=True, append_images=frames[1:],
                   **options)  # fmt: skip
    data = out.getvalue()
    (tmp_path / f"a.{suffix}").write_bytes(data)
    imgpipe.convert(tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}")
    assert (tmp_path / f"b.{suffix}").read_bytes() == data
    (tmp_path / f"b.{suffix}").unlink()
    at = len(data) - len(data) // 8
    refused(data[:at] + b"\xff" * 20 + data[at + 20 :], tmp_path, suffix)


def test_the_command_says_it_in_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = file_of("jpg")
    source, out = tmp_path / "cut.jpg", tmp_path / "o.jpg"
    source.write_bytes(data[: len(data) // 2])
    assert execute(["convert", str(source), "-o", str(out)]) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "cut.jpg" in told
    assert not out.exists()
    assert execute(["convert", str(source), "-o", str(out), "--salvage", "-j", "1"]) == 0


def test_a_file_that_needs_too_much_memory_is_not_decoded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.jxl").write_bytes(file_of("jxl"))
    imgpipe.convert(tmp_path / "a.jxl", tmp_path / "b.jxl", max_memory=1000)
    assert "copied without a check" in caplog.text


# Large files are checked without decoding. These checks do not depend on the size.


def checked(check: Any, data: bytes) -> list[str]:
    """Return the error of a check, if there is one."""
    try:
        check(open_source(io.BytesIO(data)), lambda: None)
    except CorruptError as error:
        return [str(error)]
    return []


def jpeg(**options: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(PIXELS).save(out, "JPEG", **options)
    return out.getvalue()


@pytest.mark.parametrize(
    "options",
    [{}, {"progressive": True}, {"restart_marker_rows": 1}, {"comment": b"\xff\xd9" * 40},
     {"progressive": True, "restart_marker_rows": 2}],
)  # fmt: skip
def test_the_markers_of_a_jpeg_tell_that_it_is_cut_off(options: dict[str, Any]) -> None:
    data = jpeg(**options)
    assert not checked(intact_jpeg, data)
    assert not checked(intact_jpeg, data + b"more")
    for end in (len(data) // 2, len(data) - 1, len(data) - 2):
        assert "no end mark" in checked(intact_jpeg, data[:end])[0]


@pytest.mark.parametrize("piece", [7, 100])
def test_markers_lie_across_pieces(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imgpipe.formats.jpeg.soundness._PIECE_BYTES", piece)
    assert not checked(intact_jpeg, jpeg(progressive=True, restart_marker_rows=1))


def test_restart_markers_must_be_there_in_order() -> None:
    data = jpeg(restart_marker_rows=1)
    second = data.index(b"\xff\xd1")
    wrong = data[: second + 1] + b"\xd4" + data[second + 2 :]
    assert "not the next one" in checked(intact_jpeg, wrong)[0]
    last = max(data.rfind(bytes([0xFF, 0xD0 + number])) for number in range(8))
    assert "restart markers, and needs" in checked(intact_jpeg, data[:last] + data[last + 2 :])[0]


def test_a_marker_within_coded_pixels_is_damage() -> None:
    data = jpeg()
    middle = len(data) - len(data) // 4
    wrong = data[:middle] + b"\xff\x42" + data[middle + 2 :]
    assert "cannot be there" in checked(intact_jpeg, wrong)[0]


def test_the_checksums_of_a_png_tell_of_a_changed_byte() -> None:
    data = file_of("png")
    assert not checked(intact_png, data)
    assert "checksum" in checked(intact_png, flipped(data, len(data) // 2))[0]


def test_the_parts_of_a_jpeg2000_tell_that_it_is_cut_off() -> None:
    data = file_of("jp2")
    assert not checked(intact_jpeg2000, data)
    assert "cut short" in checked(intact_jpeg2000, data[: len(data) // 2])[0]
