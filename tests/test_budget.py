"""The memory of several images together, and of one that is too large."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from imgpipe.engine.budget import Budget
from imgpipe.engine.costs import Cost

COSTS = st.builds(Cost, *[st.integers(0, 10**9)] * 3)
MB = 10**6


def test_what_images_share_out_adds_up_and_of_all_else_the_most_counts() -> None:
    budget = Budget(granted=100, workers=2)
    first, second = Cost(shared=20, per_worker=10, processes=15), Cost(30, 5, 5)
    assert budget.allows([first, second])  # 20 + 30, 2 * 10, 15
    assert budget.allows([first, second, Cost(shared=15)])
    assert not budget.allows([first, second, Cost(shared=16)])
    assert budget.allows([])


@given(cost=COSTS, workers=st.integers(1, 64), beside=st.integers(0, 10**9))
def test_the_limit_that_a_refusal_names_would_do(cost: Cost, workers: int, beside: int) -> None:
    text = str(Budget(granted=0, workers=workers, beside=beside).refusal("in.png", cost))
    assert text.startswith("in.png: needs ")
    (megabytes,) = re.findall(r"--max-memory (\d+)M", text)
    (in_python,) = re.findall(r"max_memory='(-?\d+)M' in Python", text)
    assert Budget(granted=int(megabytes) * MB, workers=workers).allows([cost])
    assert Budget(granted=int(in_python) * MB + beside, workers=workers).allows([cost])
    # A process holds a megabyte more or less in the next run; the limit is enough for it.
    spare = int(megabytes) * MB - cost.total(workers)
    assert 2 * MB <= spare < 3 * MB
