"""Tables of the user's: how they are given, and what they must be."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import imgpipe
from imgpipe.chains.formatting import format_chain
from imgpipe.chains.grammar import parse_chain
from imgpipe.errors import ParameterError, UsageError
from imgpipe.executors.processes.pool import ProcessExecutor
from imgpipe.filters import lut
from tests.conftest import noise

LEVELS = {"uint8": 256, "uint16": 65536}


@pytest.mark.parametrize("dtype", LEVELS)
def test_a_table_is_a_file_or_text_or_an_array(dtype: str, tmp_path: Path) -> None:
    table = np.random.default_rng(0).integers(0, LEVELS[dtype], LEVELS[dtype])
    array = noise((31, 17, 3), dtype)
    np.save(tmp_path / "a.npy", table.astype(dtype))
    np.save(tmp_path / "square.npy", table.reshape(16, -1) / 1.0)
    (tmp_path / "lines.txt").write_text("\n".join(map(str, table)))
    (tmp_path / "one line.txt").write_text(", ".join(map(str, table)))
    inline = " ".join(map(str, table))
    for given in (*tmp_path.iterdir(), str(tmp_path / "a.npy"), inline, table, table.tolist()):
        one = lut(given)
        assert_array_equal(one(array), table[array])
        assert pickle.loads(pickle.dumps(one)) == one
    assert repr(lut(tmp_path / "a.npy")) == f"lut(table={str(tmp_path / 'a.npy')!r})"
    assert parse_chain(format_chain(lut(tmp_path / "a.npy"))) == lut(tmp_path / "a.npy")


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("dtype", LEVELS)
def test_each_channel_may_have_its_own(channels: int, dtype: str, tmp_path: Path) -> None:
    tables = np.random.default_rng(0).integers(0, LEVELS[dtype], (LEVELS[dtype], channels))
    array = noise((31, 17, channels), dtype)
    np.savetxt(tmp_path / "columns.txt", tables, fmt="%d")
    wanted = np.stack([tables[array[..., c], c] for c in range(channels)], axis=2)
    assert_array_equal(lut(tmp_path / "columns.txt")(array), wanted)
    below_alpha = np.concatenate([array, array[..., :1]], axis=2)
    assert_array_equal(lut(tables)(below_alpha, alpha=channels)[..., :channels], wanted)


@pytest.mark.parametrize(
    "bad", ["1 2 3", "", "nowhere.npy", np.arange(255), np.arange(256) - 1, [[]], 7, [np.nan] * 256]
)
def test_a_wrong_table_is_refused_when_the_filter_is_made(bad: object) -> None:
    with pytest.raises(ParameterError, match="lut: table"):
        lut(bad)


def test_a_table_must_fit_the_image() -> None:
    ramp = np.arange(256)
    for dtype in ("float32", "float64", "int16", "uint32"):
        with pytest.raises(
            UsageError, match=f"lut: a table is for uint8 or uint16, not for {dtype}; convert"
        ):
            lut(ramp)(np.zeros((2, 2), dtype))
    with pytest.raises(UsageError, match="256 entries"):
        lut(ramp)(np.zeros((2, 2), np.uint16))
    with pytest.raises(UsageError, match="needs 256, or 256 rows of 3"):
        lut(np.zeros((256, 2)))(np.zeros((2, 2, 3), np.uint8))
    with pytest.raises(UsageError, match="has 256, which uint8 cannot hold"):
        lut(ramp + 1)(np.zeros((2, 2), np.uint8))


def test_a_table_that_changed_is_read_again(tmp_path: Path, pool: ProcessExecutor) -> None:
    path, array = tmp_path / "table.npy", noise((40, 40), "uint8")
    np.save(tmp_path / "in.npy", array)
    for turn, table in enumerate((np.arange(256)[::-1], np.arange(256) // 2)):
        np.save(path, table)
        os.utime(path, ns=(turn, turn))
        imgpipe.run(tmp_path / "in.npy", lut(path), tmp_path / "out.npy", executor=pool, chunk=9)
        assert_array_equal(np.load(tmp_path / "out.npy"), table[array])
    one = lut(path)
    path.write_text("no table")
    with pytest.raises(UsageError, match="lut: table: "):
        one(array)
    path.unlink()
    with pytest.raises(UsageError, match="lut: table: "):
        one(array)
