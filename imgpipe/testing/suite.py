"""Suites: classes of tests, and the claims that they make."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import Executor

import numpy as np

from imgpipe.image import Pixels
from imgpipe.registry import EXECUTORS

__all__ = ["Suite", "must", "must_equal"]


class Suite:
    """A class of tests: its methods whose names begin with ``test_``.

    pytest collects a subclass whose own name begins with ``Test``. A test that has no meaning for
    a subject passes. A subclass may replace a test.

    Attributes
    ----------
    executor : Executor or str
        Where a subject is tried beside this process: an executor, or the name of one.
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
            If a claim does not hold; the message says which one.
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


def must_equal(made: Pixels, expected: Pixels, what: str) -> None:
    """Claim that two images are the same: shape, type, and every bit of every value.

    Parameters
    ----------
    made, expected : ndarray
        Images of any shape; NaN equals NaN.
    what : str
        What `made` is, for the message.

    Raises
    ------
    AssertionError
        If they differ; the message says where first.
    """
    must(
        made.shape == expected.shape and made.dtype == expected.dtype,
        f"{what}: {made.shape} {made.dtype} instead of {expected.shape} {expected.dtype}",
    )
    differ = made != expected
    if made.dtype.kind == "f":
        differ &= ~(np.isnan(made) & np.isnan(expected))
    if differ.any():
        first = tuple(map(int, np.argwhere(differ)[0]))
        raise AssertionError(
            f"{what}: {int(differ.sum())} of {differ.size} values differ, the first at "
            f"(row, column, channel)[:{made.ndim}] = {first}: {made[first]} instead of "
            f"{expected[first]}"
        )
