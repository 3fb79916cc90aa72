"""Headers: reading of the headers of files by workers, ahead of their turn.

So large files are known early, and do not come last. The remaining time is true as well.
"""

from __future__ import annotations

import contextlib
from typing import NamedTuple

from imgpipe.batches.work.answers import Answer, File, Made, Recipe
from imgpipe.batches.work.smallfiles import looked_at, make_files
from imgpipe.batches.work.warningcapture import heard
from imgpipe.engine.workernotes import reading
from imgpipe.engine.workertimer import Bench

__all__ = ["Look", "Seen", "work"]


class Look(NamedTuple):
    """A file whose header is to be read."""

    name: str


class Seen(NamedTuple):
    """The answer for a header.

    Attributes
    ----------
    name : str
        The source.
    pixels : int
        Its size; 0 if it cannot be read, which the attempt to make it will tell.
    large : bool
        Whether one worker cannot make it.
    """

    name: str
    pixels: int
    large: bool


def work(
    recipe: Recipe, items: tuple[File, ...] | tuple[Look, ...], bench: Bench
) -> list[Answer] | list[Seen]:
    """Make files, or look at them; return an answer for each, or for the first ones.

    The function of a call.
    """
    if isinstance(items[0], Look):
        return _look_at(recipe, items, bench)
    made = make_files(recipe, items, bench)
    for answer in made:
        if isinstance(answer, Made):
            bench.spent(answer.seconds)
    return made


def _look_at(recipe: Recipe, items: tuple[Look, ...], bench: Bench) -> list[Seen]:
    seen: list[Seen] = []
    for number, item in enumerate(items):
        if bench.called_back:
            break
        with bench.at(number), reading(bench.note):
            seen.append(_looked_at(recipe, item.name))
    return seen


def _looked_at(recipe: Recipe, name: str) -> Seen:
    with contextlib.suppress(Exception), heard():
        return Seen(name, *looked_at(recipe, name))
    return Seen(name, 0, large=False)
