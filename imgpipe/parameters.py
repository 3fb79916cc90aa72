"""Parameters of filters and formats: read from signatures, checked once, early.

The same parameters serve Python (``blur(sigma=2)``), the command line (``--sigma 2``) and the
text of a chain (``blur:sigma=2``), so their names, values and meanings are written in one place,
the signature::

    def blur(chunk, *, sigma: Annotated[float, Between(0.3, 100), "standard deviation"] = 2.0)
"""

from __future__ import annotations

import inspect
import math
import operator
import types
import typing
from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal

from imgpipe.callables import annotations_of, signature_of
from imgpipe.errors import ParameterError
from imgpipe.records import dataclass
from imgpipe.suggestions import suggestion

__all__ = [
    "Between",
    "Example",
    "Parameter",
    "Through",
    "bind",
    "is_whole",
    "keywords_of",
    "parameters_of",
    "taken_by",
]

_EMPTY = inspect.Parameter.empty


@dataclass(frozen=True)
class Between:
    """Bounds of a number, both included. Goes into ``typing.Annotated``.

    Attributes
    ----------
    low, high : float
        The bounds.
    of_white : bool
        Whether the number is a fraction of white, which people write as a level of 8 or 16 bits.
    """

    low: float = -math.inf
    high: float = math.inf
    of_white: bool = False

    def __str__(self) -> str:
        if math.isinf(self.high):
            return f"at least {self.low:g}"
        if math.isinf(self.low):
            return f"at most {self.high:g}"
        return f"between {self.low:g} and {self.high:g}"


@dataclass(frozen=True)
class Through:
    """A function for each value when a filter is made. Goes into ``typing.Annotated``.

    The function returns the value that the filter keeps, and that travels with it; from that it
    must make the same again. A `ValueError` names the fault of the value. Help calls the values
    by `noun`.
    """

    function: Callable[[Any], Any]
    noun: str = "text"


@dataclass(frozen=True)
class Example:
    """A value to show, of a parameter that has no default. Goes into ``typing.Annotated``."""

    value: str


@dataclass(frozen=True)
class Parameter:
    """One parameter of a filter.

    Attributes
    ----------
    name : str
        As written in the signature; the command line writes ``--`` before it.
    kind : type
        bool, int, float, str, or object where the signature says nothing.
    default : object
        Default value, or ``inspect.Parameter.empty`` where it must be given.
    choices : tuple of str
        The values it takes, where they are few, as they are written.
    bounds : Between or None
        Bounds of a number.
    text : str
        One line of help.
    through : Through or None
        A function that each value goes through first.
    example : str
        A value to show, as it is written.
    optional : bool
        Whether it may be None, which is written ``none``.
    by_position : bool
        Whether the function takes it by its position only.
    """

    name: str
    kind: type
    default: Any = _EMPTY
    choices: tuple[str, ...] = ()
    bounds: Between | None = None
    text: str = ""
    through: Through | None = None
    example: str = ""
    optional: bool = False
    by_position: bool = False

    @property
    def required(self) -> bool:
        """Return whether there is no default."""
        return self.default is _EMPTY

    @property
    def plain(self) -> bool:
        """Return whether it is a number or text, and no array could stand for it."""
        return self.kind is not object and self.through is None

    @property
    def type(self) -> Any:
        """The type of its values in Python, as annotations write it."""
        made: Any = Any if self.kind is object or self.through is not None else self.kind
        if self.choices and self.through is None:
            made = Literal[tuple(map(self.kind, self.choices))]
        return made | None if self.optional and made is not Any else made

    @property
    def words(self) -> tuple[str, ...]:
        """The values it takes, as they are written, where they are few."""
        return ("true", "false") if self.kind is bool else self.choices

    def left_out(self, value: Any) -> bool:
        """Return whether `value` is a default that only means that nothing was given."""
        return value is self.default and repr(value).startswith("<")

    def parse(self, text: str, owner: str) -> Any:
        """Return the value that `text` stands for, checked."""
        if self.optional and text.strip().lower() == "none":
            return None
        try:
            if self.kind is bool:
                return _parse_bool(text)
            if self.kind is int:
                return self.check(int(text), owner)
            if self.kind is float:
                return self.check(float(text), owner)
        except ValueError as error:
            if isinstance(error, ParameterError):
                raise
            raise ParameterError(
                f"{owner}: {self.name} must be {self._wanted()}, not {text!r}"
            ) from None
        parse = _parse_literal if self.through else _parse_literals
        return self.check(text if self.kind is str else parse(text), owner)

    def check(self, value: Any, owner: str) -> Any:
        """Return `value` as the declared type.

        Raises
        ------
        ParameterError
            If it is of another type, out of bounds, or NaN.
        """
        wrong = f"{owner}: {self.name} must be {self._wanted()}, not {_shown(value)}"
        if value is None and (self.required or self.optional):
            return None
        if self.through is not None:
            try:
                value = self.through.function(value)
            except ValueError as error:
                raise ParameterError(f"{owner}: {self.name}: {error}") from None
        if self.kind is float or self.kind is int:
            value = self._number(value, wrong)
        elif self.kind in (str, bool) and not isinstance(value, self.kind):
            raise ParameterError(wrong)
        if self.choices and str(value) not in self.choices:
            raise ParameterError(wrong)
        return value

    def _number(self, value: Any, wrong: str) -> float:
        try:
            number: float = self.kind(value)
        except (TypeError, ValueError, OverflowError):
            raise ParameterError(wrong) from None
        is_flag = type(value).__name__ in ("bool", "bool_")  # of Python or of NumPy
        if is_flag or isinstance(value, str) or number != value:  # 1.5 for an int, NaN for a float
            raise ParameterError(wrong)
        bounds = self.bounds or Between()
        if not bounds.low <= number <= bounds.high:
            raise ParameterError(wrong + (_as_fraction(number) if bounds.of_white else ""))
        return number

    def _wanted(self) -> str:
        if self.choices:
            return "one of " + ", ".join(self.choices)
        nouns: dict[type, str] = {float: "a number", int: "a whole number", bool: "true or false"}
        noun = nouns.get(self.kind, "text" if self.kind is str else "a value")
        if not self.bounds:
            return noun
        one_bound = math.inf in (-self.bounds.low, self.bounds.high)
        return f"{noun}{',' * one_bound} {self.bounds}"


def _as_fraction(level: float) -> str:
    """Return a level of 8 or of 16 bits as a fraction of white, as a hint."""
    for white in (255, 65535):
        if 1 < abs(level) <= white:
            return f"; it is a fraction of white: {level:g} of {white} is {level / white:.3g}"
    return "; it is a fraction of white"


def _shown(value: Any) -> str:
    """Return `value` as text of one line."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"an array of shape {value.shape}"
    return repr(value)


def parameters_of(
    function: Callable[..., Any], *, after: int, without: Collection[str] = ()
) -> tuple[Parameter, ...]:
    """Return the parameters that the signature of a function declares.

    Parameters
    ----------
    function : callable
        A kernel, or the writer of a format.
    after : int
        Number of arguments before the first parameter: one for a kernel, its chunk.
    without : collection of str, optional
        Names of arguments that are no parameters, because the engine gives them.

    Returns
    -------
    tuple of Parameter
        In order. ``out=None`` is not one, as an array that the engine makes itself goes there.
    """
    signature = signature_of(function)
    if signature is None:
        return ()
    hints = annotations_of(function)
    found = []
    for position, entry in enumerate(signature.parameters.values()):
        if position < after or entry.name in without:
            continue
        if entry.kind in (entry.VAR_KEYWORD, entry.VAR_POSITIONAL):
            continue
        hint = hints.get(entry.name, _EMPTY)
        if entry.name != "out" or entry.default is not None or hint is not _EMPTY:
            found.append(_parameter(entry, hint))
    return tuple(found)


def keywords_of(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names in the signature of `function`; none where that does not tell."""
    signature = signature_of(function)
    return () if signature is None else tuple(signature.parameters)


def taken_by(
    function: Callable[..., Any], params: Mapping[str, Any], positional: int
) -> dict[str, Any]:
    """Return the `params` that `function` takes by name, after `positional` arguments without."""
    try:
        named, filled = _names_taken(function, positional)
    except TypeError:  # no key of a dict
        named, filled = _names_taken.__wrapped__(function, positional)
    if named is not None:
        params = {name: params[name] for name in named if name in params}
    return {name: value for name, value in params.items() if name not in filled}


@lru_cache(maxsize=256)
def _names_taken(
    function: Callable[..., Any], positional: int
) -> tuple[tuple[str, ...] | None, frozenset[str]]:
    """Return the names that `function` takes, None for any, and the names already given."""
    signature = signature_of(function)
    entries = [] if signature is None else list(signature.parameters.values())
    filled = {e.name for e in entries[:positional] if e.kind is e.POSITIONAL_OR_KEYWORD}
    if any(entry.kind is entry.VAR_KEYWORD for entry in entries):
        return None, frozenset(filled)
    named = (e.name for e in entries if e.kind in (e.POSITIONAL_OR_KEYWORD, e.KEYWORD_ONLY))
    return tuple(named), frozenset(filled)


def is_whole(value: Any, *, at_least: int) -> bool:
    """Return whether `value` is a whole number of Python or of NumPy, and not too small."""
    try:
        return not isinstance(value, bool) and operator.index(value) >= at_least
    except TypeError:
        return False


def bind(
    parameters: tuple[Parameter, ...],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    owner: str,
) -> tuple[tuple[str, Any], ...]:
    """Return name and value of every parameter, in the order of the signature, checked."""
    names = [parameter.name for parameter in parameters]
    if len(args) > len(names):
        takes = ", ".join(names) or "no parameters"
        raise ParameterError(f"{owner}: too many values ({len(args)}); it takes {takes}")
    given = dict(zip(names, args, strict=False))
    for name, value in kwargs.items():
        if name in given:
            raise ParameterError(f"{owner}: {name} is given twice")
        if name not in names:
            likely = suggestion(name, names, f"its parameters: {', '.join(names) or 'none'}")
            raise ParameterError(f"{owner} has no parameter {name!r}{likely}")
        given[name] = value
    missing = [p.name for p in parameters if p.required and p.name not in given]
    if missing:
        raise ParameterError(f"{owner}: needs a value for {', '.join(missing)}")
    return tuple((p.name, p.check(given.get(p.name, p.default), owner)) for p in parameters)


def _parameter(entry: inspect.Parameter, hint: Any) -> Parameter:
    bounds, text, through, example = None, "", None, ""
    optional = entry.default is None
    if typing.get_origin(hint) is Annotated:
        hint, *notes = typing.get_args(hint)
        bounds = next((note for note in notes if isinstance(note, Between)), None)
        text = next((note for note in notes if isinstance(note, str)), "")
        through = next((note for note in notes if isinstance(note, Through)), None)
        example = next((note.value for note in notes if isinstance(note, Example)), "")
    choices: tuple[str, ...] = ()
    if typing.get_origin(hint) is Literal:
        literals = typing.get_args(hint)
        choices, hint = tuple(map(str, literals)), type(literals[0])
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        plain = {part for part in typing.get_args(hint) if part is not type(None)}
        optional |= type(None) in typing.get_args(hint)
        hint = float if plain == {int, float} else plain.pop() if len(plain) == 1 else _EMPTY
    if hint is _EMPTY and entry.default is not _EMPTY and entry.default is not None:
        hint = type(entry.default)
    kind = hint if hint in (bool, int, float, str) else object
    by_position = entry.kind is entry.POSITIONAL_ONLY
    return Parameter(
        entry.name, kind, entry.default, choices, bounds, text, through, example, optional,
        by_position,
    )  # fmt: skip


def _parse_bool(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered in ("true", "yes", "on", "1"):
        return True
    if lowered in ("false", "no", "off", "0"):
        return False
    raise ValueError(text)


def _parse_literals(text: str) -> Any:
    """Return the number that `text` is, a tuple of several, else `text` itself."""
    if "," not in text:
        return _parse_literal(text)
    numbers = tuple(_parse_literal(each) for each in text.split(","))
    return text if any(isinstance(each, str) for each in numbers) else numbers


def _parse_literal(text: str) -> Any:
    """Return the number that `text` is, else `text` itself."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
