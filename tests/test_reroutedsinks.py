"""Placed files and workers that share nothing with this process: the bytes are the same."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import imgpipe
from imgpipe.chains.chain import Chain
from imgpipe.chains.decorator import filter
from imgpipe.errors import FilterError
from imgpipe.filters import autocontrast, blend, blur, flip, invert
from imgpipe.running import plan_run
from tests.conftest import noise
from tests.faraway import FarAwayExecutor

CHAINS = {
    "bands": blur(sigma=1),
    "boxes in any order": flip(),
    "a border from the other side": blur(sigma=1, border="wrap"),
    "measured first": autocontrast() | invert(),
    "nothing": Chain(()),
}


@filter(halo=0)
def negative(chunk):
    """A function of a user's."""
    return 255 - chunk


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    """The same image in files of every access."""
    array = noise((211, 53, 3), "uint8")
    np.save(tmp_path / "random.npy", array)
    np.save(tmp_path / "whole.npy", np.asfortranarray(array))
    imgpipe.write(array, tmp_path / "sequential.png")
    return {path.stem: path for path in tmp_path.iterdir()}


def test_the_far_executor_sees_no_file(far_away: FarAwayExecutor, files: dict[str, Path]) -> None:
    with pytest.raises(FileNotFoundError):
        far_away.submit(open, files["random"]).result()
    with pytest.raises(FileNotFoundError):
        far_away.submit(open, f"/proc/{os.getpid()}/fd/0").result()
    assert far_away.submit(os.getpid).result() != os.getpid()
    if far_away.hides_by == "mounts":
        assert not far_away.submit(os.path.exists, files["random"]).result()
        assert far_away.submit(os.listdir, "/dev/shm").result() == []


def test_measuring_there_is_the_same(files: dict[str, Path], far_away: FarAwayExecutor) -> None:
    def counts(chunk):
        return np.bincount(chunk.ravel(), minlength=256)

    for path in files.values():
        found = imgpipe.measure(path, counts, np.add, executor=far_away, chunk=20)
        np.testing.assert_array_equal(found, counts(np.load(files["random"])))


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("access", ["random", "whole", "sequential"])
@pytest.mark.parametrize("suffix", [".npy", ".png"])
def test_files_are_the_same_to_the_byte(
    suffix: str, access: str, chain: str, files: dict[str, Path], far_away: FarAwayExecutor
) -> None:
    here, there = files[access].with_name(f"a{suffix}"), files[access].with_name(f"b{suffix}")
    imgpipe.run(files[access], CHAINS[chain], here, executor="serial", chunk=20)
    report = imgpipe.run(files[access], CHAINS[chain], there, executor=far_away, chunk=20)
    assert there.read_bytes() == here.read_bytes()
    assert report.size == there.stat().st_size
    assert sorted(set(files[access].parent.iterdir())) == sorted({*files.values(), here, there})


@pytest.mark.parametrize("dtype", [">u2", "float32", "float64"])
def test_arrays_of_any_type_are_placed_as_they_are(
    dtype: str, tmp_path: Path, far_away: FarAwayExecutor
) -> None:
    array = noise((97, 31, 2), np.dtype(dtype).newbyteorder("=").str).astype(dtype)
    np.save(tmp_path / "in.npy", array)
    imgpipe.run(tmp_path / "in.npy", Chain(()), tmp_path / "out.npy", executor=far_away)
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), array)


def test_a_second_image_and_a_function_of_ones_own_travel_too(
    files: dict[str, Path], far_away: FarAwayExecutor
) -> None:
    array = np.load(files["random"])
    other = noise(array.shape, "uint8", seed=1)
    np.save(files["random"].with_name("other.npy"), other)
    for second in (other, files["random"].with_name("other.npy")):
        chain = negative() | blend(other=second, amount=0.5)
        made = imgpipe.apply(array, chain, executor=far_away, chunk=20)
        np.testing.assert_array_equal(made, chain(array) if second is other else made)
        out = files["random"].with_name("out.npy")
        imgpipe.run(files["random"], chain, out, executor=far_away)
        np.testing.assert_array_equal(np.load(out), made)


def test_an_error_there_leaves_nothing_here(
    files: dict[str, Path], far_away: FarAwayExecutor
) -> None:
    @filter(halo=0)
    def fails(chunk):
        raise ValueError("not today")

    before = sorted(files["random"].parent.iterdir())
    with pytest.raises(FilterError, match="not today"):
        imgpipe.run(files["random"], fails(), files["random"].with_name("o.npy"), executor=far_away)
    assert sorted(files["random"].parent.iterdir()) == before


def test_the_plan_counts_what_comes_back(files: dict[str, Path], far_away: FarAwayExecutor) -> None:
    plan = plan_run(
        files["random"], invert(), files["random"].with_name("o.npy"), executor=far_away
    )
    assert plan.feed == "inline"
    assert plan.payload_bytes >= 53 * 3


def test_a_process_id_of_elsewhere_is_no_memory_of_here(
    files: dict[str, Path], far_away: FarAwayExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: set[int] = set()
    monkeypatch.setattr("imgpipe.machine.tree_memory", lambda pids: looked_at.update(pids) or 1)
    imgpipe.run(files["random"], invert(), files["random"].with_name("o.npy"), executor=far_away)
    assert os.getpid() in looked_at
    assert far_away.submit(os.getpid).result() not in looked_at
