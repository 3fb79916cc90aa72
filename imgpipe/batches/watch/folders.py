"""Folders of a watch: refusal of folders whose files would arrive in one another."""

from __future__ import annotations

import os
from collections.abc import Iterator

from imgpipe.errors import OutputError, UsageError
from imgpipe.publish import explained, make_folder

__all__ = ["left_out", "must_be_apart"]

Identity = tuple[int, int]


def must_be_apart(inbox: str, outbox: str, moves: dict[str, str]) -> None:
    """Raise if the folders of a watch are in each other's way. Nothing was written.

    Parameters
    ----------
    inbox, outbox : str
        The folder that is watched, and that of the outputs.
    moves : dict
        The folders that files are moved to, by the name of the option. They may be in `inbox`.

    Raises
    ------
    UsageError
        If so, or if there is no folder to watch.
    """
    if not os.path.isdir(inbox):
        cure = "is not a folder; give one" if os.path.exists(inbox) else "no such folder; create it"
        raise UsageError(f"{inbox}: {cure}")
    if _overlap(inbox, outbox):
        raise UsageError(
            f"{outbox}: overlaps with the inbox {inbox}, so outputs would become inputs; choose "
            "another folder"
        )
    for option, folder in moves.items():
        if _overlap(folder, outbox):
            raise UsageError(f"{folder}: {option} overlaps with {outbox}; choose another folder")
        if _holds(folder, inbox):
            raise UsageError(f"{folder}: {option} holds the inbox; choose another folder")
        if _device(folder) != _device(inbox):
            raise UsageError(
                f"{folder}: {option} only renames files, and this folder is not on the file system "
                f"of {inbox}; choose a folder there"
            )


def left_out(folders: list[str]) -> tuple[Identity, ...]:
    """Make missing folders; return the identities by which a walk leaves them out.

    Raises
    ------
    OutputError
        If one cannot be made.
    """
    for folder in folders:
        try:
            make_folder(folder)
        except OSError as error:
            raise OutputError(f"{folder}: cannot be made: {explained(error, folder)}") from error
    found = (_identity(folder) for folder in folders)
    return tuple(each for each in found if each is not None)


def _overlap(one: str, other: str) -> bool:
    """Return whether two folders are the same, or one is in the other. They need not exist."""
    return _holds(one, other) or _holds(other, one)


def _holds(outer: str, inner: str) -> bool:
    """Return whether a folder is in another one, or the same."""
    above, below = os.path.realpath(outer), os.path.realpath(inner)
    if above == below or below.startswith(os.path.join(above, "")):
        return True
    key = _identity(outer)  # it may have several paths
    return key is not None and key in _up_from(inner)


def _up_from(path: str) -> Iterator[Identity]:
    """Yield the folder `path` and all folders above it, as far as they exist."""
    here = os.path.realpath(path)
    while True:
        if (key := _identity(here)) is not None:
            yield key
        if here == os.path.dirname(here):
            return
        here = os.path.dirname(here)


def _identity(path: str) -> Identity | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _device(path: str) -> int | None:
    """Return the file system that a folder is on, or will be on."""
    return next(_up_from(path), (None, 0))[0]
