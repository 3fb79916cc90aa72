"""Bars of a batch, and where there are none."""

from __future__ import annotations

import io
import re

import pytest

from imgpipe.batches.events import BatchPlanned, BatchRefused, BatchScanning, OutputEnded
from imgpipe.batches.progress.bars import Bars
from imgpipe.batches.progress.display import ProgressMode, display_for
from imgpipe.batches.progress.progresslines import ProgressLines
from imgpipe.errors import UsageError
from tests.batchresults import Clock, done, ended, failed, planned, started

pytestmark = pytest.mark.lowest


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True

    @property
    def screen(self) -> list[str]:
        """Text on the terminal."""
        cells: dict[tuple[int, int], str] = {}
        row = column = 0
        for part in re.findall(r"\x1b\[[A-Z]|.", self.getvalue(), re.DOTALL):
            match part:
                case "\r":
                    column = 0
                case "\n":
                    row, column = row + 1, 0
                case "\x1b[A":
                    row -= 1
                case _:
                    cells[row, column] = part
                    column += 1
        rows = range(1 + max((row for row, _ in cells), default=0))
        lines = ["".join(cells.get((row, each), "") for each in range(200)) for row in rows]
        return [line.rstrip() for line in lines if line.strip()]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def terminal() -> Terminal:
    return Terminal()


@pytest.fixture
def bars(terminal: Terminal, clock: Clock) -> Bars:
    return Bars(terminal, clock)


def test_there_are_two_bars_files_and_megapixels(
    bars: Bars, terminal: Terminal, clock: Clock
) -> None:
    with bars:
        bars(started())
        bars(BatchPlanned(4, {}, 0, {".jpg .jpg": 4}, {".jpg .jpg": 10_000_000}))
        clock.now += 6
        bars(OutputEnded(done("0.jpg"), 8_000_000))
        head, files, pixels = terminal.screen
        assert head == "4 images to make (10.0 MP)"
        assert re.fullmatch(r" 25% \|.*\| 1 of 4 files *", files)
        assert re.fullmatch(r" 80% \|.*\| 8\.0 of 10\.0 MP, 1\.3 MP/s, 2 s left", pixels)


def test_megapixels_of_a_sample_are_about_right(
    bars: Bars, terminal: Terminal, clock: Clock
) -> None:
    with bars:
        bars(planned([done(), done()]))
        bars(OutputEnded(done(), 8_000_000))
        clock.now += 1
        bars(OutputEnded(done(), 8_000_000))
        assert terminal.screen[-1].endswith("16.0 of about 16.0 MP, 16.0 MP/s")


def test_at_the_end_failures_and_the_summary_are_left(
    bars: Bars, terminal: Terminal, clock: Clock
) -> None:
    results = [done(warnings=("odd",)), failed(), done(warnings=("odd",))]
    bars(planned(results))
    for each in results:
        clock.now += 1
        bars(OutputEnded(each, 1_000_000))
    bars(ended(results, resume="imgpipe … --resume"))
    assert terminal.screen == [
        "3 images to make",
        "warning: a/x.jpg: odd",
        "failed (read): b/z.png: is damaged",
        "warning in 2 outputs: odd",
        "2 done, 1 failed, 6.0 MP in 2.0 s (3.0 MP/s)",
        "to go on: imgpipe … --resume",
    ]


@pytest.mark.parametrize("error", [None, KeyboardInterrupt])
def test_nothing_is_left_of_bars_that_are_given_up(
    bars: Bars, terminal: Terminal, clock: Clock, error: type[BaseException] | None
) -> None:
    clock.now += 1
    bars(BatchScanning(48_210))
    assert "scanning… 48,210" in terminal.getvalue()
    bars(planned([done()]))
    if error is None:
        bars(BatchRefused(2, UsageError("no")))
    else:
        bars.close(error())
    assert terminal.screen == ["1 image to make"]


def test_bars_are_not_drawn_for_every_file(bars: Bars, terminal: Terminal, clock: Clock) -> None:
    results = [done(f"{number}") for number in range(1000)]
    with bars:
        bars(planned(results))
        for each in results:
            clock.now += 0.01
            bars(OutputEnded(each, 1000))
        assert terminal.getvalue().count(" of 1,000 files") <= 101


def test_other_lines_stand_above_the_bars(bars: Bars, terminal: Terminal) -> None:
    with bars:
        bars(planned([done()]))
        bars(OutputEnded(done(), 1_000_000))
        bars.say("imgpipe: warning: odd")
        assert terminal.screen[1] == "imgpipe: warning: odd"
        assert terminal.screen[2].rstrip().endswith("| 0 of 1 file")


MODES: list[tuple[ProgressMode, bool, str, type]] = [
    ("auto", True, "xterm", Bars),
    ("auto", True, "dumb", ProgressLines),
    ("auto", False, "xterm", ProgressLines),
    ("bar", True, "xterm", Bars),
    ("bar", False, "xterm", ProgressLines),
    ("lines", True, "xterm", ProgressLines),
    ("none", True, "xterm", ProgressLines),
]


@pytest.mark.parametrize(("mode", "terminal", "kind", "expected"), MODES)
def test_bars_need_a_terminal_that_moves_its_cursor(
    mode: ProgressMode, terminal: bool, kind: str, expected: type
) -> None:
    file = Terminal() if terminal else io.StringIO()
    assert type(display_for(mode, file, Clock(), {"TERM": kind})) is expected
