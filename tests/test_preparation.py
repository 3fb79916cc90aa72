"""Preparing: the work of a batch is known before anything is written."""

from __future__ import annotations

import gc
import json
import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

import imgpipe
from imgpipe.batches import preparation
from imgpipe.batches.agenda import Policy
from imgpipe.batches.choices import Choices
from imgpipe.batches.events import BatchEvent, BatchPlanned
from imgpipe.batches.inputs.files import Folder, Found
from imgpipe.batches.journal.digests import file_digest
from imgpipe.batches.journal.jsonlines import sealed
from imgpipe.batches.journal.records import Record
from imgpipe.batches.naming.outputnames import OutputNames
from imgpipe.batches.naming.template import Template
from imgpipe.batches.preparation import Prepared, prepare
from imgpipe.batches.progress.warningtally import WarningTally
from imgpipe.batches.work.answers import Recipe, Tail
from imgpipe.chains.chain import Chain
from imgpipe.chains.grammar import parse_chain
from imgpipe.errors import UsageError
from tests.batches import tree


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    return tmp_path  # type: ignore[return-value]


def image(path: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    imgpipe.write(np.zeros((2, 3, 3), np.uint8), path)


def choices(*sources: str, chains: tuple[str, ...] = ("blur",), **given: Any) -> Choices:
    tails = tuple(Tail(parse_chain(each) if each else Chain(())) for each in chains)
    return Choices(sources or ("in",), given.pop("folder", "out"), Recipe(tails), **given)


def outputs(prepared: Prepared) -> dict[str, str]:
    return {output: due.reason for due in prepared.agenda.due for output in due.outputs}


def test_a_batch_is_told_of_its_plan() -> None:
    image("in/a.png")
    image("in/b/c.JPG")
    told: list[BatchEvent] = []
    with prepare(choices(), told.append) as prepared:
        assert outputs(prepared) == {"a.png": "new", "b/c.JPG": "new"}
        assert prepared.journal is not None
    assert told == [BatchPlanned(2, {}, 0, {".png .png": 1, ".jpg .jpg": 1})]


def test_nothing_is_written_by_a_dry_run_or_a_refused_batch() -> None:
    image("in/a.png")
    image("in/a.jpg")
    with prepare(choices(), dry=True) as prepared:
        assert prepared.journal is None
    with pytest.raises(UsageError, match="several sources"):
        prepare(choices(naming=OutputNames(formats=("webp",))))
    assert not Path("out").exists()


def test_cycles_are_collected_while_observers_get_events_and_afterwards() -> None:
    image("in/a.png")
    told: list[bool] = []
    prepare(choices(), lambda _: told.append(gc.isenabled())).close()
    assert all(told)
    assert gc.isenabled()
    image("out/a.png")
    with pytest.raises(UsageError, match="exist"):
        prepare(choices())
    assert gc.isenabled()


def test_outputs_never_become_sources() -> None:
    image("in/a.jpg")
    image("in/out/b.jpg")
    naming = OutputNames(formats=("webp",))
    told = choices(folder="in/out", naming=naming)
    with prepare(told) as prepared:
        assert outputs(prepared) == {"a.webp": "new"}
        assert prepared.gathered.passed_over == {"output": 1}
    beside = choices(folder="in", naming=naming, policy=Policy(resume=True))
    with prepare(beside) as prepared:
        record(prepared, "a.webp")
    with prepare(beside) as prepared:
        assert outputs(prepared) == {}
        assert (prepared.sources, prepared.gathered.passed_over["output"]) == (1, 1)


def record(prepared: Prepared, *wanted: str, failed: str = "") -> None:
    """Make outputs, as a batch does."""
    assert prepared.journal is not None
    for due in prepared.agenda.due:
        for output, tail in zip(due.outputs, due.tails, strict=True):
            if output not in wanted:
                continue
            status = os.stat(due.found.path)
            path = prepared.path(output)
            if not failed:
                image(f"{path}.png")
                os.replace(f"{path}.png", path)
            out = os.stat(path) if not failed else status
            prepared.journal.finished([
                Record(
                    output, due.found.below, status.st_size, status.st_mtime_ns,
                    status.st_ctime_ns, file_digest(due.found.path), out.st_size,
                    out.st_mtime_ns, time.time_ns(), prepared.provenance[tail], failed,
                )
            ])  # fmt: skip


def test_of_several_outputs_only_those_that_are_missing_are_made() -> None:
    image("in/a.png")
    told = choices(
        chains=("", "resize:2x"),
        naming=OutputNames(templates=(Template("{stem}.png"), Template("{stem}-2.webp"))),
        policy=Policy(resume=True),
    )
    with prepare(told) as prepared:
        assert [(due.outputs, due.tails) for due in prepared.agenda.due] == [
            (("a.png", "a-2.webp"), (0, 1))
        ]
        record(prepared, "a.png")
    with prepare(told) as prepared:
        assert [(due.outputs, due.tails) for due in prepared.agenda.due] == [(("a-2.webp",), (1,))]
        assert prepared.agenda.skipped[0].reason == "current"


def test_failed_outputs_are_tried_again_unless_the_caller_forbids_it() -> None:
    image("in/a.png")
    told = choices(policy=Policy(resume=True))
    with prepare(told) as prepared:
        record(prepared, "a.png", failed="is damaged")
    with prepare(told) as prepared:
        assert outputs(prepared) == {"a.png": "failed before"}
    left = choices(policy=Policy(resume=True), retry_failed=False)
    with prepare(left) as prepared:
        assert prepared.agenda.skipped[0].reason == "failed_before"
    os.utime("in/a.png", (1, 1))
    with prepare(left) as prepared:
        assert outputs(prepared) == {"a.png": "source changed"}


def test_files_that_come_later_are_compared_with_what_was_written_meanwhile() -> None:
    image("in/a.png")
    found = Found(Folder("in", ""), "a.png")
    with prepare(choices(), later=True) as prepared:
        assert outputs(prepared) == {}
        prepared.agenda = prepared.agenda_for([found])
        assert outputs(prepared) == {"a.png": "new"}
        record(prepared, "a.png")
        assert len(prepared.agenda_for([found]).due) == 0


def test_a_file_that_cannot_be_a_source_does_not_stop_the_others() -> None:
    image("in/a.png")
    Path("in/b.heic").write_bytes(b"no image")
    with prepare(choices("in", lists=(["gone.png"],))) as prepared:
        assert outputs(prepared) == {"a.png": "new"}
        assert [(each.path, each.stage) for each in prepared.lost] == [
            ("gone.png", "open"),
            ("in/b.heic", "plan"),
        ]
    with pytest.raises(UsageError, match="can only be read"):
        prepare(choices("in/b.heic"))


def test_a_name_of_a_list_that_ends_in_nothing_to_do_makes_no_journal() -> None:
    image("in/a.png")
    image("out/a.png")
    with prepare(choices(policy=Policy(skip=True))) as prepared:
        assert prepared.journal is None
    assert not Path("out/.imgpipe").exists()


def pages(path: str) -> None:
    with tifffile.TiffWriter(path) as file:
        for level in (10, 20, 30):
            file.write(np.full((4, 5, 3), level, np.uint8), contiguous=False)


def test_each_page_has_outputs_of_its_own_if_their_names_say_which(tmp_path: Path) -> None:
    image("in/a.png")
    pages("in/b.tif")
    report = imgpipe.batch(
        "in", "invert", "out", name="{stem}-{page}.{ext}", format="png", executor="serial"
    )
    assert report.done == 4
    assert sorted(tree("out")) == ["a-0.png", "b-0.png", "b-1.png", "b-2.png"]
    levels = [int(imgpipe.read(f"out/b-{page}.png")[0, 0, 0]) for page in range(3)]
    assert levels == [245, 235, 225]
    again = imgpipe.batch(
        "in", "invert", "out", name="{stem}-{page}.{ext}", format="png", resume=True
    )
    assert (again.done, again.skipped) == (0, 4)


def test_one_page_that_was_asked_for_has_its_number_in_the_name() -> None:
    image("in/a.png")
    pages("in/b.tif")
    report = imgpipe.batch(
        "in/b.tif", None, "out", name="{stem}-{page}.{ext}", page=1, executor="serial"
    )
    assert report.done == 1
    assert sorted(tree("out")) == ["b-1.tif"]


def test_a_resume_needs_the_numbers_of_the_journal() -> None:
    image("in/b.png")
    naming = OutputNames(Template("{index}-{stem}.{ext}"))
    with prepare(choices(naming=naming)) as prepared:
        record(prepared, "1-b.png")
    resume = choices(naming=naming, policy=Policy(resume=True))
    with prepare(resume) as prepared:
        assert prepared.agenda.skipped
    image("in/a.png")
    with pytest.raises(UsageError, match="would be another number"):
        prepare(resume)


def test_a_folder_that_is_an_image_is_current_too() -> None:
    image("in/a.png")
    first = imgpipe.batch("in", None, "out", format="zarr", executor="serial")
    assert first.done == 1
    again = imgpipe.batch("in", None, "out", format="zarr", resume=True)
    assert (again.done, again.skipped) == (0, 1)


def test_a_resume_with_nothing_to_do_opens_no_image() -> None:
    for name in ("in/a.png", "in/b/c.png"):
        image(name)
        os.utime(name, (10**9, 10**9))
    with prepare(choices()) as prepared:
        record(prepared, "a.png", "b/c.png")
    journal = Path("out/.imgpipe/journal.jsonl")
    later = re.sub(rb'"time_ns":(\d+)', lambda m: b'"time_ns":%d' % (int(m[1]) + 10**10),
                   journal.read_bytes())  # fmt: skip
    lines = [json.loads(line) for line in later.splitlines()]
    journal.write_bytes(b"".join(sealed(line) for line in lines if line.pop("sum")))
    opened: list[str] = []
    _watched.append(opened)
    try:
        with prepare(choices(policy=Policy(resume=True))) as prepared:
            assert len(prepared.agenda.skipped) == 2
    finally:
        _watched.clear()
    assert "journal.jsonl" in opened
    assert not [name for name in opened if name.endswith(".png")]


_watched: list[list[str]] = []


def _watch(event: str, given: tuple[Any, ...]) -> None:
    if event == "open" and _watched and isinstance(given[0], str):
        _watched[0].append(os.path.basename(given[0]))


sys.addaudithook(_watch)


def test_other_versions_are_reported_and_made_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    image("in/a.png")
    with prepare(choices()) as prepared:
        record(prepared, "a.png")
    now = preparation.versions() | {"imgpipe": "9.9"}
    monkeypatch.setattr(preparation, "versions", lambda: now)
    with prepare(choices(policy=Policy(resume=True))) as prepared:
        assert outputs(prepared) == {"a.png": "version changed"}
    (message,) = caplog.messages
    assert message.startswith("1 output was made by imgpipe ")
    assert "this is imgpipe 9.9" in message
    assert "--accept-version keeps" in message
    with prepare(choices(policy=Policy(resume=True), accept_version=True)) as prepared:
        assert outputs(prepared) == {}


def test_an_output_is_a_new_file_and_a_hard_link_keeps_the_old_bytes() -> None:
    image("in/a.png")
    image("out/a.png")
    os.link("out/a.png", "kept.png")
    before = Path("kept.png").read_bytes()
    report = imgpipe.batch("in", "invert", "out", overwrite=True, executor="serial")
    assert report.done == 1
    assert Path("kept.png").read_bytes() == before != Path("out/a.png").read_bytes()


def test_files_with_more_pages_than_their_outputs_hold_are_counted() -> None:
    image("in/a.png")
    pages("in/b.tif")
    with tifffile.TiffWriter("in/c.tif") as file:
        for _ in range(2):
            file.write(np.zeros((4, 5, 3), np.uint8), contiguous=False)
    tally = WarningTally()
    with imgpipe.Batch("in", None, "out", format="jpeg", executor="serial") as batch:
        for result in batch:
            tally.note(result)
    (line,) = tally.rest()
    assert line.startswith("warning in 2 outputs: has several frames, and files of JPEG hold one")
    assert line.endswith('-o FOLDER --name "{stem}-{page}.{ext}"')
    assert sorted(tree("out")) == ["a.jpg", "b.jpg", "c.jpg"]
