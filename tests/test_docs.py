"""What the documentation shows works: filters are checked, docstring examples run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imgpipe
from imgpipe.filters.base import FilterFactory

ROOT = Path(__file__).parent.parent


def blocks(page: str) -> list[str]:
    """Return the Python blocks of a page."""
    text = (ROOT / page).read_text()
    return re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def filters_of(page: str) -> dict[str, FilterFactory]:
    """Run the Python blocks of a page, one after the other, and return the filters they make."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(page):
        exec(block, names)
    return {name: value for name, value in names.items() if isinstance(value, FilterFactory)}


BORROWED = filters_of("docs/use-what-you-have.md")
QUICKER = {"local_entropy": {"radius": 1}, "disk_percentile": {"radius": 2}}


def test_ten_filters_are_borrowed() -> None:
    assert len(BORROWED) == 10


@pytest.mark.slow
@pytest.mark.parametrize("name", BORROWED)
def test_a_borrowed_filter_is_the_same_in_pieces(name: str) -> None:
    found = imgpipe.check(BORROWED[name](**QUICKER.get(name, {})))
    assert found, str(found)


@pytest.mark.slow
def test_the_readme_is_a_script_that_runs(photo: np.ndarray, tmp_path: Path) -> None:
    imgpipe.write(photo, tmp_path / "big.png")
    np.save(tmp_path / "dark.npy", photo // 3)
    given = "import numpy as np, imgpipe\narray = imgpipe.read('big.png')\n"
    checks = """
out = imgpipe.read("out.png")
assert imgpipe.check(emboss) and imgpipe.check(vignette) and imgpipe.check(mosaic)
imgpipe.run("big.png", less_dark_frame(dark="dark.npy"), "less.png", workers=2)
less = less_dark_frame(dark=np.load("dark.npy"))
assert (imgpipe.read("less.png") == less(array)).all()
assert (imgpipe.apply(array, less, workers=2) == array - array // 3).all()
print(histogram.sum() == array.size, box.y1, pixels.shape)
"""
    (tmp_path / "script.py").write_text("\n".join([given, *blocks("README.md"), checks]))
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("True 211 (227, 323, 3)\n", "")


MODULES = [name for _, name, _ in pkgutil.walk_packages(imgpipe.__path__, "imgpipe.")]


@pytest.mark.parametrize("name", [m for m in MODULES if "preload" not in m and "__main__" not in m])
def test_examples_in_docstrings_run(name: str) -> None:
    done = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert done.failed == 0
