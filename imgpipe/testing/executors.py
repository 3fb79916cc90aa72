"""Conformance of executors: their tasks, their traits, and the bytes of their images."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, wait
from pathlib import Path
from typing import Any

import numpy as np

from imgpipe.chains.decorator import filter
from imgpipe.engine.buffers import Buffers, Slot
from imgpipe.errors import ImgpipeError
from imgpipe.executors.base import Supervised, Traits, traits_of
from imgpipe.filters import autocontrast, blur, flip
from imgpipe.image import Pixels
from imgpipe.inmemory import write
from imgpipe.registry import EXECUTORS
from imgpipe.running import run
from imgpipe.testing.pictures import noise
from imgpipe.testing.suite import Suite, must

__all__ = ["ExecutorSuite", "check_executor"]

_PATIENCE = 60.0  # seconds for tasks that take none; no wait is without an end
_WORKERS = 2
_TASKS = 20
_WORD = b"imgpipe"


class ExecutorSuite(Suite):
    """The tests of an executor: a `concurrent.futures.Executor` that imgpipe can use.

    A subclass has a method `make`, or names a registered executor as `executor`.
    """

    def make(self, workers: int) -> Executor:
        """Return a new executor; the tests shut it down.

        Parameters
        ----------
        workers : int
            Its workers.
        """
        must(isinstance(self.executor, str), "give the name of an executor, or a method make")
        made: Executor = EXECUTORS.load(str(self.executor))(workers)
        return made

    def test_runs_what_it_gets(self) -> None:
        """Functions get their arguments, also if there are more tasks than workers."""
        with self._made() as executor:
            futures = [executor.submit(_shown, n, b=n + 1) for n in range(_TASKS)]
            for n, future in enumerate(futures):
                shown = future.result(_PATIENCE)
                must(shown == f"{n}, {n + 1}", f"task {n} with b={n + 1} gave {shown!r}")

    def test_tells_when_a_task_is_done(self) -> None:
        """The callbacks of a future are called, for results and for failures."""
        with self._made() as executor:
            for function in (_shown, _fail):
                told = threading.Event()
                _set_when_done(executor.submit(function, 1), told)
                must(told.wait(_PATIENCE), "the callback of a future that is done is not called")

    def test_tells_failures(self) -> None:
        """An exception of a function is that of the future, and the executor goes on."""
        with self._made() as executor:
            error = executor.submit(_fail, 1).exception(_PATIENCE)
            must(
                isinstance(error, ValueError) and "no such key" in str(error),
                f"a function raised ValueError('no such key'), its future tells {error!r}",
            )
            must(executor.submit(_shown, 1).result(_PATIENCE) == "1, 0", "it does not go on")

    def test_shuts_down_twice(self) -> None:
        """A second `shutdown` does nothing."""
        with self._made() as executor:
            executor.submit(_shown, 1).result(_PATIENCE)
            executor.shutdown()

    def test_shares_the_memory_that_it_claims(self) -> None:
        """A worker with ``shares_memory`` writes into shared memory of this process."""
        with self._made() as executor, contextlib.closing(Buffers(1, 64, shared=True)) as buffers:
            if _traits(executor).shares_memory:
                (slot,) = buffers.slots
                error = executor.submit(_write_memory, slot).exception(_PATIENCE)
                must(error is None, f"shares_memory is True, but a worker cannot attach: {error!r}")
                found = bytes(slot.bytes()[: len(_WORD)])
                must(found == _WORD, "shares_memory is True, but what a worker writes is not there")

    def test_shares_the_files_that_it_claims(self) -> None:
        """A worker with ``shares_files`` reads and writes files of this process."""
        with self._made() as executor, tempfile.TemporaryDirectory() as folder:
            if _traits(executor).shares_files:
                source, out = Path(folder, "in"), Path(folder, "out")
                source.write_bytes(_WORD)
                future = executor.submit(_copy_file, str(source), str(out))
                error = future.exception(_PATIENCE)
                must(error is None, f"shares_files is True, but a worker cannot open: {error!r}")
                must(out.is_file(), "shares_files is True, but what a worker writes is not there")
                must(out.read_bytes() == _WORD, "a worker reads or writes another file")

    def test_isolates_as_it_claims(self) -> None:
        """``isolates`` is True if workers are other processes, and False if they are threads."""
        with self._made() as executor:
            here = executor.submit(_identity).result(_PATIENCE) == _identity()
            isolates = _traits(executor).isolates
            place = "in this process" if here else "in another process"
            must(isolates != here, f"isolates is {isolates}, but a task runs {place}")

    def test_is_where_it_claims(self) -> None:
        """``same_host`` is False if workers are elsewhere; ``processors`` is their number or 0."""
        with self._made() as executor:
            traits, (_, host) = _traits(executor), executor.submit(_identity).result(_PATIENCE)
            here = host == _identity()[1]
            must(here or not traits.same_host, f"same_host is True, but a task runs on {host}")
            must(traits.processors >= 0, f"processors is {traits.processors}")

    def test_makes_the_same_bytes(self) -> None:
        """PNG and NPY files have the same bytes: streamed, flipped, and measured first."""
        chains = {"blur": blur(), "flip": flip("vertical"), "autocontrast": autocontrast()}
        with self._made() as executor, _picture() as source:
            for suffix in (".png", ".npy"):
                for name, chain in chains.items():
                    out = source.with_name(f"out{suffix}")
                    run(source, chain, out, executor="serial")
                    expected = out.read_bytes()
                    run(source, chain, out, executor=executor, workers=_WORKERS, chunk=(16, 64))
                    must(
                        out.read_bytes() == expected,
                        f"{name} into {suffix} gives other bytes than without workers",
                    )

    def test_takes_functions_that_cannot_be_imported(self) -> None:
        """A filter that is a closure arrives by value."""
        step = 3

        @filter(halo=0)
        def raised(chunk: Pixels) -> Pixels:
            return chunk // 2 + step

        with self._made() as executor, _picture() as source:
            out = source.with_name("out.npy")
            run(source, raised(), out, executor=executor, workers=_WORKERS)
            expected = noise((101, 97, 3), "uint8") // 2 + 3
            must(np.array_equal(np.load(out), expected), "a closure made another image")

    def test_replaces_one_worker(self) -> None:
        """The method `rebuild` of a supervised executor ends the worker of one task alone."""
        with self._made() as executor:
            if not isinstance(executor, Supervised):
                return
            tasks = _at_once(executor)
            ended, *others = [task.result(_PATIENCE) for task in tasks]
            must(len({ended, *others}) == _WORKERS, "two workers got no task each")
            must(executor.label(tasks[0]) != executor.label(tasks[1]), "two workers have one label")
            end = executor.rebuild(tasks[0], wanted=True)
            must(end.wanted, f"a worker was ended on purpose, and it says {end}")
            must(executor.rebuild(tasks[0], wanted=True) == end, "a second rebuild is another end")
            found = {task.result(_PATIENCE) for task in _at_once(executor)}
            must(ended not in found, "the worker that was to be ended works on")
            must(found >= set(others), "another worker was ended too")

    def test_survives_the_death_of_a_worker(self) -> None:
        """A supervised executor survives one death; a function that always ends it is an error."""
        with self._made() as executor, _picture() as source:
            if not isinstance(executor, Supervised):
                return
            out, mark = source.with_name("out.png"), source.with_name("mark")
            run(source, _ends(mark=str(mark)), out, executor=executor, workers=_WORKERS)
            must(mark.exists(), "the function that ends its worker was not called")
            made = out.read_bytes()
            run(source, _ends(mark=str(mark)), out, executor="serial")
            must(made == out.read_bytes(), "a worker died once, and the bytes are others")
            out.unlink()
            try:
                run(source, _ends(), out, executor=executor, workers=_WORKERS)
            except ImgpipeError:
                must(not out.exists(), "a run that failed left its output")
            else:
                raise AssertionError("a function ended every worker it got, and no error tells")
            run(source, _ends(mark=str(mark)), out, executor=executor, workers=_WORKERS)
            must(made == out.read_bytes(), "after an error the bytes are others")

    @contextlib.contextmanager
    def _made(self) -> Iterator[Executor]:
        executor = self.make(_WORKERS)
        must(isinstance(executor, Executor), f"{executor!r} is no concurrent.futures.Executor")
        try:
            yield executor
        finally:
            executor.shutdown()


def check_executor(executor: str | Callable[[int], Executor]) -> None:
    """Run `ExecutorSuite` on an executor.

    Parameters
    ----------
    executor : str or callable
        Its registered name, or ``executor(workers)`` that returns a new one.

    Raises
    ------
    AssertionError
        If it does not conform.

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> from imgpipe.testing import check_executor
    >>> check_executor(ThreadPoolExecutor)
    """
    members: dict[str, Any] = {"executor": executor}
    if not isinstance(executor, str):
        make = executor
        members = {"make": lambda _, workers: make(workers)}
    type("_Suite", (ExecutorSuite,), members)().check()


def _traits(executor: Executor) -> Traits:
    traits = traits_of(executor)
    must(
        traits.isolates or (traits.shares_files and traits.same_host),
        "isolates is False, so its workers are in this process: same_host and shares_files too",
    )
    return traits


def _at_once(executor: Executor) -> list[Future[tuple[int, str]]]:
    """Give every worker a task that ends when all have been given; return the futures."""
    with tempfile.TemporaryDirectory() as folder:
        gates = [os.path.join(folder, str(number)) for number in range(_WORKERS)]
        for gate in gates:
            os.mkfifo(gate)
        futures = [executor.submit(_identity_after, gate) for gate in gates]
        for gate in gates:
            Path(gate).write_bytes(b"")  # opens when the task has opened it, and lets it go on
        wait(futures, _PATIENCE)
        return futures


def _set_when_done(future: Future[object], told: threading.Event) -> None:
    future.add_done_callback(lambda _: told.set())


@contextlib.contextmanager
def _picture() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "in.png")
        write(noise((101, 97, 3), "uint8"), source)
        yield source


# --- functions for workers, found by name in a process that imports imgpipe -------------


def _shown(a: int, *, b: int = 0) -> str:
    return f"{a}, {b}"


def _fail(a: int) -> None:
    raise ValueError("no such key")


def _identity() -> tuple[int, str]:
    """Return the process and the host."""
    return os.getpid(), os.uname().nodename


def _identity_after(gate: str) -> tuple[int, str]:
    Path(gate).read_bytes()
    return _identity()


def _write_memory(slot: Slot) -> None:
    slot.bytes()[: len(_WORD)] = _WORD


def _copy_file(source: str, out: str) -> None:
    Path(out).write_bytes(Path(source).read_bytes())


@filter(halo=0)
def _ends(chunk: Pixels, *, mark: str = "") -> Pixels:
    """Invert; end the process first, but only once if there is a file to mark that with."""
    if not mark:
        os._exit(3)
    if not os.path.exists(mark):
        Path(mark).touch()
        os._exit(3)
    return 255 - chunk
