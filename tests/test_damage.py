"""Errors about the bytes of a file become one kind, with the remedy."""

from __future__ import annotations

import struct

import pytest

from imgpipe.errors import CorruptError, FormatError
from imgpipe.formats.damage import damage


def test_an_error_names_the_file_the_reason_and_the_remedy() -> None:
    with pytest.raises(CorruptError) as caught, damage("a.x"):
        raise ValueError("it has\nno end.")
    assert str(caught.value) == "a.x: the file is damaged (it has no end); get a fresh copy"
    with pytest.raises(CorruptError) as caught, damage("a.x", "is damaged: {}", struct.error):
        struct.unpack("<I", b"")
    assert str(caught.value).startswith("a.x: is damaged: unpack requires")


def test_other_errors_pass() -> None:
    with pytest.raises(ZeroDivisionError), damage("a.x"):
        raise ZeroDivisionError
    with pytest.raises(FormatError, match="convert it"), damage("a.x"):
        raise FormatError("a.x: is unknown; convert it")
