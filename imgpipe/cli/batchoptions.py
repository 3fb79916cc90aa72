"""Options of a batch: many images, and a folder of outputs."""

from __future__ import annotations

from typing import Any

import click

from imgpipe.cli.valuetypes import Most, OneOf, Suffixes, Whole

__all__ = ["IN_PLACE", "MANY_IMAGES", "BatchOption", "batch_options"]

MANY_IMAGES = "Many images: input", "Many images: output", "Many images: engine"
"""Sections of the help for the options of a batch."""
_SOURCES, _OUTPUTS, _RUN = MANY_IMAGES

IN_PLACE = "in_place"
"""Name of the option that needs no output."""


class BatchOption(click.Option):
    """An option that only a batch has.

    Attributes
    ----------
    section : str
        Its section in the help.
    """

    def __init__(self, names: list[str], section: str, **settings: Any) -> None:
        super().__init__(names, **settings)
        self.section = section


def batch_options() -> list[click.Parameter]:
    """Return the options of a batch."""
    return [*_of_sources(), *_of_outputs(), *_of_run()]


def _of_sources() -> list[click.Parameter]:
    return [
        _path("--files-from", _SOURCES, "Read the names of inputs from this list, one per "
              "line; - is standard input. May be repeated.", multiple=True, metavar="LIST"),
        _flag("-0", "--null", _SOURCES, "Names in lists end with a zero byte, not a "
              "newline: find -print0."),
        _text("--include", _SOURCES, "PATTERN", 'Take only files whose name matches, such as '
              '"*.tif". With a /, a pattern is for the path below INPUT. May be repeated.'),
        _text("--exclude", _SOURCES, "PATTERN", "Leave out files whose name matches a "
              "pattern like that of --include. May be repeated."),
        BatchOption(["--ext"], _SOURCES, type=Suffixes(), help="Take files with "
                    "these suffixes. [default: those of all formats]"),
        _flag("-H", "--hidden", _SOURCES, "Take hidden files and folders too."),
        _flag("-L", "--follow", _SOURCES, "Follow all links to files and folders."),
        _flag("-x", "--one-file-system", _SOURCES, "Stay on the file system of INPUT."),
        BatchOption(["--max-depth"], _SOURCES, type=Whole(0), metavar="N",
                    help="Levels of folders to search below INPUT; 0 for none. [default: all]"),
        _path("--base", _SOURCES, "Folder below which the path of a source is kept in the output "
              "folder. [default: INPUT, if it is a folder; for a pattern, the folder before the "
              "first wildcard; for a file, its folder; for a list, the current folder]",
              metavar="DIR"),
        _flag("--allow-empty", _SOURCES, "Do not fail if there is no image."),
    ]  # fmt: skip


def _of_outputs() -> list[click.Parameter]:
    return [
        BatchOption(["--name"], _OUTPUTS, metavar="TEMPLATE", help='Names of outputs, such as '
                    '"{stem}-{width}.{ext}". Also {dir} {name} {parent} {filter} {height} {size} '
                    "{index} {page}."),
        _flag("--resume", _OUTPUTS, "Make outputs that are missing, out of date or failed before. "
              "Skip all others."),
        _flag("--update", _OUTPUTS, "Like --resume. An output that is not in the journal is made "
              "again if it is older than its source."),
        _flag("--skip-existing", _OUTPUTS, "Make only outputs that are missing."),
        BatchOption(["--ignore-existing"], _OUTPUTS, is_flag=True, hidden=True),
        _flag("--overwrite", _OUTPUTS, "Make all outputs; replace those that exist."),
        _flag("--checksum", _OUTPUTS, "Compare contents, not only sizes and times: those of "
              "sources, and of outputs that were made with --checksum."),
        _flag("--accept-version", _OUTPUTS, "Do not make outputs again because another "
              "version of imgpipe made them."),
        BatchOption(["--no-retry-failed", "retry_failed"], _OUTPUTS, is_flag=True, flag_value=False,
                    default=True, help="With --resume: leave out outputs that failed before."),
        _path("--journal", _OUTPUTS, "File that records the outputs. [default: in the "
              "folder .imgpipe of the outputs] Missing folders are created.", metavar="FILE"),
        _flag("--in-place", _OUTPUTS, "Replace the sources. Give no -o."),
        _path("--backup", _OUTPUTS, "With --in-place: keep the sources there.", metavar="DIR"),
        _flag("--copy-others", _OUTPUTS, "Also copy files that are not images."),
        _flag("-p", "--preserve", _OUTPUTS, "Give outputs the times, mode and extended attributes "
              "of their sources."),
    ]  # fmt: skip


def _of_run() -> list[click.Parameter]:
    orders = ["round-robin", "fifo", "largest-first", "random"]
    return [
        BatchOption(["--order"], _RUN, type=OneOf(orders), default=orders[0],
                    show_default=True, help="Order of the images. round-robin: large and small "
                    "ones in turn."),
        BatchOption(["--seed"], _RUN, type=Whole(), metavar="N",
                    help="Seed of --order random: a whole number, for the same order again."),
        _flag("--fail-fast", _RUN, "Stop at the first failure."),
        BatchOption(["--max-failures"], _RUN, type=Most(), help="Stop after N failures, or "
                    "if N% of the images so far have failed (at least 20 images)."),
        _path("--failed-to", _RUN, "Write a list of the sources that failed, for --files-from. "
              "Missing folders are created.", metavar="LIST"),
        _path("--report", _RUN, "Write a report: .html, .json or .csv. Missing folders are "
              "created.", metavar="FILE"),
        _flag("--json", _RUN, "Write events as JSON lines to standard output."),
        BatchOption(["--progress"], _RUN, type=OneOf(["auto", "bar", "lines", "none"]),
                    default="auto", help="Progress on standard error. auto: bars on a terminal, "
                    "else lines. [default: auto]"),
    ]  # fmt: skip


def _flag(*names_section_help: str) -> BatchOption:
    *names, section, text = names_section_help
    return BatchOption(names, section, is_flag=True, help=text)


def _path(name: str, section: str, text: str, **settings: Any) -> BatchOption:
    return BatchOption([name], section, type=click.Path(readable=False), help=text, **settings)


def _text(name: str, section: str, metavar: str, text: str) -> BatchOption:
    return BatchOption([name], section, multiple=True, metavar=metavar, help=text)
