"""The walk: what it finds, what it passes over, and why."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from imgpipe.batches.inputs.files import Folder
from imgpipe.batches.inputs.patterns import Pattern
from imgpipe.batches.inputs.walk import Rules, Walk


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def walked(root: Path, rules: Rules | None = None, pattern: str = "") -> tuple[list[str], Walk]:
    walk = Walk(rules or Rules())
    found = walk.through(Folder(str(root), ""), *((Pattern(pattern),) if pattern else ()))
    assert all(os.path.lexists(each.path) for each in found)
    return [each.below for each in found], walk


def test_images_are_found_by_suffix_whatever_its_case(tmp_path: Path) -> None:
    touch(tmp_path, "a.PNG", "b/c.Jpeg", "b/d/e.tif", "notes.txt", "png", "b/Makefile")
    found, walk = walked(tmp_path)
    assert found == ["a.PNG", "b/c.Jpeg", "b/d/e.tif"]
    assert walk.passed_over == {"not_image": 3}


def test_a_name_without_a_dot_is_no_image(tmp_path: Path) -> None:
    touch(tmp_path, "png", "jpg")
    assert walked(tmp_path)[0] == []


def test_files_stand_in_the_order_of_their_names(tmp_path: Path) -> None:
    touch(tmp_path, "b.png", "a/z.png", "a/b/y.png", "c.png", "a/a.png")
    assert walked(tmp_path)[0] == ["b.png", "c.png", "a/a.png", "a/z.png", "a/b/y.png"]


def test_hidden_names_are_passed_over_between_any_others(tmp_path: Path) -> None:
    touch(tmp_path, "-a.png", "a.png")
    assert walked(tmp_path)[0] == ["-a.png", "a.png"]
    for hidden in (".a.png", "..png"):
        touch(tmp_path, hidden, " a.png")
        assert walked(tmp_path)[0] == [" a.png", "-a.png", "a.png"]


def test_hidden_names_and_junk_are_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "._a.png", ".b.png", ".cache/c.png")
    touch(tmp_path, "@eaDir/a.png", "#recycle/d.png", "__MACOSX/e.png", "lost+found/f.png")
    found, walk = walked(tmp_path)
    assert found == ["a.png"]
    assert walk.passed_over == {"hidden": 3, "junk": 4}


def test_hidden_files_on_request_but_never_those_of_macos(tmp_path: Path) -> None:
    touch(tmp_path, "._a.png", ".b.png", ".cache/c.png", ".thumbnails/d.png")
    found, walk = walked(tmp_path, Rules(hidden=True))
    assert found == [".b.png", ".cache/c.png"]
    assert walk.passed_over == {"hidden": 1, "junk": 1}


def test_a_folder_with_a_journal_is_an_earlier_output(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "out/a.png", "out/.imgpipe/journal.jsonl")
    found, walk = walked(tmp_path)
    assert found == ["a.png"]
    assert walk.passed_over == {"earlier_output": 1}
    assert walked(tmp_path / "out")[0] == ["a.png"], "named, it is a source"


def test_the_output_folder_is_left_out_by_what_it_is_not_by_its_name(tmp_path: Path) -> None:
    touch(tmp_path, "out/a.png", "out-of-focus/b.png", "c/out/d.png")
    status = (tmp_path / "out").stat()
    found, walk = walked(tmp_path, Rules(outputs=((status.st_dev, status.st_ino),)))
    assert found == ["c/out/d.png", "out-of-focus/b.png"]
    assert walk.passed_over == {"output": 1}


def test_links_to_files_are_taken_once_and_inside_the_tree_only(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    touch(tmp_path, "tree/a.png", "tree/.hidden/b.png", "outside/c.png", "tree-2/d.png")
    (tree / "to_a.png").symlink_to("a.png")
    (tree / "to_b.png").symlink_to(".hidden/b.png")
    (tree / "to_c.png").symlink_to("../outside/c.png")
    (tree / "to_d.png").symlink_to("../tree-2/d.png")
    (tree / "to_nothing.png").symlink_to("nothing.png")
    (tree / "to_folder").symlink_to(".hidden")
    found, walk = walked(tree)
    assert found == ["a.png", "to_b.png"]
    assert walk.passed_over == {
        "hidden": 1,
        "same_file": 1,
        "link_outside": 2,
        "link_to_nothing": 1,
        "link_to_folder": 1,
    }


def test_followed_links_take_each_file_once_and_never_loop(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    touch(tmp_path, "tree/a.png", "outside/c.png", "tree/sub/e.png")
    (tree / "again.png").symlink_to("a.png")
    (tree / "linked").symlink_to("../outside")
    (tree / "sub" / "up").symlink_to("..")
    (tree / "sub" / "root").symlink_to("/")  # above the folder in which the walk begins
    found, walk = walked(tree, Rules(follow=True))
    assert found == ["a.png", "linked/c.png", "sub/e.png"]
    assert walk.passed_over == {"same_file": 1, "loop": 2}


def test_hard_links_are_files_of_their_own(tmp_path: Path) -> None:
    touch(tmp_path, "a.png")
    os.link(tmp_path / "a.png", tmp_path / "b.png")
    assert walked(tmp_path)[0] == ["a.png", "b.png"]


def test_depth_is_limited(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "b/c.png", "b/d/e.png")
    assert walked(tmp_path, Rules(max_depth=0))[0] == ["a.png"]
    found, walk = walked(tmp_path, Rules(max_depth=1))
    assert found == ["a.png", "b/c.png"]
    assert walk.passed_over == {"too_deep": 1}


def test_exclude_wins_over_include(tmp_path: Path) -> None:
    touch(tmp_path, "a1.png", "a2.png", "b1.png", "skip/a3.png", "keep/a4.png")
    rules = Rules(
        include=(Pattern("a*"),), exclude=(Pattern("*2*"), Pattern(os.path.join("skip", "*")))
    )
    assert walked(tmp_path, rules)[0] == ["a1.png", "keep/a4.png"]


def test_chosen_suffixes(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "b.TIF", "c.jpg")
    (tmp_path / "link.gif").symlink_to("a.png")
    (tmp_path / "notes.txt").touch()
    found, walk = walked(tmp_path, Rules(suffixes=(".tif", "jpg")))
    assert found == ["b.TIF", "c.jpg"]
    assert walk.passed_over == {"other_suffix": 2, "not_image": 1}


def test_patterns_follow_the_rules_of_folders(tmp_path: Path) -> None:
    touch(tmp_path, "a/x.tif", "a/.hidden/y.tif", "a/b/z.tif", "a/w.png", "b/v.tif")
    assert walked(tmp_path, pattern="a/**/*.tif")[0] == ["a/x.tif", "a/b/z.tif"]
    assert walked(tmp_path, pattern="*/*.tif")[0] == ["a/x.tif", "b/v.tif"]


def test_a_folder_that_a_pattern_matches_is_walked(tmp_path: Path) -> None:
    touch(tmp_path, "day1/a.png", "day1/b/c.png", "night/d.png")
    assert walked(tmp_path, pattern="day*")[0] == ["day1/a.png", "day1/b/c.png"]


def test_a_zarr_folder_is_one_image(tmp_path: Path) -> None:
    touch(tmp_path, "a.ome.zarr/zarr.json", "a.ome.zarr/0/thumbnail.png", "b.png")
    assert walked(tmp_path)[0] == ["a.ome.zarr", "b.png"]


def test_special_files_are_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    touch(tmp_path, "a.png")
    found, walk = walked(tmp_path)
    assert found == ["a.png"]
    assert walk.passed_over == {"special_file": 1}


def test_other_files_are_collected_on_request(tmp_path: Path) -> None:
    touch(tmp_path, "a.png", "b/notes.txt", "b/.hidden.txt")
    walk = Walk(Rules(others=True))
    walk.through(Folder(str(tmp_path), ""))
    assert [other.below for other in walk.others] == ["b/notes.txt"]


@pytest.mark.parametrize("error", [FileNotFoundError, PermissionError])
def test_a_folder_that_cannot_be_read_stops_nothing(
    error: type[OSError], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    touch(tmp_path, "a.png", "gone/b.png", "z/c.png")
    scandir = os.scandir

    def failing(path: str) -> object:
        if path.endswith("gone"):
            raise error(path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", failing)
    found, walk = walked(tmp_path)
    assert found == ["a.png", "z/c.png"]
    assert [path for path, _ in walk.unreadable] == [str(tmp_path / "gone")]


def test_odd_names_are_taken_as_they_are(tmp_path: Path) -> None:
    names = ["y[1].png", "a b.png", "a\nb.png", "-r.png", "~.png", "$HOME.png", "{stem}.png"]
    names += ["u\u0308.png", "ü.png", "n" * 251 + ".png", os.fsdecode(b"caf\xe9.png")]
    touch(tmp_path, *names)
    assert sorted(walked(tmp_path)[0]) == sorted(names)


def test_progress_is_reported_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("imgpipe.batches.inputs.walk._SAY_EVERY", 2)
    touch(tmp_path, "a/1.png", "b/2.png", "b/3.png", "c/4.png", "c/5.png")
    told: list[int] = []
    Walk(on_count=told.append).through(Folder(str(tmp_path), ""))
    assert told == [3, 5]
