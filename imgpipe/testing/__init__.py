"""Conformance suites for filters, formats and executors of your own.

With pytest, make a subclass and name the subject; every test of the suite then runs on it::

    from imgpipe.testing import FilterSuite


    class TestEmboss(FilterSuite):
        filter = emboss(strength=2)

Without pytest, call `check_filter`, `check_format` or `check_executor`. What does not conform is
an `AssertionError` that says what differs, and where. The members of imgpipe itself pass the same
suites.
"""

from imgpipe.testing.executors import ExecutorSuite, check_executor
from imgpipe.testing.filters import FilterSuite, check_filter
from imgpipe.testing.formats import FormatSuite, check_format

__all__ = [
    "ExecutorSuite",
    "FilterSuite",
    "FormatSuite",
    "check_executor",
    "check_filter",
    "check_format",
]
