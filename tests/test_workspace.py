"""Workspaces: what a module keeps is its own, thread by thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

import numpy as np

import imgpipe
from imgpipe.workspace import Workspace


def test_an_array_is_used_again_and_grows() -> None:
    space = Workspace()
    first = space.array("sum", np.uint8, 10)
    assert np.shares_memory(space.array("sum", np.uint8, 4), first)
    assert len(space.array("sum", np.uint8, 4)) == 4
    larger = space.array("sum", np.uint8, 20)
    assert len(larger) == 20
    assert not np.shares_memory(larger, first)
    assert np.shares_memory(space.array("sum", np.uint8, 10), larger)


def test_names_types_and_workspaces_do_not_share() -> None:
    one, other = Workspace(), Workspace()
    arrays = [
        one.array("a", np.uint8, 8),
        one.array("b", np.uint8, 8),
        one.array("a", np.float32, 8),
        other.array("a", np.uint8, 8),
    ]
    for number, array in enumerate(arrays):
        array[:] = number
    assert [set(array.tolist()) for array in arrays] == [{0}, {1}, {2}, {3}]


def test_a_second_borrower_gets_another_array() -> None:
    space = Workspace()
    with space.lent("strip", np.uint8, 8) as outer, space.lent("strip", np.uint8, 8) as inner:
        assert not np.shares_memory(outer, inner)
    with space.lent("strip", np.uint8, 4) as later:
        assert np.shares_memory(later, outer)


def test_every_thread_has_arrays_of_its_own() -> None:
    space = Workspace()
    here = space.array("a", np.uint8, 8)
    with ThreadPoolExecutor(1) as threads:
        there = threads.submit(space.array, "a", np.uint8, 8).result()
    assert not np.shares_memory(here, there)


def test_no_module_uses_the_workspace_of_another() -> None:
    package = Path(imgpipe.__file__).parent
    files = [path for path in package.rglob("*.py") if "_space = Workspace()" in path.read_text()]
    parts = [path.relative_to(package.parent).with_suffix("").parts for path in files]
    spaces = [vars(import_module(".".join(each)))["_space"] for each in parts]
    assert len(spaces) > 10
    assert len({id(space) for space in spaces}) == len(spaces)
