"""Digests: which edits of a user filter change that of its chain."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

import imgpipe
from imgpipe.batches.journal.digests import (
    chain_digest,
    code_digest,
    file_digest,
    options_digest,
    versions,
)
from imgpipe.chains.entry import chain_from
from imgpipe.filters import blur, grayscale
from imgpipe.formats.readwrite import Reading, Writing

FILTER = '''"""A module."""
import imgpipe
from helper import weight
from package import tables
import numpy as np

@imgpipe.filter(halo=0)
def emboss(chunk, *, strength: float = 1.0):
    """A filter."""
    return chunk * weight(strength) * tables.ONE  # a comment
'''


@pytest.fixture
def code(tmp_path: Path) -> Path:
    (tmp_path / "emboss.py").write_text(FILTER)
    (tmp_path / "helper.py").write_text("def weight(x):\n    '''Docs.'''\n    return x\n")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    (tmp_path / "package" / "tables.py").write_text("from . import more\nONE = more.ONE\n")
    (tmp_path / "package" / "more.py").write_text("ONE = 1\n")
    (tmp_path / "unrelated.py").write_text("A = 1\n")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("emboss.py", "# a comment", "# another comment, and\n\n"),
        ("emboss.py", '"""A filter."""', '"""A filter with more words."""'),
        ("emboss.py", '"""A module."""', ""),
        ("helper.py", "'''Docs.'''", "'''Better docs.'''"),
        ("helper.py", "return x", "return (\n        x\n    )"),
        ("unrelated.py", "A = 1", "A = 2"),
    ],
)
def test_edits_that_change_nothing(name: str, before: str, after: str, code: Path) -> None:
    old = code_digest(str(code / "emboss.py"))
    text = (code / name).read_text()
    assert before in text
    (code / name).write_text(text.replace(before, after))
    assert code_digest(str(code / "emboss.py")) == old


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("emboss.py", "* weight", "+ weight"),
        ("emboss.py", "1.0", "2.0"),
        ("helper.py", "return x", "return 2 * x"),
        ("package/tables.py", "more.ONE", "more.ONE + 1"),
        ("package/more.py", "ONE = 1", "ONE = 2"),
        ("package/__init__.py", "", "A = 1"),
    ],
)
def test_edits_that_change_the_filter_or_its_helpers(
    name: str, before: str, after: str, code: Path
) -> None:
    old = code_digest(str(code / "emboss.py"))
    text = (code / name).read_text()
    (code / name).write_text(text.replace(before, after) if before else after)
    assert code_digest(str(code / "emboss.py")) != old


def test_modules_that_import_each_other(code: Path) -> None:
    (code / "helper.py").write_text("import emboss\n")
    assert code_digest(str(code / "emboss.py"))


def test_the_digest_of_a_chain_with_a_filter_of_a_file(code: Path) -> None:
    place = f"{code / 'emboss.py'}:emboss"
    one = chain_digest(chain_from(place, None, None))
    assert one != chain_digest(chain_from(f"{place}:strength=2", None, None))
    text = (code / "helper.py").read_text()
    (code / "helper.py").write_text(text.replace("return x", "return 3 * x"))
    assert one != chain_digest(chain_from(place, None, None))


def test_a_chain_is_its_filters_with_their_values_in_their_order() -> None:
    chains = [
        blur(2),
        blur(3),
        blur(2) | grayscale(),
        grayscale() | blur(2),
        blur(2, border="wrap"),
    ]
    digests = [chain_digest(chain_from(chain, None, None)) for chain in chains]
    assert len(set(digests)) == len(chains)
    assert digests[0] == chain_digest(chain_from("blur:sigma=2", None, None))


def test_a_function_without_a_file_has_a_digest_too() -> None:
    space: dict[str, object] = {}
    exec("def invert(chunk):\n    return 255 - chunk\n", space)
    assert chain_digest(chain_from(space["invert"], 0, None))  # type: ignore[arg-type]


def test_values_that_a_function_holds_on_to_count() -> None:
    def adding(amount: int) -> object:
        def add(chunk):  # type: ignore[no-untyped-def]
            return chunk + amount

        return add

    one, two = (chain_digest(chain_from(adding(n), 0, None)) for n in (1, 2))  # type: ignore[arg-type]
    assert one != two


def test_options_that_differ() -> None:
    one = options_digest(Reading(), Writing(save={"quality": 80}))
    assert one == options_digest(Reading(), Writing(save={"quality": 80}))
    assert one != options_digest(Reading(), Writing(save={"quality": 81}))
    assert one != options_digest(Reading(page=1), Writing(save={"quality": 80}))


def test_versions_are_those_of_imgpipe_and_the_codecs() -> None:
    found = versions()
    assert found.pop("imgpipe") == imgpipe.__version__
    assert {"imagecodecs", "numpy"} <= found.keys()
    assert found == {name: importlib.metadata.version(name) for name in found}


def test_the_digest_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 3_000_000)
    (tmp_path / "b").write_bytes(b"x" * 2_999_999 + b"y")
    (tmp_path / "c").write_bytes(b"x" * 3_000_000)
    a, b, c = (file_digest(str(tmp_path / name)) for name in "abc")
    assert a == c != b
