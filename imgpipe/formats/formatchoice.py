"""Choice of the format of a file: by its first bytes for reading, by its suffix for writing.

The table of the registry decides, so that one module is loaded. Formats of other packages are
loaded if no format of the table fits.
"""

from __future__ import annotations

import importlib.util
import os
import re
import stat
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from imgpipe.errors import FormatError, UsageError
from imgpipe.formats.declaration import Format
from imgpipe.registry import FORMATS, format_name

if TYPE_CHECKING:
    from imgpipe.registry import Member

__all__ = [
    "FOR_DEVICES",
    "HEAD_BYTES",
    "format_called",
    "format_for",
    "format_of",
    "format_of_folder",
    "loaded",
    "other_of_suffix",
    "usable",
]

HEAD_BYTES = 64
FOR_DEVICES = "png"
"""The format of devices and of streams without a suffix."""

_KNOWN = re.compile(rb"[^?]+", re.DOTALL)


def format_of(name: str, head: bytes) -> Format:
    """Return the format of a file that is to be read.

    Parameters
    ----------
    name : str
        The file.
    head : bytes
        Its first `HEAD_BYTES` bytes.

    Raises
    ------
    FormatError
        If there is no such format, or it cannot be used.
    """
    broken: list[str] = []
    try:
        found = _of_table(head) or _best(lambda one: _alike(one, head), broken)
        found = found or _best(lambda one: _named(one, name) if _by_suffix(one) else 0, broken)
    except UsageError as error:
        raise FormatError(f"{name}: {error}") from None
    if found is not None and found.read is not None:
        return found
    if found is not None:
        raise FormatError(
            f"{name}: {found.name} can only be written; give a file of another format"
        )
    if not head:
        raise FormatError(f"{name}: is empty; get a fresh copy")
    known = ", ".join(FORMATS)
    raise FormatError(
        f"{name}: is not an image that imgpipe reads ({known}); convert it to one of these first"
        f"{_besides(broken)}"
    )


def format_of_folder(name: str, files: frozenset[str]) -> Format | None:
    """Return the format of a folder that holds files of these names; None if there is none.

    Raises
    ------
    FormatError
        If it cannot be used.
    """
    try:
        found = _best(lambda one: len(files.intersection(one.marks)), [])
    except UsageError as error:
        raise FormatError(f"{name}: {error}") from None
    return found if found is not None and found.read is not None else None


def format_for(name: str) -> Format:
    """Return the format of a file that is to be written: that of its suffix; PNG for a device.

    Raises
    ------
    UsageError
        If there is no such format, or it cannot be used.
    """
    broken: list[str] = []
    try:
        found = _best(lambda one: _named(one, name), broken)
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from None
    if found is not None and found.write is not None:
        return found
    if found is not None:
        raise UsageError(f"{name}: {found.name} can only be read; choose another suffix")
    suffix = os.path.splitext(name)[1].lower()
    if not suffix and _is_device(name):
        return loaded(FOR_DEVICES)
    fault = f"no format has the suffix {suffix!r}" if suffix else "has no suffix for its format"
    every: list[Member | Format] = [*FORMATS.built_in.values(), *_added([])]
    *known, last = [one.suffixes[0] for one in every if one.suffixes and not one.read_only]
    raise UsageError(
        f"{name}: {fault}; the output must end in {', '.join(known)} or {last}, or another suffix "
        f"that `imgpipe formats` lists{_besides(broken)}"
    )


def format_called(name: str) -> Format:
    """Return the format of this name or suffix, for writing.

    Raises
    ------
    UsageError
        If there is no such format, or it can only be read.
    """
    found = loaded(format_name(name))
    if found.write is None:
        raise UsageError(f"{found.name} can only be read; choose another format")
    return found


def loaded(name: str) -> Format:
    """Return the format that is registered as `name`, imported.

    Raises
    ------
    UsageError
        If there is none, it does not load, or a module that it needs is not installed.
    """
    if name in FORMATS:
        _must_have(FORMATS[name])
    found = FORMATS.load(name)
    found = getattr(found, "FORMAT", found)
    if not isinstance(found, Format):
        module = FORMATS[name].module
        raise UsageError(f"the format {name!r} is incomplete: {module} declares no FORMAT")
    _must_have(found)
    return found


def other_of_suffix(name: str, chosen: Format) -> str | None:
    """Return the name of the format that the suffix of a file names, if it is not the chosen one.

    None as well if the suffix is of no format that is part of imgpipe.
    """
    if _named(chosen, name):
        return None
    found = max(FORMATS.built_in.values(), key=lambda one: _named(one, name))
    return found.name if _named(found, name) else None


def usable(broken: list[str]) -> dict[str, Format]:
    """Return every format that can be used, by its name; add to `broken` the errors of others."""
    found = {}
    for name in FORMATS:
        try:
            found[name] = loaded(name)
        except UsageError as error:
            broken.append(str(error))
    return found


def _best(score: Callable[[Member | Format], int], broken: list[str]) -> Format | None:
    """Return the format with the highest score, above 0; those of the table come first."""
    table = FORMATS.built_in
    name = max(table, key=lambda name: score(table[name]))
    if score(table[name]):
        return loaded(name)
    best = max(_added(broken), key=score, default=None)
    return best if best is not None and score(best) else None


def _added(broken: list[str]) -> list[Format]:
    """Return the formats of other packages; add the errors of failed imports to `broken`."""
    found = []
    for name in FORMATS:
        if name not in FORMATS.built_in:
            try:
                found.append(loaded(name))
            except UsageError as error:
                broken.append(str(error))
    return found


def _besides(broken: list[str]) -> str:
    """Return the end of a message: a broken package may have no part in the matter."""
    return "".join(f" (besides, {reason})" for reason in dict.fromkeys(broken))


def _must_have(one: Member | Format) -> None:
    for module in one.needs:
        if importlib.util.find_spec(module) is None:
            raise UsageError(f"{one.name} needs {module}: pip install '{one.extra or module}'")


def _by_suffix(one: Member | Format) -> bool:
    """Return whether files may be of this format though their first bytes do not say so."""
    return not one.marks and (not one.magic or b"" in one.magic)


def _of_table(head: bytes) -> Format | None:
    """Return the format of the table with the most magic bytes in `head`."""
    found, most = "", 0
    for magic, name in _magics():
        if magic.known > most and magic.is_in(head):
            found, most = name, magic.known
    return loaded(found) if found else None


def _alike(one: Member | Format, head: bytes) -> int:
    """Return the number of bytes of `head` that are magic bytes of this format."""
    return max((each.known for each in map(_magic, one.magic) if each.is_in(head)), default=0)


class _Magic(NamedTuple):
    """Magic bytes: how many, and the stretches of them between bytes that may be any."""

    size: int
    known: int
    runs: tuple[tuple[bytes, int], ...]

    def is_in(self, head: bytes) -> bool:
        """Return whether a file begins with them."""
        first, at = self.runs[0]
        if not head.startswith(first, at) or len(head) < self.size:
            return False
        return all(head.startswith(run, at) for run, at in self.runs[1:])


@cache
def _magic(text: bytes) -> _Magic:
    runs = tuple((found[0], found.start()) for found in _KNOWN.finditer(text))
    return _Magic(len(text), sum(len(run) for run, _ in runs), runs or ((b"", 0),))


@cache
def _magics() -> list[tuple[_Magic, str]]:
    table = FORMATS.built_in.items()
    return [(_magic(text), name) for name, one in table for text in one.magic]


def _named(one: Member | Format, name: str) -> int:
    """Return the length of the suffix of a file name if it is of this format, else 0."""
    if not name.lower().endswith(tuple(one.suffixes)):
        return 0
    base = os.path.basename(name).lower()
    fit = [s for s in one.suffixes if base.endswith(s) and len(base) > len(s)]
    return max(map(len, fit), default=0)


def _is_device(name: str) -> bool:
    try:
        mode = os.stat(name).st_mode
    except OSError:
        return False
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode) or stat.S_ISDIR(mode)
