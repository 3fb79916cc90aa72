"""File systems that do not tell of all changes."""

from __future__ import annotations

import pytest

from imgpipe.batches.watch.mounts import silent_type

TABLE = r"""
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 27 0:40 / /mnt/photos rw shared:7 - nfs4 server:/photos rw,vers=4.2
31 27 0:41 / /mnt/my\040share rw - cifs //server/share rw
32 27 0:42 / /mnt/photos/local rw - ext4 /dev/vdb rw
33 27 0:43 / /home/me/phone rw - fuse.sshfs me@phone: rw
34 27 0:44 / /box rw - overlay overlay rw,lowerdir=/usr:/mnt/photos/base,upperdir=/var/u,workdir=/w
35 27 0:45 / /ok rw - overlay overlay rw,lowerdir=/usr:/opt,upperdir=/var/upper,workdir=/var/work
36 27 0:46 / /twice rw - nfs server:/a rw
37 36 0:47 / /twice rw - tmpfs tmpfs rw
38 27 0:48 / /shared rw - virtiofs share rw
39 27 0:49 / /plan9 rw - 9p share rw
a torn line
"""


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("/home/me/inbox", None),
        ("/mnt/photos", "nfs4"),
        ("/mnt/photos/2026", "nfs4"),
        ("/mnt/photos2", None),
        ("/mnt/photos/local/x", None),
        ("/mnt/my share/x", "cifs"),
        ("/home/me/phone", "fuse.sshfs"),
        ("/box/inbox", "overlay on nfs4"),
        ("/ok/inbox", None),
        ("/twice/x", None),
        ("/shared", "virtiofs"),
        ("/plan9", "9p"),
    ],
)
def test_the_type_of_the_file_system_decides(folder: str, expected: str | None) -> None:
    assert silent_type(folder, TABLE) == expected


def test_where_there_is_no_list_of_mounts_nothing_is_known() -> None:
    assert silent_type("/mnt/photos", "") is None
