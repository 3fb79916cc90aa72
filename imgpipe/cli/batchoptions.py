"""Options of a batch: many images, and a folder of outputs."""

from __future__ import annotations

from typing import Any

import click

from imgpipe.cli.valuetypes import Most, Suffixes

__all__ = ["IN_PLACE", "BatchOption", "batch_options"]

_SOURCES, _OUTPUTS, _RUN = "Many images", "Many outputs", "Run of many images"

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
        _path("--files-from", _SOURCES, "Take the names in this list, one a line; - is standard "
              "input. May be repeated.", multiple=True, metavar="LIST"),
        _flag("-0", "--null", _SOURCES, "Names in all lists end with a zero byte."),
        _text("--include", _SOURCES, "PATTERN", "Take only what matches. May be repeated."),
        _text("--exclude", _SOURCES, "PATTERN", "Leave out what matches: a name, or with a / the "
              "path in the source folder. May be repeated."),
        BatchOption(["--ext"], _SOURCES, type=Suffixes(), help="Take files with "
                    "these suffixes. [default: those of all formats]"),
        _flag("-H", "--hidden", _SOURCES, "Take hidden files and folders too."),
        _flag("-L", "--follow", _SOURCES, "Follow links to files and folders."),
        _flag("-x", "--one-file-system", _SOURCES, "Enter no other file system."),
        BatchOption(["--max-depth"], _SOURCES, type=click.IntRange(min=0), metavar="N",
                    help="Enter so many levels of folders; 0 for none. [default: all]"),
        _path("--base", _SOURCES, "Folder where all trees begin. [default: the folder given as "
              "INPUT, that before the first wildcard, that of a file, and the current one for "
              "lists]", metavar="DIR"),
        _flag("--allow-empty", _SOURCES, "Finding no image is no error."),
    ]  # fmt: skip


def _of_outputs() -> list[click.Parameter]:
    return [
        BatchOption(["--name"], _OUTPUTS, metavar="TEMPLATE", help='Names of outputs, such as '
                    '"{stem}-{width}.{ext}". Also {dir} {name} {parent} {filter} {height} {size} '
                    "{index} {page}."),
        _flag("--resume", _OUTPUTS, "Make what is missing or no longer true, also what failed."),
        _flag("--update", _OUTPUTS, "Make what is missing or older than its source."),
        _flag("--skip-existing", _OUTPUTS, "Make what is missing, and compare nothing."),
        BatchOption(["--ignore-existing"], _OUTPUTS, is_flag=True, hidden=True),
        _flag("--overwrite", _OUTPUTS, "Make everything, and replace what exists."),
        _flag("--checksum", _OUTPUTS, "Compare contents, not sizes and times, to see what is "
              "true."),
        _flag("--accept-version", _OUTPUTS, "Keep outputs of other versions of imgpipe."),
        BatchOption(["--no-retry-failed", "retry_failed"], _OUTPUTS, is_flag=True, flag_value=False,
                    default=True, help="With --resume: leave what failed before."),
        _path("--journal", _OUTPUTS, "Journal of what was made. [default: in the folder .imgpipe "
              "of the outputs]", metavar="FILE"),
        _flag("--in-place", _OUTPUTS, "Replace the sources. There is no -o then."),
        _path("--backup", _OUTPUTS, "With --in-place: put originals there.", metavar="DIR"),
        _flag("--copy-others", _OUTPUTS, "Copy files that are no images too."),
        _flag("-p", "--preserve", _OUTPUTS, "Give outputs the times, mode and extended attributes "
              "of their sources."),
    ]  # fmt: skip


def _of_run() -> list[click.Parameter]:
    orders = ["round-robin", "fifo", "largest-first", "random"]
    return [
        BatchOption(["--order"], _RUN, type=click.Choice(orders), default=orders[0],
                    show_default=True, help="Order of the images. round-robin: large and small "
                    "ones side by side."),
        BatchOption(["--seed"], _RUN, type=int, metavar="N", help="Seed of --order random."),
        _flag("--fail-fast", _RUN, "Stop at the first failure."),
        BatchOption(["--max-failures"], _RUN, type=Most(), help="Stop after so many failures; "
                    "a percentage counts from 20 images on."),
        _path("--failed-to", _RUN, "List the sources that failed; --files-from reads it.",
              metavar="LIST"),
        _path("--report", _RUN, "Write a report: .html, .json or .csv.", metavar="FILE"),
        _flag("--json", _RUN, "Write events as JSON lines to standard output."),
        BatchOption(["--progress"], _RUN, type=click.Choice(["auto", "bar", "lines", "none"]),
                    default="auto", help="What is seen on standard error. [default: bars on a "
                    "terminal, else lines]"),
    ]  # fmt: skip


def _flag(*names_section_help: str) -> BatchOption:
    *names, section, text = names_section_help
    return BatchOption(names, section, is_flag=True, help=text)


def _path(name: str, section: str, text: str, **settings: Any) -> BatchOption:
    return BatchOption([name], section, type=click.Path(readable=False), help=text, **settings)


def _text(name: str, section: str, metavar: str, text: str) -> BatchOption:
    return BatchOption([name], section, multiple=True, metavar=metavar, help=text)
