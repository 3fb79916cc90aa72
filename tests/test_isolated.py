"""A decoder in a process of its own may crash or hang: that is an error of its image alone."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest

import imgpipe
from imgpipe.chains.chain import Chain
from imgpipe.chains.stages import resolve
from imgpipe.engine.buffers import Buffers, slot_of
from imgpipe.engine.feeds.isolated import isolated_source
from imgpipe.engine.pipeline import run_between
from imgpipe.errors import CorruptError
from imgpipe.executors.processes.pool import ProcessExecutor
from imgpipe.filters import blur
from imgpipe.formats.arrays import ArraySink
from imgpipe.formats.opening import open_source
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo, Pixels
from imgpipe.options import Options
from tests.conftest import noise

INFO = ImageInfo(600, 80, 3, np.dtype("uint8"), None, "rgb")


@pytest.fixture(scope="module")
def reader() -> Iterator[ProcessExecutor]:
    with ProcessExecutor(1) as executor:
        yield executor


@dataclass(frozen=True)
class Failing:
    """A source whose decoder crashes or hangs at some row."""

    how: str
    info: ImageInfo = INFO
    name: str = "bad.jpg"
    grain: tuple[int, int] = (1, 0)
    decode_bytes: int = 0
    access: ClassVar[Literal["sequential"]] = "sequential"

    def rows(self, *, ahead: bool = False) -> Any:
        return FailingRows(self.how)


class FailingRows:
    def __init__(self, how: str) -> None:
        self.how, self.next = how, 0

    def read_into(self, out: Pixels) -> None:
        self.next += len(out)
        if self.next > 300 and self.how == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        while self.next > 300 and self.how == "hang":
            time.sleep(0.01)
        out[...] = 7

    def finish(self) -> None:
        pass

    def close(self) -> None:
        pass


@dataclass(frozen=True)
class Reading:
    """A source that every worker reads itself, whose decoder crashes or hangs at some row."""

    how: str
    info: ImageInfo = INFO
    name: str = "bad.tif"
    grain: tuple[int, int] = (1, 0)
    decode_bytes: int = 0
    access: ClassVar[Literal["random"]] = "random"

    def read(self, box: Box) -> Pixels:
        out = np.empty((*box.shape, INFO.channels), INFO.dtype)
        rows = FailingRows(self.how)
        rows.next = box.y0
        rows.read_into(out)
        return out


def made(source: Any, **options: Any) -> Pixels:
    info = source.info
    out = np.empty(info.shape, info.dtype)
    stages = resolve(Chain((blur(sigma=1),)), info)
    run_between(source, stages, ArraySink(info, out), "array", Options(chunk=64, **options))
    return out


@pytest.mark.parametrize("executor", ["serial", "processes"])
def test_a_decoder_apart_gives_the_same_pixels(
    executor: str, reader: ProcessExecutor, tmp_path: Path, pool: ProcessExecutor
) -> None:
    array = noise((600, 80, 3), "uint8")
    imgpipe.write(array, tmp_path / "in.png")
    source = isolated_source(open_source(tmp_path / "in.png"), reader)  # type: ignore[arg-type]
    given = pool if executor == "processes" else executor
    np.testing.assert_array_equal(made(source, executor=given), blur(sigma=1)(array))


@pytest.mark.parametrize("executor", ["serial", "processes"])
@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("crash", r"^bad\.jpg: its decoder ended by signal SIGSEGV; get a fresh copy"),
        ("hang", r"^bad\.jpg: its decoder did not finish within 1 s; get a fresh copy"),
    ],
)
def test_a_decoder_that_crashes_or_hangs_fails_its_image(
    how: str, told: str, executor: str, reader: ProcessExecutor, pool: ProcessExecutor
) -> None:
    given = pool if executor == "processes" else executor
    with pytest.raises(CorruptError, match=told):
        made(isolated_source(Failing(how), reader, 1.0 if how == "hang" else 60.0), executor=given)
    np.testing.assert_array_equal(made(isolated_source(Failing("not"), reader), executor=given), 7)


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("crash", r"^bad\.tif: reading it ended 3 workers in a row, the last with signal SIGSEGV"),
        ("hang", r"^bad\.tif: reading it did not finish within its timeout"),
    ],
)
def test_a_decoder_in_a_worker_is_not_taken_for_a_filter(
    how: str, told: str, pool: ProcessExecutor
) -> None:
    with pytest.raises(CorruptError, match=told):
        made(Reading(how), executor=pool, timeout=0.5 if how == "hang" else None)


def test_a_decoder_that_somebody_kills_begins_again(
    reader: ProcessExecutor, tmp_path: Path
) -> None:
    array = noise((600, 80, 3), "uint8")
    imgpipe.write(array, tmp_path / "in.png")
    rows = isolated_source(open_source(tmp_path / "in.png"), reader).rows()  # type: ignore[arg-type,union-attr]
    out = np.empty_like(array)
    for y in range(0, 600, 100):
        rows.read_into(out[y : y + 100])
        (pid,) = reader.pids - reader._server.pids
        os.kill(pid, signal.SIGKILL)
    rows.finish()
    rows.close()
    np.testing.assert_array_equal(out, array)


def test_a_whole_image_that_another_process_decodes_is_the_same(
    reader: ProcessExecutor, tmp_path: Path
) -> None:
    np.save(tmp_path / "in.npy", np.asfortranarray(noise((60, 50, 3), "uint8")))
    source = open_source(tmp_path / "in.npy")
    assert source.access == "whole"
    out = np.empty(source.info.shape, source.info.dtype)
    there = isolated_source(source, reader)
    there.decode_into(out)  # type: ignore[union-attr]
    np.testing.assert_array_equal(out, np.load(tmp_path / "in.npy"))


def test_an_array_in_shared_memory_is_known_by_its_slot() -> None:
    memory = Buffers(3, 5000, shared=True)
    try:
        array = memory.slots[1].array((5, 100), np.dtype("u1"))
        slot = slot_of(array[2:])
        assert slot is not None
        assert (slot.offset, slot.size) == (memory.slots[1].offset + 200, 300)
        slot.bytes()[0] = 9
        assert array[2, 0] == 9
        assert slot_of(array[:, 3:]) is None
        assert slot_of(np.zeros(8)) is None
    finally:
        memory.close()
