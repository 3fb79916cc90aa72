"""The bar: what it counts, and that it leaves nothing on the terminal."""

from __future__ import annotations

import io
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import imgpipe
from imgpipe import progress
from imgpipe.checking import CheckReport
from imgpipe.events import Compared, Event, Finished, Report, Started, TaskDone, WorkerLost, Written
from imgpipe.geometry import Box
from imgpipe.progress import Bar
from imgpipe.running import plan_run


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setattr(progress, "_DELAY", 0)
    return Terminal()


def started(pixels: int, passes: int = 1) -> Started:
    return Started(
        time=0.0, source="in.png", destination="folder/out.png",
        pixels=pixels, tasks=4, passes=passes, workers=2,
    )  # fmt: skip


def done(kind: str, pixels: int) -> TaskDone:
    box = Box(0, 0, 1, pixels)
    return TaskDone(
        time=0.0, kind=kind, pass_index=0, index=0, box=box,
        worker="worker 1", made=0.0, started=0.0, ended=0.0,
    )  # fmt: skip


def finished() -> Finished:
    report = Report("a", "b", 1, 1, 1, "uint8", 1, 1.0, 1.0, 1, "serial", 0, 0, 1, 1, 0)
    return Finished(time=0.0, report=report)


def counted(bar: Bar) -> tuple[float, float]:
    return bar._bar.n, bar._bar.total


def test_counts_the_megapixels_of_all_outputs(terminal: Terminal) -> None:
    with Bar(terminal) as bar:
        bar(started(8_000_000))
        bar(Written(time=0.0, output=0, pixels=4_000_000, size=1))
        bar(Written(time=0.0, output=1, pixels=1_000_000, size=1))
        assert counted(bar) == (5.0, 8.0)


def test_counts_megapixels_that_were_written(terminal: Terminal) -> None:
    with Bar(terminal) as bar:
        bar(started(8_000_000))
        bar(done("chunks", 4_000_000))
        assert counted(bar) == (0, 8)
        bar(Written(time=0.0, pixels=4_000_000, size=123))
        assert counted(bar) == (4, 8)
        bar(Written(time=0.0, pixels=8_000_000, size=246))
        assert counted(bar) == (8, 8)


def test_counts_the_comparisons_of_a_check(terminal: Terminal) -> None:
    with Bar(terminal) as bar:
        bar(Compared(time=0.0, name="emboss", done=3, total=10))
        assert counted(bar) == (3, 10)
        bar(Compared(time=0.0, name="emboss", done=9, total=12))
        assert counted(bar) == (9, 12)
        assert "emboss:" in terminal.getvalue()
        assert "comparisons" in terminal.getvalue()


def test_counts_the_pixels_of_every_pass(terminal: Terminal) -> None:
    with Bar(terminal) as bar:
        bar(started(8_000_000, passes=2))
        bar(done("measure", 6_000_000))
        assert counted(bar) == (6, 16)
        bar(done("measure", 2_000_000))
        bar(Written(time=0.0, pixels=8_000_000, size=1))
        assert counted(bar) == (16, 16)


def test_ends_full_even_if_the_passes_differ_in_size(terminal: Terminal) -> None:
    with Bar(terminal) as bar:
        bar(started(1_000_000, passes=3))
        bar(done("measure", 9_000_000))
        bar(Written(time=0.0, pixels=1_000_000, size=1))
        assert counted(bar) == (10, 10)


def test_names_the_file_and_the_unit(terminal: Terminal) -> None:
    with Bar(terminal) as bar:
        bar(started(2_000_000))
        assert "out.png:   0% |" in terminal.getvalue()
        assert "0.0/2.0 MP" in terminal.getvalue()


def test_tells_of_lost_workers(terminal: Terminal) -> None:
    with Bar(terminal) as bar:
        bar(started(2_000_000))
        bar(WorkerLost(time=0.0, reason="signal SIGKILL", tasks=1))
        assert "lost: signal SIGKILL" in terminal.getvalue()


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_leaves_nothing_on_the_terminal(
    terminal: Terminal, error: type[BaseException] | None
) -> None:
    def run() -> None:
        with Bar(terminal) as bar:
            bar(started(2_000_000))
            bar(Written(time=0.0, pixels=1_000_000, size=1))
            if error is not None:
                raise error
            bar(finished())

    if error is None:
        run()
    else:
        with pytest.raises(error):
            run()
    assert terminal.getvalue().rpartition("\r")[0].rpartition("\r")[2].strip() == ""
    assert terminal.getvalue().endswith("\r")


def test_can_be_used_for_one_run_after_the_other(terminal: Terminal) -> None:
    with Bar(terminal) as bar:
        for _ in range(2):
            bar(started(2_000_000))
            bar(Written(time=0.0, pixels=2_000_000, size=1))
            assert counted(bar) == (2, 2)
            bar(finished())


EVENTS: list[Event] = [
    started(10),
    done("measure", 1),
    Written(time=0.0, pixels=10, size=1),
    WorkerLost(time=0.0, reason="", tasks=1),
    finished(),
]


@pytest.mark.parametrize(
    ("file", "hidden"), [(io.StringIO(), False), (Terminal(), True)], ids=["file", "hidden"]
)
def test_draws_nothing(file: Any, hidden: bool) -> None:
    with Bar(file, hidden=hidden) as bar:
        for event in EVENTS:
            bar(event)
    assert file.getvalue() == ""


@pytest.mark.parametrize("event", EVENTS[1:])
def test_does_not_mind_an_event_out_of_order(terminal: Terminal, event: Event) -> None:
    with Bar(terminal) as bar:
        bar(event)


def test_tqdm_is_imported_only_to_draw() -> None:
    code = "import sys, imgpipe.progress; sys.exit('tqdm' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class TestABarThatIsAskedFor:
    @pytest.fixture
    def drawn(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> Callable[[], str]:
        """Return a function that returns the drawing since its last call."""
        monkeypatch.setattr(progress, "_DELAY", 0)
        return lambda: capsys.readouterr().err

    def test_is_drawn_where_there_is_no_terminal(
        self, drawn: Callable[[], str], tmp_path: Path
    ) -> None:
        image = np.zeros((9, 9), np.uint8)
        imgpipe.write(image, tmp_path / "in.png")
        ways: list[Callable[..., Any]] = [
            lambda **options: imgpipe.apply(image, "invert", **options),
            lambda **options: imgpipe.measure(image, np.max, max, **options),
            lambda **options: imgpipe.run(
                tmp_path / "in.png", "invert", tmp_path / "out.png", **options
            ),
            lambda **options: imgpipe.submit(
                tmp_path / "in.png", "invert", tmp_path / "out.png", **options
            ).result(),
        ]
        for way in ways:
            way(executor="serial")
            assert drawn() == ""
            way(executor="serial", progress=True)
            assert " MP" in drawn()

    def test_is_beside_other_observers(self, drawn: Callable[[], str]) -> None:
        events: list[Event] = []
        image = np.zeros((9, 9), np.uint8)
        imgpipe.apply(image, "invert", executor="serial", progress=True, on_event=events.append)
        assert isinstance(events[-1], Finished)
        assert " MP" in drawn()

    def test_is_that_of_a_notebook_in_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        shell = types.SimpleNamespace(kernel=object())
        notebook = types.SimpleNamespace(get_ipython=lambda: shell)
        monkeypatch.setattr("importlib.util.find_spec", lambda name: name == "ipywidgets" or None)
        assert not progress._in_notebook()
        monkeypatch.setitem(sys.modules, "IPython", notebook)
        assert progress._in_notebook()
        shell.kernel = None  # IPython on a terminal
        assert not progress._in_notebook()


def test_a_notebook_shows_the_text_of_a_report(tmp_path: Path) -> None:
    imgpipe.write(np.zeros((9, 9), np.uint8), tmp_path / "in.png")
    ends = tmp_path / "in.png", "invert", tmp_path / "out.png"
    for shown in (
        imgpipe.run(*ends, executor="serial"),
        plan_run(*ends),
        CheckReport("emboss", (1, 1), 8, 6, findings=("declare halo=2",)),
    ):
        assert repr(shown) == str(shown)
