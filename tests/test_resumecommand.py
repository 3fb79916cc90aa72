"""The command that goes on with a batch, for every name that a file can have."""

from __future__ import annotations

import os
import subprocess

import pytest

from imgpipe.batches.agenda import Policy
from imgpipe.batches.progress.resumecommand import resume_command, shell_text

ODD = ["a b", "it's", '"$HOME"', "~", "-n", "a\nb", "\x1b[31m", "caf\udce9", "\\'\n", "[1]{2}%d`c`"]


@pytest.mark.parametrize("name", ODD)
def test_a_shell_reads_back_any_name_from_one_printable_line(name: str) -> None:
    text = shell_text(["printf", "%s", name])
    assert text.isprintable()
    read = subprocess.run(["bash", "-c", text], check=True, capture_output=True).stdout
    assert read == os.fsencode(name)


def test_the_policy_decides_whether_resume_is_added() -> None:
    command = ("blur", "my photos", "-o", "out/")
    assert resume_command(command, Policy()) == "imgpipe blur 'my photos' -o out/ --resume"
    for policy in (Policy(resume=True), Policy(update=True), Policy(skip=True)):
        assert resume_command(command, policy) == "imgpipe blur 'my photos' -o out/"
    assert resume_command((*command, "--overwrite"), Policy(overwrite=True)).endswith(
        "--overwrite --resume"
    )


def test_options_stand_before_the_mark_that_ends_them() -> None:
    words = resume_command(("blur", "-o", "out/", "--", "-n.jpg"), Policy())
    assert words == "imgpipe blur -o out/ --resume -- -n.jpg"


def test_a_batch_that_no_command_began_has_none() -> None:
    assert resume_command((), Policy()) == ""
