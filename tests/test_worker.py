"""Worker: a fault of a function is an error that its author understands, in any executor."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
import time
import traceback
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imgpipe
from imgpipe.chains.decorator import filter
from imgpipe.cleanup import CleanupStack
from imgpipe.engine import buffers, jobs
from imgpipe.engine.buffers import Buffers
from imgpipe.engine.jobs import job_of, published
from imgpipe.engine.tasks import JobRef
from imgpipe.errors import FilterError, FilterTimeout, WorkerError
from imgpipe.events import WorkerLost
from imgpipe.executors.base import Traits
from imgpipe.executors.processes.pool import ProcessExecutor
from imgpipe.filters import blur
from imgpipe.formats.jpeg.writing import JpegEncoder
from imgpipe.formats.tiff.sinks import SegmentPlacer
from imgpipe.geometry import Box
from tests.conftest import noise

WHERE = r"array: chunk at rows 0-\d+, columns 0-31: "


def leave(chunk):
    sys.exit(0)


def interrupt(chunk):
    raise KeyboardInterrupt


def close(chunk):
    raise GeneratorExit


def unusual(chunk):
    raise BaseException("unusual")  # noqa: TRY002 - that is the point


def nothing(chunk):
    return None


def text(chunk):
    return "done"


def flat(chunk):
    return chunk.ravel()


def shorter(chunk):
    return chunk[:-1]


def change(chunk):
    chunk += 1
    return chunk


def chained(chunk):
    try:
        {}["no such key"]
    except KeyError as error:
        raise ValueError("the outer one") from error


def misspelt(chunk):
    return eval("chunk +")


WRONG: dict[Any, str] = {
    leave: "the filter leave.*sys.exit.*SystemExit: 0",
    interrupt: "the filter interrupt.*KeyboardInterrupt",
    close: "the filter close.*GeneratorExit",
    unusual: "the filter unusual.*BaseException: unusual",
    nothing: "nothing: returned a NoneType; return an array",
    text: "text: returned a str; return an array",
    flat: "flat: returned an array of 1 dimensions; return an array",
    shorter: "shorter: returned 21 rows and 31 columns for a chunk of 22 .*output= and region=",
    change: "chunk \\+= 1.*read-only.*work on a copy: chunk = chunk.copy()",
    chained: "KeyError: 'no such key'.*direct cause.*ValueError: the outer one",
    misspelt: "chunk \\+\\n.*SyntaxError: invalid syntax",
}


@pytest.mark.parametrize("function", WRONG, ids=lambda function: function.__name__)
@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_a_function_that_fails(function: Any, executor: str, pool: ProcessExecutor) -> None:
    with pytest.raises(FilterError, match=f"(?s)^{WHERE}.*{WRONG[function]}") as caught:
        imgpipe.apply(
            noise((22, 31, 3), "uint8"),
            filter(halo=0)(function)(),
            executor=pool if executor == "processes" else "threads",
        )
    shown = "".join(traceback.format_exception(caught.value))
    assert "concurrent" not in str(caught.value)
    assert "imgpipe/worker" not in str(caught.value)
    assert "RemoteTraceback" not in shown


def test_results_of_measuring_that_cannot_be_sent_back(pool: ProcessExecutor) -> None:
    with pytest.raises(
        FilterError, match=rf"(?s)^{WHERE}the measurement of measure\(\) cannot be sent"
    ):
        imgpipe.measure(noise((22, 31, 3), "uint8"), lambda _: threading.Lock(), max, executor=pool)


@pytest.mark.parametrize("executor", ["serial", "processes"])
def test_a_merge_that_fails_is_named_and_shown(executor: str, pool: ProcessExecutor) -> None:
    def merge(one: int, other: int) -> int:
        raise RuntimeError("cannot add")

    with pytest.raises(FilterError, match=r"(?s)measure\(\).*in merge.*RuntimeError: cannot add"):
        imgpipe.measure(
            noise((22, 31, 3), "uint8"), np.size, merge, chunk=7,
            executor=pool if executor == "processes" else executor,
        )  # fmt: skip


def hang_in_numpy(chunk):
    time.sleep(3600)
    return chunk


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("hangs", ["one chunk", "every chunk"])
def test_a_function_that_hangs_is_not_tried_again(hangs: str, workers: int, tmp_path: Path) -> None:
    """So a run ends one time limit after the chunk was begun, however many workers there are."""

    def marked(chunk):
        if hangs == "every chunk" or (chunk == 7).any():
            with open(tmp_path / f"{chunk.ravel()[:9].tobytes().hex()}", "ab") as file:
                file.write(b"tried\n")
            hang_in_numpy(chunk)
        return chunk

    array = noise((2400, 900, 3), "uint8") | 8
    array[1310, 720] = 7
    events: list[object] = []
    with pytest.raises(FilterTimeout):
        imgpipe.apply(
            array, filter(halo=0)(marked)(), chunk=100, workers=workers, timeout=0.6,
            on_event=events.append,
        )  # fmt: skip
    assert {path.read_bytes() for path in tmp_path.iterdir()} == {b"tried\n"}
    assert len(list(tmp_path.iterdir())) <= workers
    assert not any(isinstance(event, WorkerLost) for event in events)


def end(chunk):
    os._exit(0)


def test_a_chunk_that_takes_too_long_says_where_it_was() -> None:
    with pytest.raises(
        FilterTimeout, match=r"(?s)within its timeout of [01]\..*, line \d+ in hang_in_num"
    ):
        imgpipe.apply(noise((9, 9, 3), "uint8"), filter(halo=0)(hang_in_numpy)(), timeout=0.6)


def test_a_function_that_ends_its_process_without_a_word() -> None:
    with pytest.raises(WorkerError, match="ended 3 workers in a row, the last with exit code 0"):
        imgpipe.apply(noise((9, 9, 3), "uint8"), filter(halo=0)(end)(), workers=1)


def at_the_mark(action: Any) -> Any:
    """Return a filter of which only the chunk with a pixel of 7 does `action`."""

    def marked(chunk):
        if (chunk == 7).any():
            action(chunk)
        return chunk

    return filter(halo=0)(marked)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("action", "error"), [(hang_in_numpy, FilterTimeout), (end, WorkerError)], ids=["hang", "end"]
)
def test_the_one_chunk_and_the_one_filter_of_a_chain_are_named(
    action: Any, error: type[Exception], workers: int
) -> None:
    array = noise((600, 900, 3), "uint8") | 8
    array[310, 720] = 7
    chain = filter(halo=2, name="before")(np.array)() | at_the_mark(action)()
    timeout = 0.6 if error is FilterTimeout else None
    where = r"^array: chunk at rows 300-400, columns 700-800: the filter marked\(\) "
    with pytest.raises(error, match=where):
        imgpipe.apply(array, chain, chunk=100, workers=workers, timeout=timeout)


@pytest.mark.parametrize(
    ("action", "error"), [(hang_in_numpy, FilterTimeout), (end, WorkerError)], ids=["hang", "end"]
)
def test_a_measurement_that_ends_its_process_or_hangs_has_a_chunk_too(
    action: Any, error: type[Exception]
) -> None:
    array = noise((600, 900, 3), "uint8") | 8
    array[310, 720] = 7

    def count(chunk: Any) -> int:
        return at_the_mark(action)()(chunk).size

    where = r"^array: chunk at rows 300-400, columns 700-800: the filter measure\(\) "
    with pytest.raises(error, match=where):
        imgpipe.measure(array, count, int.__add__, chunk=100, timeout=0.6)


@pytest.mark.parametrize(("rows", "chunk"), [(4000, None), (300, 100)], ids=["tasks", "chunks"])
@pytest.mark.parametrize(
    ("action", "error"), [(hang_in_numpy, FilterTimeout), (end, WorkerError)], ids=["hang", "end"]
)
def test_a_merge_that_ends_its_process_or_hangs_is_named(
    action: Any, error: type[Exception], rows: int, chunk: int | None
) -> None:
    array = np.zeros((rows, 1000, 3), np.uint8)

    def merge(one: int, other: int) -> int:
        both = one + other
        return action(both) if both > array.size // 2 else both

    with pytest.raises(error, match=r"^array: the merge function of measure\(\) ") as caught:
        imgpipe.measure(array, np.size, merge, chunk=chunk, timeout=0.6)
    assert (", line " in str(caught.value)) == (error is FilterTimeout)


def linger(chunk):
    threading.Thread(target=time.sleep, args=(3600,)).start()
    return chunk


@pytest.mark.slow
def test_a_thread_that_a_function_leaves_behind_does_not_keep_the_run() -> None:
    array = noise((9, 9, 3), "uint8")
    made = imgpipe.apply(array, filter(halo=0)(linger)(), workers=1)
    np.testing.assert_array_equal(made, array)


def test_files_in_the_current_folder_replace_no_modules(tmp_path: Path) -> None:
    for name in ("random", "queue", "array", "numpy"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit(f'{__file__} is run by mistake')")
    imgpipe.write(noise((50, 60, 3), "uint8"), tmp_path / "in.png")
    (tmp_path / "own.py").write_text(
        "import imgpipe\n@imgpipe.filter(halo=0)\ndef same(chunk):\n    return chunk\n"
    )
    command = [str(Path(sys.executable).parent / "imgpipe"), "run", "own.py:same", "in.png"]
    done = subprocess.run(
        [*command, "-o", "out.png", "-j", "2", "-q"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


class ManyThreads(Executor):
    """A worker with several threads, of which nothing is known: so it shares nothing."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(8)

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        return self._threads.submit(fn, *args, **kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        self._threads.shutdown(wait)


@pytest.fixture
def hasty() -> Any:
    """Let threads take turns as often as can be."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.parametrize("make", [ManyThreads, lambda: ThreadPoolExecutor(8)])
def test_many_runs_at_once_in_the_threads_of_one_worker(make: Any, hasty: None) -> None:
    arrays = [noise((40, 30, 3), "uint8", seed) for seed in range(24)]
    made: dict[int, Any] = {}
    with make() as executor:

        def one(number: int) -> None:
            made[number] = imgpipe.apply(
                arrays[number], blur(sigma=1 + number / 10), executor=executor, chunk=5
            )

        runs = [threading.Thread(target=one, args=(number,)) for number in range(24)]
        for run in runs:
            run.start()
        for run in runs:
            run.join()
    for number, array in enumerate(arrays):
        np.testing.assert_array_equal(made[number], blur(sigma=1 + number / 10)(array))


class Interrupted(dict[str, Any]):
    """A mapping that other threads change during iteration."""

    def __iter__(self) -> Any:
        for key in list(self.keys()):
            time.sleep(0)
            yield key


def test_jobs_and_memory_are_kept_for_the_threads_of_a_worker_together(
    hasty: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More of both than a worker keeps, asked for by many threads at once."""
    monkeypatch.setattr(jobs, "_jobs", Interrupted())
    monkeypatch.setattr(buffers, "_attached", Interrupted())
    keys = [f"{number:016}" for number in range(12)]
    pickled = [key.encode() + pickle.dumps(("job", int(key))) for key in keys]
    refs = [JobRef(key, None, len(data), data) for key, data in zip(keys, pickled, strict=True)]
    here = Traits(shares_memory=True, shares_files=True, isolates=False)
    memory = [Buffers(1, 100, shared=True) for _ in range(12)]
    slots = [replace(one.slots[0], token=f"far-{n}") for n, one in enumerate(memory)]
    for number, slot in enumerate(slots):
        memory[number].slots[0].array((1,), np.dtype("i8"))[0] = number
        assert slot.array((1,), np.dtype("i8"))[0] == number

    def ask(seed: int) -> None:
        for number in np.random.default_rng(seed).integers(0, 12, 60):
            job: Any = job_of(refs[number])
            assert job == ("job", number)
            assert slots[number].array((1,), np.dtype("i8"))[0] == number
            Buffers(1, 10, shared=False).close()
            with CleanupStack() as held:
                assert job_of(published(job, here, held)) is job

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(ask, range(8)))
    for one in memory:
        one.close()


def test_memory_that_has_become_another_job_s_is_not_taken_for_one() -> None:
    first, other = (f"{number:016}" for number in range(2))
    data = other.encode() + pickle.dumps("job")
    with pytest.raises(WorkerError, match="the job of this task is gone"):
        job_of(JobRef(first, None, len(data), data))


def test_pixels_that_are_only_converted_are_encoded_where_they_were_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[bool] = []

    def encode(self: JpegEncoder, unit: np.ndarray, above: np.ndarray | None) -> Any:
        copied.append(unit.flags.writeable)  # input is read-only
        return b"", ()

    monkeypatch.setattr(JpegEncoder, "encode", encode)
    imgpipe.write(noise((40, 30, 3), "uint8"), tmp_path / "in.png")
    imgpipe.convert(tmp_path / "in.png", tmp_path / "out.jpg", executor="serial")
    imgpipe.run(tmp_path / "in.png", blur(sigma=1), tmp_path / "out.jpg", executor="serial")
    assert copied == [False, False, True, True]


def test_chunks_of_whole_tiles_are_placed_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    placed: list[Box] = []
    original = SegmentPlacer.place

    def note(self: SegmentPlacer, box: Box, pixels: Any) -> None:
        placed.append(box)
        original(self, box, pixels)

    monkeypatch.setattr(SegmentPlacer, "place", note)
    array, out = noise((70, 100, 3), "uint8"), tmp_path / "out.tif"
    imgpipe.write(array, tmp_path / "in.tif", compression="none")
    for chunk, count in (((32, 64), 6), ((32, 40), 1)):
        placed.clear()
        options: Any = {"save": {"tile": 32, "compression": "none"}, "executor": "serial"}
        imgpipe.run(tmp_path / "in.tif", blur(sigma=1), out, chunk=chunk, **options)
        assert len(placed) == count
        np.testing.assert_array_equal(imgpipe.read(out), blur(sigma=1)(array))
