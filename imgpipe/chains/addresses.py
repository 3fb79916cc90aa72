"""Addresses of filters: their names in the text of a chain."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import ModuleType
from typing import NamedTuple

from imgpipe.callables import module_of, name_of
from imgpipe.chains.declarations import define_bare
from imgpipe.chains.definition import Declared, Definition
from imgpipe.chains.modules import file_of
from imgpipe.chains.serialization import places_of
from imgpipe.errors import UsageError
from imgpipe.registry import FILTERS

__all__ = ["Address", "address_of"]


class Address(NamedTuple):
    """The place of a filter, as a chain names it.

    Attributes
    ----------
    words : tuple of str
        Its registered name; or its file or module, and its name there.
    bare : bool
        Whether a bare function is found there, with nothing declared.
    """

    words: tuple[str, ...]
    bare: bool = False


def address_of(definition: Definition) -> Address:
    """Return the address of a filter.

    Raises
    ------
    UsageError
        If it can be found nowhere.
    """
    name = definition.name
    if name in FILTERS and getattr(FILTERS.load(name), "definition", None) == definition:
        return Address((name,))
    module = sys.modules.get(module_of(definition.kernel), ModuleType("none"))
    for name, value in vars(module).items():
        if isinstance(value, Declared) and value.definition == definition:
            if file := file_of(module.__name__):
                return Address((file, name))
            if module.__name__ not in ("__main__", *FILTERS):
                return Address((module.__name__, name))
    bare = define_bare(definition.kernel, definition.name, definition.halo, definition.dtype)
    if replace(bare, halo=definition.halo) == definition and (
        words := _place_of_import(definition)
    ):
        return Address(words, bare=True)
    raise UsageError(
        f"{definition.name} cannot be written as text: it is not in a file or package of filters; "
        "move it to a file of its own and load that"
    )


def _place_of_import(definition: Definition) -> tuple[str, str] | None:
    """Return the file or module of a bare function, and its name there.

    Many functions are not in the module that they say, or say none, and others import them: the
    module that people most likely write has no private name, is of the same package, and short.
    """
    function = definition.kernel
    package = module_of(function).partition(".")[0].lstrip("_")

    def likely(place: tuple[str, str]) -> tuple[bool, bool, int, str]:
        module = place[0]
        return "._" in f".{module}", module.partition(".")[0] != package, len(module), module

    found = sorted(places_of(function, definition.name, name_of(function)), key=likely)
    for module, name in found:
        if file := file_of(module):
            return file, name
    return found[0] if found else None
