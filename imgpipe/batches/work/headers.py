"""Headers: reading of the headers of files by workers, ahead of their turn.

So large files are known early, and do not come last. The remaining time is true as well.
"""

from __future__ import annotations

import contextlib
from typing import NamedTuple

from imgpipe.batches.work.answers import Answer, File, Made, Recipe
from imgpipe.batches.work.smallfiles import header_size, make_files
from imgpipe.batches.work.warningcapture import captured_warnings
from imgpipe.engine.callcontext import CallContext
from imgpipe.engine.workernotes import reading

__all__ = ["HeaderAnswer", "HeaderItem", "work"]


class HeaderItem(NamedTuple):
    """A file whose header is to be read."""

    name: str


class HeaderAnswer(NamedTuple):
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
    recipe: Recipe, items: tuple[File, ...] | tuple[HeaderItem, ...], call: CallContext
) -> list[Answer] | list[HeaderAnswer]:
    """Make files, or look at them; return an answer for each, or for the first ones.

    The function of a call.
    """
    if isinstance(items[0], HeaderItem):
        return _look_at(recipe, items, call)
    made = make_files(recipe, items, call)
    for answer in made:
        if isinstance(answer, Made):
            call.spent(answer.seconds)
    return made


def _look_at(
    recipe: Recipe, items: tuple[HeaderItem, ...], call: CallContext
) -> list[HeaderAnswer]:
    seen: list[HeaderAnswer] = []
    for number, item in enumerate(items):
        if call.called_back:
            break
        with call.at(number), reading(call.note):
            seen.append(_looked_at(recipe, item.name))
    return seen


def _looked_at(recipe: Recipe, name: str) -> HeaderAnswer:
    with contextlib.suppress(Exception), captured_warnings():
        return HeaderAnswer(name, *header_size(recipe, name))
    return HeaderAnswer(name, 0, large=False)
