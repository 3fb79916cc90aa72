"""Definition: the declarations of a kernel, and their way to another process."""

from __future__ import annotations

import copy
import copyreg
import importlib
import sys
import types
from collections.abc import Callable
from dataclasses import field
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from imgpipe.borders import Border
from imgpipe.callables import docstring_of, module_of, source_of
from imgpipe.errors import DeclarationError
from imgpipe.geometry import Box
from imgpipe.parameters import Parameter
from imgpipe.records import dataclass

if TYPE_CHECKING:
    from imgpipe.image import Colour, ImageInfo, Metadata

__all__ = [
    "AlphaPolicy",
    "Declared",
    "Definition",
    "Kernel",
    "PairLike",
    "Place",
    "Works",
    "digest_of",
    "is_ours",
]

AlphaPolicy = Literal["keep", "premultiply", "filter"]
Kernel = Callable[..., Any]
Works = Literal["keep", "float32"]
"""The type that a function works in: that of the image, or float32 from 0 to 1."""
PairLike = int | tuple[int, int] | Callable[..., Any]
"""Rows and columns: one number for both, a pair, or a function of the parameters."""


def digest_of(data: bytes) -> str:
    """Return 16 hexadecimal digits that differ wherever `data` do."""
    import hashlib  # noqa: PLC0415 - slow, and not needed where nothing travels

    return hashlib.sha256(data).hexdigest()[:16]


def is_ours(kernel: Kernel) -> bool:
    """Return whether a function came with imgpipe."""
    return module_of(kernel).startswith(_OURS)


@dataclass(frozen=True)
class Place:
    """Position of a chunk in the image, for kernels with the keyword ``place``.

    Attributes
    ----------
    box : Box
        The pixels that the kernel makes.
    padded : Box
        The pixels that it was given; reaches past the image at its borders.
    height, width : int
        Size of the whole image at this stage of the chain.
    """

    box: Box
    padded: Box
    height: int
    width: int


class NewLayout(Protocol):
    """Layout of the result of a filter of imgpipe that looks at the meaning of channels."""

    def __call__(self, info: ImageInfo, /, **params: Any) -> tuple[int, int | None, Colour]: ...


class OutputShape(Protocol):
    """Size of the output of a filter that changes the geometry."""

    def __call__(self, size: tuple[int, int], /, **params: Any) -> tuple[int, int]: ...


class InputRegion(Protocol):
    """The input box that an output box is made from."""

    def __call__(self, box: Box, size: tuple[int, int], /, **params: Any) -> Box: ...


class StillTrue(Protocol):
    """The metadata of the output, given the size of the input and of the output."""

    def __call__(
        self,
        metadata: Metadata,
        before: tuple[int, int],
        after: tuple[int, int],
        /,
        **params: Any,
    ) -> Metadata: ...


@dataclass(frozen=True)
class Definition:
    """The declarations of a kernel. See `filter` for the fields."""

    name: str
    kernel: Kernel
    halo: PairLike = 0
    border: Border = "edge"
    alpha: AlphaPolicy = "keep"
    channels: int | Callable[..., int] | None = None
    colour: Colour | None = None
    dtype: Works = "keep"
    output_dtype: str | Callable[..., str] | None = None
    layout: NewLayout | None = None  # channels, alpha and colour of the result; ours alone
    measure: Kernel | None = None
    measure_if: Callable[..., bool] | None = None
    merge: Callable[[Any, Any], Any] | None = None
    output: OutputShape | None = None
    region: InputRegion | None = None
    validate: Callable[..., object] | None = None
    metadata: StillTrue | None = None
    never_brighter: bool = False
    in_order: bool | Callable[..., bool] = False
    align: PairLike = 1
    operands: tuple[str, ...] = ()
    executor: Literal["processes", "threads"] = "processes"
    parameters: tuple[Parameter, ...] = field(default=(), compare=False)
    takes_place: bool = field(default=False, compare=False)
    takes_white: bool = field(default=False, compare=False)
    takes_about: bool = field(default=False, compare=False)
    takes_into: bool = field(default=False, compare=False)  # ours alone
    bare: bool = field(default=False, compare=False)  # a function that declares nothing itself

    @property
    def ours(self) -> bool:
        """Return whether the kernel came with imgpipe, and need not be watched."""
        return is_ours(self.kernel)

    @cached_property
    def function(self) -> Kernel:
        """The kernel as it is called.

        A `numpy.vectorize` without ``otypes`` makes all values of a chunk of the type of the first
        one, which depends on the cut; so each keeps its own.
        """
        kernel: Any = self.kernel
        if not isinstance(kernel, np.vectorize) or kernel.otypes or kernel.signature:
            return self.kernel
        made: Any = copy.copy(kernel)
        made.otypes = "O"
        return made  # type: ignore[no-any-return]

    @property
    def summary(self) -> str:
        """The first line of the docstring."""
        return docstring_of(self.kernel).partition("\n")[0]

    @cached_property
    def source_digest(self) -> str:
        """A digest of the code of the kernel, that changes when the function does."""
        return digest_of(source_of(self.kernel).encode())

    def __reduce__(self) -> str | tuple[Any, ...]:
        """Pickle by reference where the kernel can be imported by name, else by value.

        Functions of the main module can be imported by the children of this process alone, under
        another name for it. They travel by value wherever cloudpickle carries them.
        """
        module, name = module_of(self.kernel), getattr(self.kernel, "__qualname__", "")
        module = _MAIN if module in _MAINS else module
        if not _travels_by_value(module, sys._getframe(1)) and _find(module, name) is self:
            return _found, (module, name)
        return copyreg.__newobj__, (Definition,), self.__dict__  # type: ignore[attr-defined]


class Declared:
    """A function with its definition, that waits for parameters."""

    def __init__(self, definition: Definition) -> None:
        self.definition = definition


_OURS = ("imgpipe.filters.", "imgpipe.chains.")
_MAIN = "__main__"
_MAINS = (_MAIN, "__mp_main__")  # the name of the first in a spawned process


def _travels_by_value(module: str, pickling: types.FrameType | None) -> bool:
    """Return whether functions of `module` are to be sent by value from the frame that pickles."""
    if module == _MAIN:
        by = pickling.f_globals.get("__name__", "") if pickling is not None else ""
        return "cloudpickle" in by
    cloudpickle = sys.modules.get("cloudpickle")
    return cloudpickle is not None and module in cloudpickle.list_registry_pickle_by_value()


def _found(module: str, qualname: str) -> Definition:
    """Return the definition that was pickled by reference."""
    found = _find(module, qualname)
    if found is None:
        raise DeclarationError(
            f"{module}:{qualname} cannot be found as a filter; a filter must keep the name of "
            "its function, in a module that every worker can import"
        )
    return found


def _find(module: str, qualname: str) -> Definition | None:
    try:
        found = reduce(getattr, qualname.split("."), importlib.import_module(module))
    except (ImportError, AttributeError, ValueError):  # ValueError: a module without a name
        return None
    return getattr(found, "definition", None)
