"""Conformance suites for filters, formats and executors of your own.

With pytest, make a subclass with your filter, format or executor; all tests run on it::

    from imgpipe.testing import FilterSuite


    class TestRelief(FilterSuite):
        filter = relief(strength=2)

Without pytest, call `check_filter`, `check_format` or `check_executor`. A failure is an
`AssertionError` that names the difference and its place. The filters, formats and executors of
imgpipe pass the same suites.
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
