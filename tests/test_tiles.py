"""Formats of compressed tiles: written in order, whatever the cut, and decoded once."""

from __future__ import annotations

import itertools
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import imgpipe
from imgpipe.chains.chain import Chain
from imgpipe.chains.entry import chain_from
from imgpipe.chains.stages import resolve
from imgpipe.engine import plan
from imgpipe.engine.batch import Request
from imgpipe.engine.control import Control
from imgpipe.engine.costs import Footing
from imgpipe.engine.feeds.tiles import TilesFeed
from imgpipe.engine.parts import Parts
from imgpipe.engine.pipeline import run_between, run_to_all
from imgpipe.engine.plan import WantedOutput
from imgpipe.engine.tasks import Decoding
from imgpipe.engine.tiler import Tiler
from imgpipe.engine.tileuse import TileUse
from imgpipe.errors import Cancelled, CorruptError
from imgpipe.events import Event, Report, TaskDone
from imgpipe.executors.base import Traits
from imgpipe.executors.processes.pool import ProcessExecutor
from imgpipe.filters import autocontrast, blur, crop, flip, invert, resize, rotate
from imgpipe.formats.arrays import ArraySink, Nowhere, RandomArray
from imgpipe.formats.opening import open_source
from imgpipe.geometry import Box
from imgpipe.image import ImageInfo, Pixels
from imgpipe.options import Options
from imgpipe.registry import FORMATS
from imgpipe.running import plan_run
from imgpipe.testing import check_format
from tests.batches import make_images
from tests.conftest import noise
from tests.toy_tiles import FORMAT, TilesSource

SHAPE = (231, 1203, 3)
INFO = ImageInfo(600, 400, 3, np.dtype("uint8"), None, "rgb")
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


# --- decoded once ---------------------------------------------------------------------------


@pytest.fixture
def small_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a small image cut into several tasks."""
    monkeypatch.setattr(plan, "TASK_BYTES", 60_000)


@given(
    chain=st.sampled_from(
        ["invert", "box:radius=5", "flip | box:radius=3", "rotate", "box:radius=2,border=wrap",
         "crop:x=9,y=5,width=40,height=41", "resize:50% | box:radius=1"]
    ),
    rows=st.integers(2, 40),
    grain=st.tuples(st.integers(1, 40), st.sampled_from([0, 1, 7, 16, 64])),
    window=st.integers(1, 5),
    seed=st.integers(0, 999),
)  # fmt: skip
@settings(max_examples=40)
def test_whatever_the_order_of_receipts_each_tile_is_decoded_once_and_there(
    chain: str, rows: int, grain: tuple[int, int], window: int, seed: int
) -> None:
    info, draw, decoded = ImageInfo(61, 53, 1, np.dtype("uint16")), random.Random(seed), Counter()
    stages = resolve(chain_from(chain), info)
    after = stages[-1].after
    parts = Parts((Tiler(info, stages, after.height, after.width, rows, (16, 16)),))
    source: Any = RandomArray(info, noise(info.shape, "uint16"))
    use = TileUse(parts, info, grain)
    feed = TilesFeed(source, use, count=len(parts), window=window, shared=False)
    feed.start(None)
    under_way: list[Any] = []
    try:
        while not (feed.exhausted and not under_way):
            given = feed.take() if len(under_way) < window else None
            given = given or (feed.decoding() if draw.random() < 0.5 or not under_way else None)
            if given is not None:
                under_way.append(given)
                continue
            done = under_way.pop(draw.randrange(len(under_way)))  # none is left if it is stuck
            if isinstance(done, Decoding):
                for place, box in done.tiles:
                    decoded[place] += 1
                    done.ring.pixels(box)[...] = source.read(box)
                feed.decoded(done)
            else:
                for box in parts.reads(done.number):
                    np.testing.assert_array_equal(done.read(box), source.read(box))
                feed.give_back(done)
    finally:
        feed.close()
    assert set(decoded.values()) == {1}
    assert len(decoded) == len(use.order)
    assert not feed._taken.any()


@pytest.mark.usefixtures("small_tasks")
@pytest.mark.parametrize("executor", ["serial", "threads"])
def test_each_pass_decodes_each_tile_once(
    executor: str, files: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = Counter[tuple[int, int]]()
    original = TilesSource.tile_into

    def counted(self: TilesSource, row: int, column: int, out: Any) -> None:
        decoded[row, column] += 1
        original(self, row, column, out)

    monkeypatch.setattr(TilesSource, "tile_into", counted)
    for chain, passes in ((blur(sigma=2), 1), (blur(sigma=2) | autocontrast(), 2)):
        decoded.clear()
        ends = files["tiles"], chain, tmp_path / "out.npy"
        options: dict[str, Any] = {"executor": executor}
        options |= {"workers": 2} if executor == "threads" else {}
        assert plan_run(*ends, **options).feed == "tiles"
        imgpipe.run(*ends, **options)
        assert decoded == dict.fromkeys(itertools.product(range(4), range(19)), passes)
        np.testing.assert_array_equal(np.load(ends[2]), chain(imgpipe.read(files["npy"])))


@pytest.mark.usefixtures("small_tasks")
def test_tiles_are_decoded_by_workers_while_others_filter(
    files: dict[str, Path], tmp_path: Path, pool: ProcessExecutor
) -> None:
    events: list[TaskDone] = []

    def note(event: Event) -> None:
        if isinstance(event, TaskDone):
            events.append(event)

    ends = files["tiles"], blur(sigma=2), tmp_path / "out.npy"
    report = imgpipe.run(*ends, executor=pool, on_event=note)
    kinds = Counter(event.kind for event in events)
    assert kinds["decode"] > 1
    assert report.tasks == kinds["chunks"] + kinds["seal"]
    np.testing.assert_array_equal(np.load(ends[2]), ends[1](imgpipe.read(files["npy"])))


@pytest.mark.usefixtures("small_tasks")
def test_several_outputs_share_the_decoded_tiles(
    files: dict[str, Path], tmp_path: Path, pool: ProcessExecutor
) -> None:
    source = open_source(files["tiles"])
    array = imgpipe.read(files["npy"])
    chains = [blur(sigma=2), resize(size="50%") | invert(), rotate() | blur(sigma=1)]
    goals, made = [], []
    for chain in chains:
        stages = resolve(chain_from(chain), source.info)
        made.append(np.empty(stages[-1].after.shape, np.uint8))
        goals.append(WantedOutput(stages, ArraySink(stages[-1].after, made[-1]), "array"))
    kinds = Counter[str]()
    options = Options(executor=pool, on_event=lambda e: kinds.update([getattr(e, "kind", "")]))
    run_to_all(source, tuple(goals), options)
    assert kinds["decode"]
    for chain, one in zip(chains, made, strict=True):
        np.testing.assert_array_equal(one, chain(array))


@dataclass(frozen=True)
class Failing:
    """A source of tiles, one of which ends or stops its worker: always, or the first time."""

    how: str
    marker: str = ""
    info: ImageInfo = INFO
    name: str = "bad.tif"
    grain: tuple[int, int] = (64, 64)
    decode_bytes: int = 0
    compressed: bool = True
    access: ClassVar[Literal["random"]] = "random"

    def read(self, box: Box) -> Pixels:
        raise AssertionError("its tiles are read one by one")

    def tile_into(self, row: int, column: int, out: Pixels) -> None:
        if (row, column) == (5, 3) and self.how != "not" and not os.path.exists(self.marker):
            if self.how == "damaged":
                raise CorruptError("bad.tif: tile 5, 3 is damaged; get a fresh copy")
            if self.how == "once":
                Path(self.marker).touch()
            while self.how == "hang":
                threading.Event().wait(1)
            os.kill(os.getpid(), signal.SIGSEGV)
        out[...] = 10 * row + column

    @property
    def pixels(self) -> Pixels:
        tiles = 10 * np.arange(10)[:, None] + np.arange(7)
        large = tiles.repeat(64, axis=0).repeat(64, axis=1)[:600, :400]
        return np.repeat(large[..., None], 3, axis=2).astype(np.uint8)


def made_of(source: Any, **options: Any) -> tuple[Pixels, Report]:
    out = np.empty(source.info.shape, np.uint8)
    stages = resolve(chain_from(blur(sigma=12)), source.info)
    report = run_between(source, stages, ArraySink(source.info, out), "array", Options(**options))
    return out, report


@pytest.mark.usefixtures("small_tasks")
@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("damaged", r"^bad\.tif: tile 5, 3 is damaged; get a fresh copy$"),
        ("crash", r"^bad\.tif: reading it ended 3 workers in a row, the last with signal SIGSEGV"),
        ("hang", r"^bad\.tif: reading it did not finish within its timeout"),
    ],
)
def test_a_tile_that_cannot_be_decoded_fails_its_image(
    how: str, told: str, pool: ProcessExecutor
) -> None:
    with pytest.raises(CorruptError, match=told):
        made_of(Failing(how), executor=pool, timeout=0.5 if how == "hang" else None)
    out, _ = made_of(Failing("not"), executor=pool)
    np.testing.assert_array_equal(out, blur(sigma=12)(Failing("not").pixels))


@pytest.mark.usefixtures("small_tasks")
def test_a_worker_that_dies_while_it_decodes_changes_nothing(
    pool: ProcessExecutor, tmp_path: Path
) -> None:
    source = Failing("once", str(tmp_path / "marker"))
    out, report = made_of(source, executor=pool)
    assert report.lost == 1
    np.testing.assert_array_equal(out, blur(sigma=12)(source.pixels))


@pytest.mark.usefixtures("small_tasks")
def test_images_of_tiles_share_a_crew(files: dict[str, Path], pool: ProcessExecutor) -> None:
    """One that is damaged fails alone, and one that is stopped ends."""
    source, chain = open_source(files["tiles"]), blur(sigma=12)
    sources: list[Any] = [source, Failing("damaged"), source, Failing("not"), source]
    stopped, made = Control(), [np.empty(one.info.shape, np.uint8) for one in sources]

    def request(at: int) -> Request:
        info = sources[at].info
        goal = WantedOutput(resolve(chain_from(chain), info), ArraySink(info, made[at]), "array")
        control = stopped if at == 2 else Control()
        tell = (lambda _: stopped.stop()) if at == 2 else (lambda _: None)
        return Request(lambda: sources[at], lambda _: (goal,), control, tell)

    options = Options(executor=pool, workers=2)
    outcomes = {one.turn: one.error for one in make_images(map(request, range(5)), options)}
    assert isinstance(outcomes[1], CorruptError)
    assert isinstance(outcomes[2], Cancelled)
    assert [outcomes[at] for at in (0, 3, 4)] == [None] * 3
    for at in (0, 4):
        np.testing.assert_array_equal(made[at], chain(imgpipe.read(files["npy"])))
    np.testing.assert_array_equal(made[3], chain(Failing("not").pixels))


def test_where_the_ring_takes_too_much_memory_tasks_read_for_themselves() -> None:
    """Its rows of tiles are as wide as the image."""
    info = ImageInfo(3000, 60_000, 3, np.dtype("uint8"), None, "rgb")
    source: Any = Failing("not", info=info, grain=(256, 256))
    stages, sink = resolve(chain_from(blur(sigma=2)), info), Nowhere(info)

    def planned(limit: int) -> plan.Plan:
        return plan.make_plan(
            source, stages, sink, destination="out", workers=2, executor="for a test",
            traits=Traits(shares_memory=True, shares_files=True, isolates=True),
            max_memory=limit, chunk=None, footing=Footing(),
        )  # fmt: skip

    rich, poor = planned(2_000_000_000), planned(200_000_000)
    assert (rich.feed, poor.feed) == ("tiles", "direct")
    assert rich.cost.shared >= 2 * 256 * info.row_bytes
    assert poor.workers == rich.workers == 2
    assert poor.tiler.task_columns


def test_tiles_that_tasks_share_rarely_are_read_by_the_tasks(files: dict[str, Path]) -> None:
    for chain in (invert(), rotate() | invert()):
        assert plan_run(files["tiles"], chain, files["npy"].with_name("o.npy")).feed == "direct"


def test_the_format_conforms(pool: ProcessExecutor) -> None:
    check_format(FORMAT, executor=pool, save={"tile": 48})
