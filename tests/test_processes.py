"""A pool of processes may be shared, and any process of it may die: every run ends, and rightly."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import random
import shutil
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from multiprocessing import connection, resource_tracker
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imgpipe
from imgpipe.chains.decorator import filter
from imgpipe.engine import taskqueue
from imgpipe.errors import Cancelled, FilterTimeout, WorkerError
from imgpipe.events import TaskDone
from imgpipe.executors.processes import exitreasons, server, tracker
from imgpipe.executors.processes.pool import ProcessExecutor
from imgpipe.filters import autocontrast, blur
from imgpipe.machine import dedicated
from imgpipe.publish import OutputFile
from imgpipe.running import plan_run
from tests.conftest import noise
from tests.leftovers import (
    command_of,
    descendants,
    eventually,
    workers_here,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

MOMENTS = int(os.environ.get("IMGPIPE_MOMENTS", "8"))
"""Number of random moments that are tried, half of them with one pool for all runs."""

PIXELS = np.tile(noise((40, 1000, 1), "uint8"), (350, 1, 1))
BLURRED = blur()(PIXELS)
TASKS = 4


@filter(halo=0)
def crash(chunk):
    os.kill(os.getpid(), signal.SIGSEGV)
    return chunk


@filter(halo=0)
def terminate(chunk):
    os.kill(os.getpid(), signal.SIGTERM)
    return chunk


@filter(halo=0)
def hang(chunk, *, started: str):
    Path(started).touch()
    threading.Event().wait()
    return chunk


@pytest.fixture(autouse=True)
def nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Look afterwards, with fresh eyes, for processes and shared memory."""
    name = f"/imgpipe-test-{os.getpid()}"
    config = multiprocessing.process.current_process()._config  # type: ignore[attr-defined]
    monkeypatch.setitem(config, "semprefix", name)  # those of other programs are called otherwise
    before = workers_here()
    yield
    gc.collect()
    assert eventually(lambda: workers_here() <= before)
    assert eventually(lambda: not any(name[1:] in found for found in os.listdir("/dev/shm")))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("made") / "in.png"
    imgpipe.write(PIXELS, path)
    assert len(plan_run(path, blur(), path, executor="processes", workers=2).tiler) == TASKS
    return path


@pytest.fixture
def png(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(made, tmp_path))


def blurred(png: Path, number: int, pool: ProcessExecutor, **options: object) -> bool:
    """Return whether a run over `pool` makes the right pixels."""
    out = png.with_name(f"out{number}.png")
    imgpipe.run(png, blur(), out, executor=pool, **options)
    return bool((imgpipe.read(out) == BLURRED).all())


def kill(pids: set[int], rng: random.Random) -> None:
    with contextlib.suppress(OSError, IndexError):
        os.kill(rng.choice(sorted(pids)), signal.SIGKILL)


def test_a_worker_killed_under_two_runs_costs_both_only_time(png: Path) -> None:
    """Each run waits with its second task until the other is as far, and then one worker dies."""
    both = threading.Barrier(2, lambda: kill(workers_here(), random.Random(0)))

    with ProcessExecutor(2) as pool, ThreadPoolExecutor(2) as threads:

        def second(event: object) -> None:
            if isinstance(event, TaskDone) and event.index == 1 and not both.broken:
                both.wait(60)

        runs = [threads.submit(blurred, png, n, pool, on_event=second) for n in range(2)]
        assert all(run.result(60) for run in runs)


@pytest.mark.slow
@pytest.mark.parametrize("bad", [crash, terminate])
def test_only_the_run_whose_function_ends_workers_fails(
    bad, png: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three times a task ends its worker, and each time the others have to begin anew."""
    monkeypatch.setattr(taskqueue, "_FROM_OUTSIDE", 3)  # `test_crew` counts to the real one
    failed = threading.Event()

    with ProcessExecutor(2) as pool, ThreadPoolExecutor(2) as threads:

        def until_it_failed(event: object) -> None:
            if isinstance(event, TaskDone) and event.index == TASKS - 2:
                assert failed.wait(60)

        good = [threads.submit(blurred, png, n, pool, on_event=until_it_failed) for n in range(2)]
        with pytest.raises(WorkerError, match=rf"in\.png: chunk at .*{bad.__name__}"):
            imgpipe.run(png, bad(), tmp_path / "bad.png", executor=pool)
        failed.set()
        assert all(run.result(60) for run in good)
    assert not (tmp_path / "bad.png").exists()


def test_a_function_that_takes_too_long_is_told_to_its_own_run_only(
    png: Path, tmp_path: Path
) -> None:
    with ProcessExecutor(2) as pool, ThreadPoolExecutor(1) as threads:
        good = threads.submit(blurred, png, 0, pool)
        with pytest.raises(FilterTimeout, match="hang"):
            imgpipe.run(
                png, hang(started=str(tmp_path / "s")), tmp_path / "o.png", executor=pool, timeout=1
            )
        assert good.result(60)


def test_a_cancelled_run_leaves_the_workers_to_the_others(png: Path, tmp_path: Path) -> None:
    """Its function hangs in every worker there is."""
    with ProcessExecutor(1) as pool:
        handle = imgpipe.submit(
            png, hang(started=str(tmp_path / "s")), tmp_path / "o.png", executor=pool
        )
        assert eventually((tmp_path / "s").exists)
        with ThreadPoolExecutor(1) as threads:
            good = threads.submit(blurred, png, 0, pool)
            assert handle.cancel()
            assert good.result(60)
        with pytest.raises(Cancelled):
            handle.result()


def test_a_pool_that_is_shut_down_under_a_run_is_reported(png: Path, tmp_path: Path) -> None:
    """It is shut down after the pass that measures, so the next pass has no workers."""
    pool = ProcessExecutor(2)

    def shut_down(event: object) -> None:
        if isinstance(event, TaskDone):
            pool.shutdown()

    with pytest.raises(WorkerError, match=r"in\.png: the executor takes no more work"):
        imgpipe.run(png, autocontrast(), tmp_path / "o.png", executor=pool, on_event=shut_down)
    assert not (tmp_path / "o.png").exists()


@pytest.mark.parametrize(
    "whose", ["multiprocessing.forkserver", "multiprocessing.resource_tracker"]
)
def test_the_processes_behind_a_pool_may_die(whose: str, png: Path) -> None:
    with ProcessExecutor(2) as pool:
        assert blurred(png, 0, pool)
        (found,) = {p for p in descendants(os.getpid()) if whose in command_of(p)} & (
            pool._server.pids if "fork" in whose else descendants(os.getpid())
        )
        os.kill(found, signal.SIGKILL)
        assert blurred(png, 1, pool)


def test_workers_do_not_outlive_the_server_that_nobody_hears_from(png: Path) -> None:
    with ProcessExecutor(2) as pool:
        assert blurred(png, 0, pool)
        workers = {process.pid for process in pool._processes()}
        (server,) = pool._server.pids
        os.kill(server, signal.SIGKILL)
        assert blurred(png, 1, pool)
        assert eventually(lambda: not workers & workers_here())
    assert not any("forkserver" in command_of(pid) for pid in workers)


def test_the_death_of_a_worker_breaks_nothing_that_another_has(tmp_path: Path) -> None:
    with ProcessExecutor(2) as pool:
        first, second = (pool.submit(_wait_for, str(tmp_path / name)) for name in "ab")
        behind = pool.submit(os.getpid)
        assert [pool.label(one) for one in (first, second, behind)] == [
            "worker 1", "worker 2", "worker 1",
        ]  # fmt: skip
        assert eventually(lambda: all((tmp_path / name).exists() for name in "ab"))
        dead = int((tmp_path / "a").read_text())
        os.kill(dead, signal.SIGKILL)
        assert isinstance(first.exception(60), BrokenExecutor)
        assert isinstance(behind.exception(60), BrokenExecutor)
        end = pool.rebuild(first)
        assert (end.pid, end.reason) == (dead, "signal SIGKILL")
        assert end.outside
        assert pool.rebuild(behind) is end
        assert not second.done()
        assert pool.submit(os.getpid).result(60) not in {dead, int((tmp_path / "b").read_text())}
        assert pool.rebuild(second, wanted=True).wanted
        assert isinstance(second.exception(), BrokenExecutor)


def _wait_for(file: str) -> None:
    Path(file + "~").write_text(str(os.getpid()))
    Path(file + "~").rename(file)
    threading.Event().wait()


@pytest.mark.parametrize(
    ("end", "word", "outside"),
    [
        ([os.kill, signal.SIGTERM], "signal SIGTERM", True),
        ([os.kill, signal.SIGKILL], "signal SIGKILL", True),
        ([os.kill, signal.SIGSEGV], "signal SIGSEGV", False),
        ([os.kill, signal.SIGRTMAX], "signal SIGRTMAX", False),
        ([os._exit, 3], "exit code 3", False),
    ],
)
def test_an_end_from_outside_is_told_from_one_by_its_own_fault(end, word, outside) -> None:
    with ProcessExecutor(1) as pool:
        pid = pool.submit(os.getpid).result(60)
        what, *arguments = end
        lost = pool.submit(what, *([pid] if what is os.kill else []), *arguments)
        assert isinstance(lost.exception(60), BrokenExecutor)
        found = pool.rebuild(lost)
        assert (found.pid, found.reason, found.outside) == (pid, word, outside)
        assert not found.stillborn


def test_a_kill_while_memory_is_short_is_not_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    with ProcessExecutor(1) as pool:
        pid = pool.submit(os.getpid).result(60)
        before = exitreasons.memory_kills()
        monkeypatch.setattr(exitreasons, "memory_kills", lambda: (before or 0) + 1)
        lost = pool.submit(os.kill, pid, signal.SIGKILL)
        assert isinstance(lost.exception(60), BrokenExecutor)
        assert not pool.rebuild(lost).outside


def test_no_more_workers_than_the_limit_get_tasks() -> None:
    with ProcessExecutor(3) as pool:
        pool.limit(2)
        given = [pool.submit(os.getpid) for _ in range(6)]
        assert {pool.label(one) for one in given} == {"worker 1", "worker 2"}


def test_dismissed_workers_do_what_they_were_given_and_end() -> None:
    with ProcessExecutor(2) as pool:
        done = [pool.submit(os.getpid) for _ in range(6)]
        processes = pool._processes()
        pool.dismiss()
        assert all(each.gone(30) for each in processes)
        assert {future.result(30) for future in done} == {each.pid for each in processes}


@pytest.mark.parametrize("kept", [True, False])
def test_workers_end_before_the_output_is_published_unless_they_are_kept(
    kept: bool, png: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def noted(cls: type[Any], name: str) -> None:
        method = getattr(cls, name)
        monkeypatch.setattr(cls, name, lambda one: (said.append(name), method(one))[1])

    noted(ProcessExecutor, "dismiss")
    noted(OutputFile, "commit")
    with contextlib.nullcontext() if kept else dedicated():
        imgpipe.run(png, blur(), png.parent / "out.png", executor="processes", workers=2)
    assert said == (["commit"] if kept else ["dismiss", "commit"])


def test_the_future_has_the_error_of_a_task_that_cannot_travel() -> None:
    with ProcessExecutor(1) as pool:
        assert "local object" in str(pool.submit(lambda: 1).exception(60))
        assert "pickle" in str(pool.submit(threading.Lock).exception(60))
        assert isinstance(pool.submit(_raise_unreadable).exception(60), TypeError)
        assert isinstance(pool.submit(sys.exit, 3).exception(60), SystemExit)
        large = pool.submit(bytes, 30_000_000), pool.submit(len, bytes(30_000_000))
        assert len(large[0].result(60)) == large[1].result(60) == 30_000_000


class _UnreadableError(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(one + two)


def _raise_unreadable() -> None:
    raise _UnreadableError(1, 2)


def test_tasks_that_were_not_begun_can_be_cancelled(tmp_path: Path) -> None:
    pool = ProcessExecutor(1)
    begun = pool.submit(_wait_for, str(tmp_path / "a"))
    waiting = [pool.submit(os.getpid) for _ in range(5)]
    assert eventually(lambda: len(list(tmp_path.iterdir())) == 1)
    assert waiting[3].cancel()
    pool.shutdown(wait=False, cancel_futures=True)
    assert [one.cancelled() for one in waiting] == [False, True, True, True, True]
    os.kill(int((tmp_path / "a").read_text()), signal.SIGKILL)
    assert isinstance(begun.exception(60), BrokenExecutor)


def test_a_tracker_that_is_killed_just_after_it_was_looked_at_is_only_time(
    png: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python warns of that where semaphores are made, and here warnings are errors."""
    revive, killed = server.revive_the_tracker, list[int]()

    def kill_it_then() -> None:
        revive()
        if len(killed) < 2:
            killed.append(resource_tracker._resource_tracker._pid)  # type: ignore[attr-defined]
            os.kill(killed[-1], signal.SIGKILL)
            os.waitpid(killed[-1], 0)

    with ProcessExecutor(1) as pool:
        monkeypatch.setattr(server, "revive_the_tracker", kill_it_then)
        assert blurred(png, 0, pool)
    assert len(killed) == 2


def test_a_task_goes_to_the_worker_that_will_be_free_first() -> None:
    """That is the worker with the fewest tasks; of equals, the one that got its last task first."""

    class Busy:
        label = ""

        def __init__(self) -> None:
            self.given: list[str] = []

        @property
        def unfinished(self) -> int:
            return len(self.given)

        def submit(self, fn: str) -> Future[None]:
            self.given.append(fn)
            return Future()

    with ProcessExecutor(2) as pool:
        first, second = pool._workers[0], pool._workers[1] = Busy(), Busy()
        for task in "abc":
            pool.submit(task)
        assert [first.given, second.given] == [["a", "c"], ["b"]]
        first.given.remove("a")
        pool.submit("d")
        assert [first.given, second.given] == [["c"], ["b", "d"]]
        first.given.remove("c")
        second.given.clear()
        pool.submit("e")
        assert [first.given, second.given] == [["e"], []]
        pool._workers.clear()


def test_half_a_result_is_not_waited_for(png: Path) -> None:
    """A worker is killed while it sends. The pool waits for the rest, and hears of no death."""
    with ProcessExecutor(1) as pool:
        result = pool.submit(_send_half)
        assert blurred(png, 0, pool)
        assert isinstance(result.exception(), BrokenExecutor)


def _send_half() -> None:
    def send(self: connection.Connection, data: bytes) -> None:
        os.write(self.fileno(), bytes(data)[:2])
        os.kill(os.getpid(), signal.SIGKILL)

    connection.Connection._send = send  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("shared", [True, False])
def test_processes_killed_at_random_moments_under_six_threads(shared: bool, png: Path) -> None:
    """Workers and fork servers, of one pool for all or one for each run."""
    rng = random.Random(int(shared))
    pool = ProcessExecutor(2) if shared else None
    over = threading.Event()

    def kill_some() -> None:
        for _ in range(MOMENTS // 2):
            # A server that is killed whenever it has just begun never gets to start a worker.
            assert eventually(lambda: len(workers_here()) > 1)
            threading.Event().wait(rng.uniform(0.01, 0.3))
            kill(workers_here(), rng)
        over.set()

    def run(number: int) -> int:
        executor, runs = pool or ProcessExecutor(2), 0
        with contextlib.nullcontext() if shared else executor:
            while not over.is_set():
                try:
                    assert blurred(png, number, executor)
                    runs += 1
                except WorkerError as error:  # the same task was hit three times
                    if "ended 3 workers in a row" not in str(error):
                        raise
            assert blurred(png, number, executor)
        return runs

    killer = threading.Thread(target=kill_some)
    killer.start()
    try:
        with ThreadPoolExecutor(6) as threads:
            assert sum(threads.map(run, range(6)))
    finally:
        over.set()
        killer.join()
        if pool is not None:
            pool.shutdown()


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="helpers are no forks")
def test_helpers_are_forks_only_if_this_thread_is_known_to_be_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def hidden(path: str) -> list[str]:
        raise FileNotFoundError(path)

    for listed, expected in (
        (lambda _: ["1"], True),
        (lambda _: ["1", "2"], False),
        (hidden, False),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(os, "listdir", listed)
            found = tracker.may_fork()
        assert found == expected
