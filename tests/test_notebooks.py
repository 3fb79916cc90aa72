"""The notebooks of examples/: each runs from top to bottom, and prints what it shows."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.pages import ROOT

EXAMPLES = ROOT / "examples"
NOTEBOOKS = sorted(path.name for path in EXAMPLES.glob("*.ipynb"))
MEASURED = re.compile(r"[\d,.]+ (?=s\b|MB\b|kB\b|megapixels per second)")
"""Times, sizes of files and memory, which differ from run to run."""


def texts_of(cell: Any) -> list[str]:
    """Return what a cell prints, without measured numbers and escape sequences."""
    found = [each.get("text") or each.data["text/plain"] for each in cell.get("outputs", ())]
    return [MEASURED.sub("# ", re.sub(r"\x1b\[[\d;]*m", "", text)) for text in found]


def test_there_are_two_notebooks() -> None:
    assert NOTEBOOKS == ["folder.ipynb", "own-filter.ipynb"]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_small_and_was_executed(name: str) -> None:
    assert (EXAMPLES / name).stat().st_size < 300_000
    cells = [c for c in nbformat.read(EXAMPLES / name, 4).cells if c.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of the client
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_prints_what_it_shows(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    tools = Path(sys.executable).parent
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    shown = nbformat.read(EXAMPLES / name, 4)
    got = nbformat.read(EXAMPLES / name, 4)
    place = {"metadata": {"path": str(tmp_path)}}
    client = NotebookClient(
        got,
        timeout=100,
        kernel_name="python3",
        resources=place,
        coalesce_streams=True,  # the kernel cuts what a cell prints anywhere
    )
    client.execute()
    for before, after in zip(shown.cells, got.cells, strict=True):
        assert texts_of(after) == texts_of(before), before.source
