"""Tokens: the words and marks of the text of a chain."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from imgpipe.errors import ChainError
from imgpipe.records import dataclass

__all__ = ["Token", "as_word", "scan"]

_MARKS = "|:,="
_QUOTES = "'\""


@dataclass(frozen=True)
class Token:
    """A word or a mark, and where it begins."""

    kind: str  # "word", one of the marks, or "end"
    text: str
    at: int


def scan(text: str) -> Iterator[Token]:
    """Yield the words and marks of a text, then its end.

    Raises
    ------
    ChainError
        If a quote is where none can be, or is never closed.
    """
    at, first = 0, True  # whether a name comes next
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        start = at
        if text[at] in _MARKS:
            at += 1
            yield Token(text[start], text[start], start)
        elif path := (_path_of_python if first else _path_with_blanks)(text[at:]):
            at += len(path)
            yield Token("word", path, start)
        else:
            word, at = (_quoted if text[at] in _QUOTES else _bare)(text, at)
            yield Token("word", word, start)
        first = text[start] == "|"
    yield Token("end", "", len(text))


def _path_of_python(text: str) -> str:
    """Return the path of an existing file that `text` begins with; it may have any characters."""
    ends = (found.end() for found in re.finditer(r"\.py(?=\s*:)", text))
    return next((text[:end] for end in ends if os.path.isfile(text[:end])), "")


def _path_with_blanks(text: str) -> str:
    """Return the path that `text` begins with, of a file that is there, with blanks or quotes."""
    value = text.partition("|")[0]
    ends = [*(found.start() for found in re.finditer("[:,=]", value)), len(value)]
    paths = (value[:end].rstrip() for end in ends)
    return next((p for p in paths if re.search(r"[\s'\"]", p) and os.path.isfile(p)), "")


def _bare(text: str, start: int) -> tuple[str, int]:
    """Return the word that begins at `start`, and where it ends."""
    at = start
    if re.match(r"[A-Za-z]:[\\/]", text[start : start + 3]):
        at += 2
    while at < len(text) and not text[at].isspace() and text[at] not in _MARKS:
        if text[at] in _QUOTES:
            raise ChainError("a quote inside a word; put the whole word in quotes", text, at)
        at += 1
    return text[start:at], at


def _quoted(text: str, start: int) -> tuple[str, int]:
    """Return the text between the quotes that begin at `start`, and their end."""
    quote, at, inside = text[start], start + 1, ""
    while at < len(text) and text[at] != quote:
        if text[at] == "\\" and text[at + 1 : at + 2] in (quote, "\\"):
            at += 1
        inside += text[at]
        at += 1
    if at == len(text):
        raise ChainError("this quote is not closed; add the closing quote", text, start)
    at += 1
    if at < len(text) and not text[at].isspace() and text[at] not in _MARKS:
        raise ChainError("text follows the closing quote; put the whole word in quotes", text, at)
    return inside, at


def as_word(text: str) -> str:
    """Return `text` as a word, in quotes if it needs them."""
    if text and not any(c.isspace() or c in _MARKS or c in _QUOTES for c in text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
