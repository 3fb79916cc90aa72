"""Records: dataclasses whose classes are made quickly.

The standard library compiles six functions for each frozen dataclass: 0.4 ms, and a command begins
with seventy of them. Here ``__init__`` alone is compiled, when the first record is made; the other
methods are the same for all records.
"""

from __future__ import annotations

import dataclasses
import functools
import reprlib
from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError
from typing import TYPE_CHECKING, Any

__all__ = ["dataclass"]

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(cls=None, /, *, frozen=False, eq=True, repr=True, kw_only=False):
        """Make a dataclass, like the decorator of that name in the standard library.

        A field of a frozen one can be set once, which is what its ``__init__`` does. Classes of
        either decorator may extend those of the other.
        """
        shared: dict[str, Callable[..., Any] | None] = {}
        if repr:
            shared["__repr__"] = _repr
        if eq:
            shared |= {"__eq__": _eq, "__hash__": _hash if frozen else None}
        if frozen:
            shared |= {"__setattr__": _set_once, "__delattr__": _keep}

        def made(cls):
            # The standard library lets only frozen classes extend frozen ones.
            above = frozen and any(map(_is_frozen, cls.__mro__[1:]))
            cls = dataclasses.dataclass(
                cls, init=False, eq=False, repr=False, frozen=above, kw_only=kw_only
            )
            cls.__dataclass_params__.frozen, cls.__dataclass_params__.init = frozen, True
            if "__init__" not in vars(cls):
                cls.__init__ = _Init(cls)
            for name, method in shared.items():
                if name not in vars(cls):
                    setattr(cls, name, method)
            return cls

        return made if cls is None else made(cls)


class _Init:
    """The ``__init__`` of a class of records, until its first use puts a function in its place."""

    def __init__(self, cls: Any) -> None:
        self._cls = cls

    def __get__(self, record: Any, owner: Any = None) -> Any:
        made: Any = _compiled(self._cls)
        self._cls.__init__ = made
        return made if record is None else made.__get__(record)


def _compiled(cls: Any) -> Callable[..., None]:
    """Return the ``__init__`` that the standard library would make."""
    fields = dataclasses.fields(cls)
    signature, named = ["self"], [_parameter(each) for each in fields if each.init and each.kw_only]
    signature += [_parameter(each) for each in fields if each.init and not each.kw_only]
    if named:
        signature += ["*", *named]
    put = "_put(self, {!r}, {})" if _is_frozen(cls) else "self.{} = {}"
    body = [put.format(each.name, value) for each in fields if (value := _value(each))]
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    lines = "\n ".join(body or ["pass"])
    known: dict[str, Any] = {"_absent": object(), "_put": object.__setattr__}
    known |= {f"_default_{each.name}": each.default for each in fields}
    known |= {f"_make_{each.name}": each.default_factory for each in fields}
    exec(f"def __init__({', '.join(signature)}):\n {lines}", known)  # noqa: S102 - as there
    init: Callable[..., None] = known["__init__"]
    init.__qualname__, init.__module__ = f"{cls.__qualname__}.__init__", cls.__module__
    init.__annotations__ = {each.name: each.type for each in fields if each.init}
    return init


def _parameter(field: Field[Any]) -> str:
    """Return the parameter of a field."""
    if field.default_factory is not MISSING:
        return f"{field.name}=_absent"
    return field.name if field.default is MISSING else f"{field.name}=_default_{field.name}"


def _value(field: Field[Any]) -> str:
    """Return the value of a field; none for a field that only ``__post_init__`` sets."""
    name, made = field.name, f"_make_{field.name}()"
    if field.default_factory is MISSING:
        return name if field.init else ""
    return f"{made} if {name} is _absent else {name}" if field.init else made


def _is_frozen(cls: type[Any]) -> bool:
    parameters = getattr(cls, "__dataclass_params__", None)
    return parameters is not None and parameters.frozen


@functools.cache
def _names(cls: type[Any], use: str) -> tuple[str, ...]:
    """Return the names of the fields for a `use`: ``repr`` or ``compare``."""
    return tuple(field.name for field in dataclasses.fields(cls) if getattr(field, use))


def _values(record: Any) -> tuple[Any, ...]:
    return tuple([getattr(record, name) for name in _names(record.__class__, "compare")])


@reprlib.recursive_repr()
def _repr(self: Any) -> str:
    values = (f"{name}={getattr(self, name)!r}" for name in _names(self.__class__, "repr"))
    return f"{self.__class__.__qualname__}({', '.join(values)})"


def _eq(self: Any, other: object) -> Any:
    if other.__class__ is not self.__class__:
        return NotImplemented
    return _values(self) == _values(other)


def _hash(self: Any) -> int:
    return hash(_values(self))


def _set_once(self: Any, name: str, value: object) -> None:
    values = self.__dict__
    if name in values or name not in self.__dataclass_fields__:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")
    values[name] = value


def _keep(self: Any, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")
