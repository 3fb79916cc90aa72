"""Completion within the text of a chain: filters, parameters and values."""

from __future__ import annotations

import re
from collections.abc import Iterator

from imgpipe.errors import UsageError
from imgpipe.registry import FILTERS

__all__ = ["completions"]

Offer = tuple[str, str]  # a text, and its description


def completions(text: str) -> list[Offer]:
    """Return the texts that begin with `text` and have one word more; and help for each.

    A file or module is loaded only where it is named in full.
    """
    last = text.rpartition("|")[2].lstrip()
    before = text[: len(text) - len(last)]
    name, given = _parts(last)
    offers = _names(last) if given is None else _values(name, given)
    return [(before + offer, help_) for offer, help_ in offers if offer.startswith(last)]


def _parts(last: str) -> tuple[str, str | None]:
    """Return the filter of an element, and the text of its values if that has begun."""
    name, colon, given = last.partition(":")
    if re.match(r"[A-Za-z]:[\\/]", last):  # a drive
        rest, colon, given = last[2:].partition(":")
        name = last[:2] + rest
    if colon and name not in FILTERS:
        function, colon, given = given.partition(":")
        name = f"{name}:{function}"
    return name, given if colon else None


def _names(last: str) -> Iterator[Offer]:
    """Yield the filters that an element may begin with."""
    place = last if last.endswith(".py") else last.rpartition(":")[0]
    if not place:
        for name, member in sorted(FILTERS.items()):
            yield name, member.summary
    elif place.endswith(".py") or (re.fullmatch(r"[\w.]+", place) and place not in FILTERS):
        from imgpipe.chains.loading import filters_of  # noqa: PLC0415 - takes NumPy along

        for name, factory in sorted(filters_of(place).items()):
            yield f"{place}:{name}", factory.definition.summary


def _values(name: str, given: str) -> Iterator[Offer]:
    """Yield the parameters that may come next, and the values of a parameter with few."""
    from imgpipe.chains.grammar import definitions_in, offered  # noqa: PLC0415 - takes NumPy along

    try:
        (definition,) = definitions_in(name, halo=0)
    except (UsageError, ValueError):
        return
    *earlier, word = given.split(",")
    before = f"{name}:{given.removesuffix(word)}"
    named, equals, _ = word.partition("=")
    parameters = offered(definition)
    if equals:
        parameter = parameters.get(named)
        for value in parameter.words if parameter else ():
            yield f"{before}{named}={value}", ""
        return
    used = {each.partition("=")[0] for each in earlier if "=" in each}
    used |= set(list(parameters)[: len([each for each in earlier if "=" not in each])])
    for key, parameter in parameters.items():
        if key not in used:
            yield f"{before}{key}=", parameter.text
    if len(used) == len(earlier) < len(definition.parameters):
        for value in list(parameters.values())[len(earlier)].words:
            yield f"{before}{value}", ""
