"""Conversion: the same pixels in another format, or the same coded bytes where nothing changes."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

import imgpipe
from imgpipe.cli import execute
from imgpipe.errors import UsageError

PIXELS = np.random.default_rng(3).integers(0, 255, (33, 50, 3), np.uint8)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """Return a JPEG file with metadata that says it is turned."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    path = tmp_path / "photo.jpg"
    Image.fromarray(PIXELS).save(path, exif=exif, comment="hello")
    return path


def test_another_format_has_the_same_pixels(tmp_path: Path) -> None:
    imgpipe.write(PIXELS, tmp_path / "a.png")
    report = imgpipe.convert(tmp_path / "a.png", tmp_path / "b.tif", workers=1)
    assert (report.height, report.width) == (33, 50)
    assert (imgpipe.read(tmp_path / "b.tif") == PIXELS).all()


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "npy"])
def test_the_same_format_is_a_copy(tmp_path: Path, suffix: str) -> None:
    imgpipe.write(PIXELS, tmp_path / f"a.{suffix}")
    report = imgpipe.convert(tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}")
    assert report.workers == 0
    assert "copied as it is stored" in str(report)
    assert (tmp_path / f"b.{suffix}").read_bytes() == (tmp_path / f"a.{suffix}").read_bytes()


def test_a_copy_counts_all_frames(tmp_path: Path) -> None:
    pages, copy = tmp_path / "pages.tif", tmp_path / "copy.tif"
    for size in (20, 33, 10):
        tifffile.imwrite(pages, PIXELS[:size], append=size != 20)
    report = imgpipe.convert(pages, copy)
    assert (report.frames, report.pixels) == (3, 63 * 50)
    assert (report.height, report.width) == (33, 50)
    assert "3 frames of up to 50 x 33" in str(report)
    result = imgpipe.batch([pages], None, tmp_path / "out", workers=1)
    assert result.pixels == 63 * 50


def test_a_copy_keeps_the_orientation_and_says_so(
    photo: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy = photo.with_name("copy.jpg")
    imgpipe.convert(photo, copy)
    assert copy.read_bytes() == photo.read_bytes()
    assert "stay turned (orientation 6)" in caplog.text


def test_an_option_of_the_format_encodes_upright_pixels(photo: Path) -> None:
    out = photo.with_name("out.jpg")
    imgpipe.convert(photo, out, save={"quality": 95}, workers=1)
    assert (imgpipe.info(out).height, imgpipe.info(out).width) == (50, 33)
    assert imgpipe.info(out, autorotate=False).metadata.orientation == 1


def test_a_range_of_values_that_a_copy_does_not_use_leaves_it_a_copy(
    photo: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy = photo.with_name("copy.jpg")
    report = imgpipe.convert(photo, copy, value_range="0..1")
    assert "copied as it is stored" in str(report)
    assert "copy.jpg: the value range 0..1 is not used, because the pixels are" in caplog.text
    copy.unlink()
    with pytest.raises(UsageError, match="range"):
        imgpipe.convert(photo, copy, value_range="wide")
    assert [path.name for path in photo.parent.iterdir()] == [photo.name]


def test_a_part_is_decoded(photo: Path) -> None:
    out = photo.with_name("out.jpg")
    imgpipe.convert(photo, out, region=(0, 0, 20, 10), workers=1)
    assert (imgpipe.info(out).height, imgpipe.info(out).width) == (20, 10)


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_strip_leaves_out_metadata_and_keeps_coded_pixels(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    before, after = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
    Image.fromarray(PIXELS).save(before, exif=exif, icc_profile=profile, dpi=(300, 300))
    imgpipe.convert(before, after, strip=True)
    with Image.open(before) as old, Image.open(after) as new:
        assert (np.asarray(old) == np.asarray(new)).all()
        assert new.info["icc_profile"] == profile
        assert new.info.get("dpi") != old.info["dpi"]
        assert dict(new.getexif()) == {0x0112: 6}, "without which the pixels would stay turned"


@pytest.mark.parametrize("suffix", ["webp", "avif", "jxl", "jp2"])
@pytest.mark.parametrize("loss", [{}, {"quality": 60}, {"lossless": True}])
def test_strip_keeps_coded_pixels_in_every_container(
    tmp_path: Path, suffix: str, loss: dict[str, object]
) -> None:
    if suffix == "jp2" and "lossless" in loss:
        loss = {"tile": 256}
    first, before, after = (tmp_path / name for name in ("a.png", f"a.{suffix}", f"b.{suffix}"))
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Secret"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(PIXELS).save(first, exif=exif, icc_profile=profile, dpi=(300, 300))
    imgpipe.run(first, "crop:0,0,50,33", before, autorotate=False, save=loss, workers=1)
    assert b"Secret" in before.read_bytes()
    report = imgpipe.convert(before, after, strip=True)
    assert "copied as it is stored" in str(report)
    assert b"Secret" not in after.read_bytes()
    for upright in (True, False):
        old, new = (imgpipe.read(path, autorotate=upright) for path in (before, after))
        assert (old == new).all()
    found = imgpipe.info(after, autorotate=False).metadata
    assert found.icc == imgpipe.info(before).metadata.icc
    assert (found.orientation, found.pixels_per_metre, found.texts) == (6, None, ())
    if suffix != "jxl":
        with Image.open(before) as one, Image.open(after) as two:
            assert (np.asarray(one) == np.asarray(two)).all()


@pytest.mark.parametrize("suffix", ["webp", "avif"])
def test_strip_keeps_the_frames_of_an_animation(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Secret"
    before, after = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
    frames = [Image.fromarray(PIXELS), Image.fromarray(255 - PIXELS)]
    frames[0].save(before, save_all=True, append_images=frames[1:], exif=exif, duration=[50, 90])
    imgpipe.convert(before, after, strip=True)
    assert b"Secret" not in after.read_bytes()
    for page in (0, 1):
        assert (imgpipe.read(before, page=page) == imgpipe.read(after, page=page)).all()
    with Image.open(after) as file:
        file.seek(1)
        file.load()
        assert (file.n_frames, file.info["duration"]) == (2, 90)


def test_strip_of_a_gif_leaves_frames_and_loop(tmp_path: Path) -> None:
    before, after = tmp_path / "a.gif", tmp_path / "b.gif"
    frames = [Image.fromarray(PIXELS), Image.fromarray(255 - PIXELS)]
    frames[0].save(
        before,
        save_all=True,
        append_images=frames[1:],
        duration=[50, 90],
        loop=3,
        comment=b"Secret",
    )
    data = before.read_bytes()
    xmp = b"\x21\xff\x0bXMP DataXMP\x06Secret\0"
    before.write_bytes(data[:-1] + xmp + data[-1:])
    imgpipe.convert(before, after, strip=True)
    assert b"Secret" not in after.read_bytes()
    with Image.open(before) as old, Image.open(after) as new:
        assert (new.n_frames, new.info["loop"]) == (2, 3)
        for frame in (0, 1):
            old.seek(frame)
            new.seek(frame)
            assert (np.asarray(old) == np.asarray(new)).all()
            assert old.info["duration"] == new.info["duration"]


def test_bytes_in_memory_become_bytes_in_memory(photo: Path) -> None:
    out = io.BytesIO()
    out.name = "out.jpg"
    imgpipe.convert(io.BytesIO(photo.read_bytes()), out)
    assert out.getvalue() == photo.read_bytes()


def test_it_may_be_the_input(photo: Path) -> None:
    imgpipe.convert(photo, photo, strip=True)
    assert imgpipe.info(photo).metadata.texts == ()


def test_a_filter_is_refused(photo: Path) -> None:
    with pytest.raises(UsageError, match="filter is for run"):
        imgpipe.convert(photo, "out.jpg", filter="blur")


def test_the_command_converts(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = photo.with_suffix(".png")
    assert execute(["convert", str(photo), "-o", str(out), "-j", "1"]) == 0
    assert imgpipe.read(out).shape == (50, 33, 3)
    copy = photo.with_name("copy.jpg")
    assert execute(["convert", str(photo), "-o", str(copy), "--dry-run"]) == 0
    assert "coded pixels, copied" in capsys.readouterr().out
    assert not copy.exists()


def test_a_damaged_png_is_not_stripped(tmp_path: Path) -> None:
    imgpipe.write(PIXELS, tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(data[:-20])
    assert execute(["convert", str(tmp_path / "a.png"), "-o", str(tmp_path / "b.png")]) in (0, 1)
    assert execute(["convert", str(tmp_path / "a.png"), "-o", str(tmp_path / "c.png"), "--strip"])
    assert not (tmp_path / "c.png").exists()


def test_an_output_that_is_not_smaller_is_not_kept(
    photo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    large, same, small = (photo.with_name(name) for name in ("a.npy", "a.jpg", "a.webp"))
    for out in (large, same):
        report = imgpipe.convert(photo, out, if_smaller=True, workers=1)
        assert report.skipped == "not_smaller"
        assert "not written, because its" in str(report)
    report = imgpipe.convert(photo, small, if_smaller=True, save={"quality": 1}, workers=1)
    assert report.skipped == ""
    assert report.size == small.stat().st_size < photo.stat().st_size
    assert execute(["convert", str(photo), "-o", str(large), "--if-smaller"]) == 0
    assert "not written" in capsys.readouterr().err
    assert sorted(path.name for path in photo.parent.iterdir()) == ["a.webp", "photo.jpg"]


def test_an_output_that_is_not_smaller_leaves_the_old_one(photo: Path) -> None:
    out = photo.with_name("a.npy")
    out.write_bytes(b"old")
    imgpipe.convert(photo, out, if_smaller=True, workers=1)
    assert out.read_bytes() == b"old"
