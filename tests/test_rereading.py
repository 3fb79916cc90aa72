"""An image that several passes read is decoded again, or kept: whatever is cheaper."""

from __future__ import annotations

import shutil
from concurrent.futures import Executor
from dataclasses import field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

from imgpipe.chains.entry import chain_from
from imgpipe.chains.stages import resolve
from imgpipe.engine import rereading
from imgpipe.engine.pipeline import plan_between, run_between
from imgpipe.engine.rereading import worth_keeping
from imgpipe.engine.wantedoutputs import WantedOutput
from imgpipe.errors import CorruptError
from imgpipe.executors.base import traits_of
from imgpipe.formats.arrays import ArrayRows, ArraySink, Nowhere, SequentialArray
from imgpipe.image import ImageInfo, Pixels
from imgpipe.options import Options
from imgpipe.records import dataclass
from tests.conftest import noise

INFO = ImageInfo(700, 500, 3, np.dtype("uint8"), None, "rgb")
PIXELS = noise(INFO.shape, "uint8") // 2 + 30


@dataclass(frozen=True, eq=False)
class Slow(SequentialArray):
    """An image whose decoder is slow, and counts how often it begins."""

    decode_ms: float = 1000.0
    begun: list[int] = field(default_factory=list)

    def rows(self, *, ahead: bool = False) -> ArrayRows:
        self.begun.append(1)
        return super().rows(ahead=ahead)


@dataclass(frozen=True, eq=False)
class Whole:
    """An image that is decoded at once."""

    access: ClassVar[str] = "whole"
    info: ImageInfo = INFO
    name: str = "whole.webp"
    grain: tuple[int, int] = (1, 1)
    decode_bytes: int = 0
    begun: list[int] = field(default_factory=list)

    def decode_into(self, out: Pixels, check: Any = None) -> None:
        self.begun.append(1)
        out[...] = PIXELS


def made(source: Any, chain: str, **options: Any) -> Pixels:
    stages = resolve(chain_from(chain), INFO)
    out = np.empty(stages[-1].after.shape, np.uint8)
    given = Options(chunk=100, **options)
    run_between(source, stages, ArraySink(stages[-1].after, out), "array", given)
    return out


CHAINS = [
    "autocontrast",
    "blur:1 | autocontrast | blur:2",
    "autocontrast | equalize | crop:9,9,90,90",
]


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("source", [Slow, Whole])
def test_a_slow_image_is_decoded_once(source: Any, chain: str, executor: Executor) -> None:
    image = source() if source is Whole else Slow(INFO, PIXELS)
    np.testing.assert_array_equal(made(image, chain, executor=executor), chain_from(chain)(PIXELS))
    far = not traits_of(executor).shares_files  # each task brings its pixels along
    assert len(image.begun) == 1 or (far and source is Slow)


def test_an_image_that_is_decoded_quickly_is_decoded_for_every_pass() -> None:
    image = Slow(INFO, PIXELS, decode_ms=0.1)
    made(image, "autocontrast | equalize", executor="serial")
    assert image.begun == [1, 1, 1]


def test_the_plan_tells_of_the_scratch_file(tmp_path: Path) -> None:
    image = Slow(INFO, PIXELS)
    stages = resolve(chain_from("autocontrast"), INFO)
    options = Options(executor="serial", scratch=tmp_path)
    with options.scratch_beside():
        plan = plan_between(image, stages, Nowhere(INFO), "nowhere", options)
        assert not plan.kept  # there is one pass only
        sink = ArraySink(INFO, np.empty(INFO.shape, np.uint8))
        plan = plan_between(image, stages, sink, "array", options)
    assert plan.kept
    assert "; later passes read a scratch file" in str(plan)
    assert f"1 MB on disk, in {tmp_path}" in str(plan)


def test_pixels_are_kept_if_that_is_cheaper_than_decoding_again() -> None:
    """The choice depends on the time of the decoder, free memory, free disk, and the first pass."""

    def worth(chain: str, *more: str, ms: float = 1000.0) -> bool:
        goals = []
        for text in (chain, *more):
            stages = resolve(chain_from(text), INFO)
            sink: Any = SimpleNamespace(info=stages[-1].after)
            goals.append(WantedOutput(stages, sink, "array"))
        return worth_keeping(Slow(INFO, PIXELS, decode_ms=ms), tuple(goals))

    assert worth("autocontrast")
    assert not worth("blur:1")
    assert not worth("autocontrast", ms=1.0)
    assert worth("crop:9,9,90,90 | autocontrast")
    assert not worth("crop:9,9,90,90 | autocontrast", "blur:1")  # reads rows that were not kept
    assert worth("autocontrast", "blur:1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rereading, "available_memory", lambda: INFO.nbytes)
        assert not worth("autocontrast")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rereading, "lies_in_memory", lambda folder: True)
        assert not worth("autocontrast")
    with pytest.MonkeyPatch.context() as patch:
        usage = SimpleNamespace(free=INFO.nbytes)
        patch.setattr(shutil, "disk_usage", lambda folder: usage)
        assert not worth("autocontrast")


class _Damaged(ArrayRows):
    def read_into(self, out: Pixels) -> None:
        if self._next + len(out) > 300:
            raise CorruptError("in.jpg: is damaged")
        super().read_into(out)


@dataclass(frozen=True, eq=False)
class Damaged(Slow):
    def rows(self, *, ahead: bool = False) -> ArrayRows:
        return _Damaged(self.pixels)


def test_damage_is_reported_as_ever(executor: Executor) -> None:
    with pytest.raises(CorruptError, match=r"^in\.jpg: is damaged$"):
        made(Damaged(INFO, PIXELS), "autocontrast", executor=executor)
