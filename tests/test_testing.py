"""Suites of conformance: what the pages show passes, and every fault is found by its test."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import imgpipe
from imgpipe.executors.base import Traits
from imgpipe.executors.serial import SerialExecutor
from imgpipe.executors.threads import ThreadExecutor
from imgpipe.formats import npy, png
from imgpipe.formats.raw import RawSource
from imgpipe.testing import ExecutorSuite, FilterSuite, FormatSuite, check_format
from imgpipe.testing.suite import Suite, must_equal
from tests.conftest import FarAwayExecutor
from tests.test_docs import blocks, format_of_the_page

OF_THE_PAGES: dict[str, Any] = {"__name__": "__main__"}
for block in (format_of_the_page(), blocks("docs/conformance.md")[0]):
    exec(block, OF_THE_PAGES)


class TestRelief(OF_THE_PAGES["TestRelief"]):  # type: ignore[misc]
    executor = "threads"


class TestPlain(FormatSuite):
    format = OF_THE_PAGES["FORMAT"]
    save: ClassVar[dict[str, Any]] = {"maximum": 255}
    executor = "threads"


TestPlainThreads = OF_THE_PAGES["TestPlainThreads"]


def must_fail(suite: type[Suite], test: str, says: str, **attributes: Any) -> None:
    one = type("_Suite", (suite,), {"executor": "threads", **attributes})()
    with pytest.raises(AssertionError, match=says):
        getattr(one, test)()


# --- filters -----------------------------------------------------------------------------


@imgpipe.filter(halo=0)
def seamed(chunk):
    return np.roll(chunk, 1, axis=0)


@imgpipe.filter(halo=0)
def rgb_only(chunk):
    return chunk @ np.eye(3)


@imgpipe.filter(halo=0)
def forgetful(chunk, *, by: Any = None):
    return chunk


FILTERS = {
    "a halo that is too small": ("test_is_the_same_in_pieces", "in chunks of .* differ", seamed()),
    "too small a halo around no data": (
        "test_leaves_pixels_without_data",
        "for no data, in chunks of .* differ",
        seamed(),
    ),
    "one that a check finds": ("test_halo_is_honest", "declare halo", seamed()),
    "an image that it does not take": ("test_is_the_same_in_pieces", "declare in the", rgb_only()),
    "a repr of no use": ("test_is_written_as_it_is", "cannot be evaluated", forgetful(by=object())),
}


@pytest.mark.parametrize("fault", FILTERS)
def test_a_fault_of_a_filter_is_found(fault: str) -> None:
    test, says, one = FILTERS[fault]
    must_fail(FilterSuite, test, says, filter=one)


# --- formats -----------------------------------------------------------------------------

PLAIN, COUNT = OF_THE_PAGES["FORMAT"], itertools.count(1)


class Mirrored(RawSource):
    """A source that turns over every box by itself."""

    def read(self, box):
        return super().read(box)[:, ::-1]


class Tall:
    """A sink that would encode all rows at once."""

    def __init__(self, target, info):
        self._sink = png.open_sink(target, info)
        self.unit = info.height, 0

    def __getattr__(self, name):
        return getattr(self._sink, name)


def with_counter(target, info):
    return PLAIN.write(target, info, maximum=next(COUNT))


def with_a_file_beside(target, info):
    Path(f"{target.name}.lock").touch()
    return PLAIN.write(target, info)


def unexplained(target, info, *, quality: int = 90):
    return PLAIN.write(target, info)


def mirrored(origin, max_pixels=None):
    found = PLAIN.read(origin, max_pixels)
    return Mirrored(found.info, found.layout, found.origin) if origin.reference else found


FORMATS = {
    "alpha that is lost": (
        "test_gives_back_what_it_was_given",
        "alpha became None",
        replace(npy.FORMAT, says_alpha=True, suffixes=(".np",), layouts=png.FORMAT.layouts),
    ),
    "bytes that change": (
        "test_bytes_depend_on_the_image_alone",
        "other bytes with",
        replace(PLAIN, write=with_counter),
    ),
    "a unit of all rows": (
        "test_unit_depends_on_the_image_alone",
        "depends on the height",
        replace(png.FORMAT, write=Tall),
    ),
    "boxes that do not fit together": (
        "test_sources_give_the_same_in_any_order",
        "only Box.* values differ, the first at",
        replace(PLAIN, read=mirrored),
    ),
    "no limit": (
        "test_too_large_images_are_refused",
        "max_pixels=1 has no effect",
        replace(PLAIN, read=lambda origin, max_pixels: PLAIN.read(origin)),
    ),
    "a file that is left": (
        "test_an_output_without_commit_leaves_nothing",
        r"left \['image.plain.lock'\]",
        replace(PLAIN, write=with_a_file_beside),
    ),
    "magic of others": (
        "test_is_recognized",
        "not recognized",
        replace(PLAIN, magic=(b"P4\n",)),
    ),
    "an option without help": (
        "test_options_have_defaults_and_help",
        "quality has no line of help",
        replace(PLAIN, write=unexplained),
    ),
}


@pytest.mark.parametrize("fault", FORMATS)
def test_a_fault_of_a_format_is_found(fault: str) -> None:
    test, says, one = FORMATS[fault]
    must_fail(FormatSuite, test, says, format=one)


def test_a_format_that_can_only_be_read_needs_a_sample() -> None:
    one = replace(PLAIN, write=None)
    must_fail(FormatSuite, "test_damaged_files_are_reported", "give the suite a sample", format=one)
    sample = b"PLAIN 3 2 255\n" + bytes(range(18))
    check_format(one, sample=sample, executor="threads")


# --- executors ---------------------------------------------------------------------------


class OtherProcesses(ThreadExecutor):
    traits = Traits(shares_memory=True, shares_files=True, isolates=True)


class NearBy(FarAwayExecutor):
    traits = Traits(shares_memory=True, shares_files=True, isolates=True)


class Silent(SerialExecutor):
    def submit(self, fn, /, *args, **kwargs):
        done = super().submit(fn, *args, **kwargs)
        found: Future[Any] = Future()
        found.set_result(None if done.exception() else done.result())
        return found


EXECUTORS: dict[str, tuple[str, str, Callable[[int], Any]]] = {
    "threads that are no processes": (
        "test_isolates_as_it_claims",
        "isolates is True, but a task runs in this process",
        OtherProcesses,
    ),
    "memory that is not shared": (
        "test_shares_the_memory_that_it_claims",
        "shares_memory is True, but a worker cannot attach",
        NearBy,
    ),
    "files that are not shared": (
        "test_shares_the_files_that_it_claims",
        "shares_files is True, but a worker cannot open",
        NearBy,
    ),
    "failures that are kept": ("test_tells_failures", "its future tells None", lambda _: Silent()),
    "no executor": ("test_runs_what_it_gets", "is no concurrent.futures.Executor", range),
}


@pytest.mark.parametrize("fault", EXECUTORS)
def test_a_fault_of_an_executor_is_found(fault: str) -> None:
    test, says, make = EXECUTORS[fault]
    must_fail(ExecutorSuite, test, says, make=lambda _, workers: make(workers))


# --- the suites themselves ---------------------------------------------------------------


def test_images_are_compared_to_the_bit() -> None:
    image = np.array([[1.0, np.nan]])
    must_equal(image.copy(), image, "a copy")
    with pytest.raises(AssertionError, match=r"float32 instead of .* float64"):
        must_equal(image.astype("float32"), image, "another type")
    with pytest.raises(AssertionError, match=r"1 of 2 .* row 0, column 1: 2.0 instead of nan"):
        must_equal(np.array([[1.0, 2.0]]), image, "a number")
    with pytest.raises(AssertionError, match=r"-0.0 instead of 0.0"):
        must_equal(np.array([-0.0]), np.array([0.0]), "another bit")


def test_pytest_is_not_needed() -> None:
    script = "import sys; import imgpipe.testing; sys.exit('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
