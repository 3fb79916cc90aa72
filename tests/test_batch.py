"""Many images, one crew: each is what it is by itself, and none harms another."""

from __future__ import annotations

import os
import queue
import re
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imgpipe
from imgpipe.chains.entry import chain_from
from imgpipe.chains.stages import resolve
from imgpipe.engine.batch import Request
from imgpipe.engine.control import Control
from imgpipe.engine.order import ORDERS, Order
from imgpipe.engine.plan import WantedOutput
from imgpipe.errors import Cancelled, CorruptError, InputError, MemoryPlanError, WorkerError
from imgpipe.events import Event, Started, TaskDone
from imgpipe.executors.processes.pool import ProcessExecutor
from imgpipe.formats.base import Source
from imgpipe.formats.opening import open_sink, open_source
from imgpipe.formats.origin import FileOrigin
from imgpipe.formats.wholedecoding import DecodedSource
from imgpipe.options import Options
from tests.batches import make_images
from tests.conftest import noise

CHAINS = ["blur:1", "autocontrast", "resize:40x | unsharp", "rotate:90", "invert"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of all kinds of access and of several sizes."""
    folder = tmp_path_factory.mktemp("many")
    for number in range(10):
        array = noise((60 + 97 * number, 130, 3), "uint8", seed=number)
        if number % 3 == 0:
            imgpipe.write(array, folder / f"{number}.png")
        else:
            np.save(
                folder / f"{number}.npy", np.asfortranarray(array) if number % 3 == 1 else array
            )
    return folder


def request(src: Path, text: str, dst: Path, **given: Any) -> Request:
    def goals(source: Source) -> tuple[WantedOutput, ...]:
        stages = resolve(chain_from(text), source.info)
        return (WantedOutput(stages, open_sink(dst, stages[-1].after), str(dst)),)

    return Request(lambda: open_source(src), goals, **given)


def wanted(folder: Path, out: Path) -> dict[Path, tuple[Path, str]]:
    sources = sorted(path for path in folder.iterdir() if path.suffix in (".png", ".npy"))
    return {
        out / f"{src.stem}.png": (src, CHAINS[number % len(CHAINS)])
        for number, src in enumerate(sources)
    }


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("order", ORDERS)
def test_every_image_is_what_it_is_by_itself(
    order: Any, apart: bool, folder: Path, tmp_path: Path, pool: ProcessExecutor
) -> None:
    images = wanted(folder, tmp_path)
    events: list[Event] = []
    requests = [
        request(src, text, dst, on_event=events.append) for dst, (src, text) in images.items()
    ]
    options = Options(executor=pool, workers=2)
    made = make_images(requests, options, order=Order(order, seed=1), decode_apart=apart)
    assert sorted((outcome.turn, outcome.error) for outcome in made) == [
        (turn, None) for turn in range(len(images))
    ]
    for dst, (src, text) in images.items():
        imgpipe.run(src, text, tmp_path / "alone.png")
        assert dst.read_bytes() == (tmp_path / "alone.png").read_bytes()
    assert {event.kind for event in events if isinstance(event, TaskDone)} >= {"chunks", "measure"}
    begun = [event.run for event in events if isinstance(event, Started)]
    assert len(set(begun)) == len(images)
    assert {event.run for event in events} == set(begun)


def test_a_failure_ends_only_its_own_image(
    folder: Path, tmp_path: Path, pool: ProcessExecutor
) -> None:
    def kill(chunk):
        os.kill(os.getpid(), signal.SIGSEGV)

    images = wanted(folder, tmp_path)
    requests = [request(src, text, dst) for dst, (src, text) in images.items()]
    truncated = tmp_path / "truncated.png"
    truncated.write_bytes((folder / "9.png").read_bytes()[:-300])
    requests.insert(1, request(truncated, "blur:1", tmp_path / "a.png"))
    requests.insert(3, request(tmp_path / "missing.png", "blur:1", tmp_path / "b.png"))
    own = replace(
        request(folder / "3.png", "invert", tmp_path / "c.png"),
        goals=lambda source: (
            WantedOutput(
                resolve(chain_from(kill, halo=0), source.info),
                open_sink(tmp_path / "c.png", source.info),
                "c.png",
            ),
        ),
    )
    requests.insert(5, own)
    stopped = Control()
    stopped.stop()
    requests.insert(7, request(folder / "6.png", "blur:1", tmp_path / "d.png", control=stopped))
    found = {
        outcome.turn: outcome.error
        for outcome in make_images(requests, Options(executor=pool, workers=2))
    }
    failed = {turn: type(error) for turn, error in found.items() if error is not None}
    assert failed == {1: CorruptError, 3: InputError, 5: WorkerError, 7: Cancelled}
    made = {path.name for path in tmp_path.iterdir()}
    assert made == {path.name for path in images} | {"truncated.png"}


def test_an_image_that_can_never_fit_fails_alone_and_says_what_would_do(
    folder: Path, tmp_path: Path
) -> None:
    np.save(tmp_path / "huge.npy", np.zeros((1, 30_000_000, 3), "uint8"))
    requests = [
        request(folder / "0.png", "blur:1", tmp_path / "a.png"),
        request(tmp_path / "huge.npy", "invert", tmp_path / "b.png"),
        request(folder / "3.png", "blur:1", tmp_path / "c.png"),
    ]
    options = Options(executor="processes", workers=2, max_memory="150M")
    found = {outcome.turn: outcome.error for outcome in make_images(requests, options)}
    assert (found[0], found[2]) == (None, None)
    assert isinstance(found[1], MemoryPlanError)
    assert "raise the limit (max_memory='" in str(found[1])


@pytest.mark.parametrize("workers", [1, 3])
def test_the_remedies_that_a_failure_names_do(workers: int, tmp_path: Path) -> None:
    """Processes that decode, and the workers that a higher limit brings, take memory as well."""
    imgpipe.write(noise((700, 12_000, 3), "uint8"), tmp_path / "in.jpg")

    def error(workers: int, limit: str) -> Exception | None:
        one = request(tmp_path / "in.jpg", "blur:1", tmp_path / "out.jpg")
        options = Options(executor="processes", workers=workers, max_memory=limit)
        (outcome,) = make_images([one], options)
        return outcome.error

    limit = "100M" if workers == 1 else "150M"
    told = error(workers, limit)
    assert isinstance(told, MemoryPlanError)
    assert re.findall(r": the memory limit is (\d+) MB, ", str(told)) == [limit[:-1]]
    (enough,) = re.findall(r"max_memory='(\d+M)'", str(told))
    assert error(workers, enough) is None
    if workers > 1:
        (fewer,) = map(int, re.findall(r"fewer workers \(workers=(\d)\)", str(told)))
        assert error(fewer, limit) is None


def test_leaving_early_ends_all_images(folder: Path, tmp_path: Path) -> None:
    images = wanted(folder, tmp_path)
    requests = [request(src, text, dst) for dst, (src, text) in images.items()]
    for _ in make_images(requests, Options(workers=2)):
        break
    assert len(list(tmp_path.iterdir())) < len(images)
    assert all(path.suffix == ".png" for path in tmp_path.iterdir())


def test_images_may_come_later(
    folder: Path, tmp_path: Path, pool: ProcessExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("imgpipe.engine.crew._LOOK_SECONDS", 1000.0)  # nothing else wakes it
    arrived: queue.SimpleQueue[Request] = queue.SimpleQueue()
    waker: list[Callable[[], None]] = []

    def later() -> None:
        arrived.put(request(folder / "0.png", "invert", tmp_path / "later.png"))
        waker[0]()

    def inbox() -> Iterator[Request | None]:
        yield request(folder / "3.png", "invert", tmp_path / "first.png")
        thread = threading.Thread(target=later)
        thread.start()
        while arrived.empty():
            yield None
        thread.join()
        yield arrived.get()

    made = make_images(inbox(), Options(executor=pool, workers=2), attach=waker.append)
    assert sorted((outcome.turn, outcome.error) for outcome in made) == [(0, None), (1, None)]


class Crashing:
    """A decoder that is not ours, in C, and damages the memory of its process."""

    work_bytes = 0

    def decode_into(self, data: bytes, out: object) -> None:
        os.kill(os.getpid(), signal.SIGSEGV)


def test_a_decoder_that_crashes_fails_its_image_alone(
    folder: Path, tmp_path: Path, pool: ProcessExecutor
) -> None:
    good = request(folder / "0.png", "blur:1", tmp_path / "a.png")
    path = folder / "3.png"
    source = DecodedSource(
        open_source(path).info, FileOrigin(str(path)), Crashing(), path.stat().st_size
    )
    bad = replace(request(path, "blur:1", tmp_path / "b.png"), source=lambda: source)
    options = Options(executor=pool, workers=2, chunk=16)
    found = {one.turn: one.error for one in make_images([good, bad, good], options)}
    assert (found[0], found[2]) == (None, None)
    assert isinstance(found[1], (CorruptError, WorkerError))
    assert "3.png" in str(found[1])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png"]
