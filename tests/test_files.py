"""Files by folder: what they hold, in which order, and how they are counted."""

from __future__ import annotations

from imgpipe.batches.inputs.files import Files, Folder, Found, suffixes_of

TOP, DEEP = Folder("photos", ""), Folder("photos/deep", "deep")
FOUND = [Found(TOP, "a.png"), Found(DEEP, "b.jpg"), Found(DEEP, "c.JPG"), Found(TOP, "d.png")]


def test_files_are_what_was_added_in_this_order() -> None:
    files = Files(FOUND)
    assert list(files) == list(files) == FOUND, "they can be gone through again"
    assert (len(files), FOUND[2] in files, Found(TOP, "b.jpg") in files) == (4, True, False)
    assert [each.below for each in files] == ["a.png", "deep/b.jpg", "deep/c.JPG", "d.png"]


def test_a_folder_is_held_once_for_files_that_stand_together() -> None:
    assert Files(FOUND).folders == [(TOP, ["a.png"]), (DEEP, ["b.jpg", "c.JPG"]), (TOP, ["d.png"])]


def test_files_of_a_folder_are_added() -> None:
    files = Files(FOUND[:1])
    files.add(DEEP, ["b.jpg", "c.JPG"])
    assert list(files) == FOUND[:3]
    assert files.suffixes == {".png": 1, ".jpg": 1, ".JPG": 1}


def test_no_files() -> None:
    assert (len(Files()), list(Files()), bool(Files())) == (0, [], False)


def test_suffixes_are_counted() -> None:
    assert suffixes_of(["a.png", "b.c.png"]) == {".png": 2}
    assert suffixes_of(["a.png", "b.PNG", "png", "c."]) == {".png": 1, ".PNG": 1, "": 1, ".": 1}


def test_a_dot_at_the_begin_of_a_name_begins_no_suffix() -> None:
    assert suffixes_of(["a.png", ".png", "..png", ".b.png"]) == {".png": 2, "": 2}
    assert suffixes_of([".png", "a.png"]) == {"": 1, ".png": 1}
