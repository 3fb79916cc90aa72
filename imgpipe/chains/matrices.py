"""Matrices: rows of numbers as text, such as weights or a table.

A row ends with a ``;`` or a line, a number with a blank or a comma.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from imgpipe.image import Pixels

__all__ = ["given_matrix", "matrix_text", "parsed_matrix"]


def given_matrix(given: Any, noun: str, example: str) -> Pixels:
    """Return the numbers that are given as text, as the path of a file of them, or as an array.

    Raises
    ------
    ValueError
        If they are none. Messages call them `noun`, and show `example`.
    """
    if isinstance(given, (str, os.PathLike)):
        return _read(os.fspath(given), noun, example)
    try:
        array = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{given!r} is not an array of numbers") from None
    return array


def matrix_text(array: Pixels) -> str:
    """Return rows of numbers as text: the inverse of `parsed_matrix`."""
    return "; ".join(" ".join(map(_number, row)) for row in array.tolist())


def parsed_matrix(text: str) -> Pixels:
    """Parse rows of numbers.

    Raises
    ------
    ValueError
        If it is not that.
    """
    lines = text.replace(";", "\n").splitlines()
    rows = [[float(word) for word in line.replace(",", " ").split()] for line in lines]
    rows = [row for row in rows if row]
    if len({len(row) for row in rows}) != 1:
        raise ValueError("its rows are not of the same length")
    return np.array(rows)


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)


def _read(text: str, noun: str, example: str) -> Pixels:
    """Return the numbers in `text`, or in the file `text`."""
    try:
        return parsed_matrix(text)
    except ValueError:
        if not os.path.isfile(text):  # `Path.is_file` raises for text that is too long
            raise ValueError(
                f"{text!r} is neither rows of numbers, such as {example!r}, nor a file"
            ) from None
    try:
        if Path(text).suffix == ".npy":
            return np.asarray(np.load(text, allow_pickle=False), np.float64)
        return parsed_matrix(Path(text).read_text(encoding="utf-8"))
    except (OSError, EOFError, ValueError, TypeError) as error:
        raise ValueError(f"{text}: cannot be read as a {noun}: {error}") from None
