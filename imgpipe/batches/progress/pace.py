"""Pace of a batch: counts, megapixels, and the remaining time.

A megapixel of one kind of work costs more than one of another: JPEG to AVIF more than JPEG to JPEG.
The cost of each kind is the time that the workers spent on it, for each megapixel. The remaining
time is the work that is left divided by the work of the last half minute, both in megapixels times
cost. Only outputs that are done count as work. Those that are skipped or have failed are over, and
say nothing about the speed.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping

from imgpipe.batches.events import (
    BatchEvent,
    BatchPlanned,
    HeaderRead,
    OutputAdvanced,
    OutputEnded,
    SourceStarted,
    kind_of,
)

__all__ = ["Pace"]

_EARLIEST = 5.0  # seconds of work before there is a remaining time
_TELLING = 2_000  # times as much may be left as was worked off: icons tell nothing of a mosaic
_WINDOW = 30.0
_STEP = 0.5  # seconds between two entries of the window


class Pace:
    """Counts the events of a batch.

    Parameters
    ----------
    clock : function
        Returns seconds.

    Attributes
    ----------
    done, failed, skipped : int
        Number of outputs.
    files : int
        Number of all outputs.
    running : dict
        Sources that are worked on, the oldest first.
    sampled : bool
        Whether the megapixels of what is left are estimated from those of a sample.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.done = self.failed = self.skipped = self.files = 0
        self.running: dict[str, int] = {}
        self.sampled = True
        self._begun: float | None = None
        self._planned: Mapping[str, int] | None = None
        self._to_do: Counter[str] = Counter()  # outputs that are not over, by kind
        self._over: Counter[str] = Counter()  # pixels that are over, by kind
        self._worked: Counter[str] = Counter()  # pixels that were worked off
        self._sample: Counter[str] = Counter()  # pixels of sources that are known
        self._sample_size: Counter[str] = Counter()
        self._waiting: dict[str, int] = {}  # pixels of outputs that are measured and not over
        self._waiting_pixels: Counter[str] = Counter()
        self._waiting_count: Counter[str] = Counter()
        self._advanced: dict[str, int] = {}
        self._open: Counter[str] = Counter()  # pixels in `_advanced`, by kind
        self._busy: Counter[str] = Counter()  # microseconds of workers, by kind
        self._timed: Counter[str] = Counter()  # pixels on which they were spent
        self._window: deque[tuple[float, Counter[str]]] = deque()

    def __call__(self, event: BatchEvent) -> None:
        """Take note of `event`."""
        match event:
            case BatchPlanned():
                self._begun = self._clock()
                self._planned = event.pixels
                self.sampled = event.pixels is None
                self._to_do = Counter(dict(event.to_do))
                self.files = event.current + self._to_do.total()
                self._window.append((self._begun, Counter()))
            case HeaderRead():
                self._measure(kind_of(event.path, event.output), event)
            case SourceStarted():
                self.running[event.path] = event.outputs
            case OutputAdvanced():
                kind = kind_of(event.path, event.output)
                more = event.pixels - self._advanced.get(event.output, 0)
                self._advanced[event.output] = event.pixels
                self._open[kind] += more
                self._worked[kind] += more
            case OutputEnded():
                self._end(event)
        self._look()

    @property
    def seconds(self) -> float:
        """Seconds since work began."""
        return 0.0 if self._begun is None else self._clock() - self._begun

    @property
    def ended(self) -> int:
        """Number of outputs that are done, skipped or have failed."""
        return self.done + self.skipped + self.failed

    @property
    def megapixels_done(self) -> float:
        """Megapixels of sources that are over."""
        return (self._over.total() + self._open.total()) / 1e6

    @property
    def megapixels(self) -> float | None:
        """Megapixels of all sources; None if nothing is known."""
        left = self._left()
        return None if left is None else self.megapixels_done + sum(left.values()) / 1e6

    @property
    def rate(self) -> float:
        """Megapixels worked off in a second, of late."""
        seconds, worked = self._lately()
        return worked.total() / 1e6 / seconds if seconds > 0 else 0.0

    @property
    def remaining(self) -> float | None:
        """Seconds to the end; None in the first seconds, and where next to nothing is known."""
        left = self._left()
        if self.seconds < _EARLIEST or left is None:
            return None
        if not any(left.values()):
            return 0.0
        seconds, worked = self._lately()
        work = sum(self._cost(kind) * pixels for kind, pixels in worked.items())
        to_do = sum(self._cost(kind) * pixels for kind, pixels in left.items())
        return to_do * seconds / work if _TELLING * work > to_do else None

    def _measure(self, kind: str, event: HeaderRead) -> None:
        self._sample[kind] += event.pixels
        self._sample_size[kind] += 1
        self._waiting[event.output] = event.pixels
        self._waiting_pixels[kind] += event.pixels
        self._waiting_count[kind] += 1

    def _end(self, ended: OutputEnded) -> None:
        result = ended.result
        setattr(self, result.status, getattr(self, result.status) + 1)
        running = self.running.pop(result.path, 0)
        if running > 1:
            self.running[result.path] = running - 1
        if result.status == "skipped" and not running:
            return  # it was no work from the beginning
        kind = kind_of(result.path, result.output)
        self._to_do[kind] -= 1
        advanced = self._advanced.pop(result.output, 0)
        self._open[kind] -= advanced
        pixels = ended.pixels
        if result.output in self._waiting:
            measured = self._waiting.pop(result.output)
            pixels = pixels or measured
            self._waiting_pixels[kind] -= measured
            self._waiting_count[kind] -= 1
        elif pixels:
            self._sample[kind] += pixels
            self._sample_size[kind] += 1
        self._over[kind] += pixels
        if result.status == "done":
            self._worked[kind] += pixels - advanced
            busy = sum(s for step, s in result.seconds.items() if step != "wait")
            if busy > 0:
                self._busy[kind] += round(busy * 1e6)
                self._timed[kind] += pixels

    def _look(self) -> None:
        """Note the work done up to now, and forget old notes."""
        if self._begun is None or (now := self._clock()) - self._window[-1][0] < _STEP:
            return
        self._window.append((now, self._worked.copy()))
        while len(self._window) > 2 and self._window[1][0] <= now - _WINDOW:
            if not (self._worked - self._window[1][1]):
                break  # a large image goes on, and tells nothing
            self._window.popleft()

    def _lately(self) -> tuple[float, Counter[str]]:
        """Return the seconds of the window, and the pixels done in it, by kind."""
        if not self._window:
            return 0.0, Counter()
        since, before = self._window[0]
        return self._clock() - since, self._worked - before

    def _left(self) -> dict[str, float] | None:
        """Return the pixels that are left, by kind; None if nothing is known of them."""
        if self._begun is None:
            return None
        if self._planned is not None:
            over = {kind: self._over[kind] + self._open[kind] for kind in self._planned}
            return {kind: max(0, all_ - over[kind]) for kind, all_ in self._planned.items()}
        left = {}
        for kind, count in self._to_do.items():
            unknown = max(0, count - self._waiting_count[kind])
            mean = self._mean(kind)
            if unknown and mean is None:
                return None
            known = self._waiting_pixels[kind] - self._open[kind]
            left[kind] = max(0.0, known + unknown * (mean or 0.0))
        return left

    def _mean(self, kind: str) -> float | None:
        """Return the pixels of a source of a kind, of any kind where none is known."""
        if self._sample_size[kind]:
            return self._sample[kind] / self._sample_size[kind]
        size = self._sample_size.total()
        return self._sample.total() / size if size else None

    def _cost(self, kind: str) -> float:
        """Return the cost of a pixel of a kind, that of all kinds where nothing is known."""
        if self._timed[kind]:
            return self._busy[kind] / self._timed[kind]
        timed = self._timed.total()
        return self._busy.total() / timed if timed else 1.0
