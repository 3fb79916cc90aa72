"""Formats of compressed tiles: written in order, whatever the cut, and decoded once."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import pytest

import imgpipe
from imgpipe.chains.chain import Chain
from imgpipe.engine import plan
from imgpipe.executors.processes.pool import ProcessExecutor
from imgpipe.filters import autocontrast, blur, crop, flip, invert, resize, rotate
from imgpipe.registry import FORMATS
from imgpipe.testing import check_format
from tests.conftest import noise
from tests.toy_tiles import FORMAT

SHAPE = (231, 1203, 3)
CHAINS = {
    "nothing": Chain(()),
    "blur": Chain((blur(sigma=1),)),
    "large halo": Chain((blur(sigma=40),)),
    "rotate": rotate() | invert(),
    "smaller": resize(size="40%") | blur(sigma=1),
    "from below": flip() | blur(sigma=2, border="wrap"),
    "part": crop(x=33, y=17, width=130, height=170) | blur(sigma=1),
    "measured": autocontrast() | blur(sigma=1),
}


@pytest.fixture(autouse=True)
def toy() -> Iterator[None]:
    """Have the format of tiles in the table."""
    with FORMATS.with_member("tiles", FORMAT):
        yield


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """The same image in files of several kinds of access."""
    array = noise(SHAPE, "uint8")
    for suffix in ("npy", "png", "tiles"):
        imgpipe.write(array, tmp_path / f"in.{suffix}")
    return {suffix: tmp_path / f"in.{suffix}" for suffix in ("npy", "png", "tiles")}


def must_be_the_same(
    ends: tuple[Path, Chain, Path], expected: bytes, patch: pytest.MonkeyPatch, **options: Any
) -> None:
    for task_bytes in options.pop("tasks", (9000, 1)):
        patch.setattr(plan, "TASK_BYTES", task_bytes)
        report = imgpipe.run(*ends, chunk=(100, 300), **options)
        assert ends[2].read_bytes() == expected, report


@pytest.mark.parametrize("name", CHAINS)
def test_tiles_leave_in_order_whatever_the_cut(
    name: str, files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sink of the format refuses tiles that are out of order."""
    ends = CHAINS[name], tmp_path / "out.tiles"
    imgpipe.run(files["npy"], *ends, executor="serial")
    expected = ends[1].read_bytes()
    for suffix in ("npy", "png", "tiles"):
        must_be_the_same((files[suffix], *ends), expected, monkeypatch, executor="serial")


def test_tiles_leave_in_order_from_all_executors(
    files: dict[str, Path], executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = CHAINS["measured"], tmp_path / "out.tiles"
    imgpipe.run(files["npy"], *ends, executor="serial")
    expected = ends[1].read_bytes()
    for suffix in ("png", "tiles"):
        options = {"executor": executor, "tasks": (9000,)}
        must_be_the_same((files[suffix], *ends), expected, monkeypatch, **options)


def test_the_format_conforms(pool: ProcessExecutor) -> None:
    check_format(FORMAT, executor=pool, save={"tile": 48})
