"""Making: small files of a batch, each by one worker from its bytes to finished outputs.

A group of files is one call. There is neither a crew nor a process for each file, and the filters
that were fitted to the last images like this one are used again.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from typing import Any, NamedTuple

from imgpipe.adapting import stages_to, tell_of_alpha
from imgpipe.batches.answers import (
    Answer,
    File,
    Made,
    Output,
    Recipe,
    Tail,
    TooLarge,
    failed,
)
from imgpipe.batches.held import HeldOrigin, HeldTarget, Syncing, TooLargeError
from imgpipe.batches.passing import Passing, Steps, make_room
from imgpipe.batches.saying import heard
from imgpipe.chains.stages import Stage
from imgpipe.engine.bench import Bench
from imgpipe.errors import ImgpipeError, InputError, MemoryPlanError, WorkerError
from imgpipe.formats.base import Sink, Source
from imgpipe.formats.declaration import Format
from imgpipe.formats.fitting import fitted
from imgpipe.formats.opening import contents_of, format_at, format_to, open_source
from imgpipe.image import ImageInfo
from imgpipe.refusals import refused

__all__ = ["MOST_PIXELS", "make_files"]

MOST_PIXELS = 16_000_000
"""The most pixels of an image that one worker makes alone."""

_GROUP_PIXELS = 8_000_000  # after which a call comes back
_TRIES = 2  # at a file that changes while it is read

_log = logging.getLogger("imgpipe")


def make_files(recipe: Recipe, files: tuple[File, ...], bench: Bench) -> list[Answer]:
    """Make files one by one, until they are many pixels; return an answer for each of them.

    The function of a call. The outputs are on the disk, and only have to be published.
    """
    maker, answers, pixels = _maker_of(recipe), list[Answer](), 0
    with contextlib.closing(Syncing()) as syncing:
        for number, file in enumerate(files):
            with bench.at(number):
                answers.append(maker.make(file, bench, syncing))
            pixels += answers[-1].pixels
            if pixels >= _GROUP_PIXELS:
                break
        lost = syncing.wait()
    return [_if_synced(answer, lost) for answer in answers] if lost else answers


def _if_synced(answer: Answer, lost: dict[str, ImgpipeError]) -> Answer:
    """Return the answer, or that an output did not get to the disk."""
    if isinstance(answer, Made):
        for one in answer.finished:
            if error := lost.get(one.output):
                for other in answer.finished:
                    with contextlib.suppress(OSError):
                        os.unlink(other.temporary)
                return failed(answer.name, "write", error, answer.pixels)
    return answer


class _Way(NamedTuple):
    """The filters for an image and the image that an output holds, with its format."""

    stages: tuple[Stage, ...]
    held: ImageInfo
    format: Format
    options: dict[str, Any]
    warnings: list[str]


class _Maker:
    """Makes files by a recipe, and keeps what may be of use for the next one."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self._ways: dict[Any, _Way] = {}
        self._passing = Passing(recipe)

    def make(self, file: File, bench: Bench, syncing: Syncing) -> Answer:
        """Make a file."""
        steps = Steps()
        try:
            for _ in range(_TRIES):
                made = self._attempt(file, bench, syncing, steps)
                if made is not None:
                    return made
            error: ImgpipeError = InputError(
                f"{file.name}: changed while it was read; run again when it is complete"
            )
        except TooLargeError as reason:
            return TooLarge(file.name, steps.pixels, str(reason))
        except ImgpipeError as found:
            error = found
        except Exception as found:  # noqa: BLE001 - the other files go on
            error = refused(found) or WorkerError(
                f"{file.name}: could not be made ({type(found).__name__}: {found})"
            )
            error.__cause__ = found
        return failed(file.name, steps.name, error, steps.pixels)

    def _attempt(self, file: File, bench: Bench, syncing: Syncing, steps: Steps) -> Made | None:
        """Make a file; return None if it changed meanwhile."""
        if os.path.isdir(file.name):
            raise TooLargeError("is a folder")
        targets: list[HeldTarget] = []
        with contextlib.ExitStack() as undone, contextlib.closing(HeldOrigin(file.name)) as origin:
            undone.callback(_abort, file, targets)
            origin.read(self.recipe.allowance // 2)
            with heard() as said:
                self._make(file, origin, targets, bench, steps)
            if origin.changed:
                return None
            undone.pop_all()
            finished = tuple(target.finished() for target in targets)
            for target in targets:
                syncing.add(target)
            return Made(
                file.name,
                origin.status,
                origin.digest,
                steps.pixels,
                finished,
                tuple(steps.seconds.items()),
                tuple(dict.fromkeys(said)),
            )

    def _make(
        self,
        file: File,
        origin: HeldOrigin,
        targets: list[HeldTarget],
        bench: Bench,
        steps: Steps,
    ) -> None:
        """Make all outputs of a file, as complete temporaries."""
        recipe = self.recipe
        source = open_source(origin, recipe.reading)
        steps.pixels = source.info.pixels
        if self._takes_a_run(origin, source, file):
            self._run(file, origin, targets, steps)
            return
        if source.info.pixels > MOST_PIXELS:
            raise TooLargeError("has many pixels")
        sinks: list[Sink] = []
        try:
            every: list[tuple[Stage, ...]] = []
            for tail, output in zip(recipe.tails, file.outputs, strict=True):
                way = self._way(tail, source, output.path)
                target = HeldTarget(output.path, output.temporary)
                targets.append(target)
                assert way.format.write is not None
                sinks.append(way.format.write(target, way.held, **way.options))
                if recipe.reading.alpha is None and sinks[-1].info.alpha is not None:
                    tell_of_alpha(source, recipe.reading, way.stages, sinks[-1])
                every.append(way.stages)
            self._passing.make(source, every, sinks, len(origin.data), bench, steps)
            for sink in sinks:
                sink.commit()
            steps.to("write")
        except BaseException:
            for sink in sinks:
                sink.abort()
            raise

    # --- the usual way ------------------------------------------------------------------

    def _way(self, tail: Tail, source: Source, output: str) -> _Way:
        """Return the way of an image to an output."""
        key = id(tail), source.info, os.path.basename(output).partition(".")[2]
        way = self._ways.get(key)
        if way is None:
            make_room(self._ways)
            way = self._ways[key] = self._new_way(tail, source, output)
        for text in way.warnings:
            _log.warning("%s%s", output, text)
        return way

    def _new_way(self, tail: Tail, source: Source, output: str) -> _Way:
        reading, writing = self.recipe.reading, tail.writing
        with heard() as said:
            stages, after = stages_to(tail.chain, output, reading, writing, set(), source)
        if after.pixels > MOST_PIXELS:
            raise TooLargeError("becomes large")
        if any(stage.filter.operands for stage in stages):
            raise TooLargeError("needs a further image")
        chosen = format_to(output, writing.format)
        if chosen.marks:
            raise TooLargeError(f"becomes a folder of {chosen.name}")
        options = {
            key: chosen.option(key, output).check(value, output)
            for key, value in writing.options.items()
        }
        held = fitted(after, chosen, output)
        return _Way(stages, held, chosen, options, [text.removeprefix(output) for text in said])

    # --- files with frames, and copies --------------------------------------------------

    def _takes_a_run(self, origin: HeldOrigin, source: Source, file: File) -> bool:
        """Whether a run makes the outputs: of all frames, or a copy of coded pixels."""
        frames = self.recipe.reading.page is None and contents_of(origin).frames > 1
        return frames or any(
            self._may_copy(tail, origin, output)
            for tail, output in zip(self.recipe.tails, file.outputs, strict=True)
        )

    def _may_copy(self, tail: Tail, origin: HeldOrigin, output: Output) -> bool:
        plain = self.recipe.copies and not tuple(tail.chain) and not tail.writing.options
        return plain and format_to(output.path, tail.writing.format) == format_at(origin)

    def _run(self, file: File, origin: HeldOrigin, targets: list[HeldTarget], steps: Steps) -> None:
        """Make the outputs by runs in this process, each into its temporary."""
        from imgpipe.converting import convert  # noqa: PLC0415 - rarely needed
        from imgpipe.running import run  # noqa: PLC0415 - rarely needed

        steps.to("filter")
        for tail, output in zip(self.recipe.tails, file.outputs, strict=True):
            chosen = format_to(output.path, tail.writing.format)
            if chosen.marks:
                raise TooLargeError(f"becomes a folder of {chosen.name}")
            target = HeldTarget(output.path, output.temporary)
            targets.append(target)
            options = _options(self.recipe, tail, chosen.name)
            try:
                with _called(output):
                    if self._may_copy(tail, origin, output):
                        convert(origin, output.temporary, **options)
                    else:
                        run(origin, tail.chain, output.temporary, **options)
            except MemoryPlanError:
                raise TooLargeError("needs much memory") from None
            target.reopen()
        steps.to("write")


def _options(recipe: Recipe, tail: Tail, format: str) -> dict[str, Any]:
    """Return the options of a run that makes one output."""
    reading, writing = recipe.reading, tail.writing
    return {
        **{each: getattr(reading, each) for each in _READING},
        **{each: getattr(writing, each) for each in _WRITING},
        "format": format,
        "executor": "serial",
        "workers": 1,
        "max_memory": recipe.allowance,
        "chunk": recipe.chunk,
    }


def _abort(file: File, targets: list[HeldTarget]) -> None:
    """Leave nothing of the outputs of a file."""
    for target in targets:
        target.abort()
    for output in file.outputs:
        with contextlib.suppress(OSError):
            os.unlink(output.temporary)


_READING = ("max_pixels", "alpha", "autorotate", "page", "level", "nodata", "salvage")
_WRITING = ("save", "strip", "background", "value_range")


@contextlib.contextmanager
def _called(output: Output) -> Iterator[None]:
    """Have messages name an output, and not its temporary."""
    try:
        with heard() as said:
            yield
    except ImgpipeError as error:
        text = str(error).replace(output.temporary, output.path)
        raise type(error)(text) from error.__cause__
    finally:
        for text in said:
            _log.warning("%s", text.replace(output.temporary, output.path))


_makers: list[_Maker] = []


def _maker_of(recipe: Recipe) -> _Maker:
    """Return the maker of a recipe, which this process has kept since its last call."""
    for maker in _makers:
        if maker.recipe is recipe:
            return maker
    _makers[:] = [*_makers[-3:], _Maker(recipe)]
    return _makers[-1]
