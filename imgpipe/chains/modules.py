"""Modules of user filters: files and importable modules, loaded once and again after a change."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import re
import sys
import traceback
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from types import ModuleType

from imgpipe.chains.definition import digest_of
from imgpipe.errors import ImgpipeError, UsageError

__all__ = [
    "file_of",
    "imported",
    "is_file",
    "is_module",
    "module_of_file",
    "naming_module_in_errors",
    "with_a_colon",
]

_Stamp = tuple[int, int]
_from_files: dict[str, tuple[_Stamp, ModuleType]] = {}  # by module name


def is_file(place: str) -> bool:
    """Return whether `place` can only be the path of a file."""
    return re.search(r"[\\/]|\.py\Z", place) is not None


def is_module(name: str) -> bool:
    """Return whether `name` must be a module: it has a dot, or can be imported from here."""
    if "." in name:
        return True
    _search("")
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def with_a_colon(name: str) -> str:
    """Return the remedy for ``module.function`` and ``file.py.function``; "" for other names."""
    module, _, function = name.rpartition(".")
    if module.endswith(".py"):
        is_meant = os.path.isfile(module)
    else:
        is_meant = bool(module) and not is_file(name) and _has(module, function)
    return f"write a colon before the function: {module}:{function}" if is_meant else ""


def _has(module: str, function: str) -> bool:
    """Return whether there is such a function in a module, which is imported."""
    try:
        return callable(getattr(imported(module), function, None))
    except (Exception, SystemExit):  # noqa: BLE001 - of the module, which may do anything
        return False


def file_of(module: str) -> str | None:
    """Return the file that `module` was loaded from here; None for an importable module."""
    return str(_from_files[module][1].__file__) if module in _from_files else None


def imported(name: str) -> ModuleType:
    """Import a module, which may be in the working folder of this process."""
    _search("")
    return importlib.import_module(name)


@contextlib.contextmanager
def naming_module_in_errors(module: str) -> Iterator[None]:
    """Turn an error while `module` is loaded into one that names it."""
    try:
        yield
    except UsageError:
        raise
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise UsageError(f"{module}: fails to load: {error}") from error
        remedy = with_a_colon(module) or (
            "install it, run from the folder that it is in, or give the path of its file "
            "(folder/my_filter.py:function)"
        )
        raise UsageError(f"there is no module {module!r}; {remedy}") from error
    except (Exception, SystemExit) as error:
        raise UsageError(f"{module}: fails to load: {_description_of(error)}") from error


def module_of_file(shown: str) -> ModuleType:
    """Return the module of the Python file at `shown`.

    The file is run once, under a module name that depends on its path alone, and again once it
    has changed. Its functions travel to workers by value, so these need not find the file;
    modules in its own folder are found by the workers too.

    Raises
    ------
    UsageError
        If there is no such file, or it fails to load.
    """
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
    cloudpickle.register_pickle_by_value(module)  # code that runs while it loads may need that
    try:
        # Compiled here, because the import system would leave a __pycache__ beside the file.
        exec(loader.source_to_code(source, path), module.__dict__)  # noqa: S102
    except BaseException as error:
        cloudpickle.unregister_pickle_by_value(module)
        sys.modules.pop(name)
        if before is not None:
            sys.modules[name] = before
        if isinstance(error, (Exception, SystemExit)):
            raise UsageError(f"{shown}: fails to load: {_description_of(error, path)}") from error
        raise
    return module


def _search(folder: str) -> None:
    """Let modules be found in `folder`: after all others, so that it replaces none."""
    if folder not in sys.path:
        sys.path.append(folder)


def _description_of(error: BaseException, path: str = "") -> str:
    """Return message and, unless it is ours, type of `error`, and its line in the file `path`."""
    if isinstance(error, SyntaxError):
        return str(error)
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == path]
    place = f" (line {lines[-1]})" if lines else ""
    kind = "" if isinstance(error, ImgpipeError) else f"{type(error).__name__}: "
    return f"{kind}{error}{place}"
