"""From a file to a file: plans, memory, passes, reports, and everything an image may carry."""

from __future__ import annotations

import os
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

import imgpipe
from imgpipe.chains.chain import Chain
from imgpipe.chains.decorator import filter
from imgpipe.engine.pipeline import run_between
from imgpipe.errors import (
    FormatError,
    InputError,
    LimitError,
    MemoryPlanError,
    OutputError,
    UsageError,
)
from imgpipe.events import Finished, Started, TaskDone, Written
from imgpipe.filters import (
    autocontrast,
    blur,
    box,
    crop,
    flip,
    grayscale,
    invert,
    maximum,
    mix_channels,
)
from imgpipe.formats.arrays import RandomArray
from imgpipe.formats.opening import open_sink
from imgpipe.formats.png import smallfiles
from imgpipe.formats.png.reading import PngRows
from imgpipe.image import ImageInfo, Metadata, check_made_pixels
from imgpipe.options import Options
from imgpipe.running import plan_run
from tests.conftest import PicklingExecutor, noise


@pytest.fixture
def png(photo: np.ndarray, tmp_path: Path) -> Path:
    path = tmp_path / "in.png"
    Image.fromarray(photo).save(path)
    return path


@filter(halo=0)
def halved(chunk):
    """A user's filter."""
    return chunk / 2


def test_the_report_says_what_the_run_was_like(png: Path, tmp_path: Path) -> None:
    report = imgpipe.run(png, blur(), tmp_path / "o.png", workers=1)
    assert (report.width, report.height, report.channels, report.dtype) == (307, 211, 3, "uint8")
    assert report.size == (tmp_path / "o.png").stat().st_size
    assert report.workers == 1
    assert report.passes == 1
    assert "o.png" in str(report)
    assert "MP/s" in str(report)


def test_events_tell_the_whole_story(png: Path, tmp_path: Path) -> None:
    events: list[object] = []
    imgpipe.run(png, blur(), tmp_path / "o.png", on_event=events.append)
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Finished)
    done = [event for event in events if isinstance(event, TaskDone)]
    assert len(done) == events[0].tasks
    assert [event for event in events if isinstance(event, Written)][-1].pixels == 211 * 307


def test_the_plan_is_logged(png: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", "imgpipe"):
        imgpipe.run(png, blur(), tmp_path / "o.png", workers=1)
    assert str(plan_run(png, blur(), tmp_path / "o.png", workers=1)).splitlines()[4] in caplog.text


@pytest.mark.parametrize("suffix", [".png", ".npy"])
def test_output_leaves_while_input_is_still_read(suffix: str, tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", noise((3000, 1000, 3), "uint8"))
    imgpipe.run(tmp_path / "in.npy", invert(), tmp_path / "in.png")
    seen = []

    def look(event: object) -> None:
        if isinstance(event, Written) and not seen:
            (part,) = tmp_path.glob(".?*.imgpipe")
            seen.append((event.pixels, part.stat().st_size))

    imgpipe.run(
        tmp_path / "in.png", blur(), tmp_path / f"o{suffix}", executor="threads", on_event=look
    )
    pixels, size = seen[0]
    assert size > 0
    assert pixels < 3_000_000


@pytest.mark.parametrize("suffix", [".png", ".npy"])
def test_one_pixel_is_an_image(suffix: str, tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", np.array([[[7, 8, 9]]], np.uint8))
    imgpipe.run(tmp_path / "in.npy", blur() | invert(), tmp_path / f"o{suffix}")
    assert imgpipe.read(tmp_path / f"o{suffix}").tolist() == [[[248, 247, 246]]]


def test_the_output_may_be_the_input(png: Path, photo: np.ndarray) -> None:
    imgpipe.run(png, invert(), png)
    np.testing.assert_array_equal(imgpipe.read(png), 255 - photo)


def test_an_empty_chain_converts(png: Path, photo: np.ndarray, tmp_path: Path) -> None:
    imgpipe.run(png, Chain(()), tmp_path / "o.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "o.npy"), photo)


def test_each_access_is_read_its_own_way(png: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", noise((40, 30, 3), "uint8"))
    np.save(tmp_path / "turned.npy", np.asfortranarray(noise((40, 30, 3), "uint8")))
    out = tmp_path / "o.png"
    assert plan_run(png, blur(), out).feed == "bands"
    assert plan_run(tmp_path / "in.npy", blur(), out).feed == "direct"
    assert plan_run(tmp_path / "turned.npy", blur(), out).feed == "whole"
    turned_over = plan_run(png, flip(), out)
    assert turned_over.feed == "whole"
    assert turned_over.scratch_bytes == 0
    assert plan_run(png, blur(border="wrap"), out).feed == "whole"
    assert plan_run(png, flip() | autocontrast(), out).passes == 2
    elsewhere = PicklingExecutor(shares_files=True)
    assert plan_run(png, blur(), out, executor=elsewhere).scratch_bytes > 0
    far_away = PicklingExecutor(shares_files=False)
    assert plan_run(png, blur(), out, executor=far_away).feed == "inline"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.npy", "in.png", "turned.npy"]


def test_a_whole_source_reaches_every_executor(executor: object, tmp_path: Path) -> None:
    array = noise((40, 30, 3), "uint8")
    np.save(tmp_path / "turned.npy", np.asfortranarray(array))
    imgpipe.run(tmp_path / "turned.npy", blur(), tmp_path / "o.png", executor=executor)
    np.testing.assert_array_equal(imgpipe.read(tmp_path / "o.png"), blur()(array))


def test_pixels_travel_through_pickle_only_where_nothing_is_shared(
    png: Path, photo: np.ndarray, tmp_path: Path
) -> None:
    sent = {}
    for shares_files in (True, False):
        executor = PicklingExecutor(shares_files=shares_files)
        imgpipe.run(png, invert(), tmp_path / "o.png", executor=executor)
        np.testing.assert_array_equal(imgpipe.read(tmp_path / "o.png"), 255 - photo)
        sent[shares_files] = executor.sent
    assert sent[True] < 20_000 < photo.nbytes < sent[False]


def test_a_filter_that_is_not_ours_is_watched_even_with_one_worker(
    png: Path, photo: np.ndarray, tmp_path: Path
) -> None:
    pids = set()

    def note(event: object) -> None:
        if isinstance(event, TaskDone):
            pids.add(event.pid)

    report = imgpipe.run(png, halved(), tmp_path / "o.png", workers=1, on_event=note)
    assert report.executor.startswith("processes")
    assert os.getpid() not in pids
    expected = np.rint(photo / 2).astype(np.uint8)
    np.testing.assert_array_equal(imgpipe.read(tmp_path / "o.png"), expected)


def test_less_memory_makes_a_smaller_plan_and_the_same_bytes(tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", noise((3000, 2000, 3), "uint8"))
    out = tmp_path / "o.png"
    wide = plan_run(tmp_path / "in.npy", blur(sigma=4), out, workers=8, max_memory=2_000_000_000)
    tight = plan_run(tmp_path / "in.npy", blur(sigma=4), out, workers=8, max_memory=250_000_000)
    assert wide.workers == 8
    assert tight.workers < 8
    assert tight.memory <= tight.budget < wide.memory <= wide.budget
    files = set()
    for memory in (110_000_000, 2_000_000_000):
        imgpipe.run(tmp_path / "in.npy", blur(sigma=4), out, workers=1, max_memory=memory)
        files.add(out.read_bytes())
    assert len(files) == 1


def test_memory_that_cannot_do_is_refused_with_the_number_that_can(tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", noise((3000, 2000, 3), "uint8"))
    with pytest.raises(
        MemoryPlanError, match=r"limit is 10 MB, .*; raise the limit \(max_memory='\d+M'\)"
    ):
        imgpipe.run(tmp_path / "in.npy", blur(sigma=40), tmp_path / "o.png", max_memory=10_000_000)
    assert not (tmp_path / "o.png").exists()


def test_metadata_survives_where_it_is_still_true(tmp_path: Path) -> None:
    from PIL import ImageCms

    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Author", "Somebody")
    texts.add_itxt("Title", "Ein schöner Tag", "de")
    exif = Image.Exif()
    exif[0x010E] = "described"
    Image.new("RGB", (9, 9)).save(
        tmp_path / "in.png", icc_profile=profile, pnginfo=texts, dpi=(300, 300), exif=exif
    )
    imgpipe.run(tmp_path / "in.png", blur(), tmp_path / "o.png")
    kept = Image.open(tmp_path / "o.png")
    kept.load()
    assert kept.info["icc_profile"] == profile
    assert kept.text == {"Author": "Somebody", "Title": "Ein schöner Tag"}
    assert kept.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    assert kept.getexif()[0x010E] == "described"

    imgpipe.run(tmp_path / "in.png", grayscale(), tmp_path / "gray.png")
    gray = Image.open(tmp_path / "gray.png")
    gray.load()
    assert gray.mode == "L"
    assert "icc_profile" not in gray.info
    assert gray.text["Author"] == "Somebody"


HDR = Metadata(
    cicp=(9, 16, 0, 1),
    mastering=(0.708, 0.292, 0.17, 0.797, 0.131, 0.046, 0.3127, 0.329, 1000.0, 0.0001),
    light_levels=(1000.0, 400.0),
)


@pytest.mark.parametrize(
    ("chain", "kept"),
    [
        (blur(), HDR),
        (grayscale(), HDR),  # gray made of a PQ image is still PQ
        (flip(), HDR),
        (crop(width=3, height=3), replace(HDR, light_levels=(1000.0, 0.0))),
        (invert(), replace(HDR, light_levels=None)),
        (blur() | maximum(), replace(HDR, light_levels=None)),
        (mix_channels(matrix="1 0 0; 0 1 0"), Metadata()),
    ],
    ids=str,
)
def test_hdr_metadata_survives_where_it_is_still_true(
    chain: imgpipe.Chain, kept: Metadata, tmp_path: Path
) -> None:
    info = ImageInfo(5, 7, 3, np.dtype("uint16"), None, "rgb", HDR)
    sink = open_sink(tmp_path / "in.png", info)
    source = RandomArray(info, np.zeros(info.shape, np.uint16))
    run_between(source, (), sink, "in.png", Options())
    imgpipe.run(tmp_path / "in.png", chain, tmp_path / "out.png")
    assert imgpipe.info(tmp_path / "out.png").metadata == kept


def test_no_dark_fringes_under_alpha(tmp_path: Path) -> None:
    picture = np.zeros((21, 21, 4), np.uint8)
    picture[..., :3] = [255, 0, 0]
    picture[:, :10] = 0  # transparent black beside opaque red
    picture[:, 10:, 3] = 255
    Image.fromarray(picture).save(tmp_path / "in.png")
    for chain in (blur(sigma=2), box(radius=3)):
        imgpipe.run(tmp_path / "in.png", chain, tmp_path / "o.png")
        out = imgpipe.read(tmp_path / "o.png")
        seen = out[out[..., 3] > 8]
        assert (seen[:, 0] > 245).all()
        assert (out[out[..., 3] == 0] == 0).all()


@pytest.mark.parametrize(
    ("src", "dst", "error", "word"),
    [
        ("missing.png", "o.png", InputError, "no such file"),
        (".", "o.png", InputError, "is a folder"),
        ("empty.png", "o.png", FormatError, "empty"),
        ("text.png", "o.png", FormatError, "not an image"),
        ("in.png", "o.xyz", UsageError, "suffix"),
        ("in.png", "o", UsageError, "suffix"),
        ("in.png", "no/o.png", OutputError, "no folder"),
        ("in.png", "folder.png", OutputError, "is a folder"),
    ],
)
def test_bad_ends_are_named_with_what_to_do(
    src: str, dst: str, error: type[Exception], word: str, png: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "folder.png").mkdir()
    before = sorted(tmp_path.iterdir())
    with pytest.raises(error, match=word) as caught:
        imgpipe.run(tmp_path / src, invert(), tmp_path / dst)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before


def test_the_pixel_limit_is_checked_before_anything_else(png: Path, tmp_path: Path) -> None:
    with pytest.raises(LimitError, match="max-pixels 64777"):
        imgpipe.run(png, invert(), tmp_path / "o.png", max_pixels=1000)


def test_an_output_larger_than_the_limit_is_refused(png: Path, tmp_path: Path) -> None:
    out = tmp_path / "o.png"
    chain = 'resize:"1000000x1000000!",nearest'
    with pytest.raises(LimitError, match=r"o\.png: would have 1000000 x 1000000 .*smaller image"):
        imgpipe.run(png, chain, out)
    assert not out.exists()
    imgpipe.run(png, chain, out, region=(0, 0, 8, 8))  # the rest is never made
    huge = ImageInfo(60_000, 80_000, 3, np.dtype(np.uint8), None, "rgb")
    check_made_pixels(huge, "o.png", 5 * 10**9)
    with pytest.raises(LimitError, match="the limit is 4,000"):
        check_made_pixels(huge, "o.png", 10**9)


def test_numbers_that_cannot_be_meant_are_refused(png: Path, tmp_path: Path) -> None:
    out = tmp_path / "o.png"
    for bad in ({"workers": 0}, {"chunk": 0}, {"executor": "magic"}, {"compression": 11}):
        with pytest.raises(UsageError):
            imgpipe.run(png, invert(), out, **bad)
    with pytest.raises(UsageError, match="not inside"):
        imgpipe.run(png, invert(), out, region=imgpipe.Box(0, 0, 500, 500))
    assert not out.exists()


@pytest.mark.parametrize(
    ("chain", "says"),
    [
        ("crop:9000,0,10,10", "the region 9000,0,10,10"),
        ("grayscale | mix_channels:'1 0 0'", "mix_channels: the matrix has 3 columns"),
        ("blend:small.png", r"blend: small\.png is 5 x 5"),
    ],
)
def test_a_filter_that_cannot_take_an_image_names_the_file(
    png: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chain: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    imgpipe.write(np.zeros((5, 5, 3), np.uint8), "small.png")
    with pytest.raises(UsageError, match=f"^{png}: {says}"):
        imgpipe.run(png, chain, "out.png")
    if "blend" not in chain:
        with pytest.raises(UsageError, match=f"^{png}: {says}"):
            imgpipe.measure(png, np.max, max, filter=chain)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("chain", "says"),
    [("blend:gray.npy", "the second image has 1 channel"), ("otsu", "uint64 has too many")],
)
def test_a_filter_that_refuses_the_type_of_an_image_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, chain: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("in.npy", np.zeros((5, 5, 3), np.uint64))
    np.save("gray.npy", np.zeros((5, 5, 1), np.uint64))
    with pytest.raises(UsageError, match=rf"^in\.npy: \w.*{says}") as caught:
        imgpipe.run("in.npy", chain, "out.npy", workers=workers)
    assert str(caught.value).count("in.npy") == 1


def test_floats_into_integers_need_a_declared_range(tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", noise((5, 5, 1), "float32"))
    with pytest.raises(UsageError, match="float32"):
        imgpipe.run(tmp_path / "in.npy", blur(), tmp_path / "o.png")


def test_reading_a_part_is_the_part_of_the_whole(png: Path, photo: np.ndarray) -> None:
    box_ = imgpipe.Box(50, 20, 90, 300)
    np.testing.assert_array_equal(imgpipe.read(png), photo)
    np.testing.assert_array_equal(imgpipe.read(png, box_), photo[box_.slices])
    with pytest.raises(UsageError, match="inside"):
        imgpipe.read(png, imgpipe.Box(0, 0, 1, 999))
    assert imgpipe.info(png).shape == photo.shape


def test_apply_keeps_the_array_and_fills_the_one_that_is_given(
    photo: np.ndarray, executor: object
) -> None:
    before = photo.copy()
    out = np.empty_like(photo)
    assert imgpipe.apply(photo, blur(), out=out, executor=executor) is out
    np.testing.assert_array_equal(out, blur()(photo))
    np.testing.assert_array_equal(photo, before)
    gray = photo[..., 0]
    assert imgpipe.apply(gray, blur(), executor=executor).shape == gray.shape
    for bad in (np.empty((3, 3), np.uint8), np.empty_like(photo, dtype=float), out[::-1]):
        with pytest.raises(UsageError, match="out must be"):
            imgpipe.apply(photo, blur(), out=bad, executor=executor)
    with pytest.raises(UsageError, match="image is an array"):
        imgpipe.apply(np.empty((0, 5)), blur())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_planning_does_not_wait_for_the_reader_of_a_pipe(png: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert plan_run(png, blur(), tmp_path / "pipe.png").passes == 1


def test_a_source_is_closed_when_it_cannot_be_copied(
    png: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = []
    close = PngRows.close
    monkeypatch.setattr(PngRows, "close", lambda self: (closed.append(True), close(self)))
    monkeypatch.setattr(smallfiles, "_MOST_BYTES", 0)  # else a small file is decoded at once
    data = bytearray(png.read_bytes())
    data[-1000] ^= 0xFF
    png.write_bytes(data)
    with pytest.raises(InputError):
        imgpipe.run(png, flip(), tmp_path / "out.png")
    assert closed


def test_filters_may_ask_for_threads_and_the_report_says_so(png: Path, tmp_path: Path) -> None:
    seen = set()

    @filter(halo=1, executor="threads")
    def threaded(chunk):
        seen.add(os.getpid())
        return chunk

    report = imgpipe.run(png, threaded() | threaded(), tmp_path / "o.png", workers=2)
    assert report.executor == "threads, as the filters ask for"
    assert seen == {os.getpid()}
    report = imgpipe.run(png, threaded() | halved(), tmp_path / "o.png", workers=2)
    assert report.executor.startswith("processes, so that a function that crashes")
    report = imgpipe.run(png, threaded(), tmp_path / "o.png", executor="serial")
    assert report.executor == "serial, as asked"


def test_an_array_with_a_timeout_goes_through_processes(photo: np.ndarray) -> None:
    out = imgpipe.apply(photo, invert(), timeout=30)
    np.testing.assert_array_equal(out, invert()(photo))


def test_filters_without_their_parameters_have_their_defaults_or_are_refused(
    photo: np.ndarray, tmp_path: Path
) -> None:
    made = imgpipe.apply(photo, invert, executor="serial")
    np.testing.assert_array_equal(made, invert()(photo))
    imgpipe.write(photo, tmp_path / "in.png")
    for wrong, says in (
        (lambda chunk: chunk, "halo"),
        (crop, "crop.*width"),
        (3, "a filter or a chain, not int"),
    ):
        with pytest.raises(UsageError, match=says):
            imgpipe.apply(photo, wrong)
        with pytest.raises(UsageError, match=says):
            imgpipe.run(tmp_path / "in.png", wrong, tmp_path / "o.png")


@pytest.mark.parametrize("suffix", [".npy", ".png"])
def test_workers_find_relative_paths_wherever_they_were_started(
    suffix: str, pool: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    array = noise((40, 30, 3), "uint8")
    imgpipe.apply(array, invert(), executor=pool)  # they are here by now, in another folder
    monkeypatch.chdir(tmp_path)
    np.save("in.npy", array)
    imgpipe.run("in.npy", blur() | flip(), f"o{suffix}", executor=pool)
    np.testing.assert_array_equal(imgpipe.read(f"o{suffix}"), (blur() | flip())(array))


def test_threads_get_ready_while_the_first_rows_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready: list[object] = []
    monkeypatch.setattr("imgpipe.engine.worker.warm_up", ready.append)
    imgpipe.write(np.zeros((1000, 1000, 3), np.uint8), tmp_path / "in.png")
    ends = tmp_path / "in.png", imgpipe.filters.invert(), tmp_path / "out.png"
    imgpipe.run(*ends, executor="threads", workers=2)
    assert len(ready) == 2
