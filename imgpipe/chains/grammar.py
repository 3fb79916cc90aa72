r"""Grammar: from the text of a chain, as ``imgpipe run`` takes it, to its filters.

::

    chain      = element { "|" element } ;
    element    = name [ ":" values ] ;
    name       = filter                  a registered filter: no dot, no slash
               | file ":" function       a name that ends in .py or has a slash or backslash
               | module ":" function ;   any other name that is not registered
    values     = value { "," value } ;   those without a parameter first
    value      = [ parameter "=" ] word ;
    word       = bare | quoted ;
    bare       = characters without blanks and | : , = ' "
    quoted     = "'" characters "'" | '"' characters '"' ;

Blanks between words mean nothing. Inside quotes, ``\`` before the quote or another ``\`` stands
for that character; any other ``\`` is itself, as it is outside quotes. A word that begins with
a single letter and ``:\`` or ``:/`` is a Windows path, and keeps its colon. The path of an
existing file needs no quotes, with any characters. Values without a parameter follow the order of
the signature; ``border`` is a parameter of every filter, and is always given by name. So are
``halo`` and ``dtype`` of a bare function, one that declares nothing itself; a parameter of its
own of such a name cannot be given.

===================================  =====================================
``blur``                             with its defaults
``blur:2``                           sigma is 2
``blur:sigma=2,border=reflect``      by name
``blur:2 | grayscale``               one after the other, in one pass
``blend:"other, older.png",0.25``    quoted, for the comma and the blank
``my_filter.py:relief:strength=2``   a function of a file
``my filters/a.py:relief``           a path with a blank, of a file that is there
``C:\filters\a.py:relief``           a path with a drive
``package.module:relief:3``          a function of an importable module
``numpy:sqrt:halo=0,dtype=float32``  a bare function, and its declarations
===================================  =====================================
"""

from __future__ import annotations

import contextlib
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from itertools import takewhile
from typing import Any, NoReturn

from imgpipe.borders import BORDERS
from imgpipe.chains.chain import Chain, Filter, FilterFactory
from imgpipe.chains.declarations import WORKS
from imgpipe.chains.definition import Definition, PairLike, Works
from imgpipe.chains.loading import BareFunction, found_in, load_registered
from imgpipe.chains.modules import is_file, is_module, with_a_colon
from imgpipe.chains.tokens import Token, as_word, scan
from imgpipe.errors import ChainError, ParameterError, UsageError
from imgpipe.geometry import Halo
from imgpipe.parameters import Parameter
from imgpipe.records import dataclass
from imgpipe.registry import FILTERS
from imgpipe.suggestions import suggestion

__all__ = [
    "all_declared",
    "definitions_in",
    "offered",
    "parse_chain",
]

_BORDER = Parameter("border", str, choices=BORDERS)


def parse_chain(
    text: str,
    *,
    halo: PairLike | None = None,
    dtype: Works | None = None,
    more: Mapping[str, Any] | None = None,
) -> Chain:
    """Return the chain that `text` describes; a `Filter` where it is only one.

    Parameters
    ----------
    text : str
        See the grammar at the top of this module.
    halo : int or (int, int), optional
        The halo of the bare functions in it that are given none there, which are refused
        otherwise.
    dtype : {"keep", "float32"}, optional
        The type that these functions work in, where the text says nothing.
    more : dict, optional
        Parameters of its only filter that are given elsewhere; they win over those in `text`.

    Raises
    ------
    ChainError
        If it does not parse, or a name in it does not exist. Points at the character.
    """
    elements = _Parser(text, halo, dtype).elements()
    if more and len(elements) == 1:
        elements[0].given.update(more)
    filters: list[Chain] = [element.bound(text) for element in elements]
    return reduce(operator.or_, filters)


def definitions_in(text: str, halo: PairLike | None = None) -> list[Definition]:
    """Return the definition of each filter in `text`, whether it has all its values or not."""
    return [element.factory.definition for element in _Parser(text, halo, None).elements()]


def offered(definition: Definition) -> dict[str, Parameter]:
    """Return the parameters of a filter by name, its own first."""
    declared = _OF_BARE if definition.bare else ()
    return {p.name: p for p in (*definition.parameters, _BORDER, *declared)}


def all_declared(text: str) -> bool:
    """Return whether every bare function in `text` is given its halo there."""
    try:
        return bool(definitions_in(text))
    except UsageError:
        return False


_Value = tuple[Token | None, Token]  # a name, and the value


def _has_no_name(value: _Value) -> bool:
    return value[0] is None


@dataclass(frozen=True)
class _Parsed:
    """A filter and its values."""

    factory: FilterFactory
    name: Token
    given: dict[str, Any]

    def bound(self, text: str) -> Filter:
        with _pointing_at(self.name, text):
            return self.factory(**self.given)


@contextlib.contextmanager
def _pointing_at(token: Token, text: str) -> Iterator[None]:
    """Make errors that know nothing of the text point at `token`."""
    try:
        yield
    except ParameterError as error:
        raise ChainError(str(error), text, token.at) from error


@contextlib.contextmanager
def _placing(token: Token, text: str) -> Iterator[None]:
    """Turn any error about the user's text into a `ChainError` that points at `token`."""
    try:
        yield
    except ChainError:
        raise
    except UsageError as error:
        raise ChainError(str(error), text, token.at) from error


def _halo(text: str, owner: str) -> Halo:
    """Return the halo that `text` stands for: a number, or two with a comma in between."""
    found = re.fullmatch(r"\s*(\d+)\s*(?:,\s*(\d+)\s*)?", text)
    if not found:
        raise ParameterError(
            f"{owner}: halo must be a whole number of pixels, or two in quotes (rows,columns), "
            f"not {text!r}"
        )
    return int(found[1]), int(found[2] or found[1])


# Declarations of a bare function in the text.
_OF_BARE = (
    Parameter("halo", object, text="Pixels around each one that it looks at."),
    Parameter("dtype", str, choices=WORKS, text="The type that it works in."),
)
_DECLARED: dict[str, Callable[[str, str], Any]] = {"halo": _halo, "dtype": _OF_BARE[1].parse}


class _Parser:
    """One method for each rule of the grammar."""

    def __init__(self, text: str, halo: PairLike | None, dtype: Works | None) -> None:
        self._text, self._halo, self._dtype = text, halo, dtype
        self._tokens = scan(text)
        self._here = next(self._tokens)

    def elements(self) -> list[_Parsed]:
        if self._here.kind == "end":
            self._fail("the chain is empty; name at least one filter, such as blur")
        found = [self._element()]
        while self._took("|"):
            found.append(self._element())
        if self._here.kind == "word":
            self._fail("| , : or = is missing before this word; or put text with blanks in quotes")
        if self._here.kind != "end":
            self._fail(f"unexpected {self._here.text!r}; put text that contains it in quotes")
        return found

    def _element(self) -> _Parsed:
        name = self._word("a filter is missing here")
        found = self._found(name)
        values = self._values() if self._took(":") else []
        if isinstance(found, BareFunction):
            factory, values = self._declared(found, name, values)
        else:
            factory = found
        return _Parsed(factory, name, self._given(factory.definition, values))

    def _found(self, name: Token) -> FilterFactory | BareFunction:
        words = re.split("[|:,=]", self._text[name.at :])[0].rstrip()
        if words.endswith(".py") and len(words) > len(name.text) and words[0] not in "'\"":
            self._fail(f"{words}: there is no such file; check the path, or put | between", name)
        if not is_file(name.text):
            self._refuse_brackets(name)
        with _placing(name, self._text):
            if name.text in FILTERS or not (is_file(name.text) or is_module(name.text)):
                return load_registered(name.text)
            found = f"{name.text}: name one of its functions: {as_word(name.text)}:function"
            if not self._took(":"):
                remedy = with_a_colon(name.text)
                self._fail(f"{name.text}: {remedy}" if remedy else found)
            function = self._word(found)
            self._refuse_brackets(function)
            return found_in(name.text, function.text)

    def _refuse_brackets(self, name: Token) -> None:
        """Refuse the spelling of Python: blur(sigma=2)."""
        written = re.match(r"(\w+)\((?:\s*([^()|]*?)\s*\))?", self._text[name.at :])
        if written is not None:
            function, values = written.groups()
            values = "parameter=value" if values is None else re.sub(r"\s*([=,])\s*", r"\1", values)
            right = f"{function}:{values}" if values else function
            self._fail(f"write {right}; a chain has no brackets", name)

    def _declared(
        self, found: BareFunction, name: Token, values: list[_Value]
    ) -> tuple[FilterFactory, list[_Value]]:
        """Return the filter of a bare function with the declarations in the text, and the rest."""
        declared: dict[str, Any] = {"halo": self._halo, "dtype": self._dtype}
        for key, value in values:
            if key is not None and key.text in _DECLARED:
                with _placing(value, self._text):
                    declared[key.text] = _DECLARED[key.text](value.text, found.name)
        rest = [(key, value) for key, value in values if not (key and key.text in _DECLARED)]
        with _placing(name, self._text):
            return found.declared(**declared), rest

    def _values(self) -> list[_Value]:
        values = [self._value()]
        while self._took(","):
            values.append(self._value())
        for position, (key, first) in enumerate(values):
            others = [word for _, word in takewhile(_has_no_name, values[position + 1 :])]
            if key is not None and others:
                several = as_word(",".join(word.text for word in (first, *others)))
                self._fail(
                    "values without a name come before those with one; a list is written in "
                    f"quotes: {key.text}={several}",
                    others[0],
                )
        return values

    def _value(self) -> _Value:
        word = self._word('a value is missing here; empty text is written ""')
        if self._took("="):
            return word, self._word('a value is missing after "="; empty text is written ""')
        return None, word

    def _given(self, definition: Definition, values: list[_Value]) -> dict[str, Any]:
        given: dict[str, Any] = {}
        for position, (key, value) in enumerate(values):
            if key is not None:
                parameter = self._named(definition, key)
            else:
                parameter = self._positional(definition, position, value)
            if parameter.name in given:
                self._fail(f"{definition.name}: {parameter.name} is given twice", key or value)
            with _pointing_at(value, self._text):
                given[parameter.name] = parameter.parse(value.text, definition.name)
        return given

    def _named(self, definition: Definition, key: Token) -> Parameter:
        known = offered(definition)
        if key.text not in known:
            likely = suggestion(key.text, known, f"its parameters: {', '.join(known)}")
            self._fail(f"{definition.name} has no parameter {key.text!r}{likely}", key)
        return known[key.text]

    def _positional(self, definition: Definition, position: int, value: Token) -> Parameter:
        if position >= len(definition.parameters):
            takes = ", ".join(p.name for p in definition.parameters) or "none"
            self._fail(f"{definition.name}: too many values; its parameters: {takes}", value)
        return definition.parameters[position]

    def _took(self, mark: str) -> bool:
        """Return whether the next token is `mark`; steps over it if so."""
        if self._here.kind != mark:
            return False
        self._here = next(self._tokens)
        return True

    def _word(self, missing: str) -> Token:
        found = self._here
        if not self._took("word"):
            self._fail(missing)
        return found

    def _fail(self, message: str, at: Token | None = None) -> NoReturn:
        raise ChainError(message, self._text, (at or self._here).at)
