"""Sources: where the tree of each begins, and what is an error."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from imgpipe.batches.inputs.namelists import names_in
from imgpipe.batches.inputs.sources import Gathered, gather, is_tree
from imgpipe.batches.inputs.walk import Rules
from imgpipe.errors import UsageError


@pytest.fixture
def scans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("scans/a.tif", "scans/deep/b.tif", "scans/deep/c.png", "scans/y[1].png"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return tmp_path


def belows(gathered: Gathered) -> list[str]:
    return [each.below for each in gathered.files]


ALL = ["a.tif", "y[1].png", "deep/b.tif", "deep/c.png"]


@pytest.mark.parametrize("form", ["scans", "scans/", "./scans", "scans//"])
def test_the_tree_of_a_folder_begins_in_it(form: str, scans: Path) -> None:
    assert belows(gather([form])) == ALL


def test_the_tree_of_a_pattern_begins_before_its_first_wildcard(scans: Path) -> None:
    assert belows(gather(["scans/**/*.tif"])) == ["a.tif", "deep/b.tif"]
    assert belows(gather(["scans/deep/*"])) == ["b.tif", "c.png"]
    assert belows(gather([str(scans / "s*" / "deep")])) == ["scans/deep/b.tif", "scans/deep/c.png"]


def test_a_named_file_keeps_its_name_only(scans: Path) -> None:
    gathered = gather(["scans/deep/b.tif", "scans/a.tif"])
    assert belows(gathered) == ["b.tif", "a.tif"]
    assert [each.path for each in gathered.files] == ["scans/deep/b.tif", "scans/a.tif"]


def test_base_overrides_all_forms(scans: Path) -> None:
    wanted = ["scans/deep/b.tif"]
    for form in ("scans/deep/b.tif", "scans/deep/*.tif", str(scans / "scans/deep/b.tif")):
        assert belows(gather([form], base=".")) == wanted
    assert belows(gather(["scans/deep"], base="scans")) == ["deep/b.tif", "deep/c.png"]
    assert belows(gather([], lists=[["scans/deep/b.tif"]], base="scans/deep")) == ["b.tif"]


def test_a_source_that_is_not_below_the_base_is_refused(scans: Path) -> None:
    (scans / "scans-2").mkdir()
    with pytest.raises(UsageError, match="not below the base"):
        gather(["scans/a.tif"], base="scans-2")


def test_listed_names_keep_their_path_below_the_current_folder(scans: Path) -> None:
    names = ["scans/a.tif", "./scans/deep/../deep/b.tif", str(scans / "scans/y[1].png")]
    assert belows(gather([], lists=[names])) == ["scans/a.tif", "scans/deep/b.tif", "y[1].png"]
    assert belows(gather([], lists=[["scans/deep"]])) == ["scans/deep/b.tif", "scans/deep/c.png"]


def test_a_listed_name_above_the_current_folder_needs_a_base(
    scans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(scans / "scans" / "deep")
    with pytest.raises(UsageError, match="--base"):
        gather([], lists=[["../a.tif"]])
    assert belows(gather([], lists=[["../a.tif"]], base="..")) == ["a.tif"]


def test_another_source_never_changes_the_path_of_a_source(scans: Path) -> None:
    alone = belows(gather(["scans/deep"]))
    assert belows(gather(["scans/deep", "scans/a.tif"]))[: len(alone)] == alone


def test_a_listed_name_keeps_its_path_beside_a_named_file_of_its_folder(scans: Path) -> None:
    both = gather(["scans/a.tif"], lists=[["scans/y[1].png"]])
    assert belows(both) == ["a.tif", "scans/y[1].png"]


def test_an_existing_path_is_no_pattern(scans: Path) -> None:
    assert belows(gather(["scans/y[1].png"])) == ["y[1].png"]
    assert not is_tree("scans/y[1].png")
    assert is_tree("scans/y[12].png")


def test_a_named_file_is_taken_whatever_its_name(scans: Path) -> None:
    (scans / ".hidden").write_bytes(b"")
    assert belows(gather([".hidden"])) == [".hidden"]


def test_the_same_file_is_taken_once(scans: Path) -> None:
    gathered = gather(["scans/a.tif", "scans/a.tif", "scans/*.tif"])
    assert belows(gathered) == ["a.tif"]
    assert gathered.passed_over["same_file"] == 2


def test_a_name_that_does_not_exist_is_refused(scans: Path) -> None:
    with pytest.raises(UsageError, match=r"scans/z\.tif: no such file"):
        gather(["scans/z.tif"])


def test_a_listed_name_that_does_not_exist_is_noted(scans: Path) -> None:
    gathered = gather([], lists=[["scans/gone.tif", "scans/a.tif"]])
    assert gathered.missing == ["scans/gone.tif"]
    assert belows(gathered) == ["scans/a.tif"]


def test_a_source_without_images_is_refused_with_the_reasons(scans: Path) -> None:
    (scans / "texts").mkdir()
    (scans / "texts" / "a.txt").write_bytes(b"")
    with pytest.raises(UsageError, match=r"texts: has no images \(1 passed over: 1 not an image\)"):
        gather(["texts"])
    with pytest.raises(UsageError, match="nothing matched"):
        gather(["scans/*.webp"])
    assert len(gather(["texts", "scans/*.webp"], allow_empty=True).files) == 0


def test_a_folder_whose_name_is_a_pattern_is_named(scans: Path) -> None:
    (scans / "3 [new]").mkdir()
    (scans / "3 [new]" / "n.tif").write_bytes(b"")
    name = os.path.join(os.path.relpath(scans), "3 [new]")
    with pytest.raises(UsageError, match="nothing matched") as caught:
        gather([os.path.join(name, "*.tif")])
    advice = f"{name} is taken as a pattern too: give this folder itself, and --include '*.tif'"
    assert str(caught.value).endswith(advice)
    assert belows(gather([name])) == ["n.tif"]


def test_a_pattern_that_only_misses_the_case_says_so(scans: Path) -> None:
    with pytest.raises(UsageError, match=r"2 files would match, such as scans/a\.tif"):
        gather(["scans/**/*.TIF"])


def test_rules_hold_for_patterns_too(scans: Path) -> None:
    assert belows(gather(["scans/**"], rules=Rules(max_depth=0))) == ["a.tif", "y[1].png"]


def test_names_in_a_list_end_with_a_line_or_a_zero_byte(tmp_path: Path) -> None:
    lines, zeros = tmp_path / "lines", tmp_path / "zeros"
    lines.write_bytes(b"a.png\nb c.png\r\n\ncaf\xe9.png")
    zeros.write_bytes(b"a\nb.png\0c.png\r\0")
    assert list(names_in(str(lines))) == ["a.png", "b c.png", os.fsdecode(b"caf\xe9.png")]
    assert list(names_in(str(zeros), null=True)) == ["a\nb.png", "c.png\r"]


def test_names_come_from_standard_input(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_bytes(b"a.png\nb.png\n")
    with path.open() as file:
        monkeypatch.setattr("sys.stdin", file)
        assert list(names_in("-")) == ["a.png", "b.png"]


def test_a_list_that_cannot_be_read_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="no/such: cannot read this list of files: no such file"):
        list(names_in("no/such"))
    monkeypatch.setattr("sys.stdin", io.StringIO())  # has no descriptor
    with pytest.raises(UsageError, match="standard input"):
        list(names_in("-"))
