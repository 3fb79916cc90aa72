"""Commands and expressions of the page for users of other programs, run and compared."""

from __future__ import annotations

import re
import shlex
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
import skimage
from click.testing import CliRunner
from PIL import Image, ImageFilter, ImageOps

import imgpipe
from imgpipe.cli.program import program
from tests.pages import ROOT, run_shell

PAGE = ROOT / "docs" / "coming-from.md"
INSIDE = 8  # pixels at the edges that do not count
PHOTO = imgpipe.read(ROOT / "sample_images" / "landscape.png", (100, 100, 340, 420))
GRAY = imgpipe.apply(PHOTO, "grayscale", executor="serial")[..., 0]

GIVEN: dict[str, Callable[[], dict[str, Any]]] = {
    "pyvips": lambda: {
        "pyvips": pyvips,
        "image": pyvips.Image.new_from_array(PHOTO, interpretation="srgb"),
    },
    "scikit-image": lambda: {
        **{name: getattr(skimage, name) for name in skimage.__all__},
        "image": PHOTO,
        "gray": GRAY,
    },
    "Pillow": lambda: {
        "Image": Image,
        "ImageFilter": ImageFilter,
        "ImageOps": ImageOps,
        "image": Image.fromarray(PHOTO),
        "other": Image.fromarray(PHOTO[::-1]),
    },
}


def tables() -> dict[str, list[list[str]]]:
    """Return the rows of the table of each section."""
    found: dict[str, list[list[str]]] = {}
    for section in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        title, _, text = section.partition("\n")
        rows = [
            re.split(r"(?<!\\)\|", line)[1:-1] for line in re.findall(r"^\|.*", text, re.MULTILINE)
        ]
        found[title] = [[cell.replace(r"\|", "|").strip() for cell in row] for row in rows[2:]]
    return found


def code(cell: str) -> str:
    """Return what is between the backticks of a cell."""
    return cell.split("`")[1]


TABLES = tables()
COMMANDS = sorted({code(row[1]) for title in TABLES if title not in GIVEN for row in TABLES[title]})
ROWS = [(title, *row) for title in GIVEN for row in TABLES[title]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the files that the page names."""
    folder = tmp_path_factory.mktemp("folder")
    imgpipe.write(PHOTO[::-1], folder / "other.png")
    for name in ("photo.png", "photo.jpg", "scan.tif", "photos/a.jpg"):
        (folder / name).parent.mkdir(exist_ok=True)
        imgpipe.write(PHOTO, folder / name)
    imgpipe.write(np.dstack([PHOTO, GRAY]), folder / "logo.png")
    frames = [Image.fromarray(GRAY), Image.fromarray(255 - GRAY)]
    frames[0].save(folder / "stack.tif", save_all=True, append_images=frames[1:])
    return folder


@pytest.fixture(autouse=True)
def there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def test_every_section_has_a_table() -> None:
    assert list(GIVEN) == [title for title in TABLES if title in GIVEN]
    assert len(COMMANDS) > 30
    assert len(ROWS) > 60


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_runs(command: str) -> None:
    if "--max-memory" in command:  # it counts all that the process of the tests holds, too
        done = run_shell(command, Path.cwd())
        assert done.returncode == 0, done.stdout
        return
    name, *arguments = shlex.split(command)
    done = CliRunner().invoke(program, arguments)
    assert (name, done.exit_code) == ("imgpipe", 0), done.output


@pytest.mark.parametrize(("library", "theirs", "ours", "said"), ROWS)
def test_results_are_as_near_as_the_page_says(
    library: str, theirs: str, ours: str, said: str
) -> None:
    names = {**GIVEN[library](), "imgpipe": imgpipe}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = levels(eval(code(theirs), names))
    if code(ours).startswith("imgpipe."):
        made = levels(eval(code(ours), names))
    else:
        given = GRAY if re.search(r"\bgray\b", theirs) else PHOTO
        made = levels(imgpipe.apply(given, code(ours), executor="serial"))
    assert made.shape == expected.shape
    away = np.abs(made - expected)[INSIDE:-INSIDE, INSIDE:-INSIDE]
    if said == "equal":
        assert away.max() == 0
        return
    found = re.match(r"(\d+) \((below )?([\d.]+)\)", said)
    assert found
    largest, mean = int(found[1]), float(found[3])
    assert away.max() <= largest
    assert (0 if found[2] else mean / 2) < away.mean() <= mean


def levels(result: Any) -> np.ndarray:
    """Return a result of any library as levels of 0 to 255, shape (rows, columns, channels)."""
    array = np.asarray(result.numpy() if isinstance(result, pyvips.Image) else result)
    if array.dtype.kind in "bf" and array.max() <= 1.001:
        array = 255.0 * array
    rounded = np.rint(array.astype(float)).clip(0, 255)
    return rounded.reshape(*array.shape[:2], -1)
