"""Ctrl-C at any line of the engine: the run ends, and nothing is left of it."""

from __future__ import annotations

import os
import random
import threading
from pathlib import Path
from typing import Any

import pytest

import imgpipe
from imgpipe.engine import buffers, jobs
from imgpipe.executors.threads import ThreadExecutor
from tests import tracing
from tests.conftest import noise

ENGINE = str(Path(jobs.__file__).parent)

MOMENTS = int(os.environ.get("IMGPIPE_MOMENTS", "8"))
"""A fifth of the lines that are tried, in each of the tests."""


@pytest.fixture
def png(tmp_path: Path) -> Path:
    imgpipe.write(noise((300, 40, 3), "uint8"), tmp_path / "in.png")
    return tmp_path / "in.png"


def interrupted(png: Path, chain: str, seen: list[tuple[str, int]], at: int, executor: Any) -> bool:
    """Make an image, and note the lines; return whether the line number `at` ended that."""

    def make() -> None:
        imgpipe.run(png, chain, png.with_name("out.npy"), executor=executor, chunk=50)

    return tracing.interrupted(make, lambda path: path.startswith(ENGINE), seen, at)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("workers", ["serial", "threads"])
@pytest.mark.parametrize("chain", ["autocontrast | rotate:90", "autocontrast"])
def test_an_interrupt_at_any_line_leaves_nothing(workers: str, chain: str, png: Path) -> None:
    """A file that goes with the last reference to it is closed, though Python warns of it."""
    with ThreadExecutor(1) as threads:
        executor = threads if workers == "threads" else "serial"
        seen: list[tuple[str, int]] = []
        before = dict(jobs._jobs)  # of executors that work in this process, which keep a few
        running = set(threading.enumerate())  # libraries keep threads of their own
        assert not interrupted(png, chain, seen, 0, executor)
        first = {line: at for at, line in reversed([*enumerate(seen, 1)])}
        assert len(first) > 300
        moments = random.Random(len(chain)).sample(
            sorted(first.values()), min(5 * MOMENTS, len(first))
        )
        for moment in moments:
            interrupted(png, chain, [], moment, executor)
            threads.submit(int).result()  # all that was to be done is done
            assert not buffers._attached, seen[moment - 1]
            assert jobs._jobs == before, seen[moment - 1]
            left = {path.name for path in png.parent.iterdir()} - {"in.png", "out.npy"}
            assert not left, seen[moment - 1]
            started = {one.name for one in set(threading.enumerate()) - running}
            assert not started - {"imgpipe_0"}, seen[moment - 1]
