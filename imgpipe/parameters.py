"""Parameters of filters and formats: their types, bounds and values, checked once, early.

The same parameters serve Python (``blur(sigma=2)``), the command line (``--sigma 2``) and the
text of a chain (``blur:sigma=2``), so their names, values and meanings are written in one place,
the signature::

    def blur(chunk, *, sigma: Annotated[float, Between(0.3, 100), "standard deviation"] = 2.0)
"""

from __future__ import annotations

import contextlib
import inspect
import math
import operator
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any, Literal

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
]

_EMPTY = inspect.Parameter.empty
_ALL_WHOLE = (
    2.0**53
)  # from here on, all floats are whole, and soon too large for an integer of NumPy
_NOUNS: dict[type, str] = {
    float: "a number",
    int: "a whole number",
    Real: "a number",
    bool: "true or false",
    str: "text",
}


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
        bool, int, float, str; Real for a number that may be whole or not; or object where the
        signature says nothing.
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
    several : bool
        Whether it may be a list of such numbers as well.
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
    several: bool = False

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
        made = float if made is Real else made
        made = made | tuple[made, ...] if self.several else made
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
            if self.several:
                return self.check(_parse_literals(text), owner)
            if self.kind is int:
                return self.check(int(text), owner)
            if self.kind is float:
                return self.check(_parse_float(text), owner)
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
            If it is of another type, out of bounds, or NaN while the default is another number.
        """
        wrong = f"{owner}: {self.name} must be {self._wanted()}, not {_shown(value)}"
        if value is None and (self.required or self.optional):
            return None
        if self.through is not None:
            try:
                value = self.through.function(value)
            except ValueError as error:
                raise ParameterError(f"{owner}: {self.name}: {error}") from None
        if self.several and _is_list(value):
            value = tuple(self._number(each, wrong) for each in value)
        elif self.kind in (int, float, Real):
            value = self._number(value, wrong)
        elif self.kind in (str, bool) and not isinstance(value, self.kind):
            raise ParameterError(wrong)
        if self.choices and str(value) not in self.choices:
            raise ParameterError(wrong)
        return value

    def _number(self, value: Any, wrong: str) -> float:
        try:
            number: float = self.kind(value) if self.kind is not Real else _real(value)
        except (TypeError, ValueError, OverflowError):
            raise ParameterError(wrong) from None
        is_flag = type(value).__name__ in ("bool", "bool_")  # of Python or of NumPy
        if is_flag or isinstance(value, str):
            raise ParameterError(wrong)
        if _is_nan(number) and _is_nan(self.default):
            return math.nan
        if number != value:  # 1.5 for an int, NaN for a float
            raise ParameterError(wrong)
        bounds = self.bounds or Between()
        if not bounds.low <= number <= bounds.high:
            raise ParameterError(wrong + (_as_fraction(number) if bounds.of_white else ""))
        return number

    def _wanted(self) -> str:
        if self.choices:
            return "one of " + ", ".join(self.choices)
        wanted = _NOUNS.get(self.kind, "a value")
        if self.bounds:
            one_bound = math.inf in (-self.bounds.low, self.bounds.high)
            wanted += f"{',' * one_bound} {self.bounds}"
        return f"{wanted}, or several such as 3,3,1" if self.several else wanted


def _as_fraction(level: float) -> str:
    """Return a level of 8 or of 16 bits as a fraction of white, as a hint."""
    for white in (255, 65535):
        if 1 < abs(level) <= white:
            return f"; it is a fraction of white: {level:g} of {white} is {level / white:.3g}"
    return "; it is a fraction of white"


def _real(value: Any) -> float:
    """Return a number: as an int if it is whole, unless it is a float so large that all are."""
    with contextlib.suppress(TypeError):
        return operator.index(value)
    number = float(value)
    return int(number) if number.is_integer() and abs(number) < _ALL_WHOLE else number


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _is_list(value: Any) -> bool:
    """Return whether `value` is a list or tuple that is not empty, or an array of one dimension."""
    is_array = hasattr(value, "dtype") and getattr(value, "ndim", 0) == 1
    return (isinstance(value, (list, tuple)) or is_array) and len(value) > 0


def _shown(value: Any) -> str:
    """Return `value` as text of one line."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"an array of shape {value.shape}"
    return repr(value)


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


def _parse_float(text: str) -> float:
    """Return a number; a whole one as it is written, so that errors show -2 and not -2.0."""
    try:
        return int(text)
    except ValueError:
        return float(text)


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
