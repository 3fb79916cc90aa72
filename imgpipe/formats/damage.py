"""Damage of files: errors about their bytes become one kind, with the remedy."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from imgpipe.errors import CorruptError
from imgpipe.formats.wholedecoding import reason_of

__all__ = ["damage"]


@contextlib.contextmanager
def damage(
    name: str,
    words: str = "the file is damaged ({})",
    errors: type[Exception] | tuple[type[Exception], ...] = ValueError,
) -> Iterator[None]:
    """Turn errors about the bytes of the file `name` into one error that names it.

    Parameters
    ----------
    name : str
        The file.
    words : str
        The message, with a place for the reason.
    errors : type or tuple of types
        The exceptions.

    Raises
    ------
    CorruptError
        If there was one.
    """
    try:
        yield
    except errors as error:
        reason = words.format(reason_of(error))
        raise CorruptError(f"{name}: {reason}; get a fresh copy") from None
