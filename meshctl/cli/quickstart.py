"""`meshctl quickstart`: the whole way of a call, on an example server that ships with meshctl."""

import sys
from typing import Annotated, Any

import typer

from meshctl.cli import adopt
from meshctl.cli.agent import Agent
from meshctl.cli.context import Ctx
from meshctl.cli.paste import PATIENCE_SECONDS
from meshctl.render import quickstart as render
from meshd.wire import call as record_wire
from meshd.wire import connection as wire
from meshd.wire import key as key_wire
from meshd.wire.calls import call, connection, daemon, key
from meshd.wire.errors import Conflict, Internal, NotFound

NAME = "example"
KEY = "quickstart"
SERVER = ["-m", "meshd.example"]
TOOL = "add"
ARGUMENTS = {"a": 2, "b": 3}


def quickstart(
    ctx: typer.Context,
    *,
    take: Annotated[
        bool | None,
        typer.Option("--adopt/--no-adopt", help="Connect the servers your clients have, or not."),
    ] = None,
) -> None:
    """Connect an example server, call it as a client would, and show what was recorded."""
    me = Ctx.of(ctx)
    connected = _connect(me)
    secret = _key(me)
    visit = _visit(f"{me.call(daemon.STATUS)['url']}/mcp/{NAME}", secret)
    visit["record"] = _record(me)
    me.out.card({"connection": connected, **visit}, render.card(visit), key="url")
    adopt.offer(me, take=take)
    me.out.next("meshctl connect NAME URL  # a server of your own")
    me.out.next(f"meshctl client install cursor {NAME}  # a client of your own")


def _connect(me: Ctx) -> dict[str, Any]:
    """The example connection, added or enabled where it is not.

    Raises:
        Conflict: there is one of that name that leads elsewhere.
    """
    ref = wire.ConnectionRef(NAME)
    shown: dict[str, Any]
    try:
        shown = me.call(connection.SHOW, ref)
    except NotFound:
        asks = wire.ConnectionAddStdio(name=NAME, command=[sys.executable, *SERVER])
        shown = me.call(connection.ADD_STDIO, asks, timeout=PATIENCE_SECONDS)
        me.out.note(f'connected the example server as "{NAME}"')
        return shown
    if shown.get("command", [])[1:] != SERVER:
        raise Conflict(
            f'there is a connection "{NAME}" that is not the example server',
            next=f"meshctl connection edit {NAME} --name ANOTHER",
        )
    if shown["state"] == "disabled":
        shown = me.call(connection.ENABLE, ref, timeout=PATIENCE_SECONDS)
    me.out.note(f'found the connection "{NAME}"')
    return shown


def _key(me: Ctx) -> str:
    """The secret of a key that may use the example and nothing else.

    Raises:
        Conflict: there is one of that name that may do more, so it is somebody's.
    """
    try:
        added = me.call(key.ADD, key_wire.KeyAdd(name=KEY, allow=[NAME]))
        me.out.note(f'issued the key "{KEY}" for it')
        return str(added["key"])
    except Conflict:
        shown = me.call(key.SHOW, key_wire.KeyRef(KEY))
    if shown["role"] is not None or not set(shown["grants"]) <= {NAME}:
        raise Conflict(
            f'there is a key "{KEY}" that quickstart did not make',
            next=f"meshctl key edit {KEY} --name ANOTHER",
        )
    if not shown["grants"]:  # the connection was removed meanwhile, and its grants with it
        me.call(key.EDIT, key_wire.KeyEdit(key=KEY, allow=[NAME]))
    added = me.call(key.ROTATE, key_wire.KeyRef(KEY))
    me.out.note(f'gave the key "{KEY}" a new secret')
    return str(added["key"])


def _visit(url: str, secret: str) -> dict[str, Any]:
    """What a client does and sees: over TCP, with the key, and by no other way.

    Raises:
        DaemonDown: nothing answers on TCP.
        UpstreamFailed: it does not answer as it must.
    """
    with Agent(url, secret) as agent:
        tools = agent.ask("tools/list").get("tools", [])
        result = agent.ask("tools/call", {"name": TOOL, "arguments": ARGUMENTS})
    asked = " ".join([TOOL, *(f"{name}={value}" for name, value in ARGUMENTS.items())])
    return {"url": url, "tools": [tool["name"] for tool in tools], "asked": asked, "result": result}


def _record(me: Ctx) -> dict[str, Any]:
    """The daemon's record of that call, asked for over its socket."""
    records = me.call(call.LIST, record_wire.RecordList(connection=NAME, limit=1))
    if not records:
        raise Internal("the call was answered, and not recorded", next="meshctl daemon logs")
    shown: dict[str, Any] = me.call(call.SHOW, record_wire.RecordRef(records[0]["id"]))
    return shown
