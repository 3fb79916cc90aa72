"""Callables: name, docstring, signature and code of a function.

A function is anything that can be called with an array: one of Python or of C, a ufunc, a method,
a `functools.partial`, an object with ``__call__``. Not all of them have a name, a module or a
signature.
"""

from __future__ import annotations

import functools
import gc
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

__all__ = [
    "annotations_of",
    "docstring_of",
    "function_within",
    "module_of",
    "name_of",
    "signature_of",
    "source_of",
]


def name_of(function: Any) -> str:
    """Return the name of a function, or of the one within a `functools.partial` or an object."""
    function = _called(function)
    return str(getattr(function, "__name__", type(function).__name__))


def module_of(function: Any) -> str:
    """Return the name of the module of a function; no text where it tells of none."""
    return str(getattr(function, "__module__", None) or "")


def docstring_of(function: Any) -> str:
    """Return the docstring of `function`; of its inner function, if it is a partial.

    Functions of C begin theirs with their signature, which is left out.
    """
    text = inspect.getdoc(_called(function)) or ""
    signature = rf"\A{re.escape(name_of(function))}\(.*?\)[^\n)]*(\n\s*|\Z)"
    return re.sub(signature, "", text, flags=re.DOTALL)


def signature_of(function: Any) -> inspect.Signature | None:
    """Return the signature of a function; None where that does not tell.

    Of a ufunc only its inputs count: the rest (``out``, ``where``, ``dtype``) is about
    arrays and not about images, and depends on the version of NumPy.
    """
    inner, filled = function, 0
    while isinstance(inner, functools.partial):
        filled += len(inner.args)
        inner = inner.func
    inputs = getattr(inner, "nin", None)
    if isinstance(inner, np.ufunc) or (isinstance(inputs, int) and hasattr(inner, "nout")):
        names = [f"x{n + 1}" for n in range(inner.nin)]
        only = inspect.Parameter.POSITIONAL_ONLY
        return inspect.Signature([inspect.Parameter(name, only) for name in names[filled:]])
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):  # some builtins and C functions do not tell
        return None


def annotations_of(function: Any) -> dict[str, Any]:
    """Return the annotations of a function, or of the ``__call__`` of an object."""
    inner = _called(function)
    if not inspect.isroutine(inner) and not hasattr(inner, "__wrapped__"):
        inner = type(inner).__call__
    try:
        return typing.get_type_hints(inner, include_extras=True)
    except Exception:  # noqa: BLE001 - an annotation may have an unknown name; it is a hint
        return dict(getattr(inner, "__annotations__", None) or {})


def source_of(function: Any) -> str:
    """Return text that changes with the code of a function, and with its closed-over values.

    It is the same in every process: no address is part of it.
    """
    return "\n".join(_source(function, frozenset()))


def function_within(ufunc: Any) -> Callable[..., Any] | None:
    """Return the function of Python that `numpy.frompyfunc` made a ufunc of; else None.

    A ufunc does not tell; it is the one thing it refers to.
    """
    if not str(getattr(ufunc, "__name__", "")).endswith(" (vectorized)"):
        return None
    return next((held for held in gc.get_referents(ufunc) if callable(held)), None)


def _called(function: Any) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _source(held: Any, seen: frozenset[int]) -> Iterator[str]:
    """Yield text of a value, then of its parts."""
    if id(held) in seen:
        return
    parts = _parts(held)
    yield _text_of(held) if parts is None or callable(held) else type(held).__name__
    for part in parts or ():
        yield from _source(part, seen | {id(held)})


def _parts(held: Any) -> list[Any] | None:  # noqa: PLR0911 - one for each kind
    """Return the parts of a value beside its text; None where it is one thing."""
    if isinstance(held, functools.partial):
        return [held.func, list(held.args), held.keywords]
    if (function := function_within(held)) is not None:
        return [function]
    if isinstance(held, types.MethodType):
        return [held.__func__, held.__self__]
    if isinstance(held, types.FunctionType):
        return [held.__defaults__, held.__kwdefaults__, *_kept(held)]
    if isinstance(held, (list, tuple)):
        return list(held)
    if isinstance(held, dict):
        return [each for pair in held.items() for each in pair]
    if isinstance(held, type) or inspect.isroutine(held) or not hasattr(held, "__dict__"):
        return None
    return [type(held), vars(held)]


def _kept(function: types.FunctionType) -> Iterator[Any]:
    """Yield the variables of other functions that a function uses."""
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not filled yet
            continue


def _text_of(held: Any) -> str:
    if isinstance(held, np.ndarray) and held.dtype != object:
        return f"{held.dtype} {held.shape} {held.tobytes().hex()}"
    try:
        return inspect.getsource(held)
    except (OSError, TypeError):
        code = getattr(held, "__code__", None)
        return repr((code.co_code, _constants(code))) if code else _plain(held)


def _constants(code: types.CodeType) -> list[Any]:
    """Return the constants of code, without the addresses that code within code shows."""
    return [
        (each.co_code, _constants(each)) if isinstance(each, types.CodeType) else each
        for each in code.co_consts
    ]


def _plain(held: Any) -> str:
    """Return a value as text, without an address."""
    name = getattr(held, "__qualname__", getattr(held, "__name__", None))
    if name is not None:
        return f"{module_of(held)}:{name}"
    text = repr(held)
    return f"{type(held).__module__}:{type(held).__qualname__}" if " at 0x" in text else text
