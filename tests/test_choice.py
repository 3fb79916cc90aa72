"""Workers of others, and functions that make images themselves: which executor, and the result."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import imgpipe
from imgpipe.chains.decorator import filter
from tests.conftest import noise
from tests.scripts import run_script

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

PIXELS = noise((90, 60, 1), "uint8")


@filter(halo=0)
def writes(chunk, *, folder: str):
    """Make an image of its own, in the middle of another."""
    imgpipe.write(255 - chunk, Path(folder) / "inner.png")
    imgpipe.run(
        Path(folder) / "inner.png", imgpipe.filters.blur(), Path(folder) / "inner2.png", workers=1
    )
    return chunk


@filter(halo=0)
def applies(chunk):
    inner = filter(halo=0)(lambda pixels: 255 - pixels)
    return 255 - imgpipe.apply(imgpipe.apply(chunk, imgpipe.filters.box(radius=0)), inner())


@pytest.mark.parametrize("executor", ["serial", "threads", "processes"])
def test_a_function_may_make_images_itself(executor: str, tmp_path: Path, pool) -> None:
    imgpipe.write(PIXELS, tmp_path / "in.png")
    carrier = pool if executor == "processes" else executor
    for inner in (writes(folder=str(tmp_path)), applies()):
        out = tmp_path / f"{inner.name}.png"
        imgpipe.run(tmp_path / "in.png", inner, out, executor=carrier, workers=1, chunk=(20, 60))
        np.testing.assert_array_equal(imgpipe.read(out), PIXELS)


def test_within_a_worker_a_function_gets_no_workers_of_its_own(pool) -> None:
    @filter(halo=0)
    def inner(chunk):
        return chunk

    @filter(halo=0)
    def outer(chunk):
        imgpipe.write(chunk, "/dev/null")
        report = []
        imgpipe.apply(chunk, inner(), on_event=report.append)
        return np.full_like(chunk, report[-1].report.executor == "serial, within a worker")

    assert (imgpipe.apply(PIXELS, outer(), executor=pool) == 1).all()


SCRIPT = """
import multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor
import numpy as np
import imgpipe

PIXELS = np.tile(np.arange(256, dtype="uint8"), (9000, 1))  # more than is done without workers
offset = 3

@imgpipe.filter(halo=1)
def emboss(chunk, *, strength: float = 1.0):
    wide = chunk.astype(float)
    return wide + strength * (np.roll(wide, 1, (0, 1)) - np.roll(wide, -1, (0, 1))) + offset

def made(chain):
    chain = chain or emboss(strength=2)
    assert (imgpipe.apply(PIXELS, chain, workers=2) == chain(PIXELS)).all()
    return chain

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[2])
    pool = context.Pool(1) if sys.argv[1] == "pool" else ProcessPoolExecutor(1, context)
    with pool:
        do = pool.apply if sys.argv[1] == "pool" else lambda f, args: pool.submit(f, *args).result()
        do(made, (imgpipe.filters.blur(),))          # ours, above two megapixels
        do(made, (None,))                            # declared in the script
        assert do(made, (emboss(strength=3),)) == emboss(strength=3)  # and sent there and back
        assert do(repr, (emboss,)) == repr(emboss)
    print("done")
"""


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("kind", ["pool", "executor"])
def test_workers_of_others_have_workers(kind: str, method: str, tmp_path: Path) -> None:
    """Workers of `multiprocessing.Pool` are daemonic, and may usually have no children."""
    done = run_script(SCRIPT, tmp_path, kind, method)
    assert done.stdout == "done\n"
    assert done.stderr == ""


TERMINATED = """
import multiprocessing, time, imgpipe

@imgpipe.filter(halo=0)
def hang(chunk):
    open("hangs", "w").close()
    time.sleep(1000)

def work():
    imgpipe.run("in.png", hang(), "out.png", workers=2)

if __name__ == "__main__":
    import os
    with multiprocessing.get_context("fork").Pool(1) as pool:
        pool.apply_async(work)
        while not os.path.exists("hangs"):
            time.sleep(0.01)
        pool.terminate()
"""


def test_they_end_with_the_worker_that_is_terminated(tmp_path: Path) -> None:
    imgpipe.write(PIXELS, tmp_path / "in.png")
    run_script(TERMINATED, tmp_path)  # asserts that no process is left
    assert not (tmp_path / "out.png").exists()


LEFT_OPEN = """
import imgpipe, multiprocessing, sys
from imgpipe.executors.processes.pool import ProcessExecutor

def work():
    global pool
    pool = ProcessExecutor(1)
    imgpipe.run("in.png", imgpipe.filters.blur(), "out.png", executor=pool)

if __name__ == "__main__":
    child = multiprocessing.get_context(sys.argv[1]).Process(target=work)
    child.start()
    child.join()
    work()
    print(child.exitcode)
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_pool_that_nobody_shuts_down_ends_with_its_process(method: str, tmp_path: Path) -> None:
    imgpipe.write(PIXELS, tmp_path / "in.png")
    assert run_script(LEFT_OPEN, tmp_path, method).stdout == "0\n"


IN_A_FORK = """
import os, imgpipe
from imgpipe.executors.processes.pool import ProcessExecutor

def work(number):
    options = {"executor": "processes", "workers": 1}
    imgpipe.run("in.png", imgpipe.filters.blur(), f"out{number}.png", **options)

if __name__ == "__main__":
    with ProcessExecutor(1) as pool:
        imgpipe.run("in.png", imgpipe.filters.blur(), "out0.png", executor=pool)
        child = os.fork()
        if child == 0:
            work(1)
            try:
                imgpipe.run("in.png", imgpipe.filters.blur(), "out2.png", executor=pool)
            except imgpipe.errors.WorkerError as error:
                print("another process" in str(error), flush=True)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        imgpipe.run("in.png", imgpipe.filters.blur(), "out3.png", executor=pool)
"""


def test_a_fork_of_a_process_with_a_pool_has_workers_of_its_own(tmp_path: Path) -> None:
    imgpipe.write(PIXELS, tmp_path / "in.png")
    assert run_script(IN_A_FORK, tmp_path).stdout == "True\n"
    expected = imgpipe.filters.blur()(PIXELS)
    for number in (0, 1, 3):
        np.testing.assert_array_equal(imgpipe.read(tmp_path / f"out{number}.png"), expected)
