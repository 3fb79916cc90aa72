"""Codecs of imagecodecs, which may be built without some of them."""

from __future__ import annotations

import imagecodecs

from imgpipe.errors import FormatError, UsageError

__all__ = ["must_decode", "must_encode"]


def must_decode(codec: str, name: str) -> None:
    """Refuse to read the file `name` where imagecodecs has no such codec.

    Raises
    ------
    FormatError
        If that is so.
    """
    if not _has(codec):
        raise FormatError(f"{name}: {_remedy(codec)}")


def must_encode(codec: str, name: str) -> None:
    """Refuse to write the file `name` where imagecodecs has no such codec.

    Raises
    ------
    UsageError
        If that is so.
    """
    if not _has(codec):
        raise UsageError(f"{name}: {_remedy(codec)}")


def _has(codec: str) -> bool:
    return bool(getattr(getattr(imagecodecs, codec, None), "available", False))


def _remedy(codec: str) -> str:
    return f"imagecodecs was built without {codec}; install its wheel: pip install -U imagecodecs"
