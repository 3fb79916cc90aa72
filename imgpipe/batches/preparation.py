"""Preparation: the sources, outputs and agenda of a batch, before anything is written."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import field, replace
from functools import cached_property

from imgpipe.batches.agenda import Agenda, Policy, agenda_of
from imgpipe.batches.choices import Choices
from imgpipe.batches.events import BatchObserver, BatchPlanned, BatchScanning, kind_of
from imgpipe.batches.faults import unreadable
from imgpipe.batches.inputs.earlieroutputs import EarlierOutputs
from imgpipe.batches.inputs.files import Files, Found
from imgpipe.batches.inputs.sources import Gathered, gather
from imgpipe.batches.journal.digests import chain_digest, options_digest, versions
from imgpipe.batches.journal.freshness import FreshnessCheck
from imgpipe.batches.journal.journal import Journal, read_journal
from imgpipe.batches.journal.records import Provenance, Records
from imgpipe.batches.naming.assignments import COPY, Assignment
from imgpipe.batches.naming.destination import Destination
from imgpipe.batches.naming.owners import Owners, must_be_numbered
from imgpipe.batches.naming.suffixes import as_recorded
from imgpipe.batches.publishing.attributes import FolderTimes
from imgpipe.batches.publishing.inplace import common_root, must_be_free, must_be_sources
from imgpipe.batches.results import Result
from imgpipe.batches.saveoptions import must_suit
from imgpipe.chains.definition import digest_of
from imgpipe.chains.stages import resolve
from imgpipe.contexts import Context
from imgpipe.engine.batchsizing import must_have_memory
from imgpipe.errors import ImgpipeError, InputError
from imgpipe.formats.formatchoice import format_called, format_for
from imgpipe.formats.opening import contents_of, open_source, origin_of
from imgpipe.records import dataclass

__all__ = ["COPIED", "Prepared", "prepare"]

COPIED = Provenance("copy", "", "")
"""Digests for copies of files that are no images."""

_log = logging.getLogger(__name__)


@dataclass
class Prepared(Context):
    """A batch that is ready to begin. As a context, it closes the journal.

    Attributes
    ----------
    choices : Choices
        Its arguments.
    destination : Destination
        The output folder.
    gathered : Gathered
        The sources.
    agenda : Agenda
        Outputs that are to be made, and outputs that are left.
    provenance : tuple of Provenance
        Digests of each output of a file, for the journal. The last one is for files that are
        copied.
    lost : list of Result
        Failures that are known before the work begins: names that do not exist, folders that
        cannot be read, files that cannot have an output.
    journal : Journal or None
        The journal, open; None if there is nothing to write into it.
    folder_times : FolderTimes or None
        To be set at the end, if the choices want it.
    records : Records
        The content of the journal.
    later : bool
        Whether the files come later, one by one.
    """

    choices: Choices
    destination: Destination
    provenance: tuple[Provenance, ...]
    gathered: Gathered = field(default_factory=Gathered)
    agenda: Agenda = field(default_factory=Agenda)
    lost: list[Result] = field(default_factory=list)
    journal: Journal | None = None
    folder_times: FolderTimes | None = None
    records: Records = field(default_factory=Records)
    later: bool = False

    def close(self, error: BaseException | None = None) -> None:
        """Close the journal."""
        if self.journal is not None:
            self.journal.close()

    @property
    def folder(self) -> str:
        """The output folder."""
        return self.destination.folder

    @property
    def sources(self) -> int:
        """Number of source files."""
        return len(self.gathered.files)

    def path(self, output: str) -> str:
        """Return the path of an output, of which the agenda has the part below the folder."""
        return self.destination.path(output)

    def agenda_for(self, files: Iterable[Found]) -> Agenda:
        """Return the work for files that come later. Finished outputs are in the journal.

        Raises
        ------
        ImgpipeError
            If one of them cannot have an output.
        """
        placed = self.choices.naming.placed(Files(files), _Headers(self.choices))
        if self.choices.renames:
            placed = as_recorded(placed, self.records)
        return agenda_of(placed, self.destination, self.policy, self.freshness_check(self.records))

    @property
    def policy(self) -> Policy:
        """Rule for outputs that exist."""
        policy = self.choices.policy
        return Policy(resume=True) if self.later and policy == Policy() else policy

    @cached_property
    def owners(self) -> Owners:
        """The source of each planned or recorded output."""
        known = self.records.done if self.later or self.policy.resume else {}
        return Owners.of(self.destination, known.values(), self.agenda)

    def freshness_check(self, records: Records) -> FreshnessCheck:
        """Return the comparisons of outputs with the journal."""
        choices = self.choices
        return FreshnessCheck(
            records,
            self.provenance,
            checksum=choices.checksum,
            accept_version=choices.accept_version,
            retry_failed=choices.retry_failed,
            in_place=choices.in_place,
        )


def prepare(
    choices: Choices,
    on_batch_event: BatchObserver = lambda _: None,
    *,
    dry: bool = False,
    later: bool = False,
) -> Prepared:
    """Find the sources, name the outputs, and decide which ones to make.

    Nothing is written before all of that is known.

    Parameters
    ----------
    choices : Choices
        Arguments of the batch.
    on_batch_event : callable
        Gets the events of the walk and of the plan.
    dry : bool
        Whether nothing at all is written, the journal neither.
    later : bool
        Whether the files come later, one by one: see `Prepared.agenda_for`.

    Raises
    ------
    UsageError
        If the batch is refused.
    OutputError
        If the journal cannot be written.
    """
    prepared = Prepared(choices, Destination(choices.folder), _provenance(choices), later=later)
    try:
        records = _begin(prepared, on_batch_event, dry=dry, later=later)
    except BaseException:
        prepared.close()
        raise
    _warn_of_versions(prepared, records)
    if not later:
        on_batch_event(_planned(prepared))
    return prepared


def _begin(
    prepared: Prepared, on_batch_event: BatchObserver, *, dry: bool, later: bool
) -> Records | None:
    """Complete the preparation; return the content of the journal."""
    choices = prepared.choices
    records: Records | None
    if choices.in_place:
        prepared.gathered = Gathered() if later else _gathered(choices, on_batch_event, None)
        folder = common_root(prepared.gathered.files, choices.base)
        prepared.destination = Destination(folder)
        known = _records(prepared, dry=dry)
        records = Records() if known is None else known
    else:
        records = _records(prepared, dry=dry)
        prepared.gathered = Gathered() if later else _gathered(choices, on_batch_event, records)
    prepared.lost += _lost(prepared.gathered)
    placed = _placed(prepared, records)
    freshness_check = None if records is None else prepared.freshness_check(records)
    with _without_collection():
        agenda = agenda_of(placed, prepared.destination, choices.policy, freshness_check)
    prepared.agenda = agenda
    if later or agenda.due:
        must_have_memory(choices.options)
    if choices.backup is not None:
        must_be_free(agenda, choices.backup, prepared.folder)
    if choices.preserve and not choices.in_place:
        folders = [folder for folder, _ in prepared.gathered.files.folders]
        folders += [each.folder for each in prepared.gathered.others]
        prepared.folder_times = FolderTimes(dict.fromkeys(folders), prepared.folder)
    if not dry and (later or agenda.due or agenda.copies):
        prepared.journal = prepared.journal or _opened(prepared)
        prepared.journal.live = later
        prepared.journal.note_versions(prepared.provenance[0].versions, versions())
        prepared.records = prepared.journal.records
    elif records is not None:
        prepared.records = records
    return records


def _gathered(choices: Choices, on_batch_event: BatchObserver, records: Records | None) -> Gathered:
    """Return the sources, without the outputs that a journal knows."""
    rules = choices.rules

    def count(files: int) -> None:
        on_batch_event(BatchScanning(files))

    left_out = (choices.folder, choices.backup or "")
    identities = tuple(found for each in left_out if (found := _identity(each)) is not None)
    rules = replace(rules, outputs=rules.outputs + identities)
    if choices.copy_others:
        rules = replace(rules, others=True)
    return gather(
        choices.sources,
        rules=rules,
        lists=choices.lists,
        base=choices.base,
        allow_empty=choices.allow_empty,
        on_count=count,
        is_output=EarlierOutputs(choices.folder, records.ours)
        if records and records.ours
        else None,
    )


def _identity(folder: str) -> tuple[int, int] | None:
    try:
        status = os.stat(folder)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _lost(gathered: Gathered) -> list[Result]:
    """Return the failures of names that do not exist and of folders that cannot be read."""
    missing = [
        _failure(name, "open", InputError(f"{name}: no such file or folder; it is in the list"))
        for name in gathered.missing
    ]
    closed = [
        _failure(path, "open", unreadable(path, error)) for path, error in gathered.unreadable
    ]
    return missing + closed


def _failure(path: str, stage: str, error: ImgpipeError) -> Result:
    return Result(path, "", "failed", stage="open" if stage == "open" else "plan", error=error)


def _placed(prepared: Prepared, records: Records | None) -> Collection[Assignment]:
    """Return the sources with their outputs."""
    choices, gathered = prepared.choices, prepared.gathered
    refused: list[ImgpipeError] = []

    def refuse(found: Found, error: ImgpipeError) -> None:
        refused.append(error)
        prepared.lost.append(_failure(found.path, "plan", error))

    naming = choices.naming
    placed = naming.placed(gathered.files, _Headers(choices), refuse)
    if refused and not placed:
        raise refused[0]
    if choices.in_place:
        must_be_sources(placed)
    if gathered.others:
        copies = (Assignment(found, found.below, COPY) for found in gathered.others)
        placed = [*placed, *copies]
    if records is not None and choices.renames:
        placed = as_recorded(placed, records)
    if naming.is_numbered and prepared.choices.policy.resume:
        must_be_numbered(placed, records)
    placed = prepared.destination.one_to_one(placed, naming.remedy)
    _check_options(choices, placed)
    return placed


def _check_options(choices: Choices, placed: Collection[Assignment]) -> None:
    """Raise if an option does not suit the formats of the outputs."""
    for number, tail in enumerate(choices.recipe.tails):
        if not tail.writing.options:
            continue
        endings = {each.output[each.output.rfind(".") :] for each in placed if each.tail == number}
        given = tail.writing.format
        formats = {format_for(f"output{suffix}") for suffix in endings if given is None}
        if given is not None and placed:
            formats = {format_called(given)}
        must_suit(tail.writing, formats)


def _provenance(choices: Choices) -> tuple[Provenance, ...]:
    """Return the digests of each output, and of copies."""
    recipe = choices.recipe
    reading = replace(recipe.reading, max_pixels=None)
    code = digest_of(repr(sorted(versions().items())).encode())
    made = (
        Provenance(
            chain_digest(tail.chain),
            options_digest(
                reading,
                replace(tail.writing, save=None),
                sorted(tail.writing.options.items()),
                recipe.copies,
                choices.if_smaller,
            ),
            code,
        )
        for tail in recipe.tails
    )
    return (*made, COPIED)


def _opened(prepared: Prepared) -> Journal:
    choices = prepared.choices
    return Journal(prepared.folder, choices.journal, alone=not choices.single)


def _records(prepared: Prepared, *, dry: bool) -> Records | None:
    """Return the content of the journal, which is open then; None if there is none."""
    path = Journal.path_in(prepared.folder, prepared.choices.journal)
    if not os.path.exists(path):
        return None
    if not dry:
        prepared.journal = _opened(prepared)
        return prepared.journal.records
    try:
        return read_journal(path)
    except OSError as error:
        raise InputError(f"{path}: the journal cannot be read ({error.strerror})") from error


def _warn_of_versions(prepared: Prepared, records: Records | None) -> None:
    """Log the versions of outputs that are made again because of another version."""
    count = prepared.agenda.reasons["version changed"]
    if not count or records is None:
        return
    old = Counter(
        records.done[output].provenance.versions
        for due in prepared.agenda.due
        for output in due.outputs
        if due.reason == "version changed" and output in records.done
    )
    now, was = versions(), records.versions.get(old.most_common(1)[0][0], {})
    changed = [name for name in now if was.get(name) != now[name]]
    before = ", ".join(f"{name} {was.get(name, 'of an unknown version')}" for name in changed)
    after = ", ".join(f"{name} {now[name]}" for name in changed)
    _log.warning(
        "%s made by %s, this is %s: made again; --accept-version keeps what is there",
        "1 output was" if count == 1 else f"{count:,} outputs were", before, after,
    )  # fmt: skip


def _planned(prepared: Prepared) -> BatchPlanned:
    agenda = prepared.agenda
    kinds: Counter[str] = Counter()
    for (source, made), count in agenda.suffixes.items():
        kinds[kind_of(f"x{source}", f"x{made}")] += count
    return BatchPlanned(prepared.sources, prepared.gathered.passed_over, len(agenda.skipped), kinds)


@contextlib.contextmanager
def _without_collection() -> Iterator[None]:
    """Have no cycles collected while the agenda is made. No function of the user's runs meanwhile.

    Each collection would look at all that is known of the files, and none of it is garbage. For
    100,000 files of a journal that is a tenth of the time of `prepare`.
    """
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class _Headers:
    """The sizes of outputs, from the headers of their sources."""

    def __init__(self, choices: Choices) -> None:
        self._recipe = choices.recipe

    def __call__(self, found: Found, tail: int) -> Mapping[str, int]:
        reading = self._recipe.reading
        origin = origin_of(found.path)
        info = reading.declared(open_source(origin, reading).info)
        chain = self._recipe.tails[tail].chain
        stages = resolve(chain, info, autorotate=reading.autorotate, name=found.path)
        after = stages[-1].after if stages else info
        page, frames = reading.page, 1
        if page is None:
            page, frames = 0, contents_of(origin).frames
        return {"width": after.width, "height": after.height, "page": page, "frames": frames}
