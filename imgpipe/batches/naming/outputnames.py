"""Output names: one for each size and format of a source."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from imgpipe.batches.inputs.files import Files, Folder, Found, suffix_of
from imgpipe.batches.inputs.walk import SLIDES, image_suffixes
from imgpipe.batches.naming.assignments import Assignment, RenamedAssignments
from imgpipe.batches.naming.template import Template
from imgpipe.errors import FormatError, ImgpipeError, UsageError
from imgpipe.formats.formatchoice import HEAD_BYTES, format_called, format_for, format_of
from imgpipe.records import dataclass

__all__ = ["OutputNames", "natural"]

_NOWHERE = Folder("", "")
_PARTS = re.compile(r"(\d+)")

Header = Callable[[Found, int], Mapping[str, int]]
"""Returns facts about an output of a file, from its header and the number of the output: its width
and height, the page and the number of frames."""

Refused = Callable[[Found, ImgpipeError], None]
"""Is told of a file that cannot get a name, and why."""


def _raised(_: Found, error: ImgpipeError) -> None:
    raise error


@dataclass(frozen=True)
class OutputNames:
    """Names of outputs.

    Attributes
    ----------
    template : Template or None
        The template; None for the name of the source, with the suffix of the output, and with the
        size where there are several.
    formats : tuple of str
        Formats of the outputs; empty for that of the source.
    sizes : tuple of int or str
        Sizes of the outputs; empty where they have but one.
    filters : str
        Names of the filters.
    templates : tuple of Template
        The template of each output of a file, instead of `template` and `sizes`.
    """

    template: Template | None = None
    formats: tuple[str, ...] = ()
    sizes: tuple[int | str, ...] = ()
    filters: str = ""
    templates: tuple[Template, ...] = ()

    def __post_init__(self) -> None:
        if self.templates and (self.template or self.sizes or len(self.formats) > 1):
            raise UsageError("each output has a name of its own; leave other names and sizes out")
        if self.template is not None:
            for noun, name, several in (
                ("size", "size", self.sizes),
                ("format", "ext", self.formats),
            ):
                if len(several) > 1 and name not in self.template.names:
                    raise UsageError(
                        f"name {self.template.text!r} is the same for every {noun}; put "
                        f"{{{name}}} in it"
                    )
        for template in self._templates:
            self._check_suffix(template)
        if self.is_paged and not all("page" in template.names for template in self._templates):
            raise UsageError("each name needs {page}, or none of them")

    def _check_suffix(self, template: Template) -> None:
        """Raise if the end of a template is not that of the format, or of any."""
        suffix = os.path.splitext(template.text)[1].lower()
        known = format_called(self.formats[0]).suffixes if self.formats else image_suffixes()
        if "}" in suffix or (self.formats and not suffix):
            return
        if not template.text.endswith("{name}") and suffix not in known:
            kind = self.formats[0] if self.formats else "any format"
            raise UsageError(
                f"name {template.text!r} is not that of a file of {kind}; let it end with .{{ext}}"
            )

    @property
    def _templates(self) -> tuple[Template, ...]:
        """The templates that were given."""
        return self.templates or ((self.template,) if self.template else ())

    @property
    def count(self) -> int:
        """The number of outputs of a file."""
        if self.templates:
            return len(self.templates)
        return max(1, len(self.formats)) * max(1, len(self.sizes))

    @property
    def remedy(self) -> str:
        """The end of a message about outputs that several sources would have."""
        if self._templates:
            used = {name for template in self._templates for name in template.names}
            more = " or ".join(f"{{{name}}}" for name in ("name", "dir") if name not in used)
            return f"put {more or '{index}'} into the name, so that it tells the sources apart"
        name = "{name}-{size}.{ext}" if len(self.sizes) > 1 else "{name}.{ext}"
        return f'--name "{name}" gives every source an output of its own'

    @property
    def needs_header(self) -> bool:
        """Return whether files must be opened to know the names of their outputs."""
        return any(template.needs_header for template in self._templates)

    @property
    def is_paged(self) -> bool:
        """Return whether each frame of a file has outputs of its own."""
        return any("page" in template.names for template in self._templates)

    @property
    def follows_source(self) -> bool:
        """Return whether the format of an output is that of its source."""
        ends = ("{ext}", "{name}")
        return not self.formats and all(one.text.endswith(ends) for one in self._templates)

    @property
    def is_numbered(self) -> bool:
        """Return whether names depend on the other files."""
        return any("index" in template.names for template in self._templates)

    def placed(
        self, files: Files, header: Header, refused: Refused = _raised
    ) -> Collection[Assignment]:
        """Return each file with each of its outputs, one after the other.

        Parameters
        ----------
        files : Files
            All files.
        header : callable
            Asked only where a template needs it.
        refused : callable, optional
            Is told of files that cannot get a name, such as those of a format that cannot be
            written; by default its error is raised.
        """
        if self._templates or len(self.sizes) > 1:
            return list(self._by_templates(files, header, refused))
        known = self._known(files.suffixes)
        if known.keys() == files.suffixes.keys():
            return RenamedAssignments(files, known)
        return list(self._by_source(files, known, refused))

    def _known(self, suffixes: Iterable[str]) -> Mapping[str, tuple[str, ...]]:
        """Return the suffixes of outputs for each suffix that decides about them by itself."""
        known = {}
        for suffix in suffixes:
            if suffix.lower() in image_suffixes():
                with contextlib.suppress(ImgpipeError):
                    known[suffix] = self._suffixes(Found(_NOWHERE, f"x{suffix}"))
        return known

    def _by_templates(self, files: Files, header: Header, refused: Refused) -> Iterator[Assignment]:
        """Yield the files with the outputs that templates name."""
        numbers: Mapping[Found, int] = {}
        if self.is_numbered:
            arranged = sorted(files, key=lambda found: natural(found.below))
            numbers = {found: number for number, found in enumerate(arranged, 1)}
        for found in files:
            try:
                yield from list(self._by_template(found, numbers.get(found, 0), header))
            except ImgpipeError as error:
                refused(found, error)

    def _by_template(self, found: Found, index: int, header: Header) -> Iterator[Assignment]:
        """Yield a file with its outputs."""
        several = self.templates or (self.template or _WITH_SIZE,)
        suffixes = self._suffixes(found) if any("ext" in each.names for each in several) else ("",)
        ways = list(itertools.product(several, suffixes, self.sizes or (0,)))
        values: dict[str, str | int] = {"filter": self.filters, "index": index, "page": 0}
        if not self.needs_header:
            for tail, (template, suffix, size) in enumerate(ways):
                named = {**values, "ext": suffix[1:], "size": size}
                yield Assignment(found, template.fill(found, named), tail)
            return
        headers = [header(found, tail) for tail in range(len(ways))]
        paged = self.is_paged and headers[0].get("frames", 1) > 1
        for page in range(headers[0]["frames"]) if paged else (None,):
            for tail, (template, suffix, size) in enumerate(ways):
                named = {**values, **headers[tail], "ext": suffix[1:], "size": size}
                named |= {} if page is None else {"page": page}
                yield Assignment(found, template.fill(found, named), tail, page)

    def _by_source(
        self, files: Files, known: Mapping[str, tuple[str, ...]], refused: Refused
    ) -> Iterator[Assignment]:
        """Yield the files with the outputs that are called like them."""
        for found in files:
            suffix = suffix_of(found.name)
            stem = found.below.removesuffix(suffix)
            try:
                suffixes = known.get(suffix) or self._suffixes(found)
            except ImgpipeError as error:
                refused(found, error)
            else:
                for tail, each in enumerate(suffixes):
                    yield Assignment(found, stem + each, tail)

    def _suffixes(self, found: Found) -> tuple[str, ...]:
        """Return the suffixes of the outputs of a file: its own, where that is of the format."""
        own = suffix_of(found.name)
        if not self.formats:
            return (_writable(found, own),)
        known = [format_called(each).suffixes for each in self.formats]
        return tuple(own if own.lower() in each else each[0] for each in known)


_WITH_SIZE = Template("{stem}-{size}.{ext}")


def _writable(found: Found, own: str) -> str:
    """Return the suffix of an output of the same format."""
    if own.lower() in image_suffixes():
        try:
            format_for(found.name)
        except UsageError:  # it can only be read; its content may be of another format
            with contextlib.suppress(UsageError):
                return _suffix_of_content(found)
            raise
        return own
    if own.lower() in SLIDES:
        return format_called("tiff").suffixes[0]
    return _suffix_of_content(found)


def _suffix_of_content(found: Found) -> str:
    """Return the suffix of the format of a file, which is opened."""
    try:
        with open(found.path, "rb") as file:
            content = format_of(found.path, file.read(HEAD_BYTES))
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"{found.path}: cannot be read: {reason}") from error
    except FormatError as error:
        raise UsageError(
            f"{found.path}: not an image that imgpipe can read; leave this file out"
        ) from error
    if content.write is None:
        raise UsageError(f"{found.path}: {content.name} can only be read; choose a --format")
    return content.suffixes[0]


def natural(path: str) -> list[str | int]:
    """Return a key that sorts ``img2`` before ``img10``."""
    parts: list[str | int] = list(_PARTS.split(path))
    parts[1::2] = [int(part) for part in parts[1::2]]
    return parts
