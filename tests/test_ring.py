"""A stream whose rows tasks side by side share gives the same bytes as any other way."""

from __future__ import annotations

import struct
import zlib
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imgpipe
from imgpipe.chains.entry import chain_from
from imgpipe.chains.stages import resolve
from imgpipe.engine import cutting, plan, route
from imgpipe.engine.pipeline import run_to_all
from imgpipe.engine.wantedoutputs import WantedOutput
from imgpipe.executors.processes.pool import ProcessExecutor
from imgpipe.filters import autocontrast, blur, crop, resize
from imgpipe.formats.arrays import ArraySink
from imgpipe.formats.opening import open_sink, open_source
from imgpipe.options import Options
from imgpipe.running import plan_run
from tests.conftest import natural

CHAINS: dict[str, Any] = {
    "blur": blur(sigma=2),
    "measured": blur(sigma=1) | autocontrast(),
    "part": crop(x=20, y=70, width=260, height=121) | blur(sigma=1),
    "smaller": resize(size="60%"),
}


@pytest.fixture
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have every row of tiles count as wide, and cut into small tasks."""
    monkeypatch.setattr(plan, "TASK_BYTES", 10_000)
    monkeypatch.setattr(cutting, "_LEAST_BYTES", 1)
    for module in (cutting, route):
        monkeypatch.setattr(module, "WIDE_BYTES", 0)


@pytest.fixture
def picture(tmp_path: Path) -> tuple[Path, Path]:
    """Return a PNG, and the same pixels in a file of which any part can be read."""
    pixels = natural((230, 340, 3))
    files = tmp_path / "in.png", tmp_path / "in.npy"
    for file in files:
        imgpipe.write(pixels, file)
    return files


@pytest.mark.usefixtures("wide")
@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("save", [{"tile": 32}, {"tile": 32, "compression": "none"}])
def test_rows_of_a_ring_are_those_of_the_image(
    name: str, save: dict[str, Any], picture: tuple[Path, Path], tmp_path: Path
) -> None:
    out, expected = tmp_path / "out.tif", tmp_path / "expected.tif"
    options: dict[str, Any] = {"save": save, "executor": "threads", "workers": 2}
    png, npy = picture
    planned = plan_run(png, CHAINS[name], out, **options)
    assert planned.feed == "ring"
    assert 0 < planned.tiler.task_columns < planned.after.width
    imgpipe.run(png, CHAINS[name], out, **options)
    imgpipe.run(npy, CHAINS[name], expected, save=save, executor="serial")
    assert out.read_bytes() == expected.read_bytes()


@pytest.mark.usefixtures("wide")
def test_all_executors_make_the_same_file_of_a_ring(
    picture: tuple[Path, Path], executor: Executor, tmp_path: Path
) -> None:
    out, expected = tmp_path / "out.tif", tmp_path / "expected.tif"
    imgpipe.run(picture[1], CHAINS["blur"], expected, save={"tile": 32}, executor="serial")
    imgpipe.run(picture[0], CHAINS["blur"], out, save={"tile": 32}, executor=executor)
    assert out.read_bytes() == expected.read_bytes()


@pytest.mark.usefixtures("wide")
def test_several_outputs_share_the_rows_of_a_ring(
    picture: tuple[Path, Path], tmp_path: Path, pool: ProcessExecutor
) -> None:
    source, array = open_source(picture[0]), imgpipe.read(picture[1])
    blurred, small = (
        resolve(chain_from(CHAINS[name]), source.info) for name in ("blur", "smaller")
    )
    made = np.empty(small[-1].after.shape, np.uint8)
    out = tmp_path / "out.tif"
    goals = (
        WantedOutput(small, ArraySink(small[-1].after, made), "array"),
        WantedOutput(blurred, open_sink(out, blurred[-1].after, {"tile": 32}), "out.tif"),
    )
    run_to_all(source, goals, Options(executor=pool))
    np.testing.assert_array_equal(made, CHAINS["smaller"](array))
    np.testing.assert_array_equal(imgpipe.read(out), CHAINS["blur"](array))


@pytest.mark.parametrize("save", [{}, {"compression": "none"}, {"compression": "jpeg"}])
def test_tiles_of_a_wide_stream_take_little_memory(save: dict[str, Any], tmp_path: Path) -> None:
    """A PNG of 40,000 columns, of which there is the header and much room for data."""
    header, size = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0), 32 << 20
    with (tmp_path / "in.png").open("wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(header)) + b"IHDR" + header)
        file.write(struct.pack(">II4s", zlib.crc32(b"IHDR" + header), size, b"IDAT"))
        file.write(zlib.compress(bytes(1000)))
        file.truncate(file.tell() + size)
    plan = plan_run(tmp_path / "in.png", blur(sigma=2), tmp_path / "o.tif", workers=2, save=save)
    assert plan.cost.shared + 2 * plan.cost.per_worker <= 170_000_000
    assert plan.tiler.task_rows == 256
