"""Frames: all images of a file go into one output, one after the other."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile

import imgpipe
from imgpipe.cli import execute
from imgpipe.errors import CorruptError, UsageError
from imgpipe.events import Event, Finished, Started, Written
from imgpipe.filters import blur, invert
from imgpipe.image import Pixels

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
