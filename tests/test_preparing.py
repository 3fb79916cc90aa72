"""Preparing: the work of a batch is known before anything is written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imgpipe
from imgpipe.batches.answers import Recipe, Tail
from imgpipe.batches.choices import Choices
from imgpipe.batches.happenings import BatchPlanned, Happening
from imgpipe.batches.preparing import Prepared, prepare
from imgpipe.chains.grammar import parse_chain
from imgpipe.errors import UsageError


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    return tmp_path  # type: ignore[return-value]


def image(path: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    imgpipe.write(np.zeros((2, 3, 3), np.uint8), path)


def choices(*sources: str, chains: tuple[str, ...] = ("blur",), **given: Any) -> Choices:
    tails = tuple(Tail(parse_chain(each)) for each in chains)
    return Choices(sources or ("in",), given.pop("folder", "out"), Recipe(tails), **given)


def outputs(prepared: Prepared) -> dict[str, str]:
    return {output: due.why for due in prepared.agenda.due for output in due.outputs}


def test_a_batch_is_told_of_its_plan() -> None:
    image("in/a.png")
    image("in/b/c.JPG")
    told: list[Happening] = []
    with prepare(choices(), told.append) as prepared:
        assert outputs(prepared) == {"a.png": "new", "b/c.JPG": "new"}
        assert prepared.journal is not None
    assert told == [BatchPlanned(2, {}, 0, {".png .png": 1, ".jpg .jpg": 1})]


def test_nothing_is_written_by_a_dry_run_or_a_refused_batch() -> None:
    image("in/a.png")
    image("in/a.jpg")
    with prepare(choices(), dry=True) as prepared:
        assert prepared.journal is None
    with pytest.raises(UsageError, match="several sources"):
        prepare(choices(naming=imgpipe.batches.outputs.Naming(formats=("webp",))))
    assert not Path("out").exists()
