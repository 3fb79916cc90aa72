"""Names of arguments: options of the command, in messages of a batch, as Python has them."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterator

from imgpipe.errors import UsageError

__all__ = ["naming_arguments"]

_OPTION = re.compile(
    r"(?<![^\s(])--(order (?=[a-z]))?([a-z]+(?:-[a-z]+)*)(?: ([A-Z]{3,}\b|\"[^\"]*\"|'[^']*'))?"
)
_OUTPUT = re.compile(r"(?<!\S)-o (FOLDER|DIR/?)")


@contextlib.contextmanager
def naming_arguments(names: Collection[str], flags: Collection[str]) -> Iterator[None]:
    """Name options of the command as arguments, in a refusal of the block.

    Parameters
    ----------
    names : collection of str
        The arguments in Python.
    flags : collection of str
        Those that are true or false.
    """

    def argument(option: re.Match[str]) -> str:
        order, name, value = option[1], option[2].replace("-", "_"), option[3]
        if order:
            return f'order="{option[2]}"'
        if name not in names:
            return option[0]
        if name in flags:
            return f"{name}=True" + (f" {value}" if value else "")
        return f"{name}={value}" if value else name

    try:
        yield
    except UsageError as error:
        text = _OPTION.sub(argument, _OUTPUT.sub("destination", str(error)))
        if text != str(error):
            error.args = (text,)
        raise
