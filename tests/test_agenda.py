"""The agenda: which outputs are made, which are left, and what stops a batch before it begins."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from imgpipe.batches.agenda import Agenda, Policy, agenda_of, reason_text
from imgpipe.batches.inputs.files import Folder, Found
from imgpipe.batches.journal.digests import file_digest
from imgpipe.batches.journal.freshness import FreshnessCheck
from imgpipe.batches.journal.records import Provenance, Record, Records
from imgpipe.batches.naming.assignments import Assignment
from imgpipe.batches.naming.destination import Destination
from imgpipe.errors import UsageError

PROVENANCE = Provenance("chain", "options", "versions")


class Tree:
    """Sources a to e; outputs of a (recorded) and b (of unknown origin) exist."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "in").mkdir()
        (root / "out").mkdir()
        folder = Folder(str(root / "in"), "")
        for name in "abc":
            (root / "in" / f"{name}.jpg").write_bytes(name.encode())
        self.placed = [Assignment(Found(folder, f"{name}.jpg"), f"{name}.png") for name in "abc"]
        for name in "ab":
            (root / "out" / f"{name}.png").write_bytes(b"output")
        self.records = Records()
        self.record("a")

    def record(self, name: str) -> None:
        status = (self.root / "in" / f"{name}.jpg").stat()
        out = (self.root / "out" / f"{name}.png").stat()
        self.records.ours.add(f"{name}.png")
        self.records.done[f"{name}.png"] = Record(
            f"{name}.png", f"{name}.jpg", status.st_size, status.st_mtime_ns, status.st_ctime_ns,
            file_digest(str(self.root / "in" / f"{name}.jpg")), out.st_size, out.st_mtime_ns,
            out.st_ctime_ns, PROVENANCE,
        )  # fmt: skip

    def agenda(
        self, provenance: Provenance = PROVENANCE, *, journal: bool = True, **policy: bool
    ) -> Agenda:
        freshness_check = FreshnessCheck(self.records, (provenance,)) if journal else None
        destination = Destination(str(self.root / "out"))
        return agenda_of(self.placed, destination, Policy(**policy), freshness_check)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def due(agenda: Agenda) -> dict[str, str]:
    return {output: one.reason for one in agenda.due for output in one.outputs}


def skipped(agenda: Agenda) -> dict[str, str]:
    return {one.output: one.reason for one in agenda.skipped}


def test_outputs_that_exist_stop_the_batch_with_counts_and_ways_on(tree: Tree) -> None:
    with pytest.raises(UsageError) as caught:
        tree.agenda()
    message = str(caught.value)
    assert message.startswith("2 of 3 outputs exist (1 of them up to date), such as ")
    assert message.endswith(
        "; add --resume or --update (make those missing or out of date), "
        "--skip-existing (make those missing) or --overwrite (make all)"
    )


def test_nothing_in_the_way_needs_no_policy(tree: Tree) -> None:
    for name in "ab":
        (tree.root / "out" / f"{name}.png").unlink()
    assert due(tree.agenda(journal=False)) == {"a.png": "new", "b.png": "new", "c.png": "new"}


def test_skipping_makes_what_is_missing(tree: Tree) -> None:
    agenda = tree.agenda(skip=True)
    assert skipped(agenda) == {"a.png": "exists", "b.png": "exists"}
    assert due(agenda) == {"c.png": "new"}


def test_overwriting_makes_everything(tree: Tree) -> None:
    assert due(tree.agenda(overwrite=True)) == {"a.png": "new", "b.png": "new", "c.png": "new"}


def test_resuming_refuses_what_no_run_has_made(tree: Tree) -> None:
    with pytest.raises(UsageError, match=r"without a record in the journal: .*b\.png; to replace"):
        tree.agenda(resume=True)


def test_resuming_with_overwrite_leaves_what_is_current(tree: Tree) -> None:
    agenda = tree.agenda(resume=True, overwrite=True)
    assert skipped(agenda) == {"a.png": "current"}
    assert due(agenda) == {"b.png": "new", "c.png": "new"}


def test_resuming_says_why_for_each(tree: Tree) -> None:
    tree.record("b")
    (tree.root / "in" / "a.jpg").write_bytes(b"another")
    (tree.root / "out" / "b.png").unlink()
    agenda = tree.agenda(resume=True)
    assert due(agenda) == {"a.png": "source changed", "b.png": "output missing", "c.png": "new"}
    assert agenda.reasons == {"source changed": 1, "output missing": 1, "new": 1}


def test_updating_compares_with_the_journal_or_by_time(tree: Tree) -> None:
    os.utime(tree.root / "in" / "b.jpg", (1, 1))
    agenda = tree.agenda(update=True)
    assert skipped(agenda) == {"a.png": "current", "b.png": "source_older"}
    later = (tree.root / "out" / "b.png").stat().st_mtime + 10
    os.utime(tree.root / "in" / "b.jpg", (later, later))
    assert due(tree.agenda(update=True)) == {"b.png": "source changed", "c.png": "new"}


def test_updating_never_trusts_an_old_time_where_the_journal_can_answer(tree: Tree) -> None:
    (tree.root / "in" / "a.jpg").write_bytes(b"another")
    os.utime(tree.root / "in" / "a.jpg", (1, 1))
    assert due(tree.agenda(update=True))["a.png"] == "source changed"


def test_updating_gives_two_seconds_to_the_times_of_fat(tree: Tree) -> None:
    near = (tree.root / "out" / "b.png").stat().st_mtime + 1.5
    os.utime(tree.root / "in" / "b.jpg", (near, near))
    assert skipped(tree.agenda(update=True))["b.png"] == "source_older"


def test_outputs_of_one_source_stand_together(tree: Tree) -> None:
    first = tree.placed[2]
    tree.placed = [first, first._replace(output="c2.png")]
    agenda = tree.agenda()
    assert [one.outputs for one in agenda.due] == [("c.png", "c2.png")]


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (("resume", "update"), "resume and update"),
        (("update", "overwrite"), "update and overwrite"),
        (("skip", "overwrite"), "skip_existing and overwrite"),
        (("skip", "resume", "overwrite"), "resume, skip_existing and overwrite"),
    ],
)
def test_policies_that_contradict_each_other(given: tuple[str, ...], names: str) -> None:
    with pytest.raises(UsageError, match=f"^give only one of {names}$"):
        Policy(**dict.fromkeys(given, True))


def test_reasons_are_plain_words_for_people() -> None:
    told = {reason: reason_text(reason) for reason in ("current", "exists", "source_older", "new")}
    assert told == {
        "current": "up to date",
        "exists": "already there",
        "source_older": "source older",
        "new": "new",
    }
