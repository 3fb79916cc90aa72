"""Context runs: the flows of one image, each step of them within a context."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from typing import Any

from imgpipe.engine.flow import Flow

__all__ = ["run_in_context"]


def run_in_context(
    context: Callable[[], AbstractContextManager[Any]], flows: Generator[Flow, None, Any]
) -> Generator[Flow, None, Any]:
    """Yield the flows of an image, and return their result; enter a context for each step."""
    try:
        while True:
            with context():
                try:
                    flow = next(flows)
                except StopIteration as stop:
                    return stop.value
            yield flow
    finally:
        with context():
            flows.close()
