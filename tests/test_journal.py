"""The journal: what it holds after crashes, damage and moves, and who may write to it."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from imgpipe.batches.journal import journal as journals
from imgpipe.batches.journal.journal import Journal, read_journal
from imgpipe.batches.journal.jsonlines import checked, path_fields, path_in, sealed
from imgpipe.batches.journal.records import Provenance, Record
from imgpipe.errors import OutputError, UsageError

PROVENANCE = Provenance("chain", "options", "versions")
ONE = Record("a/x.png", "a/x.jpg", 10, 20, 30, "digest", 40, 50, 60, PROVENANCE)
ODD = os.fsdecode(b"caf\xe9/\xff.png")


def journal_of(folder: Path) -> Path:
    return folder / ".imgpipe" / "journal.jsonl"


def test_records_come_back(tmp_path: Path) -> None:
    failed = ONE._replace(output=ODD, source=ODD, out_size=-1, out_mtime_ns=-1, failed="torn")
    left = ONE._replace(output="b.png", out_size=-1, out_mtime_ns=-1, left="not_smaller")
    with Journal(str(tmp_path)) as journal:
        journal.note_versions("versions", {"imgpipe": "0.1.0"})
        journal.finished([ONE, failed, left])
    with Journal(str(tmp_path)) as journal:
        assert journal.records.done == {"a/x.png": ONE}
        assert journal.records.failed == {ODD: failed}
        assert journal.records.left == {"b.png": left}
        assert journal.records.versions == {"versions": {"imgpipe": "0.1.0"}}
        assert journal.records.damaged == 0


def test_the_last_record_of_an_output_counts(tmp_path: Path) -> None:
    with Journal(str(tmp_path)) as journal:
        journal.finished([ONE, ONE._replace(failed="torn"), ONE._replace(size=11)])
    records = read_journal(str(journal_of(tmp_path)))
    assert records.done["a/x.png"].size == 11
    assert records.failed == {}


def test_a_failure_leaves_what_was_finished_before(tmp_path: Path) -> None:
    with Journal(str(tmp_path)) as journal:
        journal.finished([ONE, ONE._replace(failed="torn")])
    records = read_journal(str(journal_of(tmp_path)))
    assert (list(records.done), list(records.failed)) == (["a/x.png"], ["a/x.png"])


def test_an_output_that_was_begun_only_is_known_as_ours(tmp_path: Path) -> None:
    with Journal(str(tmp_path)) as journal:
        journal.begin({"a/x.png": "a/.x.1", "b.png": ".b.2"})
        journal.finished([ONE])
    assert read_journal(str(journal_of(tmp_path))).begun == {"b.png": ".b.2"}


@pytest.mark.parametrize("cut", range(1, 200, 9))
def test_a_torn_last_line_is_dropped_and_more_can_follow(cut: int, tmp_path: Path) -> None:
    with Journal(str(tmp_path)) as journal:
        journal.finished([ONE._replace(output="first.png"), ONE])
    os.truncate(journal_of(tmp_path), journal_of(tmp_path).stat().st_size - cut)
    with Journal(str(tmp_path)) as journal:
        assert list(journal.records.done) == ["first.png"] or cut == 1  # the end of the line only
        journal.finished([ONE._replace(output="later.png")])
    records = read_journal(str(journal_of(tmp_path)))
    assert set(records.done) - {"a/x.png"} == {"first.png", "later.png"}


def test_a_changed_line_costs_its_file_only(tmp_path: Path) -> None:
    with Journal(str(tmp_path)) as journal:
        journal.finished([ONE._replace(output=f"{i}.png") for i in range(3)])
    lines = journal_of(tmp_path).read_bytes().splitlines(keepends=True)
    lines[1] = lines[1].replace(b'"size":10', b'"size":11')
    journal_of(tmp_path).write_bytes(b"".join(lines))
    records = read_journal(str(journal_of(tmp_path)))
    assert list(records.done) == ["0.png", "2.png"]
    assert records.damaged == 1


def test_lines_that_lack_something_are_damage_and_unknown_events_are_not(tmp_path: Path) -> None:
    with Journal(str(tmp_path)):
        pass
    lines = [{"event": "done"}, {"event": "begin", "output": 3}, {"no": "event"}, {"event": "new"}]
    journal_of(tmp_path).write_bytes(b"".join(map(sealed, lines)))
    assert read_journal(str(journal_of(tmp_path))).damaged == 3


def test_there_need_be_no_journal(tmp_path: Path) -> None:
    assert read_journal(str(tmp_path / "none")).done == {}


def test_the_journal_can_be_elsewhere(tmp_path: Path) -> None:
    with Journal(str(tmp_path / "out"), str(tmp_path / "state" / "mine.jsonl")) as journal:
        journal.finished([ONE])
    assert os.listdir(tmp_path / "out") == []
    assert read_journal(str(tmp_path / "state" / "mine.jsonl")).done == {"a/x.png": ONE}


def test_a_file_of_another_kind_is_left_as_it_is(tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(b"\x89PNG\r\n\x1a\nno lines of a journal")
    with pytest.raises(UsageError, match=r"photo\.png: is no journal"):
        Journal(str(tmp_path / "out"), str(photo))
    assert photo.read_bytes() == b"\x89PNG\r\n\x1a\nno lines of a journal"


def test_a_second_run_is_refused_with_the_name_of_the_first(tmp_path: Path) -> None:
    with Journal(str(tmp_path)):
        with pytest.raises(UsageError, match=f"process {os.getpid()} on "):
            Journal(str(tmp_path))
        Journal(str(tmp_path), alone=False).close()
    Journal(str(tmp_path)).close()


def test_a_lock_is_gone_when_its_process_is_gone(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys; from imgpipe.batches.journal.journal import Journal\n"
        "Journal(sys.argv[1]); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert (tmp_path / ".imgpipe" / "lock").stat().st_size
    Journal(str(tmp_path)).close()


def test_a_file_system_without_locks_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "_locks", lambda fd, *, wait: False)
    with Journal(str(tmp_path)) as journal:
        assert not journal.locked
        journal.finished([ONE])
    assert read_journal(str(journal_of(tmp_path))).done == {"a/x.png": ONE}


def test_many_processes_append_whole_lines(tmp_path: Path) -> None:
    code = (
        "import sys; from imgpipe.batches.journal.journal import *\n"
        "from imgpipe.batches.journal.records import *\n"
        "j = Journal(sys.argv[1], alone=False)\n"
        "for i in range(200):\n"
        "    name = f'{sys.argv[2]}-{i}' * 20\n"
        "    j.finished([Record(name, 'x', 1, 2, 3, '', 4, 5, 6, Provenance('', '', ''))])\n"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(i)]) for i in range(4)
    ]
    assert [one.wait() for one in running] == [0] * 4
    records = read_journal(str(journal_of(tmp_path)))
    assert (len(records.done), records.damaged) == (800, 0)


def test_last_lines_have_space_that_is_kept_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []
    write, truncate = os.write, os.ftruncate

    def full(fd: int, data: bytes) -> int:
        if not kept:
            raise OSError(errno.ENOSPC, "full")
        return write(fd, data)

    with Journal(str(tmp_path)) as journal:
        monkeypatch.setattr(os, "ftruncate", lambda fd, size: kept.append(size))
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(OutputError, match="the disk is full"):
            journal.begin({"a/x.png": "a/.x.1"})
        assert not kept, "an output that is begun takes the space of those that are done"
        journal.finished([ONE])
        assert len(kept) == 1
        monkeypatch.setattr(os, "ftruncate", truncate)
    assert read_journal(str(journal_of(tmp_path))).done == {"a/x.png": ONE}
    assert sorted(os.listdir(tmp_path / ".imgpipe")) == ["journal.jsonl", "lock"]


def test_a_full_disk_is_an_output_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "full")

    with Journal(str(tmp_path)) as journal:
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(OutputError, match="cannot write the journal: the disk is full"):
            journal.finished([ONE])


def test_paths_of_any_bytes_survive_a_line() -> None:
    for path in ("plain.png", 'ü \n\t".png', ODD):
        line = sealed(path_fields("path", path))
        assert line.count(b"\n") == 1
        fields = checked(line)
        assert fields is not None
        assert path_in(fields, "path") == path
    assert json.loads(sealed(path_fields("path", ODD)))["path"] == "caf\ufffd/\ufffd.png"


def test_a_journal_is_on_the_disk_with_its_name_and_its_last_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced, fsync = list[tuple[int, int]](), os.fsync

    def noted(fd: int) -> None:
        fsync(fd)
        found = os.fstat(fd)
        synced.append((found.st_ino, found.st_size))

    monkeypatch.setattr(os, "fsync", noted)
    with Journal(str(tmp_path / "a" / "b")) as journal:
        journal.finished([ONE])
    path = journal_of(tmp_path / "a" / "b")
    inodes = [inode for inode, _ in synced]
    for folder in (tmp_path, tmp_path / "a", tmp_path / "a" / "b", path.parent):
        assert folder.stat().st_ino in inodes
    assert synced[-1] == (path.stat().st_ino, path.stat().st_size)


def test_a_file_in_the_way_of_the_output_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"x")
    with pytest.raises(UsageError, match=r"photo\.jpg: the output folder cannot be made"):
        Journal(str(tmp_path / "photo.jpg"))
    assert (tmp_path / "photo.jpg").read_bytes() == b"x"
