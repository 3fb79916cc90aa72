"""List of failures: a batch of them can be run again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from imgpipe.batches.events import OutputEnded
from imgpipe.batches.inputs.namelists import names_in
from imgpipe.batches.progress.failedlist import FailedList
from imgpipe.errors import OutputError, UsageError
from tests.batchresults import done, failed, odd_names, skipped


def write(path: Path, names: list[str], *, null: bool = False) -> list[str]:
    with FailedList(path, null=null) as listed:
        listed(OutputEnded(done("fine.jpg")))
        listed(OutputEnded(skipped("left.jpg")))
        for name in names:
            listed(OutputEnded(failed(name)))
        assert not path.exists()
    return list(names_in(str(path), null=null))


def test_any_name_can_be_read_again(tmp_path: Path) -> None:
    assert write(tmp_path / "list", odd_names(), null=True) == odd_names()


def test_a_name_of_two_lines_needs_zero_bytes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    names = odd_names()
    assert write(tmp_path / "list", names) == [name for name in names if "\n" not in name]
    (message,) = caplog.messages
    assert message == (
        f"two\\nlines.jpg: is not listed in {tmp_path}/list, because its name has an end of line; "
        "use --null for lists"
    )


def test_a_source_of_several_outputs_is_listed_once(tmp_path: Path) -> None:
    assert write(tmp_path / "list", ["a", "b", "a"]) == ["a", "b"]


def test_without_failures_the_list_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "list"
    path.write_text("of yesterday")
    with FailedList(path):
        pass
    assert path.read_bytes() == b""


def test_the_list_is_there_after_an_interrupt(tmp_path: Path) -> None:
    path = tmp_path / "list"
    listed = FailedList(path)
    listed(OutputEnded(failed("a")))
    listed.close(KeyboardInterrupt())
    assert path.read_text() == "a\n"
    assert os.listdir(tmp_path) == ["list"]


def test_a_list_takes_the_place_of_no_image(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is the name of an image"):
        FailedList(tmp_path / "photo.JPG")


def test_a_list_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="list: cannot write: "):
        FailedList(tmp_path / "file" / "list")


def test_a_batch_that_is_refused_leaves_no_list(tmp_path: Path) -> None:
    with pytest.raises(UsageError), FailedList(tmp_path / "new" / "folders" / "list"):
        raise UsageError("refused")
    assert os.listdir(tmp_path) == []
