"""Serialization of functions of any module or notebook, for other processes."""

from __future__ import annotations

import importlib
import io
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

from imgpipe.callables import function_within
from imgpipe.errors import UsageError

__all__ = ["by_value", "places_of"]


def by_value(sent: object, subject: str) -> bytes:
    """Return `sent` as bytes that any process with imgpipe can load.

    Raises
    ------
    UsageError
        If it cannot be sent; the message begins with `subject`.
    """
    import cloudpickle  # noqa: PLC0415 - only functions that are not ours need it

    main = sys.modules.get("__mp_main__")  # the main module of a spawned process
    if main is not None and main.__name__ not in cloudpickle.list_registry_pickle_by_value():
        cloudpickle.register_pickle_by_value(main)  # no other process can import it

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # it has no types
        """Pickler that keeps the names of files, for the errors of functions."""

        def reducer_override(self, obj: Any) -> Any:
            if (function := function_within(obj)) is not None:
                return _as_ufunc, (function, obj.nin, obj.nout)
            if (callable(obj) and getattr(obj, "__module__", "") is None) or _is_ufunc(obj):
                for place in places_of(obj, obj.__name__):
                    return _from_place, place
            if not isinstance(obj, types.CodeType):
                return super().reducer_override(obj)
            make, args = self.dispatch_table[types.CodeType](obj)[:2]
            return _with_file, (obj.co_filename, make, args)

    made = io.BytesIO()
    try:
        Pickler(made).dump(sent)
    except Exception as error:
        raise UsageError(
            f"{subject} cannot be sent to the workers: {error}; create the object at its "
            "first call, or pass it as a parameter"
        ) from error
    return made.getvalue()


def places_of(function: Any, *names: str) -> Iterator[tuple[str, str]]:
    """Yield the modules that hold a function under one of `names`, and that name.

    Nothing is asked of the modules, some of which import more, or warn, when they are.
    """
    for module in [*sys.modules.values()]:
        if isinstance(module, types.ModuleType) and module.__name__ != "__main__":
            held = vars(module)
            yield from ((module.__name__, name) for name in names if held.get(name) is function)


def _is_ufunc(function: Any) -> bool:
    return type(function).__name__ == "ufunc" and not hasattr(function, "__module__")


def _from_place(module: str, name: str) -> Any:
    return vars(importlib.import_module(module))[name]


def _as_ufunc(function: Callable[..., Any], inputs: int, outputs: int) -> Any:
    import numpy as np  # noqa: PLC0415 - only for this

    return np.frompyfunc(function, inputs, outputs)


def _with_file(
    name: str, make: Callable[..., types.CodeType], args: tuple[Any, ...]
) -> types.CodeType:
    return make(*args).replace(co_filename=name)
