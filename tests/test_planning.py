"""Memory is planned before it is used: never more is used, and not much less."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imgpipe
from imgpipe import machine
from imgpipe.chains.decorator import filter
from imgpipe.engine import planning
from imgpipe.engine.control import Control
from imgpipe.errors import Cancelled, MemoryPlanError, UsageError
from imgpipe.filters import bilateral, blur, crop, grayscale, resize
from imgpipe.options import Options
from imgpipe.running import plan_run
from tests.conftest import noise

pytestmark = pytest.mark.alone

in_proc = pytest.mark.skipif(sys.platform != "linux", reason="measured in /proc")
MB = 1_000_000

FUNCTIONS = """
import imgpipe, numpy as np, scipy.ndimage

@imgpipe.filter(halo=8)
def smooth(chunk):
    return scipy.ndimage.gaussian_filter(chunk, (2, 2, 0))

@imgpipe.filter(halo=1)
def emboss(chunk):
    wide = chunk.astype(float)
    return wide + np.roll(wide, 1, (0, 1)) - np.roll(wide, -1, (0, 1))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images that keep several tasks busy at once."""
    folder = tmp_path_factory.mktemp("planned")
    tile = noise((250, 500, 3), "uint8")
    imgpipe.write(np.tile(tile, (12, 6, 1)), folder / "rgb.png", compression=1)
    imgpipe.write(np.tile(tile.astype(np.uint16), (8, 4, 1)), folder / "deep.png", compression=1)
    np.save(folder / "double.npy", np.tile(tile / 255, (6, 4, 1)))
    (folder / "own.py").write_text(FUNCTIONS)
    return folder


@in_proc
@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        "blur rgb.png -o o.png --sigma 5 -j 2",
        "median deep.png -o o.png -j 1",
        "autocontrast rgb.png -o o.png -j 2",
        "blur double.npy -o o.npy -j 2",
        "run own.py:smooth rgb.png -o o.png -j 2",
        "run own.py:emboss double.npy -o o.npy -j 1",
    ],
)
def test_a_run_that_fills_its_plan_takes_a_third_of_it_at_least_and_never_more(
    command: str, folder: Path
) -> None:
    """Within one process, so that the report tells of both."""
    code = (
        "import sys, imgpipe.cli, imgpipe.running as pipeline\n"
        "run = pipeline.run\n"
        "def told(*args, **options):\n"
        "    report = run(*args, **options)\n"
        "    print(report.peak_memory, report.planned_memory)\n"
        "    return report\n"
        "pipeline.run = told\n"
        "imgpipe.cli.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *command.split()],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout, done.stderr
    peak, planned = map(int, done.stdout.split())
    assert planned / 3 <= peak <= planned


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A module that takes 64 MB when it is imported."""
    (tmp_path / "ballast.py").write_text("import numpy\nheld = numpy.ones(64_000_000, 'u1')\n")
    monkeypatch.syspath_prepend(tmp_path)
    import ballast  # type: ignore[import-not-found]

    yield ballast
    del sys.modules["ballast"]


@in_proc
def test_every_worker_has_memory_planned_for_the_libraries_of_functions(
    library: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = machine.held_memory()  # it changes while another process shares pages with this one
    monkeypatch.setattr("imgpipe.engine.planning.held_memory", lambda: held)

    @filter(halo=0)
    def heavy(chunk):
        return chunk + library.held[:1]

    @filter(halo=0)
    def light(chunk):
        return chunk + 1

    np.save(tmp_path / "in.npy", noise((1500, 1000, 3), "uint8"))
    ends = tmp_path / "in.npy", tmp_path / "o.npy"
    for workers in (1, 2):
        with_it, without = (
            plan_run(ends[0], one(), ends[1], workers=workers) for one in (heavy, light)
        )
        assert with_it.workers == without.workers == workers
        more = with_it.memory - without.memory
        assert 60 * MB * workers <= more <= (64 * workers + 20) * MB
        room = without.memory - held + 64 * MB
        tight = plan_run(ends[0], heavy(), ends[1], workers=2, max_memory=room)
        assert tight.workers == 1
        report = imgpipe.run(ends[0], heavy(), ends[1], workers=2, max_memory=room)
        assert report.workers == 1


def test_the_limit_includes_the_memory_of_this_process_on_the_command_line_only(
    tmp_path: Path,
) -> None:
    np.save(tmp_path / "in.npy", noise((300, 200, 3), "uint8"))
    ends = tmp_path / "in.npy", blur(), tmp_path / "o.npy"
    held = machine.held_memory()
    plan = plan_run(*ends, workers=1, max_memory=60 * MB)
    assert held < plan.memory <= plan.budget
    assert plan.memory - held <= 60 * MB
    with machine.dedicated():
        assert plan_run(*ends, workers=1, max_memory=plan.memory + 20 * MB).memory > held
        with pytest.raises(
            MemoryPlanError,
            match=r"the memory limit is \d+ MB, .*\(imgpipe itself takes \d+ MB\)",
        ):
            plan_run(*ends, workers=1, max_memory=held)


def test_the_limit_that_a_refusal_names_is_enough(tmp_path: Path) -> None:
    np.save(tmp_path / "in.npy", noise((900, 700, 3), "uint8"))

    def refusal(limit: Any) -> str:
        with pytest.raises(MemoryPlanError) as caught:
            imgpipe.run(tmp_path / "in.npy", blur(), tmp_path / "o.png", max_memory=limit)
        assert not (tmp_path / "o.png").exists()
        return str(caught.value)

    named = refusal("1M").split("max_memory='")[1].split("'")[0]
    imgpipe.run(
        tmp_path / "in.npy", blur(), tmp_path / "o.png", max_memory=int(named[:-1]) * MB + 2 * MB
    )


def test_one_worker_for_want_of_memory_works_in_this_process(tmp_path: Path) -> None:
    """A run without a pool needs less memory than one worker of a pool."""
    np.save(tmp_path / "in.npy", noise((3000, 2000, 3), "uint8"))
    ends = tmp_path / "in.npy", blur(), tmp_path / "o.png"
    alone = plan_run(*ends, accelerator="none", workers=1)
    room = alone.memory - machine.held_memory() + 5 * MB
    plan = plan_run(*ends, accelerator="none", workers=8, max_memory=room)
    assert plan.executor == "serial, for one worker; the memory limit allows no more"
    assert plan.memory == pytest.approx(alone.memory, abs=5 * MB)
    with pytest.raises(MemoryPlanError, match="one worker"):
        plan_run(*ends, accelerator="none", workers=8, max_memory=room, executor="processes")


def test_a_small_output_of_a_large_image_gets_as_many_workers_as_a_large_one(
    tmp_path: Path,
) -> None:
    np.save(tmp_path / "in.npy", np.zeros((3000, 3000), np.uint8))
    plans = [
        plan_run(tmp_path / "in.npy", chain, tmp_path / "o.png")
        for chain in (blur(), resize(size="40x40"))
    ]
    assert plans[0].workers == plans[1].workers
    part = plan_run(tmp_path / "in.npy", crop(width=40, height=40), tmp_path / "o.png")
    assert part.workers == 1


@pytest.mark.parametrize(
    ("src", "dst", "chain", "options", "executor"),
    [
        ("a.png", "b.jpg", [], {}, "threads, because only codecs have work"),
        ("a.png", "b.png", [], {}, "processes"),
        ("a.png", "b.jpg", [blur(sigma=1)], {}, "processes"),
        ("a.png", "b.jpg", [], {"timeout": 9}, "processes"),
        ("a.png", "b.jpg", [], {"workers": 1}, "serial"),
        ("a.npy", "b.jpg", [], {}, "processes"),  # which is read by the workers
    ],
)
def test_threads_do_where_only_codecs_have_work(
    src: str, dst: str, chain: list[Any], options: dict[str, Any], executor: str, tmp_path: Path
) -> None:
    imgpipe.write(np.zeros((1500, 1500, 1), np.uint8), tmp_path / src)
    plan = plan_run(
        tmp_path / src, imgpipe.Chain(chain), tmp_path / dst, **{"workers": 2, **options}
    )
    assert plan.executor.startswith(executor)


@pytest.mark.parametrize(
    ("dst", "chain", "options", "executor"),
    [
        ("b.jpg", [blur(sigma=1)], {}, "threads, because only codecs and opencv have work"),
        ("b.jpg", [blur(sigma=1), grayscale()], {}, "threads"),
        ("b.jpg", [blur(sigma=1)], {"workers": 5}, "processes"),  # which share one lock
        ("b.jpg", [blur(sigma=1)], {"accelerator": "none"}, "processes"),
        ("b.jpg", [blur(sigma=1)], {"executor": "processes"}, "processes"),
        ("b.jpg", [blur(sigma=1)], {"timeout": 9}, "processes"),
        ("b.jpg", [blur(sigma=1), bilateral()], {}, "processes"),  # NumPy has work
        ("b.png", [blur(sigma=1)], {}, "processes"),
    ],
)
def test_threads_do_in_the_command_where_an_accelerator_computes_all_filters(
    dst: str, chain: list[Any], options: dict[str, Any], executor: str, tmp_path: Path
) -> None:
    pytest.importorskip("cv2")
    imgpipe.write(np.zeros((1500, 1500, 3), np.uint8), tmp_path / "a.png")
    ends = tmp_path / "a.png", imgpipe.Chain(chain), tmp_path / dst
    with machine.dedicated():
        plan = plan_run(*ends, **{"workers": 2, **options})
    assert plan.executor.startswith(executor)
    assert plan.accelerator.startswith("opencv") == (options.get("accelerator") != "none")
    assert plan_run(*ends, workers=2).executor.startswith("processes")  # in another program


def test_threads_do_for_an_image_that_is_decoded_as_a_whole(tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    imgpipe.write(np.zeros((1500, 1500, 3), np.uint8), tmp_path / "a.jpg")
    with machine.dedicated():
        plan = plan_run(tmp_path / "a.jpg", blur(sigma=1), tmp_path / "b.jpg", workers=2)
    assert plan.executor.startswith("threads")


@pytest.mark.parametrize(
    ("stored", "compression", "executor"),
    [
        ("none", "none", "threads"),
        ("jpeg", "jpeg", "threads"),
        ("none", "deflate", "processes"),
        ("deflate", "none", "processes"),
    ],
)
def test_threads_do_for_tiff_that_is_raw_or_has_jpeg(
    stored: str, compression: str, executor: str, tmp_path: Path
) -> None:
    pytest.importorskip("cv2")
    src, dst = tmp_path / "a.tif", tmp_path / "b.tif"
    imgpipe.write(np.zeros((1500, 1500, 3), np.uint8), src, compression=stored)
    given: dict[str, Any] = {"workers": 2, "compression": compression}
    with machine.dedicated():
        filtered = plan_run(src, blur(sigma=1), dst, **given)
        plain = plan_run(src, imgpipe.Chain(()), dst, **given)
    assert filtered.executor.startswith(executor)
    assert plain.executor.startswith("processes")


def test_a_run_is_stopped_while_its_functions_are_loaded(pool: Any) -> None:
    """The stop does not wait for the imports of the worker."""
    control = Control()
    submitted = threading.Event()

    class Slow:
        def submit(self, *_: Any) -> Any:
            submitted.set()
            from concurrent.futures import Future

            return Future()

    threading.Thread(target=lambda: (submitted.wait(60), control.stop())).start()
    with pytest.raises(Cancelled):
        planning.weighed(b"functions", Slow(), control)  # type: ignore[arg-type]


def test_functions_that_do_not_load_are_reported_by_the_run_and_not_by_the_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here_only.py").write_text("value = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    import here_only  # type: ignore[import-not-found]

    @filter(halo=0)
    def needs(chunk):
        return chunk + here_only.value

    np.save(tmp_path / "in.npy", noise((30, 20, 3), "uint8"))
    (tmp_path / "here_only.py").unlink()
    try:
        assert plan_run(tmp_path / "in.npy", needs(), tmp_path / "o.npy").memory > 0
    finally:
        del sys.modules["here_only"]


def test_options_are_checked() -> None:
    with pytest.raises(UsageError):
        Options(workers=0)
