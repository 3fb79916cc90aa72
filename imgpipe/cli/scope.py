"""Scope of a command: one image to one file, or a batch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import click
from click.core import ParameterSource

from imgpipe.cli.batchoptions import BatchOption
from imgpipe.errors import UsageError

__all__ = [
    "STANDARD",
    "is_batch",
    "must_be_complete",
    "must_suit_one_image",
    "seems_batch",
    "without_batch",
]

STANDARD = "-"
"""Stands for standard input and output."""

_OF_ANY = {"overwrite", "progress"}  # options of a batch that change nothing for one image


def is_batch(params: Mapping[str, Any]) -> bool:
    """Return whether the output is a folder, given the parameters of a command.

    It is one if it ends with a separator, or exists, or if there may be several images.
    """
    sources = params.get("inputs") or ()
    if params.get("in_place") or params.get("files_from") or len(sources) > 1:
        return True
    return _is_folder(params.get("output") or STANDARD) or any(map(_is_tree, sources))


def seems_batch(found: Mapping[str, Any]) -> bool:
    """Return whether the output seems to be a folder; options may be among the sources."""
    words = found.get("inputs")
    words = words if isinstance(words, list | tuple) else ()  # click has a mark for none
    sources = [
        word
        for before, word in zip(("", *words), words, strict=False)
        if word == STANDARD or not (word.startswith("-") or (before.startswith("--") and before))
    ]
    output = found.get("output") or STANDARD
    if output != STANDARD and not os.path.splitext(output)[1] and not found.get("format"):
        return True  # no file is called like this
    return is_batch({**found, "inputs": sources})


def must_be_complete(ctx: click.Context) -> None:
    """Check that there are sources and an output.

    Raises
    ------
    click.MissingParameter
        If not.
    """
    params = ctx.params
    missing = "" if params["inputs"] or params["files_from"] else "inputs"
    if not missing and params["output"] is None and not params["in_place"]:
        missing = "output"
    if missing:
        param = next(each for each in ctx.command.params if each.name == missing)
        advice = "Name the input, such as photo.png."
        if missing == "output":
            advice = _output_wanted(ctx)
        raise click.MissingParameter(advice, ctx=ctx, param=param)


def _output_wanted(ctx: click.Context) -> str:
    """Return the advice for a command without an output."""
    *others, last = ctx.params["inputs"] or ("",)
    if others and os.path.splitext(last)[1] and not os.path.lexists(last) and not _is_tree(last):
        return f"If {last} is the output, write -o {last}."  # other programs take it like this
    if not is_batch(ctx.params):
        return "Name the output, such as -o out.png."
    folder = "Name the folder of the outputs, such as -o out/"
    shown = {each.name for each in ctx.command.params if not getattr(each, "hidden", False)}
    return f"{folder}, or replace the sources: --in-place." if "in_place" in shown else f"{folder}."


def must_suit_one_image(ctx: click.Context) -> None:
    """Check that no option was given that only a batch has, and that no folder is misspelt.

    Raises
    ------
    UsageError
        If there is such an option, or no such source and the name of the output is a folder's.
    """
    source, output = "".join(ctx.params["inputs"]), ctx.params["output"]
    seems_folder = not (os.path.splitext(output)[1] or output == STANDARD or ctx.params["format"])
    if seems_folder and source != STANDARD and not os.path.lexists(source):
        raise UsageError(f"{source}: no such file or folder; check the path")
    several = "--page all" if ctx.params["page"] == "all" else ""
    for option in ctx.command.params:
        name = str(option.name)
        given = ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
        if isinstance(option, BatchOption) and given and name not in _OF_ANY:
            several = several or option.opts[-1]
    if several:
        raise UsageError(
            f"{several} is for a folder of outputs; end the output with {os.sep}: "
            f"-o {os.path.join(os.path.dirname(ctx.params['output']) or 'out', '')}"
        )


def without_batch(ctx: click.Context) -> dict[str, Any]:
    """Return the parameters of a command without those of a batch."""
    names = {option.name for option in ctx.command.params if isinstance(option, BatchOption)}
    params = {name: value for name, value in ctx.params.items() if name not in names}
    return params | {"shows_progress": ctx.params["progress"] != "none"}


def _is_folder(output: str) -> bool:
    if os.path.isdir(output):
        return not output.rstrip("/" + os.sep).lower().endswith(".zarr")
    return output.endswith(("/", os.sep))


def _is_tree(source: str) -> bool:
    if os.path.isfile(source) or source == STANDARD:
        return False
    from imgpipe.batches.inputs.sources import is_tree  # noqa: PLC0415 - rarely needed

    return is_tree(source)
