"""What many clients of one stdio server can have of it, and what none of them can."""

import msgspec
import pytest
from msgspec import Raw

from meshd.gateway.serving import _shareable
from tests.support import stdio_server
from tests.support.daemon import Daemon


@pytest.mark.parametrize(
    ("offered", "shared"),
    [
        (b'{"tools":{"listChanged":true}}', {"tools": {"listChanged": True}}),
        (b'{"logging":{},"tools":{}}', {"tools": {}}),
        (
            b'{"resources":{"subscribe":true,"listChanged":true}}',
            {"resources": {"listChanged": True}},
        ),
        (b'{"resources":7}', {}),
    ],
)
def test_only_what_can_be_shared_is_offered(offered: bytes, shared: object) -> None:
    """No log level and no subscription: what the server says of them is for nobody in particular."""
    assert msgspec.json.decode(_shareable(Raw(offered))) == shared


@pytest.mark.parametrize("method", ["logging/setLevel", "resources/subscribe"])
def test_what_is_not_offered_is_refused(shared_daemon: Daemon, method: str) -> None:
    """With the error of an unknown method, and without asking the server."""
    shared_daemon.connect("stand-in", *stdio_server.command())
    key = shared_daemon.add_key("client")
    answer = shared_daemon.rpc("stand-in", method, {"level": "debug", "uri": "x:"}, key=key)
    shared_daemon.control("DELETE", "/v1/connections/stand-in")
    shared_daemon.control("DELETE", "/v1/keys/client")
    assert answer.json()["error"]["code"] == -32601


@pytest.mark.parametrize("method", ["tools/list", "notifications/initialized"])
def test_repeated_members_are_refused_in_every_message(shared_daemon: Daemon, method: str) -> None:
    """Also where nothing has to be decided: the server might read them otherwise."""
    shared_daemon.connect("twice", *stdio_server.command())
    key = shared_daemon.add_key("twice")
    ident = b'"id":1,' if "/list" in method else b""
    body = b'{"jsonrpc":"2.0",%b"method":"%b","params":{"cursor":"1","cursor":"2"}}'
    answer = shared_daemon.tcp("POST", "/mcp/twice", body % (ident, method.encode()), key=key)
    shared_daemon.control("DELETE", "/v1/connections/twice")
    shared_daemon.control("DELETE", "/v1/keys/twice")
    assert answer.status == 400
