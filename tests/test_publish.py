"""The output path holds nothing, the complete old file or the complete new one."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from imgpipe.errors import OutputError
from imgpipe.publish import OutputFile


def leftovers(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name.endswith("-part")]


def test_nothing_appears_before_commit(tmp_path: Path) -> None:
    path = tmp_path / "o.bin"
    out = OutputFile(path)
    out.write(b"abc", memoryview(b"def"))
    assert not path.exists()
    assert out.commit() == 6
    assert path.read_bytes() == b"abcdef"
    assert leftovers(tmp_path) == []


def test_abort_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "o.bin"
    path.write_bytes(b"old")
    out = OutputFile(path)
    out.write(b"new")
    out.abort()
    out.abort()
    assert path.read_bytes() == b"old"
    assert leftovers(tmp_path) == []


def test_abort_after_commit_does_nothing(tmp_path: Path) -> None:
    out = OutputFile(tmp_path / "o.bin")
    out.commit()
    out.abort()
    assert (tmp_path / "o.bin").exists()


def test_the_mode_of_a_replaced_file_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "o.bin"
    path.write_bytes(b"old")
    path.chmod(0o640)
    OutputFile(path).commit()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_new_file_follows_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        OutputFile(tmp_path / "o.bin").commit()
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "o.bin").stat().st_mode) == 0o640


def test_a_link_is_followed_and_kept(tmp_path: Path) -> None:
    target, link = tmp_path / "target.bin", tmp_path / "link.bin"
    target.write_bytes(b"old")
    link.symlink_to("target.bin")
    out = OutputFile(link)
    out.write(b"new")
    out.commit()
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_a_pipe_is_written_to_and_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(path.read_bytes()))
    reader.start()
    out = OutputFile(path)
    out.write(b"through")
    out.commit()
    reader.join()
    assert got == [b"through"]
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_a_device_is_never_replaced() -> None:
    out = OutputFile("/dev/null")
    out.write(b"gone")
    out.commit()
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.parametrize(
    ("path", "message"),
    [("", "directory"), ("no/such/o.bin", "no folder"), ("x" * 256, "too long")],
)
def test_a_bad_destination_is_named_with_what_to_do(
    path: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(OutputError, match=message) as caught:
        OutputFile(tmp_path / path)
    assert str(tmp_path / path) in str(caught.value)


def test_what_a_killed_run_left_is_swept_and_what_lives_is_not(tmp_path: Path) -> None:
    dead = tmp_path / ".o.bin.0123abcd.imgpipe-part"
    dead.write_bytes(b"left behind")
    living = OutputFile(tmp_path / "one.bin")
    other = OutputFile(tmp_path / "two.bin")
    assert not dead.exists()
    assert len(leftovers(tmp_path)) == 2
    living.commit()
    other.commit()


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    out = OutputFile(tmp_path / "o.bin")
    with open("/dev/full", "wb", buffering=0) as full:
        os.dup2(full.fileno(), out._fd)
    with pytest.raises(OutputError, match="full"):
        out.write(b"x" * 100_000)
    assert os.listdir(tmp_path) == []
