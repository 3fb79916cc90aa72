"""Plans as text, for people."""

from __future__ import annotations

from typing import Any

from imgpipe.chains.formatting import described
from imgpipe.engine.tiler import Tiler
from imgpipe.image import ImageInfo
from imgpipe.plurals import counted

__all__ = ["text_of"]


def text_of(plan: Any) -> str:
    """Return a `Plan` as lines, each with a name and a value."""
    rows, columns = plan.tiler.chunk
    feeds = {
        "bands": "bands of rows in shared memory",
        "ring": "rows in shared memory",
        "direct": "workers read it themselves",
        "tiles": "tiles, each decoded once by a worker",
        "whole": "whole, in memory",
        "inline": "sent along with each task",
        "opened": "opened by one worker",
    }
    lines = {
        "input": f"{plan.source}: {_described(plan.before)}",
        "output": f"{plan.destination}: {_described(plan.after)}",
        "frames": f"{plan.frames}, {plan.at_once} at once; this plan takes the most memory",
        "chain": described(plan.chain) or "(none)",
        "read as": feeds[plan.feed] + ", then from a scratch file" * plan.kept,
        "tasks": " and ".join(map(_tasks, filter(None, (plan.tiler, plan.encoding)))),
        "chunks": f"{columns} x {rows} pixels",
        "halo": f"{counted(plan.halo[1], 'column')}, {counted(plan.halo[0], 'row')}",
        "window": f"{counted(plan.window, 'task')} at once",
        "workers": f"{plan.workers} ({plan.executor})",
        "accelerator": plan.accelerator,
        "memory": f"at most {plan.memory / 1e6:,.0f} MB of {plan.budget / 1e6:,.0f} MB",
        "passes": str(plan.passes),
        "scratch": str(plan.disk),
    }
    if plan.frames == 1:
        del lines["frames"]
    return "\n".join(f"{name + ':':13}{text}" for name, text in lines.items())


def _tasks(tiler: Tiler) -> str:
    rows, columns = tiler.task
    size = f"{columns} x {rows} pixels" if tiler.task_columns else counted(rows, "row")
    return f"{len(tiler)} of {size}"


def _described(info: ImageInfo) -> str:
    size = f"{info.width} x {info.height} x {info.channels} {info.dtype}"
    return f"{size} ({info.pixels / 1e6:,.1f} megapixels)"
