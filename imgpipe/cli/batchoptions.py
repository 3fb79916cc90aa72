"""Options of a batch: many images, and a folder of outputs."""

from __future__ import annotations

from typing import Any

import click

from imgpipe.cli.valuetypes import Most, Suffixes, Whole

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
        _path("--files-from", _SOURCES, "Take the names in this list, one per line; - is "
              "standard input. May be repeated.", multiple=True, metavar="LIST"),
        _flag("-0", "--null", _SOURCES, "Names in lists end with a zero byte, not a newline."),
        _text("--include", _SOURCES, "PATTERN", "Take only files that match. May be repeated."),
        _text("--exclude", _SOURCES, "PATTERN", "Leave out files that match. A pattern is for the "
              "name, or with a / for the path below INPUT. May be repeated."),
        BatchOption(["--ext"], _SOURCES, type=Suffixes(), help="Take files with "
                    "these suffixes. [default: those of all formats]"),
        _flag("-H", "--hidden", _SOURCES, "Take hidden files and folders too."),
        _flag("-L", "--follow", _SOURCES, "Follow all links to files and folders."),
        _flag("-x", "--one-file-system", _SOURCES, "Stay on the file system of INPUT."),
        BatchOption(["--max-depth"], _SOURCES, type=Whole(0), metavar="N",
                    help="Levels of folders to search below INPUT; 0 for none. [default: all]"),
        _path("--base", _SOURCES, "An output keeps the path of its source below this folder. "
              "[default: the folder INPUT; of a pattern, the folder before the first wildcard; "
              "of a file, its folder; of a list, the current folder]", metavar="DIR"),
        _flag("--allow-empty", _SOURCES, "A folder without an image is not an error."),
    ]  # fmt: skip


def _of_outputs() -> list[click.Parameter]:
    return [
        BatchOption(["--name"], _OUTPUTS, metavar="TEMPLATE", help='Names of outputs, such as '
                    '"{stem}-{width}.{ext}". Also {dir} {name} {parent} {filter} {height} {size} '
                    "{index} {page}."),
        _flag("--resume", _OUTPUTS, "Make outputs that are missing, out of date or failed before. "
              "Skip all others."),
        _flag("--update", _OUTPUTS, "As --resume; but outputs that are not in the journal are made "
              "if they are older than their source."),
        _flag("--skip-existing", _OUTPUTS, "Make only outputs that are missing."),
        BatchOption(["--ignore-existing"], _OUTPUTS, is_flag=True, hidden=True),
        _flag("--overwrite", _OUTPUTS, "Make all outputs; replace those that exist."),
        _flag("--checksum", _OUTPUTS, "Compare the contents of sources, and of outputs that were "
              "made with --checksum; not only sizes and times."),
        _flag("--accept-version", _OUTPUTS, "Skip outputs that another version of "
              "imgpipe made."),
        BatchOption(["--no-retry-failed", "retry_failed"], _OUTPUTS, is_flag=True, flag_value=False,
                    default=True, help="With --resume: skip outputs that failed before."),
        _path("--journal", _OUTPUTS, "Record of the outputs that were made. [default: in the "
              "folder .imgpipe of the outputs] Missing folders are created.", metavar="FILE"),
        _flag("--in-place", _OUTPUTS, "Replace the sources; leave out -o."),
        _path("--backup", _OUTPUTS, "With --in-place: keep the originals there.", metavar="DIR"),
        _flag("--copy-others", _OUTPUTS, "Also copy files that are not images."),
        _flag("-p", "--preserve", _OUTPUTS, "Give outputs the times, mode and extended attributes "
              "of their sources."),
    ]  # fmt: skip


def _of_run() -> list[click.Parameter]:
    orders = ["round-robin", "fifo", "largest-first", "random"]
    return [
        BatchOption(["--order"], _RUN, type=click.Choice(orders), default=orders[0],
                    show_default=True, help="Order of the images. round-robin: large and small "
                    "ones in turn."),
        BatchOption(["--seed"], _RUN, type=int, metavar="N", help="Seed of --order random."),
        _flag("--fail-fast", _RUN, "Stop at the first failure."),
        BatchOption(["--max-failures"], _RUN, type=Most(), help="Stop after N failures, or "
                    "if N% of the images so far have failed (at least 20 images)."),
        _path("--failed-to", _RUN, "List the sources that failed; --files-from reads it. Missing "
              "folders are created.", metavar="LIST"),
        _path("--report", _RUN, "Write a report: .html, .json or .csv. Missing folders are "
              "created.", metavar="FILE"),
        _flag("--json", _RUN, "Write events as JSON lines to standard output."),
        BatchOption(["--progress"], _RUN, type=click.Choice(["auto", "bar", "lines", "none"]),
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
