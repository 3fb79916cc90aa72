"""Renaming: the content of a source decides about the suffix of its output."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import pytest

import imgpipe
from imgpipe.batches.dryrun import DryRun
from imgpipe.batches.events import BatchPlanned, OutputEnded, SourceStarted
from imgpipe.batches.results import Result
from imgpipe.batches.work import smallfiles
from imgpipe.batching import choices_of
from imgpipe.errors import UsageError
from tests.batches import made, tree
from tests.conftest import noise


@pytest.fixture(params=["small", "large"])
def photos(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A JPEG called ``a.png`` and a PNG, which one worker makes, or the crew."""
    if request.param == "large":
        monkeypatch.setattr(smallfiles, "MOST_PIXELS", 1)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    imgpipe.write(noise((20, 30, 3), "uint8"), "in/a.jpg")
    imgpipe.write(noise((20, 30, 3), "uint8"), "in/b.png")
    os.rename("in/a.jpg", "in/a.png")
    return tmp_path


@pytest.mark.parametrize("chain", ["invert", None])
def test_a_suffix_that_is_wrong_becomes_that_of_the_content(
    chain: str | None, photos: Path
) -> None:
    batch = made("in", chain, "out")
    assert batch.exit == 0
    assert sorted(tree("out")) == ["a.jpg", "b.png"]
    assert tree("out")["a.jpg"].startswith(b"\xff\xd8")
    told = {os.path.basename(each.path): each.warnings for each in batch.results}
    assert told["b.png"] == ()
    assert "in/a.png: is a JPEG file; the output is out/a.jpg" in told["a.png"] or chain is None


def test_the_coded_pixels_are_copied(photos: Path) -> None:
    """The bytes are the same as for a source with the right name."""
    made("in", None, "copied")
    Path("right").mkdir()
    os.rename("in/a.png", "right/a.jpg")
    made("right", None, "copied again")
    assert tree("copied")["a.jpg"] == tree("copied again")["a.jpg"]


def test_a_resume_knows_the_new_name(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made("in", "invert", "out")
    before = tree("out")
    with monkeypatch.context() as patch:
        patch.setattr(smallfiles, "make_files", None)  # no image is opened
        again = made("in", "invert", "out", resume=True)
    assert (again.report.done, again.report.skipped) == (0, 2)
    with pytest.raises(UsageError, match="2 of them up to date"):
        made("in", "invert", "out")
    os.remove("out/a.jpg")
    assert made("in", "invert", "out", resume=True).report.done == 1
    assert tree("out") == before


def test_a_dry_run_tells_the_new_name(photos: Path) -> None:
    choices = choices_of("in", "invert", "out", executor="serial", workers=1)
    assert [line.partition(": ")[0] for line in DryRun(choices).lines()][:2] == [
        "in/a.png -> out/a.jpg",
        "in/b.png -> out/b.png",
    ]


def test_an_output_of_another_source_is_never_replaced(photos: Path) -> None:
    imgpipe.write(noise((20, 30, 3), "uint8", seed=1), "in/a.jpg")
    batch = made("in", "invert", "out")
    assert (batch.report.done, batch.report.failed, batch.exit) == (2, 1, 3)
    assert "another source has the output out/a.jpg; rename this source" in batch.failures["a.png"]
    assert sorted(tree("out")) == ["a.jpg", "b.png"]


def test_a_watch_makes_a_file_again_that_has_changed(photos: Path) -> None:
    stop = threading.Event()
    ends: list[str] = []

    def tell(event: object) -> None:
        if isinstance(event, OutputEnded) and event.result.path.endswith("a.png"):
            ends.append(f"{event.result.status} {event.result.output}")
            if len(ends) == 2:
                stop.set()
            else:
                imgpipe.write(noise((20, 31, 3), "uint8"), "new.jpg")
                os.replace("new.jpg", "in/a.png")

    imgpipe.watch("in", "invert", "out", settle=0, poll=0.05, stop=stop, on_batch_event=tell,
                  executor="serial", workers=1)  # fmt: skip
    assert ends == ["done out/a.jpg"] * 2
    assert imgpipe.info("out/a.jpg").width == 31


def test_a_file_in_the_way_is_never_replaced(photos: Path) -> None:
    Path("out").mkdir()
    Path("out/a.jpg").write_text("mine")
    batch = made("in", "invert", "out")
    assert (batch.report.done, batch.report.failed) == (1, 1)
    assert "1 of 1 output exists: " in batch.failures["a.png"]
    assert Path("out/a.jpg").read_text() == "mine"
    assert made("in", "invert", "out", overwrite=True).report.done == 2


def test_a_name_or_format_that_was_chosen_stays(photos: Path) -> None:
    assert made("in", "invert", "out", name="{stem}-x.png").report.done == 2
    assert made("in", "invert", "other", format="png").report.done == 2
    assert sorted(tree("out")) == ["a-x.png", "b-x.png"]
    assert sorted(tree("other")) == ["a.png", "b.png"]
    assert made("in", "invert", "third", name="{stem}-x.{ext}").report.done == 2
    assert sorted(tree("third")) == ["a-x.jpg", "b-x.png"]


def test_a_source_of_another_format_than_before_gets_the_suffix_of_that(photos: Path) -> None:
    made("in", "invert", "out")
    imgpipe.write(noise((20, 31, 3), "uint8"), "in/a.png")
    assert made("in", "invert", "out", resume=True).report.done == 1
    assert sorted(tree("out")) == ["a.jpg", "a.png", "b.png"]
    assert tree("out")["a.png"].startswith(b"\x89PNG")
    assert made("in", "invert", "out", resume=True).report.skipped == 2


def test_a_format_that_was_chosen_before_is_not_that_of_the_next_run(photos: Path) -> None:
    made("in", "invert", "out", format="webp")
    made("in", "invert", "out", name="{stem}-x.tif")
    assert made("in", "invert", "out", resume=True).report.done == 2
    made("in", "invert", "out", name="{stem}-x.{ext}", resume=True)
    kept = ["a-x.jpg", "a-x.tif", "a.jpg", "a.webp", "b-x.png", "b-x.tif", "b.png", "b.webp"]
    assert sorted(tree("out")) == kept


def test_a_source_is_never_replaced(photos: Path) -> None:
    imgpipe.write(noise((20, 30, 3), "uint8", seed=1), "in/a-x.jpg")
    before = tree("in")
    files = ["in/a.png", "in/a-x.jpg"]
    batch = made(files, "invert", "in", name="{stem}-x.{ext}", overwrite=True)
    assert "in/a-x.jpg: this output is the source in/a-x.jpg" in batch.failures["a.png"]
    assert tree("in").items() >= before.items()


def test_a_dry_run_tells_of_an_output_of_another_source(photos: Path) -> None:
    imgpipe.write(noise((20, 30, 3), "uint8", seed=1), "in/a.jpg")
    dry = DryRun(choices_of("in", "invert", "out", executor="serial", workers=1))
    (line,) = (line for line in dry.lines() if line.startswith("in/a.png"))
    assert "another source has the output out/a.jpg" in line
    assert dry.exit == 3


def test_numbers_go_with_names_that_are_right(photos: Path) -> None:
    made("in", "invert", "out", name="{index}.{ext}")
    again = made("in", "invert", "out", name="{index}.{ext}", resume=True)
    assert (again.report.done, again.report.skipped) == (0, 2)


def test_an_output_that_is_made_again_keeps_its_name(photos: Path) -> None:
    made("in", "invert", "out")
    os.remove("out/a.jpg")
    made("in", "invert", "out", resume=True)
    again = made("in", "invert", "out", resume=True)
    assert again.report.skipped == 2
    assert not [each for each in again.events if isinstance(each, SourceStarted)]


def test_a_suffix_that_can_only_be_read_is_no_obstacle(photos: Path) -> None:
    os.rename("in/a.png", "in/a.heic")
    assert made("in", "invert", "out").report.done == 2
    assert sorted(tree("out")) == ["a.jpg", "b.png"]
    assert made("in", "invert", "out", resume=True).report.skipped == 2


def _watched(files: int, **given: Any) -> list[Result]:
    """Return the ends of this many outputs in a watch."""
    stop = threading.Event()
    ends: list[Result] = []

    def tell(event: object) -> None:
        if isinstance(event, OutputEnded):
            ends.append(event.result)
        if len(ends) == files and isinstance(event, OutputEnded | BatchPlanned):
            stop.set()

    imgpipe.watch("in", "invert", "out", settle=0, poll=0.05, stop=stop, on_batch_event=tell,
                  executor="serial", workers=1, **given)  # fmt: skip
    return ends


def test_a_watch_replaces_no_output_of_another_source(photos: Path) -> None:
    imgpipe.write(noise((20, 30, 3), "uint8", seed=1), "in/a.jpg")
    statuses = [each.status for each in _watched(3)]
    assert sorted(statuses) == ["done", "done", "failed"]
    assert sorted(tree("out")) == ["a.jpg", "b.png"]


def test_a_file_that_arrives_later_replaces_no_output_of_a_wrong_suffix(photos: Path) -> None:
    _watched(2)
    before = tree("out")
    imgpipe.write(noise((20, 30, 3), "uint8", seed=1), "in/a.jpg")
    (end,) = _watched(1)
    assert "its output out/a.jpg is that of a.png" in str(end.error)
    assert tree("out") == before


def test_a_watch_that_starts_again_opens_nothing(photos: Path) -> None:
    _watched(2)
    assert _watched(0) == []
