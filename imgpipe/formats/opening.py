"""Files are opened by what they hold when read, and by their suffix when written."""

from __future__ import annotations

import os
import stat
from typing import Any, cast

from imgpipe import arguments
from imgpipe.admission import Alpha, alpha_channel, may_be_alpha
from imgpipe.errors import FormatError, InputError, UsageError
from imgpipe.formats.base import Sink, Source
from imgpipe.image import ImageInfo
from imgpipe.registry import FORMATS

__all__ = ["must_be_meant", "open_sink", "open_source"]

_HEAD_BYTES = 64


def open_source(
    path: str | os.PathLike[str], max_pixels: int | str | None = None, alpha: Alpha = None
) -> Source:
    """Return the source for the image file at `path`.

    `alpha` says which channel is alpha in a format that does not say so itself.

    Raises
    ------
    UsageError
        If the path, `max_pixels` or `alpha` cannot be meant.
    InputError
        If there is no such file or it cannot be read; `FormatError`, `CorruptError` and
        `LimitError` where it is not an image that can be used.
    """
    name = arguments.path(path, "src")
    limit = None if max_pixels is None else arguments.size(max_pixels, "max_pixels")
    head = _head(name)
    broken: list[str] = []
    for format_name in FORMATS:
        module = _loaded(format_name, broken)
        if module is not None and module.matches(head):
            if not getattr(module, "SAYS_ALPHA", True):
                return cast(Source, module.open_source(name, limit, alpha))
            source = cast(Source, module.open_source(name, limit))
            _must_agree(source.info, alpha, name)
            return source
    if not head:
        raise FormatError(f"{name}: is empty; get a fresh copy")
    known = ", ".join(FORMATS)
    raise FormatError(
        f"{name}: is not an image that imgpipe reads ({known}); convert it to one of these first"
        f"{''.join(broken)}"
    )


def open_sink(
    path: str | os.PathLike[str], info: ImageInfo, *, compression: int | None = None
) -> Sink:
    """Return the sink for an image file at `path`, in the format that its suffix names.

    Raises
    ------
    UsageError
        If no format has that suffix, or it cannot hold such an image.
    OutputError
        If the file cannot be written.
    """
    name = arguments.path(path, "dst")
    options: dict[str, Any] = {}
    if compression is not None:
        options["compression"] = arguments.whole(compression, "compression", at_least=0, at_most=9)
    module = _format_for(name)
    return cast(Sink, module.open_sink(name, info, **options))


def must_be_meant(src: Any, dst: Any, max_pixels: Any, compression: Any, alpha: Any) -> None:
    """Refuse what no file that may be there could make right.

    Raises
    ------
    UsageError
        As `open_source` and `open_sink` do.
    """
    arguments.path(src, "src")
    _format_for(arguments.path(dst, "dst"))
    if max_pixels is not None:
        arguments.size(max_pixels, "max_pixels")
    if compression is not None:
        arguments.whole(compression, "compression", at_least=0, at_most=9)
    if not may_be_alpha(alpha):
        raise UsageError(
            f"alpha must be the number of the last channel, 'last' or 'none', not {alpha!r}"
        )


def _must_agree(info: ImageInfo, alpha: Alpha, name: str) -> None:
    """Refuse an alpha that is not the one that the file has."""
    if alpha is None or alpha_channel(alpha, info.channels, name) == info.alpha:
        return
    says = "there is no alpha" if info.alpha is None else f"channel {info.alpha} is alpha"
    raise UsageError(
        f"{name}: this file declares that {says}; leave out --alpha (alpha= in Python), which is "
        "only for files that do not declare alpha, such as .npy"
    )


def _format_for(name: str) -> Any:
    suffix = os.path.splitext(name)[1].lower()
    known: list[str] = []
    broken: list[str] = []
    for format_name in FORMATS:
        if (module := _loaded(format_name, broken)) is not None:
            known += module.SUFFIXES
            if suffix in module.SUFFIXES:
                return module
    if not suffix and _is_device(name):
        return FORMATS.load("png")
    what = f"no format has the suffix {suffix!r}" if suffix else "has no suffix for its format"
    raise UsageError(
        f"{name}: {what}; the output must end in {' or '.join(known)}{''.join(broken)}"
    )


def _loaded(format_name: str, broken: list[str]) -> Any:
    """Return the module of a format; None, with the reason in `broken`, if it is of no use.

    Whose package is broken may have no part in the matter, so that is told last.
    """
    try:
        module = FORMATS.load(format_name)
        _ = module.matches, module.SUFFIXES, module.open_source
    except UsageError as error:
        broken.append(f" (besides, {error})")
    except AttributeError as error:
        broken.append(f" (besides, the format {format_name!r} is incomplete: {error})")
    else:
        return module
    return None


def _is_device(name: str) -> bool:
    try:
        mode = os.stat(name).st_mode
    except OSError:
        return False
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode) or stat.S_ISDIR(mode)


def _head(name: str) -> bytes:
    try:
        found = os.stat(name)
        if stat.S_ISDIR(found.st_mode):
            raise InputError(f"{name}: is a directory; give the path of an image file")
        if not stat.S_ISREG(found.st_mode):
            raise InputError(f"{name}: is a pipe or a device; give the path of an image file")
        with open(name, "rb") as file:
            return file.read(_HEAD_BYTES)
    except FileNotFoundError:
        raise InputError(f"{name}: there is no such file; check the path") from None
    except PermissionError:
        raise InputError(f"{name}: may not be read; check its permissions") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{name}: cannot be read: {reason.lower()}") from None
