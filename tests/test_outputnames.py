"""Outputs: how each is called, from the name of its source or from a template."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

import imgpipe
from imgpipe.batches.inputs.files import Files, Folder, Found
from imgpipe.batches.naming.outputnames import OutputNames, natural
from imgpipe.batches.naming.template import Template
from imgpipe.errors import UsageError


def found(*names: str, folder: str = "") -> Files:
    return Files(Found(Folder(folder, ""), name) for name in names)


def unasked(file: Found, tail: int) -> Mapping[str, int]:
    raise AssertionError("no header was needed")


def names(naming: OutputNames, files: Files) -> list[str]:
    return [each.output for each in naming.placed(files, unasked)]


def test_an_output_is_called_like_its_source() -> None:
    files = Files([Found(Folder("in/a/b", "a/b"), "c.d.JPEG"), Found(Folder("in", ""), "e.tif")])
    assert names(OutputNames(), files) == ["a/b/c.d.JPEG", "e.tif"]


def test_a_suffix_stays_if_it_is_one_of_the_format() -> None:
    files = found("a.JPEG", "b.jpe", "c.PNG", "d.tif")
    assert names(OutputNames(formats=("jpeg",)), files) == ["a.JPEG", "b.jpe", "c.jpg", "d.jpg"]


def test_several_formats_and_sizes() -> None:
    naming = OutputNames(formats=("avif", "webp"), sizes=(400, 800))
    made = names(naming, found("a.jpg"))
    assert made == ["a-400.avif", "a-800.avif", "a-400.webp", "a-800.webp"]


def test_one_size_needs_no_place_in_the_name() -> None:
    assert names(OutputNames(formats=("webp",), sizes=(400,)), found("a.jpg")) == ["a.webp"]


def test_a_template_must_keep_sizes_and_formats_apart() -> None:
    with pytest.raises(UsageError, match=r"put \{size\} in it"):
        OutputNames(Template("{stem}.{ext}"), sizes=(1, 2))
    with pytest.raises(UsageError, match=r"put \{ext\} in it"):
        OutputNames(Template("{stem}.webp"), formats=("webp", "avif"))


@pytest.mark.parametrize("template", ["{stem}", "{stem}.html", "{index}"])
def test_a_template_says_a_format(template: str) -> None:
    with pytest.raises(UsageError, match="is not that of a file of any format"):
        OutputNames(template=Template(template))


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{stem}.{ext}", "put {name} or {dir} into"),
        ("{dir}/{stem}.{ext}", "put {name} into"),
        ("{dir}/{name}", "put {index} into"),
    ],
)
def test_the_remedy_is_a_variable_that_the_name_has_not_yet(template: str, says: str) -> None:
    assert says in OutputNames(Template(template)).remedy


def test_numbers_follow_the_natural_order_of_the_sources() -> None:
    naming = OutputNames(Template("{index:03}-{stem}.{ext}"))
    files = found("img10.png", "img2.png", "img1.png")
    assert names(naming, files) == ["003-img10.png", "002-img2.png", "001-img1.png"]


def test_natural_order() -> None:
    assert sorted(["a10", "a9", "a", "9", "10", "b1c2", "b1c10"], key=natural) == [
        "9", "10", "a", "a9", "a10", "b1c2", "b1c10",
    ]  # fmt: skip


def test_sizes_of_images_come_from_headers() -> None:
    naming = OutputNames(Template("{stem}-{width}.{ext}"))
    files = found("a.png", "b.png")
    widths = {"a.png": 3, "b.png": 4}
    placed = naming.placed(files, lambda file, tail: {"width": widths[file.name], "height": 1})
    assert [each.output for each in placed] == ["a-3.png", "b-4.png"]


def test_a_format_that_can_only_be_read_needs_another_one() -> None:
    with pytest.raises(UsageError, match="can only be read"):
        names(OutputNames(), found("a.heic"))
    assert names(OutputNames(formats=("png",)), found("a.heic")) == ["a.png"]


def test_a_file_without_a_known_suffix_is_called_by_its_content(tmp_path: Path) -> None:
    imgpipe.write(np.zeros((2, 2, 3), np.uint8), tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "scan.dat")
    (tmp_path / "text.dat").write_bytes(b"no image")
    files = found("scan.dat", folder=str(tmp_path))
    assert names(OutputNames(), files) == ["scan.png"]
    with pytest.raises(UsageError, match="not an image that imgpipe can read"):
        names(OutputNames(), found("text.dat", folder=str(tmp_path)))


def test_a_slide_becomes_a_tiff_file() -> None:
    assert names(OutputNames(), found("a.svs", "b.NDPI")) == ["a.tif", "b.tif"]
    assert names(OutputNames(formats=("zarr",)), found("a.svs")) == ["a.zarr"]
