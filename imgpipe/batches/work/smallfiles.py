"""Small files of a batch: each is made by one worker, from its bytes to finished outputs.

A group of files is one call. There is neither a crew nor a process for each file, and the filters
that were fitted to the last images like this one are used again.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import os
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from imgpipe.adapting import stages_to, warn_of_alpha
from imgpipe.batches.faults import fault_in
from imgpipe.batches.journal.filestatus import Status
from imgpipe.batches.naming.suffixes import right_suffix, warn_of_suffix
from imgpipe.batches.saveoptions import options_for
from imgpipe.batches.work.answers import (
    Answer,
    Failed,
    File,
    Made,
    Misnamed,
    Recipe,
    Tail,
    TooLarge,
    failed,
    spent,
)
from imgpipe.batches.work.heldfiles import (
    Finished,
    HeldFolderOrigin,
    HeldOrigin,
    HeldPath,
    Syncing,
    TooLargeError,
    remove,
)
from imgpipe.batches.work.smallpass import SmallPass, Steps, make_room
from imgpipe.batches.work.warningcapture import captured_warnings
from imgpipe.cascading import Step, cascaded
from imgpipe.chains.chain import Chain
from imgpipe.chains.stages import Stage
from imgpipe.converting import copied, copy_of
from imgpipe.engine.callcontext import CallContext
from imgpipe.engine.control import Control
from imgpipe.engine.pipeline import run_frames
from imgpipe.engine.wantedoutputs import WantedOutput
from imgpipe.errors import Cancelled, ImgpipeError, InputError, MemoryPlanError, WorkerError
from imgpipe.formats.base import Sink, Source
from imgpipe.formats.declaration import Format
from imgpipe.formats.fitting import fitted
from imgpipe.formats.opening import format_at, format_to, open_source, origin_of
from imgpipe.formats.origin import Origin
from imgpipe.formats.readwrite import Writing
from imgpipe.formats.unnamedfiles import scratch_in
from imgpipe.image import ImageInfo
from imgpipe.options import Options
from imgpipe.paging import pages_of, warn_of_frames
from imgpipe.reduceddecoding import shrunk
from imgpipe.refusals import refused

__all__ = ["MOST_PIXELS", "chosen_of", "header_size", "make_files", "writing_to"]

MOST_PIXELS = 16_000_000
"""The most pixels of an image that one worker makes alone."""

_GROUP_PIXELS = 8_000_000  # after which a call comes back
_TRIES = 2  # at a file that changes while it is read

_log = logging.getLogger("imgpipe")
_Origin = HeldOrigin | HeldFolderOrigin


def make_files(recipe: Recipe, files: tuple[File, ...], call: CallContext) -> list[Answer]:
    """Make files one by one, up to a number of pixels; return an answer for each of them.

    The function of a call. The outputs are on the disk, and only have to be published.
    """
    maker, answers, pixels = _maker_of(recipe), list[Answer](), 0
    with contextlib.closing(Syncing()) as syncing:
        for number, file in enumerate(files):
            if call.called_back:
                break
            try:
                with call.at(number):
                    answers.append(maker.for_page(file.page).make(file, call, syncing))
            except Cancelled:
                break
            pixels += getattr(answers[-1], "pixels", 0)
            stops = recipe.stops_at_failure and isinstance(answers[-1], Failed)
            if stops or pixels >= _GROUP_PIXELS or _is_in_vain(answers[-1]):
                break
        lost = syncing.wait()
    return [_if_synced(answer, lost) for answer in answers] if lost else answers


def _is_in_vain(answer: Answer) -> bool:
    """Return whether the next file would meet the same fault, such as a full disk."""
    return isinstance(answer, Failed) and fault_in(answer.stage, answer.number) is not None


def _if_synced(answer: Answer, lost: dict[str, ImgpipeError]) -> Answer:
    """Return the answer, or that an output did not get to the disk."""
    if isinstance(answer, Made):
        for one in answer.finished:
            if error := lost.get(one.output):
                for other in answer.finished:
                    remove(other.temporary)
                return failed(answer.name, "write", error, answer.pixels)
    return answer


class _MisnamedError(Exception):
    """The suffix of the outputs of a file does not fit its content."""


class _Way(NamedTuple):
    """The filters for an image and the image that an output holds, with its format."""

    stages: tuple[Stage, ...]
    held: ImageInfo
    format: Format
    options: dict[str, Any]
    warnings: list[str]


class _Maker:
    """Makes files by a recipe, and keeps plans and filters for the next file."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self._ways: dict[Any, _Way] = {}
        self._small_pass = SmallPass(recipe)

    def for_page(self, page: int | None) -> _Maker:
        """Return a maker for one frame, which shares the plans of this one."""
        if page is None:
            return self
        other = copy.copy(self)
        other.recipe = self.recipe.of_page(page)
        return other

    def make(self, file: File, call: CallContext, syncing: Syncing) -> Answer:
        """Make a file."""
        steps = Steps()
        try:
            for _ in range(_TRIES):
                made = self._attempt(file, call, syncing, steps)
                if made is not None:
                    return made
            error: ImgpipeError = InputError(
                f"{file.name}: changed while it was read; run again when it is complete"
            )
        except Cancelled:
            raise
        except _MisnamedError as reason:
            return Misnamed(file.name, str(reason))
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

    def _attempt(
        self, file: File, call: CallContext, syncing: Syncing, steps: Steps
    ) -> Made | None:
        """Make a file; return None if it changed at the same time."""
        begin = HeldFolderOrigin if os.path.isdir(file.name) else HeldOrigin
        paths = {number: HeldPath(*output) for number, output in file.numbered.items()}
        with contextlib.ExitStack() as undone, contextlib.closing(begin(file.name)) as origin:
            for path in paths.values():
                undone.callback(path.abort)
            beside = scratch_in(self.recipe.scratch, file.outputs[0].path)
            with captured_warnings() as warnings, beside:
                self._make(origin, paths, call, steps)
            digest = origin.digest(call.check)
            if origin.changed:
                return None
            finished, left = chosen_of(paths.values(), origin.status, self.recipe)
            undone.pop_all()
        steps.to("write")  # whose time so far is counted
        for path in paths.values():
            if path.output not in left:
                syncing.add(path.held)
        return Made(
            file.name,
            origin.status,
            digest,
            steps.pixels,
            finished,
            spent(steps.seconds),
            tuple(dict.fromkeys(warnings)),
            left,
        )

    def _make(
        self,
        origin: _Origin,
        paths: dict[int, HeldPath],
        call: CallContext,
        steps: Steps,
    ) -> None:
        """Make the outputs of a file, by the numbers of their tails, as complete temporaries."""
        recipe = self.recipe
        origin.read(recipe.allowance // 2)
        outputs = [path.output for path in paths.values()]
        if recipe.renames and (suffix := right_suffix(origin, outputs)):
            raise _MisnamedError(suffix)
        if not all(tail.writing.format for tail in recipe.tails):
            warn_of_suffix(origin, outputs)
        left = {
            n: path for n, path in paths.items() if not self._copied(n, origin, path, call, steps)
        }
        if not left:
            return
        if origin.too_large:
            raise TooLargeError("the file is large, or a folder")
        source = open_source(origin, recipe.reading)
        steps.pixels = source.info.pixels
        if len(recipe.tails) > 1:
            warn_of_frames(origin, recipe.reading)
        elif self._paged(recipe.tails[0], origin, left[0], call, steps):
            return
        self._pass(source, origin, left, call, steps)

    # --- the usual way ------------------------------------------------------------------

    def _pass(
        self,
        source: Source,
        origin: _Origin,
        paths: dict[int, HeldPath],
        call: CallContext,
        steps: Steps,
    ) -> None:
        """Make outputs of one image, which is decoded once."""
        recipe, full = self.recipe, (source.info.height, source.info.width)
        given = [tail.chain for tail in recipe.tails]
        source, chains = shrunk(source, origin, given, recipe.reading)
        if source.info.pixels > MOST_PIXELS:
            raise TooLargeError("has many pixels")
        sinks, told = list[Sink](), set[str]()

        def opened(
            number: int, chain: Chain, image: Source, *, turn: bool = False
        ) -> WantedOutput | None:
            if number not in paths:
                return None
            tail, path = recipe.tails[number], paths[number]
            key = number, len(tuple(chain)), turn, full, image.info, _suffix_of(path.output)
            way = self._way(key, Tail(chain, tail.writing), image, path, told, turn=turn)
            assert way.format.write is not None
            sinks.append(way.format.write(path.target(()), way.held, **way.options))
            if recipe.reading.alpha is None and sinks[-1].info.alpha is not None:
                warn_of_alpha(image, recipe.reading, way.stages, sinks[-1])
            return WantedOutput(way.stages, sinks[-1], "")

        try:
            made = cascaded(source, given, chains, recipe.reading, opened)
            if made is None:
                goals = (opened(n, chain, source, turn=True) for n, chain in enumerate(chains))
                made = [Step(source, tuple(filter(None, goals)), tuple(paths))]
            held = len(origin.data) + sum(
                goal.sink.info.nbytes for one in made if not one.numbers for goal in one.goals
            )
            for step in filter(lambda one: one.goals, made):
                stages = [goal.stages for goal in step.goals]
                each = [goal.sink for goal in step.goals]
                self._small_pass.make(step.source, stages, each, held, call, steps)
            for sink in sinks:
                sink.commit()
            steps.to("write")
        except BaseException:
            for sink in sinks:
                sink.abort()
            raise

    def _way(
        self, key: Any, tail: Tail, source: Source, path: HeldPath, told: set[str], *, turn: bool
    ) -> _Way:
        """Return the way of an image to an output."""
        way = self._ways.get(key)
        if way is None:
            make_room(self._ways)
            way = self._ways[key] = self._new_way(tail, source, path, turn=turn)
        for text in way.warnings:
            if text not in told:
                told.add(text)
                _log.warning("%s%s", path.output, text)
        return way

    def _new_way(self, tail: Tail, source: Source, path: HeldPath, *, turn: bool) -> _Way:
        reading = self.recipe.reading
        reading = replace(reading, autorotate=reading.autorotate and turn)
        writing = writing_to(path, tail.writing)
        with captured_warnings() as warnings:
            stages, after = stages_to(tail.chain, path, reading, writing, set(), source)
        if after.pixels > MOST_PIXELS:
            raise TooLargeError("becomes large")
        if any(stage.filter.operands for stage in stages):
            raise TooLargeError("needs a further image")
        chosen = format_to(path, writing.format)
        _must_be_a_file(chosen)
        options = dict(writing.options)
        texts = [text.removeprefix(path.output) for text in warnings]
        return _Way(stages, fitted(after, chosen, path.output), chosen, options, texts)

    # --- files with frames, and copies --------------------------------------------------

    def _copied(
        self,
        number: int,
        origin: _Origin,
        path: HeldPath,
        call: CallContext,
        steps: Steps,
    ) -> bool:
        """Copy the coded pixels where `convert` does that; return whether it does."""
        tail = self.recipe.tails[number]
        if not may_copy(self.recipe, tail, origin, path.output):
            return False
        copy = copy_of(origin, path, self.recipe.reading, writing_to(path, tail.writing))
        if copy is None:
            return False
        steps.pixels = copy.source.info.pixels
        steps.to("read")
        steps.pixels = copied(copy, self.recipe.allowance // 2, call.check).extent.pixels
        steps.to("write")
        return True

    def _paged(
        self, tail: Tail, origin: _Origin, path: HeldPath, call: CallContext, steps: Steps
    ) -> bool:
        """Make all frames, if there are several and the output holds them."""
        reading, writing = self.recipe.reading, writing_to(path, tail.writing)
        made = partial(stages_to, tail.chain, path, reading, writing, set())
        pages = pages_of(origin, path, reading, writing, made)
        if pages is None:
            return False
        try:
            _must_be_a_file(format_to(path, writing.format))
            if pages.pixels > MOST_PIXELS and not pages.animated:
                raise TooLargeError("has many pixels")  # which several workers make
            steps.pixels = pages.source_pixels
            steps.to("filter")
            memory = self.recipe.allowance - len(origin.data)
            options = Options(
                1, memory, "serial", chunk=self.recipe.chunk, accelerator=call.accelerator
            )
            run_frames(pages, options, Control(samples_memory=False))
        except MemoryPlanError:
            raise TooLargeError("needs much memory") from None
        finally:
            pages.abort()
        steps.to("write")
        return True


def header_size(recipe: Recipe, name: str) -> tuple[int, bool]:
    """Return the pixels of a file, and whether it surely is too large for one worker."""
    origin = origin_of(name)
    source = open_source(origin, recipe.reading)
    pixels, folder = source.info.pixels, os.path.isdir(name)
    large = folder or os.path.getsize(name) > recipe.allowance // 2
    if not large:
        chains = [tail.chain for tail in recipe.tails]
        source, _ = shrunk(source, origin, chains, recipe.reading)
        large = source.info.pixels > MOST_PIXELS
    return pixels, large and not recipe.copies


def may_copy(recipe: Recipe, tail: Tail, origin: Origin, output: str) -> bool:
    """Return whether the coded pixels of a file may become those of an output."""
    plain = recipe.copies and not tuple(tail.chain)
    return plain and format_to(output, tail.writing.format) == format_at(origin)


def chosen_of(
    paths: Iterable[HeldPath], status: Status, recipe: Recipe
) -> tuple[tuple[Finished, ...], tuple[str, ...]]:
    """Return the outputs to publish, and the outputs that are not smaller than the source."""
    finished, left = [], []
    for path in paths:
        one = path.held.finished
        if recipe.if_smaller and one.size >= status.size:
            path.abort()
            left.append(path.output)
        else:
            finished.append(one)
    return tuple(finished), tuple(left)


def writing_to(path: HeldPath, writing: Writing) -> Writing:
    """Return the choices about an output, with the options of its format."""
    if not writing.options:
        return writing
    chosen = format_to(path, writing.format)
    return replace(writing, save=options_for(chosen, writing, path.output), compression=None)


def _must_be_a_file(format: Format) -> None:
    if format.marks:
        raise TooLargeError(f"becomes a folder of {format.name}")


def _suffix_of(path: str) -> str:
    return os.path.basename(path).partition(".")[2]


_makers: list[_Maker] = []


def _maker_of(recipe: Recipe) -> _Maker:
    """Return the maker of a recipe, which this process has kept since its last call."""
    for maker in _makers:
        if maker.recipe is recipe:
            return maker
    _makers[:] = [*_makers[-3:], _Maker(recipe)]
    return _makers[-1]
