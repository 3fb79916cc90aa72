"""What the documentation shows works: filters are checked, docstring examples run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path
from typing import Any

import pytest

import imgpipe
from imgpipe.filters.base import FilterFactory

DOCS = Path(__file__).parent.parent / "docs"


def filters_of(page: Path) -> dict[str, FilterFactory]:
    """Run the Python blocks of a page, one after the other, and return the filters they make."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
        exec(block, names)
    return {name: value for name, value in names.items() if isinstance(value, FilterFactory)}


BORROWED = filters_of(DOCS / "use-what-you-have.md")


def test_ten_filters_are_borrowed() -> None:
    assert len(BORROWED) == 10


@pytest.mark.slow
@pytest.mark.parametrize("name", BORROWED)
def test_a_borrowed_filter_is_the_same_in_pieces(name: str) -> None:
    found = imgpipe.check(BORROWED[name])
    assert found, str(found)


MODULES = [name for _, name, _ in pkgutil.walk_packages(imgpipe.__path__, "imgpipe.")]


@pytest.mark.parametrize("name", [m for m in MODULES if "preload" not in m and "__main__" not in m])
def test_examples_in_docstrings_run(name: str) -> None:
    done = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert done.failed == 0
