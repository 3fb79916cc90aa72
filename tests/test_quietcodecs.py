"""Codecs are quiet: what they print on file descriptor 2 does not reach the terminal."""

from __future__ import annotations

import os
import threading

import pytest

from imgpipe.formats.quietcodecs import codecs_quiet


def test_messages_inside_are_lost_and_messages_outside_are_not(
    capfd: pytest.CaptureFixture[str],
) -> None:
    os.write(2, b"before ")
    with codecs_quiet():
        os.write(2, b"libpng warning: ")
        with codecs_quiet():
            os.write(2, b"again ")
        os.write(2, b"still ")
    os.write(2, b"after")
    assert capfd.readouterr().err == "before after"


def test_errors_end_the_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="x"), codecs_quiet():
        raise ValueError("x")
    os.write(2, b"loud")
    assert capfd.readouterr().err == "loud"


def test_it_lasts_until_the_last_thread_is_through(capfd: pytest.CaptureFixture[str]) -> None:
    inside, leave = threading.Event(), threading.Event()

    def work() -> None:
        with codecs_quiet():
            inside.set()
            leave.wait(60)

    thread = threading.Thread(target=work)
    thread.start()
    assert inside.wait(60)
    with codecs_quiet():
        pass
    os.write(2, b"quiet ")
    leave.set()
    thread.join()
    os.write(2, b"loud")
    assert capfd.readouterr().err == "loud"
