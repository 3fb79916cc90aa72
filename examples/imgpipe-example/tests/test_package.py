"""Tests of the package: the suites of imgpipe.testing do nearly all of the work."""

import numpy as np
from imgpipe_example.painting import kuwahara

import imgpipe
from imgpipe.testing import ExecutorSuite, FilterSuite, FormatSuite


class TestKuwahara(FilterSuite):
    """The filter is the same in chunks, in workers, and with alpha."""

    filter = kuwahara(radius=2)


class TestPfm(FormatSuite):
    """The format gives back what it was given, notices damage, and leaves nothing behind."""

    format = "pfm"


class TestBackground(ExecutorSuite):
    """The executor does its tasks and makes the same bytes."""

    executor = "background"


def test_an_edge_stays_where_it_is() -> None:
    """A blur would make gray of it."""
    image = np.zeros((9, 10), np.uint8)
    image[:, 5:] = 200
    assert np.array_equal(kuwahara(radius=3)(image), image)


def test_the_accelerator_gives_the_bits_of_numpy() -> None:
    """Whichever of the two computes, the result is one."""
    image = np.random.default_rng(0).integers(0, 256, (70, 50, 3), np.uint8)
    made = [
        imgpipe.apply(image, "erode:3", accelerator=name, executor="serial")
        for name in ("scipy", "none")
    ]
    assert np.array_equal(*made)
