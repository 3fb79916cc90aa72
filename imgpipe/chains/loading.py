"""Where the functions of filters are: in the registry, in a module, in a file of the user's."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import re
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from importlib.machinery import SourceFileLoader
from types import ModuleType
from typing import Any, NamedTuple

from imgpipe.chains.base import Chain, Definition, FilterFactory
from imgpipe.chains.callables import module_of, name_of
from imgpipe.chains.declaring import define
from imgpipe.chains.definition import Kernel, PairLike, Works, digest_of
from imgpipe.chains.parameters import parameters_of
from imgpipe.chains.sending import places_of
from imgpipe.errors import UsageError
from imgpipe.geometry import Halo
from imgpipe.registry import FILTERS, registered_filter

__all__ = [
    "BareFunction",
    "Found",
    "declared_for",
    "filters_of",
    "found_in",
    "hint",
    "is_file",
    "is_module",
    "load_module_filter",
    "load_registered",
    "load_user_filter",
    "where_found",
]

_MEANT_OTHERWISE = {"border", "halo", "dtype"}  # parameters of bare functions that are not offered

_Stamp = tuple[int, int]
_from_files: dict[str, tuple[_Stamp, ModuleType]] = {}  # by module name


@dataclass(frozen=True)
class BareFunction:
    """A function that was found where a filter was looked for.

    Attributes
    ----------
    function : callable
        The function itself.
    name, place : str
        What it is called, and the file or module it is in.
    """

    function: Callable[..., Any]
    name: str
    place: str

    def declared(self, halo: PairLike | None, dtype: Works | None = None) -> FilterFactory:
        """Return the filter that it is with this halo.

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
    """Return the filter that a bare function is with this halo.

    Its own parameters that are called like what is said here of every filter keep their defaults.
    """
    parameters = tuple(
        p for p in parameters_of(function) if p.required or p.name not in _MEANT_OTHERWISE
    )
    pair = (halo, halo) if isinstance(halo, int) else halo
    made = define(function, name, pair, {"dtype": dtype or "keep"}, parameters)
    return FilterFactory(replace(made, bare=True))


def load_registered(name: str) -> FilterFactory:
    """Return the filter that is registered as `name`.

    Raises
    ------
    UsageError
        If there is none, or it does not load.
    """
    if name not in FILTERS:
        raise UsageError(
            f"there is no filter {name!r}{hint(name, FILTERS, 'imgpipe filters lists them')} "
            f"(your own is written my_filter.py:{name})"
        )
    return registered_filter(name)


def load_user_filter(
    path: str | os.PathLike[str], name: str, halo: Halo | None = None
) -> FilterFactory:
    """Return the filter called `name` in the Python file at `path`.

    With a `halo` it may be a bare function.

    The file is run once, under a module name that depends on its path alone, and again once it
    has changed. Its functions travel to workers by value, so these need not find the file;
    what it imports from its own folder they find as it does.

    Raises
    ------
    UsageError
        If the file does not load, or `name` in it is not a function decorated with
        ``@imgpipe.filter``.
    """
    shown = os.fspath(path)
    found = _member(_module_of_file(shown), name, shown)
    return found.declared(halo) if isinstance(found, BareFunction) else found


def found_in(place: str, name: str) -> FilterFactory | BareFunction:
    """Return what is called `name` in a Python file, or else in an importable module.

    A path is what ends in ``.py`` or has a slash or backslash.

    Raises
    ------
    UsageError
        If `place` does not load, or it has nothing of that name that is a filter or a function.
    """
    if is_file(place):
        return _member(_module_of_file(place), name, place)
    with _telling_of(place):
        return _member(_imported(place), name, place)


def is_file(place: str) -> bool:
    """Whether `place` can only be the path of a file."""
    return re.search(r"[\\/]|\.py\Z", place) is not None


def is_module(name: str) -> bool:
    """Whether `name` can only be that of a module: it has a dot, or can be imported from here."""
    if "." in name:
        return True
    _search("")
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def load_module_filter(module: str, name: str, halo: Halo | None = None) -> FilterFactory:
    """Return the filter called `name` in the importable `module`.

    It may be in the folder that this process works in. With a `halo` it may be a bare function.

    Raises
    ------
    UsageError
        If the module does not load, or `name` in it is not a filter.
    """
    with _telling_of(module):
        found = _member(_imported(module), name, module)
    return found.declared(halo) if isinstance(found, BareFunction) else found


def filters_of(place: str) -> dict[str, FilterFactory]:
    """Return the filters in a Python file, or else in an importable module, by name.

    Raises
    ------
    UsageError
        If it does not load.
    """
    if place.endswith(".py"):
        return _filters_in(_module_of_file(place))
    with _telling_of(place):
        return _filters_in(_imported(place))


class Found(NamedTuple):
    """Where a filter is found again.

    Attributes
    ----------
    words : tuple of str
        Its registered name; or its file or module, and its name there.
    bare : bool
        Whether a bare function is found there, with nothing declared.
    """

    words: tuple[str, ...]
    bare: bool = False


def where_found(definition: Definition) -> Found:
    """Return where a filter is found again.

    Raises
    ------
    UsageError
        If it can be found nowhere.
    """
    name = definition.name
    if name in FILTERS and load_registered(name).definition == definition:
        return Found((name,))
    module = sys.modules.get(module_of(definition.kernel), ModuleType("none"))
    for name, value in vars(module).items():
        if isinstance(value, FilterFactory) and value.definition == definition:
            if module.__name__ in _from_files:
                return Found((str(module.__file__), name))
            if module.__name__ not in ("__main__", *FILTERS):
                return Found((module.__name__, name))
    bare = declared_for(definition.kernel, definition.name, definition.halo, definition.dtype)
    if replace(bare.definition, halo=definition.halo) == definition and (
        words := _where_imported(definition)
    ):
        return Found(words, bare=True)
    raise UsageError(
        f"{definition.name} cannot be written as text: it is not in a file or package of filters; "
        "move it to a file of its own and load that"
    )


def _where_imported(definition: Definition) -> tuple[str, str] | None:
    """Return the file or module of a bare function, and its name there.

    Many functions are not in the module that they say, or say none, and others import them: the
    module that people most likely write has no private name, is of the same package, and short.
    """
    function = definition.kernel
    package = module_of(function).partition(".")[0].lstrip("_")

    def likely(place: tuple[str, str]) -> tuple[bool, bool, int, str]:
        module = place[0]
        return "._" in f".{module}", module.partition(".")[0] != package, len(module), module

    found = sorted(places_of(function, definition.name, name_of(function)), key=likely)
    for module, name in found:
        if module in _from_files:
            return str(sys.modules[module].__file__), name
    return found[0] if found else None


def hint(wrong: str, known: Iterable[str], otherwise: str = "") -> str:
    """Return the end of a message about a wrong name: the likely one, or what there is."""
    import difflib  # noqa: PLC0415 - only for what is wrong

    names = sorted(known)
    close = difflib.get_close_matches(wrong.lower(), names, 1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; {otherwise or 'there are: ' + (', '.join(names) or 'none')}"


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
    known = _filters_in(module)
    raise UsageError(f"{shown}: there is no filter {name!r} in it{hint(name, known)}")


def _filters_in(module: ModuleType) -> dict[str, FilterFactory]:
    return {key: value for key, value in vars(module).items() if isinstance(value, FilterFactory)}


def _imported(name: str) -> ModuleType:
    _search("")
    return importlib.import_module(name)


@contextlib.contextmanager
def _telling_of(module: str) -> Iterator[None]:
    """Make of what goes wrong while `module` is loaded an error that names it."""
    try:
        yield
    except UsageError:
        raise
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise UsageError(f"{module}: fails to load: {error}") from error
        raise UsageError(
            f"there is no module {module!r}; install it, run from the folder that it is in, or "
            "give the path of its file (folder/my_filter.py:function)"
        ) from error
    except (Exception, SystemExit) as error:
        raise UsageError(f"{module}: fails to load: {_told(error)}") from error


def _module_of_file(shown: str) -> ModuleType:
    path = os.path.realpath(shown)
    stem = re.sub(r"\W", "_", os.path.basename(path).removesuffix(".py"))
    name = f"imgpipe_file_{stem}_{digest_of(os.fsencode(path))[:12]}"
    try:
        found = os.stat(path)
        stamp = found.st_mtime_ns, found.st_size
        loader = SourceFileLoader(name, path)
        source = loader.get_data(path)
    except FileNotFoundError as error:
        raise UsageError(f"{shown}: there is no such file; check the path") from error
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise UsageError(f"{shown}: cannot be read: {reason}") from error
    if name not in _from_files or _from_files[name][0] != stamp:
        _from_files[name] = stamp, _load(loader, source, shown)
    return _from_files[name][1]


def _load(loader: SourceFileLoader, source: bytes, shown: str) -> ModuleType:
    """Run the source of a file as a module."""
    import cloudpickle  # noqa: PLC0415 - only functions that are not ours need it

    name, path = loader.name, loader.path
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    _search(os.path.dirname(path))
    before = sys.modules.get(name)
    sys.modules[name] = module
    cloudpickle.register_pickle_by_value(module)  # what it runs while it loads may need that
    try:
        # Compiled here, because the import system would leave a __pycache__ beside the file.
        exec(loader.source_to_code(source, path), module.__dict__)  # noqa: S102
    except BaseException as error:
        cloudpickle.unregister_pickle_by_value(module)
        sys.modules.pop(name)
        if before is not None:
            sys.modules[name] = before
        if isinstance(error, (Exception, SystemExit)):
            raise UsageError(f"{shown}: fails to load: {_told(error, path)}") from error
        raise
    return module


def _search(folder: str) -> None:
    """Let modules be found in `folder`: after all others, so that it replaces none."""
    if folder not in sys.path:
        sys.path.append(folder)


def _told(error: BaseException, path: str = "") -> str:
    """Return type and message of `error`, and the line of the file at `path` it comes from."""
    if isinstance(error, SyntaxError):
        return str(error)
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == path]
    where = f" (line {lines[-1]})" if lines else ""
    return f"{type(error).__name__}: {error}{where}"
