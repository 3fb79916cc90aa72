"""The record of trials: what it keeps, and what it makes of processes that died."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from imgpipe import trialrecords
from imgpipe.trialrecords import Record, record_path

KEY = "fake 1.0 doubled (|u1,3,()) 0123"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "fake"


def record(path: Path) -> Record:
    """Return the record as a new process has it."""
    return Record(str(path))


def events(path: Path) -> list[str]:
    return [line.partition(" ")[0] for line in path.read_text().split("\n") if line]


def die_in_a_trial(path: Path) -> None:
    """Leave the note of a process that dies in a trial."""
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        file.write(f"\nbegun {KEY}\n")


def test_keeps_an_outcome_for_other_processes(path: Path) -> None:
    for equal in (True, False):
        record(path).note(KEY, equal=equal)
        assert record(path).outcome(KEY) is equal
    assert record(path).outcome(KEY + "4") is None


def test_sees_the_outcomes_of_others_that_come_later(path: Path) -> None:
    early = record(path)
    assert early.outcome(KEY) is None
    record(path).note(KEY, equal=True)
    assert early.outcome(KEY) is True


@pytest.mark.parametrize(("deaths", "may_begin"), [(0, True), (1, True), (2, False), (3, False)])
def test_makes_no_trial_that_has_ended_two_processes(
    deaths: int, may_begin: bool, path: Path
) -> None:
    for _ in range(deaths):
        die_in_a_trial(path)
    with record(path).trial(KEY) as found:
        assert found is may_begin


def test_a_trial_that_ends_does_not_count(path: Path) -> None:
    die_in_a_trial(path)
    with pytest.raises(KeyboardInterrupt), record(path).trial(KEY):
        raise KeyboardInterrupt
    die_in_a_trial(path)
    with record(path).trial(KEY) as may_begin:
        assert may_begin
    assert events(path) == ["begun", "begun", "ended", "begun", "begun", "ended"]


def test_an_outcome_ends_a_trial(path: Path) -> None:
    one = record(path)
    with one.trial(KEY):
        one.note(KEY, equal=True)
    assert events(path) == ["begun", "equal"]


def test_a_trial_at_the_same_time_does_not_count(path: Path) -> None:
    """One that another process makes has no end in the record yet, but it has a lock."""
    for _ in range(3):
        with record(path).trial(KEY) as first, record(path).trial(KEY) as second:
            assert first
            assert second
    assert events(path) == ["begun", "ended"] * 3


@pytest.mark.parametrize("kind", ["folder", "pipe", "file in place of the folder", "no folder"])
def test_without_a_file_nothing_is_kept(kind: str, path: Path) -> None:
    path.parent.mkdir()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "file in place of the folder":
        path.parent.rmdir()
        path.parent.write_text("")
    one = Record("" if kind == "no folder" else str(path))
    assert one.outcome(KEY) is None
    with one.trial(KEY) as may_begin:
        assert may_begin
    one.note(KEY, equal=True)
    assert one.outcome(KEY) is True


def test_a_large_record_begins_anew(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trialrecords, "_RECORD_BYTES", 300)
    for number in range(50):
        record(path).note(f"{KEY}{number}", equal=True)
        assert path.stat().st_size < 500
    assert record(path).outcome(f"{KEY}49") is True


def test_there_is_no_folder_for_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as one whose number is not in the list of the system: ``~`` stands for itself."""
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert not record_path("fake")


def test_a_name_does_not_lead_out_of_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert record_path("../../fake") == "/cache/imgpipe/accelerators/fake"
