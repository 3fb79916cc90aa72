"""Bars of a batch: files and megapixels, on a terminal or in a notebook."""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Callable
from typing import Any, TextIO

from imgpipe.batches.events import (
    BatchEnded,
    BatchEvent,
    BatchPlanned,
    BatchRefused,
    BatchScanning,
    OutputEnded,
)
from imgpipe.batches.progress.pace import Pace
from imgpipe.batches.progress.progresslines import amounts, counts, plan_line
from imgpipe.batches.progress.warningtally import WarningTally
from imgpipe.batches.progress.wording import summary_line
from imgpipe.contexts import Context
from imgpipe.progress import tqdm_class

__all__ = ["Bars"]

_SCANNING = 1.0  # seconds until the walk is shown
_REDRAW = 0.1
_FORMAT = "{percentage:3.0f}% |{bar}| {desc}"
_BESIDE = 15  # columns of a bar without its text, if it is as short as is of use


class Bars(Context):
    """An observer that draws two bars: files and megapixels.

    Failures and new warnings appear above the bars. At the end the bars are wiped off, and the
    summary is left.

    Parameters
    ----------
    file : text file
        The terminal.
    clock : function
        Returns seconds.
    """

    def __init__(self, file: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._file, self._clock = file, clock
        self._pace = Pace(clock)
        self._tally = WarningTally()
        self._tqdm: Any = None
        self._bars: list[Any] = []
        self._begun = clock()
        self._drawn = -math.inf

    def __call__(self, event: BatchEvent) -> None:
        """Take note of `event`."""
        self._pace(event)
        match event:
            case BatchScanning() if self._clock() - self._begun >= _SCANNING:
                self._scan(event.files)
            case BatchPlanned():
                self.close()
                self.say(plan_line(event))
                self._bars = [self._bar(_FORMAT, 0), self._bar(_FORMAT, 1)]
            case OutputEnded(result=result):
                for line in self._tally.note(result):
                    self.say(line)
            case BatchEnded():
                self._finish(event)
            case BatchRefused():
                self.close()
        if len(self._bars) == 2 and self._clock() - self._drawn >= _REDRAW:
            self._draw()

    def close(self, error: BaseException | None = None) -> None:
        """Wipe the bars off the terminal. Safe to call twice."""
        for bar in reversed(self._bars):
            bar.close()
        self._bars = []

    def _bar(self, bar_format: str, position: int) -> Any:
        self._tqdm = self._tqdm or tqdm_class()
        return self._tqdm(
            total=1, file=self._file, leave=False, dynamic_ncols=True, bar_format=bar_format,
            mininterval=0, miniters=0, position=position,
        )  # fmt: skip

    def _scan(self, files: int) -> None:
        if not self._bars:
            self._bars = [self._bar("{desc}", 0)]
        if self._clock() - self._drawn >= _REDRAW:
            self._drawn = self._clock()
            self._bars[0].set_description_str(f"scanning… {files:,}")

    def _draw(self) -> None:
        self._drawn = self._clock()
        pace = self._pace
        files, pixels = self._bars
        files.n, files.total = pace.ended, max(1, pace.files)
        done = pace.megapixels_done
        pixels.n, pixels.total = done, max(1e-6, done, pace.megapixels or 0.0)
        if not pace.megapixels:  # nothing is known yet
            pixels.n, pixels.total = 0, 1
        texts = counts(pace), amounts(pace, self._columns() - _BESIDE)
        width = max(map(len, texts))  # of both, so that both bars are of one length
        for bar, text in zip(self._bars, texts, strict=True):
            bar.set_description_str(text.ljust(width), refresh=False)
        files.refresh()
        pixels.refresh()

    def _columns(self) -> int:
        try:
            return os.get_terminal_size(self._file.fileno()).columns
        except (OSError, ValueError):
            return shutil.get_terminal_size().columns

    def _finish(self, end: BatchEnded) -> None:
        self.close()
        for line in self._tally.rest():
            self.say(line)
        self.say(summary_line(end.report))
        if end.resume:
            self.say(f"to go on: {end.resume}")

    def say(self, line: str) -> None:
        """Write a line above the bars."""
        self._tqdm = self._tqdm or tqdm_class()
        self._tqdm.write(line, file=self._file)
