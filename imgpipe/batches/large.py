"""Large files: those that a crew makes in parts, each as an image of its own."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

from imgpipe.adapting import stages_to
from imgpipe.batches.answers import File, Made, Recipe
from imgpipe.batches.digests import file_digest
from imgpipe.batches.held import Finished, HeldTarget, Status
from imgpipe.engine.batch import Request
from imgpipe.engine.goals import Goal
from imgpipe.events import Event
from imgpipe.formats.base import Sink, Source
from imgpipe.formats.fitting import fitted
from imgpipe.formats.opening import format_to, open_source
from imgpipe.options import Options

__all__ = ["LargeWork", "request_of"]


class _Target(HeldTarget):
    """A target that is on the disk once it is committed."""

    done: Finished | None = None

    def commit(self) -> int:
        size = super().commit()
        self.done = self.finished()
        self.sync()
        return size


class LargeWork(NamedTuple):
    """A large file under way.

    Attributes
    ----------
    request : Request
        For the crew.
    made : callable
        Returns the answer, once the crew is done.
    abort : callable
        Leaves nothing behind.
    """

    request: Request
    made: Callable[[], Made]
    abort: Callable[[], None]


def request_of(
    file: File, recipe: Recipe, options: Options, tell: Callable[[Event], None]
) -> LargeWork:
    """Return the work on a large file."""
    targets: list[_Target] = []
    pixels = 0

    def goals(source: Source) -> tuple[Goal, ...]:
        nonlocal pixels
        pixels = source.info.pixels
        found: list[Goal] = []
        for tail, output in zip(recipe.tails, file.outputs, strict=True):
            stages, after = stages_to(
                tail.chain, output.path, recipe.reading, tail.writing, set(), source
            )
            chosen = format_to(output.path, tail.writing.format)
            assert chosen.write is not None
            target = _Target(output.path, output.temporary)
            targets.append(target)
            sink: Sink = chosen.write(target, fitted(after, chosen, output.path))
            found.append(Goal(stages, sink, output.path))
        return tuple(found)

    def made() -> Made:
        status = os.stat(file.name)
        finished = tuple(target.done for target in targets if target.done is not None)
        return Made(
            file.name,
            Status(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino),
            file_digest(file.name),
            pixels,
            finished,
            (),
            (),
        )

    def abort() -> None:
        for target in targets:
            target.abort()

    request = Request(lambda: open_source(file.name, recipe.reading), goals, tell=tell)
    return LargeWork(request, made, abort)
