"""The workers of a batch, and what to do about an image that needs more memory than there is."""

from __future__ import annotations

import pytest

from imgpipe.engine.batchsizing import must_have_memory, remedy_for
from imgpipe.errors import MemoryPlanError
from imgpipe.options import Options

MB = 1_000_000


def needed(workers: int) -> int:
    """Return the memory of an image: 100 MB, and 20 MB for each worker."""
    return (100 + 20 * workers) * MB


def fitting(total: int) -> int:
    """Return the workers of a batch: one for each 30 MB, at most eight."""
    return min(8, max(1, total // (30 * MB)))


def test_the_limit_to_be_given_is_enough_for_the_workers_that_it_brings() -> None:
    assert needed(fitting(needed(2))) > needed(2)  # so that would not do
    give, advice = remedy_for(needed, fitting, 2, 60 * MB)
    assert give == "--max-memory 142M -j 2, or --max-memory 262M for more workers"
    assert needed(fitting(262 * MB)) <= 262 * MB
    assert advice == ""
    give, _ = remedy_for(needed, fitting, 2, 60 * MB, beside=40 * MB)
    assert give == "max_memory='102M', workers=2, or max_memory='222M' for more workers"


def test_fewer_workers_are_a_remedy_where_the_image_fits_then() -> None:
    _, advice = remedy_for(needed, fitting, 8, 190 * MB)
    assert advice == ", or use fewer workers (-j 4)"
    assert needed(4) <= 190 * MB < needed(5)
    assert remedy_for(needed, lambda _: 8, 8, 100 * MB) == ("--max-memory 262M", "")


def test_a_batch_has_memory_for_one_worker_and_a_small_image() -> None:
    must_have_memory(Options(max_memory="500M"))
    with pytest.raises(
        MemoryPlanError,
        match=r"the batch: the memory limit is 1 MB, but .* needed, even with one worker and ",
    ):
        must_have_memory(Options(max_memory="1M"))
