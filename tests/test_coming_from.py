"""Commands and expressions of the page for users of other programs, run and compared.

The commands of ImageMagick and libvips are skipped where these programs, in the versions that the
page names, are not on the PATH; the commands of imgpipe beside them run everywhere.
"""

from __future__ import annotations

import re
import shlex
import shutil
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import pyvips
import skimage
from click.testing import CliRunner
from PIL import Image, ImageEnhance, ImageFilter, ImageOps, ImageSequence

import imgpipe
from imgpipe.cli.program import program
from tests.pages import ROOT, run_shell

PAGE = ROOT / "docs" / "coming-from.md"
INSIDE = 8  # pixels at the edges that do not count
PHOTO = imgpipe.read(ROOT / "sample_images" / "landscape.png", (100, 100, 340, 420))
GRAY = imgpipe.apply(PHOTO, "grayscale", executor="serial")[..., 0]

PROGRAMS = {
    "ImageMagick": ("convert -version", "ImageMagick 6.9"),
    "libvips at the shell": ("vips --version", "vips-8.14"),
}
"""For each program the command that tells its version, and the version that the page is of."""

LIBRARIES: dict[str, Callable[[], dict[str, Any]]] = {
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
        "ImageEnhance": ImageEnhance,
        "ImageFilter": ImageFilter,
        "ImageOps": ImageOps,
        "ImageSequence": ImageSequence,
        "image": Image.fromarray(PHOTO),
        "other": Image.fromarray(PHOTO[::-1]),
    },
}


class Row(NamedTuple):
    """A row of a table: the code of others, that of imgpipe, and the difference of the results."""

    section: str
    theirs: str
    ours: str
    said: str


class Outcome(NamedTuple):
    """The text that a command writes, and the images that it makes or changes."""

    text: str
    images: list[np.ndarray]


def rows_of_the_page() -> list[Row]:
    found = []
    for section in PAGE.read_text(encoding="utf-8").split("\n## ")[1:]:
        title = section.partition("\n")[0]
        for line in re.findall(r"^\|.*`.*", section, re.MULTILINE):
            theirs, ours, said = re.split(r"(?<!\\)\|", line)[1:-1]
            found.append(Row(title, code(theirs), code(ours), said.strip()))
    return found


def code(cell: str) -> str:
    """Return what is between the backticks of a cell."""
    return cell.split("`")[1].replace(r"\|", "|")


ROWS = rows_of_the_page()
COMMANDS = [row for row in ROWS if row.section in PROGRAMS]
EXPRESSIONS = [row for row in ROWS if row.section in LIBRARIES]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the files that the page names."""
    folder = tmp_path_factory.mktemp("given")
    for name in ("photo.png", "photo.jpg", "scan.tif", "photos/a.jpg", "photos/b.jpg"):
        (folder / name).parent.mkdir(exist_ok=True)
        imgpipe.write(PHOTO, folder / name)
    (folder / "web").mkdir()
    imgpipe.write(PHOTO[::-1], folder / "other.png")
    imgpipe.write(np.dstack([PHOTO, GRAY]), folder / "logo.png")
    frames = [Image.fromarray(GRAY), Image.fromarray(255 - GRAY)]
    frames[0].save(folder / "stack.tif", save_all=True, append_images=frames[1:])
    orientation = Image.Exif()
    orientation[0x112] = 6
    Image.fromarray(PHOTO).save(folder / "turned.jpg", exif=orientation)
    return folder


@pytest.fixture(scope="module")
def outcome(given: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Outcome]:
    """Return a function that runs a command of imgpipe, once for all rows that have it."""
    folder = copy_of(given, tmp_path_factory)

    @cache
    def run(command: str) -> Outcome:
        text = run_ours(command, folder)
        return Outcome(text, images_made(given, folder))

    return run


@pytest.fixture(scope="module")
def folder(given: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of the given folder, in which the code of the rows runs."""
    return copy_of(given, tmp_path_factory)


def copy_of(given: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shutil.copytree(given, tmp_path_factory.mktemp("copy"), dirs_exist_ok=True)


def test_every_section_has_its_table() -> None:
    sections = [*PROGRAMS, *LIBRARIES]
    assert list(dict.fromkeys(row.section for row in ROWS)) == sections
    assert len(COMMANDS) > 80
    assert len(EXPRESSIONS) > 80


def test_large_differences_are_explained() -> None:
    for row in ROWS:
        found = re.match(r"\d+", row.said)
        assert not found or int(found[0]) <= 2 or ": " in row.said, row


@pytest.mark.parametrize("command", dict.fromkeys(row.ours for row in COMMANDS))
def test_a_command_of_the_page_runs(command: str, outcome: Callable[[str], Outcome]) -> None:
    done = outcome(command)
    assert done.images or "320" in done.text


@pytest.mark.parametrize("row", COMMANDS, ids=lambda row: row.theirs)
def test_commands_are_as_near_as_the_page_says(
    row: Row, given: Path, folder: Path, outcome: Callable[[str], Outcome]
) -> None:
    if not is_there(row.section):
        pytest.skip(f"{PROGRAMS[row.section][1]} is not on the PATH")
    done = run_shell(row.theirs, folder)
    assert done.returncode == 0, done.stdout
    ours = outcome(row.ours)
    if row.said == "text":
        assert "320" in done.stdout
        assert "320" in ours.text
        return
    expected = images_made(given, folder)
    assert [one.dtype for one in ours.images] == [one.dtype for one in expected]
    compare(expected, ours.images, row.said)


@pytest.mark.parametrize("row", EXPRESSIONS, ids=lambda row: row.theirs)
def test_results_are_as_near_as_the_page_says(
    row: Row, given: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {**LIBRARIES[row.section](), "imgpipe": imgpipe, "np": np, "Path": Path}
    ours = row.ours
    if not ours.startswith("imgpipe."):
        source = "gray" if re.search(r"\bgray\b", row.theirs) else "image"
        ours = f"imgpipe.apply({source}, {ours!r}, executor='serial')"
    monkeypatch.chdir(folder)
    results = []
    for each in (row.theirs, ours):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = eval(each, names)
        results.append(images_made(given, folder) or [value])
    expected, made = results
    compare(expected, made, row.said)


# ----------------------------------------------------------------------------------- running


@cache
def is_there(program: str) -> bool:
    command, version = PROGRAMS[program]
    return version in run_shell(command, Path.cwd()).stdout


def run_ours(command: str, folder: Path) -> str:
    """Run a command of imgpipe; return its text."""
    if "--max-memory" in command or "<" in command:
        # the memory would be that of the tests too; and redirections need a shell
        done = run_shell(command, folder)
        assert done.returncode == 0, done.stdout
        return done.stdout
    name, *arguments = shlex.split(command)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        result = CliRunner().invoke(program, arguments)
    assert (name, result.exit_code) == ("imgpipe", 0), result.output
    return result.output


def images_made(given: Path, folder: Path) -> list[np.ndarray]:
    """Return the images of a copy of the given folder that are new or changed, and restore it."""
    found = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        old = given / name
        new = not old.exists()
        if path.is_dir() or not (new or old.read_bytes() != path.read_bytes()):
            continue
        if path.suffix != ".mat" and not any(part.startswith(".") for part in name.parts):
            found.append(imgpipe.read(path))
        path.unlink()
        if not new:
            shutil.copy(old, path)
    return found


# --------------------------------------------------------------------------------- comparing


def compare(expected: list[Any], made: list[Any], said: str) -> None:
    """Compare images with what the page says of their difference."""
    pairs = [(levels(a), levels(b)) for a, b in zip(expected, made, strict=True)]
    assert pairs
    assert [a.shape for a, _ in pairs] == [b.shape for _, b in pairs]
    apart = [np.abs(a - b) for a, b in pairs]
    inner = [each[INSIDE:-INSIDE, INSIDE:-INSIDE] if each.size > 9 else each for each in apart]
    edges = max(float(each.max()) for each in apart)
    largest = max(float(each.max()) for each in inner)
    mean = float(np.mean([each.mean() for each in inner]))
    assert is_as_said(said, edges, largest, mean), f"not {said}, but {largest:g} ({mean:.3g})"


def is_as_said(said: str, edges: float, largest: float, mean: float) -> bool:
    """Say whether the differences with the edges, without them, and on the mean are as written."""
    if said == "equal":
        return edges == 0
    if said == "equal inside":
        return edges > 0 == largest
    found = re.match(r"(\d+) \((below )?([\d.]+)\)(: .|$)", said)
    if found is None:
        return False
    at_most = int(found[1]), float(found[3])
    least = 0 if found[2] else at_most[1] / 2
    return at_most[0] / 2 <= largest <= at_most[0] and least < mean <= at_most[1]


def levels(result: Any) -> np.ndarray:
    """Return a result of any library as levels of 0 to 255, shape (rows, columns, channels)."""
    array = np.asarray(result.numpy() if isinstance(result, pyvips.Image) else result)
    if array.dtype == np.uint16:
        array = array / 257
    elif array.dtype.kind in "bf" and array.max() <= 1.001:
        array = np.rint(255.0 * array)
    else:
        array = np.rint(array.astype(float)).clip(0, 255)
    return array.reshape(*(array.shape[:2] or (1, 1)), -1)


def test_a_difference_has_to_be_as_written() -> None:
    assert is_as_said("equal", 0, 0, 0)
    assert not is_as_said("equal", 1, 0, 0)
    assert is_as_said("equal inside", 1, 0, 0)
    assert is_as_said("6 (0.5): a reason", 9, 5, 0.4)
    for wrong in ((9, 7, 0.4), (9, 2, 0.4), (9, 5, 0.6), (9, 5, 0.2)):
        assert not is_as_said("6 (0.5)", *wrong)
    assert not is_as_said("?", 0, 0, 0)
