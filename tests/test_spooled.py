"""Spooled targets: written bytes can be changed, whatever the target is."""

from __future__ import annotations

import errno
import io
import os
import threading
from pathlib import Path

import pytest

from imgpipe.errors import OutputError
from imgpipe.formats import spooled
from imgpipe.formats.binarystreams import StreamTarget
from imgpipe.formats.spooled import SpooledTarget, amendable
from imgpipe.formats.target import FileTarget, MemoryTarget


def filled(target: object) -> int:
    made = amendable(target)  # type: ignore[arg-type]
    made.write(b"head", b"body")
    made.amend(1, b"EA")
    made.write(b"end")
    return made.commit()


def test_a_file_and_memory_are_changed_where_they_are(tmp_path: Path) -> None:
    out = io.BytesIO()
    for target in (FileTarget(tmp_path / "out"), MemoryTarget(out)):
        assert amendable(target) is target
        assert filled(target) == 11
    assert (tmp_path / "out").read_bytes() == out.getvalue() == b"hEAdbodyend"


def test_a_stream_gets_the_bytes_when_they_are_final() -> None:
    stream = io.BytesIO()
    target = amendable(StreamTarget(stream))
    assert isinstance(target, SpooledTarget)
    target.write(b"head")
    assert not stream.getvalue()
    target.abort()
    target.abort()
    assert filled(StreamTarget(stream)) == 11
    assert stream.getvalue() == b"hEAdbodyend"
    with pytest.raises(OutputError, match="cannot be changed"):
        StreamTarget(stream).amend(0, b"x")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes with a name")
def test_a_pipe_gets_the_bytes_when_they_are_final(tmp_path: Path) -> None:
    path, found = tmp_path / "pipe", []
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: found.append(path.read_bytes()))
    reader.start()
    assert filled(FileTarget(path)) == 11
    reader.join()
    assert found == [b"hEAdbodyend"]


def test_a_full_disk_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    target = SpooledTarget(MemoryTarget(io.BytesIO()))
    monkeypatch.setattr(spooled.os, "write", full)
    with pytest.raises(OutputError, match="no room for the output"):
        target.write(b"head")
    target.abort()
