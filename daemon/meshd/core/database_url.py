"""Where the data is: how `DATABASE_URL` is read, and what of it may be shown. Opens nothing."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from meshd.core.secret import MASK, Secret

POSTGRES = ("postgres", "postgresql")
FILE = ("file", "sqlite")
RECORDS = "calls.db"
"""The file of call records, beside that of the main database."""
_PLAIN = frozenset({
    "application_name", "database", "dbname", "host", "pgbouncer", "port", "search_path",
    "sslmode", "sslrootcert", "user",
})  # fmt: skip
"""Options of a DSN that are no secrets."""
_SCHEME = re.compile(r"([a-z]{1,20}):")
_HOST = re.compile(r"([\w.%-]*|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?")


@dataclass(frozen=True, slots=True)
class SqliteFile:
    """A file; a relative path counts from MESHCTL_HOME."""

    path: Path


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """A server, and the database on it. The DSN may hold a password."""

    dsn: Secret


def read_database(text: str) -> SqliteFile | PostgresServer:
    """What a URL means, by its scheme.

    Raises:
        ValueError: it is no such URL; without any of its text.
    """
    scheme = _scheme(text)
    if scheme in POSTGRES:
        if _shown_dsn(text) is None:
            raise ValueError
        return PostgresServer(Secret(text))
    if scheme not in FILE or {"?", "#", "\0"} & {*text}:
        raise ValueError
    rest = text.partition(":")[2]
    if rest.startswith("//") and not rest.startswith("///"):
        raise ValueError  # a host
    path = Path(unquote(rest.removeprefix("//")))
    # A database in memory would acknowledge what it does not keep.
    if path.name in {"", "..", RECORDS, ":memory:"} or rest.endswith("/"):
        raise ValueError
    return SqliteFile(path)


def shown_database(text: str) -> str:
    """The URL without its password. Of what cannot be read only the scheme is shown."""
    scheme = _scheme(text)
    if scheme in FILE:
        return text
    return (_shown_dsn(text) if scheme in POSTGRES else None) or (
        f"{scheme}:{MASK}" if scheme else MASK
    )


def _scheme(text: str) -> str:
    found = _SCHEME.match(text)
    return found[1] if found else ""


def _shown_dsn(text: str) -> str | None:
    """A DSN without its secrets; None if its parts are in doubt, as by a raw `/` in a password."""
    try:
        parts = urlsplit(text)
        options = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        return None
    login, _, hosts = parts.netloc.rpartition("@")
    elsewhere = parts.path + parts.query
    if not all(map(_HOST.fullmatch, hosts.split(","))) or "@" in elsewhere or parts.fragment:
        return None
    if not text.partition(":")[2].startswith("//"):
        return None
    user, _, password = login.partition(":")
    who = f"{user}:{MASK}@" if password else f"{user}@" if user else ""
    asked = "&".join(f"{name}={value if name in _PLAIN else MASK}" for name, value in options)
    return f"{parts.scheme}://{who}{hosts}{parts.path}{'?' if asked else ''}{asked}"
