"""Thumbnails: they fit, they stay near the exact ones, and they are the same however made."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

import imgpipe
from imgpipe.chains.chain import Chain
from imgpipe.errors import CorruptError, ParameterError
from imgpipe.filters import blur, thumbnail
from imgpipe.filters.thumbnails import thumbnail_size
from imgpipe.formats.opening import open_source, origin_of
from imgpipe.formats.readwrite import Reading
from imgpipe.kernels.axes import Axis
from imgpipe.reduceddecoding import shrunk

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def scene(height: int, width: int) -> np.ndarray:
    """Return a picture with edges, waves of all lengths, and some noise."""
    y, x = np.mgrid[:height, :width] / 40.0
    waves = np.sin(x * (1 + y / 8)) * 50 + np.cos(y * 2) * 40 + ((x.astype(int) % 3) == 0) * 50
    noise = np.random.default_rng(5).normal(0, 4, (height, width))
    gray = np.clip(waves + noise + 110, 0, 255)
    return np.stack([gray, gray[::-1], 255 - gray], axis=2).astype(np.uint8)


def jpeg(path: Path, pixels: np.ndarray, orientation: int = 1, **save: object) -> Path:
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "Maker"
    save = {"quality": 92, "exif": exif, "icc_profile": PROFILE} | save
    Image.fromarray(pixels).save(path, **save)
    return path


def made(path: Path, one: imgpipe.Chain, **options: object) -> np.ndarray:
    out = path.with_name("out.png")
    imgpipe.run(path, one, out, **({"workers": 1} | options))
    return imgpipe.read(out)


def reduced(path: Path, one: imgpipe.Chain, **reading: object) -> tuple[int, int]:
    """Return the rows and columns that are decoded."""
    how, origin = Reading(**reading), origin_of(path)
    info = shrunk(open_source(path, how), origin, [Chain((*one,))], how)[0].info
    return info.height, info.width


@pytest.mark.parametrize(
    ("before", "size", "after"),
    [
        ((600, 800), "400", (300, 400)),
        ((800, 600), "400", (400, 300)),
        ((600, 800), "400x100", (100, 133)),
        ((600, 800), "100x400", (75, 100)),
        ((600, 800), "800", (600, 800)),
        ((600, 800), "900", (600, 800)),  # never enlarged
        ((1, 5000), "100", (1, 100)),
    ],
)
def test_fits_and_keeps_the_aspect(
    before: tuple[int, int], size: str, after: tuple[int, int]
) -> None:
    assert thumbnail_size(before, size, enlarge=False) == after


def test_enlarges_only_if_asked() -> None:
    assert thumbnail_size((60, 80), "160", enlarge=True) == (120, 160)


@pytest.mark.parametrize("size", ["50%", "800!", "800x", "0", "-1", "", 0, 2.5, (3,), True])
def test_refuses_what_is_no_size(size: object) -> None:
    with pytest.raises(ParameterError, match="longest side, such as 800"):
        thumbnail(size)


def test_the_exact_one_is_that_of_resize(tmp_path: Path) -> None:
    path = jpeg(tmp_path / "a.jpg", scene(300, 401))
    exact = made(path, thumbnail(100, exact=True))
    assert (exact == made(path, imgpipe.filters.resize("100x75!"))).all()


@pytest.mark.parametrize(
    ("size", "decoded"),
    [
        (100, (151, 201)),  # an eighth has at least twice the size
        (101, (301, 401)),
        (229, (301, 401)),  # a quarter has 1.75 times
        (230, (451, 601)),
        (400, (451, 601)),  # the others have 1.5 times
        (401, (601, 801)),
        (533, (601, 801)),
        (535, (751, 1001)),
        (668, (1201, 1601)),
    ],
)
def test_decodes_so_many_eighths_that_some_times_the_size_are_left(
    tmp_path: Path, size: int, decoded: tuple[int, int]
) -> None:
    path = jpeg(tmp_path / "a.jpg", scene(1201, 1601))
    assert reduced(path, thumbnail(size)) == decoded


def test_shrinks_only_as_the_first_filter_and_unless_exact(tmp_path: Path) -> None:
    path = jpeg(tmp_path / "a.jpg", scene(400, 400))
    for one in (thumbnail(50, exact=True), blur(2) | thumbnail(50)):
        assert reduced(path, one) == (400, 400)
    assert reduced(path, thumbnail(50), salvage=True) == (400, 400)
    assert reduced(path, thumbnail(50) | blur(2)) == (100, 100)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("size", "eighths"), [(50, 2), (90, 3), (160, 5)])
def test_stays_near_the_exact_one_whatever_the_orientation(
    tmp_path: Path, orientation: int, size: int, eighths: int
) -> None:
    # Both sides leave a part of a block, which shifts the image if it is not accounted for.
    sampling = orientation % 2 * 2
    path = jpeg(tmp_path / "a.jpg", scene(301, 409), orientation, subsampling=sampling)
    assert min(reduced(path, thumbnail(size))) == -(-301 * eighths // 8)
    quick = made(path, thumbnail(size)).astype(int)
    exact = made(path, thumbnail(size, exact=True)).astype(int)
    assert quick.shape == exact.shape
    assert abs(quick - exact).mean() < 1
    assert abs(quick - exact).max() < 20


def test_an_axis_of_a_reduced_image_has_its_pixels_where_the_image_has_them() -> None:
    at = np.arange(6)
    for missing in (0, 3):  # 37 pixels become 10 of 4: the last or the first stands for one
        small = Axis(10, 6, "bicubic", 37, 4, missing)
        assert small.centres(at) * 4 - missing == pytest.approx(Axis(37, 6, "bicubic").centres(at))
    assert small.length == 37
    for missing in (0, 1):  # 37 pixels become 14 of 8/3: in thirds, 111 become 14 of 8
        small = Axis(14, 6, "bicubic", 111, 8, missing)
        whole = Axis(37, 6, "bicubic").centres(at)
        assert (small.centres(at) * 8 - missing) / 3 == pytest.approx(whole)


@pytest.mark.parametrize("save", [{}, {"progressive": True}])
def test_has_the_same_bytes_however_it_is_cut(tmp_path: Path, save: dict[str, object]) -> None:
    path = jpeg(tmp_path / "a.jpg", scene(403, 611), 6, **save)
    whole = made(path, thumbnail(150))
    for chunk in (7, (64, 5)):
        assert (made(path, thumbnail(150), chunk=chunk) == whole).all()
    assert (made(path, thumbnail(150), executor="threads", workers=3, chunk=20) == whole).all()


def test_levels_of_a_pyramid_are_used(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    imgpipe.write(scene(600, 803), path, save={"pyramid": True, "tile": 64})
    assert reduced(path, thumbnail(200)) == (300, 402)
    quick = made(path, thumbnail(200)).astype(int)
    exact = made(path, thumbnail(200, exact=True)).astype(int)
    assert abs(quick - exact).mean() < 1.5


def test_gray_and_cmyk_shrink_too(tmp_path: Path) -> None:
    gray = jpeg(tmp_path / "g.jpg", scene(320, 320)[:, :, 0])
    inks = tmp_path / "c.jpg"
    Image.fromarray(scene(320, 320)).convert("CMYK").save(inks, quality=92)
    for path in (gray, inks):
        assert reduced(path, thumbnail(40)) == (80, 80)
        quick = made(path, thumbnail(40)).astype(int)
        assert abs(quick - made(path, thumbnail(40, exact=True))).mean() < 1.5


def test_a_damaged_file_is_an_error(tmp_path: Path) -> None:
    path = jpeg(tmp_path / "a.jpg", scene(400, 400))
    path.write_bytes(path.read_bytes()[:-4000])
    with pytest.raises(CorruptError, match=r"a\.jpg: the file is damaged"):
        made(path, thumbnail(50))


def test_keeps_the_profile_and_drops_the_rest(tmp_path: Path) -> None:
    path = jpeg(tmp_path / "a.jpg", scene(200, 300), 6)
    out = tmp_path / "o.jpg"
    for size in (50, 1000):  # the second one is smaller already, and goes the same way
        imgpipe.run(path, thumbnail(size), out, workers=1)
        kept = imgpipe.info(out, autorotate=False).metadata
        assert (kept.icc, kept.exif, kept.orientation) == (PROFILE, None, 1)
    imgpipe.run(path, thumbnail(50, keep_metadata=True), out, workers=1)
    kept = imgpipe.info(out, autorotate=False).metadata
    assert kept.exif is not None
    assert b"Maker" in kept.exif
    assert kept.orientation == 1


def test_an_image_that_is_smaller_has_its_own_pixels(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    imgpipe.write(scene(20, 30), path)
    out = io.BytesIO()
    imgpipe.run(path, thumbnail(100), out, workers=1)
    assert (imgpipe.read(io.BytesIO(out.getvalue())) == scene(20, 30)).all()
