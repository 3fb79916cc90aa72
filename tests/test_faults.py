"""Faults: a worker that dies costs only time, and nothing outlives a run."""

from __future__ import annotations

import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import imgpipe
from imgpipe.chains.decorator import filter
from imgpipe.errors import (
    Cancelled,
    CorruptError,
    FilterError,
    FilterTimeout,
    OutputError,
    UsageError,
    WorkerError,
)
from imgpipe.events import TaskDone, WorkerLost, Written
from imgpipe.executors.processes.pool import ProcessExecutor
from imgpipe.filters import blur, invert
from imgpipe.running import plan_run
from tests.conftest import natural
from tests.leftovers import eventually, nothing_new_in_shared_memory, session_ends, unused_segments

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@filter(halo=0)
def crash(chunk):
    os.kill(os.getpid(), signal.SIGSEGV)
    return chunk


@filter(halo=0)
def leave(chunk):
    os._exit(3)


@filter(halo=0)
def hang(chunk, *, begun: str = os.devnull):
    Path(begun).touch()
    time.sleep(3600)
    return chunk


@filter(halo=0)
def divide(chunk):
    return chunk / np.zeros(1)


@filter(halo=0)
def raise_error(chunk):
    raise KeyError("no such thing")


@filter(halo=0)
def write_into_input(chunk):
    chunk += 1
    return chunk


@filter(halo=1)
def too_small(chunk):
    return chunk[:3, :3]


@filter(halo=0)
def fewer_channels(chunk):
    return chunk[..., :1]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("made") / "in.png"
    Image.fromarray(np.tile(natural((512, 512, 3)), (6, 3, 1))).save(path, compress_level=1)
    return path


@pytest.fixture
def picture(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(made, tmp_path))


def workers_of(executor: ProcessExecutor) -> list[int]:
    return [process.pid for process in executor._processes()]


def test_a_killed_worker_costs_only_time(tmp_path: Path) -> None:
    # Several times as many tasks as are under way at once, so that some are still to come.
    picture = tmp_path / "in.png"
    Image.fromarray(np.tile(natural((512, 512, 3)), (18, 3, 1))).save(picture, compress_level=1)
    assert len(plan_run(picture, blur(), tmp_path / "o.png").tiler) > 8
    expected = tmp_path / "expected.png"
    imgpipe.run(picture, blur(), expected, executor="serial")
    lost = []
    with ProcessExecutor(2) as pool:
        killed = set()

        def kill_one(event: object) -> None:
            if isinstance(event, WorkerLost):
                lost.append(event)
            if isinstance(event, TaskDone) and event.index in (1, 5) and event.index not in killed:
                killed.add(event.index)
                os.kill(workers_of(pool)[0], signal.SIGKILL)

        report = imgpipe.run(
            picture, blur(), tmp_path / "o.png", executor=pool, on_event=kill_one, chunk=(16, 2000)
        )
    assert lost
    assert report.lost == len(lost)
    assert (tmp_path / "o.png").read_bytes() == expected.read_bytes()


@pytest.mark.slow
@pytest.mark.alone
def test_workers_killed_at_random_moments(picture: Path, tmp_path: Path) -> None:
    expected = tmp_path / "expected.png"
    imgpipe.run(picture, blur(), expected, executor="serial")
    rng = random.Random(0)
    with ProcessExecutor(2) as pool:
        imgpipe.run(picture, blur(), tmp_path / "o.png", executor=pool)
        stop = threading.Event()

        def kill_sometimes() -> None:
            while not stop.wait(rng.uniform(0.01, 0.25)):
                with contextlib.suppress(OSError, IndexError):
                    os.kill(rng.choice(workers_of(pool)), signal.SIGKILL)

        killer = threading.Thread(target=kill_sometimes)
        killer.start()
        try:
            runs = 0
            while runs < 6:
                try:
                    imgpipe.run(picture, blur(), tmp_path / "o.png", executor=pool)
                except WorkerError:  # the same task was hit three times: told, and nothing written
                    continue
                runs += 1
                assert (tmp_path / "o.png").read_bytes() == expected.read_bytes()
        finally:
            stop.set()
            killer.join()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["expected.png", "in.png", "o.png"]


@pytest.mark.parametrize(("bad", "word"), [(crash, "SIGSEGV"), (leave, "exit code 3")])
def test_a_filter_that_ends_its_process_is_named(bad, word, picture: Path, tmp_path: Path) -> None:
    with pytest.raises(WorkerError, match=word) as caught:
        imgpipe.run(picture, bad(), tmp_path / "o.png", workers=1)
    assert "in.png" in str(caught.value)
    assert bad.definition.name in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["in.png"]


def test_a_filter_that_hangs_is_given_up(picture: Path, tmp_path: Path) -> None:
    with pytest.raises(FilterTimeout, match=r"in\.png.*hang"):
        imgpipe.run(picture, hang(), tmp_path / "o.png", workers=1, timeout=0.5)
    assert [p.name for p in tmp_path.iterdir()] == ["in.png"]


@pytest.mark.parametrize("executor", ["serial", "processes"])
@pytest.mark.parametrize(
    ("bad", "error", "word"),
    [
        (raise_error, FilterError, "no such thing"),
        (divide, FilterError, "NaN"),
        (write_into_input, FilterError, "read-only"),
        (too_small, FilterError, "returned 3 rows and 3 columns"),
        (fewer_channels, FilterError, "channels"),
    ],
)
def test_a_filter_that_fails_is_explained(
    bad, error, word, executor, picture: Path, tmp_path: Path
) -> None:
    with pytest.raises(error, match=word) as caught:
        imgpipe.run(picture, bad(), tmp_path / "o.png", executor=executor, workers=2)
    text = str(caught.value)
    assert "in.png" in text
    assert re.search(r"chunk at rows \d+-\d+, columns \d+-\d+", text)  # whichever failed first
    assert bad.definition.name in text
    assert "imgpipe/engine/worker.py" not in text
    assert [p.name for p in tmp_path.iterdir()] == ["in.png"]


def test_dead_workers_of_a_passed_executor_are_an_error(picture: Path, tmp_path: Path) -> None:
    with (
        ProcessPoolExecutor(1, get_context("spawn")) as passed,
        pytest.raises(WorkerError, match="executor that was passed"),
    ):
        imgpipe.run(picture, crash(), tmp_path / "o.png", executor=passed)
    assert [p.name for p in tmp_path.iterdir()] == ["in.png"]


def test_damage_in_the_middle_is_found_and_leaves_the_old_output(
    picture: Path, tmp_path: Path
) -> None:
    data = bytearray(picture.read_bytes())
    data[len(data) // 2] ^= 0x55
    picture.write_bytes(data)
    out = tmp_path / "o.png"
    out.write_bytes(b"old")
    for executor in ("serial", "threads", "processes"):
        with pytest.raises(CorruptError, match=r"in\.png"):
            imgpipe.run(picture, invert(), out, executor=executor, workers=2)
        assert out.read_bytes() == b"old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.png", "o.png"]


def test_an_observer_that_asks_for_the_end_of_the_run_gets_it(
    picture: Path, tmp_path: Path
) -> None:
    for end in (Cancelled("enough"), KeyboardInterrupt("enough"), SystemExit("enough")):

        def stop(event: object, end: BaseException = end) -> None:
            if isinstance(event, Written):
                raise end

        with pytest.raises(type(end), match="enough"):
            imgpipe.run(picture, invert(), tmp_path / "o.png", workers=2, on_event=stop)
        assert [p.name for p in tmp_path.iterdir()] == ["in.png"]


def test_a_cancelled_run_stops_and_leaves_nothing(picture: Path, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    handle = imgpipe.submit(picture, hang(begun=str(begun)), tmp_path / "o.png", workers=2)
    assert eventually(begun.exists)
    assert not handle.done()
    assert handle.cancel()
    assert handle.done()
    begun.unlink()
    with pytest.raises(Cancelled):
        handle.result()
    assert [p.name for p in tmp_path.iterdir()] == ["in.png"]


def test_a_handle_gives_the_report(picture: Path, tmp_path: Path) -> None:
    handle = imgpipe.submit(picture, invert(), tmp_path / "o.png", workers=1)
    report = handle.result(timeout=60)
    assert handle.done()
    assert handle.progress == 1.0
    assert not handle.cancel()
    assert report.height == 3072


def test_a_function_that_cannot_be_pickled_is_refused(picture: Path, tmp_path: Path) -> None:
    lock = threading.Lock()

    @filter(halo=0)
    def locked(chunk):
        with lock:
            return chunk

    with pytest.raises(UsageError, match="cannot be sent to the workers"):
        imgpipe.run(picture, locked(), tmp_path / "o.png", workers=2)


SCRIPT = """
import sys, numpy as np, imgpipe
print("main runs")
offset = 3
@imgpipe.filter(halo=1)
def emboss(chunk, *, strength: float = 1.0):
    wide = chunk.astype(float)
    return wide + strength * (np.roll(wide, 1, (0, 1)) - np.roll(wide, -1, (0, 1))) + offset
chain = emboss(strength=2) | imgpipe.filters.blur(sigma=1)
imgpipe.run(sys.argv[1], chain, sys.argv[2], workers=2)
whole = chain(imgpipe.read(sys.argv[1]))
assert (imgpipe.read(sys.argv[2]) == whole).all()
"""


def test_a_script_without_a_main_guard_works(picture: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, script, picture, tmp_path / "o.png"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "main runs\n"
    assert done.stderr == ""


def blur_command(picture: Path, out: Path) -> list[str]:
    return [sys.executable, "-m", "imgpipe", "blur", str(picture), "-o", str(out), "-j", "2"]


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize("what", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_nothing_outlives_a_command_that_is_ended(
    what: signal.Signals, picture: Path, tmp_path: Path
) -> None:
    """13 moments for each of 4 signals, from before the first import to after the rename."""
    out = tmp_path / "out" / "o.png"
    out.parent.mkdir()
    segments = unused_segments()
    rng = random.Random(int(what))
    for turn in range(13):
        out.write_bytes(b"old")
        process = subprocess.Popen(
            blur_command(picture, out), stderr=subprocess.DEVNULL, start_new_session=True
        )
        time.sleep(0.05 * turn + rng.uniform(0, 0.05))
        if what == signal.SIGINT:
            os.killpg(process.pid, what)  # as a terminal does
        else:
            process.send_signal(what)
        code = process.wait(30)
        assert session_ends(process.pid), f"signal {what} after {turn} left a process"
        assert code in (0, -what, 128 + what)
        assert out.read_bytes() == b"old" or imgpipe.read(out).shape == (3072, 1536, 3)
        if what != signal.SIGKILL:
            assert [p.name for p in out.parent.iterdir()] == ["o.png"]
    assert nothing_new_in_shared_memory(segments)
    imgpipe.run(picture, invert(), out, workers=1)  # sweeps the files that SIGKILL left
    assert [p.name for p in out.parent.iterdir()] == ["o.png"]


INTERRUPTED = """
import os, signal, sys, threading, imgpipe
from imgpipe.filters import blur
from pathlib import Path
def interrupt():
    os.kill(os.getpid(), signal.SIGINT)
button = threading.Timer(float(sys.argv[3]), interrupt)
button.start()
try:
    while True:
        imgpipe.run(sys.argv[1], blur(sigma=3), sys.argv[2], workers=2)
except KeyboardInterrupt:
    button.join()
    imgpipe.shutdown()  # an interrupt just after a run leaves its idle workers for the next one
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    commands = [Path(f"/proc/{pid}/cmdline").read_text() for pid in children]
    assert all("resource_tracker" in command for command in commands), commands
    assert [thread.name for thread in threading.enumerate()] == ["MainThread"]
    imgpipe.run(sys.argv[1], blur(), sys.argv[2], workers=2)
    print("interrupted, and went on")
"""


@pytest.mark.alone
@pytest.mark.parametrize("moment", [0.3, 0.6, 0.75, 1.3])
def test_the_interrupt_button_stops_a_run_and_the_next_one_works(
    moment: float, picture: Path, tmp_path: Path
) -> None:
    """As in a notebook: the exception comes from wherever the run is just then."""
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, picture, tmp_path / "o.png", str(moment)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "interrupted, and went on\n", done.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.png", "o.png"]


def test_a_full_device_is_reported(picture: Path) -> None:
    with pytest.raises(OutputError, match=r"/dev/full: cannot write: the disk is full"):
        imgpipe.run(picture, invert(), "/dev/full", workers=2)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_a_full_disk_leaves_the_old_file(picture: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", disk], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        (disk / "o.png").write_bytes(b"old")
        for name in ("o.png", "o.npy"):
            with pytest.raises(OutputError, match="the disk is full"):
                imgpipe.run(picture, blur(), disk / name, workers=2)
        assert [p.name for p in disk.iterdir()] == ["o.png"]
        assert (disk / "o.png").read_bytes() == b"old"
    finally:
        subprocess.run(["umount", disk], check=True)
