"""Examples of the filters: a picture, a chain, and the picture that the chain makes of it."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from samplepictures import heat, picture

import imgpipe
from imgpipe.chains.chain import Chain, Filter
from imgpipe.chains.grammar import parse_chain
from imgpipe.cli.filteroptions import option_words

__all__ = ["Example", "as_call", "changed", "examples", "workshop"]

Pixels = NDArray[Any]

_LONG = 76  # columns of a listing


@dataclass(frozen=True)
class Example:
    """An example of a filter.

    Attributes
    ----------
    name : str
        The name of the filter.
    picture : str
        The name of the picture.
    text : str
        The chain, as the command line takes it.
    shows : str
        A sentence about the result.
    pair : bool
        Whether the pixels of the result have other places than those of the picture.
    """

    name: str
    picture: str
    text: str
    shows: str
    pair: bool = False

    @cached_property
    def chain(self) -> Chain:
        """The chain."""
        return parse_chain(self.text)

    @property
    def file(self) -> str:
        """The name of the file with the picture."""
        return f"{self.picture}.{'tif' if self.picture == 'ink' else 'png'}"

    @property
    def output(self) -> str:
        """The name of the file with the result."""
        return "out.png"

    @property
    def words(self) -> list[str]:
        """The words of the command."""
        if len(self.chain.filters) > 1:
            return ["imgpipe", "run", self.text, self.file, "-o", self.output]
        (one,) = self.chain.filters
        given = {each.name: each for each in one.definition.parameters}
        options = [
            word
            for name, value in changed(one).items()
            for word in option_words(given[name], _as_word(value))
        ]
        return ["imgpipe", self.name, self.file, "-o", self.output, *options]

    def made(self) -> Pixels:
        """Return the result, which the Python makes. Works in the workshop."""
        exec(self.python, {})
        return imgpipe.read(self.output)

    @property
    def command(self) -> str:
        """The command line."""
        return shlex.join(self.words)

    @property
    def python(self) -> str:
        """The same in Python."""
        names = ", ".join(sorted({one.name for one in self.chain.filters}))
        call = " | ".join(map(as_call, self.chain.filters))
        run = f'imgpipe.run("{self.file}", {call}, "{self.output}")'
        if len(run) > _LONG:
            run = f'imgpipe.run(\n    "{self.file}",\n    {call},\n    "{self.output}",\n)'
        return f"import imgpipe\nfrom imgpipe.filters import {names}\n\n{run}"


def changed(one: Filter) -> dict[str, Any]:
    """Return the parameters of a filter that differ from their defaults."""
    pairs = zip(one.definition.parameters, one.params, strict=True)
    return {each.name: value for each, (_, value) in pairs if value != each.default}


def as_call(one: Filter) -> str:
    """Return the call that makes a filter."""
    given = (f"{name}={_literal(value)}" for name, value in changed(one).items())
    return f"{one.name}({', '.join(given)})"


def _literal(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return f"{value:g}" if isinstance(value, float) else repr(value)


def _as_word(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def examples() -> dict[str, Example]:
    """Return the examples by the name of the filter."""
    table = tomllib.loads(Path(__file__).with_name("examples.toml").read_text(encoding="utf-8"))
    return {
        name: Example(name, one["picture"], one["chain"], one["shows"], one.get("pair", False))
        for name, one in table.items()
    }


@contextmanager
def workshop() -> Iterator[None]:
    """Work in a folder of its own, with the files of all examples."""
    with TemporaryDirectory() as folder, chdir(folder):
        np.savetxt("heat.txt", heat(), fmt="%d")
        for file in {each.file for each in examples().values()} | {"sky.png"}:
            _write(file)
        yield


def _write(file: str) -> None:
    name = Path(file).stem
    alpha = "last" if name == "emblem" else None
    imgpipe.write(picture(name), file, colour="cmyk" if name == "ink" else None, alpha=alpha)
