"""What a client is given for a connection: an entry that runs `meshctl stdio`, and its grants."""

import json
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from meshctl.cli.context import Ctx
from meshctl.client.home import Home
from meshctl.desktop.apps import App
from meshd.wire import connection as wire
from meshd.wire.calls import connection, virtual
from meshd.wire.errors import NotFound
from meshd.wire.virtual import VirtualRef

SELF = "self"
"""The name of meshctl's own MCP server."""

LOOKING = ("self/status", "self/whoami", "self/*.list", "self/*.show")
"""What a key made for a client may do at `SELF`: look, and change nothing.

All of `self` would let a model start programs as the daemon's user.
"""


def chosen(me: Ctx, names: Sequence[str]) -> list[str]:
    """The names of what is meant: connections, virtual MCPs, or `SELF`; each once.

    Raises:
        NotFound: there is none.
    """
    if names:
        return list(dict.fromkeys(_named(me, name) for name in names))
    items = me.call(connection.LIST)
    found = [item["name"] for item in items if item["state"] != "disabled"]
    if not found:
        raise NotFound("there is no connection to give", next="meshctl connect NAME URL")
    return found


def grants(names: Sequence[str]) -> list[str]:
    """What a key for these needs."""
    return [grant for name in names for grant in (LOOKING if name == SELF else (name,))]


def entry(me: Ctx, app: App, name: str, key: str) -> dict[str, Any]:
    """What a client runs. Clients start programs without a shell's PATH, so it is absolute."""
    args = ["stdio", name, "--key", key]
    if me.org:
        args += ["--org", me.org]
    made: dict[str, Any] = {"type": "stdio"} if app.says_type else {}
    made |= {"command": _program(), "args": args}
    usual = Home.find({**me.environ, "MESHCTL_HOME": ""})
    if me.home.text != usual.text:
        made["env"] = {"MESHCTL_HOME": me.home.text}
    return made


def claude_lines(entries: Mapping[str, Any]) -> str:
    """The command line that has Claude Code write the entries itself."""
    return " && ".join(
        shlex.join(["claude", "mcp", "add-json", "--scope", "user", name, json.dumps(one)])
        for name, one in entries.items()
    )


def _named(me: Ctx, name: str) -> str:
    """The name of what is named, maybe by its id.

    Raises:
        NotFound: it is neither a connection nor a virtual MCP.
    """
    if name.casefold() == SELF:
        return SELF
    try:
        return str(me.call(connection.SHOW, wire.ConnectionRef(name))["name"])
    except NotFound:
        with suppress(NotFound):
            return str(me.call(virtual.SHOW, VirtualRef(name))["name"])
        raise


def _program() -> str:
    beside = Path(sys.executable).with_name("meshctl")
    found = str(beside) if beside.exists() else shutil.which("meshctl")
    if found is None:
        raise NotFound("the program meshctl is not installed", facts={"looked at": str(beside)})
    return found
