"""Declarations: the properties of a format, in one value.

A format is one module with a value ``FORMAT``::

    def open_source(origin, max_pixels): ...
    def open_sink(target, info, *, quality: Annotated[int, Between(1, 100), "Quality."] = 90): ...

    FORMAT = Format("Toy", (".toy",), (b"TOY1",), open_source, open_sink, dtypes=("uint8",))

Its options are read from the signature of the writer, like the parameters of a filter from its
function: the same ones in Python (``save={"quality": 80}``) and on the command line
(``--quality 80``, ``-O quality=80``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any, NamedTuple

from imgpipe.errors import ParameterError
from imgpipe.formats.base import Check, Data, Sink, Source
from imgpipe.formats.frames import Album, Contents
from imgpipe.formats.origin import Origin
from imgpipe.metadata import Colour, Metadata
from imgpipe.parameters import Parameter
from imgpipe.records import dataclass
from imgpipe.signatures import parameters_of

__all__ = ["CMYK", "GRAY", "GRAY_ALPHA", "RGB", "RGBA", "Format", "Layout", "NotCopiedError"]


class NotCopiedError(ValueError):
    """Coded pixels cannot be copied, or not without the metadata; the message is the reason."""


class Layout(NamedTuple):
    """A meaning of channels that a file can declare.

    Attributes
    ----------
    channels : int
        Channels, alpha included.
    colour : {"gray", "rgb", "cmyk", "other"}
        The colour model of the channels before alpha.
    alpha : int or None
        The channel that is alpha.
    """

    channels: int
    colour: Colour
    alpha: int | None = None

    def __str__(self) -> str:
        colour = self.colour.upper() if self.colour in ("rgb", "cmyk") else self.colour
        return f"{colour} and alpha" if self.alpha is not None else colour


GRAY, GRAY_ALPHA = Layout(1, "gray"), Layout(2, "gray", 1)
"""The usual layouts of gray images."""
RGB, RGBA = Layout(3, "rgb"), Layout(4, "rgb", 3)
"""The usual layouts of images in colour."""
CMYK = Layout(4, "cmyk")
"""The usual layout of images for print."""


@dataclass(frozen=True)
class Format:
    """The declaration of a format: its contents, its reader and its writer.

    Attributes
    ----------
    name : str
        Its usual spelling, for messages.
    suffixes : tuple of str
        Ends of file names, with the dot, in small letters; the first is the usual one.
    magic : tuple of bytes
        First bytes of its files; a ``?`` stands for any byte. Without magic bytes, files are known
        by their suffix; with empty ones among others, by either.
    read : callable or None
        ``read(origin, max_pixels)`` returns a source. Where files do not say which channel is
        alpha, it takes the `alpha` of the caller as a third argument.
    write : callable or None
        ``write(target, info, **options)`` returns a sink.
    dtypes : tuple of str, or None
        Types of values that files hold; None for all.
    layouts : tuple of Layout, or None
        Meanings of channels that files can declare; None where any number of channels will do.
    says_alpha : bool
        Whether a file says which channel is alpha.
    exact : bool
        Whether reading gives the written pixels, to the bit, with the usual options.
    unless : str
        The option with which it is the other way round, such as ``--quality``; empty if none.
    frames : int or None
        The most images that imgpipe reads from and writes to one file; None for no limit.
    contents : callable or None
        ``contents(origin)`` returns the `frames.Contents` of a file. A format that has it takes
        two more arguments in `read`: ``page``, the number of a frame, and ``level``, of a pyramid.
    album : callable or None
        ``album(target, infos, timing, **options)`` returns the `frames.Album` for frames such as
        these, and refuses those that the format cannot hold in one file.
    timing : tuple of str
        Attributes of `frames.Timing` that its animations keep: ``seconds``, ``loop``.
    pages : bool
        Whether its frames may be pages, which have no timing; else only an animation has frames.
    splice : callable or None
        ``splice(origin, metadata)`` returns an iterator over the bytes of the same file with
        `metadata` alone, its coded pixels as they are. It may raise `NotCopiedError`. Of a folder
        it gives each `folder.Piece`, and `metadata` is None if all of it is to stay.
    intact : callable or None
        ``intact(source, check)`` raises a `CorruptError` if the file of `source` has missing or
        damaged parts, as far as that is known without decoding. It calls `check` now and then.
    checked_pixels : int or None
        The most pixels of a file that are decoded, as a check, when it is copied; None for any
        number. Of a larger file only the parts are checked.
    salvages : bool
        Whether `read` takes one more argument, ``salvage``: True if it is to open files that are
        cut off or damaged too. Their sources raise a `CorruptError` where pixels are missing.
    side : int or None
        The most rows, and the most columns.
    colours : int or None
        The most colours of an image; None for no limit. Where there is one, a pixel is either
        visible or not.
    metadata : tuple of str, or None
        Kinds of metadata that files hold: ``exif``, ``icc``, ``xmp``, ``iptc``, ``geo``,
        ``texts`` (any, and not only those that EXIF has a tag for), ``resolution``, ``nodata``, and
        where there are no layouts ``meaning``, that of the channels. A line tells which others an
        image had; with None there is none.
    narrowed : callable or None
        ``narrowed(format, **options)`` returns the declaration of files that are written with such
        options, where they hold fewer types or layouts.
    marks : tuple of str
        If an image is a folder: names of files, one of which is in it. `read` and `write` get a
        `folder.FolderOrigin` and a `folder.FolderTarget` then.
    needs : tuple of str
        Modules that it needs and that are not installed with imgpipe.
    extra : str
        The package with them, for ``pip install``.
    codecs : tuple of str
        Modules that workers load when they first write, whatever the options. A command loads them
        once for all workers.
    """

    name: str
    suffixes: tuple[str, ...]
    magic: tuple[bytes, ...] = ()
    read: Callable[..., Source] | None = None
    write: Callable[..., Sink] | None = None
    dtypes: tuple[str, ...] | None = None
    layouts: tuple[Layout, ...] | None = None
    says_alpha: bool = True
    exact: bool = True
    unless: str = ""
    frames: int | None = 1
    contents: Callable[[Origin], Contents] | None = None
    album: Callable[..., Album] | None = None
    timing: tuple[str, ...] = ("seconds", "loop")
    pages: bool = False
    splice: Callable[[Origin, Metadata], Iterator[Data]] | None = None
    intact: Callable[[Any, Check], None] | None = None
    checked_pixels: int | None = 16_000_000
    salvages: bool = False
    side: int | None = None
    colours: int | None = None
    metadata: tuple[str, ...] | None = None
    narrowed: Callable[..., Format] | None = None
    marks: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    extra: str = ""
    codecs: tuple[str, ...] = ()

    @property
    def read_only(self) -> bool:
        """Return whether it cannot be written."""
        return self.write is None

    @cached_property
    def options(self) -> tuple[Parameter, ...]:
        """Its options, read from the signature of `write`."""
        return parameters_of(self.write, after=2) if self.write is not None else ()

    def option(self, key: str, name: str) -> Parameter:
        """Return one of its options.

        Parameters
        ----------
        key : str
            The option.
        name : str
            The file, for messages.

        Raises
        ------
        ParameterError
            If there is none of that name.
        """
        for each in self.options:
            if each.name == key:
                return each
        names = ", ".join(each.name for each in self.options)
        has = f"its options: {names}" if names else "it has no options"
        raise ParameterError(f"{name}: {self.name} has no option {key!r}; {has}")
