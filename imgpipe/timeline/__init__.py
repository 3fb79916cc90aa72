"""Timelines: the work of every worker over time, and the bottleneck, from events alone."""

from __future__ import annotations

from imgpipe.timeline.observer import Timeline
from imgpipe.timeline.verdict import Verdict

__all__ = ["Timeline", "Verdict"]
