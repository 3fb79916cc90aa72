"""Options of every command that makes an image."""

from __future__ import annotations

from typing import Any

import click

from imgpipe.cli.sections import Argument
from imgpipe.cli.valuetypes import (
    AlphaChoice,
    ChainText,
    MemberName,
    OneOf,
    PageChoice,
    Pair,
    Region,
    Seconds,
    Size,
    Whole,
)
from imgpipe.registry import EXECUTORS, FORMATS

__all__ = ["alpha_option", "chain_options", "common_options"]


def common_options() -> list[click.Parameter]:
    """Return the options of every command that makes an image, in the order of its help."""
    return [*_input(), *_output(), *_workers(), *_resources(), *_telling()]


def _input() -> list[click.Parameter]:
    """Return the argument for the inputs, and the options of the image to read."""
    return [
        Argument(
            ["inputs"],
            'Image file, folder, pattern such as "scans/*.tif", or - for standard input.',
            metavar="INPUT...",
            nargs=-1,
            type=click.Path(readable=False),
        ),
        alpha_option(),
        _option(
            "--page",
            type=PageChoice(),
            metavar="N|all",
            help="Process this frame only: a page of a TIFF file, or a frame of an animation. The "
            "first is 0. all: write every frame to a file of its own; --name must contain {page}. "
            "[default: all frames into one output; only frame 0 if the output holds one image]",
        ),
        _option(
            "--level",
            type=Whole(0),
            metavar="N",
            default=0,
            help="Level of the image pyramid to read; 0 is the full resolution.",
        ),
        click.Option(
            ["--no-autorotate", "autorotate"],
            is_flag=True,
            flag_value=False,
            default=True,
            show_default=False,
            help="Do not turn the image upright; keep its orientation tag. "
            "[default: turn it upright]",
        ),
        _option(
            "--nodata",
            metavar="VALUE|none",
            help="Value that marks pixels without data. They keep this value and do not mix into "
            "their neighbours. none: all pixels have data. "
            "[default: the value that the file declares, and NaN]",
        ),
        _option(
            "--salvage",
            is_flag=True,
            help="Read the undamaged part of a damaged file. The rest becomes black or "
            "transparent. A warning says how much is missing; the exit code is 0.",
        ),
    ]


def _output() -> list[click.Parameter]:
    """Return the options of the output, and of values that it cannot hold."""
    return [
        _option(
            "-o",
            "--output",
            type=click.Path(readable=False),
            help="Output file; its suffix selects the format. Give a folder, such as out/, for "
            "many images, or - for standard output.",
        ),
        _option(
            "--format",
            type=MemberName(FORMATS),
            help="Format of the output, such as png. [default: by the suffix; in a folder, the "
            "format of the input; for standard output, PNG]",
        ),
        _option(
            "--region",
            type=Region(),
            help="Make only this part of the output: left, top, width and height in pixels.",
        ),
        _option(
            "--strip",
            is_flag=True,
            help="Leave out metadata, except what colours need, such as the ICC profile.",
        ),
        _option(
            "--background",
            metavar="COLOUR",
            help="Colour behind transparent pixels if the output has no alpha: a name, #rrggbb, "
            "128 (gray) or 255,128,0. [default: white]",
        ),
        _option(
            "--value-range",
            metavar="LOW..HIGH",
            help="Values that become black and white if the output cannot hold the type of the "
            "image, such as 16 bits or floats in JPEG. Two numbers, such as 0..1. measured: the "
            "smallest and the largest value of the image. full: those of the type.",
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
            help="Number of worker processes. [default: one for each usable processor]",
        ),
        _option(
            "--executor",
            type=MemberName(EXECUTORS),
            help=f"Way to run the tasks: {', '.join(EXECUTORS.built_in)}, or an executor of "
            "another package. [default: chosen for the image and the filters]",
        ),
    ]


def _resources() -> list[click.Parameter]:
    """Return the options of memory, time and libraries."""
    return [
        _option(
            "--max-memory",
            type=Size(),
            help="Limit on the memory of all processes together, such as 512M. "
            "[default: half of the available memory, at most 2G]",
        ),
        _option(
            "--max-pixels",
            type=Size(),
            help="Refuse inputs with more pixels. A value above 4G also allows larger outputs. "
            "[default: 4G]",
        ),
        _option(
            "--timeout",
            type=Seconds(),
            metavar="SECONDS",
            help="Fail if one chunk takes longer. [default: no limit]",
        ),
        _option(
            "--scratch",
            type=click.Path(readable=False),
            metavar="DIR",
            help="Folder for scratch files, which some chains and formats need. "
            "[default: the folder of the output]",
        ),
        _option(
            "--accelerator",
            metavar="NAME",
            help="Library that computes filters in place of NumPy, with the same result: opencv, "
            "or an accelerator of another package. none: NumPy only. auto: OpenCV, if it is "
            "installed and the images are large enough. [default: auto]",
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
            "bottleneck: a .html page, or a .json trace for ui.perfetto.dev.",
        ),
        _option("-n", "--dry-run", is_flag=True, help="Print the plan; read and write no pixels."),
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
        type=AlphaChoice(),
        help="Channel that holds alpha (transparency) in files that do not declare it, such "
        "as .npy: last, none, or its number. [default: none]",
    )


def chain_options(text: str, metavar: str = "CHAIN") -> list[click.Parameter]:
    """Return the argument for the chain, explained by `text`, and the options of bare functions."""
    return [
        Argument(["chain"], text, metavar=metavar, type=ChainText()),
        _option(
            "--halo",
            type=Pair(),
            metavar="N",
            help="Only for a function without @imgpipe.filter: number of pixels that it needs on "
            "each side of a pixel. One number, or rows,columns.",
        ),
        _option(
            "--dtype",
            type=OneOf(["keep", "float32"]),
            help="Only for a function without @imgpipe.filter: type of the values that it gets. "
            "keep: that of the image. float32: floats from 0 to 1. [default: keep]",
        ),
    ]


def _option(*names: str, **settings: Any) -> click.Option:
    return click.Option(names, show_default="default" in settings, **settings)
