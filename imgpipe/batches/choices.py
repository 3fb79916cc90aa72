"""Choices: all arguments of a batch, checked before any file is opened."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field, replace
from typing import Literal, get_args

from imgpipe import arguments
from imgpipe.acceleration import NONE
from imgpipe.accelerators.choice import Accelerating, possible
from imgpipe.batches.agenda import Policy
from imgpipe.batches.inputs.sources import is_tree
from imgpipe.batches.inputs.walk import Rules
from imgpipe.batches.naming.outputnames import OutputNames
from imgpipe.batches.work.answers import Recipe
from imgpipe.errors import UsageError
from imgpipe.options import Options
from imgpipe.records import dataclass

__all__ = ["ORDERS", "Choices", "Order"]

Order = Literal["round-robin", "fifo", "largest-first", "random"]
"""The order in which files are begun, and tasks are handed out."""
ORDERS: tuple[Order, ...] = get_args(Order)

_PERCENT = 100


@dataclass(frozen=True)
class Choices:
    """Arguments of a batch.

    Attributes
    ----------
    sources : tuple of str
        Files, folders and patterns.
    folder : str
        The output folder; empty if the sources are replaced.
    recipe : Recipe
        The way from a file to its outputs. Its tails have the order of the outputs of `naming`.
    naming : OutputNames
        Names of the outputs.
    lists : tuple of iterables of str
        Names of further files or folders.
    rules : Rules
        Rules of the walk.
    base : str or None
        The folder where all trees begin.
    allow_empty : bool
        Whether there may be no file at all.
    policy : Policy
        Rule for outputs that exist.
    checksum : bool
        Whether the contents of sources are compared with the journal, and not only size and times.
        Those of outputs are recorded, and compared where they were recorded.
    accept_version : bool
        Whether outputs of other versions are up to date.
    retry_failed : bool
        Whether failed outputs are tried again.
    journal : str or None
        Folder of the journal; None for the output folder.
    in_place : bool
        Whether the outputs replace their sources.
    backup : str or None
        The folder that replaced sources are kept in.
    copy_others : bool
        Whether files that are no images are copied.
    preserve : bool
        Whether outputs have times, mode and extended attributes of their sources.
    if_smaller : bool
        Whether an output is made only if it is smaller than its source.
    order : {"round-robin", "fifo", "largest-first", "random"}
        The order of the work.
    seed : int or None
        Makes the random order the same each time.
    fail_fast : bool
        Whether the first failure stops the batch.
    max_failures : int, str or None
        The number of failures, or the share such as ``"5%"``, that stops it.
    options : Options
        Workers, memory and other options of a run.
    command : tuple of str
        The arguments of the command line, for messages.

    Raises
    ------
    UsageError
        If they contradict each other.
    """

    sources: tuple[str, ...]
    folder: str
    recipe: Recipe
    naming: OutputNames = OutputNames()
    lists: tuple[Iterable[str], ...] = ()
    rules: Rules = Rules()
    base: str | None = None
    allow_empty: bool = False
    policy: Policy = Policy()
    checksum: bool = False
    accept_version: bool = False
    retry_failed: bool = True
    journal: str | None = None
    in_place: bool = False
    backup: str | None = None
    copy_others: bool = False
    preserve: bool = False
    if_smaller: bool = False
    order: Order = "round-robin"
    seed: int | None = None
    fail_fast: bool = False
    max_failures: int | str | None = None
    options: Options = field(default_factory=Options)
    command: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.sources and not self.lists:
            raise UsageError("there is no source; give files, folders or patterns")
        if len(self.recipe.tails) != self.naming.count:
            raise UsageError(
                f"{len(self.recipe.tails)} chains for {self.naming.count} outputs of each file"
            )
        arguments.one_of(self.order, "order", ORDERS)
        if self.accelerator.name == NONE:
            object.__setattr__(self, "options", replace(self.options, accelerator=NONE))
        if self.seed is not None and self.order != "random":
            raise UsageError("--seed is for the random order; add --order random")
        _check_limit(self.max_failures)
        if self.in_place:
            self._check_in_place()
        elif not self.folder:
            raise UsageError("no output folder; give -o FOLDER, or --in-place to replace sources")
        elif self.backup is not None:
            raise UsageError("--backup is for sources that are replaced; add --in-place")

    @property
    def accelerator(self) -> Accelerating:
        """The accelerator that images of some type and size are made with."""
        filters = [one.name for tail in self.recipe.tails for one in tail.chain]
        return possible(self.options.accelerator, filters)

    def _check_in_place(self) -> None:
        naming = self.naming
        if self.folder:
            raise UsageError("--in-place replaces the sources; leave out the output folder")
        if naming.template or naming.templates or naming.formats or naming.count > 1:
            raise UsageError("--in-place keeps names and formats; leave out --name and --format")
        if self.copy_others:
            raise UsageError("--copy-others needs an output folder; leave out --in-place")
        if self.policy.skip or self.policy.update:
            raise UsageError(
                "--in-place: every output exists; leave out --skip-existing and --update"
            )

    @property
    def renames(self) -> bool:
        """Return whether outputs get the suffix of the content of a source with a wrong one."""
        return not self.in_place and self.naming.follows_source

    @property
    def single(self) -> bool:
        """Return whether the only source is a file: other runs may share the output folder."""
        return len(self.sources) == 1 and not self.lists and not is_tree(self.sources[0])


def _check_limit(most: int | str | None) -> None:
    """Raise if `most` is neither a number of failures nor a share."""
    text = "" if most is None or isinstance(most, bool) else str(most)
    number = text.removesuffix("%")
    if most is None or (number.isascii() and number.isdigit() and int(number) <= _limit_of(text)):
        return
    raise UsageError(f"max_failures is a number or a share such as 5%, not {arguments.shown(most)}")


def _limit_of(text: str) -> float:
    return _PERCENT if text.endswith("%") else float("inf")
