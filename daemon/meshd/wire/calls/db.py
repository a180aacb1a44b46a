"""Calls about the database. What needs it for itself alone is no call: `meshd db …` does that."""

from meshd.wire import db as d
from meshd.wire.calls.row import Call

BACKUP = Call(
    "db.backup",
    "POST",
    "/v1/db/backup",
    d.BackupAsked,
    d.BackedUp,
    "instance",
    "Write everything into one file.",
    socket_only=True,
    in_org=False,
)

CALLS = (BACKUP,)
