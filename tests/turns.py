"""Turns of test processes: a test that is marked `alone` waits until no other test runs.

Tests that run together hold a shared lock, and a test alone an exclusive one. All of them pass the
same gate before, so that a test alone waits for no more than the tests that run already. The locks
are on files that are there anyway: nothing is to be removed, whatever ends a test process.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

_GATE = Path(__file__)
_MACHINE = Path(__file__).with_name("conftest.py")


@contextlib.contextmanager
def turn(*, alone: bool) -> Iterator[None]:
    """Wait for the turn of a test; a test that is `alone` has the machine for itself."""
    with contextlib.ExitStack() as machine:
        with _locked(_GATE, fcntl.LOCK_EX):
            machine.enter_context(_locked(_MACHINE, fcntl.LOCK_EX if alone else fcntl.LOCK_SH))
        yield


@contextlib.contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    with path.open("rb") as file:
        fcntl.flock(file, how)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)  # at once, though a fork may hold the file open
