"""Checking: comparison of a filter on whole images and in pieces."""

from imgpipe.checking.entry import check
from imgpipe.checking.report import CheckReport

__all__ = ["CheckReport", "check"]
