"""An upstream that was killed and came back knows again what the clients had set in their sessions."""

import json
from collections.abc import Iterator
from dataclasses import replace
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

import pytest

from meshd.gateway.lists import filtered_event
from meshd.services.management import self_row
from tests.support.daemon import Daemon
from tests.support.doors import HELLO
from tests.support.forgetful_server import Forgetful, forgetful_server
from tests.support.principals import key_principal
from tests.support.virtuals import STATELESS, ask

ONE, TWO = "file:///one", "file:///two"


@pytest.fixture
def server(shared_daemon: Daemon) -> Iterator[Forgetful]:
    """As the connection `notes`."""
    with forgetful_server() as made:
        shared_daemon.connect_http("notes", made.url)
        yield made
        shared_daemon.control("DELETE", "/v1/connections/notes")


@pytest.fixture(scope="module")
def key(shared_daemon: Daemon) -> str:
    return shared_daemon.add_key("client")


class Client:
    """A handshake client in one session."""

    def __init__(self, daemon: Daemon, key: str) -> None:
        self.daemon, self.key = daemon, key
        self.session = self.rpc("initialize", HELLO).headers["mcp-session-id"]

    def rpc(self, method: str, params: Any) -> Any:
        session = getattr(self, "session", "")
        answer = self.daemon.rpc("notes", method, params, key=self.key, session=session)
        assert "result" in answer.json(), answer.body
        return answer

    def settings(self) -> Any:
        """What the server knows of the session."""
        return self.call("settings")

    def call(self, tool: str) -> Any:
        found = self.rpc("tools/call", {"name": tool, "arguments": {}}).json()
        return json.loads(found["result"]["content"][0]["text"])


@pytest.fixture
def client(shared_daemon: Daemon, server: Forgetful, key: str) -> Client:
    """It set a level, and subscribed to `ONE`; not to `TWO` any more."""
    made = Client(shared_daemon, key)
    made.rpc("logging/setLevel", {"level": "info"})
    for uri in (ONE, TWO):
        made.rpc("resources/subscribe", {"uri": uri})
    made.rpc("resources/unsubscribe", {"uri": TWO})
    return made


def test_a_call_finds_everything_set_as_before(server: Forgetful, client: Client) -> None:
    """However often; and what another session set is no part of it."""
    other = Client(client.daemon, client.key)
    for _ in range(2):
        server.restart()
        assert client.settings() == {"level": "info", "uris": [ONE]}
    assert other.settings() == {"level": None, "uris": []}


def test_a_server_that_loses_the_session_again_meanwhile_finds_all_of_it_too(
    server: Forgetful, client: Client
) -> None:
    """In one session: none stays behind at the server that nobody uses or ends."""
    client.rpc("resources/subscribe", {"uri": TWO})
    server.restart(TWO)
    assert client.settings() == {"level": "info", "uris": [ONE, TWO]}
    assert client.call("count") == 1


def test_the_stream_that_a_client_opens_again_does_so_too(
    server: Forgetful, client: Client
) -> None:
    """It may be all that a client does that waits for updates."""
    server.restart()
    link = HTTPConnection(urlsplit(client.daemon.url).netloc, timeout=60)
    headers = {"Authorization": f"Bearer {client.key}", "Mcp-Session-Id": client.session,
               "Accept": "text/event-stream"}  # fmt: skip
    link.request("GET", "/mcp/notes", headers=headers)
    with link.getresponse() as stream:
        assert stream.status == 200
        assert client.settings() == {"level": "info", "uris": [ONE]}
    link.close()


def test_a_resource_that_is_a_keys_no_more_is_not_asked_for_again(
    shared_daemon: Daemon, server: Forgetful
) -> None:
    """What a session subscribed to was allowed to it then."""
    secret = shared_daemon.add_key("narrowed", "notes")
    client = Client(shared_daemon, secret)
    for uri in (ONE, TWO):
        client.rpc("resources/subscribe", {"uri": uri})
    less = {"allow": [f"notes/resource:{ONE}", "notes/settings"], "revoke": ["notes"]}
    shared_daemon.control("PATCH", "/v1/keys/narrowed", less)
    server.restart()
    assert client.settings() == {"level": None, "uris": [ONE]}


def test_nor_is_what_a_server_tells_of_it_passed_on() -> None:
    """On the stream of a session that subscribed when it might; other news is."""
    row = replace(self_row("org"), id="c")
    who = key_principal({"c": [f"resource:{ONE}"]})

    def news(uri: str) -> bytes:
        told = {"method": "notifications/resources/updated", "params": {"uri": uri}}
        return json.dumps(told).encode()

    assert filtered_event(who, row, news(ONE)) == news(ONE)
    assert filtered_event(who, row, news(TWO)) is None
    other = b'{"method":"notifications/resources/list_changed"}'
    assert filtered_event(who, row, other) == other


def test_a_stateless_clients_level_is_set_again(
    shared_daemon: Daemon, server: Forgetful, key: str
) -> None:
    """In the session that the gateway keeps for it."""
    meta = {"io.modelcontextprotocol/logLevel": "warning"}
    asked = {"name": "settings", "arguments": {}, "_meta": meta}
    for _ in range(2):
        got = ask(shared_daemon, "/notes", "tools/call", asked, key=key, era=STATELESS)
        said = json.loads(got.body.rstrip().rpartition(b"data: ")[2] or got.body)
        found = json.loads(said["result"]["content"][0]["text"])
        assert found == {"level": "warning", "uris": []}
        server.restart()
