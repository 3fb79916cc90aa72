"""Frames: all images of a file go into one output, one after the other."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile

import imgpipe
from imgpipe.cli import execute
from imgpipe.describing import describe
from imgpipe.errors import CorruptError, UsageError
from imgpipe.events import Event, Finished, Started, Written
from imgpipe.filters import blur, invert
from imgpipe.formats.choosing import format_for
from imgpipe.formats.frames import Timing
from imgpipe.image import Pixels
from imgpipe.running import plan_run
from tests.animations import contents_of, filmed

RANDOM = np.random.default_rng(5)
PAGES: list[Pixels] = [
    RANDOM.integers(0, 255, (60, 80, 3), np.uint8),
    RANDOM.integers(0, 65535, (100, 130), np.uint16),
    RANDOM.random((40, 30), np.float32),
]


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    """Return a TIFF file with pages of different size and type."""
    path = tmp_path / "stack.tif"
    with tifffile.TiffWriter(path) as out:
        for page in PAGES:
            out.write(page)
    return path


def test_every_page_is_processed_as_if_it_were_alone(stack: Path) -> None:
    out = stack.with_name("out.tif")
    report = imgpipe.run(stack, blur(sigma=1), out, workers=1)
    assert report.frames == 3
    assert report.pixels == sum(page.shape[0] * page.shape[1] for page in PAGES)
    for number, page in enumerate(PAGES):
        assert (tifffile.imread(out, key=number) == blur(sigma=1)(page)).all()


def test_workers_make_the_same_bytes(stack: Path) -> None:
    alone, together = stack.with_name("1.tif"), stack.with_name("2.tif")
    imgpipe.run(stack, blur(sigma=1), alone, workers=1, chunk=32)
    imgpipe.run(stack, blur(sigma=1), together, workers=2, executor="processes", chunk=32)
    assert alone.read_bytes() == together.read_bytes()


def test_one_page_can_be_chosen(stack: Path) -> None:
    out = stack.with_name("out.tif")
    report = imgpipe.run(stack, invert(), out, page=1, workers=1)
    assert report.frames == 1
    assert (imgpipe.read(out)[..., 0] == 65535 - PAGES[1]).all()


def test_files_are_read_at_the_first_page_unless_another_is_named(stack: Path) -> None:
    assert (imgpipe.read(stack) == PAGES[0]).all()
    assert (imgpipe.read(stack, page=1)[..., 0] == PAGES[1]).all()
    assert imgpipe.info(stack, page=2).dtype == np.float32
    assert [box.x1 for box, _ in imgpipe.iter_chunks(stack, 1000, page=1)] == [130]
    assert imgpipe.measure(stack, np.max, max, page=1, workers=1) == PAGES[1].max()


@pytest.mark.parametrize("page", [3, 1000])
def test_a_page_beyond_the_end_is_an_error_with_the_count(stack: Path, page: int) -> None:
    with pytest.raises(UsageError, match=f"no page {page}, pages 0 to 2"):
        imgpipe.run(stack, invert(), stack.with_name("out.tif"), page=page)


@pytest.mark.parametrize("page", [-1, 1.5, "first"])
def test_a_page_is_a_number(stack: Path, page: int) -> None:
    with pytest.raises(UsageError, match="page"):
        imgpipe.read(stack, page=page)


def test_a_file_of_one_image_has_page_0_alone(tmp_path: Path) -> None:
    imgpipe.write(PAGES[0], tmp_path / "a.npy")
    assert (imgpipe.read(tmp_path / "a.npy", page=0) == PAGES[0]).all()
    with pytest.raises(UsageError, match="no page 1, only page 0"):
        imgpipe.read(tmp_path / "a.npy", page=1)


def test_a_target_of_one_frame_gets_the_first_and_says_so(
    stack: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = stack.with_name("out.jpg")
    imgpipe.run(stack, invert(), out, workers=1)
    assert imgpipe.info(out).shape == PAGES[0].shape
    (said,) = (record.getMessage() for record in caplog.records)
    assert "has 3 frames, and a JPEG file holds one: only frame 0" in said


def test_a_chosen_page_is_no_reason_to_say_anything(
    stack: Path, caplog: pytest.LogCaptureFixture
) -> None:
    imgpipe.run(stack, invert(), stack.with_name("out.jpg"), page=0, workers=1)
    assert not caplog.records


def test_damage_in_a_later_page_leaves_nothing(tmp_path: Path) -> None:
    path, out = tmp_path / "in.tif", tmp_path / "out.tif"
    with tifffile.TiffWriter(path) as writer:
        for _ in range(2):
            writer.write(PAGES[0], compression="deflate")
    with tifffile.TiffFile(path) as file:
        start = file.pages[1].dataoffsets[0]
    data = bytearray(path.read_bytes())
    data[start + 50 : start + 90] = bytes(40)
    path.write_bytes(data)
    with pytest.raises(CorruptError):
        imgpipe.run(path, invert(), out, workers=1)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["in.tif"]


def test_filters_that_do_not_fit_a_later_page_are_refused_at_once(stack: Path) -> None:
    with pytest.raises(UsageError):
        imgpipe.run(stack, "crop:0,0,50,50", stack.with_name("out.tif"), workers=1)
    assert not stack.with_name("out.tif").exists()


def test_events_are_of_one_run(stack: Path) -> None:
    events: list[Event] = []
    imgpipe.run(stack, invert(), stack.with_name("out.tif"), workers=1, on_event=events.append)
    started = [each for each in events if isinstance(each, Started)]
    written = [each.pixels for each in events if isinstance(each, Written)]
    (finished,) = (each for each in events if isinstance(each, Finished))
    assert [each.pixels for each in started] == [finished.report.pixels]
    assert written == sorted(written)
    assert written[-1] == finished.report.pixels
    assert len({each.run for each in events}) == 1


def test_the_plan_is_that_of_the_largest_page(stack: Path) -> None:
    assert execute(["invert", str(stack), "-o", str(stack.with_name("o.tif")), "--dry-run"]) == 0
    assert not stack.with_name("o.tif").exists()


def test_streams_may_hold_several_pages(stack: Path) -> None:
    out = io.BytesIO()
    imgpipe.run(io.BytesIO(stack.read_bytes()), invert(), out, format="tiff", workers=1)
    assert (tifffile.imread(io.BytesIO(out.getvalue()), key=1) == 65535 - PAGES[1]).all()


def test_a_run_stops_between_pages(stack: Path) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, Written):
            raise imgpipe.errors.Cancelled("enough")

    out = stack.with_name("out.tif")
    with pytest.raises(imgpipe.errors.Cancelled):
        imgpipe.run(stack, invert(), out, workers=1, on_event=stop)
    assert sorted(each.name for each in stack.parent.iterdir()) == ["stack.tif"]


SMALL = RANDOM.choice(np.array([0, 90, 200], np.uint8), (3, 6, 9, 3))
FEW_COLOURS = [np.kron(each, np.ones((8, 8, 1), np.uint8)) for each in SMALL]
TIMING = Timing((0.1, 0.2, 0.05), 2)
LOSSLESS = {"webp": {"lossless": True}}


@pytest.mark.parametrize("after", ["tif", "gif", "webp", "png"])
@pytest.mark.parametrize("before", ["tif", "gif", "webp", "png"])
def test_animations_become_others(
    before: str, after: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, out = tmp_path / f"in.{before}", tmp_path / f"out.{after}"
    if before == "tif":
        with tifffile.TiffWriter(path) as writer:
            for each in FEW_COLOURS:
                writer.write(each, photometric="rgb")
    else:
        save = LOSSLESS.get(before, {})
        path.write_bytes(filmed(format_for(path.name), FEW_COLOURS, TIMING, **save))
    report = imgpipe.run(path, invert(), out, workers=1, save=LOSSLESS.get(after))
    found = contents_of(format_for(out.name), out.read_bytes())
    assert report.frames == found.frames == 3
    for page, frame in enumerate(FEW_COLOURS):
        assert (imgpipe.read(out, page=page) == 255 - frame).all()
    if after == "tif":
        assert ("do not keep the timing" in caplog.text) == (before != "tif")
    else:
        assert found.timing == (TIMING if before != "tif" else Timing((0.1, 0.1, 0.1), 0))


def test_a_format_without_loop_keeps_the_seconds(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, out = tmp_path / "in.png", tmp_path / "out.avif"
    path.write_bytes(filmed(format_for("a.png"), FEW_COLOURS, TIMING))
    imgpipe.run(path, invert(), out, workers=1)
    found = contents_of(format_for("a.avif"), out.read_bytes()).timing
    assert found is not None
    assert found.seconds == TIMING.seconds
    assert "AVIF files do not keep the loop of an animation" in caplog.text


def test_the_memory_is_that_of_the_largest_page(stack: Path) -> None:
    out = stack.with_name("out.tif")
    all_pages = plan_run(stack, blur(sigma=1), out, workers=1)
    largest = plan_run(stack, blur(sigma=1), out, workers=1, page=1)
    assert all_pages.frames == 3
    assert all_pages.before == largest.before
    costs = [(plan.cost.shared, plan.cost.per_worker) for plan in (all_pages, largest)]
    assert costs[0] == costs[1]
    assert not out.exists()


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    """Return a slide: a pyramid, with pictures beside it that name the patient."""
    path, about = tmp_path / "slide.svs", "Aperio Image Library v11\r\n400x300 [0,0 400x300]"
    big = np.kron(RANDOM.integers(0, 255, (60, 80, 3), np.uint8), np.ones((5, 5, 1), np.uint8))
    with tifffile.TiffWriter(path) as out:

        def add(page: Pixels, description: str, **options: object) -> None:
            out.write(page, description=description, photometric="rgb", metadata=None, **options)

        add(big, about, tile=(64, 64))
        add(big[::10, ::10], f"{about} thumbnail", rowsperstrip=16)
        add(big[::2, ::2], about, tile=(64, 64))
        add(big[:50, :40], "Aperio\r\nlabel 40x50", subfiletype=1)
        add(big[:50, :90], "Aperio\r\nmacro 90x50", subfiletype=9)
    return path


def test_labels_of_a_slide_are_listed_and_never_carried_over(slide: Path) -> None:
    found = describe(slide).contents
    assert (found.frames, found.levels) == (1, ((300, 400), (150, 200)))
    assert [each.split()[0] for each in found.associated] == ["thumbnail", "label", "macro"]
    imgpipe.run(slide, invert(), slide.with_name("out.tif"), workers=1)
    with tifffile.TiffFile(slide.with_name("out.tif")) as file:
        assert [page.shape for page in file.pages] == [(300, 400, 3)]


def test_another_level_is_read(slide: Path) -> None:
    out = slide.with_name("out.png")
    assert execute(["invert", str(slide), "-o", str(out), "--level", "1", "-q"]) == 0
    assert (imgpipe.read(out) == 255 - imgpipe.read(slide, level=1)).all()
    assert (imgpipe.read(slide, level=1) == imgpipe.read(slide)[::2, ::2]).all()


def test_a_level_that_is_not_there_is_an_error_with_the_count(slide: Path) -> None:
    with pytest.raises(UsageError, match="no level 2, levels 0 to 1"):
        imgpipe.read(slide, level=2)
    imgpipe.write(PAGES[0], slide.with_name("a.png"))
    with pytest.raises(UsageError, match="no level 1, only level 0"):
        imgpipe.read(slide.with_name("a.png"), level=1)


def test_a_copy_has_all_pages_and_a_chosen_one_is_no_copy(stack: Path) -> None:
    copy, page = stack.with_name("copy.tif"), stack.with_name("page.tif")
    imgpipe.convert(stack, copy)
    assert copy.read_bytes() == stack.read_bytes()
    imgpipe.convert(stack, page, page=1, workers=1)
    assert describe(page).contents.frames == 1
    assert (imgpipe.read(page)[..., 0] == PAGES[1]).all()
