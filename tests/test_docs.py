"""Documentation: the filters that it shows are checked, docstring examples run."""

from __future__ import annotations

import ast
import doctest
import importlib
import pkgutil
import re
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from scipy import ndimage
from skimage import exposure, filters, morphology

import imgpipe
from imgpipe.chains.chain import FilterFactory
from imgpipe.filtertable import FILTER_TABLE
from imgpipe.formats import formatchoice
from imgpipe.formattable import FORMAT_TABLE
from imgpipe.registry import FORMATS, Member, Registry

ROOT = Path(__file__).parent.parent


def blocks(page: str) -> list[str]:
    """Return the Python blocks of a page."""
    text = (ROOT / page).read_text()
    return re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def format_of_the_page() -> str:
    """Return the Python block that defines a format."""
    (found,) = (block for block in blocks("docs/formats.md") if "FORMAT = Format(" in block)
    return found


def filters_of(page: str) -> dict[str, FilterFactory]:
    """Run the Python blocks of a page, one after the other, and return the filters they make."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(page):
        exec(block, names)
    return {name: value for name, value in names.items() if isinstance(value, FilterFactory)}


BORROWED = filters_of("docs/use-what-you-have.md")


def test_ten_filters_are_borrowed() -> None:
    assert len(BORROWED) == 10


def each(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Run a function of two dimensions on every channel."""
    return lambda image: np.dstack([function(plane) for plane in np.moveaxis(image, 2, 0).copy()])


def levels(values: Any) -> Any:
    return np.rint(255 * values).clip(0, 255)


LIBRARY: dict[str, Callable[[Any], Any]] = {
    "scipy_gaussian": each(lambda plane: ndimage.gaussian_filter(plane, 2.0)),
    "disk_percentile": each(
        lambda plane: ndimage.percentile_filter(plane, 20, footprint=morphology.disk(3))
    ),
    "third_largest": each(lambda plane: ndimage.rank_filter(plane, -3, size=5)),
    "gradient_magnitude": each(
        lambda plane: levels(
            ndimage.gaussian_gradient_magnitude((plane / np.float32(255)).astype(float), 1.5)
        )
    ),
    "sauvola": each(lambda plane: 255 * (plane > filters.threshold_sauvola(plane, 15, k=0.2))),
    "sigmoid": lambda image: levels(
        exposure.adjust_sigmoid((image * np.float32(1 / 255)).astype(np.float32), 0.5, 8)
    ),
    "local_gradient": each(lambda plane: filters.rank.gradient(plane, morphology.disk(4))),
    "local_entropy": each(
        lambda plane: np.rint(255 / 8 * filters.rank.entropy(plane, morphology.disk(5)))
    ),
    "cv_bilateral": lambda image: np.atleast_3d(cv2.bilateralFilter(image, 7, 40, 3)),
    "cv_median": lambda image: np.atleast_3d(cv2.medianBlur(image, 5)),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", BORROWED)
def test_a_borrowed_filter_gives_what_its_library_gives(
    name: str, channels: int, photo: np.ndarray
) -> None:
    image = np.ascontiguousarray(photo[:, :, :channels])
    beyond = 20  # pixels, farther than any of them looks
    wide = np.pad(image, ((beyond, beyond), (beyond, beyond), (0, 0)), mode="edge")
    expected = LIBRARY[name](wide)[beyond:-beyond, beyond:-beyond]
    assert len(np.unique(expected)) > 1
    assert np.array_equal(BORROWED[name]()(image), expected)


OF_FLOATS = ("scipy_gaussian", "sigmoid")


@pytest.mark.parametrize("name", OF_FLOATS)
def test_a_borrowed_filter_of_floats_stands_the_check(name: str) -> None:
    found = imgpipe.check(BORROWED[name]())
    assert found, str(found)


@pytest.mark.parametrize("name", [name for name in BORROWED if name not in OF_FLOATS])
def test_a_borrowed_filter_is_the_same_in_pieces(name: str, photo: np.ndarray) -> None:
    """In 8 bits: a check tries 16 bits too, whose 65,536 levels take some of them half a minute."""
    part, one = photo[:80, :90], BORROWED[name]()
    for image in (part, np.where(part[::-1] > 127, 255, 0).astype(np.uint8)):
        expected = one(image)
        for chunk in (7, (16, 64), (64, 16)):
            made = imgpipe.apply(image, one, executor="serial", chunk=chunk)
            assert np.array_equal(made, expected)


@pytest.mark.parametrize("diameter", [3, 5, 7])
def test_the_bilateral_filter_is_the_same_in_pieces_for_small_diameters(
    diameter: int, photo: np.ndarray
) -> None:
    """OpenCV may round the last columns of a gray array in another way than the others."""
    image, one = photo[:80, :90, :1], BORROWED["cv_bilateral"](d=diameter)
    for chunk in (7, (16, 64), (64, 16)):
        made = imgpipe.apply(image, one, executor="serial", chunk=chunk)
        assert np.array_equal(made, one(image))


def rows_under(heading: str) -> list[list[str]]:
    """Return the rows of the table below a heading of the README, without its titles."""
    section = (ROOT / "README.md").read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in found[2:]]


def test_the_readme_names_every_filter_by_family() -> None:
    named = {family: re.findall(r"`(\w+)`", names) for family, names in rows_under("Filters")}
    assert named == {family: list(filters) for family, filters in FILTER_TABLE.items()}
    assert list(named) == list(FILTER_TABLE)
    assert f" {sum(map(len, named.values()))} filters" in (ROOT / "README.md").read_text()


def test_the_readme_names_every_format() -> None:
    cells = [re.sub(r"\[(.*)\]\(.*\)", r"\1", row[0]) for row in rows_under("Formats")]
    named = {name.removesuffix(" 3") for cell in cells for name in cell.split(", ")}
    assert named - {"OME-Zarr"} == {member.name for member in FORMAT_TABLE.values()}


PAGES_OF_THE_REPOSITORY = [  # those in docs/ are tested by the build of the website
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "sample_images/README.md"),
    "examples/imgpipe-example/README.md",
]


@pytest.mark.parametrize("page", PAGES_OF_THE_REPOSITORY)
def test_links_of_a_page_lead_to_files_and_sections(page: str) -> None:
    path = ROOT / page
    links = re.findall(r"\]\(([^)\s]+)", path.read_text(encoding="utf-8"))
    wrong = []
    for link in links:
        file, _, section = link.partition("#")
        target = path.parent / file if file else path
        if not re.match(r"[a-z]+:", link):
            known = target.exists() and (not section or section in sections_of(target))
            wrong += [] if known else [link]
    assert wrong == []


def sections_of(page: Path) -> set[str]:
    """Return the names of the sections of a page, as links write them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


NO_NOUN_OR_VERB = {
    *("What", "Whatever", "Whether", "Where", "Who", "Whose", "Which", "How", "Why"),
    *("That", "Those", "They", "There", "If", "By", "On", "Not"),
}


@pytest.mark.parametrize("folder", ["imgpipe", "benchmarks", "docs", "examples", "sample_images"])
def test_docstrings_begin_with_a_noun_or_a_verb(folder: str) -> None:
    found = []
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                first = (ast.get_docstring(node) or "none").split()[0]
                found += [f"{path}: {ast.get_docstring(node)}"] if first in NO_NOUN_OR_VERB else []
    assert found == []


MODULES = [name for _, name, _ in pkgutil.walk_packages(imgpipe.__path__, "imgpipe.")]


@pytest.mark.parametrize("name", [m for m in MODULES if "preload" not in m and "__main__" not in m])
def test_examples_in_docstrings_run(name: str) -> None:
    done = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert done.failed == 0


def test_the_format_of_the_page_reads_and_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = types.ModuleType("format_of_the_page")
    exec(format_of_the_page(), module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    member = Member(module.__name__, "Plain.", suffixes=(".plain",), magic=(b"PLAIN ",))
    registry = Registry("format", {**FORMATS.built_in, "plain": member})
    monkeypatch.setattr(formatchoice, "FORMATS", registry)
    picture = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    imgpipe.write(picture, tmp_path / "a.plain", save={"maximum": 255})
    np.testing.assert_array_equal(imgpipe.read(tmp_path / "a.plain"), picture)
