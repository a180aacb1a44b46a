"""Which file system a directory is on, and which of them cannot hold an SQLite database.

Pure functions over Linux's mount table; systems without one are not asked.
"""

import re
from pathlib import Path, PurePath

MOUNT_TABLE = Path("/proc/self/mountinfo")

# Locks that another host does not see, or a write-ahead log whose index cannot be shared memory.
NETWORKED = frozenset({
    "9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "gfs", "gfs2", "glusterfs", "gpfs",
    "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "smb2", "smb3", "smbfs",
})  # fmt: skip
"""Types by which the mount table calls them; those behind FUSE come as `fuse.TYPE`."""
NETWORKED_FUSE = frozenset({
    "ceph-fuse", "curlftpfs", "davfs2", "gcsfuse", "glusterfs", "juicefs", "moosefs", "mfs",
    "rclone", "s3fs", "seaweedfs", "smbnetfs", "sshfs",
})  # fmt: skip

_OCTAL = re.compile(r"\\([0-7]{3})")


def network_type(directory: PurePath, mount_table: str) -> str | None:
    """The type of the network file system that holds the directory, or None for a local one.

    `directory` is absolute and free of symbolic links; `mount_table` is `/proc/PID/mountinfo`.

    Source: proc_pid_mountinfo(5); of mounts on one place the last line is what one sees.
    """
    deepest, found = -1, ""
    for line in mount_table.splitlines():
        front, dash, back = line.partition(" - ")
        fields = front.split(" ")
        if not dash or len(fields) < 5:
            continue
        place = PurePath(_OCTAL.sub(lambda code: chr(int(code[1], 8)), fields[4]))
        if directory.is_relative_to(place) and len(place.parts) >= deepest:
            deepest, found = len(place.parts), back.split(" ")[0]
    family, _, behind = found.partition(".")
    if found in NETWORKED or (family == "fuse" and behind in NETWORKED_FUSE):
        return found
    return None
