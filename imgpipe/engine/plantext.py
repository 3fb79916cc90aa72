"""Plans as text, for people."""

from __future__ import annotations

from typing import Any

from imgpipe.chains.formatting import described
from imgpipe.engine.tiler import Tiler
from imgpipe.image import ImageInfo
from imgpipe.plurals import area, counted

__all__ = ["text_of"]


def text_of(plan: Any) -> str:
    """Return a `Plan` as lines, each with a name and a value."""
    rows, columns = plan.tiler.chunk
    feeds = {
        "bands": "rows from top to bottom, into memory that the workers share",
        "ring": "rows from top to bottom, into memory that the workers share",
        "direct": "parts of the image: each worker reads the parts that it needs",
        "tiles": "tiles: each is decoded once, by a worker",
        "whole": "the whole image, into memory",
        "inline": "parts of the image, sent along with each task",
        "opened": "the whole file, by one worker",
    }
    lines = {
        "input": f"{plan.source}: {_described(plan.before)}",
        "output": f"{plan.destination}: {_described(plan.after)}",
        "frames": f"{plan.frames}, {plan.at_once} at once; this plan takes the most memory",
        "chain": described(plan.chain) or "(none)",
        "read as": feeds[plan.feed] + "; later passes read a scratch file" * plan.kept,
        "tasks": " and ".join(map(_tasks, filter(None, (plan.tiler, plan.encoding)))),
        "chunks": f"{columns} x {rows} pixels",
        "halo": f"{counted(plan.halo[1], 'column')}, {counted(plan.halo[0], 'row')}",
        "at once": counted(plan.window, "task"),
        "workers": f"{plan.workers} ({plan.executor})",
        "accelerator": plan.accelerator,
        "memory": f"at most {plan.memory / 1e6:,.0f} MB (limit: {plan.budget / 1e6:,.0f} MB)",
        "passes": str(plan.passes),
        "scratch": str(plan.disk),
    }
    if plan.frames == 1:
        del lines["frames"]
    return "\n".join(f"{name + ':':13}{text}" for name, text in lines.items())


def _tasks(tiler: Tiler) -> str:
    rows, columns = tiler.task
    size = f"{columns} x {rows} pixels" if tiler.task_columns else counted(rows, "row")
    return f"{len(tiler):,}, {'each of' if len(tiler) > 1 else 'of'} {size}"


def _described(info: ImageInfo) -> str:
    size = f"{info.width} x {info.height} x {info.channels} {info.dtype}"
    return f"{size} ({area(info.pixels)})"
