"""Digests of sources, of chains with the code of user filters, of options, and of versions."""

from __future__ import annotations

import ast
import contextlib
import hashlib
import inspect
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from imgpipe import __version__
from imgpipe.chains.definition import Definition, digest_of
from imgpipe.chains.element import Element

__all__ = ["chain_digest", "code_digest", "file_digest", "options_digest", "versions"]

_BLOCK = 1 << 20
_CODECS = (
    "imagecodecs",
    "isal",
    "numpy",
    "openimageio",
    "pillow",
    "pillow-heif",
    "simplejpeg",
    "tifffile",
    "zarr",
)


def file_digest(path: str, check: Callable[[], None] = lambda: None) -> str:
    """Return a digest of the bytes of a file, or of the names and bytes of all files in a folder.

    Calls `check` for every megabyte; an exception of `check` ends it.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    digest = hashlib.blake2b(digest_size=16)
    if not os.path.isdir(path):
        _add(digest, path, check)
        return digest.hexdigest()
    for folder, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            file = os.path.join(folder, name)
            digest.update(b"%s\0" % os.fsencode(os.path.relpath(file, path)))
            digest.update(b"%d\0" % _add(digest, file, check))
    return digest.hexdigest()


def _add(digest: Any, path: str, check: Callable[[], None]) -> int:
    """Add the bytes of a file to a digest; return their number."""
    block, added = bytearray(_BLOCK), 0
    view = memoryview(block)
    with open(path, "rb", buffering=0) as file:
        while size := file.readinto(block):
            check()
            digest.update(view[:size])
            added += size
    return added


def chain_digest(filters: Iterable[Element]) -> str:
    """Return a digest of filters, their values and the code of user filters.

    Comments, docstrings and the layout of the code have no part in it.
    """
    parts = []
    for one in filters:
        code = "" if one.definition.ours else _code_of(one.definition)
        parts.append(repr((one.name, one.values_digest, code)))
    return digest_of("|".join(parts).encode())


def code_digest(path: str) -> str:
    """Return a digest of a Python file, and of the modules in its folder that it imports.

    Raises
    ------
    OSError, SyntaxError, ValueError
        If one of them cannot be read.
    """
    folder = os.path.dirname(os.path.realpath(path))
    trees: dict[str, str] = {}
    waiting = [os.path.realpath(path)]
    while waiting:
        file = waiting.pop()
        if file in trees:
            continue
        with open(file, "rb") as opened:
            tree = ast.parse(opened.read(), file)
        trees[file] = ast.dump(_without_docstrings(tree))
        waiting += [
            found for name in _imports(tree, file, folder) if (found := _module(folder, name))
        ]
    parts = [f"{os.path.relpath(file, folder)}\n{trees[file]}" for file in sorted(trees)]
    return digest_of("\n".join(parts).encode())


def options_digest(*choices: Any) -> str:
    """Return a digest of choices about reading and writing."""
    return digest_of(repr(choices).encode())


def versions() -> dict[str, str]:
    """Return the versions of imgpipe and of all that decodes and encodes, by name."""
    installed = _installed()
    known = {name: installed[name] for name in _CODECS if name in installed}
    return {"imgpipe": __version__} | known


def _installed() -> dict[str, str]:
    """Return the version of each installed package by its name, in small letters.

    Both are in the names of folders: `importlib.metadata` takes as long to import as all of click.
    """
    found: dict[str, str] = {}
    for folder in sys.path:
        with contextlib.suppress(OSError):
            for entry in os.listdir(folder or os.curdir):
                if entry.endswith((".dist-info", ".egg-info")) and "-" in entry[:-10]:
                    name, version = entry.rpartition(".")[0].split("-")[:2]
                    found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), version)
    return found


def _code_of(definition: Definition) -> str:
    """Return a digest of the code of a function: of its file, if it needs nothing else."""
    kernel = definition.kernel
    if inspect.isfunction(kernel) and not kernel.__closure__:
        path = kernel.__code__.co_filename
        try:
            return f"{kernel.__qualname__} {code_digest(path)}"
        except (OSError, SyntaxError, ValueError):
            pass  # typed at a prompt: its source stands nowhere
    return definition.source_digest


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            match node.body:
                case [ast.Expr(value=ast.Constant(value=str())), *rest]:
                    node.body = rest
    return tree


def _imports(tree: ast.Module, file: str, folder: str) -> Iterator[str]:
    """Yield the names of modules that a file imports, as they are called from `folder`."""
    package = os.path.relpath(os.path.dirname(file), folder).replace(os.sep, ".").strip(".")
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            within = package.split(".")[: len(package.split(".")) - node.level + 1]
            prefix = [*within, node.module] if node.level else [node.module]
            home = ".".join(part for part in prefix if part)
            yield home
            yield from (f"{home}.{alias.name}".strip(".") for alias in node.names)


def _module(folder: str, name: str) -> str | None:
    """Return the file of a module below `folder`; None if it is not there."""
    path = os.path.join(folder, *name.split("."))
    for file in (f"{path}.py", os.path.join(path, "__init__.py")):
        if name and os.path.isfile(file):
            return os.path.realpath(file)
    return None
