"""Turns: tests run together, and a test alone with none."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests import turns


@pytest.fixture(autouse=True)
def other_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use other files than the tests themselves wait for."""
    for name in ("_GATE", "_MACHINE"):
        path = tmp_path / name
        path.touch()
        monkeypatch.setattr(turns, name, path)


def test_tests_run_together() -> None:
    both = threading.Barrier(2)

    def test(_: int) -> None:
        with turns.turn(alone=False):
            both.wait(60)

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(test, range(2)))


def test_a_test_alone_runs_with_no_other() -> None:
    running: list[int] = []
    seen: list[int] = []

    def test(number: int) -> None:
        with turns.turn(alone=number % 5 == 0):
            running.append(number)
            os.sched_yield()  # for others to come in, if they may
            if number % 5 == 0:
                seen.append(len(running))
            running.remove(number)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(test, range(200)))
    assert seen == [1] * 40


def test_a_turn_ends_with_a_failure() -> None:
    for alone in (True, False, True):
        with pytest.raises(ZeroDivisionError), turns.turn(alone=alone):
            raise ZeroDivisionError
