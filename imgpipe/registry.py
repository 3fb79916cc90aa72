"""Registry: names and modules of the members of the open sets, listed without an import.

Built-in members stand in the tables below, so that help can be printed without NumPy. Other
packages add theirs through entry points (``imgpipe.filters``, ``imgpipe.formats``,
``imgpipe.executors``); one that fails to load is an error when it is asked for by name, and never
before.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from imgpipe.errors import UsageError
from imgpipe.filtertable import FILTER_TABLE

__all__ = ["EXECUTORS", "FILTERS", "FORMATS", "Member", "OptionHelp", "Registry", "format_name"]


class OptionHelp(NamedTuple):
    """An option of a format, as help shows it.

    Attributes
    ----------
    names : str
        The names of the option on the command line, as click takes them.
    noun : str
        The noun for its values; empty for a flag.
    text : str
        The explanation, with bounds and default.
    """

    names: str
    noun: str
    text: str


class Member(NamedTuple):
    """The place of a member, its summary of one line, and the marks of a format.

    The last seven are of formats alone; `imgpipe.formats.declaration.Format` explains them.
    Of a format that another package adds they are not known before it is loaded.
    """

    module: str
    summary: str
    attribute: str = ""
    name: str = ""
    suffixes: tuple[str, ...] = ()
    magic: tuple[bytes, ...] = ()
    marks: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    extra: str = ""
    options: tuple[OptionHelp, ...] = ()


class Registry(Mapping[str, Member]):
    """A mapping of names to members that loads them when asked.

    Parameters
    ----------
    kind : str
        The noun for a member, for messages.
    members : dict
        The built-in ones.
    group : str, optional
        Entry-point group of those that other packages add.
    """

    def __init__(self, kind: str, members: dict[str, Member], group: str = "") -> None:
        self._kind, self._members, self._group = kind, members, group
        self.built_in: Mapping[str, Member] = dict(members)
        self._discovered = not group
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Member:
        if name not in self._members:
            self._discover()
        return self._members[name]

    def __iter__(self) -> Iterator[str]:
        self._discover()
        return iter(self._members)

    def __len__(self) -> int:
        self._discover()
        return len(self._members)

    def load(self, name: str) -> Any:
        """Import a member.

        Raises
        ------
        UsageError
            If there is no such member, or it fails to import.
        """
        try:
            member = self[name]
        except KeyError:
            known = ", ".join(sorted(self))
            raise UsageError(f"there is no {self._kind} {name!r}; there are: {known}") from None
        if name in self._loaded:
            return self._loaded[name]
        try:
            module = importlib.import_module(member.module)
            return getattr(module, member.attribute) if member.attribute else module
        except (Exception, SystemExit) as error:
            if member.module.startswith("imgpipe."):
                raise
            raise UsageError(
                f"the {self._kind} {name!r} comes from {member.module}, which fails to load "
                f"({type(error).__name__}: {error}); update or remove that package"
            ) from error

    @contextlib.contextmanager
    def with_member(self, name: str, loaded: Any) -> Iterator[None]:
        """Have one member more for a while, such as one of another package under test."""
        members, held = dict(self._members), dict(self._loaded)
        self._members[name], self._loaded[name] = Member("", ""), loaded
        try:
            yield
        finally:
            self._members, self._loaded = members, held

    def _discover(self) -> None:
        if self._discovered:
            return
        self._discovered = True
        if not _announced(self._group):
            return
        from importlib.metadata import entry_points  # noqa: PLC0415 - slow, and rarely needed

        for point in entry_points(group=self._group):
            where = f"from {point.dist.name}" if point.dist else f"from {point.module}"
            self._members.setdefault(point.name, Member(point.module, where, point.attr))


def _announced(group: str) -> bool:
    """Whether some installed package may have entry points of `group`.

    Looks at the files itself: `importlib.metadata` takes as long to import as all of click.
    """
    for folder in sys.path:
        if os.path.isfile(folder):  # a zip archive: not worth opening here
            return True
        with contextlib.suppress(OSError):
            for name in os.listdir(folder or os.curdir):
                if name.endswith("-info") and group in _entry_points(os.path.join(folder, name)):
                    return True
    return False


def _entry_points(folder: str) -> str:
    """Return the entry points in the metadata of a package, as text."""
    with contextlib.suppress(OSError):
        name = os.path.join(folder, "entry_points.txt")
        with open(name, encoding="utf-8", errors="replace") as file:
            return file.read()
    return ""


def _built_in(package: str, table: dict[str, tuple[str, str]]) -> dict[str, Member]:
    return {
        name: Member(f"imgpipe.{package}.{module}", summary, name)
        for name, (module, summary) in table.items()
    }


FILTERS = Registry(
    "filter",
    _built_in(
        "filters",
        FILTER_TABLE,
    ),
    group="imgpipe.filters",
)

FORMATS = Registry(
    "format",
    {
        "png": Member(
            "imgpipe.formats.png",
            "PNG, streamed in and encoded by every worker.",
            name="PNG",
            suffixes=(".png", ".apng"),
            # The last two are of files that were damaged, mostly when transferred as text.
            magic=(b"\x89PNG\r\n\x1a\n", b"?PNG", b"????\r\n\x1a\n"),
            options=(
                OptionHelp(
                    "--compression",
                    "method",
                    "deflate:0, fast with a large file, to deflate:9, slow with a small file; 0 to "
                    "9 for short. [default: deflate:2]",
                ),
            ),
        ),
        "jpeg": Member(
            "imgpipe.formats.jpeg",
            "JPEG, streamed in and encoded by every worker.",
            name="JPEG",
            suffixes=(".jpg", ".jpeg", ".jpe", ".jfif"),
            magic=(b"\xff\xd8\xff",),
            options=(
                OptionHelp(
                    "--quality",
                    "integer",
                    "1 is the smallest file, 100 the closest to the image. (between 1 and 100) "
                    "[default: 90]",
                ),
                OptionHelp(
                    "--subsampling",
                    "4:4:4|4:2:2|4:2:0",
                    "Resolution of the colours: 4:4:4 is full, 4:2:0 half both ways. "
                    "[default: 4:2:0]",
                ),
                OptionHelp(
                    "--progressive/--no-progressive",
                    "",
                    "Coarse to fine in several scans: a smaller file, which one worker encodes at "
                    "the end. [default: False]",
                ),
            ),
        ),
        "pnm": Member(
            "imgpipe.formats.pnm",
            "PNM: PBM, PGM, PPM and PAM, read and written in place.",
            name="PNM",
            suffixes=(".pnm", ".ppm", ".pgm", ".pbm", ".pam"),
            magic=(b"P1", b"P2", b"P3", b"P4", b"P5", b"P6", b"P7"),
        ),
        "bmp": Member(
            "imgpipe.formats.bmp",
            "BMP, read and written in place.",
            name="BMP",
            suffixes=(".bmp", ".dib"),
            magic=(b"BM",),
        ),
        "tga": Member(
            "imgpipe.formats.tga",
            "TGA, read and written in place.",
            name="TGA",
            suffixes=(".tga",),
        ),
        "npy": Member(
            "imgpipe.formats.npy",
            "NumPy array, read and written in place.",
            name="NPY",
            suffixes=(".npy",),
            magic=(b"\x93NUMPY",),
        ),
        "tiff": Member(
            "imgpipe.formats.tiff",
            "TIFF and BigTIFF, tiles and strips; slides.",
            name="TIFF",
            suffixes=(".tif", ".tiff", ".btf", ".tf8"),
            magic=(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
            options=(
                OptionHelp(
                    "--compression",
                    "method",
                    "deflate:0 to deflate:9, or 0 to 9 for short; zstd:1 to zstd:22; lzw; "
                    "jpeg:QUALITY; or none. [default: deflate:1]",
                ),
                OptionHelp(
                    "--tile",
                    "size",
                    "Rows and columns of a tile, N or ROWSxCOLUMNS, or strips; 256, or 512 with "
                    "--cog, by default.",
                ),
                OptionHelp(
                    "--subsampling",
                    "4:4:4|4:2:2|4:2:0",
                    "Resolution of the colours: 4:4:4 is full, 4:2:0 half both ways. "
                    "[default: 4:2:0]",
                ),
                OptionHelp(
                    "--pyramid/--no-pyramid",
                    "",
                    "Add smaller versions of the image, each half the size. [default: False]",
                ),
                OptionHelp(
                    "--cog/--no-cog",
                    "",
                    "Write a Cloud-Optimized GeoTIFF: a pyramid in another order. [default: False]",
                ),
            ),
        ),
        "jpegxl": Member(
            "imgpipe.formats.jpegxl",
            "JPEG XL, whole; lossless unless a quality is given.",
            name="JPEG XL",
            suffixes=(".jxl",),
            magic=(b"\xff\n", b"\0\0\0\x0cJXL \r\n\x87\n"),
            options=(
                OptionHelp(
                    "--quality",
                    "integer",
                    "Quality of a lossy file; lossless without it. (between 1 and 100)",
                ),
                OptionHelp(
                    "--lossless/--no-lossless",
                    "",
                    "Every value is kept, whatever the quality. [default: False]",
                ),
                OptionHelp(
                    "--effort",
                    "integer",
                    "1 is fast, 9 is slow; 1 without loss, else 3 by default. (between 1 and 9)",
                ),
            ),
        ),
        "webp": Member(
            "imgpipe.formats.webp",
            "WebP, whole; lossy or lossless, animations.",
            name="WebP",
            suffixes=(".webp",),
            magic=(b"RIFF????WEBP",),
            options=(
                OptionHelp(
                    "--quality",
                    "integer",
                    "1 is the smallest file, 100 the closest to the image. (between 1 and 100) "
                    "[default: 80]",
                ),
                OptionHelp(
                    "--lossless/--no-lossless",
                    "",
                    "Every value is kept, whatever the quality. [default: False]",
                ),
                OptionHelp(
                    "--effort",
                    "integer",
                    "0 is fast, 6 is slow with a small file. (between 0 and 6) [default: 2]",
                ),
            ),
        ),
        "avif": Member(
            "imgpipe.formats.avif",
            "AVIF, whole; lossy or lossless, animations.",
            name="AVIF",
            suffixes=(".avif", ".avifs"),
            magic=(
                b"????ftypavif",
                b"????ftypavis",
                b"????ftypmif1????avif",
                b"????ftypmif1????????avif",
                b"????ftypmif1????????????avif",
            ),
            options=(
                OptionHelp(
                    "--quality",
                    "integer",
                    "1 is the smallest file, 100 the closest to the image. (between 1 and 100) "
                    "[default: 75]",
                ),
                OptionHelp(
                    "--lossless/--no-lossless",
                    "",
                    "Every value is kept, whatever the quality. [default: False]",
                ),
                OptionHelp(
                    "--effort",
                    "integer",
                    "0 is fast, 10 is slow with a small file. (between 0 and 10) [default: 1]",
                ),
            ),
        ),
        "gif": Member(
            "imgpipe.formats.gif",
            "GIF, whole; up to 256 colours, animations.",
            name="GIF",
            suffixes=(".gif",),
            magic=(b"GIF87a", b"GIF89a"),
        ),
        "qoi": Member(
            "imgpipe.formats.qoi",
            "QOI, whole; lossless and fast.",
            name="QOI",
            suffixes=(".qoi",),
            magic=(b"qoif",),
        ),
        "heif": Member(
            "imgpipe.formats.heif",
            "HEIF, as of phones; read only.",
            name="HEIF",
            suffixes=(".heic", ".heif", ".hif"),
            magic=(
                b"????ftypheic",
                b"????ftypheix",
                b"????ftypheim",
                b"????ftypheis",
                b"????ftypmif1",
                b"????ftypmsf1",
                b"????ftyphevc",
            ),
            needs=("pillow_heif",),
            extra="imgpipe[heif]",
        ),
    },
    group="imgpipe.formats",
)

EXECUTORS = Registry(
    "executor",
    {
        "serial": Member(
            "imgpipe.executors.serial", "No workers: one task after the other.", "SerialExecutor"
        ),
        "threads": Member(
            "imgpipe.executors.threads", "Threads of this process.", "ThreadExecutor"
        ),
        "processes": Member(
            "imgpipe.executors.processes.keeping",
            "Processes of this machine; one that dies is replaced.",
            "processes",
        ),
    },
    group="imgpipe.executors",
)


def format_name(given: str) -> str:
    """Return the name of a format that is given by its name or by one of its suffixes."""
    name = given.lower().removeprefix(".")
    by_suffix = (each for each, member in FORMATS.items() if f".{name}" in member.suffixes)
    return name if name in FORMATS.built_in else next(by_suffix, name)
