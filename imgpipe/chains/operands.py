"""Operands: values of parameters that are further images, as paths or arrays."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from imgpipe.admission import admitted
from imgpipe.chains.definition import Definition, digest_of

__all__ = ["as_text", "comparable", "with_further_images"]


def with_further_images(
    params: Iterable[tuple[str, Any]], definition: Definition
) -> Iterator[tuple[str, Any]]:
    """Yield the parameters of a filter; further images are paths or arrays."""
    for name, value in params:
        if name in definition.operands:
            yield name, _further_image(value, f"{definition.name}: {name}")
        else:
            yield name, value


def _further_image(given: Any, name: str) -> Any:
    """Return a path as it is, and an image in memory as an array; None where there is none yet."""
    if given is None or isinstance(given, (str, os.PathLike)):
        return given
    image = admitted(given, name=name)
    return image.pixels[:, :, 0] if image.flat else image.pixels


def as_text(value: Any) -> str:
    """Return `value` as text of one line."""
    if isinstance(value, np.ndarray):
        return f"<array {' x '.join(map(str, value.shape))} {value.dtype}>"
    return repr(value)


def comparable(parameter: tuple[str, Any]) -> tuple[str, Any]:
    """Return a parameter as a value that can be compared, also if it is an array."""
    name, value = parameter
    if isinstance(value, np.ndarray):
        value = value.shape, value.dtype.str, digest_of(value.tobytes())
    return name, value
