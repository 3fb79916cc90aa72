"""Arguments of imgpipe's functions, checked in one place.

Each function returns the value as the engine wants it, or says which value it must be. An image
in memory is checked by `admission`, a parameter of a filter by `parameters`.
"""

from __future__ import annotations

import math
import operator
import os
import re
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from imgpipe.errors import UsageError
from imgpipe.geometry import Box

__all__ = [
    "box",
    "flag",
    "function",
    "functions",
    "one_of",
    "pair",
    "parse_size",
    "path",
    "paths",
    "seconds",
    "shown",
    "size",
    "text",
    "texts",
    "whole",
]

_UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_LARGEST = 1 << 62  # limit of the system's own calls


def path(given: Any, name: str) -> str:
    """Return the path of a file as text.

    Raises
    ------
    UsageError
        If it is empty, bytes, or no path at all.
    """
    if isinstance(given, os.PathLike):
        given = given.__fspath__()
    if isinstance(given, str) and "\0" in given:
        raise UsageError(f"{name} must be the path of a file, without a null character")
    if isinstance(given, str) and given:
        return given
    if isinstance(given, bytes):
        raise UsageError(f"{name} must be a path as text, not as bytes; give os.fsdecode({name})")
    if isinstance(given, str):
        raise UsageError(f"{name} is an empty path; give the path of a file")
    kind = "None" if given is None else type(given).__name__
    hint = "; imgpipe.apply takes images in memory" if hasattr(given, "__array__") else ""
    raise UsageError(f"{name} must be the path of a file, not {kind}{hint}")


def paths(given: Any, name: str) -> tuple[str, ...]:
    """Return a path, or each of several, as text.

    Raises
    ------
    UsageError
        If it is neither, or one of them is no path.
    """
    return tuple(path(each, name) for each in _several(given, name, "a path", "paths"))


def text(given: Any, name: str) -> str:
    """Return a text.

    Raises
    ------
    UsageError
        If it is anything else.
    """
    if not isinstance(given, str):
        raise UsageError(f"{name} must be text, not {shown(given)}")
    return given


def texts(given: Any, name: str) -> tuple[str, ...]:
    """Return a text, or several.

    Raises
    ------
    UsageError
        If it is neither, or one of them is no text.
    """
    return tuple(text(each, name) for each in _several(given, name, "text", "texts"))


def _several(given: Any, name: str, one: str, many: str) -> Iterable[Any]:
    """Return a path or a text as the only one of several, and several as they are."""
    if isinstance(given, (str, bytes, os.PathLike)):
        return (given,)
    if not isinstance(given, Iterable):
        raise UsageError(f"{name} must be {one}, or a list of {many}, not {shown(given)}")
    return given


def folder(given: Any, name: str) -> str:
    """Return the absolute path of a folder that files can be made in.

    Raises
    ------
    UsageError
        If it is none.
    """
    found = os.path.abspath(path(given, name))
    if not os.path.isdir(found):
        raise UsageError(f"{name}: {found} is no folder; create it, or give another one")
    if not os.access(found, os.W_OK | os.X_OK):
        raise UsageError(f"{name}: {found} may not be written to; give another folder")
    return found


def whole(given: Any, name: str, *, at_least: int, at_most: int = _LARGEST) -> int:
    """Return a whole number of Python or of NumPy as an int.

    Raises
    ------
    UsageError
        If it is of another type, or out of bounds.
    """
    number = _index(given)
    if number is None or not at_least <= number <= at_most:
        bounds = f"at least {at_least}" if at_most == _LARGEST else f"{at_least} to {at_most}"
        raise UsageError(f"{name} must be a whole number, {bounds}, not {shown(given)}")
    return number


def pair(given: Any, name: str, *, at_least: int) -> tuple[int, int]:
    """Return a number of pixels, or rows and columns, as rows and columns.

    Raises
    ------
    UsageError
        If it is neither one whole number nor two, or one of them is too small.
    """
    given = _listed(given)
    both = given if isinstance(given, (tuple, list)) else (given, given)
    found = [number for number in map(_index, both) if number is not None]
    if len(both) != 2 or len(found) != 2 or not at_least <= min(found) <= max(found) <= _LARGEST:
        one = both[0] if len(both) == 2 and both[0] == both[1] else given
        raise UsageError(
            f"{name} must be a whole number of pixels, at least {at_least}, or a pair of them "
            f"(rows, columns), not {shown(one)}"
        )
    return found[0], found[1]


def box(given: Any, name: str) -> Box:
    """Return a box, or the four numbers of one, as a `Box` that is not empty.

    Raises
    ------
    UsageError
        If these are not four whole numbers, or no pixel is between them.
    """
    if isinstance(given, Box):
        given = given.y0, given.x0, given.y1, given.x1
    given = _listed(given)
    sides = given if isinstance(given, (tuple, list)) else ()
    found = [number for number in map(_index, sides) if number is not None]
    made = Box(*found) if len(sides) == len(found) == 4 else Box(0, 0, 0, 0)
    if made.empty or min(made.y0, made.x0) < 0:
        raise UsageError(
            f"{name} must be a Box or (y0, x0, y1, x1) in whole pixels, where y0 < y1 and "
            f"x0 < x1, not {shown(given)}"
        )
    return made


def size(given: Any, name: str) -> int:
    """Return a number of bytes or pixels, which may be text such as ``512M``.

    Raises
    ------
    UsageError
        If it is no such number, or less than 1.
    """
    if isinstance(given, str):
        try:
            return parse_size(given)
        except ValueError as error:
            raise UsageError(f"{name}: {error}") from None
    number = int(given) if isinstance(given, float) and given.is_integer() else _index(given)
    if number is None or not 1 <= number <= _LARGEST:
        raise UsageError(
            f"{name} must be a whole number, at least 1, or text such as '512M', not {shown(given)}"
        )
    return number


def parse_size(text: str) -> int:
    """Return the number that is written ``512M``, ``4G``, ``1e9`` or ``256KiB``.

    Raises
    ------
    ValueError
        If it is no such text, or the number is too small or too large.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?(?:e\d{1,2})?) ?([kmgt]?)(i)?b?", text.strip().lower())
    if not found:
        raise ValueError(f"{text!r} is not a size such as 512M, 1.5G, 256KiB or 1e9")
    number, unit, binary = found.groups()
    factor = (1024 if binary else 1000) ** _UNITS[unit]
    made = int(number) * factor if number.isdigit() else int(float(number) * factor)
    if made < 1:
        raise ValueError(f"{text!r} is too small; give at least 1")
    if made > _LARGEST:
        raise ValueError(f"{text!r} is too large; give at most 4e18")
    return made


def seconds(given: Any, name: str, *, or_none_at_all: bool = False) -> float:
    """Return a time that can be waited for; with `or_none_at_all` it may be 0.

    Raises
    ------
    UsageError
        If it is no number above 0, NaN, or infinite.
    """
    number = math.nan
    if not isinstance(given, (str, bytes, bool)):
        try:
            number = float(given)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
    if not (0 < number <= threading.TIMEOUT_MAX or (or_none_at_all and number == 0)):
        least = "from 0 on" if or_none_at_all else "above 0"
        raise UsageError(
            f"{name} must be a number of seconds {least}, not {shown(given)}; None means no limit"
        )
    return number


def function(given: Any, name: str, takes: str) -> Callable[..., Any]:
    """Return a function.

    Raises
    ------
    UsageError
        If it cannot be called.
    """
    if not callable(given):
        raise UsageError(f"{name} must be a function of {takes}, not {shown(given)}")
    return given  # type: ignore[no-any-return] # any callable


def functions(given: Any, name: str, takes: str) -> tuple[Callable[..., Any], ...]:
    """Return one function, several, or None, as a tuple of functions.

    Raises
    ------
    UsageError
        If one of them cannot be called.
    """
    several = isinstance(given, Sequence) and not callable(given)
    found = () if given is None else tuple(given) if several else (given,)
    if not all(map(callable, found)):
        raise UsageError(
            f"{name} must be a function of {takes}, or a list of such functions, not {shown(given)}"
        )
    return found


def flag(given: Any, name: str) -> bool:
    """Return True or False.

    Raises
    ------
    UsageError
        If it is neither.
    """
    if type(given).__name__ not in ("bool", "bool_"):
        raise UsageError(f"{name} must be True or False, not {shown(given)}")
    return bool(given)


def one_of(given: Any, name: str, words: Sequence[str]) -> str:
    """Return one of some words.

    Raises
    ------
    UsageError
        If it is none of them.
    """
    if not isinstance(given, str) or given not in words:
        raise UsageError(f"{name} must be one of {', '.join(words)}, not {shown(given)}")
    return given


def _listed(given: Any) -> Any:
    """Return an array of one dimension as a list, and all else as it is."""
    return given.tolist() if getattr(given, "ndim", 0) == 1 else given


def _index(given: Any) -> int | None:
    """Return a whole number as an int; None for anything else, True and False too."""
    if isinstance(given, bool) or type(given).__name__ in ("bool", "bool_"):
        return None
    try:
        return operator.index(given)
    except TypeError:
        return None


def shown(given: Any) -> str:
    """Return `given` as text of one line, its type where that would be long."""
    text = repr(given)
    if hasattr(given, "__array__") or len(text) > 80 or not text.isprintable():
        return f"a {type(given).__name__}"
    return text
