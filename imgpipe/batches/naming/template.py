"""Template: the path of an output below its folder.

A template without a separator names the file within its own folder of the tree.
"""

from __future__ import annotations

import os
import string
from collections.abc import Mapping
from typing import NamedTuple

from imgpipe.batches.inputs.files import Found
from imgpipe.errors import UsageError
from imgpipe.suggestions import suggestion

__all__ = ["VARIABLES", "Template"]

VARIABLES = {
    "dir": "folder of the file below the place where its tree begins",
    "parent": "name of the folder that the file is in",
    "name": "name of the file with its suffix",
    "stem": "name of the file without its suffix",
    "ext": "suffix of the output, without the dot",
    "filter": "names of the filters",
    "width": "width of the output in pixels",
    "height": "height of the output in pixels",
    "size": "size that was asked for, where there are several",
    "page": "number of the frame",
    "index": "number of the source in natural order, from 1",
}
_NUMBERS = {"width", "height", "size", "page", "index"}
_OF_HEADERS = {"width", "height", "page"}


class _Field(NamedTuple):
    before: str  # text
    name: str  # of a variable; empty at the end
    spec: str  # how a number is written


class Template:
    """A template of output names.

    Parameters
    ----------
    text : str
        The template: text with variables in braces, such as ``{stem}-{width}.{ext}``. ``{{`` is a
        brace; ``{index:04}`` is a number with four digits.

    Attributes
    ----------
    text : str
        The template.
    names : frozenset of str
        The variables in it.

    Raises
    ------
    UsageError
        If it has an unknown variable, or could leave the output folder.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._fields = [_checked(text, *each) for each in _parsed(text)]
        self.names = frozenset(each.name for each in self._fields if each.name)
        if not self.names & (VARIABLES.keys() - {"ext", "filter", "size", "page"}):
            raise UsageError(f"name {text!r} is the same for every file; put {{stem}} into it")
        if text.endswith(("/", os.sep, "{dir}")):
            raise UsageError(f"name {text!r} is that of a folder; add {{name}}")
        if "/" in text or os.sep in text:
            self._folder = ""
            _must_stay(text, text.replace("{dir}", "dir"))
        else:
            self._folder = "{dir}"

    @property
    def needs_header(self) -> bool:
        """Return whether a file must be opened to know the name of its output."""
        return bool(self.names & _OF_HEADERS)

    def fill(self, found: Found, values: Mapping[str, str | int]) -> str:
        """Return the path of the output of a file, below the output folder.

        Parameters
        ----------
        found : Found
            The file.
        values : mapping
            The variables that do not follow from the path of the file.

        Raises
        ------
        UsageError
            If a value would lead out of its folder.
        """
        stem, _ = os.path.splitext(found.name)
        folder = found.folder
        known: dict[str, str | int] = {
            "dir": folder.below or os.curdir,
            "parent": os.path.basename(os.path.abspath(folder.path)),
            "name": found.name,
            "stem": stem,
            **values,
        }
        parts = []
        for before, name, spec in self._fields:
            parts.append(before)
            if name:
                value = str(format(known[name], spec))
                if name != "dir" and (os.sep in value or (os.altsep and os.altsep in value)):
                    raise UsageError(f"name {self.text!r}: {{{name}}} is {value!r}, a path")
                parts.append(value)
        filled = "".join(parts)
        if self._folder:
            filled = os.path.join(folder.below, filled)
        return _must_stay(self.text, filled)


def _parsed(text: str) -> list[_Field]:
    try:
        parsed = list(string.Formatter().parse(text))
    except ValueError:
        raise UsageError(
            f"name {text!r}: a brace has no partner; write {{stem}} for a variable, and {{{{ or "
            "}} for the character itself"
        ) from None
    for _, _, _, conversion in parsed:
        if conversion:
            raise UsageError(f"name {text!r}: !{conversion} means nothing here")
    if any(name == "" for _, name, _, _ in parsed):
        raise UsageError(
            f"name {text!r}: there is no {{}}; a variable has a name, such as {{stem}}"
        )
    return [_Field(before, name or "", spec or "") for before, name, spec, _ in parsed]


def _checked(text: str, before: str, name: str, spec: str) -> _Field:
    if name and name not in VARIABLES:
        wrong, known = f"{{{name}}}", [f"{{{each}}}" for each in VARIABLES]
        likely = suggestion(wrong, known, f"there are: {', '.join(known)}")
        raise UsageError(f"name {text!r}: there is no variable {wrong!r}{likely}")
    digits = spec.removesuffix("d")  # Python takes {index:04d} too
    if spec and not (name in _NUMBERS and digits.isascii() and digits.isdigit()):
        raise UsageError(
            f"name {text!r}: {{{name}:{spec}}} means nothing; a number of digits, such as "
            f"{{index:04}}, goes with {', '.join(sorted(_NUMBERS))}"
        )
    return _Field(before, name, digits)


def _must_stay(text: str, path: str) -> str:
    """Return `path` if it stays below the output folder."""
    parts = path.replace(os.altsep or os.sep, os.sep).split(os.sep)
    if os.path.isabs(path) or os.pardir in parts:
        raise UsageError(f"name {text!r} leads out of the output folder, to {path!r}")
    return os.path.join(*(part for part in parts if part not in ("", os.curdir)))
