"""Loading of filters: by registered name, from a module, or from a file of the user's."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from imgpipe.chains.chain import Chain, FilterFactory
from imgpipe.chains.declarations import define_bare
from imgpipe.chains.definition import Kernel, PairLike, Works
from imgpipe.chains.modules import imported, is_file, module_of_file, naming_module_in_errors
from imgpipe.errors import UsageError
from imgpipe.records import dataclass
from imgpipe.registry import FILTERS
from imgpipe.suggestions import suggestion

__all__ = [
    "BareFunction",
    "declared_for",
    "filters_of",
    "found_in",
    "load_registered",
]


@dataclass(frozen=True)
class BareFunction:
    """A function that was found where a filter was looked for.

    Attributes
    ----------
    function : callable
        The function itself.
    name, place : str
        Its name, and the file or module it is in.
    """

    function: Callable[..., Any]
    name: str
    place: str

    def declared(self, halo: PairLike | None, dtype: Works | None = None) -> FilterFactory:
        """Return the function as a filter with this halo.

        Raises
        ------
        UsageError
            If no halo is given.
        """
        if halo is None:
            raise UsageError(
                f"{self.place}: {self.name} is a bare function without a declared halo; give "
                "--halo N (halo=N in Python and in chains), where N is the number of pixels that "
                "it needs on each side of a pixel (0 for none), or write "
                f"@imgpipe.filter(halo=N) above it; imgpipe check {self.place}:{self.name} finds "
                "the smallest halo"
            )
        return declared_for(self.function, self.name, halo, dtype)


def declared_for(
    function: Kernel, name: str, halo: PairLike, dtype: Works | None = None
) -> FilterFactory:
    """Return the filter that a bare function is with this halo."""
    return FilterFactory(define_bare(function, name, halo, dtype))


def load_registered(name: str) -> FilterFactory:
    """Return the filter that is registered as `name`.

    Raises
    ------
    UsageError
        If there is none, or it does not load.
    """
    if name not in FILTERS:
        likely = FILTERS.suggestion(name, "imgpipe filters lists them")
        raise UsageError(
            f"there is no filter {name!r}{likely} (your own is written my_filter.py:{name})"
        )
    found = FILTERS.load(name)
    if not isinstance(found, FilterFactory):
        raise UsageError(f"{FILTERS[name].module}: its {name!r} is not a filter; update it")
    return found


def found_in(place: str, name: str) -> FilterFactory | BareFunction:
    """Return the filter or function `name` of a Python file, or else of an importable module.

    A path ends in ``.py`` or has a slash or backslash.

    Raises
    ------
    UsageError
        If `place` does not load, or it has nothing of that name that is a filter or a function.
    """
    if is_file(place):
        return _member(module_of_file(place), name, place)
    with naming_module_in_errors(place):
        return _member(imported(place), name, place)


def filters_of(place: str) -> dict[str, FilterFactory]:
    """Return the filters in a Python file, or else in an importable module, by name.

    Raises
    ------
    UsageError
        If it does not load.
    """
    if place.endswith(".py"):
        return _filters_in(module_of_file(place))
    with naming_module_in_errors(place):
        return _filters_in(imported(place))


def _member(module: ModuleType, name: str, shown: str) -> FilterFactory | BareFunction:
    """Return the filter or the function `name` of `module`, which messages call `shown`."""
    found = getattr(module, name, None)
    if isinstance(found, FilterFactory):
        return found
    if isinstance(found, Chain):
        raise UsageError(
            f"{shown}: {name} has its values already; name the decorated function it is made by"
        )
    if callable(found):
        return BareFunction(found, name, shown)
    known = sorted(_filters_in(module))
    names = known or [each for each in dir(module) if each != name]  # of a library: functions
    likely = suggestion(name, names, f"there are: {', '.join(known)}" if known else "")
    raise UsageError(f"{shown}: it has no filter or function {name!r}{likely}")


def _filters_in(module: ModuleType) -> dict[str, FilterFactory]:
    return {key: value for key, value in vars(module).items() if isinstance(value, FilterFactory)}
