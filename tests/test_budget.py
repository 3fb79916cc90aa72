"""The memory of several images together, and of one that is too large."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from imgpipe.engine.budget import Budget
from imgpipe.engine.costs import Cost

COSTS = st.builds(Cost, *[st.integers(0, 10**9)] * 3)
MB = 10**6


def test_shared_memory_adds_up_and_the_largest_of_all_other_memory_counts() -> None:
    budget = Budget(granted=100, workers=2)
    first, second = Cost(shared=20, per_worker=10, processes=15), Cost(30, 5, 5)
    assert budget.allows([first, second])  # 20 + 30, 2 * 10, 15
    assert budget.allows([first, second, Cost(shared=15)])
    assert not budget.allows([first, second, Cost(shared=16)])
    assert budget.allows([])


@given(cost=COSTS, workers=st.integers(1, 64), beside=st.integers(0, 10**9))
def test_the_limit_that_a_refusal_names_would_do(cost: Cost, workers: int, beside: int) -> None:
    budget = Budget(granted=beside, workers=workers, beside=beside)
    option = r"max_memory='(-?\d+)M'" if beside else r"--max-memory (\d+)M"
    needed = r"in.png: the memory limit is 0 MB, but (-?\d+) MB are needed"
    form = rf"{needed}; raise the limit \({option}\)"
    found = re.fullmatch(form, str(budget.refusal("in.png", cost)))
    assert found is not None
    assert found[1] == found[2]
    enough = int(found[1]) * MB + beside
    assert Budget(granted=enough, workers=workers).allows([cost])
    # A process holds a megabyte more or less in the next run; the limit is enough for it.
    assert 2 * MB <= enough - cost.total(workers) < 3 * MB
