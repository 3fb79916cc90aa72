"""The command ``convert``, which runs no filter."""

from __future__ import annotations

import click

from imgpipe.cli.commands import ImageCommand
from imgpipe.cli.pages import write_examples
from imgpipe.cli.saving import image_options

__all__ = ["ConvertCommand"]


class ConvertCommand(ImageCommand):
    """The command that runs no filter."""

    def __init__(self, name: str, summary: str) -> None:
        super().__init__(
            name,
            params=[*image_options(), _if_smaller()],
            short_help=summary,
            help="Write an image in another format, without a filter.\n\n"
            "If the format stays the same, and no option changes pixels or their encoding, the "
            "coded pixels are copied, so nothing is lost. --strip alone changes neither, so it "
            "removes metadata without loss.",
        )

    @property
    def is_open(self) -> bool:
        """Return whether help is quick: it needs no filter."""
        return True

    def chain(self, ctx: click.Context) -> None:
        """Return nothing."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write examples."""
        write_examples(
            formatter,
            "imgpipe convert scan.tif -o scan.png",
            "imgpipe convert photo.png -o photo.jpg --quality 85",
            "imgpipe convert photo.jpg -o clean.jpg --strip",
            'imgpipe convert "scans/**/*.tif" -o out/ --format webp --quality 80',
            "imgpipe convert photo.jpg -o photo.webp --quality 80 --if-smaller",
        )


def _if_smaller() -> click.Option:
    return click.Option(
        ["--if-smaller"],
        is_flag=True,
        help="Write the output only if its file is smaller than that of the input.",
    )
