"""Crashes of C code in this process, such as a decoder: one line on standard error.

A crash leaves Python no chance to say anything. `faulthandler` writes its report into a pipe, and
a small process that was forked at the start turns it into a line. Nothing is at the output path
then: a file gets there when it is complete. The next run sweeps the temporary file.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
from collections.abc import Iterator

__all__ = ["reporting_crashes"]

_MARK = b"Fatal Python error: "
_REPORT_BYTES = 4096
_LINE = (
    b"imgpipe: error: a library in C crashed this process (%s), probably because the input is "
    b"damaged; nothing was written; get a fresh copy of the input\n"
)


@contextlib.contextmanager
def reporting_crashes() -> Iterator[None]:
    """Tell a crash of this process in one line, for as long as the block lasts."""
    if not hasattr(os, "fork"):
        yield
        return
    reports, pipe = os.pipe()
    try:
        teller = os.fork()
    except OSError:  # the system has no room for a process: the run will say so, if it matters
        os.close(reports)
        os.close(pipe)
        yield
        return
    if not teller:
        _write_report(reports, pipe)
    os.close(reports)
    faulthandler.enable(pipe, all_threads=False)
    try:
        yield
    finally:
        faulthandler.disable()
        os.close(pipe)
        with contextlib.suppress(OSError):
            os.kill(teller, signal.SIGKILL)
            os.waitpid(teller, 0)


def _write_report(reports: int, pipe: int) -> None:
    """Wait for a report, or for the end of all processes that could write one; never return."""
    try:
        for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(ending, signal.SIG_IGN)
        for number in (pipe, 0, 1):  # others may wait for the end of these
            os.close(number)
        report = b""
        while b"\n" not in report and (more := os.read(reports, _REPORT_BYTES)):
            report += more
        if report.startswith(_MARK):
            os.write(2, _LINE % report[len(_MARK) :].partition(b"\n")[0].lower())
    finally:
        os._exit(0)
