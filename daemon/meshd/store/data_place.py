"""Where the database may be: a disk of this machine."""

from contextlib import suppress
from pathlib import Path

from meshd.store.mounts import MOUNT_TABLE, network_type
from meshd.wire.errors import BadRequest


def refuse_network(directory: Path, mount_table: Path = MOUNT_TABLE) -> None:
    """Let a directory pass that can hold an SQLite database, or that nobody can tell of.

    Raises:
        BadRequest: it is on a network file system.
    """
    with suppress(OSError):
        found = network_type(directory.resolve(), mount_table.read_text(errors="replace"))
        if found is not None:
            raise BadRequest(
                f"the data directory is on a network file system ({found}): SQLite's locks do not"
                " hold there, and the database would be damaged",
                facts={"directory": str(directory), "set": "MESHCTL_HOME to a local disk"},
                next="MESHCTL_HOME=$HOME/.meshctl meshctl daemon start",
            )
