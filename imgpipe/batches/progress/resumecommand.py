"""Resume command: a line for a shell that continues a stopped batch."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence

from imgpipe.batches.agenda import Policy

__all__ = ["resume_command", "shell_text"]

_PROGRAM = "imgpipe"


def resume_command(command: Sequence[str], policy: Policy) -> str:
    """Return the command that goes on with a batch; empty if there is no command.

    Parameters
    ----------
    command : sequence of str
        The arguments of the command that was stopped, without the program.
    policy : Policy
        Its rule for existing outputs. `update` and `skip` leave finished outputs as they are, so
        the same command goes on; with other rules, ``--resume`` is added.
    """
    if not command:
        return ""
    words = list(command)
    if not (policy.resume or policy.update or policy.skip):
        end = words.index("--") if "--" in words else len(words)
        words.insert(end, "--resume")
    return shell_text([_PROGRAM, *words])


def shell_text(words: Sequence[str]) -> str:
    """Return words as one printable line that a shell splits into the same words.

    Words with control characters, or with bytes that are no text, take the form ``$'...'`` of bash,
    zsh and ksh.
    """
    return " ".join(map(_quoted, words))


def _quoted(word: str) -> str:
    if word.isprintable():
        return shlex.quote(word)
    parts = []
    for char in word:
        if char in "\\'":
            parts.append(f"\\{char}")
        elif char.isprintable():
            parts.append(char)
        else:
            parts += [f"\\{byte:03o}" for byte in os.fsencode(char)]
    return f"$'{''.join(parts)}'"
