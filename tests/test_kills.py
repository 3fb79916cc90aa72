"""Thirty images at once while processes are killed: each is, to the byte, what it is by itself."""

from __future__ import annotations

import contextlib
import gc
import itertools
import multiprocessing
import os
import random
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Self

import numpy as np
import pytest

import imgpipe
from imgpipe.chains.entry import chain_from
from imgpipe.chains.stages import resolve
from imgpipe.engine import buffers
from imgpipe.engine.batch import Request
from imgpipe.engine.order import ORDERS, Order
from imgpipe.engine.plan import WantedOutput
from imgpipe.events import Event, TaskDone
from imgpipe.executors.processes.pool import ProcessExecutor
from imgpipe.formats.base import Source
from imgpipe.formats.opening import open_sink, open_source
from imgpipe.options import Options
from tests.batches import make_images
from tests.conftest import noise
from tests.leftovers import eventually, workers_here

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
    pytest.mark.slow,
    pytest.mark.alone,
    # Python itself says so, whenever it gives back a semaphore after the tracker was killed.
    pytest.mark.filterwarnings("ignore:resource_tracker. process died"),
]

MOMENTS = int(os.environ.get("IMGPIPE_MOMENTS", "8"))
"""Number of processes that are killed, in each of the two tests."""

IMAGES = 30
CHAINS = ["blur:1", "autocontrast", "resize:40x | unsharp", "rotate:90", "invert", "median:2"]


class Killer:
    """Kills processes of a pool until it has killed so many.

    Each kill comes a moment after a task has landed: that all goes on between two kills is sure,
    and any step may be the one that a kill meets.
    """

    def __init__(self, pool: ProcessExecutor, count: int, seed: int) -> None:
        self._pool, self._left, self._random = pool, count, random.Random(seed)
        self.killed: list[str] = []
        self._landed, self._over = threading.Semaphore(0), threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._landed.release()
        self._thread.join()

    @property
    def done(self) -> bool:
        return self._left == 0

    def watch(self, event: Event) -> None:
        """Take an event of any of the runs."""
        if isinstance(event, TaskDone):
            self._landed.release()

    def _work(self) -> None:
        while self._left:
            for _ in range(self._random.randint(1, 8)):
                self._landed.acquire()
            if self._over.wait(self._random.uniform(0, 0.03)):
                return
            what = self._random.choices(["worker", "server", "tracker"], [6, 1, 1])[0]
            server, every = self._pool._server.pids, self._pool.pids
            tracker = resource_tracker._resource_tracker._pid  # type: ignore[attr-defined]
            pids = {"worker": every - server, "server": server, "tracker": {tracker}}[what]
            with contextlib.suppress(OSError, IndexError):
                os.kill(self._random.choice(sorted(pids)), signal.SIGKILL)
                self.killed.append(what)
                self._left -= 1


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str, bytes]]:
    """Thirty images by name: the input, the chain, and the output of a run of its own."""
    folder, made = tmp_path_factory.mktemp("images"), {}
    for number in range(IMAGES):
        src = folder / f"{number}.{'png' if number % 3 else 'npy'}"
        array = noise(
            (200 + 61 * (number % 7) + 1000 * (number % 5 == 0), 900, 3), "uint8", seed=number
        )
        imgpipe.write(array // 4 + np.uint8(number), src)
        dst, chain = folder / f"made{number}.png", CHAINS[number % len(CHAINS)]
        imgpipe.run(src, chain, dst, executor="serial")
        made[f"{number}.png"] = src, chain, dst.read_bytes()
    return made


@pytest.fixture
def nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[set[str]]:
    """Look afterwards for processes, shared memory, and files beside the outputs."""
    name = f"/imgpipe-test-{os.getpid()}"
    config = multiprocessing.process.current_process()._config  # type: ignore[attr-defined]
    monkeypatch.setitem(config, "semprefix", name)  # those of other programs are called otherwise
    processes, outputs = workers_here(), set[str]()
    yield outputs
    assert {path.name for path in tmp_path.iterdir()} == outputs
    gc.collect()
    assert not buffers._attached
    assert eventually(lambda: workers_here() <= processes)
    assert eventually(lambda: not any(name[1:] in found for found in os.listdir("/dev/shm")))


def request(src: Path, text: str, dst: Path, killer: Killer) -> Request:
    def goals(source: Source) -> tuple[WantedOutput, ...]:
        stages = resolve(chain_from(text), source.info)
        return (WantedOutput(stages, open_sink(dst, stages[-1].after), str(dst)),)

    return Request(lambda: open_source(src), goals, on_event=killer.watch)


def test_thirty_images_of_one_crew(
    images: dict[str, tuple[Path, str, bytes]], tmp_path: Path, nothing_is_left: set[str]
) -> None:
    with ProcessExecutor(2) as pool, Killer(pool, MOMENTS, seed=1) as killer:
        for turn in itertools.count():
            order = Order(ORDERS[turn % len(ORDERS)], seed=turn)
            requests = [
                request(src, chain, tmp_path / name, killer)
                for name, (src, chain, _) in images.items()
            ]
            made = make_images(requests, Options(executor=pool, workers=2), order=order)
            assert [(one.turn, str(one.error)) for one in made if one.error is not None] == []
            for name, (_, _, alone) in images.items():
                assert (tmp_path / name).read_bytes() == alone, name
            if killer.done:
                break
    nothing_is_left |= set(images)
    assert len(killer.killed) == MOMENTS


def test_thirty_runs_in_six_threads_over_one_pool(
    images: dict[str, tuple[Path, str, bytes]], tmp_path: Path, nothing_is_left: set[str]
) -> None:
    with (
        ProcessExecutor(2) as pool,
        Killer(pool, MOMENTS, seed=2) as killer,
        ThreadPoolExecutor(6) as threads,
    ):

        def run(name: str) -> str | None:
            src, chain, alone = images[name]
            imgpipe.run(src, chain, tmp_path / name, executor=pool, on_event=killer.watch)
            return None if (tmp_path / name).read_bytes() == alone else name

        while not killer.done:
            assert [name for name in threads.map(run, images) if name is not None] == []
    nothing_is_left |= set(images)
    assert len(killer.killed) == MOMENTS
