"""Runs in the background end before Python does, whatever becomes of the script."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import imgpipe
from imgpipe.filters import invert
from tests.conftest import noise
from tests.leftovers import session_ends
from tests.scripts import at_the_end_of_python, run_script

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

PIXELS = noise((50, 40, 3), "uint8")

OWN = """
import imgpipe, sys, threading, time
from imgpipe.filters import invert
@imgpipe.filter(halo=0)
def own(chunk):
    return 255 - chunk
"""


@pytest.fixture(autouse=True)
def picture(tmp_path: Path) -> None:
    imgpipe.write(PIXELS, tmp_path / "in.png")


def is_inverted(path: Path) -> bool:
    return bool((imgpipe.read(path) == invert()(PIXELS)).all())


@at_the_end_of_python
@pytest.mark.parametrize("workers", ["executor='serial'", "workers=2"])
def test_a_script_that_ends_right_after_submit_makes_its_image(
    workers: str, tmp_path: Path
) -> None:
    text = f"imgpipe.submit('in.png', own(), 'out.png', {workers})\n"
    assert run_script(OWN + text, tmp_path).stderr == ""
    assert is_inverted(tmp_path / "out.png")


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_child_process_that_ends_right_after_submit_makes_its_image(
    method: str, tmp_path: Path
) -> None:
    text = f"""
def work():
    imgpipe.submit('in.png', own(), 'out.png', workers=2)
if __name__ == "__main__":
    import multiprocessing
    child = multiprocessing.get_context({method!r}).Process(target=work)
    child.start()
    child.join()
    print(child.exitcode)
"""
    done = run_script(OWN + text, tmp_path)
    assert (done.stdout, done.stderr) == ("0\n", "")
    assert is_inverted(tmp_path / "out.png")


@pytest.mark.parametrize("kept", ["", "handle = "])
def test_a_failure_that_nobody_asks_for_is_reported(kept: str, tmp_path: Path) -> None:
    text = f"{kept}imgpipe.submit('missing.png', invert(), 'out.png')\n"
    done = run_script(OWN + text, tmp_path)
    assert done.stderr.startswith("missing.png -> out.png: missing.png: there is no such file")
    assert "Traceback" not in done.stderr


def test_a_failure_that_somebody_asked_for_is_not_reported_again(tmp_path: Path) -> None:
    text = """
handle = imgpipe.submit('missing.png', invert(), 'out.png')
try:
    handle.result()
except imgpipe.errors.InputError:
    pass
"""
    assert run_script(OWN + text, tmp_path).stderr == ""


@at_the_end_of_python
def test_ctrl_c_stops_what_python_waits_for(tmp_path: Path) -> None:
    """The function hangs; the script has ended, and the interrupt comes then."""
    (tmp_path / "script.py").write_text("""
import imgpipe, threading, time
@imgpipe.filter(halo=0)
def hang(chunk):
    print("hangs", flush=True)
    time.sleep(1000)
handle = imgpipe.submit('in.png', hang(), 'out.png', executor='processes', workers=1)
""")
    process = subprocess.Popen(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "hangs\n"
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert session_ends(process.pid)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.png", "script.py"]
    assert (process.returncode, told) == (-signal.SIGINT, "")


def test_a_run_goes_on_when_waiting_for_it_is_interrupted(tmp_path: Path) -> None:
    text = """
import signal
asked, go_on = threading.Event(), threading.Event()
@imgpipe.filter(halo=0, executor='threads')
def slow(chunk):
    asked.wait()
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
    go_on.wait()
    return chunk
handle = imgpipe.submit('in.png', slow(), 'out.png', executor='threads', workers=1)
try:
    asked.set()
    handle.result()
except KeyboardInterrupt:
    print(handle.done(), end=' ')
    go_on.set()
    print(handle.result().height, handle.done())
"""
    assert run_script(OWN + text, tmp_path).stdout == "False 50 True\n"


LATE = """
def late():
    while not (threading._SHUTTING_DOWN and executors_are_closed()):
        time.sleep(0.001)
    with open('log', 'w') as log:
        try:
            print(WHAT, file=log)
        except Exception as error:
            print(type(error).__name__, error, file=log)

def executors_are_closed():
    process = sys.modules.get('concurrent.futures.process')
    return process is None or process._global_shutdown

threading.Thread(target=late).start()
"""
RUN = "imgpipe.run('in.png', own(), 'out.png', {}).executor"


@pytest.mark.parametrize("before", ["", "imgpipe.run('in.png', own(), 'out.png', workers=2)\n"])
@pytest.mark.parametrize("options", ["workers=1", "timeout=60"])
def test_a_thread_that_outlives_the_main_one_works_without_workers(
    options: str, before: str, tmp_path: Path
) -> None:
    text = OWN + before + LATE.replace("WHAT", RUN.format(options))
    done = run_script(text, tmp_path)
    assert (tmp_path / "log").read_text() == "serial, because Python is about to end\n"
    assert (
        done.stderr == "Python is about to end and starts no workers; the image is made without\n"
    )
    assert is_inverted(tmp_path / "out.png")


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_workers_that_are_asked_for_too_late_are_refused(executor: str, tmp_path: Path) -> None:
    run_script(OWN + LATE.replace("WHAT", RUN.format(f"executor={executor!r}")), tmp_path)
    said = (tmp_path / "log").read_text()
    assert said.startswith("WorkerError Python is about to end and starts no more workers")
    assert "executor='serial'" in said
    assert not (tmp_path / "out.png").exists()


@at_the_end_of_python
def test_a_late_thread_may_submit(tmp_path: Path) -> None:
    do = "imgpipe.submit('in.png', invert(), 'out.png')"
    run_script(OWN + LATE.replace("WHAT", do), tmp_path)
    assert is_inverted(tmp_path / "out.png")


def test_a_late_thread_may_apply(tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", PIXELS)
    do = "imgpipe.apply(imgpipe.read('in.npy'), invert(), workers=1).shape"
    run_script(OWN + LATE.replace("WHAT", do), tmp_path)
    assert (tmp_path / "log").read_text() == "(50, 40, 3)\n"
