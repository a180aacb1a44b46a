"""Every call with every kind of key: `/mcp/self` lists and allows exactly what `/v1` allows."""

from string import Formatter
from typing import Any

import pytest

from meshd.wire.calls import CALLS
from meshd.wire.calls.row import Call
from tests.support.daemon import Daemon

ROWS = [call for call in CALLS if not call.socket_only and not call.streams]
FIXED: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "self/*": (("self",), {}),
    "everything": (("*", "self"), {}),
    "read only self/*": (("self",), {"read_only": True}),
    "admin": ((), {"role": "admin"}),
    "owner": ((), {"role": "owner"}),
    "user": ((), {"role": "user"}),
    "admin and exactly key.add": (("self/key.add",), {"role": "admin"}),
}
"""Kinds of keys that do not depend on the call."""
HOLDERS = [*FIXED, "exactly", "other call", "read only", "noun/*"]


def _key(daemon: Daemon, made: dict[str, str], holder: str, call: Call) -> str:
    if holder in FIXED:
        allow, more = FIXED[holder]
        name = holder
    else:
        noun = call.name.partition(".")[0]
        other = next(c.name for c in ROWS if c is not call and c.right == "org")
        allow, more = {
            "exactly": ((f"self/{call.name}",), {}),
            "other call": ((f"self/{other}",), {}),
            "read only": ((f"self/{call.name}",), {"read_only": True}),
            "noun/*": ((f"self/{noun}*",), {}),
        }[holder]
        name = f"{holder} {call.name}"
    if name not in made:
        made[name] = daemon.add_key(f"k{len(made)}-{HOLDERS.index(holder)}", *allow, **more)
    return made[name]


def _v1(daemon: Daemon, key: str, call: Call) -> bool:
    """Whether the call comes as far as its request, which is not valid or names nothing real."""
    names = [name for _, name, _, _ in Formatter().parse(call.path) if name]
    path = call.path.format(**dict.fromkeys(names, "no-such-thing"))
    body = None if call.method in {"GET", "DELETE"} else {"no such field": 1}
    answer = daemon.tcp(call.method, path, body, key=key)
    if answer.status != 403:
        assert answer.status in {200, 400, 404}, (call.name, answer.body)
        return True
    assert answer.json()["error"]["facts"] == {"call": call.name}
    return False


def _self(daemon: Daemon, key: str, call: Call) -> tuple[bool, bool]:
    """Whether it is listed, and whether its call comes as far as the request."""
    tool = call.name.replace(".", "_").upper()
    tools = daemon.rpc("self", "tools/list", key=key).json()["result"]["tools"]
    asked = {"name": tool, "arguments": {"no such field": 1}}
    result = daemon.rpc("self", "tools/call", asked, key=key).json()["result"]
    assert result["isError"] is True
    denied = "meshctl/denied" in result["_meta"]
    error = result["_meta"]["meshctl/error"]
    assert error["code"] == ("denied" if denied else "bad_request")
    return tool in {entry["name"] for entry in tools}, not denied


@pytest.mark.parametrize("holder", HOLDERS)
def test_both_faces_agree(shared_daemon: Daemon, holder: str) -> None:
    """But for `tool.call` with a read-only key, which only reads if the tool does.

    `/v1` leaves that to the tool; a list of tools shows such a key what surely reads.
    """
    made: dict[str, str] = {}
    differs, allowed = [], 0
    for call in ROWS:
        key = _key(shared_daemon, made, holder, call)
        there = _v1(shared_daemon, key, call)
        listed, here = _self(shared_daemon, key, call)
        assert listed == here, call.name
        allowed += here
        if here != there:
            differs.append(call.name)
    assert differs == (["tool.call"] if "read only" in holder else [])
    assert allowed > 0, "a matrix in which nothing is allowed shows nothing"
    assert allowed < len(ROWS) or holder == "exactly"
