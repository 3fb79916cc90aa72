"""Checking: comparison of a filter on whole images and in chunks."""

from imgpipe.checking.entry import check
from imgpipe.checking.report import CheckReport

__all__ = ["CheckReport", "check"]
