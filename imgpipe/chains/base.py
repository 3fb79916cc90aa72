"""A filter: a NumPy function, and what the engine must know about it.

The function knows nothing of tiles, processes or files. It gets a chunk, an array of
(rows, columns, channels) that already carries the halo it asked for, and returns an array::

    @filter(halo=1)
    def emboss(chunk, *, strength: float = 1.0): ...
    emboss(strength=2)              # a Filter: a frozen value
    emboss(strength=2) | invert()   # a Chain
    emboss(strength=2)(array)       # run whole and serially: the reference
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, overload

import numpy as np

from imgpipe.admission import Alpha
from imgpipe.borders import BORDERS, Border
from imgpipe.chains.callables import module_of, name_of
from imgpipe.chains.declaring import define
from imgpipe.chains.definition import Definition, Kernel, PairLike, Place, digest_of
from imgpipe.chains.operands import as_text, comparable, with_further_images
from imgpipe.chains.parameters import Parameter, bind, is_whole, signature_for, taken_by
from imgpipe.errors import DeclarationError, ParameterError, UsageError
from imgpipe.image import Pixels

__all__ = ["Chain", "Definition", "Filter", "FilterFactory", "Place", "as_chain", "filter"]

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
        from imgpipe.chains.grammar import described  # noqa: PLC0415 - builds on this file

        return described(self)

    def __reduce__(self) -> tuple[Any, ...]:
        return Chain, (self.filters,)

    @property
    def digest(self) -> str:
        """A digest of everything that decides what the chain computes, code included."""
        text = "|".join(one.digest for one in self.filters)
        return digest_of(text.encode())

    def __call__(self, array: Any, *, alpha: Alpha = None) -> Pixels:
        """Run the chain over a whole array, serially: the reference for every other way.

        Parameters
        ----------
        array : ndarray, shape (rows, columns) or (rows, columns, channels)
            The image, or anything that `numpy.asarray` converts to it. It is not changed.
        alpha : int, "last" or "none", optional
            Which channel is alpha: the last one or none. There is none unless this says so.

        Returns
        -------
        ndarray
            Two-dimensional if `array` was and the result has one channel.
        """
        from imgpipe.chains.stages import run_whole  # noqa: PLC0415 - stages build on this file

        return run_whole(self, array, alpha)


class Filter(Chain):
    """One filter with its parameters: a frozen value, and a chain of one.

    Attributes
    ----------
    definition : Definition
        What the engine knows of its function.
    params : tuple of (str, object)
        Names and values of its parameters, all of them.
    border : str
        What lies beyond the image, in the words of `numpy.pad`.
    halo : (int, int)
        Rows and columns of context on each side.
    grid : (int, int)
        Rows and columns of which the function gets multiples.

    Raises
    ------
    DeclarationError
        If halo or grid cannot be worked out for these parameters.
    """

    __slots__ = ("border", "definition", "grid", "halo", "params")
    definition: Definition
    params: tuple[tuple[str, Any], ...]
    border: Border
    halo: tuple[int, int]
    grid: tuple[int, int]

    def __init__(
        self, definition: Definition, params: tuple[tuple[str, Any], ...], border: Border
    ) -> None:
        super().__init__((self,))
        object.__setattr__(self, "definition", definition)
        object.__setattr__(self, "params", params)
        object.__setattr__(self, "border", border)
        if definition.validate:
            self.declared("validate")
        object.__setattr__(self, "halo", self._pair("halo", 0))
        object.__setattr__(self, "grid", self._pair("align", 1))

    @property
    def name(self) -> str:
        """Name of the filter."""
        return self.definition.name

    @property
    def keywords(self) -> dict[str, Any]:
        """The parameters as keyword arguments."""
        return dict(self.params)

    def arguments(self, extra: Mapping[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Return what the function is called with after the chunk: by position, and by name.

        `extra` wins over the parameters. What has its default is left to the function: that of
        some functions of C is a mark that only means that nothing was given.
        """
        pairs = zip(self.definition.parameters, self.params, strict=True)
        given = {p.name: value for p, (_, value) in pairs if value is not p.default} | {**extra}
        ordered = [p for p in self.definition.parameters if p.by_position]
        while ordered and ordered[-1].name not in given:
            ordered.pop()
        return [given.pop(p.name, p.default) for p in ordered], given

    @property
    def operands(self) -> tuple[str, ...]:
        """Names of the parameters that are further images; not of those that are left out."""
        optional = {p.name for p in self.definition.parameters if p.default is None}
        given = self.keywords
        names = self.definition.operands
        return tuple(n for n in names if not (n in optional and given[n] is None))

    def channels_after(self, given: int) -> int:
        """Return how many channels it makes of `given`."""
        declared = self.definition.channels
        if declared is None:
            return given
        made = self.declared("channels", given) if callable(declared) else declared
        if not is_whole(made, at_least=1):
            raise DeclarationError(
                f"{self.name}: its channels must be a whole number, at least 1, not {made!r}"
            )
        return operator.index(made)

    @property
    def measures(self) -> bool:
        """Whether it needs the whole image first, with these parameters."""
        if self.definition.measure_if is None:
            return self.definition.measure is not None
        return bool(self.declared("measure_if"))

    @property
    def output_dtype(self) -> Any:
        """The type of what it makes, with these parameters; None for that of what it gets."""
        declared = self.definition.output_dtype
        if isinstance(declared, type) or not callable(declared):  # np.uint8 is both
            return declared
        return self.declared("output_dtype")

    def declared(self, what: str, *args: Any) -> Any:
        """Call the function that is declared as `what`.

        It gets `args`, and those of the parameters that it names: all of them where it takes
        any keyword.

        Raises
        ------
        DeclarationError
            If it fails. A `UsageError` of its own is let through.
        """
        function = getattr(self.definition, what)
        try:
            return function(*args, **taken_by(function, self.keywords, len(args)))
        except UsageError:
            raise
        except Exception as error:
            raise DeclarationError(
                f"{self.name}: its {what} failed: {type(error).__name__}: {error}"
            ) from error

    @property
    def digest(self) -> str:
        """A digest of name, parameters, border and code."""
        text = repr((self.name, self.definition.source_digest, *self._key()[1:]))
        return digest_of(text.encode())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Filter) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash((self.definition.kernel, repr(self), self.border))

    def __repr__(self) -> str:
        pairs = zip(self.definition.parameters, self.params, strict=True)
        told = [(name, value) for p, (name, value) in pairs if not p.left_out(value)]
        shown = [f"{name}={as_text(value)}" for name, value in told]
        if self.border != self.definition.border:
            shown.append(f"border={self.border!r}")
        return f"{self.name}({', '.join(shown)})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Filter, (self.definition, self.params, self.border)

    def _pair(self, what: Literal["halo", "align"], least: int) -> tuple[int, int]:
        """Return the rows and columns that are declared, worked out for these parameters."""
        declared = getattr(self.definition, what)
        given = self.declared(what) if callable(declared) else declared
        pair = given if isinstance(given, tuple) else (given, given)
        if len(pair) != 2 or not all(is_whole(side, at_least=least) for side in pair):
            raise DeclarationError(
                f"{self.name}: {what} must be a whole number of pixels or a pair of them "
                f"(rows, columns), at least {least}, not {given!r}"
            )
        return operator.index(pair[0]), operator.index(pair[1])

    def _key(self) -> tuple[Any, ...]:
        return self.definition, tuple(map(comparable, self.params)), self.border


class FilterFactory:
    """What the decorator makes of a function: call it with parameters to get a `Filter`."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition
        self.__name__ = name_of(definition.kernel)
        self.__qualname__ = getattr(definition.kernel, "__qualname__", self.__name__)
        self.__module__ = module_of(definition.kernel)
        self.__doc__ = definition.kernel.__doc__
        self.__wrapped__ = definition.kernel
        self.__signature__ = signature_for(definition.parameters, definition.border)

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


@overload
def filter(  # noqa: A001 - imgpipe.filter is the name
    kernel: Kernel, /, **declared: Any
) -> FilterFactory: ...
@overload
def filter(**declared: Any) -> Callable[[Kernel], FilterFactory]: ...  # noqa: A001


def filter(  # noqa: A001
    kernel: Kernel | None = None,
    /,
    *,
    halo: PairLike | None = None,
    name: str | None = None,
    **declared: Any,
) -> FilterFactory | Callable[[Kernel], FilterFactory]:
    """Declare a function of a NumPy array to be a filter.

    Above a function, ``@filter(halo=1)``, or called with one: ``filter(np.sqrt, halo=0)``.

    Parameters
    ----------
    kernel : callable, optional
        The function: any callable, written in Python or in C, such as a ufunc or a method.
    halo : int, (int, int), or callable
        Rows and columns that the function needs on each side of a pixel; 0 for a function that
        looks at one pixel at a time. It must be given. A callable computes it from the parameters
        of the filter that have the names of its arguments.
    name : str, optional
        Name of the filter; the name of the function by default.
    border : {"edge", "symmetric", "reflect", "wrap", "constant"}, default "edge"
        Values of pixels beyond the image, as in `numpy.pad`; the caller may choose another.
    alpha : {"keep", "premultiply", "filter"}, default "keep"
        ``keep``: the function gets the colours only, and alpha does not change; neighbours with
        alpha 0 get the colour of a visible pixel near by. ``premultiply``, for averages: it gets
        floats, colours times alpha and then alpha, and imgpipe divides by alpha; the keyword
        ``white`` is then the value of full colour. ``filter``: it gets all channels as they are.
    channels : int or callable, optional
        Number of channels of the result; a callable computes it from that of the input and the
        parameters that it names.
    colour : {"gray", "rgb", "other"}, optional
        Meaning of the output channels, if it differs from that of the input.
    dtype : {"keep", "float32"}, default "keep"
        The type that the function gets: that of the image, or float32 from 0 to 1 (integers are
        divided by their maximum, and the result is multiplied by it).
    output_dtype : str or callable, optional
        Type of the output, by default that of the input; or a function of the parameters that it
        names. Results are rounded half to even and saturated when they become integers.
    measure, merge, measure_if : callable, optional
        For filters that need the whole image first: ``measure(chunk, **params)`` per chunk,
        folded in order by ``merge(a, b)``, which must be exact under any cut. The kernel gets
        the result as the keyword ``measured``. Pixels with alpha 0 are left out, unless alpha is
        ``filter``; the others then have the shape (1, number, channels). This takes one more pass,
        unless ``measure_if``, given parameters, returns False; `measured` is None then.
    output, region : callable, optional
        For filters that change the geometry: ``output(size, **params)`` is the size of the
        output, (rows, columns), given that of the input; ``region(box, size, **params)`` is the
        input box that an output box is made from.
    align : int, (int, int), or callable, default 1
        For filters that work in blocks: the size of a block. Chunks then begin at multiples of
        these rows and columns of the whole image, and end there or at its end.
    validate : callable, optional
        Raises a `ParameterError` if the parameters that it names contradict each other.
    metadata : callable, optional
        Returns the metadata of the output: ``metadata(metadata, before, after, **params)``, where
        `before` and `after` are the sizes of the input and the output.
    never_brighter : bool, default False
        Whether the maximum of the output is never above the maximum of the input. Then the light
        levels in the metadata are kept.
    in_order : bool, default False
        Whether `region` keeps rows in order, so that the image can stream through the filter.
    operands : tuple of str, optional
        Parameters that are further images of the same size. The caller gives files or arrays; the
        function gets their pixels for the same chunk, with the same halo. A parameter whose
        default is None may be left out.
    executor : {"processes", "threads"}, default "processes"
        ``threads`` runs a function that releases the GIL in threads of this process, if all
        filters of the chain declare it. The caller may choose another executor.

    Returns
    -------
    FilterFactory
        Call it with parameters to get a `Filter`. Without a function, the result is a decorator.

    Raises
    ------
    DeclarationError
        If the declarations are impossible or contradict each other.
    """
    if kernel is not None and halo is None and not declared:
        raise DeclarationError(
            "the halo is not declared: write @imgpipe.filter(halo=N), where N is the number of "
            "pixels that the function needs on each side of a pixel (0 for none)"
        )

    def decorate(function: Kernel) -> FilterFactory:
        return FilterFactory(define(function, name, halo, declared))

    return decorate if kernel is None else decorate(kernel)
