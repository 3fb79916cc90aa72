"""Options of the output format, for batches whose outputs may have several formats.

Where the format of the outputs is given, all options must be of that format. Where it follows from
the sources, an option is for those outputs whose format has it, and its value may be text.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from imgpipe.errors import UsageError
from imgpipe.formats.declaration import Format
from imgpipe.formats.readwrite import Writing

__all__ = ["must_suit", "options_for"]


def options_for(format: Format, writing: Writing, owner: str) -> dict[str, Any]:
    """Return the options for an output of a format, checked.

    Parameters
    ----------
    format : Format
        The format of the output.
    writing : Writing
        Choices about all outputs.
    owner : str
        The output, for messages.

    Raises
    ------
    UsageError
        If a value is wrong, or the format is given and has no such option.
    """
    if writing.format is not None:
        given = writing.options.items()
        return {key: format.option(key, owner).check(value, owner) for key, value in given}
    own = {each.name: each for each in format.options}
    return {
        key: own[key].parse(value, owner)
        if isinstance(value, str)
        else own[key].check(value, owner)
        for key, value in writing.options.items()
        if key in own
    }


def must_suit(writing: Writing, formats: Iterable[Format]) -> None:
    """Check the options for outputs of these formats, before any is made.

    Raises
    ------
    UsageError
        If a value is wrong for a format, or no format has an option.
    """
    several = list(formats)
    for one in several:
        options_for(one, writing, f"outputs of {one.name}")
    known = {each.name for one in several for each in one.options}
    unknown = sorted(set(writing.options) - known)
    if unknown and several:
        names = ", ".join(sorted(one.name for one in several))
        raise UsageError(
            f"no output has the option {unknown[0]}: the formats of the outputs are {names}; leave "
            "it out, or choose a --format that has it"
        )
