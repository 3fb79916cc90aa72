"""A folder that is watched: which files are taken, when, and how often. No time passes here."""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile

from imgpipe.batches.agenda import Policy
from imgpipe.batches.naming.outputnames import OutputNames
from imgpipe.batches.naming.template import Template
from imgpipe.batches.results import Result
from imgpipe.batches.watch.hints import HintsLost
from imgpipe.batches.watch.readiness import UNFINISHED
from tests.watching import FakeHints, Watched, image

# --- when a file is complete ------------------------------------------------------------


def test_a_file_is_taken_after_it_was_quiet_for_a_while(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    image(watched.inbox / "a.png")
    watched.hint("a.png")
    assert watched.turn() == []
    assert watched.turn(1.9) == []
    assert watched.turn(0.1) == ["a.png"]
    assert watched.turn(100) == []


def test_a_writer_may_pause_ten_times(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    path = watched.inbox / "a.png"
    with path.open("wb") as file:
        watched.hint("a.png")
        for number in range(10):
            file.write(bytes([number]) * 1000)
            file.flush()
            os.utime(path, ns=(0, number))  # the clock of files is coarse
            assert watched.turn(1.5) == []
    watched.hint("a.png")
    assert watched.turn() == watched.turn(1.5) == []
    assert watched.turn(0.5) == ["a.png"]


def test_a_writer_may_close_and_open_the_file_five_times(tmp_path: Path) -> None:
    """Every event begins the quiet anew, although nothing has changed."""
    watched = Watched(tmp_path)
    image(watched.inbox / "a.png")
    for _ in range(5):
        watched.hint("a.png")
        assert watched.turn(1.9) == []
    assert watched.turn(0.1) == []  # the last event was seen 0.1 s ago
    assert watched.turn(1.9) == ["a.png"]


def test_a_file_that_is_renamed_into_its_place_is_taken_at_once(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    image(tmp_path / "elsewhere.png")
    os.rename(tmp_path / "elsewhere.png", watched.inbox / "a.png")
    watched.hint("a.png", renamed=True)
    assert watched.turn() == ["a.png"]


def test_a_file_that_is_written_after_its_rename_has_to_be_quiet(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    image(watched.inbox / "a.png")
    watched.hint("a.png", renamed=True)
    watched.hint("a.png")
    assert watched.turn() == []
    assert watched.turn(2) == ["a.png"]


@pytest.mark.parametrize("way", ["link", "copy"])
def test_hard_links_and_copies_with_old_times_are_new_files(way: str, tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    image(tmp_path / "old.png")
    os.utime(tmp_path / "old.png", (1e9, 1e9))
    (os.link if way == "link" else shutil.copy2)(tmp_path / "old.png", watched.inbox / "a.png")
    watched.hint("a.png")
    assert watched.settle() == ["a.png"]


@pytest.mark.parametrize("end", UNFINISHED)
def test_unfinished_files_are_taken_under_their_final_name(end: str, tmp_path: Path) -> None:
    """So do rsync, browsers and scanners."""
    watched = Watched(tmp_path)
    image(tmp_path / "x.png")
    shutil.copy(tmp_path / "x.png", watched.inbox / f"a.png{end}")
    watched.hint(f"a.png{end}")
    assert watched.settle() == []
    os.rename(watched.inbox / f"a.png{end}", watched.inbox / "a.png")
    watched.hint("a.png", renamed=True)
    assert watched.turn() == ["a.png"]


def test_a_hidden_file_waits_for_its_final_name_too(tmp_path: Path) -> None:
    """Even where hidden files are images like others."""
    watched = Watched(tmp_path, hidden=True)
    image(watched.inbox / ".a.png.x7Bq.png")
    watched.hint(".a.png.x7Bq.png")
    assert watched.settle() == watched.turn(60) == []
    os.rename(watched.inbox / ".a.png.x7Bq.png", watched.inbox / "a.png")
    watched.hint("a.png", renamed=True)
    assert watched.turn() == ["a.png"]


def test_an_empty_file_waits_for_its_content(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    (watched.inbox / "a.png").touch()
    watched.hint("a.png")
    assert watched.settle() == []
    assert watched.turn(1000) == []
    image(watched.inbox / "a.png")
    watched.hint("a.png")
    assert watched.settle() == ["a.png"]


def test_an_image_that_is_a_folder_is_complete_when_all_in_it_is_quiet(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    part = watched.inbox / "a.zarr" / "c" / "0"
    part.mkdir(parents=True)
    watched.hint("a.zarr", folder=True)
    for number in range(4):
        (part / str(number)).write_bytes(b"x" * 100)
        watched.hint(f"a.zarr/c/0/{number}")
        assert watched.turn(1.5) == []
    assert watched.turn(2) == ["a.zarr"]


# --- hints and scans --------------------------------------------------------------------


def test_a_scan_finds_what_no_event_has_told(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    image(watched.inbox / "a.png")
    assert watched.turn(59) == []
    assert watched.turn(1) == []
    assert watched.turn(2) == ["a.png"]


def test_lost_events_are_made_good_by_a_scan(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    for number in range(20):
        image(watched.inbox / f"new{number % 4}" / f"{number}.png")
    watched.hints.receive(HintsLost())
    assert len(watched.settle()) == 20


def test_files_in_new_folders_are_found_whatever_order_events_have(tmp_path: Path) -> None:
    """5,000 files in 100 new folders: none is lost, and none is taken twice."""
    watched = Watched(tmp_path)
    names = [f"{number % 100}/deep/{number}.png" for number in range(5000)]
    image(tmp_path / "x.png")
    for name in names:
        path = watched.inbox / name
        if not path.parent.exists():
            path.parent.mkdir(parents=True)
            watched.hint(os.path.dirname(os.path.dirname(name)), folder=True)
        os.link(tmp_path / "x.png", path)
    chance = random.Random(3)
    for name in chance.sample(names, 300):  # of all others, and of the inner folders, none came
        watched.hint(name)
        if chance.random() < 0.02:
            watched.turn(0.01)
    watched.hints.receive(HintsLost())
    watched.settle()
    for _ in range(3):
        watched.turn(60)
    assert sorted(watched.begun) == sorted(names)


def test_hints_about_folders_that_are_not_entered_scan_only_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(tmp_path)
    (watched.inbox / "@eaDir").mkdir()
    scans: list[int] = []
    scanner = watched.box._scanner
    everything = scanner.everything
    monkeypatch.setattr(scanner, "everything", lambda: scans.append(1) or everything())
    for number in range(10):
        image(watched.inbox / "@eaDir" / f"{number}.png")
        watched.hint(f"@eaDir/{number}.png")
        assert watched.turn(3) == []
    assert len(scans) == 1


# --- once, and again after a change -----------------------------------------------------


def test_a_file_that_changes_while_it_waits_is_taken_once_as_it_is_then(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    image(watched.inbox / "a.png")
    watched.turn(60)
    watched.clock.now += 2
    watched.box.turn()
    assert len(watched.feed) == 1
    image(watched.inbox / "a.png", 200)
    watched.hint("a.png")
    assert watched.turn() == []
    assert watched.turn(2) == ["a.png"]
    watched.make("a.png")
    assert watched.turn(60) == watched.turn(60) == []


def pages(path: Path, value: int = 0) -> None:
    """Write a file with three pages."""
    tifffile.imwrite(path, np.full((3, 4, 5, 3), value, np.uint8), photometric="rgb")


def test_every_page_of_a_file_is_made(tmp_path: Path) -> None:
    watched = Watched(tmp_path, naming=OutputNames(Template("{stem}-{page}.png"), ("png",)))
    pages(watched.inbox / "a.tif")
    watched.hint("a.tif")
    assert watched.settle() == ["a.tif"] * 3


def test_pages_that_wait_while_their_file_changes_are_made_of_the_new_one(tmp_path: Path) -> None:
    watched = Watched(tmp_path, naming=OutputNames(Template("{stem}-{page}.png"), ("png",)))
    path = watched.inbox / "a.tif"
    pages(path)
    watched.hint("a.tif")
    watched.turn()
    watched.clock.now += 2
    watched.box.turn()
    assert watched.feed.next() is not None
    pages(path, 200)
    assert watched.turn() == []
    watched.feed.ended(Result(str(path), "a-0.png", "done"))
    assert watched.settle() == ["a.tif"] * 3
    assert watched.settle() == []


def test_a_file_that_changes_while_it_is_made_is_made_again_afterwards(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    image(watched.inbox / "a.png")
    watched.hint("a.png")
    assert watched.settle() == ["a.png"]
    image(watched.inbox / "a.png", 200)
    watched.hint("a.png")
    assert watched.settle() == watched.settle() == []
    watched.make("a.png")
    image(watched.inbox / "a.png", 100)
    assert watched.settle() == ["a.png"]
    watched.make("a.png")
    assert watched.turn(60) == watched.turn(60) == []


@pytest.mark.parametrize("fail", [False, True])
def test_an_ended_file_is_not_taken_again_until_it_changes(fail: bool, tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    image(watched.inbox / "a.png")
    watched.hint("a.png")
    assert watched.settle() == ["a.png"]
    watched.make("a.png", fail=fail)
    for _ in range(3):
        assert watched.turn(60) == []
    os.link(watched.inbox / "a.png", tmp_path / "backup")  # changes the inode, not the file
    for _ in range(3):
        assert watched.turn(60) == []
    image(watched.inbox / "a.png", 200)
    watched.hint("a.png")
    assert watched.settle() == ["a.png"]


def test_a_file_whose_permissions_are_mended_is_tried_again(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    image(watched.inbox / "a.png")
    watched.hint("a.png")
    watched.settle()
    watched.make("a.png", fail=True)
    watched.turn()
    (watched.inbox / "a.png").chmod(0o600)
    assert watched.turn(60) + watched.turn(2) == ["a.png"]


# --- restarts ---------------------------------------------------------------------------


def test_after_a_restart_the_journal_tells_what_is_done(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    for name in ("done", "failed", "begun", "changed"):
        image(watched.inbox / f"{name}.png")
        watched.hint(f"{name}.png")
    watched.settle()
    watched.make("done.png")
    watched.make("failed.png", fail=True)
    watched.make("changed.png")
    watched.stop()
    image(watched.inbox / "changed.png", 9)
    watched.start()
    assert watched.settle() == ["begun.png", "changed.png"]
    watched.stop()
    watched.start(retry_failed=True)
    assert watched.settle() == ["begun.png", "changed.png", "failed.png"]


def test_a_restart_looks_into_no_file_that_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = Watched(tmp_path)
    image(watched.inbox / "a.png")
    watched.hint("a.png")
    watched.settle()
    watched.make("a.png")
    watched.stop()
    monkeypatch.setattr("imgpipe.batches.journal.digests.open", None, raising=False)
    watched.start()
    assert watched.turn(60) == watched.turn(2) == []


# --- outputs that are in the way --------------------------------------------------------


def test_an_output_of_somebody_else_is_not_replaced(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    image(tmp_path / "out" / "a.png")
    image(watched.inbox / "a.png")
    watched.hint("a.png")
    assert watched.settle() == []
    assert watched.notices() == ["failed"]
    assert watched.turn(60) == watched.turn(60) == []
    watched.stop()
    watched = Watched(tmp_path, policy=Policy(resume=True, overwrite=True))
    assert watched.settle() == ["a.png"]


def test_an_output_that_somebody_puts_there_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    for name in ("new/a.png", "new/b.png"):
        image(watched.inbox / name)
        watched.hint(name)
        assert watched.settle() == (["new/a.png"] if name == "new/a.png" else [])
        image(tmp_path / "out" / "new" / "b.png")
    assert watched.notices() == ["failed"]


def test_two_files_for_one_output_are_no_loss(tmp_path: Path) -> None:
    watched = Watched(tmp_path, naming=OutputNames(formats=("webp",)))
    image(watched.inbox / "a.png")
    watched.hint("a.png")
    assert watched.settle() == ["a.png"]
    image(watched.inbox / "a.tif")
    watched.hint("a.tif")
    assert watched.settle() == []
    (failure,) = watched.box.notices
    assert "its output" in str(getattr(failure, "error", ""))
    assert "--name" in str(getattr(failure, "error", ""))


# --- moves ------------------------------------------------------------------------------


@pytest.fixture
def moving(tmp_path: Path) -> Watched:
    done, failed = tmp_path / "in" / "done", tmp_path / "failed"
    done.mkdir(parents=True)
    failed.mkdir()
    return Watched(tmp_path, move_done=str(done), move_failed=str(failed))


def test_files_are_moved_when_they_are_done_or_have_failed(moving: Watched) -> None:
    for name in ("a.png", "deep/b.png"):
        image(moving.inbox / name)
        moving.hint(name)
    assert moving.settle() == ["a.png", "deep/b.png"]
    moving.make("a.png", fail=True)
    moving.make("deep/b.png")
    assert moving.turn(60) == moving.turn(60) == []
    assert (moving.home / "failed" / "a.png").exists()
    assert (moving.inbox / "done" / "deep" / "b.png").exists()
    assert not any((moving.inbox / name).exists() for name in ("a.png", "deep/b.png"))
    assert moving.notices() == []


def test_a_file_that_was_done_before_a_crash_is_moved_after_it(moving: Watched) -> None:
    image(moving.inbox / "a.png")
    moving.hint("a.png")
    moving.settle()
    moving.make("a.png")  # the line is in the journal, without an event
    moving.stop()
    moving.start()
    assert moving.settle() == []
    assert (moving.inbox / "done" / "a.png").exists()


def test_a_file_that_cannot_be_moved_is_reported_and_stays(
    moving: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    image(moving.inbox / "a.png")
    moving.hint("a.png")
    moving.settle()
    shutil.rmtree(moving.inbox / "done")
    (moving.inbox / "done").touch()
    moving.make("a.png")
    assert moving.turn(60) == moving.turn(60) == []
    assert moving.notices() == ["move_failed"]
    assert (moving.inbox / "a.png").exists()


def test_a_file_that_changed_while_it_was_made_is_not_moved(moving: Watched) -> None:
    image(moving.inbox / "a.png")
    moving.hint("a.png")
    moving.settle()
    moving.make("a.png")
    image(moving.inbox / "a.png", 200)
    assert moving.settle() == ["a.png"]
    assert (moving.inbox / "a.png").exists()


# --- folders without events, and folders that go away -----------------------------------


def test_without_events_the_folder_is_scanned_at_intervals(tmp_path: Path) -> None:
    watched = Watched(tmp_path, FakeHints("the file system (nfs4) does not tell of all changes"))
    assert watched.notices() == ["polling"]
    image(watched.inbox / "a.png")
    assert watched.turn(5) == []
    assert watched.turn(5) == ["a.png"]


def test_an_interval_may_be_given(tmp_path: Path) -> None:
    watched = Watched(tmp_path, FakeHints(""), poll=0.5)
    image(watched.inbox / "a.png")
    assert watched.turn(0.5) == []
    assert watched.turn(2) == ["a.png"]


def test_when_there_are_no_more_events_for_new_folders_it_is_scanned(tmp_path: Path) -> None:
    watched = Watched(tmp_path, FakeHints(places=2))
    assert watched.notices() == []
    for name in ("b", "c"):
        (watched.inbox / name).mkdir()
        watched.hint(name, folder=True)
    watched.turn()
    assert watched.notices() == ["polling"]
    image(watched.inbox / "c" / "a.png")
    assert watched.turn(5) + watched.turn(2) == ["c/a.png"]


def test_an_inbox_that_disappears_is_waited_for(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    image(watched.inbox / "a.png")
    watched.hint("a.png")
    watched.settle()
    os.rename(watched.inbox, tmp_path / "away")
    for _ in range(121):
        assert watched.turn(1) == []
    assert watched.notices() == ["inbox_missing"] * 3
    image(tmp_path / "away" / "b.png")
    os.rename(tmp_path / "away", watched.inbox)
    assert watched.turn(1) + watched.turn(2) == ["b.png"]
    assert watched.notices() == ["inbox_back"]
    assert watched.hints.starts == 2


def test_another_folder_in_the_place_of_the_inbox_gets_events_as_well(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    os.rename(watched.inbox, tmp_path / "away")
    image(watched.inbox / "b.png")
    assert watched.turn(5) + watched.turn(2) == ["b.png"]
    assert watched.hints.starts == 2


def test_a_file_that_fails_because_the_inbox_is_gone_is_tried_again(tmp_path: Path) -> None:
    watched = Watched(tmp_path)
    image(watched.inbox / "a.png")
    watched.hint("a.png")
    watched.settle()
    os.rename(watched.inbox, tmp_path / "away")
    from imgpipe.batches.results import Result

    watched.feed.ended(Result(str(watched.inbox / "a.png"), "a.png", "failed"))
    watched.turn(1)
    os.rename(tmp_path / "away", watched.inbox)
    assert watched.turn(1) + watched.turn(2) == ["a.png"]
