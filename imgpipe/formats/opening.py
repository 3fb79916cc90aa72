"""Files are opened by what they hold when read, and by their suffix when written."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import Any

from imgpipe import arguments
from imgpipe.admission import Alpha, alpha_channel, may_be_alpha
from imgpipe.errors import InputError, UsageError
from imgpipe.formats.base import Sink, Source
from imgpipe.formats.choosing import HEAD_BYTES, format_for, format_of
from imgpipe.formats.declaration import Format
from imgpipe.formats.fitting import fitted
from imgpipe.image import ImageInfo

__all__ = ["must_be_meant", "must_take", "open_sink", "open_source", "saved"]


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
    chosen = format_of(name, _head(name))
    assert chosen.read is not None
    if not chosen.says_alpha:
        return chosen.read(name, limit, alpha)
    source = chosen.read(name, limit)
    _must_agree(source.info, alpha, name)
    return source


def open_sink(
    path: str | os.PathLike[str], info: ImageInfo, save: Mapping[str, Any] | None = None
) -> Sink:
    """Return the sink for an image file at `path`, in the format that its suffix names.

    `save` are the options of that format.

    Raises
    ------
    UsageError
        If no format has that suffix, it cannot hold such an image, or has no such options.
    OutputError
        If the file cannot be written.
    """
    name = arguments.path(path, "dst")
    chosen = format_for(name)
    assert chosen.write is not None
    options = _options(chosen, save, name)
    return chosen.write(name, fitted(info, chosen, name), **options)


def must_take(dst: str | os.PathLike[str], save: Mapping[str, Any]) -> None:
    """Refuse a path that names no format, and options that its format does not have.

    Raises
    ------
    UsageError
        As `open_sink` does.
    """
    name = arguments.path(dst, "dst")
    _options(format_for(name), save, name)


def saved(save: Any, compression: Any = None) -> Mapping[str, Any]:
    """Return the options of the output, of which compression may be given by itself.

    Raises
    ------
    UsageError
        If they have no names, or compression is given twice.
    """
    if save is None:
        save = {}
    if not isinstance(save, Mapping) or not all(isinstance(key, str) for key in save):
        raise UsageError(
            "save must be the options of the output format by name, such as "
            f"{{'compression': 3}}, not {arguments.shown(save)}"
        )
    if compression is None:
        return save
    if "compression" in save:
        raise UsageError("compression is given twice: by itself and in save; leave one out")
    return {**save, "compression": compression}


def must_be_meant(
    src: Any, dst: Any, max_pixels: Any, compression: Any, alpha: Any, save: Any
) -> None:
    """Refuse what no file that may be there could make right.

    Raises
    ------
    UsageError
        As `open_source` and `open_sink` do.
    """
    arguments.path(src, "src")
    must_take(dst, saved(save, compression))
    if max_pixels is not None:
        arguments.size(max_pixels, "max_pixels")
    if not may_be_alpha(alpha):
        raise UsageError(
            f"alpha must be the number of the last channel, 'last' or 'none', not {alpha!r}"
        )


def _options(format: Format, save: Mapping[str, Any] | None, name: str) -> dict[str, Any]:
    """Return the options that are given, checked."""
    return {key: format.option(key, name).check(value, name) for key, value in (save or {}).items()}


def _must_agree(info: ImageInfo, alpha: Alpha, name: str) -> None:
    """Refuse an alpha that is not the one that the file has."""
    if alpha is None or alpha_channel(alpha, info.channels, name) == info.alpha:
        return
    says = "there is no alpha" if info.alpha is None else f"channel {info.alpha} is alpha"
    raise UsageError(
        f"{name}: this file declares that {says}; leave out --alpha (alpha= in Python), which is "
        "only for files that do not declare alpha, such as .npy"
    )


def _head(name: str) -> bytes:
    try:
        found = os.stat(name)
        if stat.S_ISDIR(found.st_mode):
            raise InputError(f"{name}: is a directory; give the path of an image file")
        if not stat.S_ISREG(found.st_mode):
            raise InputError(f"{name}: is a pipe or a device; give the path of an image file")
        with open(name, "rb") as file:
            return file.read(HEAD_BYTES)
    except FileNotFoundError:
        raise InputError(f"{name}: there is no such file; check the path") from None
    except PermissionError:
        raise InputError(f"{name}: may not be read; check its permissions") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{name}: cannot be read: {reason.lower()}") from None
