"""Pyramids: levels made while the image is, the same for any cut."""

from __future__ import annotations

import io
import os
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

import imgpipe
from imgpipe.chains.entry import chain_from
from imgpipe.chains.stages import resolve
from imgpipe.engine.batch import Request
from imgpipe.engine.plan import WantedOutput
from imgpipe.errors import FilterError, UsageError
from imgpipe.executors.processes.pool import ProcessExecutor
from imgpipe.filters import invert
from imgpipe.formats import tiff
from imgpipe.formats.base import Source
from imgpipe.formats.levels import halved, levels_of
from imgpipe.formats.opening import open_sink, open_source
from imgpipe.formats.target import MemoryTarget
from imgpipe.image import ImageInfo
from imgpipe.options import Options
from imgpipe.running import plan_run
from imgpipe.testing import check_format
from tests.batches import make_images
from tests.conftest import noise
from tests.faraway import FarAwayExecutor

LAYOUTS = ({"pyramid": True}, {"cog": True})


def about(pixels: np.ndarray, **more: Any) -> ImageInfo:
    return ImageInfo(*pixels.shape, pixels.dtype, **more)


def pyramid(pixels: np.ndarray, tile: int, info: ImageInfo | None = None) -> list[np.ndarray]:
    info, made = info or about(pixels), [pixels]
    for level in levels_of(info, (tile, tile)):
        made.append(halved(made[-1], replace(level, height=2, width=2)))
    return made


def levels_in(path: Path) -> list[np.ndarray]:
    with tifffile.TiffFile(path) as file:
        assert len(file.series) == 1
        return [level.asarray() for level in file.series[0].levels]


def exactly(pixels: np.ndarray, alpha: int | None, nodata: float | None) -> np.ndarray:
    """Return the level after `pixels`, worked out in fractions."""
    rows, columns, channels = pixels.shape
    out = np.empty((-(-rows // 2), -(-columns // 2), channels), pixels.dtype)
    for y, x, c in np.ndindex(out.shape):
        block = pixels[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].reshape(-1, channels)
        weights = [1 if nodata is None or v != nodata else 0 for v in block[:, c].tolist()]
        if alpha not in (None, c):
            weights = block[:, alpha].tolist()
        total = sum(weights)
        found = sum(w * v for w, v in zip(weights, block[:, c].tolist(), strict=True))
        empty = 0 if nodata is None else nodata
        out[y, x, c] = round(Fraction(found, total)) if total else empty
    return out


@pytest.mark.parametrize("dtype", ["uint8", "int8", "uint16", "int16", "uint32", "int64", "uint64"])
@pytest.mark.parametrize("shape", [(6, 8), (7, 5), (1, 9)])
def test_a_level_is_the_mean_of_integers_to_the_bit(dtype: str, shape: tuple[int, int]) -> None:
    for seed, pixels in enumerate((noise((*shape, 3), dtype), noise((*shape, 3), dtype) & 3)):
        made = halved(pixels, about(pixels))
        np.testing.assert_array_equal(made, exactly(pixels, None, None), f"{seed}")
        assert made.dtype == pixels.dtype


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_colours_count_by_their_alpha(dtype: str) -> None:
    pixels = noise((7, 9, 4), dtype)
    pixels[..., 3] *= noise((7, 9), dtype, 3) > 90
    made = halved(pixels, about(pixels, alpha=3))
    expected = exactly(pixels, 3, None)
    np.testing.assert_array_equal(made[..., :3], expected[..., :3])
    blocks = exactly(pixels[..., 3:], None, None)
    np.testing.assert_array_equal(made[..., 3:], blocks)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "int32"])
def test_pixels_without_data_do_not_count(dtype: str) -> None:
    pixels = noise((9, 7, 2), dtype)
    pixels[noise((9, 7, 2), "uint8", 5) > 120] = 77
    made = halved(pixels, about(pixels, nodata=77.0))
    np.testing.assert_array_equal(made, exactly(pixels, None, 77))
    np.testing.assert_array_equal(
        halved(pixels, about(pixels, nodata=-1e30)), exactly(pixels, None, None)
    )


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_floats_are_averaged_without_nan(dtype: str) -> None:
    pixels = np.arange(24, dtype=dtype).reshape(4, 6, 1)
    pixels[0, 0] = pixels[:2, 2:4] = np.nan
    made = halved(pixels, about(pixels))[..., 0]
    expected = [[np.mean([1, 6, 7]), np.nan, 7.5], [15.5, 17.5, 19.5]]
    np.testing.assert_allclose(made, np.array(expected, dtype), rtol=1e-15)
    pixels[pixels == 7] = np.finfo(dtype).max
    assert np.isfinite(halved(pixels, about(pixels, nodata=-9999.0))[0, 0])
    cut = noise((8, 8, 4), "uint8").astype(dtype)
    cut[:4, :, 3], cut[:4, :, 0] = 0, np.nan
    assert np.isfinite(halved(cut, about(cut, alpha=3))).all()


@pytest.mark.parametrize("compression", ["deflate", "none"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_levels_are_the_same_however_the_work_is_cut_up(
    compression: str, layout: dict[str, bool], tmp_path: Path, far_away: FarAwayExecutor
) -> None:
    pixels, path = noise((301, 403, 3), "uint8"), tmp_path / "o.tif"
    np.save(tmp_path / "in.npy", pixels)
    save, made = {"tile": 64, **layout}, set()
    out = io.BytesIO()
    out.name = "o.tif"
    ways: list[dict[str, Any]] = [
        {"executor": "serial"},
        {"executor": "threads", "workers": 3, "chunk": 50},
        {"workers": 2, "max_memory": "200M"},
        {"executor": far_away, "workers": 2},
    ]
    for way in ways:
        imgpipe.run(
            tmp_path / "in.npy", invert(), path, compression=compression, save=save, **way
        )  # fmt: skip
        made.add(path.read_bytes())
    imgpipe.run(tmp_path / "in.npy", invert(), out, compression=compression, save=save)
    assert made == {out.getvalue()}
    expected = pyramid(255 - pixels, 64)
    found = levels_in(path)
    assert [level.shape for level in found] == [level.shape for level in expected]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("chain", ["rotate:90", "blur:sigma=2,border=wrap", "autocontrast"])
def test_levels_are_those_of_the_output(chain: str, tmp_path: Path) -> None:
    pixels, path = noise((201, 303, 3), "uint8") // 2, tmp_path / "o.tif"
    imgpipe.write(pixels, tmp_path / "in.png")
    imgpipe.run(tmp_path / "in.png", chain, path, executor="threads", workers=2,
                save={"tile": 64, "pyramid": True})  # fmt: skip
    first, *others = levels_in(path)
    np.testing.assert_array_equal(first, imgpipe.apply(pixels, chain, executor="serial"))
    for one, other in zip(others, pyramid(first, 64)[1:], strict=True):
        np.testing.assert_array_equal(one, other)


def test_many_images_have_the_levels_that_each_has_alone(
    tmp_path: Path, pool: ProcessExecutor
) -> None:
    save = {"tile": (64, 64), "pyramid": True}

    def request(src: Path) -> Request:
        def goals(source: Source) -> tuple[WantedOutput, ...]:
            stages = resolve(chain_from("blur:1"), source.info)
            dst = src.with_suffix(".tif")
            return (WantedOutput(stages, open_sink(dst, stages[-1].after, save), str(dst)),)

        return Request(lambda: open_source(src), goals)

    sources = [tmp_path / f"{number}.npy" for number in range(4)]
    for number, src in enumerate(sources):
        np.save(src, noise((90 + 70 * number, 130, 3), "uint8", seed=number))
    made = make_images(map(request, sources), Options(executor=pool, workers=2))
    assert [outcome.error for outcome in made] == [None] * len(sources)
    for src in sources:
        imgpipe.run(src, "blur:1", tmp_path / "alone.tif", save=save, executor="serial")
        assert src.with_suffix(".tif").read_bytes() == (tmp_path / "alone.tif").read_bytes()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_our_own_reader_finds_the_levels(layout: dict[str, bool], tmp_path: Path) -> None:
    pixels, path = noise((150, 130, 1), "uint16"), tmp_path / "o.tif"
    imgpipe.write(pixels, path, save={"tile": 32, **layout})
    assert tiff.contents(open_source(path).origin).levels == (
        (150, 130), (75, 65), (38, 33), (19, 17),
    )  # fmt: skip
    np.testing.assert_array_equal(imgpipe.read(path), pixels)


@pytest.mark.parametrize("compression", ["deflate", "none"])
def test_a_cloud_optimized_file_begins_with_directories_and_ends_with_the_image(
    compression: str, tmp_path: Path
) -> None:
    path = tmp_path / "o.tif"
    info = about(noise((1100, 1300, 1), "uint8"), nodata=7.0)
    sink = open_sink(path, info, {"cog": True, "compression": compression})
    sink.abort()
    imgpipe.write(
        noise((1100, 1300, 1), "uint8"), path, compression=compression, save={"cog": True}
    )
    with tifffile.TiffFile(path) as file:
        pages = file.series[0].levels
        assert [page.shape for page in pages] == [(1100, 1300), (550, 650), (275, 325)]
        assert [int(page.keyframe.subfiletype) for page in file.pages] == [0, 1, 1]
        assert all(page.keyframe.tile == (512, 512) for page in pages)
        directories = [page.offset for page in file.pages]
        assert directories == sorted(directories)
        assert directories[0] == 8
        first = [min(page.dataoffsets) for page in file.pages]
        assert max(directories) < first[2] < first[1] < first[0]
        for page in file.pages:
            assert list(page.dataoffsets) == sorted(page.dataoffsets)


def test_levels_declare_pixels_without_data(tmp_path: Path) -> None:
    pixels = noise((70, 60, 1), "int16")
    sink: Any = open_sink(
        tmp_path / "o.tif", about(pixels, nodata=-9999.0), {"tile": 32, "cog": True}
    )
    from imgpipe.testing.files import put_in

    put_in(sink, pixels)
    sink.commit()
    with tifffile.TiffFile(tmp_path / "o.tif") as file:
        assert [page.nodata for page in file.pages] == [-9999, -9999, -9999]


def test_an_image_of_one_tile_has_no_levels(tmp_path: Path) -> None:
    imgpipe.write(noise((200, 256, 3), "uint8"), tmp_path / "o.tif", save={"pyramid": True})
    assert len(levels_in(tmp_path / "o.tif")) == 1


def test_pages_have_pyramids_of_their_own(tmp_path: Path) -> None:
    from imgpipe.testing.files import put_in

    out, pages = io.BytesIO(), [noise((90, 70, 3), "uint8"), noise((40, 100, 1), "float32")]
    infos = tuple(map(about, pages))
    made = tiff.album(MemoryTarget(out), infos, None, tile=(32, 32), pyramid=True)
    for page in pages:
        sink = made.frame(about(page))
        put_in(sink, page)
        sink.commit()
    made.commit()
    out.seek(0)
    with tifffile.TiffFile(out) as file:
        assert [len(page.pages) for page in file.pages] == [2, 2]
        np.testing.assert_array_equal(
            file.pages[1].pages[0].asarray(), halved(pages[1], about(pages[1]))[..., 0]
        )
    with pytest.raises(UsageError, match="a Cloud-Optimized GeoTIFF has one page, not 2"):
        tiff.album(MemoryTarget(out), infos, None, cog=True)


def test_strips_have_no_pyramid(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a pyramid is made of tiles; leave out --tile strips"):
        imgpipe.write(noise((9, 9, 3), "uint8"), tmp_path / "o.tif",
                      save={"tile": "strips", "pyramid": True})  # fmt: skip


def test_the_plan_counts_the_passes_and_the_scratch_files(tmp_path: Path) -> None:
    imgpipe.write(noise((900, 900, 3), "uint8"), tmp_path / "in.png")
    plain, more = (
        plan_run(tmp_path / "in.png", invert(), tmp_path / "o.tif", save=save)
        for save in ({}, {"pyramid": True})
    )
    assert (plain.passes, more.passes) == (1, 3)
    assert more.memory >= plain.memory
    assert "scratch: 1 MB on disk" in " ".join(str(more).split())


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="the system lists no open files")
@pytest.mark.parametrize("compression", ["deflate", "none"])
def test_nothing_is_left_of_a_run_that_fails(compression: str, tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", noise((200, 200, 3), "uint8"))

    def fails(chunk: np.ndarray) -> np.ndarray:
        raise ValueError("on purpose")

    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(FilterError):
        imgpipe.run(tmp_path / "in.npy", fails, tmp_path / "o.tif", halo=0, executor="serial",
                    compression=compression, save={"tile": 32, "cog": True})  # fmt: skip
    assert len(os.listdir("/proc/self/fd")) == before
    assert os.listdir(tmp_path) == ["in.npy"]


@pytest.mark.slow
def test_a_pyramid_conforms() -> None:
    check_format("tiff", executor="threads", save={"pyramid": True, "tile": (64, 64)})
