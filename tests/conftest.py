"""Fixtures of all tests: pictures, executors, and the folder of foreign test files."""

from __future__ import annotations

import logging
import os
import pickle
import shutil
import signal
import tempfile
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray

import imgpipe
from imgpipe import machine
from imgpipe.engine import batchsizing, planning
from imgpipe.executors.processes.pool import ProcessExecutor
from imgpipe.executors.serial import SerialExecutor
from imgpipe.testing.pictures import noise
from tests.faraway import FarAwayExecutor
from tests.turns import turn

__all__ = ["CORPORA", "FarAwayExecutor", "PicklingExecutor", "natural", "noise"]

settings.register_profile("imgpipe", deadline=None)  # a noisy machine is no failure
settings.load_profile("imgpipe")

CORPORA = os.environ.get("IMGPIPE_CORPORA", "")


_CACHE = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Let programs that tests start be interrupted. A shell has its background jobs ignore it.

    What is remembered from run to run stays in a folder of the tests, which all their processes
    share.
    """
    if not hasattr(config, "workerinput"):
        config.stash[_CACHE] = tempfile.mkdtemp(prefix="imgpipe-tests-")
        os.environ["XDG_CACHE_HOME"] = config.stash[_CACHE]
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_unconfigure(config: pytest.Config) -> None:
    if _CACHE in config.stash:
        shutil.rmtree(config.stash[_CACHE], ignore_errors=True)


def pytest_report_header() -> str:
    found = sum(1 for path in Path(CORPORA).rglob("*.*") if path.is_file()) if CORPORA else 0
    return f"imgpipe: {found} files outside the repository (IMGPIPE_CORPORA={CORPORA or 'unset'})"


_SLOW = 300  # seconds: on a busy machine, 10 s of processor time took more than the usual 120 s


def pytest_itemcollected(item: pytest.Item) -> None:
    """Give tests that are marked `slow` a longer time limit."""
    if item.get_closest_marker("slow"):
        item.add_marker(pytest.mark.timeout(_SLOW))


@pytest.hookimpl(wrapper=True, tryfirst=True)  # the time limit of a test begins with its turn
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Give tests that are marked `alone` the machine, where several processes run tests."""
    if not hasattr(item.config, "workerinput"):
        return (yield)
    with turn(alone=item.get_closest_marker("alone") is not None):
        return (yield)


_COMMAND_BYTES = 100 * 10**6  # more than a command holds when it plans


@pytest.fixture(autouse=True, scope="session")
def held_memory_of_a_command() -> Iterator[None]:
    """Plans do not depend on the memory that earlier tests left in the process of the tests.

    A test that calls a command in this process would else have the plan of a command that holds a
    gigabyte.
    """
    held = machine.held_memory
    with pytest.MonkeyPatch.context() as patch:
        for module in (machine, planning, batchsizing):
            patch.setattr(module, "held_memory", lambda: min(held(), _COMMAND_BYTES))
        yield


class PicklingExecutor(Executor):
    """Stands in for an executor on another machine: everything goes through pickle."""

    shares_memory = False
    isolates = True

    def __init__(self, *, shares_files: bool) -> None:
        self.shares_files = shares_files
        self.sent = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        sent = pickle.dumps((fn, args, kwargs))
        self.sent += len(sent)
        fn, args, kwargs = pickle.loads(sent)
        future: Future[Any] = Future()
        try:
            future.set_result(pickle.loads(pickle.dumps(fn(*args, **kwargs))))
        except Exception as error:  # noqa: BLE001 - the future tells
            future.set_exception(pickle.loads(pickle.dumps(error)))
        return future


@pytest.fixture(scope="session", autouse=True)
def no_worker_is_kept() -> None:
    """Have processes that are left stand out."""
    imgpipe.keep_workers(0)


@pytest.fixture(scope="session", autouse=True)
def memory_is_freed_as_usual() -> Iterator[None]:
    """Have commands that run in the process of the tests leave its memory to others."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("imgpipe.machine.keep_freed_memory", lambda: None)
        yield


@pytest.fixture(autouse=True)
def log_as_before() -> Iterator[None]:
    """Undo the changes that a command makes to the log, so that tests may follow in any order."""
    log = logging.getLogger("imgpipe")
    level, handlers = log.level, log.handlers[:]
    yield
    if log.level != level:
        log.setLevel(level)
    log.handlers[:] = handlers


@pytest.fixture(scope="module")  # others kill processes at random, or look whether one is left
def far_away(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FarAwayExecutor]:
    with FarAwayExecutor(hidden=tmp_path_factory.getbasetemp()) as executor:
        yield executor


@pytest.fixture(scope="module")  # others look whether a process is left
def pool() -> Iterator[ProcessExecutor]:
    with ProcessExecutor(2) as executor:
        yield executor


@pytest.fixture(params=["serial", "threads", "processes", "pickled files", "pickled pixels"])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    """Every kind of executor that the engine knows how to use."""
    if request.param == "serial":
        yield SerialExecutor()
    elif request.param == "threads":
        with ThreadPoolExecutor(2) as threads:
            yield threads
    elif request.param == "processes":
        yield request.getfixturevalue("pool")
    else:
        yield PicklingExecutor(shares_files=request.param == "pickled files")


@pytest.fixture(scope="session")
def photo() -> NDArray[np.uint8]:
    """A picture of odd size, (211, 307, 3), with the features of a photograph."""
    return natural((211, 307, 3))


def natural(shape: tuple[int, int, int], seed: int = 0) -> NDArray[np.uint8]:
    """Return an image with the statistics of a photograph, the same for any version of a package.

    Clouds whose amplitudes fall with the frequency, colours that go together, a dozen hard edges,
    and a little noise.
    """
    rows, columns, channels = shape
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns))
    amplitude = 1 / np.maximum(frequency, 1 / max(rows, columns))

    def cloud() -> NDArray[Any]:
        phase = np.exp(2j * np.pi * rng.random(amplitude.shape))
        made = np.fft.irfft2(amplitude * phase, (rows, columns))
        return made / made.std()

    light = cloud()
    made = 120 + 50 * np.stack([light + 0.3 * cloud() for _ in range(channels)], axis=2)
    for _ in range(12):
        y, x = rng.integers(0, rows), rng.integers(0, columns)
        made[y : y + rows // 6, x : x + columns // 5] += rng.integers(-90, 90, channels)
    made += rng.normal(0, 2, made.shape)
    return np.clip(np.rint(made), 0, 255).astype(np.uint8)
