"""What a DSN and the settings beside it ask of a connection. Nothing here connects."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from meshd.store.db import StoreError

CONNECT = 30.0
"""Seconds until a connection must be there."""
COMMAND = 15.0
"""Seconds until a statement must be answered. The server's limit is shorter; this one ends the wait
for a server that is gone without a word."""
_LIMITS = {
    "application_name": "meshd",
    "statement_timeout": "10s",
    "idle_in_transaction_session_timeout": "15s",
}


@dataclass(frozen=True, slots=True)
class Target:
    """A database and how to talk to it: `options` are those of `asyncpg.connect`.

    Behind a `bouncer` the next statement may meet another server connection: nothing can be
    prepared, set or listened to.
    """

    options: dict[str, Any] = field(repr=False)
    bouncer: bool


def read_dsn(dsn: str, *, ssl: bool, relaxed: bool) -> Target:
    """How to connect.

    `ssl` demands TLS with a certificate that the system's authorities vouch for; without it the
    DSN's `sslmode` and `sslrootcert` decide. `relaxed` gives up `synchronous_commit`: a crash of
    the server may take the last writes with it, never the consistency. `pgbouncer=true` in the DSN
    tells of a bouncer that pools transactions; it refuses settings, so the server's own hold.

    Raises:
        StoreError: the DSN cannot be read. The text has nothing of it, for it may hold a password.
    """
    asked = _options(dsn)
    if asked is None:
        raise StoreError("the DSN of the database cannot be read")
    bouncer = asked.pop("pgbouncer", "false") == "true"
    settings = {name: value for name, value in _LIMITS.items() if name not in asked}
    # Said in both cases: the server's default may be another.
    settings["synchronous_commit"] = "off" if relaxed else "on"
    options = {
        "dsn": f"{dsn.partition('?')[0]}?{urlencode(asked)}",
        "ssl": True if ssl else None,
        "timeout": CONNECT,
        "command_timeout": COMMAND,
        "statement_cache_size": 0 if bouncer else 200,
        "server_settings": {} if bouncer else settings,
    }
    return Target(options, bouncer)


def _options(dsn: str) -> dict[str, str] | None:
    """What stands behind the `?`, if the whole can be read."""
    try:
        query = urlsplit(dsn).query
        return dict(parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)))
    except ValueError:  # it quotes the DSN
        return None
