"""The destination: two sources never share an output, and no output is a source."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from imgpipe.batches.inputs.files import Folder, Found
from imgpipe.batches.naming.assignments import Assignment
from imgpipe.batches.naming.destination import Destination, NameRules, probed
from imgpipe.errors import OutputError, UsageError

REMEDY = '--name "{name}.{ext}" keeps them apart'
EVERYTHING = NameRules(case=True, forms=True)
NOTHING = NameRules(case=False, forms=False)


def called(*outputs: str) -> list[Assignment]:
    return placed(*((f"{number}.png", output) for number, output in enumerate(outputs)))


def placed(*pairs: tuple[str, str]) -> list[Assignment]:
    return [
        Assignment(Found(Folder(os.path.dirname(s), ""), os.path.basename(s)), o) for s, o in pairs
    ]


def no_probe(folder: str) -> NameRules:
    raise AssertionError("nothing had to be found out")


def test_different_outputs_need_no_probe(tmp_path: Path) -> None:
    destination = Destination(str(tmp_path), no_probe)
    both = placed(("a.png", "a.webp"), ("b.png", "b.webp"))
    assert destination.one_to_one(both, REMEDY) == both


def test_two_sources_for_one_output_are_refused_with_the_remedy(tmp_path: Path) -> None:
    pairs = [(f"{i}.{kind}", f"{i}.webp") for i in range(12) for kind in ("jpg", "png")]
    with pytest.raises(UsageError) as caught:
        Destination(str(tmp_path)).one_to_one(placed(*pairs), REMEDY)
    lines = str(caught.value).splitlines()
    assert lines[0] == "12 outputs have several sources; nothing was written:"
    assert lines[1] == "  0.webp from 0.jpg, 0.png"
    assert lines[-2:] == ["  and 2 more", REMEDY]


@pytest.mark.parametrize(
    ("first", "second", "same_without"),
    [("IMG.webp", "img.webp", "case"), ("u\u0308.webp", "\u00fc.webp", "forms")],
)
def test_names_are_told_apart_as_the_destination_does(
    first: str, second: str, same_without: str, tmp_path: Path
) -> None:
    both = placed(("1.png", first), ("2.png", second))
    assert Destination(str(tmp_path), lambda _: EVERYTHING).one_to_one(both, REMEDY) == both
    blind = EVERYTHING._replace(**{same_without: False})
    with pytest.raises(UsageError, match="1 output has several sources"):
        Destination(str(tmp_path), lambda _: blind).one_to_one(both, REMEDY)


def test_the_remedy_is_one_that_helps(tmp_path: Path) -> None:
    def told(destination: Destination, *paths: str) -> str:
        both = [Assignment(Found(Folder(f"1/{at}", at), name), "x.png")
                for at, name in map(os.path.split, paths)]  # fmt: skip
        with pytest.raises(UsageError) as caught:
            destination.one_to_one(both, REMEDY)
        return str(caught.value).splitlines()[-1]

    clear, blind = (Destination("out", lambda _, one=one: one) for one in (EVERYTHING, NOTHING))
    assert told(clear, "a/x.png", "b/x.png") == told(blind, "x.jpg", "X.png") == REMEDY
    assert told(clear, "x.png", "X.png") == REMEDY
    assert "out cannot tell these names apart; rename" in told(blind, "x.png", "X.png")
    trees = [Assignment(Found(Folder(at, ""), "x.png"), "x.png") for at in ("1", "2")]
    with pytest.raises(UsageError, match=r"--base DIR, a folder above all sources, gives each"):
        clear.one_to_one(trees, REMEDY)


def test_a_folder_that_is_not_there_yet_is_like_the_one_above(tmp_path: Path) -> None:
    asked: list[str] = []

    def probe(folder: str) -> NameRules:
        asked.append(folder)
        return EVERYTHING

    destination = Destination(str(tmp_path / "new" / "deep"), probe)
    destination.one_to_one(placed(("1.png", "a.png"), ("2.png", "A.png")), REMEDY)
    assert asked == [str(tmp_path)]


def test_the_same_file_by_two_ways_is_made_once(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    os.link(tmp_path / "a.png", tmp_path / "hard.png")
    (tmp_path / "soft.png").symlink_to("a.png")
    ways = placed(
        *((str(tmp_path / name), "out.png") for name in ("a.png", "hard.png", "soft.png"))
    )
    assert Destination(str(tmp_path)).one_to_one(ways, REMEDY) == ways[:1]


def test_two_outputs_of_one_source_need_two_names(tmp_path: Path) -> None:
    (one,) = placed(("a.jpg", "a.png"))
    with pytest.raises(UsageError, match=r"several outputs of a\.jpg have this name"):
        Destination(str(tmp_path)).one_to_one([one, one._replace(tail=1)], REMEDY)


def test_a_real_folder_is_probed_and_left_empty(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    found = probed(str(tmp_path / "x"))
    (tmp_path / "x" / "A").write_bytes(b"")
    assert found.case is not (tmp_path / "x" / "a").exists()
    assert os.listdir(tmp_path / "x") == ["A"]


def test_a_folder_in_which_no_file_can_be_made_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no file can be made here"):
        probed(str(tmp_path / "missing"))


def test_an_output_that_is_the_folder_of_another_one_is_refused(tmp_path: Path) -> None:
    both = placed(("1/a.png", "a.png"), ("2/x.png", "a.png/deep/x.png"))
    told = r"^a\.png from 1/a\.png would be an image, and the folder of a\.png/deep/x\.png from 2/x"
    with pytest.raises(UsageError, match=told):
        Destination(str(tmp_path), lambda _: EVERYTHING).one_to_one(both, REMEDY)


def test_a_folder_is_told_from_an_output_as_the_destination_does(tmp_path: Path) -> None:
    both = placed(("1/a.png", "A.png"), ("2/x.png", "a.png/x.png"))
    assert Destination(str(tmp_path), lambda _: EVERYTHING).one_to_one(both, REMEDY) == both
    with pytest.raises(UsageError, match=r"A\.png from 1/a\.png would be an image, and the folder"):
        Destination(str(tmp_path), lambda _: NOTHING).one_to_one(both, REMEDY)


@pytest.mark.parametrize("link", [False, True])
def test_a_file_in_the_way_of_a_folder_is_refused(link: bool, tmp_path: Path) -> None:
    if link:
        (tmp_path / "a").symlink_to("nowhere")
    else:
        (tmp_path / "a").write_bytes(b"")
    (tmp_path / "real").mkdir()
    (tmp_path / "b").symlink_to("real")
    destination = Destination(str(tmp_path))
    assert destination.existing(called("b/x.png", "c/x.png")) == set()
    with pytest.raises(
        UsageError, match=r"/a: is a file, but has to be the folder of .*/a/b/x\.png"
    ):
        destination.existing(called("c.png", "a/b/x.png"))


def test_existing_outputs(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "dangling.png").symlink_to("nowhere")
    outputs = called("a.png", "b.png", "dangling.png", "sub/a.png", "new/a.png")
    assert Destination(str(tmp_path)).existing(outputs) == {"a.png", "dangling.png"}


@pytest.mark.parametrize("link", [None, os.symlink, os.link])
def test_an_output_that_is_a_source_is_refused(link: object, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    source = tmp_path / "photos" / "a.png"
    source.write_bytes(b"")
    folder = "photos" if link is None else "out"
    if callable(link):
        (tmp_path / "out").mkdir()
        link(source, tmp_path / "out" / "a.png")
    destination = Destination(str(tmp_path / folder))
    one = placed((str(source), "a.png"))
    with pytest.raises(UsageError, match="--in-place"):
        destination.must_hold_no_source(one, destination.existing(one))


def test_an_output_beside_its_source_is_fine(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    (tmp_path / "a.webp").write_bytes(b"")
    destination = Destination(str(tmp_path))
    one = placed((str(tmp_path / "a.png"), "a.webp"))
    destination.must_hold_no_source(one, destination.existing(one))
