"""imgpipe: run NumPy over images of any size.

::

    Source ─▶ Feed ─▶ Flow ─▶ TaskQueue ─▶ worker: Filter kernels ─▶ Stitcher ─▶ Sink
      │                │      (any Executor)        ▲                    │
      │                └── Crew: budget, loop       │   ordered payloads ┘
      └────────── shared memory, leased ────────────┘

>>> import imgpipe
>>> from imgpipe.filters import blur, grayscale
>>> imgpipe.run("big.png", blur(sigma=2) | grayscale(), "out.png", workers=8)  # doctest: +SKIP

Names are imported when they are first used, so that ``import imgpipe`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imgpipe import errors, filters
    from imgpipe.batches.results import BatchReport, Result
    from imgpipe.batching import Batch, batch
    from imgpipe.chains.chain import Chain, Filter
    from imgpipe.chains.decorator import filter
    from imgpipe.chains.definition import Place
    from imgpipe.checking import CheckReport, check
    from imgpipe.converting import convert
    from imgpipe.errors import ImgpipeError
    from imgpipe.events import Report
    from imgpipe.executors.processes.keptpool import keep_workers, shutdown
    from imgpipe.geometry import Box
    from imgpipe.handles import Handle, submit
    from imgpipe.image import ImageInfo
    from imgpipe.inmemory import apply, info, read, write
    from imgpipe.iteration import iter_chunks
    from imgpipe.measuring import measure
    from imgpipe.parameters import Between, Example, Through
    from imgpipe.running import run
    from imgpipe.severaloutputs import run_all
    from imgpipe.timeline import Timeline
    from imgpipe.watching import watch

__version__ = "0.2.0"

__all__ = [
    "Batch",
    "BatchReport",
    "Between",
    "Box",
    "Chain",
    "CheckReport",
    "Example",
    "Filter",
    "Handle",
    "ImageInfo",
    "ImgpipeError",
    "Place",
    "Report",
    "Result",
    "Through",
    "Timeline",
    "apply",
    "batch",
    "check",
    "convert",
    "errors",
    "filter",
    "filters",
    "info",
    "iter_chunks",
    "keep_workers",
    "measure",
    "read",
    "run",
    "run_all",
    "shutdown",
    "submit",
    "watch",
    "write",
]

_HOMES = {
    "Batch": "batching",
    "BatchReport": "batches.results",
    "Between": "parameters",
    "Box": "geometry",
    "Chain": "chains.chain",
    "CheckReport": "checking",
    "Example": "parameters",
    "Filter": "chains.chain",
    "Handle": "handles",
    "ImageInfo": "image",
    "ImgpipeError": "errors",
    "Place": "chains.definition",
    "Report": "events",
    "Result": "batches.results",
    "Through": "parameters",
    "Timeline": "timeline",
    "apply": "inmemory",
    "batch": "batching",
    "check": "checking",
    "convert": "converting",
    "filter": "chains.decorator",
    "info": "inmemory",
    "iter_chunks": "iteration",
    "keep_workers": "executors.processes.keptpool",
    "measure": "measuring",
    "read": "inmemory",
    "run": "running",
    "run_all": "severaloutputs",
    "shutdown": "executors.processes.keptpool",
    "submit": "handles",
    "watch": "watching",
    "write": "inmemory",
}


def __getattr__(name: str) -> Any:
    if name in ("errors", "filters"):
        return importlib.import_module(f"imgpipe.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'imgpipe' has no attribute {name!r}")
    found = getattr(importlib.import_module(f"imgpipe.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
