"""Element: one filter of a chain with its parameters, before there is an image."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal

from imgpipe.borders import Border
from imgpipe.chains.definition import Definition, digest_of
from imgpipe.chains.operands import as_text, comparable
from imgpipe.errors import DeclarationError, UsageError
from imgpipe.parameters import is_whole
from imgpipe.records import dataclass
from imgpipe.signatures import taken_by

__all__ = ["Element"]


@dataclass(frozen=True, eq=False, repr=False)
class Element:
    """One filter with its parameters: a frozen value.

    Attributes
    ----------
    definition : Definition
        The declarations of its function.
    params : tuple of (str, object)
        Names and values of its parameters, all of them.
    border : str
        Values of pixels beyond the image, in the words of `numpy.pad`.
    halo : (int, int)
        Rows and columns of context on each side.
    grid : (int, int)
        Rows and columns of which the function gets multiples.

    Raises
    ------
    DeclarationError
        If halo or grid cannot be worked out for these parameters.
    """

    definition: Definition
    params: tuple[tuple[str, Any], ...]
    border: Border
    halo: tuple[int, int] = field(init=False)
    grid: tuple[int, int] = field(init=False)

    def __post_init__(self) -> None:
        if self.definition.validate:
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
        """Return the arguments of the function after the chunk: by position, and by name.

        `extra` wins over the parameters. Defaults are left to the function: that of
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
        """Names of the parameters that are further images, except omitted ones."""
        optional = {p.name for p in self.definition.parameters if p.default is None}
        given = self.keywords
        names = self.definition.operands
        return tuple(n for n in names if not (n in optional and given[n] is None))

    def channels_after(self, given: int) -> int:
        """Return the number of channels that it makes of `given`."""
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
        """Return whether it needs the whole image first, with these parameters."""
        if self.definition.measure_if is None:
            return self.definition.measure is not None
        return bool(self.declared("measure_if"))

    @property
    def keeps_rows(self) -> bool:
        """Return whether its region keeps rows in order, with these parameters."""
        declared = self.definition.in_order
        return bool(self.declared("in_order") if callable(declared) else declared)

    @property
    def output_dtype(self) -> Any:
        """The type of its result, with these parameters; None for that of its input."""
        declared = self.definition.output_dtype
        if isinstance(declared, type) or not callable(declared):  # np.uint8 is both
            return declared
        return self.declared("output_dtype")

    def declared(self, name: str, *args: Any) -> Any:
        """Call the function that is declared as `name`.

        It gets `args`, and those of the parameters that it names: all of them where it takes
        any keyword.

        Raises
        ------
        DeclarationError
            If it fails. A `UsageError` of its own is let through.
        """
        function = getattr(self.definition, name)
        try:
            return function(*args, **taken_by(function, self.keywords, len(args)))
        except UsageError:
            raise
        except Exception as error:
            raise DeclarationError(
                f"{self.name}: its {name} failed: {type(error).__name__}: {error}"
            ) from error

    @property
    def digest(self) -> str:
        """A digest of name, parameters, border and code."""
        text = repr((self.name, self.definition.source_digest, *self._key()[1:]))
        return digest_of(text.encode())

    @property
    def values_digest(self) -> str:
        """A digest of parameters and border, without the code."""
        return digest_of(repr(self._key()[1:]).encode())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Element) and self._key() == other._key()

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
        return type(self), (self.definition, self.params, self.border)

    def _pair(self, name: Literal["halo", "align"], least: int) -> tuple[int, int]:
        """Return the rows and columns that are declared, worked out for these parameters."""
        declared = getattr(self.definition, name)
        given = self.declared(name) if callable(declared) else declared
        pair = given if isinstance(given, tuple) else (given, given)
        if len(pair) != 2 or not all(is_whole(side, at_least=least) for side in pair):
            raise DeclarationError(
                f"{self.name}: {name} must be a whole number of pixels or a pair of them "
                f"(rows, columns), at least {least}, not {given!r}"
            )
        return operator.index(pair[0]), operator.index(pair[1])

    def _key(self) -> tuple[Any, ...]:
        return self.definition, tuple(map(comparable, self.params)), self.border
