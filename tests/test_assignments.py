"""Files whose outputs are called like them: what these are, and how they are found by folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgpipe.batches.agenda import Policy, agenda_of
from imgpipe.batches.inputs.files import Files, Folder, Found
from imgpipe.batches.naming.assignments import Assignment, RenamedAssignments, names_by_folder
from imgpipe.batches.naming.destination import Destination, NameRules
from imgpipe.errors import UsageError

TOP, DEEP, OTHER = Folder("in", ""), Folder("in/d", "d"), Folder("more/d", "d")
FOUND = [Found(TOP, "a.b.jpg"), Found(DEEP, "a.JPG"), Found(OTHER, "c.png")]
SAME = {suffix: (suffix,) for suffix in (".jpg", ".JPG", ".png")}
TWO = dict.fromkeys(SAME, (".webp", ".avif"))
REMEDY = "the remedy"


def test_an_output_is_called_like_its_file() -> None:
    renamed = RenamedAssignments(Files(FOUND), SAME)
    outputs = ["a.b.jpg", "d/a.JPG", "d/c.png"]
    assert list(renamed) == [Assignment(*pair) for pair in zip(FOUND, outputs, strict=True)]
    assert len(renamed) == 3


def test_its_suffix_may_be_another_one() -> None:
    renamed = RenamedAssignments(Files(FOUND), SAME | {".jpg": (".webp",), ".JPG": (".webp",)})
    assert list(renamed.outputs) == [("a.b.webp",), ("d/a.webp",), ("d/c.png",)]


def test_a_file_may_have_several_outputs() -> None:
    renamed = RenamedAssignments(Files(FOUND), TWO)
    assert [each.output for each in renamed][2:4] == ["d/a.webp", "d/a.avif"]
    assert [each.tail for each in renamed] == [0, 1, 0, 1, 0, 1]
    assert len(renamed) == 6


def test_outputs_of_a_folder_stand_together_whatever_way_they_came() -> None:
    renamed = RenamedAssignments(Files(FOUND), SAME)
    assert names_by_folder(renamed) == {"": ["a.b.jpg"], "d": ["a.JPG", "c.png"]}
    assert names_by_folder(list(renamed)) == names_by_folder(renamed)
    assert names_by_folder(RenamedAssignments(Files(FOUND[:1]), TWO)) == {
        "": ["a.b.webp", "a.b.avif"]
    }


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Found(DEEP, "a.png"), Found(OTHER, "a.png")),
        (Found(DEEP, "a.png"), Found(DEEP, "A.png")),
        (Found(DEEP, "a.png"), Found(Folder("in/D", "D"), "a.png")),
        (Found(DEEP, "\u00e4.png"), Found(OTHER, "a\u0308.png")),
        (Found(TOP, "d"), Found(DEEP, "a.png")),
        (Found(TOP, "D"), Found(Folder("in/d/e", "d/e"), "a.png")),
    ],
)
def test_two_files_that_collide_are_refused_in_both_forms(
    one: Found, other: Found, tmp_path: Path
) -> None:
    destination = Destination(str(tmp_path), lambda _: NameRules(case=False, forms=False))
    renamed = RenamedAssignments(Files([one, other]), {".png": (".png",), "": ("",)})
    for placed in (renamed, list(renamed)):
        with pytest.raises(UsageError, match="nothing was written"):
            destination.one_to_one(placed, REMEDY)


@pytest.mark.parametrize("suffixes", [SAME | {".jpg": (".webp",)}, TWO])
def test_new_outputs_are_due(suffixes: dict[str, tuple[str, ...]], tmp_path: Path) -> None:
    renamed = RenamedAssignments(Files(FOUND), suffixes)
    quick = agenda_of(renamed, Destination(str(tmp_path / "out")), Policy())
    slow = agenda_of(list(renamed), Destination(str(tmp_path / "out")), Policy())
    assert list(quick.due) == list(slow.due)
    assert (quick.reasons, quick.suffixes) == (slow.reasons, slow.suffixes)
    assert quick.reasons["new"] == len(renamed)
    assert quick.suffixes[".jpg", ".webp"] == 1
    assert next(iter(quick.due)).outputs[0] == "a.b.webp"
