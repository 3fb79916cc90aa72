"""Outputs: the names that the files of a batch get, one for each size and format."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from imgpipe.batches.destination import Placed
from imgpipe.batches.naming import Template
from imgpipe.batches.walk import Found, image_suffixes
from imgpipe.errors import FormatError, UsageError
from imgpipe.formats.choosing import HEAD_BYTES, format_called, format_for, format_of
from imgpipe.records import dataclass

__all__ = ["Naming", "natural"]

_PARTS = re.compile(r"(\d+)")

Header = Callable[[Found], Mapping[str, int]]
"""Returns width and height of the output of a file, from its header."""


@dataclass(frozen=True)
class Naming:
    """How outputs are called.

    Attributes
    ----------
    template : Template or None
        The template; None for the name of the source, with the suffix of the output, and with the
        size where there are several.
    formats : tuple of str
        Formats of the outputs; empty for that of the source.
    sizes : tuple of int
        Sizes of the outputs; empty where they have but one.
    filters : str
        Names of the filters.
    """

    template: Template | None = None
    formats: tuple[str, ...] = ()
    sizes: tuple[int, ...] = ()
    filters: str = ""

    def __post_init__(self) -> None:
        template = self.template
        if template is None and len(self.sizes) > 1:
            object.__setattr__(self, "template", Template("{stem}-{size}.{ext}"))
        elif template is not None and len(self.sizes) > 1 and "size" not in template.names:
            raise UsageError(
                f"name {template.text!r} is the same for every size; put {{size}} in it"
            )
        if template is not None and len(self.formats) > 1 and "ext" not in template.names:
            raise UsageError(
                f"name {template.text!r} is the same for every format; put {{ext}} in it"
            )

    def placed(self, files: Sequence[Found], header: Header) -> Iterator[Placed]:
        """Yield each file with each of its outputs.

        Parameters
        ----------
        files : sequence of Found
            All files.
        header : callable
            Asked only where the template needs it.

        Raises
        ------
        UsageError
            If a format cannot be written.
        """
        if self.template is None:
            yield from self._by_source(files)
            return
        numbers: Mapping[Found, int] = {}
        if "index" in self.template.names:
            arranged = sorted(files, key=lambda found: natural(found.below))
            numbers = {found: number for number, found in enumerate(arranged, 1)}
        for found in files:
            known = dict(header(found)) if self.template.needs_header else {}
            known |= {"index": numbers.get(found, 0)}
            for suffix, size in itertools.product(self._suffixes(found), self.sizes or (0,)):
                values: dict[str, str | int] = {"ext": suffix[1:], "filter": self.filters}
                values |= {"size": size, "page": 0, **known}
                yield Placed(found, self.template.fill(found, values))

    def _by_source(self, files: Iterable[Found]) -> Iterator[Placed]:
        """Yield the files with the outputs that are called like them: this is quick."""
        suffixes: dict[str, tuple[str, ...]] = {}
        for found in files:
            folder, name = found
            dot = name.rfind(".")
            suffix = name[dot:] if dot > 0 else ""
            if suffix not in suffixes:
                suffixes[suffix] = self._suffixes(found)
            begin = f"{folder.below}{os.sep}" if folder.below else ""
            stem = name[:dot] if dot > 0 else name
            for new in suffixes[suffix]:
                yield Placed(found, f"{begin}{stem}{new}")

    def _suffixes(self, found: Found) -> tuple[str, ...]:
        """Return the suffixes of the outputs of a file: its own, where that is of the format."""
        own = os.path.splitext(found.name)[1]
        if not self.formats:
            return (_writable(found, own),)
        known = [format_called(each).suffixes for each in self.formats]
        return tuple(own if own.lower() in each else each[0] for each in known)


def _writable(found: Found, own: str) -> str:
    """Return the suffix of an output of the same format."""
    if own.lower() in image_suffixes():
        format_for(found.name)
        return own
    try:
        with open(found.path, "rb") as file:
            content = format_of(found.path, file.read(HEAD_BYTES))
    except (OSError, FormatError) as error:
        raise UsageError(
            f"{found.path}: its name does not say a format, nor does its content; --format does"
        ) from error
    if content.write is None:
        raise UsageError(f"{found.path}: {content.name} can only be read; choose a --format")
    return content.suffixes[0]


def natural(path: str) -> list[str | int]:
    """Return a key that sorts ``img2`` before ``img10``."""
    parts: list[str | int] = list(_PARTS.split(path))
    parts[1::2] = [int(part) for part in parts[1::2]]
    return parts
