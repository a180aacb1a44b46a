"""Requests as HTTP: what travels in the path, in the query, in the body."""

import json

import pytest
from msgspec import UNSET, Raw

from meshctl.client.asks import split
from meshctl.client.client import encode
from meshd.wire import calls
from meshd.wire.call import RecordTail
from meshd.wire.calls import CALLS
from meshd.wire.connection import ConnectionEdit, ConnectionRef
from meshd.wire.event import EventTail
from meshd.wire.key import KeyAdd, KeyEdit, KeyRef
from meshd.wire.tool import ToolCall, ToolRef


@pytest.mark.parametrize(
    ("row", "asks", "target", "body"),
    [
        (calls.key.LIST, None, "/v1/keys", None),
        (calls.key.SHOW, KeyRef("ci"), "/v1/keys/ci", None),
        (calls.key.SHOW, KeyRef("../a b/ü?#"), "/v1/keys/..%2Fa%20b%2F%C3%BC%3F%23", None),
        (calls.key.REVOKE, KeyRef("ci"), "/v1/keys/ci", None),
        (
            calls.tool.SHOW,
            ToolRef(connection="a", tool="b/c"),
            "/v1/connections/a/tools/b%2Fc",
            None,
        ),
        (calls.call.TAIL, RecordTail(after=7), "/v1/tail/calls?after=7&follow=true", None),
        (
            calls.event.TAIL,
            EventTail(follow=False, filter=["type=a*", "b=c&d"]),
            "/v1/tail/events?follow=false&filter=type%3Da%2A&filter=b%3Dc%26d",
            None,
        ),
        (calls.daemon.STOP, None, "/v1/daemon/stop", {}),
        (calls.connection.ENABLE, ConnectionRef("a"), "/v1/connections/a/enable", {}),
        (
            calls.key.ADD,
            KeyAdd(name="ci", allow=UNSET),
            "/v1/keys",
            {"name": "ci", "role": None, "read_only": False, "expires": None, "connection": None},
        ),
        (
            calls.key.EDIT,
            KeyEdit(key="ci", role=None),
            "/v1/keys/ci",
            {"allow": [], "revoke": [], "role": None},
        ),
        (
            calls.connection.EDIT,
            ConnectionEdit(connection="a", headers={"X": None}),
            "/v1/connections/a",
            {"headers": {"X": None}},
        ),
    ],
)
def test_split(row, asks, target, body):
    """A field of the path is nowhere else; None is left out of a query and said in a body."""
    path, query, data = split(row, asks)
    assert path + encode(query) == target
    assert (data if data is None else json.loads(data)) == body


def test_raw_arguments_are_not_rewritten():
    """Numbers, order and spaces inside arguments stay as they were typed."""
    arguments = b'{"b": 1.0, "a":12345678901234567890, "b2" : "\\u00fc"}'
    asks = ToolCall(connection="a", tool="t", arguments=Raw(arguments))
    path, _, data = split(calls.tool.CALL, asks)
    assert path == "/v1/connections/a/tools/t/call"
    assert data == b'{"arguments":' + arguments + b"}"


def test_every_path_can_be_filled():
    """Each placeholder of the table is a field of its request."""
    for row in CALLS:
        named = {
            "connection", "key", "tool", "call", "org", "event", "subscription", "delivery",
            "virtual", "child", "schedule", "webhook",
        }  # fmt: skip
        fields = named & set(row.asks.__struct_fields__)
        path = row.path
        for field in fields:
            path = path.replace(f"{{{field}}}", "x")
        assert "{" not in path, row.name
