"""Options of every command that makes an image."""

from __future__ import annotations

from typing import Any

import click

from imgpipe.cli.valuetypes import (
    ChainText,
    MemberName,
    Pair,
    Region,
    Seconds,
    Size,
    WhichAlpha,
    WhichPage,
    Whole,
)
from imgpipe.registry import EXECUTORS, FORMATS

__all__ = ["alpha_option", "chain_options", "common_options"]


def common_options() -> list[click.Parameter]:
    """Return the options of every command that makes an image."""
    return [*_files(), *_workers(), *_reading(), *_values(), *_resources(), *_telling()]


def _files() -> list[click.Parameter]:
    """Return the argument for the inputs, and the options of the output."""
    return [
        click.Argument(["inputs"], metavar="INPUT...", nargs=-1, type=click.Path(readable=False)),
        _option(
            "-o",
            "--output",
            type=click.Path(readable=False),
            help="Output file, whose suffix selects the format (- is standard output, which gets a "
            "PNG). It is a folder if it exists as one, ends with / or may get several images.",
        ),
        _option(
            "--format",
            type=MemberName(FORMATS),
            help="Format of the output, such as png. [default: that of the suffix]",
        ),
    ]


def _workers() -> list[click.Parameter]:
    """Return the options of the workers."""
    return [
        _option(
            "-j",
            "--jobs",
            type=Whole(1),
            metavar="N",
            help="Worker processes. [default: one for each usable processor]",
        ),
        _option(
            "--executor",
            type=MemberName(EXECUTORS),
            help=f"Executor of the tasks: {', '.join(EXECUTORS.built_in)}, or the name of one that "
            "a package adds. [default: chosen for the image and the filters]",
        ),
    ]


def _reading() -> list[click.Parameter]:
    """Return the options of the image to read, and of its metadata."""
    return [
        alpha_option(),
        _option(
            "--page",
            type=WhichPage(),
            metavar="N|all",
            help="Process frame N only: a page of a TIFF file, or a frame of an animation. The "
            "first is 0. With all, every frame has its own output, and --name needs {page}. "
            "[default: all frames, or frame 0 if the output holds one]",
        ),
        _option(
            "--level",
            type=Whole(0),
            metavar="N",
            default=0,
            help="Level of the pyramid to read; 0 is the full resolution.",
        ),
        _option("--region", type=Region(), help="Make only this part of the output, in pixels."),
        click.Option(
            ["--no-autorotate", "autorotate"],
            is_flag=True,
            flag_value=False,
            default=True,
            show_default=False,
            help="Leave the pixels as the file stores them, and keep the orientation. "
            "[default: turn it upright first]",
        ),
        _option(
            "--strip",
            is_flag=True,
            help="Leave out metadata, except the ICC profile and others of colour.",
        ),
        _option(
            "--nodata",
            metavar="VALUE|none",
            help="Value of pixels without data. They keep this value and do not mix into their "
            "neighbours. none: all pixels have data. [default: that of the file, and NaN]",
        ),
        _option(
            "--salvage",
            is_flag=True,
            help="Read the undamaged part of a damaged file; the rest is black, or transparent. "
            "A warning says how much is missing. The exit code is 0.",
        ),
    ]


def _values() -> list[click.Parameter]:
    """Return the options of values that the output cannot hold."""
    return [
        _option(
            "--background",
            metavar="COLOUR",
            help="Colour behind transparent pixels if the output has no alpha: a name, #rrggbb, "
            "128 (gray) or 255,128,0. [default: white]",
        ),
        _option(
            "--value-range",
            metavar="LOW..HIGH",
            help="Values that become black and white if the output cannot hold floats or signed "
            "integers: two numbers, measured or full.",
        ),
    ]


def _resources() -> list[click.Parameter]:
    """Return the options of memory, time and libraries."""
    return [
        _option(
            "--max-memory",
            type=Size(),
            help="Limit on the memory of all processes together, for example 512M. It includes the "
            "libraries of your functions. [default: half of the available memory, at most 2G]",
        ),
        _option("--max-pixels", type=Size(), help="Larger images are errors. [default: 4G pixels]"),
        _option(
            "--timeout",
            type=Seconds(),
            metavar="SECONDS",
            help="Fail if a chunk takes longer. [default: no limit]",
        ),
        _option(
            "--scratch",
            type=click.Path(readable=False),
            metavar="DIR",
            help="Folder of scratch files, which some chains and formats need. [default: that of "
            "the output]",
        ),
        _option(
            "--accelerator",
            metavar="NAME",
            help="Library that computes filters in place of NumPy, with the same bits: opencv, or "
            "one that a package adds. none: NumPy only. auto: OpenCV, if it is installed and the "
            "images are large enough. [default: auto]",
        ),
        _option("--chunk", type=Pair(), hidden=True, help="Rows and columns of a chunk."),
    ]


def _telling() -> list[click.Parameter]:
    """Return the options of plans, progress and reports."""
    return [
        _option(
            "--timeline",
            type=click.Path(readable=False),
            metavar="FILE",
            help="Write a timeline of the run, which shows the work of every worker and names the "
            "bottleneck: a .html page, or a .json trace for ui.perfetto.dev. Missing "
            "folders are created.",
        ),
        _option(
            "-n", "--dry-run", is_flag=True, help="Print the plan only; read and write no pixels."
        ),
        _option(
            "-q", "--quiet", is_flag=True, help="Print errors only: no progress bar, no summary."
        ),
        _option(
            "-v", "--verbose", is_flag=True, help="Print the plan and the progress of the run."
        ),
    ]


def alpha_option() -> click.Option:
    """Return the option for the alpha channel of the input."""
    return _option(
        "--alpha",
        type=WhichAlpha(),
        help="Alpha channel of a file that does not declare alpha itself, such as .npy. "
        "[default: none]",
    )


def chain_options(metavar: str = "CHAIN") -> list[click.Parameter]:
    """Return the argument for the chain, and the options of bare functions."""
    return [
        click.Argument(["chain"], metavar=metavar, type=ChainText()),
        _option(
            "--halo",
            type=Pair(),
            metavar="N",
            help="Halo of a bare function: the pixels that it needs on each side of a pixel. One "
            "number, or rows,columns.",
        ),
        _option(
            "--dtype",
            type=click.Choice(["keep", "float32"]),
            help="Type that a bare function gets: that of the image (keep), or floats from 0 to 1 "
            "(float32). [default: keep]",
        ),
    ]


def _option(*names: str, **settings: Any) -> click.Option:
    return click.Option(names, show_default="default" in settings, **settings)
