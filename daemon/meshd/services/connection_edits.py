"""What an edit makes of a connection: the row after it, and the values sealed or dropped. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from msgspec import UNSET

from meshd.core.clock import seconds
from meshd.services.connection_rules import (
    MAX_VALUES,
    check_command,
    check_env,
    check_headers,
    origin,
)
from meshd.services.credentials import WHOLE, shown_url
from meshd.services.directory import ConnectionRow
from meshd.wire.connection import ConnectionEdit, ConnectionEditStdio
from meshd.wire.errors import BadRequest
from meshd.wire.names import check_name


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit. `values` are by kind and name, None takes one away; `dropped` went unasked."""

    after: ConnectionRow
    values: Mapping[tuple[str, str], str | None]
    dropped: list[str]

    def retargets(self, before: ConnectionRow) -> bool:
        """Whether it may be another server now, about which nothing is known yet."""
        after = self.after
        moved = (after.url, after.command, after.cwd) != (before.url, before.command, before.cwd)
        return moved or bool(self.values)


def http_edit(row: ConnectionRow, asked: ConnectionEdit) -> Edit:
    """The edit of any connection but its program.

    Stored headers are bound to the origin they were given for: another one drops them.

    Raises:
        BadRequest: the name or a header is not valid, or it is no HTTP connection.
    """
    if row.transport != "http" and (asked.url is not UNSET or asked.headers):
        raise BadRequest(f'"{row.name}" is a stdio connection: it has no URL and no headers')
    check_headers({name: value or "" for name, value in asked.headers.items()})
    known = {name.lower(): name for name in row.names("header")}
    given = {known.get(name.lower(), name): value for name, value in asked.headers.items()}
    after = _renamed(row, asked)
    values: dict[tuple[str, str], str | None] = {}
    dropped: list[str] = []
    if asked.url is not UNSET:
        shown, secret = shown_url(asked.url)
        after = replace(after, url=shown)
        if secret or row.names("url"):
            values["url", WHOLE] = asked.url if secret else None
        if origin(shown) != origin(row.url or ""):
            dropped = [name for name in row.names("header") if name not in given]
    return _edit(row, after, values, "header", given, dropped)


def stdio_edit(row: ConnectionRow, asked: ConnectionEditStdio) -> Edit:
    """The edit of a stdio connection. Another program drops the environment.

    Raises:
        BadRequest: something is not valid, or it is no stdio connection.
    """
    if row.transport != "stdio":
        raise BadRequest(f'"{row.name}" is not a stdio connection')
    command = row.command if asked.command is UNSET else tuple(asked.command)
    cwd = row.cwd if asked.cwd is UNSET else asked.cwd
    check_command(command, cwd)
    check_env({name: value or "" for name, value in asked.env.items()})
    idle = row.idle_s if asked.idle is UNSET else _idle(asked.idle)
    after = replace(_renamed(row, asked), command=command, cwd=cwd, idle_s=idle)
    dropped: list[str] = []
    if command[0] != row.command[0]:
        dropped = [name for name in row.names("env") if name not in asked.env]
    return _edit(row, after, {}, "env", asked.env, dropped)


def _idle(text: str) -> int:
    return 0 if text == "never" else seconds(text)


def _renamed(row: ConnectionRow, asked: ConnectionEdit | ConnectionEditStdio) -> ConnectionRow:
    return replace(
        row,
        name=row.name if asked.name is UNSET else check_name(asked.name, "connection"),
        bodies=row.bodies if asked.bodies is UNSET else asked.bodies,
        trust=row.trust if asked.trust is UNSET else asked.trust,
    )


def _edit(
    row: ConnectionRow,
    after: ConnectionRow,
    values: Mapping[tuple[str, str], str | None],
    kind: str,
    given: Mapping[str, str | None],
    dropped: list[str],
) -> Edit:
    changed = {**dict.fromkeys(dropped), **given}
    left = {*row.names(kind), *changed} - {n for n, value in changed.items() if value is None}
    if len(left) > MAX_VALUES:
        raise BadRequest(f"a connection has at most {MAX_VALUES} values of a kind")
    return Edit(after, {**values, **{(kind, n): v for n, v in changed.items()}}, dropped)
