"""Shared memory is owned by one process, seen by others, and gone afterwards."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from imgpipe.engine import buffers
from imgpipe.engine.buffers import Buffers, Slot
from imgpipe.errors import MemoryPlanError, WorkerError
from tests.leftovers import nothing_new_in_shared_memory, unused_segments

SPAWN = get_context("spawn")


def sum_of(slot: Slot, count: int) -> int:
    return int(slot.array((count,), np.dtype("uint8")).sum())


def fill(slot: Slot, value: int) -> None:
    slot.array((slot.size,), np.dtype("uint8"))[:] = value


@pytest.mark.alone
@pytest.mark.parametrize("maker", ["_memfd", "_segment", "_temporary"])
def test_other_processes_see_the_same_memory(maker: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffers, "_memfd", getattr(buffers, maker))
    before = unused_segments()
    memory = Buffers(3, 1000, shared=True)
    with ProcessPoolExecutor(1, SPAWN) as pool:
        fill(memory.slots[1], 2)
        assert pool.submit(sum_of, memory.slots[1], 1000).result() == 2000
        assert pool.submit(sum_of, memory.slots[2], 1000).result() == 0
        pool.submit(fill, memory.slots[2], 7).result()
        assert sum_of(memory.slots[2], 10) == 70
    memory.close()
    memory.close()
    assert nothing_new_in_shared_memory(before)


def test_slots_do_not_overlap() -> None:
    memory = Buffers(4, 5000, shared=False)
    for slot in memory.slots:
        fill(slot, slot.index)
    assert [sum_of(slot, 5000) for slot in memory.slots] == [0, 5000, 10000, 15000]
    memory.close()


def test_memory_that_is_not_there_is_an_error_and_no_crash() -> None:
    with pytest.raises(MemoryPlanError, match="max-memory"):
        Buffers(1, 1 << 60, shared=True)


def attached(slot: Slot) -> set[str]:
    """Return the memory that a worker holds once it has attached `slot`."""
    slot.bytes()
    return set(buffers._attached)


@pytest.mark.parametrize("maker", ["_memfd", "_temporary"])
def test_memory_that_is_over_is_let_go_of_and_what_is_in_use_is_kept(
    maker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buffers, "_memfd", getattr(buffers, maker))
    memory = [Buffers(1, 1000, shared=True) for _ in range(10)]
    tokens = [one.slots[0].token for one in memory]
    with ProcessPoolExecutor(1, SPAWN) as pool:
        for one in memory[:8]:
            held = pool.submit(attached, one.slots[0]).result()
        assert held == set(tokens[:8])
        for one in memory[:6]:
            one.close()
        memory.append(Buffers(1, 1000, shared=True))  # which takes a file descriptor of theirs
        assert pool.submit(attached, memory[8].slots[0]).result() == set(tokens[6:9])
    for one in memory:
        one.close()


def test_memory_that_is_over_is_not_looked_for_in_what_has_taken_its_place(tmp_path: Path) -> None:
    """A task that comes too late must not write into a file of another run."""
    memory = Buffers(1, 1000, shared=True)
    (slot,) = memory.slots
    memory.close()
    with (tmp_path / "output").open("w+b") as file, ProcessPoolExecutor(1, SPAWN) as pool:
        file.truncate(slot.size)
        late = replace(slot, path=f"/proc/{os.getpid()}/fd/{file.fileno()}")
        with pytest.raises(WorkerError, match="gone"):
            pool.submit(fill, late, 7).result()
        assert not any(file.read())


def sum_after_letting_go(slot: Slot, count: int) -> int:
    buffers.let_go()
    return sum_of(slot, count)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_process_that_was_forked_attaches_anew_and_frees_nothing_of_its_parent() -> None:
    memory = Buffers(1, 1000, shared=True)
    fill(memory.slots[0], 3)
    with ProcessPoolExecutor(1, get_context("fork")) as pool:  # which inherits attached memory
        assert pool.submit(sum_after_letting_go, memory.slots[0], 1000).result() == 3000
    child = get_context("fork").Process(target=memory.close)
    child.start()
    child.join()
    assert sum_of(memory.slots[0], 1000) == 3000
    memory.close()
