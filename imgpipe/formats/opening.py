"""Opening of image files: for reading by their content, for writing by their suffix."""

from __future__ import annotations

import contextlib
import io
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias, cast

from imgpipe import arguments
from imgpipe.admission import Alpha, alpha_channel
from imgpipe.errors import InputError, OutputError, UsageError
from imgpipe.formats.base import Data, Sink, Source
from imgpipe.formats.declaration import Format, NotCopiedError
from imgpipe.formats.fitting import fitted
from imgpipe.formats.formatchoice import (
    FOR_DEVICES,
    HEAD_BYTES,
    format_called,
    format_for,
    format_of,
    format_of_folder,
    loaded,
    other_of_suffix,
)
from imgpipe.formats.frames import Album, Contents, Timing, must_have_frame
from imgpipe.formats.guardedsources import guarded, guards
from imgpipe.formats.origin import (
    FileOrigin,
    MemoryOrigin,
    Origin,
    head_of,
    pieces_of,
    stream_name,
)
from imgpipe.formats.readwrite import Reading, Writing
from imgpipe.formats.target import FileTarget, MemoryTarget, Target
from imgpipe.image import ImageInfo

if TYPE_CHECKING:
    from imgpipe.formats.folder import FolderTarget

__all__ = [
    "SourceLike",
    "TargetLike",
    "contents_of",
    "format_as",
    "format_at",
    "format_to",
    "must_take",
    "name_of",
    "open_album",
    "open_copy",
    "open_sink",
    "open_source",
    "origin_of",
]

_log = logging.getLogger(__name__)

_MISNAMED = (
    "%s: is written as %s, as --format (format= in Python) says, but its suffix is that of %s; "
    "other programs may refuse it, unless it is named %s"
)

SourceLike: TypeAlias = str | os.PathLike[str] | BinaryIO | Origin
"""An image file that is to be read: its path, its bytes in memory, or a stream of them."""

TargetLike: TypeAlias = str | os.PathLike[str] | BinaryIO
"""An image file that is to be written: its path, or memory or a stream for its bytes.

A path may have a method `target` that takes the marks of a format, and gives the target for it.
"""


def open_source(src: SourceLike, reading: Reading | None = None) -> Source:
    """Return the source for the image file `src`: a path, or a stream of its bytes.

    Raises
    ------
    UsageError
        If the path or the alpha channel cannot be right.
    InputError
        If there is no such file or it cannot be read; `FormatError`, `CorruptError` and
        `LimitError` where it is not an image that can be used.
    """
    reading = reading or Reading()
    origin = origin_of(src)
    chosen = format_at(origin)
    assert chosen.read is not None
    selection = {}
    if chosen.contents is not None:
        selection = {"page": reading.page or 0, "level": reading.level}
    else:
        must_have_frame(reading.page or 0, reading.level, 1, origin.name)
    alpha = () if chosen.says_alpha else (reading.alpha,)
    if reading.salvage:
        origin = _anywhere(origin)
        selection |= {"salvage": True} if chosen.salvages else {}
    with guards(chosen.name, origin.name):
        source = guarded(chosen.read(origin, reading.limit, *alpha, **selection), chosen)
    if chosen.says_alpha:
        _must_agree(source.info, reading.alpha, origin.name)
    return _salvaged(source, origin, reading) if reading.salvage else source


def _anywhere(origin: Origin) -> Origin:
    """Return an origin that workers can open, so that parts are always read in the same way."""
    if getattr(origin, "reference", origin) is not None:
        return origin
    from imgpipe.formats.binarystreams import SpooledOrigin  # noqa: PLC0415 - rarely needed

    with origin.open() as file:
        spooled = SpooledOrigin(file)
    spooled.name = origin.name
    return spooled


def _salvaged(source: Source, origin: Origin, reading: Reading) -> Source:
    from imgpipe.formats.salvage import salvaged  # noqa: PLC0415 - rarely needed

    page = None
    with contextlib.suppress(InputError):
        page = (reading.page or 0) if contents_of(origin).frames > 1 else None
    return salvaged(source, reading.declared(source.info).nodata, page)


def contents_of(origin: Origin) -> Contents:
    """Return the frames, levels and other pictures of a file.

    Raises
    ------
    InputError
        If it cannot be read, or is no image.
    """
    found = format_at(origin)
    with guards(found.name, origin.name):
        return Contents() if found.contents is None else found.contents(origin)


def format_at(origin: Origin) -> Format:
    """Return the format in which the bytes of `origin` are read.

    Raises
    ------
    InputError
        If they cannot be read, or are no image.
    """
    names = getattr(origin, "names", None)  # of the files of a folder
    found = format_of_folder(origin.name, names()) if names is not None else None
    return found or format_of(origin.name, head_of(origin, HEAD_BYTES))


def open_copy(
    origin: Origin, dst: TargetLike, reading: Reading, writing: Writing
) -> tuple[Source, Iterator[Data], Target] | None:
    """Return source, bytes and target of a copy in the same format, with or without metadata.

    None if pixels would have to be decoded.

    Raises
    ------
    InputError, OutputError, UsageError
        As `open_source` and `open_sink` do.
    """
    chosen, name = format_to(dst, writing.format), name_of(dst)
    if reading.salvage:
        return None
    source = open_source(origin, reading)
    declares = chosen.marks and reading.alpha is not None  # the output says which channel it is
    if format_at(origin) != chosen or reading.level or declares:
        return None
    contents = contents_of(origin)
    if contents.private or (reading.page is not None and contents.frames > 1):
        return None
    try:
        content = _content(origin, chosen, source, strip=writing.strip)
    except NotCopiedError as reason:
        _log.warning("%s: decoded and encoded again, because %s", origin.name, reason)
        return None
    if content is None:
        return None
    return source, content, cast(Target, _target(dst, name, chosen))


def _content(
    origin: Origin, chosen: Format, source: Source, *, strip: bool
) -> Iterator[Data] | None:
    """Return the bytes of a copy; None if the format cannot make one."""
    if not strip and not chosen.marks:
        return pieces_of(origin)
    metadata: Any = source.info.metadata.stripped() if strip else None
    return None if chosen.splice is None else chosen.splice(origin, metadata)


def open_sink(
    dst: TargetLike,
    info: ImageInfo,
    save: Mapping[str, Any] | None = None,
    *,
    format: str | None = None,
    hold: Callable[[Any], Any] | None = None,
) -> Sink:
    """Return the sink for an image file `dst`, in the format that its suffix names.

    A stream whose name has no suffix gets a PNG. `save` are the options of the format, and
    `format` is the name of another one. `hold` may hold the output back: see `heldtargets`.

    Raises
    ------
    UsageError
        If no format has that suffix, it cannot hold such an image, or has no such options.
    OutputError
        If the file cannot be written.
    """
    chosen, name = format_to(dst, format), name_of(dst)
    assert chosen.write is not None
    options = _options(chosen, save, name)
    held = fitted(info, chosen, name)
    target: Any = _target(dst, name, chosen)
    target = target if hold is None else hold(target)
    try:
        return chosen.write(target, held, **options)
    except BaseException:
        target.abort()
        raise


def open_album(
    dst: TargetLike, infos: Sequence[ImageInfo], timing: Timing | None, writing: Writing
) -> Album:
    """Return the file `dst` for frames such as these, in a format that holds several.

    Raises
    ------
    UsageError
        If the format cannot hold one of them, or not all in one file, or has no such options.
    OutputError
        If the file cannot be written.
    """
    chosen, name = format_to(dst, writing.format), name_of(dst)
    assert chosen.album is not None
    options = _options(chosen, writing.options, name)
    fit = {info: fitted(info, chosen, name) for info in infos}
    target: Any = _target(dst, name, chosen)
    target = target if writing.hold is None else writing.hold(target)
    try:
        held = tuple(fit[info] for info in infos)
        return FittedAlbum(chosen.album(target, held, timing, **options), chosen, name)
    except BaseException:
        target.abort()
        raise


class FittedAlbum:
    """An album that fits each frame to its format."""

    def __init__(self, album: Album, format: Format, name: str) -> None:
        self._album, self._format, self._name = album, format, name

    def frame(self, info: ImageInfo) -> Sink:
        """Return the sink of the next frame."""
        return self._album.frame(fitted(info, self._format, self._name))

    def commit(self) -> int:
        """Publish the file and return its size in bytes."""
        return self._album.commit()

    def abort(self) -> None:
        """Leave nothing behind."""
        self._album.abort()


def name_of(given: SourceLike | TargetLike, argument: str = "dst") -> str:
    """Return the name in messages of an input or output, given as an argument of this name.

    Raises
    ------
    UsageError
        If it is neither a path nor a stream.
    """
    if argument == "src" and hasattr(given, "reference"):
        return str(getattr(given, "name", given))
    if _is_writable(given) if argument == "dst" else _is_readable(given):
        return stream_name(given)
    return arguments.path(given, argument)


def must_take(dst: TargetLike, writing: Writing) -> None:
    """Refuse a path that names no format, and options that its format does not have.

    Raises
    ------
    UsageError
        As `open_sink` does.
    """
    _options(format_to(dst, writing.format), writing.options, name_of(dst))


def origin_of(src: Any) -> Origin:
    """Return the origin of the bytes of `src`, which may be one already.

    Raises
    ------
    InputError
        If it is closed, or cannot be read.
    """
    if hasattr(src, "reference"):
        origin: Origin = src
        return origin
    if isinstance(src, io.BytesIO):
        if src.closed:
            raise InputError(f"{name_of(src, 'src')}: is closed; give an open binary file")
        return MemoryOrigin(src.getvalue(), name_of(src, "src"))
    if not _is_readable(src):
        name = name_of(src, "src")
        if not os.path.isdir(name):
            return FileOrigin(name)
        from imgpipe.formats.folder import FolderOrigin  # noqa: PLC0415 - rarely needed

        return FolderOrigin(name)
    from imgpipe.formats.binarystreams import SpooledOrigin  # noqa: PLC0415 - rarely needed

    return SpooledOrigin(src)


def _target(dst: Any, name: str, chosen: Format) -> Target | FolderTarget:
    if (other := other_of_suffix(name, chosen)) is not None:
        _log.warning(_MISNAMED, name, chosen.name, other, chosen.suffixes[0])
    if isinstance(dst, io.BytesIO):
        if dst.closed:
            raise OutputError(f"{name}: is closed; give an open binary file")
        return MemoryTarget(dst, name)
    if _is_writable(dst):
        from imgpipe.formats.binarystreams import StreamTarget  # noqa: PLC0415 - rarely needed

        return StreamTarget(dst)
    if (given := getattr(dst, "target", None)) is not None:
        own: Target | FolderTarget = given(chosen.marks)
        return own
    if chosen.marks:
        from imgpipe.formats.folder import FolderTarget  # noqa: PLC0415 - rarely needed

        return FolderTarget(name, chosen.marks)
    return FileTarget(name)


def format_to(dst: TargetLike, format: str | None) -> Format:
    """Return the format in which `dst` is written: that called `format`, or of its suffix.

    Raises
    ------
    UsageError
        If there is none, or it cannot be written there.
    """
    name = name_of(dst)
    by_suffix = not _is_writable(dst) or os.path.splitext(name)[1]
    if format is not None:
        chosen = format_called(format)
    else:
        chosen = format_for(name) if by_suffix else loaded(FOR_DEVICES)
    if chosen.marks and _is_writable(dst):
        raise UsageError(f"{name}: {chosen.name} is a folder of files; give its path")
    return chosen


def format_as(dst: TargetLike, writing: Writing) -> Format:
    """Return the format in which `dst` is written, declared as its options narrow it.

    Raises
    ------
    UsageError
        As `must_take` does.
    """
    chosen = format_to(dst, writing.format)
    options = _options(chosen, writing.options, name_of(dst))
    return chosen if chosen.narrowed is None else chosen.narrowed(chosen, **options)


def _options(format: Format, save: Mapping[str, Any] | None, name: str) -> dict[str, Any]:
    """Return the options that are given, checked."""
    return {key: format.option(key, name).check(value, name) for key, value in (save or {}).items()}


def _must_agree(info: ImageInfo, alpha: Alpha, name: str) -> None:
    """Refuse an alpha channel that is not that of the file."""
    if alpha is None or alpha_channel(alpha, info.channels, name) == info.alpha:
        return
    says = "there is no alpha" if info.alpha is None else f"channel {info.alpha} is alpha"
    raise UsageError(
        f"{name}: this file declares that {says}; leave out --alpha (alpha= in Python), which is "
        "only for files that do not declare alpha, such as .npy"
    )


def _is_readable(given: Any) -> bool:
    """Return whether bytes can be read from `given`."""
    return callable(getattr(given, "read", None)) and not isinstance(given, os.PathLike)


def _is_writable(given: Any) -> bool:
    """Return whether bytes can be written to `given`."""
    return callable(getattr(given, "write", None)) and not isinstance(given, os.PathLike)
