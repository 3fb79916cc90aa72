"""Frames: all images of a file go into one output, one after the other."""

from __future__ import annotations

import io
import os
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tifffile

import imgpipe
from imgpipe.cli import execute
from imgpipe.describing import describe
from imgpipe.engine.control import Control
from imgpipe.errors import CorruptError, UsageError
from imgpipe.events import Event, Finished, Started, TaskDone, Written
from imgpipe.filters import blur, invert
from imgpipe.formats.formatchoice import format_for
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


def test_the_report_tells_the_size_of_the_largest_page(stack: Path) -> None:
    report = imgpipe.run(stack, invert(), stack.with_name("out.tif"), workers=1)
    assert (report.height, report.width, report.dtype) == (100, 130, "uint16")
    assert "out.tif: 3 frames of up to 130 x 100 x 1 uint16" in str(report)
    report = imgpipe.run(stack, invert(), stack.with_name("out.tif"), workers=1, page=0)
    assert "out.tif: 80 x 60 x 3 uint8" in str(report)


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
    assert "has several frames, and files of JPEG hold one: only frame 0" in said


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


def many(path: Path, count: int = 7, **options: object) -> list[Pixels]:
    """Write a TIFF file of small pages, and return them."""
    pages = [RANDOM.integers(0, 255, (30 + 7 * (n % 3), 40, 3), np.uint8) for n in range(count)]
    with tifffile.TiffWriter(path) as out:
        for page in pages:
            out.write(page, photometric="rgb", **options)
    return pages


def test_small_frames_are_made_at_once(tmp_path: Path) -> None:
    path, meeting = tmp_path / "in.tif", threading.Barrier(2)
    pages = many(path, 4)

    def meet(chunk: Pixels) -> Pixels:
        meeting.wait(60)  # for the same of another frame
        return chunk

    imgpipe.run(path, meet, tmp_path / "out.tif", halo=0, workers=2, executor="threads")
    for number, page in enumerate(pages):
        assert (tifffile.imread(tmp_path / "out.tif", key=number) == page).all()


@pytest.mark.parametrize("chain", ["blur:1", "autocontrast | blur:1", "rotate:90"])
@pytest.mark.parametrize("save", [{}, {"compression": "none"}, {"tile": "32x32", "pyramid": True}])
def test_frames_at_once_make_the_same_bytes(
    chain: str, save: dict[str, object], tmp_path: Path
) -> None:
    path, alone, together = (tmp_path / f"{name}.tif" for name in ("in", "1", "2"))
    many(path, compression="deflate")
    imgpipe.run(path, chain, alone, workers=1, save=save)
    imgpipe.run(path, chain, together, workers=3, executor="threads", save=save)
    assert alone.read_bytes() == together.read_bytes()


@pytest.mark.parametrize("after", ["gif", "webp", "apng", "avif"])
def test_animations_at_once_make_the_same_bytes(after: str, tmp_path: Path) -> None:
    path, outs = tmp_path / "in.gif", [tmp_path / f"{workers}.{after}" for workers in (1, 2)]
    path.write_bytes(filmed(format_for("in.gif"), FEW_COLOURS * 3, Timing((0.1,) * 9, 0)))
    for workers, out in enumerate(outs, 1):
        executor = "processes" if workers > 1 else None
        imgpipe.run(path, invert(), out, workers=workers, executor=executor)
    assert outs[0].read_bytes() == outs[1].read_bytes()


def test_frames_at_once_stay_within_the_plan(tmp_path: Path) -> None:
    path, out = tmp_path / "in.tif", tmp_path / "out.tif"
    with tifffile.TiffWriter(path) as writer:
        for _ in range(7):
            writer.write(shape=(1000, 1500, 3), dtype=np.uint8, photometric="rgb")
    planned = partial(plan_run, path, blur(sigma=1), out, workers=3, executor="threads")
    plan, alone = planned(), planned(page=0)
    assert (plan.frames, plan.at_once) == (7, 6)
    assert "7, 6 at once; this plan takes the most memory" in str(plan)
    assert plan.memory > alone.memory
    beside = planned(max_memory="1G").budget - 10**9  # which the limit does not count
    limits = range(plan.memory - beside, 0, -10_000_000)
    tight = next(
        found for limit in limits if (found := planned(max_memory=limit)).at_once < plan.at_once
    )
    assert tight.at_once > 1
    assert tight.memory <= tight.budget


def test_large_frames_are_made_one_after_the_other(tmp_path: Path) -> None:
    path, out = tmp_path / "in.tif", tmp_path / "out.tif"
    with tifffile.TiffWriter(path) as writer:
        for _ in range(2):
            writer.write(shape=(2600, 2600, 3), dtype=np.uint8, photometric="rgb")
    plan = plan_run(path, invert(), out, workers=2, executor="threads")
    assert plan.at_once == 1
    assert len(plan.tiler) > 1


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_damage_in_a_frame_that_is_made_at_once_leaves_nothing(
    executor: str, tmp_path: Path
) -> None:
    path, out = tmp_path / "in.tif", tmp_path / "out.tif"
    many(path, compression="deflate")
    with tifffile.TiffFile(path) as file:
        start = file.pages[3].dataoffsets[0]
    data = bytearray(path.read_bytes())
    data[start + 50 : start + 90] = bytes(40)
    path.write_bytes(data)
    files = len(os.listdir("/proc/self/fd"))
    with pytest.raises(CorruptError):
        imgpipe.run(path, blur(sigma=1), out, workers=2, executor=executor)
    assert [each.name for each in tmp_path.iterdir()] == ["in.tif"]
    if executor == "threads":
        assert len(os.listdir("/proc/self/fd")) == files


def test_progress_counts_the_pixels_of_all_frames(tmp_path: Path) -> None:
    path, events, control = tmp_path / "in.tif", list[Event](), Control()
    pages = many(path)
    progress = []

    def watch(event: Event) -> None:
        events.append(event)
        progress.append(control.progress)

    imgpipe.run(
        path, "autocontrast", tmp_path / "out.tif", workers=2, executor="threads",
        on_event=watch, control=control,
    )  # fmt: skip
    (started,) = (each for each in events if isinstance(each, Started))
    total = sum(page.shape[0] * page.shape[1] for page in pages)
    assert (started.pixels, started.earlier) == (total, total)
    done = [each.kind for each in events if isinstance(each, TaskDone)]
    assert started.tasks == len(done) - done.count("merge")
    written = [each.pixels for each in events if isinstance(each, Written)]
    assert written == sorted(written)
    assert written[-1] == total
    assert progress == sorted(progress)
    assert progress[-1] == 1


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
    frames = FEW_COLOURS[:1] if before == "tif" and after in ("png", "webp") else FEW_COLOURS
    assert report.frames == found.frames == len(frames)
    for page, frame in enumerate(frames):
        assert (imgpipe.read(out, page=page) == 255 - frame).all()
    if after == "tif":
        assert ("do not keep the timing" in caplog.text) == (before != "tif")
    elif before != "tif":
        assert found.timing == TIMING
        assert len(caplog.messages) == (after == "gif"), "of its colours"


@pytest.mark.parametrize("suffix", ["png", "apng", "webp", "avif"])
def test_pages_are_no_animation_where_nobody_expects_one(
    stack: Path, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    out = stack.with_name(f"out.{suffix}")
    report = imgpipe.run(stack, invert(), out, workers=1)
    assert report.frames == describe(out).contents.frames == 1
    (said,) = (record.getMessage() for record in caplog.records)
    assert "stack.tif: has 3 pages, which have no timing" in said
    assert "only page 0 is made; for another one give --page N" in said
    imgpipe.run(stack, invert(), out, page=0, workers=1)
    assert len(caplog.records) == 1


def test_pages_become_a_gif_that_shows_them_and_a_line_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, out = tmp_path / "in.tif", tmp_path / "out.gif"
    stack = np.stack(FEW_COLOURS)
    tifffile.imwrite(path, stack, photometric="rgb", metadata=None, software=False)
    imgpipe.run(path, invert(), out, workers=1)
    assert describe(out).contents.timing == Timing((0.1, 0.1, 0.1), 0)
    said, of_colours = caplog.messages
    assert "they become an animation that shows each for 0.1 s" in said
    assert "at most 256 colours are kept" in of_colours


@pytest.mark.parametrize("suffix", ["gif"])
def test_pages_that_the_output_cannot_hold_are_refused_before_it_is_begun(
    stack: Path, suffix: str
) -> None:
    out = stack.with_name(f"out.{suffix}")
    events: list[Event] = []
    with pytest.raises(UsageError, match="frame 1 is 130 x 100 x 1 uint8, but frame 0 is 80 x 60"):
        imgpipe.run(stack, "astype:uint8,range=0..1", out, workers=1, on_event=events.append)
    assert not events


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
    each = [plan_run(stack, blur(sigma=1), out, workers=1, page=page) for page in range(3)]
    assert all_pages.frames == 3
    costs = [plan.cost.shared + plan.cost.per_worker for plan in (all_pages, *each)]
    assert costs[0] == max(costs[1:])
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


@pytest.mark.parametrize("labelled", [True, False])
def test_a_slide_is_not_copied_as_it_is_stored(slide: Path, labelled: bool) -> None:
    if not labelled:
        with tifffile.TiffWriter(slide) as out:
            about = "Aperio Image Library v11\r\nmacro of nobody"
            out.write(PAGES[0], tile=(64, 64), description=about, metadata=None)
    imgpipe.convert(slide, slide.with_name("out.tif"), workers=1)
    with tifffile.TiffFile(slide.with_name("out.tif")) as file:
        assert len(file.pages) == 1
        assert (file.asarray() == tifffile.imread(slide, key=0)).all()
    assert b"macro" not in slide.with_name("out.tif").read_bytes()


def test_another_level_is_read(slide: Path) -> None:
    out = slide.with_name("out.png")
    assert execute(["invert", str(slide), "-o", str(out), "--level", "1", "-q"]) == 0
    assert (imgpipe.read(out) == 255 - imgpipe.read(slide, level=1)).all()
    assert (imgpipe.read(slide, level=1) == imgpipe.read(slide)[::2, ::2]).all()


def test_a_level_that_is_not_there_is_an_error_with_the_count(slide: Path) -> None:
    with pytest.raises(UsageError, match="no pyramid level 2, levels 0 to 1"):
        imgpipe.read(slide, level=2)
    imgpipe.write(PAGES[0], slide.with_name("a.png"))
    with pytest.raises(UsageError, match="no pyramid level 1, only level 0"):
        imgpipe.read(slide.with_name("a.png"), level=1)


def test_a_copy_has_all_pages_and_a_chosen_one_is_no_copy(stack: Path) -> None:
    copy, page = stack.with_name("copy.tif"), stack.with_name("page.tif")
    imgpipe.convert(stack, copy)
    assert copy.read_bytes() == stack.read_bytes()
    imgpipe.convert(stack, page, page=1, workers=1)
    assert describe(page).contents.frames == 1
    assert (imgpipe.read(page)[..., 0] == PAGES[1]).all()
