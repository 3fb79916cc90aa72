"""Pages of the filters: what they show is run, and what they say of other libraries holds."""

from __future__ import annotations

import importlib.util
import inspect
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

import imgpipe
from imgpipe.borders import BORDERS
from imgpipe.cli import execute
from imgpipe.registry import FILTERS
from tests.pages import ROOT

sys.path.insert(0, str(ROOT / "docs" / "_ext"))

import filterpages
from equivalence import BORDER_NAMES, LIBRARIES, comparisons
from filterexamples import examples, workshop
from pagewords import as_markdown, parameter_rows, properties, signature

EXAMPLES, COMPARISONS = examples(), comparisons()
PAIRS = [
    (name, library)
    for name, comparison in COMPARISONS.items()
    for library, found in comparison.equivalents.items()
    if found.code
]


@pytest.fixture(scope="module", autouse=True)
def _in_the_workshop() -> Iterator[None]:
    with workshop():
        yield


def test_every_filter_has_an_example_and_a_word_on_every_library() -> None:
    assert sorted(EXAMPLES) == sorted(COMPARISONS) == sorted(FILTERS.built_in)
    assert all(sorted(one.equivalents) == sorted(LIBRARIES) for one in COMPARISONS.values())


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_command_and_the_python_make_the_same_picture(name: str) -> None:
    example = EXAMPLES[name]
    made = example.made()
    assert execute(example.words[1:]) == 0
    np.testing.assert_array_equal(imgpipe.read(example.output), made)
    before = imgpipe.read(example.file)
    assert before.shape != made.shape or (before != made).mean() > 0.02


@pytest.mark.parametrize(("name", "library"), PAIRS)
def test_another_library_gives_the_same_within_the_stated_difference(
    name: str, library: str
) -> None:
    comparison = COMPARISONS[name]
    assert comparison.difference(library).largest <= comparison.equivalents[library].largest


@pytest.mark.parametrize("name", COMPARISONS)
def test_a_large_difference_is_explained(name: str) -> None:
    one = COMPARISONS[name]
    for found in one.equivalents.values():
        assert found.largest <= 2 or found.note or one.note


def test_the_default_borders_of_scipy_and_opencv_are_those_that_the_pages_name() -> None:
    text = page_of("box")
    assert '`mode="reflect"`, is `border="symmetric"`' in text
    assert 'of OpenCV is `border="reflect"`' in text
    assert "SciPy, `mode" not in page_of("gamma")
    image = np.random.default_rng(1).integers(0, 256, (9, 9, 1), np.uint8)
    scipy = ndimage.uniform_filter(image[..., 0], 5, output=float)
    for border, theirs in (
        ("symmetric", np.rint(scipy)),
        ("reflect", cv2.blur(image, (5, 5))),
    ):
        ours = imgpipe.filters.box(2, border=border)(image)[..., 0]
        assert np.abs(ours - theirs).max() <= 1
        assert np.abs(imgpipe.filters.box(2)(image)[..., 0] - theirs).max() > 1


def test_a_page_says_what_the_image_of_other_libraries_is() -> None:
    assert "blue, green, red" in page_of("grayscale")
    assert "blue, green, red" not in page_of("sobel")
    assert "a Pillow image" in page_of("grayscale")
    assert "a Pillow image" not in page_of("bilateral")


def test_a_comparison_finds_a_difference() -> None:
    gray = COMPARISONS["grayscale"]
    assert gray.difference("skimage").largest > 1
    assert gray.difference("skimage").mean < gray.difference("skimage").largest
    assert "from skimage import color" in gray.listing("skimage")
    assert gray.listing("opencv").startswith("import cv2\n\nresult = cv2.cvtColor(image")


def page_of(name: str) -> str:
    return filterpages.page(EXAMPLES[name], COMPARISONS[name])


def test_a_page_has_all_that_a_reader_looks_for() -> None:
    text = page_of("blur")
    for part in (
        "# blur\n\nGaussian blur.",
        "![cat.png](pictures/cat.png)",
        "imgpipe blur cat.png -o out.png --sigma 5",
        'imgpipe.run("cat.png", blur(sigma=5), "out.png")',
        'imgpipe.filters.blur(sigma=2.0, truncate=4.0, *, border="edge")',
        "| `sigma` | `--sigma` | `2.0` | Standard deviation in pixels, 0.3 to 500.",
        "`exp(-(x**2 + y**2) / (2 * sigma**2))`",
        "[Smoothing](index.md#smoothing)",
        "[OpenCV](../accelerators.md), for uint8; the result has the same bits.",
        "from scipy import ndimage",
        "1. R. C. Gonzalez",
    ):
        assert part in text


def test_pages_are_written_once_and_removed_with_their_filter(tmp_path: Path) -> None:
    filterpages.write_pages(tmp_path, ["gamma", "crop"])
    for picture in ("dark", "gamma", "gamma-tile", "portrait", "crop", "crop-tile"):
        assert imgpipe.info(tmp_path / "pictures" / f"{picture}.png").shape[2] == 3
    os.utime(tmp_path / "crop.md", (1, 1))
    filterpages.write_pages(tmp_path, ["crop"])
    assert sorted(path.name for path in tmp_path.glob("*.md")) == ["crop.md", "index.md"]
    assert (tmp_path / "crop.md").stat().st_mtime == 1


def words_of(name: str) -> dict[str, str]:
    example = EXAMPLES[name]
    own = next(one for one in example.chain.filters if one.name == name)
    return dict(properties(own.definition, own))


def test_properties_are_those_of_the_definition() -> None:
    assert words_of("blur")["Halo"] == (
        "It depends on `sigma` and `truncate`: 20 pixels on each side in the example above."
    )
    assert words_of("sobel")["Halo"] == "1 pixel on each side."
    assert "4 columns" in words_of("convolve")["Halo"]
    assert words_of("gamma")["Halo"] == "None: every pixel is computed by itself."
    assert words_of("gamma")["Border"].startswith("`border=` has no effect")
    assert words_of("blur")["Border"].startswith("`edge` by default.")
    assert "visible pixel" in words_of("sobel")["Alpha"]
    assert "visible pixel" not in words_of("gamma")["Alpha"]
    assert "result has none" in words_of("flatten")["Alpha"]
    assert words_of("astype")["Alpha"].startswith("Alpha is converted")
    assert words_of("equalize")["Reading"].startswith("The image is read twice:")
    assert words_of("astype")["Reading"].startswith("The image is read twice if `range`")
    assert words_of("crop")["Reading"] == "Once, row by row."
    assert "scratch file" in words_of("rotate")["Reading"]
    assert words_of("blend")["Further images"] == "`other`"
    assert words_of("blend")["Accelerator"] == "None: NumPy computes it."


@pytest.mark.parametrize("name", FILTERS.built_in)
def test_every_parameter_is_explained(name: str) -> None:
    definition = FILTERS.load(name).definition
    for row in parameter_rows(definition):
        assert len(row[3]) > 10
        assert row[3].endswith(".")
        parameter = next(each for each in definition.parameters if f"`{each.name}`" == row[0])
        assert all(re.search(rf"\b{choice}\b", row[3]) for choice in parameter.choices)


@pytest.mark.parametrize("name", FILTERS.built_in)
def test_a_filter_is_called_as_its_page_says(name: str) -> None:
    factory = FILTERS.load(name)
    written = signature(factory.definition).removeprefix("imgpipe.filters.")
    names: dict[str, Any] = {}
    exec(f"def {written}: pass", names)
    shown = inspect.signature(names[name]).parameters.values()
    assert [(one.name, one.kind, one.default) for one in shown] == [
        (one.name, one.kind, one.default) for one in inspect.signature(factory).parameters.values()
    ]


def test_docstrings_become_markdown() -> None:
    text = (
        "As `blur` of ``erode |\ndilate``, in `numpy.pad`, see docs/thumbnails.md::\n\n    a = 1\n"
    )
    assert as_markdown(text, FILTERS.load("box").definition) == (
        "As [blur](blur.md) of `erode | dilate`, in `numpy.pad`, see "
        "[thumbnails](../thumbnails.md):\n\n```text\na = 1\n```\n"
    )
    assert as_markdown("if `threshold`", FILTERS.load("unsharp").definition) == "if `threshold`"


def test_the_index_has_every_filter_below_its_family() -> None:
    text = filterpages.index()
    for name in FILTERS.built_in:
        heading = text.index(f"## {FILTERS[name].family}\n")
        assert text.index(f"[{name}]({name}.md)") > heading


@pytest.mark.parametrize("border", BORDERS)
def test_the_names_of_borders_in_other_libraries(border: str) -> None:
    beyond, scipy, opencv = BORDER_NAMES[border]
    row = np.arange(1, 5, dtype=np.uint8)
    letters = "0abcd"
    left, _, right = ([letters.index(each) for each in part.split()] for part in beyond.split("|"))
    assert [*left, *row, *right] == np.pad(row, 2, border).tolist()
    assert cv2.copyMakeBorder(row[None], 0, 0, 2, 2, getattr(cv2, opencv))[0].tolist() == [
        *left,
        *row,
        *right,
    ]
    shifted = ndimage.correlate1d(row, [1, 0, 0, 0, 0], mode=scipy)
    assert shifted[:2].tolist() == left


# ------------------------------------------------------------------------------------- gallery


@pytest.fixture(scope="module")
def gallery() -> ModuleType:
    path = ROOT / "sample_images" / "make_gallery.py"
    spec = importlib.util.spec_from_file_location("make_gallery", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # as its dataclass asks for
    spec.loader.exec_module(module)
    return module


def test_labels_of_the_gallery_fit_below_their_tiles(gallery: ModuleType) -> None:
    for name, example in EXAMPLES.items():
        lines = gallery.wrapped(gallery.parameters(example))
        assert gallery.MEDIUM.getlength(name) <= gallery.TILE[0]
        assert all(gallery.SMALL.getlength(line) <= gallery.TILE[0] for line in lines)
        assert len(lines) <= 2


def test_the_gallery_shows_every_filter_in_true_colour(gallery: ModuleType) -> None:
    rows = list(gallery.rows_of(gallery.built_in()))
    assert sum(row.length for row in rows) == len(FILTERS.built_in)
    assert all(row.length <= gallery.COLUMNS for row in rows)
    path = ROOT / "sample_images" / "gallery.png"
    with Image.open(path) as picture:
        assert (picture.mode, picture.size) == ("RGB", gallery.size_of(rows))
    assert path.stat().st_size < 2_000_000


def test_a_large_family_has_several_rows_of_the_gallery(gallery: ModuleType) -> None:
    large = [f"filter{number}" for number in range(2 * gallery.COLUMNS + 1)]
    rows = list(gallery.rows_of({"Large": large, "Small": ["one"]}))
    assert [[family for family, _ in row.families] for row in rows] == [
        ["Large"],
        [""],
        ["", "Small"],
    ]
    assert [name for row in rows for _, names in row.families for name in names] == [*large, "one"]
