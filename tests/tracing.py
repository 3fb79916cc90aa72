"""Ctrl-C at a chosen line of the code."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def interrupted(
    work: Callable[[], object], ours: Callable[[str], bool], seen: list[tuple[str, int]], at: int
) -> bool:
    """Do `work`, and note the lines of `ours`; return whether the line number `at` ended that."""

    def tracing(frame: FrameType, event: str, _: object) -> Any:
        if not ours(frame.f_code.co_filename):
            return None
        if event == "line":
            seen.append((frame.f_code.co_filename, frame.f_lineno))
            if len(seen) == at:
                sys.settrace(None)
                signal.raise_signal(signal.SIGINT)
        return tracing

    before = sys.gettrace()
    sys.settrace(tracing)
    try:
        work()
    except KeyboardInterrupt:
        return True
    else:
        return False
    finally:
        sys.settrace(before)
