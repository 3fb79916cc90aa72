"""The output path holds nothing, the complete old file or the complete new one."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import imgpipe
from imgpipe import publish, temporaries
from imgpipe.errors import OutputError
from imgpipe.filters import invert
from imgpipe.formats import target
from imgpipe.formats.folder import FolderTarget
from imgpipe.publish import OutputFile

as_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")


def leftovers(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name.endswith(".imgpipe")]


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
    [("", "it is a folder"), ("no/such/o.bin", "no folder"), ("x" * 256, "too long")],
)
def test_a_bad_destination_is_named_with_what_to_do(
    path: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(OutputError, match=message) as caught:
        OutputFile(tmp_path / path)
    assert str(tmp_path / path) in str(caught.value)


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are not bytes there")
def test_the_folder_of_an_output_is_described_as_it_is(tmp_path: Path) -> None:
    """A folder that is there, as /proc is, but takes no files is not called missing."""
    (tmp_path / "file").write_text("no folder")
    for folder, number, says in (
        ("absent", errno.ENOENT, "there is no folder"),
        ("file", errno.ENOTDIR, "is no folder; choose another place"),
        (".", errno.ENOENT, "takes no new files; choose another place"),
    ):
        error = OSError(number, os.strerror(number))
        assert says in publish.explained(error, str(tmp_path / folder / "out.png"))


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.EACCES, "permission denied; choose another place or change the permissions of {}"),
        (errno.EPERM, "choose another place, or remove the protection of {}, such as chattr +i"),
        (errno.EROFS, "the file system is read-only; choose another place"),
    ],
)
def test_each_refusal_of_the_system_has_a_remedy_that_can_help(
    number: int, says: str, tmp_path: Path
) -> None:
    """It names the file or folder that refused, and of those that are missing the one above."""
    old, missing = tmp_path / "old.png", tmp_path / "new" / "deep" / "new.png"
    old.touch()
    for output, more, place in (
        (old, [], old),
        (missing, [], tmp_path),
        (old, [str(missing.parent)], tmp_path),  # a folder beside it that could not be made
        (old, [str(old), None, str(old)], tmp_path),  # a rename
    ):
        told = publish.explained(OSError(number, os.strerror(number), *more), str(output))
        assert told.endswith(says.format(place))


def test_a_name_that_the_locale_cannot_spell_is_written(tmp_path: Path) -> None:
    text = "import sys; from imgpipe.publish import OutputFile; OutputFile(sys.argv[1]).commit()"
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run(
        [sys.executable, "-c", text, tmp_path / "ö.bin"], env={**os.environ, **locale}, check=True
    )
    assert [path.name for path in tmp_path.iterdir()] == ["ö.bin"]


def test_a_working_folder_that_is_gone_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for begin in (OutputFile, lambda name: FolderTarget(name, ("mark",))):
        with pytest.raises(OutputError, match=r"^o\.bin: .* the working folder is gone; change"):
            begin("o.bin")


KILLED = """
import os, signal, sys
from imgpipe.publish import OutputFile
out = OutputFile(sys.argv[1])
os.kill(os.getpid(), signal.SIGKILL)
"""


def left_by_a_killed_run(path: Path) -> Path:
    """Return the temporary of a process that is gone."""
    before = set(leftovers(path.parent))
    subprocess.run([sys.executable, "-c", KILLED, path], check=False)
    (name,) = set(leftovers(path.parent)) - before
    return path.parent / name


@pytest.fixture
def first_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process write as if to a folder that it has never written to."""
    monkeypatch.setattr(temporaries, "_swept", set())


def test_files_of_killed_runs_are_swept_and_those_of_living_runs_are_not(tmp_path: Path) -> None:
    dead = left_by_a_killed_run(tmp_path / "o.bin")
    living = OutputFile(tmp_path / "one.bin")
    other = OutputFile(tmp_path / "two.bin")
    assert not dead.exists()
    assert len(leftovers(tmp_path)) == 2
    living.commit()
    other.commit()


@pytest.mark.parametrize("name", ["a.png", "n" * 251 + ".png", "\u00fc" * 125 + ".png"])
def test_a_temporary_is_hidden_and_never_looks_like_an_image(name: str, tmp_path: Path) -> None:
    found = os.path.basename(temporaries.temporary_beside(str(tmp_path / name)))
    assert found.startswith(f".{name[:40]}")
    assert found.endswith(".imgpipe")
    assert len(os.fsencode(found)) <= 143  # the longest name of an encrypted folder


def test_a_file_that_may_be_in_use_is_not_swept(tmp_path: Path, first_time: None) -> None:
    dead = left_by_a_killed_run(tmp_path / "o.bin")
    host, gone, mark = dead.name.split(".")[-2].split("-")
    kept = {
        f".o.bin.{mark}.imgpipe": "of no owner",
        f".o.bin.00000000-{gone}-{mark}.imgpipe": "of another host, or before it was started",
        f".o.bin.{host}-1-{mark}.imgpipe": "of a process that lives",
        f"o.bin.{host}-{gone}-{mark}.imgpipe": "no temporary",
        ".mine.imgpipe": "somebody's",
    }
    for name in kept:
        (tmp_path / name).touch()
    locked = dead.with_name(dead.name.replace(".o.bin.", ".locked."))
    with open(locked, "wb") as file:
        publish.fcntl.flock(file, publish.fcntl.LOCK_EX)
        OutputFile(tmp_path / "new.bin").abort()
    assert set(leftovers(tmp_path)) == {*kept, locked.name}


def test_a_folder_is_listed_once_however_many_files_are_written_to_it(
    tmp_path: Path, first_time: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: (listed.append(path), scandir(path))[1])
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    for number in range(20):
        for folder in folders:
            OutputFile(folder / f"{number}.bin").commit()
    assert listed == [str(folder) for folder in folders]


UNSUPPORTED = [errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM]
CALLS = ["fcntl.flock", "os.posix_fallocate", "os.truncate", "os.fsync", "os.chmod"]


def refuse(number: int) -> object:
    def call(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return call


@pytest.mark.parametrize("number", [*UNSUPPORTED, errno.ENOLCK], ids=errno.errorcode.get)
def test_a_file_system_without_locks_takes_files_and_is_not_swept(
    number: int, tmp_path: Path, first_time: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = left_by_a_killed_run(tmp_path / "o.bin")
    monkeypatch.setattr(publish.fcntl, "flock", refuse(number))
    imgpipe.write(np.zeros((3, 4), np.uint8), tmp_path / "new.png")
    assert set(os.listdir(tmp_path)) == {"new.png", dead.name}


def test_a_system_without_locks_takes_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (publish, temporaries):
        monkeypatch.setattr(module, "fcntl", None)
    imgpipe.write(np.zeros((3, 4), np.uint8), tmp_path / "new.png")
    assert os.listdir(tmp_path) == ["new.png"]


@pytest.mark.parametrize("number", UNSUPPORTED, ids=errno.errorcode.get)
@pytest.mark.parametrize("suffix", [".png", ".npy"])
def test_a_file_system_that_knows_none_of_the_calls_that_can_be_spared(
    suffix: str, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / f"o{suffix}"
    path.write_bytes(b"old")
    for call in CALLS:
        owner, name = call.split(".")
        monkeypatch.setattr(getattr(publish, owner), name, refuse(number))
    array = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    imgpipe.write(array, path)
    np.testing.assert_array_equal(imgpipe.read(path), array)
    assert os.listdir(tmp_path) == [path.name]


@pytest.mark.parametrize("call", ["os.fsync", "os.replace", "os.posix_fallocate"])
def test_an_error_of_the_disk_is_reported_and_leaves_the_old_file(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "o.npy"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, call.removeprefix("os."), refuse(errno.EIO))
    with pytest.raises(OutputError, match=r"o\.npy: cannot write: input/output error"):
        imgpipe.write(np.zeros((3, 4), np.uint8), path)
    assert os.listdir(tmp_path) == ["o.npy"]
    assert path.read_bytes() == b"old"


def test_an_interrupt_while_a_file_is_begun_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(publish.fcntl, "flock", interrupt)
    with pytest.raises(KeyboardInterrupt):
        OutputFile(tmp_path / "o.bin")
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="nothing to advise")
class TestTheDiskBeginsEarly:
    @pytest.fixture
    def begun(self, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
        ranges: list[tuple[int, int]] = []

        def advise(fd: int, begin: int, size: int, advice: int) -> None:
            assert advice == os.POSIX_FADV_DONTNEED
            ranges.append((begin, begin + size))
            raise OSError(errno.EINVAL, "it is only advice")

        monkeypatch.setattr(publish, "_WRITEBACK_BYTES", 5)
        monkeypatch.setattr(target, "_WRITEBACK_BYTES", 5)
        monkeypatch.setattr(os, "posix_fadvise", advise)
        return ranges

    def test_with_what_is_appended(self, begun: list[tuple[int, int]], tmp_path: Path) -> None:
        out = OutputFile(tmp_path / "o.bin")
        for part in (b"abcd", b"efg", b"h", b"ijklmn"):
            out.write(part)
        assert begun == [(0, 7), (7, 14)]
        assert out.commit() == 14

    def test_with_what_workers_place_in_an_output_but_not_in_scratch(
        self, begun: list[tuple[int, int]], tmp_path: Path
    ) -> None:
        out = target.FileTarget(tmp_path / "o.bin")
        place = out.place(20)
        assert place is not None
        for each in (place, target.FilePlace(place.name, place.path)):
            each.write([(12, b"xy"), (4, b"abc")])
            each.write([(0, b"z")])
        assert begun == [(4, 14)]
        out.abort()

    def test_and_not_with_what_lies_between_large_parts(
        self, begun: list[tuple[int, int]], tmp_path: Path
    ) -> None:
        out = target.FileTarget(tmp_path / "o.bin")
        place = out.place(90)
        assert place is not None
        place.write([(10, b"abc"), (13, b"def"), (40, b"ghijk"), (60, b"lm"), (70, b"nop")])
        assert begun == [(10, 16), (40, 45), (60, 73)]
        out.abort()


def test_a_new_file_is_never_more_readable_than_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "o.bin"
    path.write_bytes(b"secret")
    path.chmod(0o600)
    out = OutputFile(path)
    assert stat.S_IMODE(os.stat(out.working_path).st_mode) == 0o600
    out.abort()


@contextlib.contextmanager
def mounted(source: Path, target: Path) -> Iterator[None]:
    done = subprocess.run(["mount", "--bind", source, target], check=False, capture_output=True)
    if done.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", target], check=True)


def assert_refused_before_the_work(path: Path, says: str) -> None:
    before = path.read_bytes(), sorted(os.listdir(path.parent))
    chunks: list[object] = []
    with pytest.raises(OutputError, match=rf"{path.name}: cannot write: .*{says}") as caught:
        imgpipe.run(path.parent / "in.npy", invert(), path, on_event=chunks.append)
    assert chunks == []
    assert "\n" not in str(caught.value)
    assert (path.read_bytes(), sorted(os.listdir(path.parent))) == before


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """An output file that exists, beside an input."""
    np.save(tmp_path / "in.npy", np.zeros((4, 5, 3), np.uint8))
    (tmp_path / "old.png").write_bytes(b"old")
    return tmp_path / "old.png"


@as_root
def test_a_file_that_is_a_mount_point_is_refused_before_the_work(old: Path) -> None:
    (old.parent / "elsewhere").write_bytes(b"mounted")
    with mounted(old.parent / "elsewhere", old):
        assert_refused_before_the_work(old, "mount point, .* mount its folder")
    link = old.with_name("link.png")
    link.symlink_to(old.name)
    with mounted(old.parent / "elsewhere", old):
        assert_refused_before_the_work(link, "mount point")


@as_root
def test_a_file_in_a_mounted_folder_is_replaced(old: Path, tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    with mounted(old.parent, folder):
        imgpipe.run(old.parent / "in.npy", invert(), folder / "old.png")
    assert imgpipe.read(old).shape == (4, 5, 3)


@as_root
@pytest.mark.parametrize("attribute", ["i", "a"])
def test_a_file_that_may_not_be_changed_is_refused_before_the_work(
    attribute: str, old: Path
) -> None:
    done = subprocess.run(["chattr", f"+{attribute}", old], check=False, capture_output=True)
    if done.returncode:
        pytest.skip("this file system has no such attributes")
    try:
        assert_refused_before_the_work(old, f"does not allow it; .* the protection of {old}, such")
    finally:
        subprocess.run(["chattr", f"-{attribute}", old], check=True)


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.EACCES, "no file can be made in FOLDER, where .* change the permissions of FOLDER"),
        (errno.EPERM, "no file can be made in FOLDER, where .* remove the protection of FOLDER"),
        (errno.EROFS, "the file system is read-only; choose another place$"),
    ],
)
def test_a_folder_that_takes_no_temporary_is_refused_before_the_work(
    number: int, says: str, old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = os.open

    def guarded(path: object, flags: int, *more: int, **others: object) -> int:
        if flags & os.O_CREAT and str(path).endswith(".imgpipe"):
            raise OSError(number, os.strerror(number), path)
        return really(path, flags, *more, **others)

    monkeypatch.setattr(os, "open", guarded)
    assert_refused_before_the_work(old, says.replace("FOLDER", str(old.parent)))


AS_SOMEBODY = """
import os, sys
from imgpipe.errors import OutputError
from imgpipe.publish import OutputFile
os.setgid(65534); os.setuid(65534)
try:
    OutputFile(sys.argv[1])
except OutputError as error:
    print(error)
"""


@as_root
@pytest.mark.parametrize(("mode", "says"), [(0o1777, "somebody else"), (0o755, "no file can be")])
def test_a_file_one_may_write_to_but_not_replace_is_refused_before_the_work(
    mode: int, says: str
) -> None:
    with tempfile.TemporaryDirectory() as name:  # where everybody may be let in
        folder = Path(name)
        (folder / "o.png").touch()
        (folder / "o.png").chmod(0o666)
        folder.chmod(mode)
        command = [sys.executable, "-c", AS_SOMEBODY, folder / "o.png"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        assert says in done.stdout
        assert os.listdir(folder) == ["o.png"]


@pytest.mark.parametrize("number", [errno.EBUSY, errno.EXDEV, errno.ENOSYS])
def test_a_file_system_that_cannot_replace_files_is_reported_in_the_end(
    number: int, old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "replace", refuse(number))
    with pytest.raises(OutputError, match=r"cannot be replaced|cannot replace files"):
        imgpipe.run(old.parent / "in.npy", invert(), old)
    assert old.read_bytes() == b"old"
    assert leftovers(old.parent) == []


def test_standard_output_may_be_named_by_its_device(old: Path) -> None:
    command = [sys.executable, "-m", "imgpipe", "invert", old.parent / "in.npy"]
    done = subprocess.run([*command, "-q", "-o", "/dev/stdout"], capture_output=True, check=True)
    assert done.stdout.startswith(b"\x89PNG")
    assert done.stdout.endswith(b"IEND\xaeB`\x82")


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    out = OutputFile(tmp_path / "o.bin")
    with open("/dev/full", "wb", buffering=0) as full:
        os.dup2(full.fileno(), out._fd)
    with pytest.raises(OutputError, match="full"):
        out.write(b"x" * 100_000)
    assert os.listdir(tmp_path) == []
