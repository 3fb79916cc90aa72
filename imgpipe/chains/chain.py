"""Chains and filters: values that are put together with ``|`` and can be called with an array.

::

    relief(strength=2)              # a Filter
    relief(strength=2) | invert()   # a Chain
    relief(strength=2)(array)       # run whole and serially: the reference
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np

from imgpipe.admission import Alpha, Nodata
from imgpipe.borders import BORDERS, Border
from imgpipe.callables import module_of, name_of
from imgpipe.chains.definition import Declared, Definition, digest_of
from imgpipe.chains.element import Element
from imgpipe.chains.operands import with_further_images
from imgpipe.chains.stages import run_whole
from imgpipe.errors import ParameterError, UsageError
from imgpipe.image import Pixels
from imgpipe.parameters import Parameter, bind

__all__ = ["Chain", "Filter", "FilterFactory", "as_chain"]

_BORDER = Parameter("border", str, choices=BORDERS)


class Chain:
    """Filters that run one after the other, in one pass over the image.

    ``a | b`` makes one. Calling it with an array runs it whole, in this thread.
    """

    __slots__ = ("filters",)
    filters: tuple[Filter, ...]

    def __init__(self, filters: tuple[Filter, ...]) -> None:
        object.__setattr__(self, "filters", filters)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a chain cannot be changed; make a new one")

    def __or__(self, other: object) -> Chain:
        return Chain(self.filters + as_chain(other).filters)

    def __iter__(self) -> Iterator[Filter]:
        return iter(self.filters)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Chain) and self.filters == other.filters

    def __hash__(self) -> int:
        return hash(self.filters)

    def __repr__(self) -> str:
        return " | ".join(map(repr, self.filters))

    def __str__(self) -> str:
        """Return the text of the chain, which `imgpipe.run` and the shell take."""
        from imgpipe.chains.formatting import described  # noqa: PLC0415 - only for text

        return described(self.filters)

    def __reduce__(self) -> tuple[Any, ...]:
        return Chain, (self.filters,)

    @property
    def digest(self) -> str:
        """A digest of everything that decides the result of the chain, code included."""
        text = "|".join(one.digest for one in self.filters)
        return digest_of(text.encode())

    def __call__(self, array: Any, *, alpha: Alpha = None, nodata: Nodata = None) -> Pixels:
        """Run the chain over a whole array, serially: the reference for every other way.

        Parameters
        ----------
        array : ndarray, shape (rows, columns) or (rows, columns, channels)
            The image, or anything that `numpy.asarray` converts to it. It is not changed.
        alpha : int, "last" or "none", optional
            The channel that is alpha: the last one or none. By default there is none.
        nodata : float, optional
            The value of pixels without data; a NaN is one then too. By default all have data.

        Returns
        -------
        ndarray
            Two-dimensional if `array` was and the result has one channel.
        """
        return run_whole(self.filters, array, alpha, nodata)


class Filter(Element, Chain):
    """One filter with its parameters: an element, and a chain of one. See `Element`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "filters", (self,))


class FilterFactory(Declared):
    """A decorated function: call it with parameters to get a `Filter`."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.__name__ = name_of(definition.kernel)
        self.__qualname__ = getattr(definition.kernel, "__qualname__", self.__name__)
        self.__module__ = module_of(definition.kernel)
        self.__doc__ = definition.kernel.__doc__
        self.__wrapped__ = definition.kernel
        self.__signature__ = _signature(definition.parameters, definition.border)

    def __call__(self, *args: Any, **kwargs: Any) -> Filter:
        """Return the filter with these parameters, and `border` if that is given.

        Raises
        ------
        ParameterError
            If a parameter is unknown, missing, of the wrong type or out of bounds.
        """
        definition = self.definition
        border: Border | None = kwargs.pop("border", None)
        first = definition.parameters[0] if definition.parameters else None
        if args and isinstance(args[0], np.ndarray) and (first is None or first.plain):
            raise ParameterError(
                f"{definition.name} is a filter that was not given its parameters; call it: "
                f"{definition.name}()(array)"
            )
        bound = bind(definition.parameters, args, kwargs, definition.name)
        params = tuple(with_further_images(bound, definition))
        border = _BORDER.check(border, definition.name)
        return Filter(definition, params, border or definition.border)

    def __or__(self, other: object) -> Chain:
        return as_chain(self) | other

    def __reduce__(self) -> tuple[Any, ...]:
        return FilterFactory, (self.definition,)

    def __repr__(self) -> str:
        names = ", ".join(p.name for p in self.definition.parameters)
        return f"<imgpipe filter {self.definition.name}({names})>"


def as_chain(given: object) -> Chain:
    """Return a filter or a chain as a chain; a decorated function with its defaults.

    Raises
    ------
    UsageError
        If it is none of them, or a parameter has no default.
    """
    if isinstance(given, Chain):
        return given
    if isinstance(given, FilterFactory):
        missing = [f"{p.name}=..." for p in given.definition.parameters if p.required]
        if missing:
            name = given.definition.name
            raise ParameterError(
                f"{name} is a filter that was not given its parameters; call it: "
                f"{name}({', '.join(missing)})"
            )
        return given()
    if callable(given):
        raise UsageError(
            f"{name_of(given)}: a bare function has no declared halo; write "
            "@imgpipe.filter(halo=N) above it, where N is the number of pixels that it needs on "
            "each side of a pixel"
        )
    raise UsageError(f"expected a filter or a chain, not {type(given).__name__}")


def _signature(parameters: tuple[Parameter, ...], border: Border) -> inspect.Signature:
    """Return the signature of a filter with these parameters.

    Parameters
    ----------
    parameters : tuple of Parameter
        Its own.
    border : str
        The default of the one that every filter has.
    """
    by_name_only = inspect.Parameter.KEYWORD_ONLY
    last = inspect.Parameter("border", by_name_only, default=border, annotation=Border)
    entries = list[inspect.Parameter]()
    by_name = False
    for each in parameters:
        # A required parameter after an optional one has no other place in a signature.
        by_name |= each.required and bool(entries) and entries[-1].default is not last.empty
        kind = by_name_only if by_name else last.POSITIONAL_OR_KEYWORD
        made = inspect.Parameter(each.name, kind, default=each.default, annotation=each.type)
        entries.append(made)
    return inspect.Signature([*entries, last])
