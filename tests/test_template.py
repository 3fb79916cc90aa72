"""Names of outputs: the variables of a template, and the folder that it cannot leave."""

from __future__ import annotations

import os

import pytest

from imgpipe.batches.inputs.files import Folder, Found
from imgpipe.batches.naming.template import VARIABLES, Template
from imgpipe.errors import UsageError

FOUND = Found(Folder("/data/photos/2024/may", "2024/may"), "cat.photo.JPG")
VALUES: dict[str, str | int] = {
    "ext": "webp",
    "filter": "blur",
    "width": 640,
    "height": 480,
    "size": 800,
    "page": 3,
    "index": 7,
}


@pytest.mark.parametrize(
    ("template", "path"),
    [
        ("{stem}.{ext}", "2024/may/cat.photo.webp"),
        ("{name}.{ext}", "2024/may/cat.photo.JPG.webp"),
        ("{stem}-{width}x{height}.{ext}", "2024/may/cat.photo-640x480.webp"),
        ("{parent}_{index:04}.{ext}", "2024/may/may_0007.webp"),
        ("{parent}_{index:04d}.{ext}", "2024/may/may_0007.webp"),
        ("{dir}/{filter}/{stem}.{ext}", "2024/may/blur/cat.photo.webp"),
        ("all/{stem}-{size}.{ext}", "all/cat.photo-800.webp"),
        ("flat/./{stem}.{ext}", "flat/cat.photo.webp"),
        ("{{{stem}}}.{ext}", "2024/may/{cat.photo}.webp"),
        ("%s $HOME ~ {stem}.{ext}", "2024/may/%s $HOME ~ cat.photo.webp"),
    ],
)
def test_names_from_templates(template: str, path: str) -> None:
    assert Template(template).fill(FOUND, VALUES) == path.replace("/", os.sep)


def test_every_variable_has_a_value() -> None:
    text = "-".join(f"{{{name}}}" for name in VARIABLES if name != "dir")
    assert "{" not in Template(text).fill(FOUND, VALUES)


def test_the_folder_of_a_file_at_the_root_of_its_tree_is_empty() -> None:
    found = Found(Folder("photos", ""), "a.png")
    assert Template("{dir}/{stem}.{ext}").fill(found, VALUES) == "a.webp"
    assert Template("{stem}.{ext}").fill(found, VALUES) == "a.webp"


def test_the_current_folder_has_a_name_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: os.PathLike[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    found = Found(Folder("", ""), "a.png")
    assert Template("{parent}.{ext}").fill(found, VALUES) == f"{os.path.basename(tmp_path)}.webp"


def test_nothing_in_a_name_is_expanded() -> None:
    for name in ("{width}.png", "a{.png", "%d $HOME.png", "u\u0308.png", "a\nb.png"):
        filled = Template("{stem}.{ext}").fill(Found(Folder("", ""), name), VALUES)
        assert filled == name.removesuffix("png") + "webp"


@pytest.mark.parametrize("template", ["../{stem}.{ext}", "/tmp/{stem}.{ext}", "a/../../{stem}.png"])
def test_a_template_that_leaves_the_folder_is_refused(template: str) -> None:
    with pytest.raises(UsageError, match="leads out of the output folder"):
        Template(template)


@pytest.mark.parametrize("template", ["{dir}", "{stem}/", "{stem}/{dir}"])
def test_a_template_that_names_a_folder_is_refused(template: str) -> None:
    with pytest.raises(UsageError, match="is that of a folder"):
        Template(template)


def test_a_value_that_leaves_the_folder_is_refused() -> None:
    with pytest.raises(UsageError, match="a path"):
        Template("{filter}-{stem}.{ext}").fill(FOUND, {**VALUES, "filter": "a/b"})
    up = Found(Folder("x", ""), "...png")
    assert os.path.splitext(up.name)[0] == "...png"
    with pytest.raises(UsageError, match="leads out of the output folder"):
        Template("{stem}/{filter}").fill(Found(Folder("x", ""), ".."), VALUES)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{stm}.{ext}", "there is no variable '{stm}'; did you mean '{stem}'?"),
        ("{colour}-{stem}.{ext}", "there are: {dir}, {parent}"),
        ("{stem}.{ext", "a brace has no partner"),
        ("{stem:04}.{ext}", "a number of digits"),
        ("{index:>4}-{stem}.{ext}", "a number of digits"),
        ("{stem!r}.{ext}", "means nothing here"),
        ("{}.{ext}", "no {}"),
        ("same.{ext}", "same for every file"),
        ("{size}.{ext}", "same for every file"),
    ],
)
def test_templates_that_cannot_be(template: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        Template(template)
    assert message in str(caught.value)


def test_only_sizes_need_headers() -> None:
    assert Template("{stem}-{width}.{ext}").needs_header
    assert not Template("{stem}-{index}.{ext}").needs_header
