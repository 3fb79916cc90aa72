"""Suites: classes of tests, and the claims that they make."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import Executor

import numpy as np

from imgpipe.image import Pixels
from imgpipe.registry import EXECUTORS

__all__ = ["Suite", "must", "must_equal"]

_AXES = ("row", "column", "channel")


class Suite:
    """A class of tests: its methods whose names begin with ``test_``.

    pytest collects a subclass whose own name begins with ``Test``. A test that has no meaning for
    a subject passes. A subclass may replace a test.

    Attributes
    ----------
    executor : Executor or str
        The executor for tests in other processes, or its name.
    """

    executor: Executor | str = "processes"

    @contextlib.contextmanager
    def workers(self, count: int) -> Iterator[Executor]:
        """Give `executor`, or one of that name with `count` workers, which then ends."""
        if isinstance(self.executor, str):
            with EXECUTORS.load(self.executor)(count) as made:
                yield made
        else:
            yield self.executor

    def check(self) -> None:
        """Run every test.

        Raises
        ------
        AssertionError
            If a claim does not hold; the message names it.
        """
        for name in dir(self):
            if name.startswith("test_"):
                getattr(self, name)()


def must(holds: object, message: str) -> None:
    """Claim that something holds.

    Raises
    ------
    AssertionError
        If it does not; with `message`.
    """
    if not holds:
        raise AssertionError(message)


def must_equal(made: Pixels, expected: Pixels, name: str) -> None:
    """Claim that two images are the same: shape, type, and every bit of every value.

    Parameters
    ----------
    made, expected : ndarray, shape (rows, columns) or (rows, columns, channels)
        The images. 0 and -0 differ, and so do two kinds of NaN.
    name : str
        Name of `made`, for the message.

    Raises
    ------
    AssertionError
        If they differ; the message names the first place.
    """
    must(
        made.shape == expected.shape and made.dtype == expected.dtype,
        f"{name}: {made.shape} {made.dtype} instead of {expected.shape} {expected.dtype}",
    )
    differ = _bits(made) != _bits(expected)
    if differ.any():
        first = tuple(map(int, np.argwhere(differ)[0]))
        place = ", ".join(f"{axis} {at}" for axis, at in zip(_AXES, first, strict=False))
        raise AssertionError(
            f"{name}: {int(differ.sum())} of {differ.size} values differ, the first at {place}: "
            f"{made[first]} instead of {expected[first]}"
        )


def _bits(image: Pixels) -> Pixels:
    """Return floats as the integers that their bits are; integers as they are."""
    return image.view(f"u{image.dtype.itemsize}") if image.dtype.kind == "f" else image
