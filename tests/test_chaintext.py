"""Completion within the text of a chain."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from imgpipe.borders import BORDERS
from imgpipe.cli.chaintext import completions
from imgpipe.errors import UsageError

SOURCE = """
import imgpipe

@imgpipe.filter(halo=1)
def emboss(chunk, *, big: int = 3, loud: bool = False):
    return chunk

def bare(chunk, *, other: int = 3):
    return chunk
"""


@pytest.fixture(autouse=True)
def _own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    Path("completed.py").write_text(SOURCE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gaussian_", ["gaussian_laplace"]),
        ("blur:si", ["blur:sigma="]),
        ("blur:", ["blur:sigma=", "blur:truncate=", "blur:border="]),
        ("blur:sigma=2,", ["blur:sigma=2,truncate=", "blur:sigma=2,border="]),
        ("blur:2,", ["blur:2,truncate=", "blur:2,border="]),
        ("blur:2,3,", ["blur:2,3,border="]),
        ("blur:sigma=", []),
        ("blur:sigm=", []),
        ("blur:border=", [f"blur:border={border}" for border in BORDERS]),
        ("blur:border=w", ["blur:border=wrap"]),
        ("flip:v", ["flip:vertical"]),
        ("flip:direction=v", ["flip:direction=vertical"]),
        ("blur:2|gr", ["blur:2|grayscale"]),
        ("blur:2 | flip:h", ["blur:2 | flip:horizontal"]),
        ("blur:2 | blur:sigma=2,t", ["blur:2 | blur:sigma=2,truncate="]),
        ("completed.py:em", ["completed.py:emboss"]),
        ("completed.py:emboss:b", ["completed.py:emboss:big=", "completed.py:emboss:border="]),
        ("completed.py:emboss:loud=t", ["completed.py:emboss:loud=true"]),
        ("completed:emboss:bi", ["completed:emboss:big="]),
        ("completed.py:bare:h", ["completed.py:bare:halo="]),
        ("completed.py:bare:dtype=f", ["completed.py:bare:dtype=float32"]),
        ("completed.py:bare:o", ["completed.py:bare:other="]),
        ("nothing:x", []),
        ("completed.py:nothing:x", []),
        ("blur:sigma=2:", []),
    ],
)
def test_one_word_more_is_offered(text: str, expected: list[str]) -> None:
    try:
        offered = [each for each, _ in completions(text)]
    except UsageError:  # which a shell never sees
        offered = []
    assert offered == expected


def test_every_completion_has_an_explanation() -> None:
    assert dict(completions("blu"))["blur"] == "Gaussian blur."
    assert "deviation" in dict(completions("blur:s"))["blur:sigma="].lower()
