"""A plan fits its budget by fewer workers, a shorter window and smaller tasks, never otherwise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import imgpipe
from imgpipe.chains.chain import Chain
from imgpipe.chains.stages import resolve
from imgpipe.engine.costs import Cost, Footing
from imgpipe.engine.plan import Plan, WantedOutput, make_plan, make_plans
from imgpipe.errors import MemoryPlanError
from imgpipe.executors.base import Traits
from imgpipe.filters import astype, blur, grayscale, invert, resize, rotate
from imgpipe.formats.arrays import RandomArray, SequentialArray
from imgpipe.formats.base import Sink, Source
from imgpipe.formats.scratch import Scratch
from imgpipe.image import ImageInfo
from tests.conftest import noise

MB = 1_000_000
POOL = Traits(shares_memory=True, shares_files=True, isolates=True)
CHAINS = {
    "nothing": Chain(()),
    "blur": Chain((blur(sigma=2),)),
    "smaller": Chain((resize(size="5%"),)),
    "bytes": Chain((astype(dtype="uint8"),)),
    "gray": astype(dtype="uint8") | grayscale(),
    "rotate": Chain((rotate(),)),
    "wide": Chain((blur(sigma=60),)),
}


class RowsOf20:
    """An encoder whose unit is 2 MB of rows, as for PNG."""

    context_rows, work_bytes = 1, 0

    def __init__(self, info: ImageInfo) -> None:
        self.info, self.kind, self.encoder = info, "ordered", self
        self.unit = max(1, 2 * MB // info.row_bytes), 0

    def bound(self, rows: int) -> int:
        return rows * (self.info.row_bytes + 1)


def planned(
    chain: str,
    height: int,
    width: int,
    *,
    source: type = SequentialArray,
    sink: type = RowsOf20,
    dtype: str = "uint8",
    workers: int = 2,
    budget: int | None = None,
) -> Plan:
    info = ImageInfo(height, width, 3, np.dtype(dtype), None, "rgb")
    stages = resolve(CHAINS[chain], info)
    after = stages[-1].after if stages else info
    start: Source = source(info, np.empty(0))
    end: Sink = sink(after)
    return make_plan(
        start, stages, end, destination="out", traits=POOL, workers=workers, executor="for a test",
        max_memory=budget, chunk=None, footing=Footing(),
    )  # fmt: skip


@settings(max_examples=10)
@given(
    st.sampled_from(list(CHAINS)),
    st.sampled_from([SequentialArray, RandomArray]),
    st.sampled_from(["uint8", "float64"]),
    st.tuples(st.integers(40, 5000), st.integers(40, 40_000)),
)
def test_no_budget_changes_what_is_encoded_at_once(
    chain: str, source: type, dtype: str, size: tuple[int, int]
) -> None:
    """And a smaller budget never makes a plan that takes more."""
    height, width = size
    found: list[Plan] = []
    for budget in (8000 * MB, 1000 * MB, 250 * MB, 120 * MB, 60 * MB):
        try:
            plan = planned(
                chain, height, width, source=source, dtype=dtype, budget=budget, workers=4
            )
        except MemoryPlanError as error:
            enough = int(str(error).split("--max-memory ")[1].split("M")[0])
            assert enough * MB > budget
            found.append(
                planned(chain, height, width, source=source, dtype=dtype, budget=enough * MB)
            )
            assert found[-1].workers == 1
            break
        assert plan.memory <= budget
        found.append(plan)
    for plan in found:
        last = plan.encoding or plan.tiler
        assert plan.unit == RowsOf20(plan.after).unit
        assert last.task_rows % plan.unit[0] == 0 or last.task_rows == last.height
        assert last.task_columns == 0
    assert sorted(plan.memory for plan in found)[::-1] == [plan.memory for plan in found]


def test_encoding_is_deferred_where_a_unit_stands_for_very_many_of_the_input() -> None:
    plan = planned("smaller", 10_000, 10_000)
    assert plan.feed == "bands"
    assert plan.encoding is not None
    assert plan.tiler.context_rows == 0
    assert plan.tiler.task_rows < plan.unit[0] / 5
    assert plan.encoding.context_rows == 1
    assert plan.encoding.info == plan.after
    assert plan.passes == 2
    assert "1 MB on disk" in str(plan)
    assert planned("blur", 10_000, 10_000).encoding is None
    assert planned("smaller", 10_000, 10_000, sink=Scratch).encoding is None


def test_where_memory_is_short_encoding_is_deferred_before_a_plan_fails() -> None:
    usual = planned("bytes", 4000, 5000, dtype="float64", source=RandomArray)
    assert usual.encoding is None
    short = planned("bytes", 4000, 5000, dtype="float64", source=RandomArray, budget=80 * MB)
    assert short.encoding is not None
    assert short.unit == usual.unit
    assert short.workers == 1


def test_a_quarter_turn_is_deferred_held_in_memory_or_goes_through_tiles() -> None:
    plan = planned("rotate", 4000, 5000, source=RandomArray)
    assert plan.encoding is not None
    assert plan.tiler.task_columns
    plan = planned("rotate", 4000, 5000)
    assert (plan.feed, plan.scratch_bytes, plan.encoding) == ("whole", 0, None)
    assert plan.memory > 4000 * 5000 * 3
    plan = planned("rotate", 4000, 5000, budget=150 * MB)
    assert plan.memory <= 150 * MB
    assert plan.encoding is None
    assert plan.scratch_bytes == 4000 * 5000 * 3
    rows, columns = plan.scratch_tile
    assert 16_000 <= 3 * rows * columns <= 64_000


class Tiles256(RowsOf20):
    """A sink of tiles, which leave in order."""

    def __init__(self, info: ImageInfo) -> None:
        super().__init__(info)
        self.unit = 256, 256

    def bound(self, rows: int) -> int:
        assert rows == 256
        return -(-self.info.width // 256) * 256 * 256 * 3


def test_of_large_bands_few_are_held_ready() -> None:
    narrow, wide = (planned("wide", 40_000, width) for width in (1000, 40_000))
    assert (narrow.feed, wide.feed) == ("bands", "bands")
    assert (narrow.window, wide.window) == (6, 3)


def test_tasks_are_parts_of_a_row_of_tiles_that_is_wide() -> None:
    """Rows of a stream are then held once for all tasks side by side."""
    narrow, wide, widest = (
        planned("blur", 40_000, width, sink=Tiles256) for width in (10_000, 40_000, 100_000)
    )
    assert (narrow.feed, wide.feed, widest.feed) == ("bands", "ring", "ring")
    assert (narrow.tiler.task, wide.tiler.task) == ((256, 10_000), (256, 5376))
    assert wide.window == 6
    encoded = wide.window * wide.payload_bytes
    assert wide.cost.shared - encoded <= (2 * 256 + 2 * 8 + 2) * 40_000 * 3
    assert widest.cost.shared - encoded < 1.6 * 256 * 100_000 * 3


def test_slots_of_tiles_are_of_the_columns_of_their_tasks() -> None:
    tile = 256 * 256 * 3
    for width, source in ((100_000, RandomArray), (5000, RandomArray), (5000, SequentialArray)):
        plan = planned("nothing", 2000, width, source=source, sink=Tiles256)
        rows, columns = plan.tiler.task
        assert rows % 256 == 0
        assert plan.payload_bytes == rows // 256 * -(-columns // 256) * tile
    tight = planned("blur", 20_000, 100_000, source=RandomArray, sink=Tiles256, budget=100 * MB)
    assert tight.encoding is None
    assert tight.tiler.task_rows == 256
    assert planned("rotate", 4000, 5000, source=RandomArray, sink=Tiles256).encoding is not None


def test_a_halo_much_higher_than_a_row_of_tiles_defers_the_encoding() -> None:
    plan = planned("wide", 10_000, 10_000, source=RandomArray, sink=Tiles256)
    assert plan.encoding is not None
    assert plan.encoding.task_rows == 256
    assert planned("blur", 10_000, 10_000, source=RandomArray, sink=Tiles256).encoding is None


def test_costs_of_runs_add_up_by_part() -> None:
    one, other = Cost(10, 7, 100), Cost(20, 5, 90)
    assert one.beside(other) == Cost(30, 7, 100)
    assert one.then(other) == Cost(20, 7, 100)
    assert one + other == Cost(30, 12, 190)
    assert one.total(workers=3) == 10 + 21 + 100
    plan = planned("blur", 3000, 2000, workers=3)
    assert plan.memory == plan.cost.total(plan.workers)
    assert plan.cost.shared == plan.window * (plan.band_bytes + plan.payload_bytes)


class Decoded(SequentialArray):
    """A source whose decoder takes memory, in one process."""

    decode_bytes = 50 * MB


class DecodedAnywhere(RandomArray):
    """A source whose decoder takes memory, in each worker."""

    decode_bytes = 50 * MB


class Worked(RowsOf20):
    """A sink whose encoder takes memory."""

    work_bytes = 30 * MB


class Sealed(Scratch):
    """A sink that takes memory when it is sealed."""

    seal_bytes = 900 * MB


def test_memory_of_codecs_is_counted_once_or_for_every_worker() -> None:
    """A decoder of rows is one, all others are in every worker; a single task seals."""

    def cost(source: type = SequentialArray, sink: type = RowsOf20, chain: str = "blur") -> Cost:
        plan = planned(chain, 3000, 2000, source=source, sink=sink, workers=3, budget=4000 * MB)
        return plan.cost

    usual, anywhere = cost(), cost(RandomArray)
    assert cost(Decoded) == replace(usual, shared=usual.shared + 50 * MB)
    more = anywhere.per_worker + 50 * MB
    assert cost(DecodedAnywhere) == replace(anywhere, per_worker=more)
    assert cost(sink=Worked) == replace(usual, per_worker=usual.per_worker + 30 * MB)
    assert cost(sink=Sealed).shared == 900 * MB
    copied, turned = cost(Decoded, chain="rotate"), cost(chain="rotate")
    assert copied.per_worker == turned.per_worker  # a scratch file needs no decoder


class DecodedWhole(RandomArray):
    """A source that is decoded at once."""

    access = "whole"  # type: ignore[assignment,misc]
    decode_bytes = 200 * MB


def test_an_image_that_is_decoded_or_encoded_as_a_whole_is_refused_with_numbers_and_advice() -> (
    None
):
    with pytest.raises(
        MemoryPlanError,
        match=r"^array: the memory limit is 300 MB, but \d+ MB are needed, even .* \(imgpipe "
        r"itself takes 0 MB\); decoding the whole image takes 560 MB; raise the limit .*, or "
        r"convert it with another program to a format "
        r"that is read in parts, such as tiled TIFF$",
    ):
        planned("blur", 12_000, 10_000, source=DecodedWhole, budget=300 * MB)
    with pytest.raises(
        MemoryPlanError,
        match=r"; encoding out as a whole takes 900 MB; raise the limit .*, or "
        r"choose a format that is written in parts, such as TIFF or PNG$",
    ):
        planned("blur", 1000, 1000, sink=Sealed, budget=300 * MB)


def test_outputs_of_one_image_share_its_decoder() -> None:
    info = ImageInfo(3000, 2000, 3, np.dtype("uint8"), None, "rgb")
    goals = tuple(WantedOutput((), RowsOf20(info), name) for name in "ab")  # type: ignore[arg-type]
    given: dict[str, Any] = {
        "traits": POOL, "workers": 2, "executor": "for a test", "max_memory": 4000 * MB,
        "chunk": None, "footing": Footing(),
    }  # fmt: skip
    usual, decoded = (
        make_plans(source(info, np.empty(0)), goals, **given)[0].cost
        for source in (SequentialArray, Decoded)
    )
    assert decoded == replace(usual, shared=usual.shared + 50 * MB)
    usual, decoded = (
        make_plans(source(info, np.empty(0)), goals, **given, opened=True)[0].cost
        for source in (SequentialArray, Decoded)
    )
    assert decoded == replace(usual, per_worker=usual.per_worker + 50 * MB)


@pytest.fixture(scope="module")
def wide() -> np.ndarray:
    """An image of which a unit of PNG has few rows."""
    return np.tile(noise((61, 400, 3), "uint8"), (1, 50, 1))


def test_bytes_of_a_wide_image_are_the_same_whatever_makes_it(
    wide: np.ndarray, tmp_path: Path
) -> None:
    """A row of the image is made from one row, from twelve, or from a column."""
    np.save(tmp_path / "plain.npy", 255 - wide)
    np.save(tmp_path / "float.npy", (255 - wide) / 255)
    np.save(tmp_path / "turned.npy", np.rot90(255 - wide, -1))
    np.save(tmp_path / "larger.npy", (255 - wide).repeat(12, axis=0))
    imgpipe.write(np.ascontiguousarray(np.rot90(255 - wide, -1)), tmp_path / "turned.png")
    chains = {
        "plain.npy": invert(),
        "float.npy": astype(dtype="uint8") | invert(),
        "turned.npy": rotate() | invert(),
        "turned.png": rotate() | invert(),
        "larger.npy": resize(size="20000x61!", method="nearest") | invert(),
    }
    expected = tmp_path / "expected.png"
    imgpipe.write(wide, expected)
    for name, chain in chains.items():
        for limit in (None, 130 * MB):
            out = tmp_path / "out.png"
            report = imgpipe.run(tmp_path / name, chain, out, workers=2, max_memory=limit)
            assert out.read_bytes() == expected.read_bytes(), (name, limit, report)
