"""One image in one run: several outputs from one decoding, and one worker for all of it."""

from __future__ import annotations

from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imgpipe
from imgpipe.chains.chain import Chain
from imgpipe.chains.entry import chain_from
from imgpipe.chains.stages import resolve
from imgpipe.engine.control import Control
from imgpipe.engine.costs import Footing
from imgpipe.engine.crew import Crew
from imgpipe.engine.outputs import outputs_of
from imgpipe.engine.pipeline import run_to_all
from imgpipe.engine.plan import WantedOutput, make_plans
from imgpipe.engine.run import Run
from imgpipe.errors import CorruptError
from imgpipe.events import Event, SpanDone, Started, TaskDone, Written
from imgpipe.executors.base import Supervised, traits_of
from imgpipe.executors.processes.pool import ProcessExecutor
from imgpipe.formats.opening import open_sink, open_source
from imgpipe.formats.png.reading import PngRows
from imgpipe.options import Options
from tests.conftest import noise

CHAINS = {
    "large.png": "blur:1",
    "half.png": "resize:45x100 | unsharp",
    "small.npy": "resize:9x20",
    "levels.png": "autocontrast",
    "gray.npy": "grayscale | box:5",
}


@pytest.fixture
def image(tmp_path: Path) -> Path:
    imgpipe.write(noise((300, 90, 3), "uint8") // 2 + 30, tmp_path / "in.png")
    return tmp_path / "in.png"


def goals(image: Path, chains: dict[str, str]) -> tuple[WantedOutput, ...]:
    info, found = imgpipe.info(image), []
    for name, text in chains.items():
        stages = resolve(chain_from(text), info)
        dst = image.with_name(name)
        found.append(WantedOutput(stages, open_sink(dst, stages[-1].after), str(dst)))
    return tuple(found)


def expected(image: Path, chains: dict[str, str]) -> dict[str, bytes]:
    """The bytes of each output, made by itself."""
    made = {}
    for name, text in chains.items():
        imgpipe.run(image, text, image.with_name(f"alone-{name}"), executor="serial")
        made[name] = image.with_name(f"alone-{name}").read_bytes()
    return made


@pytest.mark.parametrize("chunk", [None, 16])
def test_several_outputs_of_one_decoding_are_what_each_is_by_itself(
    chunk: int | None, executor: Executor, image: Path
) -> None:
    options = Options(executor=executor, chunk=chunk)
    reports = run_to_all(open_source(image), goals(image, CHAINS), options)
    for report, (name, alone) in zip(reports, expected(image, CHAINS).items(), strict=True):
        assert image.with_name(name).read_bytes() == alone
        assert (report.destination, report.size) == (str(image.with_name(name)), len(alone))


def test_the_image_is_decoded_once_for_all_outputs(
    image: Path, pool: ProcessExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = 0
    read = PngRows.read_into

    def counted(self: PngRows, out: Any) -> None:
        nonlocal rows
        rows += len(out)
        read(self, out)

    monkeypatch.setattr(PngRows, "read_into", counted)
    chains = {name: CHAINS[name] for name in ("large.png", "half.png", "small.npy", "gray.npy")}
    events: list[Event] = []
    options = Options(executor=pool, max_memory="150M", chunk=16, on_event=events.append)
    run_to_all(open_source(image), goals(image, chains), options)
    assert rows == 300
    assert {event.name for event in events if isinstance(event, SpanDone)} == {"read", "write"}
    written = {event.output: event.pixels for event in events if isinstance(event, Written)}
    assert [event.pixels for event in events if isinstance(event, Started)] == [
        sum(written.values())
    ]
    assert written.keys() == {0, 1, 2, 3}


def test_an_output_that_fails_leaves_none_of_them(image: Path, pool: ProcessExecutor) -> None:
    data = image.read_bytes()
    image.write_bytes(data[:-30])
    chains = {"large.png": "blur:1", "small.npy": "resize:9x20"}
    wanted = goals(image, chains)
    with pytest.raises(CorruptError):
        run_to_all(open_source(image), wanted, Options(executor=pool))
    for goal in wanted:
        goal.sink.abort()
    assert {path.name for path in image.parent.iterdir()} == {"in.png"}


def opened(image: Path, pool: ProcessExecutor, text: str, on_event: Any) -> tuple[Run, bytes]:
    """A run that one worker may do, and the bytes that are to come of it."""
    name = image.with_suffix(".made.png")
    info = imgpipe.info(image)
    stages = resolve(chain_from(text) if text else Chain(()), info)
    wanted = (
        WantedOutput(stages, open_sink(name, stages[-1].after if stages else info), str(name)),
    )
    given: dict[str, Any] = {
        "traits": traits_of(pool), "workers": 2, "executor": "for a test", "max_memory": None,
        "chunk": None, "footing": Footing(),
    }  # fmt: skip
    source = open_source(image)
    run = Run(
        source,
        outputs_of(make_plans(source, wanted, **given), wanted),
        outputs_of(make_plans(source, wanted, **given, opened=True), wanted),
        traits=traits_of(pool),
        supervised=isinstance(pool, Supervised),
        timeout=None,
        control=Control(),
        on_event=on_event,
    )
    return run, b""


@pytest.mark.parametrize(
    "text", ["", "blur:2", "autocontrast", "rotate:90", "equalize | resize:40x"]
)
@pytest.mark.parametrize("kind", ["png", "npy", "transposed"])
def test_images_that_wait_in_a_crowd_are_one_task_each_with_the_same_bytes(
    kind: str, text: str, tmp_path: Path, pool: ProcessExecutor
) -> None:
    paths, events = [], list[Event]()
    for number in range(5):
        array = noise((211 + number, 90, 3), "uint8", seed=number)
        path = tmp_path / f"{number}.{'png' if kind == 'png' else 'npy'}"
        if kind == "png":
            imgpipe.write(array, path)
        else:
            np.save(path, np.asfortranarray(array) if kind == "transposed" else array)
        paths.append(path)
    crew = Crew(pool, 2, lasting=True)
    outcomes = list(crew.make([lambda p=p: opened(p, pool, text, events.append)[0] for p in paths]))
    assert [outcome.error for outcome in outcomes] == [None] * 5
    for path in paths:
        imgpipe.run(path, text or imgpipe.Chain(()), tmp_path / "alone.png", executor="serial")
        assert path.with_suffix(".made.png").read_bytes() == (tmp_path / "alone.png").read_bytes()
    done = [event for event in events if isinstance(event, TaskDone) and event.kind == "chunks"]
    assert len(done) == 5


def test_a_decoder_that_crashes_in_a_crowd_fails_its_image_alone(
    tmp_path: Path, pool: ProcessExecutor
) -> None:
    for number in range(4):
        imgpipe.write(noise((90, 50, 3), "uint8", seed=number), tmp_path / f"{number}.png")
    broken = tmp_path / "2.png"
    openings = [
        lambda p=tmp_path / f"{number}.png": opened(p, pool, "invert", lambda _: None)[0]
        for number in range(4)
    ]
    data = broken.read_bytes()

    def cut_short() -> Run:
        run = openings[2]()
        broken.write_bytes(data[:-40])
        return run

    outcomes = list(Crew(pool, 2, lasting=True).make([*openings[:2], cut_short, openings[3]]))
    failed = {outcome.turn: outcome.error for outcome in outcomes if outcome.error}
    assert list(failed) == [2]
    assert isinstance(failed[2], CorruptError)


def test_several_strips_of_an_output_in_one_task_do_not_share_memory(
    tmp_path: Path, pool: ProcessExecutor
) -> None:
    path = tmp_path / "in.png"
    imgpipe.write(noise((700, 900, 4), "uint8"), path)
    chains = {"a.npy": "flip:vertical", "b.png": "rotate:270", "c.png": "blur:1.5"}
    options = Options(executor=pool, workers=2, chunk=(17, 300))
    run_to_all(open_source(path), goals(path, chains), options)
    made = {name: path.with_name(name).read_bytes() for name in chains}
    assert made == expected(path, chains)
