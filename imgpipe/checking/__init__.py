"""Check whether a filter gives the same however an image is cut."""

from imgpipe.checking.entry import check
from imgpipe.checking.report import CheckReport

__all__ = ["CheckReport", "check"]
