"""Mounts: file systems that do not report all changes.

The kernel sees what is changed through it. What other computers change on a network file system,
and most of what programs behind FUSE change, it does not see.
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from imgpipe.temporaries import text_of

__all__ = ["silent_type"]

_SILENT = frozenset({
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "drvfs", "fuse", "fuseblk", "glusterfs",
    "gpfs", "lustre", "ncpfs", "nfs", "nfs4", "orangefs", "prl_fs", "smb2", "smb3", "smbfs",
    "vboxsf", "virtiofs", "vmhgfs",
})  # fmt: skip
_LAYERS = {"lowerdir", "upperdir"}
_OVERLAYS = {"overlay", "aufs"}
_DEEPEST = 4  # overlays upon overlays
_ESCAPED = re.compile(r"\\([0-7]{3})")


class _Mount(NamedTuple):
    point: str
    type: str
    options: str


def silent_type(folder: str, table: str | None = None) -> str | None:
    """Return the type of the file system of a folder if it does not report all changes.

    Parameters
    ----------
    folder : str
        The folder.
    table : str, optional
        The mounts, as Linux lists them in ``/proc/self/mountinfo``, which is the default.

    Returns
    -------
    str or None
        The type, such as ``nfs4``; None if it tells, or if there is no list.
    """
    lines = (text_of("/proc/self/mountinfo") if table is None else table).splitlines()
    return _silent(os.path.realpath(folder), [each for each in map(_mount, lines) if each], 0)


def _silent(path: str, mounts: list[_Mount], depth: int) -> str | None:
    around = [each for each in mounts if path.startswith(os.path.join(each.point, ""))
              or path == each.point]  # fmt: skip
    if not around or depth > _DEEPEST:
        return None
    longest = max(len(each.point) for each in around)
    mount = [each for each in around if len(each.point) == longest][-1]  # it hides those before it
    if mount.type in _SILENT or mount.type.startswith("fuse."):
        return mount.type
    if mount.type in _OVERLAYS:
        for layer in _layers(mount.options):
            if layer != path and (below := _silent(layer, mounts, depth + 1)):
                return f"{mount.type} on {below}"
    return None


def _layers(options: str) -> list[str]:
    """Return the folders that an overlay consists of."""
    pairs = (option.partition("=") for option in options.split(","))
    return [layer for key, _, value in pairs if key.rstrip("+") in _LAYERS
            for layer in value.split(":") if layer]  # fmt: skip


def _mount(line: str) -> _Mount | None:
    before, _, after = line.partition(" - ")
    first, last = before.split(), after.split()
    if len(first) < 5 or len(last) < 2:
        return None
    return _Mount(_plain(first[4]), last[0], _plain(last[2]) if len(last) > 2 else "")


def _plain(text: str) -> str:
    """Return `text` with its escaped blanks."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)), text)
