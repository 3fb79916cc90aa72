"""The pages of the documentation tell the truth: what they show is run, and gives what they show.

Every page has a folder of its own with the files of `given`. The README is run by
`tests/test_package.py`, with the package that users install.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

import imgpipe
from imgpipe.image import Pixels
from tests.pages import (
    ROOT,
    blocks_of,
    commands_in,
    is_output,
    pages,
    run_shell,
    script_of,
    text_of,
    write_files,
)

RUN = ("python", "pycon", "console", "sh")
NOT_CODE = ("text", "toml", "json", "csv", "ini", "make", "mermaid")
LANDSCAPE = ROOT / "sample_images" / "landscape.png"


@pytest.fixture(scope="session")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the files that the pages name."""
    folder = tmp_path_factory.mktemp("given")
    landscape = imgpipe.read(LANDSCAPE)
    shutil.copy(LANDSCAPE, folder / "landscape.png")
    photo = landscape[100:340, 100:420]
    imgpipe.write(photo, folder / "big.png")
    imgpipe.write(photo, folder / "photo.png")
    imgpipe.write(photo, folder / "photo.jpg")
    imgpipe.write(photo, folder / "scan.tif")
    np.save(folder / "data.npy", photo[..., 0].astype(np.float32) / 255)
    _further_kinds(landscape, photo, folder)
    photos = folder / "photos"
    (folder / "sample_images").mkdir()
    shutil.copy(LANDSCAPE, folder / "sample_images")
    (photos / "old").mkdir(parents=True)
    for name in ("IMG_1.jpg", "IMG_2.jpg", "old/IMG_3.jpg"):
        imgpipe.write(photo[:120, :160], photos / name)
    return folder


def _further_kinds(landscape: Pixels, photo: Pixels, folder: Path) -> None:
    """Make images with frames, with a profile, with alpha, without data, and below black."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    Image.fromarray(landscape).save(folder / "slide.tif", icc_profile=profile, dpi=(300, 300))
    first, *others = [Image.fromarray(photo[at : at + 120, :160]) for at in (0, 50, 100)]
    first.save(folder / "stack.tif", save_all=True, append_images=others)
    first.save(folder / "clip.gif", save_all=True, append_images=others, duration=100, loop=0)
    rgba = np.dstack([photo, photo[..., 1]])
    imgpipe.write(rgba, folder / "rgba.png")
    np.save(folder / "rgba.npy", rgba)
    green = photo[..., 1].astype(np.float32)
    elevations = np.where(green > 40, green * 10, np.float32(-9999))
    imgpipe.write(elevations, folder / "elevations.tif", nodata=-9999)
    np.save(folder / "elevations.npy", elevations)
    np.save(folder / "ct.npy", photo[..., 0].astype(np.int16) * 4 - 500)


@pytest.fixture
def folder(given: Path, tmp_path: Path) -> Path:
    """Return a folder with copies of the given files."""
    shutil.copytree(given, tmp_path, dirs_exist_ok=True)
    return tmp_path


def pages_with(*languages: str) -> list[str]:
    """Return the pages with code of these languages, except for the README."""
    found = [page for page in pages() if page != "README.md"]
    return [page for page in found if any(b.language in languages for b in blocks_of(page))]


def test_an_output_may_differ_in_its_times_and_sizes_only() -> None:
    shown = "out.png: 9 x 9 x 3 uint8, 0.25 MB in 1.2 s (75.5 MP/s, 2 workers, 171 MB at most)"
    got = "out.png: 9 x 9 x 3 uint8, 1,200 MB in 0.25 s (1 MP/s, 1 worker, 8.5 MB at most)"
    assert is_output(shown, got)
    assert not is_output(shown, got.replace("9 x 9", "9 x 8"))
    assert is_output("a ... c\n", "a b\nc c")
    assert not is_output("3 done", "2 done")


@pytest.mark.parametrize("page", pages())
def test_every_block_of_a_page_is_run_or_no_code(page: str) -> None:
    for block in blocks_of(page):
        directive = block.language.startswith("{")
        assert directive or block.language in RUN + NOT_CODE, f"{page}:{block.line}"


@pytest.mark.parametrize("page", pages())
def test_code_stands_between_fences(page: str) -> None:
    """Indented lines would be shown as code, and not run."""
    assert not re.findall(r"^\n {4,}\S.*$", text_of(page), re.MULTILINE), page


@pytest.mark.parametrize("page", pages_with("sh", "console"))
def test_the_commands_of_a_page_do_what_it_shows(page: str, folder: Path) -> None:
    write_files(page, folder)
    for block in blocks_of(page):
        if block.language == "sh" and block.runs:
            done = run_shell(f"set -e\n{block.text}", folder)
            assert done.returncode == 0, f"{page}:{block.line}\n{done.stdout}"
        elif block.language == "console" and block.runs:
            for command in commands_in(block):
                got = run_shell(command.text, folder).stdout
                place = f"{page}:{command.line}: {command.text}"
                assert is_output(command.output, got), f"{place}\n{got}"


@pytest.mark.parametrize("page", pages_with("python", "pycon"))
def test_the_python_of_a_page_is_a_script_that_runs(page: str, folder: Path) -> None:
    write_files(page, folder)
    (folder / "script.py").write_text(script_of(page), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), f"{page}\n{done.stdout}"
