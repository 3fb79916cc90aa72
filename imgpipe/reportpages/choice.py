"""Choice of the outputs that a page shows: failures, the slowest, and an even sample."""

from __future__ import annotations

import heapq
from collections import Counter

from imgpipe.batches.results import Result

__all__ = ["Choice", "thinned"]

FAILURES = 40  # with a picture each
SLOWEST = 20  # with two pictures each, as those of the sample
SAMPLE = 60
LISTED = 200  # failures that are listed at the top of the page


class Choice:
    """Keeps a bounded number of results, and counts all.

    Attributes
    ----------
    failures : list of Result
        The first ones.
    failed : Counter
        Number of failures by stage and error.
    steps : Counter
        Seconds in each step, of all outputs.
    """

    def __init__(self) -> None:
        self.failures: list[Result] = []
        self.failed: Counter[tuple[str, str]] = Counter()
        self.steps: dict[str, float] = {}
        self._slowest: list[tuple[float, int, Result]] = []
        self._sample: list[Result] = []
        self._every = 1
        self._done = 0

    def add(self, result: Result) -> None:
        """Take note of `result`."""
        if result.status == "failed":
            self.failed[result.stage or "", type(result.error).__name__] += 1
            if len(self.failures) < LISTED:
                self.failures.append(result)
        if result.status != "done":
            return
        for step, took in result.seconds.items():
            self.steps[step] = self.steps.get(step, 0.0) + took
        entry = (busy_seconds(result), -self._done, result)
        if len(self._slowest) < SLOWEST:
            heapq.heappush(self._slowest, entry)
        else:
            heapq.heappushpop(self._slowest, entry)
        if self._done % self._every == 0:
            self._sample.append(result)
            if len(self._sample) == 2 * SAMPLE:
                del self._sample[1::2]
                self._every *= 2
        self._done += 1

    @property
    def slowest(self) -> list[Result]:
        """The outputs that took longest, the slowest first."""
        return [result for _, _, result in sorted(self._slowest, reverse=True)]

    @property
    def sample(self) -> list[Result]:
        """Outputs at even distances, in the order in which they were done."""
        return thinned(self._sample, SAMPLE)


def busy_seconds(result: Result) -> float:
    """Return the seconds of work on an output, without those in which it waited."""
    return sum(took for step, took in result.seconds.items() if step != "wait")


def thinned(results: list[Result], count: int) -> list[Result]:
    """Return at most `count` of `results`, at even distances."""
    if len(results) <= count:
        return results
    return [results[index * len(results) // count] for index in range(count)]
