"""Progress: a bar on the terminal or in a notebook, an observer that counts megapixels."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import threading
from typing import Any, TextIO

from imgpipe.contexts import Context
from imgpipe.events import (
    Compared,
    Event,
    Finished,
    Started,
    TaskDone,
    WorkerLost,
    Written,
)

__all__ = ["Bar", "tqdm_class"]

_DELAY = 0.2  # seconds; a run that is over by then needs no bar


class Bar(Context):
    """Shows the progress of a run, on a terminal or in a notebook.

    ::

        with Bar() as bar:
            imgpipe.run("big.png", blur(2), "out.png", on_event=bar)

    Parameters
    ----------
    file : text file, optional
        The file to draw on, standard error by default. Nothing is drawn unless it is a terminal.
    hidden : bool, default False
        Draw nothing at all.
    always : bool, default False
        Draw in a notebook, and in a file that is no terminal, too.
    """

    def __init__(
        self, file: TextIO | None = None, *, hidden: bool = False, always: bool = False
    ) -> None:
        self._file: TextIO | None = sys.stderr if file is None else file
        # Without a console, as under pythonw, or with a stand-in for one, there is no terminal.
        terminal = bool(getattr(self._file, "isatty", bool)())
        self._shown = not hidden and self._file is not None and (always or terminal)
        self._bar: Any = None
        self._earlier = self._declared = 0  # pixels of the passes before the writing one
        self._written: dict[int, int] = {}  # pixels of each output
        self._total = 0

    def __call__(self, event: Event) -> None:
        """Take note of `event`."""
        if isinstance(event, Started) and self._shown:
            self._open(event)
        elif isinstance(event, Compared) and self._shown:
            self._count(event)
        if self._bar is None:
            return
        match event:
            case TaskDone(kind="measure" | "copy"):
                self._earlier += event.box.area
                self._draw(self._earlier + sum(self._written.values()))
            case Written():
                # Where earlier progress was not declared, it is known only now.
                self._bar.total = (max(self._earlier, self._declared) + self._total) / 1e6
                self._written[event.output] = event.pixels
                self._draw(self._earlier + sum(self._written.values()))
            case WorkerLost():
                self._bar.set_postfix_str(f"lost: {event.reason}")
            case Finished():
                self.close()

    def close(self, error: BaseException | None = None) -> None:
        """Wipe the bar off the terminal. Safe to call twice."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _open(self, event: Started) -> None:
        self.close()
        self._earlier, self._total, self._written = 0, event.pixels, {}
        self._declared = event.earlier
        all_passes = event.pixels + event.earlier if event.earlier else event.pixels * event.passes
        self._bar = tqdm_class()(
            total=all_passes / 1e6,
            desc=os.path.basename(event.destination),
            file=self._file,
            unit=" MP",
            leave=False,
            delay=_DELAY,
            dynamic_ncols=True,
            bar_format="{desc}: {percentage:3.0f}% |{bar}| {n:.1f}/{total:.1f} MP "
            "[{elapsed}<{remaining}, {rate_fmt}{postfix}]",
        )

    def _count(self, event: Compared) -> None:
        if self._bar is None:
            self._bar = tqdm_class()(
                total=event.total,
                desc=event.name,
                file=self._file,
                leave=False,
                delay=_DELAY,
                dynamic_ncols=True,
                bar_format="{desc}: {percentage:3.0f}% |{bar}| {n}/{total} comparisons [{elapsed}]",
            )
        self._bar.total = event.total
        self._bar.update(event.done - self._bar.n)

    def _draw(self, pixels: int) -> None:
        self._bar.update(pixels / 1e6 - self._bar.n)


def tqdm_class() -> Any:
    """Return a tqdm that starts no thread and asks the system for no semaphore."""
    # Imported only where a bar is shown.
    tqdm: Any = importlib.import_module(f"tqdm.{'notebook' if _in_notebook() else 'std'}").tqdm

    class Plain(tqdm):  # type: ignore[misc]
        monitor_interval = 0
        _lock = threading.RLock()

    return Plain


def _in_notebook() -> bool:
    """Return whether this is a notebook that can show a bar of its own."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    has_kernel = getattr(shell, "kernel", None) is not None
    return has_kernel and importlib.util.find_spec("ipywidgets") is not None
