"""Standings: why an output is made again, and when nothing is opened to know it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from imgpipe.batches.journal.digests import file_digest
from imgpipe.batches.journal.freshness import FRESHNESS, FreshnessCheck
from imgpipe.batches.journal.records import Provenance, Record, Records

PROVENANCE = Provenance("chain", "options", "versions")
LATER_NS = 3_000_000_000


class Files:
    """A source and its output, with the records of a run that made it some time after."""

    def __init__(self, folder: Path) -> None:
        self.source, self.output = folder / "a.jpg", folder / "a.png"
        self.source.write_bytes(b"source")
        self.output.write_bytes(b"output")
        status, out = self.source.stat(), self.output.stat()
        self.record = Record(
            "a.png", "a.jpg", status.st_size, status.st_mtime_ns, status.st_ctime_ns,
            file_digest(str(self.source)), out.st_size, out.st_mtime_ns,
            status.st_ctime_ns + LATER_NS, PROVENANCE,
        )  # fmt: skip
        self.records = Records(done={"a.png": self.record}, ours={"a.png"})
        self.read: list[str] = []

    def freshness(self, provenance: Provenance = PROVENANCE, **choices: bool) -> str:
        def digest(path: str) -> str:
            self.read.append(path)
            return file_digest(path)

        freshness_check = FreshnessCheck(self.records, (provenance,), digest=digest, **choices)
        return freshness_check.of("a.png", str(self.output), str(self.source))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def rewrite_in_the_same_size(files: Files) -> None:
    files.source.write_bytes(b"SOURCE")


def replace_by_an_older_file(files: Files) -> None:
    files.source.write_bytes(b"another")
    os.utime(files.source, (1, 1))


def edit_the_output(files: Files) -> None:
    files.output.write_bytes(b"retouched")


CHANGES: dict[str, Callable[[Files], object]] = {
    "output missing": lambda files: files.output.unlink(),
    "output altered": edit_the_output,
    "source changed": rewrite_in_the_same_size,
    "failed before": lambda files: files.records.failed.update({"a.png": files.record}),
    "new": lambda files: files.records.begun.update({"a.png": ".a.png.part"}),
    "foreign": lambda files: files.records.ours.clear(),
}


@pytest.mark.parametrize("freshness", CHANGES)
def test_the_reason_for_each_change(freshness: str, files: Files) -> None:
    assert files.freshness() == "current"
    CHANGES[freshness](files)
    assert files.freshness() == freshness
    assert freshness in FRESHNESS


@pytest.mark.parametrize(
    ("provenance", "freshness"),
    [
        (replace(PROVENANCE, chain="x"), "filter changed"),
        (replace(PROVENANCE, options="x"), "options changed"),
        (replace(PROVENANCE, versions="x"), "version changed"),
    ],
)
def test_the_reason_for_each_change_of_the_command(
    provenance: Provenance, freshness: str, files: Files
) -> None:
    assert files.freshness(provenance) == freshness


class TestNotSmaller:
    """An output that was left out because it is not smaller than its source."""

    @pytest.fixture
    def left(self, files: Files) -> Files:
        files.output.unlink()
        files.records = Records()
        files.records.note_begun("a.png", ".a.png.part")
        files.records.note(files.record._replace(left="not_smaller"))
        return files

    def test_stays_left_out_while_its_record_is_true(self, left: Files) -> None:
        assert left.freshness() == "not smaller"
        assert left.freshness(replace(PROVENANCE, options="x")) == "options changed"
        rewrite_in_the_same_size(left)
        assert left.freshness() == "source changed"

    def test_is_ours_no_more(self, left: Files) -> None:
        left.output.write_bytes(b"of somebody else")
        assert left.freshness() == "not smaller"
        assert left.freshness(replace(PROVENANCE, options="x")) == "foreign"

    @pytest.mark.parametrize("in_place", [False, True])
    def test_does_not_hide_the_last_output(self, in_place: bool, files: Files) -> None:
        files.records.note(
            files.record._replace(provenance=replace(PROVENANCE, options="x"), left="x")
        )
        assert files.freshness() == "current"
        if in_place:
            files.output = files.source
            files.records.note(files.record._replace(left="not_smaller"))
            assert files.freshness(in_place=True) == "not smaller"

    def test_is_made_if_the_next_attempt_was_not_finished(self, left: Files) -> None:
        left.records.note_begun("a.png", ".a.png.part")
        assert left.freshness() == "new"


def test_other_versions_can_be_accepted(files: Files) -> None:
    assert files.freshness(replace(PROVENANCE, versions="x"), accept_version=True) == "current"


def test_an_older_file_in_the_place_of_the_source_is_noticed(files: Files) -> None:
    replace_by_an_older_file(files)
    assert files.freshness() == "source changed"


def test_nothing_is_read_where_size_and_times_agree(files: Files) -> None:
    assert files.freshness() == "current"
    assert files.read == []


def test_a_source_with_other_times_is_read(files: Files) -> None:
    os.utime(files.source, ns=(1, 1))
    assert files.freshness() == "current"
    assert files.read == [str(files.source)]


def test_a_source_that_was_new_when_it_was_recorded_is_read(files: Files) -> None:
    racy = files.record._replace(time_ns=files.record.ctime_ns + 1)
    files.records.done["a.png"] = racy
    assert files.freshness() == "current"
    assert files.read == [str(files.source)]


def test_checksums_on_request(files: Files) -> None:
    assert files.freshness(checksum=True) == "current"
    assert files.read == [str(files.source)]


class TestChecksumsOfOutputs:
    """They are compared where they were recorded."""

    @pytest.fixture
    def recorded(self, files: Files) -> Files:
        digest = file_digest(str(files.output))
        files.records.done["a.png"] = files.record._replace(out_digest=digest)
        return files

    def test_a_change_that_size_and_time_do_not_show_is_noticed(self, recorded: Files) -> None:
        recorded.output.write_bytes(b"OUTPUT")
        os.utime(recorded.output, ns=(1, recorded.record.out_mtime_ns))
        assert recorded.freshness() == "current"
        assert recorded.freshness(checksum=True) == "output altered"

    def test_another_time_is_no_change(self, recorded: Files) -> None:
        os.utime(recorded.output, ns=(1, 1))
        assert recorded.freshness() == "output altered"
        assert recorded.freshness(checksum=True) == "current"


def test_a_source_in_doubt_without_a_digest_has_changed(files: Files) -> None:
    files.records.done["a.png"] = files.record._replace(digest="")
    assert files.freshness() == "current"
    os.utime(files.source, ns=(1, 1))
    assert files.freshness() == "source changed"


def test_an_output_without_any_record(files: Files) -> None:
    files.records.done.clear()
    files.records.ours.clear()
    assert files.freshness() == "foreign"
    files.output.unlink()
    assert files.freshness() == "new"


def test_a_failure_after_a_success_is_tried_again_and_its_output_is_ours(files: Files) -> None:
    files.records.failed["a.png"] = files.record._replace(failed="torn", time_ns=time.time_ns())
    assert files.freshness() == "failed before"
