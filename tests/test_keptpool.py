"""Workers stay for the next call, do what new workers would do, and leave nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import imgpipe
from imgpipe.errors import FilterError, UsageError
from imgpipe.executors.processes import keptpool
from imgpipe.machine import dedicated
from tests.conftest import noise
from tests.leftovers import command_of, eventually, is_living, session_of, workers_here
from tests.scripts import at_the_end_of_python, run_script

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

PIXELS = noise((60, 40), "uint32")


@imgpipe.filter(halo=0)
def worker_id(chunk):
    """Identity of this process, in every pixel."""
    return np.full_like(chunk, os.getpid())


def worker() -> int:
    """Return the process that does the work of a call."""
    made = imgpipe.apply(PIXELS, worker_id(), workers=1)
    assert (made == made[0, 0]).all()
    return int(made[0, 0])


@pytest.fixture(autouse=True)
def kept() -> Iterator[None]:
    """Keep workers during a test, and nothing after it."""
    before = workers_here()
    keptpool.keep_workers(100)
    yield
    keptpool.keep_workers(0)
    assert workers_here() <= before
    assert eventually(lambda: "imgpipe-idle" not in [one.name for one in threading.enumerate()])


def test_the_next_call_finds_the_workers_of_the_last_one() -> None:
    assert worker() == worker()


def test_they_end_when_they_are_told_to() -> None:
    first = worker()
    assert first in workers_here()
    imgpipe.shutdown()
    assert not workers_here()
    imgpipe.shutdown()
    assert worker() != first


def test_they_end_after_some_time() -> None:
    imgpipe.keep_workers(0.01)
    worker()
    assert eventually(lambda: not workers_here())
    with pytest.raises(UsageError, match="seconds"):
        imgpipe.keep_workers(-1)


def test_they_are_not_kept_where_that_is_not_wanted() -> None:
    imgpipe.keep_workers(0)
    worker()
    assert not workers_here()
    imgpipe.keep_workers(100)
    with dedicated():  # as in a command
        worker()
        assert not workers_here()


def test_a_run_that_fails_ends_its_workers_and_keeps_what_starts_new_ones() -> None:
    @imgpipe.filter(halo=0)
    def fails(chunk):
        raise ValueError("no")

    first = worker()
    with pytest.raises(FilterError):
        imgpipe.apply(PIXELS, fails(), workers=1)
    (server,) = workers_here()
    assert "forkserver" in command_of(server)
    assert worker() != first
    assert server in workers_here()


def test_two_runs_at_once_have_workers_of_their_own() -> None:
    both = threading.Barrier(2)

    def call(_: int) -> int:
        return int(imgpipe.apply(PIXELS, worker_id(), workers=1, on_event=wait)[0, 0])

    def wait(event: object) -> None:
        if type(event).__name__ == "Started":
            both.wait(60)

    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(call, range(2))
    assert first != second
    assert worker() in {first, second}


@pytest.mark.parametrize("victim", ["the worker", "the fork server"])
def test_a_process_killed_between_runs_is_replaced(victim: str) -> None:
    first = worker()
    (server,) = workers_here() - {first}
    killed = first if victim == "the worker" else server
    os.kill(killed, signal.SIGKILL)
    assert eventually(lambda: not is_living(killed))
    assert worker() != first


def test_there_are_no_more_than_the_next_call_wants(tmp_path: Path) -> None:
    pool = keptpool.processes(3)
    pipes = [tmp_path / str(number) for number in range(3)]
    for pipe in pipes:
        os.mkfifo(pipe)
    busy = [pool.submit(Path.read_bytes, pipe) for pipe in pipes]
    for pipe, given in zip(pipes, busy, strict=True):
        pipe.write_bytes(b"go on")
        assert given.result(60) == b"go on"
    assert len(workers_here()) == 4  # with the fork server
    keptpool.processes.give_back(pool)
    assert keptpool.processes(1) is pool
    assert len(workers_here()) == 2
    keptpool.processes.give_back(pool)


@pytest.mark.parametrize("what", ["folder", "path", "environment"])
def test_not_where_anything_around_is_changed(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(Path.cwd())
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("IMGPIPE_TEST", "0")
    first = worker()
    if what == "folder":
        os.chdir(tmp_path)
    elif what == "path":
        sys.path.append(str(tmp_path))
    else:
        os.environ["IMGPIPE_TEST"] = "1"
    second = worker()
    assert first != second
    assert worker() == second


MODULE = """
def value():
    return {}
"""


@pytest.mark.parametrize("told", [False, True])
def test_a_module_that_is_edited_is_loaded_anew(
    told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also within the same moment, and to the same size.

    Python takes compiled code for current if its source has the same second and size. So the
    workers write none here.
    """
    monkeypatch.syspath_prepend(tmp_path)
    module = tmp_path / f"edited_{told}.py"

    @imgpipe.filter(halo=0)
    def filled(chunk, *, name: str):
        import importlib

        sys.dont_write_bytecode = True
        return np.full_like(chunk, importlib.import_module(name).value())

    for number in (3, 4, 5):
        module.write_text(MODULE.format(number))
        made = imgpipe.apply(PIXELS, filled(name=module.stem), workers=1)
        assert (made == number).all()
        if told:
            assert worker() > 0


@pytest.mark.alone
def test_memory_that_workers_hold_is_planned_for() -> None:
    @imgpipe.filter(halo=0)
    def greedy(chunk):
        sys.greedy = np.ones(40_000_000, np.uint8)  # type: ignore[attr-defined]
        return chunk

    def planned(filter: object) -> int:
        events: list[object] = []
        imgpipe.apply(PIXELS, filter, workers=1, executor="processes", on_event=events.append)  # type: ignore[arg-type]
        return int(events[-1].report.planned_memory)  # type: ignore[attr-defined]

    invert = imgpipe.filters.invert()
    before = planned(invert)
    imgpipe.apply(PIXELS, greedy(), workers=1)
    assert planned(invert) > before + 30_000_000


SCRIPT = """
import imgpipe, numpy as np, os, sys
def call(workers=2):
    @imgpipe.filter(halo=0)
    def own(chunk):
        return 255 - chunk
    assert (imgpipe.apply(np.zeros((50, 50), "u1"), own(), workers=workers) == 255).all()
call()
"""

ENDS = {
    "at its end": "",
    "by an exception": "sys.exit(0)",
    "from a thread": "import threading; t = threading.Thread(target=call); t.start(); t.join()",
    "from a child": "import multiprocessing as m; c = m.get_context('fork').Process(target=call);"
    " c.start(); c.join(); print(c.exitcode)",
    "in a daemonic process": "import multiprocessing as m; p = m.get_context('fork').Pool(1);"
    " p.apply(call); p.apply(call); p.terminate()",
    "while a run goes on": "imgpipe.write(np.zeros((9, 9), 'u1'), 'a.png');"
    " imgpipe.submit('a.png', lambda chunk: chunk, 'b.png', halo=0)",
}


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(end, marks=at_the_end_of_python) if end == "while a run goes on" else end
        for end in ENDS
    ],
)
def test_python_ends_quietly_and_leaves_nothing(end: str, tmp_path: Path) -> None:
    done = run_script(SCRIPT + ENDS[end], tmp_path)
    assert done.stderr == ""
    assert done.stdout in ("", "0\n")


IN_A_FORK = """
import signal, time
child = os.fork()
if child == 0:
    call()
    imgpipe.shutdown()
    while not os.path.exists("known"):
        time.sleep(0.01)
    os.rename("known", "child")
    time.sleep(1000)
with open("child~", "w") as file:
    file.write(str(child))
os.rename("child~", "known")
while not os.path.exists("child"):
    time.sleep(0.01)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_fork_neither_uses_nor_holds_what_is_kept(tmp_path: Path) -> None:
    """The parent is killed; its workers end, though the fork lives on."""
    text = SCRIPT + IN_A_FORK
    (tmp_path / "script.py").write_text(text)
    quiet = ("-W", "ignore::DeprecationWarning")  # of Python 3.12: the parent has threads
    command = [sys.executable, *quiet, "script.py"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, start_new_session=True
    )

    def left() -> set[int]:
        return {p for p in session_of(process.pid) if "resource_tracker" not in command_of(p)}

    try:
        assert process.wait(60) == -signal.SIGKILL
        child = int((tmp_path / "child").read_text())
        assert eventually(lambda: left() == {child})
    finally:
        for pid in session_of(process.pid):
            os.kill(pid, signal.SIGKILL)
        assert process.communicate()[1] == b""
