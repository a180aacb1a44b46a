"""Which directories are on a network file system, by mount tables as Linux writes them."""

from pathlib import PurePosixPath

import pytest

from meshd.store.mounts import network_type

TABLE = r"""22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
40 27 0:50 / /home rw shared:5 - nfs4 server:/home rw,vers=4.2
41 40 0:51 / /home/local rw - xfs /dev/vdb rw
42 27 0:52 / /mnt/my\040share rw shared:1 master:2 - cifs //server/share rw
43 27 0:53 / /mnt/c rw - 9p drvfs rw,aname=drvfs
44 27 0:54 / /far rw - fuse.sshfs somebody@host: rw
45 27 0:55 / /near rw - fuse.ntfs-3g /dev/sda1 rw
46 27 0:56 / /over rw - nfs server:/over rw
47 27 0:57 / /over rw - tmpfs tmpfs rw
48 27 0:58 / /layers rw - overlay overlay rw,lowerdir=/a:/b
"""


@pytest.mark.parametrize(
    ("directory", "expected"),
    [
        ("/var/lib/meshctl", None),
        ("/home", "nfs4"),
        ("/home/somebody/.meshctl/data", "nfs4"),
        ("/homework", None),
        ("/home/local/data", None),
        ("/mnt/my share/data", "cifs"),
        ("/mnt/c/Users/somebody", "9p"),
        ("/far/data", "fuse.sshfs"),
        ("/near/data", None),
        ("/over/data", None),
        ("/layers/data", None),
    ],
)
def test_the_deepest_mount_decides(directory, expected):
    assert network_type(PurePosixPath(directory), TABLE) == expected


@pytest.mark.parametrize("table", ["", "\n\n", "no mount table\n", "1 2 3 - nfs"])
def test_a_table_that_says_nothing_refuses_nobody(table):
    assert network_type(PurePosixPath("/home"), table) is None
