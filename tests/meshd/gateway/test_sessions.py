"""Sessions of clients: for one key at one connection, until they are ended, and across restarts."""

from collections.abc import Iterator

import pytest

from tests.support import stdio_server
from tests.support.daemon import Answer, Daemon
from tests.support.upstream import SESSION, Upstream, upstream

CONNECTIONS = ("stdio", "http")
HELLO = {
    "protocolVersion": "2025-06-18", "capabilities": {},
    "clientInfo": {"name": "test", "version": "1"},
}  # fmt: skip


@pytest.fixture(scope="module")
def server() -> Iterator[Upstream]:
    with upstream() as made:
        yield made


@pytest.fixture(scope="module")
def key(shared_daemon: Daemon, server: Upstream) -> str:
    """A key for one connection of each transport."""
    return connected(shared_daemon, server)


def connected(daemon: Daemon, server: Upstream) -> str:
    """Connect a server of each transport; a key for both."""
    daemon.connect("stdio", *stdio_server.command())
    daemon.connect_http("http", server.url)
    return daemon.add_key("client")


def begin(daemon: Daemon, connection: str, key: str) -> str:
    """A new session's id."""
    answered = daemon.rpc(connection, "initialize", HELLO, key=key)
    assert answered.status == 200
    return answered.headers["mcp-session-id"]


def use(daemon: Daemon, connection: str, key: str, session: str) -> Answer:
    """A tool call in a session."""
    params = {"name": "echo", "arguments": {}}
    return daemon.rpc(connection, "tools/call", params, key=key, session=session)


def end(daemon: Daemon, connection: str, key: str, session: str) -> Answer:
    """End a session."""
    return daemon.tcp("DELETE", f"/mcp/{connection}", key=key, Mcp_Session_Id=session)


@pytest.mark.parametrize("connection", CONNECTIONS)
def test_a_session_serves_its_own_client(shared_daemon: Daemon, key: str, connection: str) -> None:
    """And says nothing: neither the upstream's session nor who it belongs to can be read in it."""
    session = begin(shared_daemon, connection, key)
    assert use(shared_daemon, connection, key, session).status == 200
    assert SESSION not in session
    assert session.isascii()
    assert session.isprintable()
    assert begin(shared_daemon, connection, key) != session


@pytest.mark.parametrize("connection", CONNECTIONS)
def test_a_session_is_404_to_everybody_else(
    shared_daemon: Daemon, key: str, connection: str
) -> None:
    """To another key, and to the same key at another connection, with any method."""
    session = begin(shared_daemon, connection, key)
    stranger = shared_daemon.add_key(f"stranger-{connection}")
    elsewhere = CONNECTIONS[1 - CONNECTIONS.index(connection)]
    assert use(shared_daemon, connection, stranger, session).status == 404
    assert use(shared_daemon, elsewhere, key, session).status == 404
    assert end(shared_daemon, connection, stranger, session).status == 404
    assert end(shared_daemon, elsewhere, key, session).status == 404
    reading = shared_daemon.tcp("GET", f"/mcp/{connection}", key=stranger, Mcp_Session_Id=session)
    assert reading.status == 404
    assert use(shared_daemon, connection, key, session).status == 200


@pytest.mark.parametrize("connection", CONNECTIONS)
def test_what_is_no_session_is_404(shared_daemon: Daemon, key: str, connection: str) -> None:
    """Empty, random, altered in one place, cut, longer, the upstream's own, of a megabyte's kind."""
    session = begin(shared_daemon, connection, key)
    middle = len(session) // 2
    other = "A" if session[middle] != "A" else "B"
    wrong = [
        "", "x", "null", "../..", "0" * 32, SESSION, "a" * 7000, "\xff\xfe",
        session[:middle] + other + session[middle + 1 :], session[:-1], session + "A",
        session + "=", session.swapcase(), f"{session},{session}",
    ]  # fmt: skip
    for text in wrong:
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        got = shared_daemon.tcp("POST", f"/mcp/{connection}", body, key=key, Mcp_Session_Id=text)
        assert got.status == 404, text[:80]
        assert got.json()["error"]


@pytest.mark.parametrize("connection", CONNECTIONS)
def test_an_ended_session_is_404(shared_daemon: Daemon, key: str, connection: str) -> None:
    """For every method, also a second end; others of the same client go on."""
    session, other = (begin(shared_daemon, connection, key) for _ in range(2))
    assert end(shared_daemon, connection, key, session).status in {200, 204}
    assert use(shared_daemon, connection, key, session).status == 404
    assert end(shared_daemon, connection, key, session).status == 404
    assert use(shared_daemon, connection, key, other).status == 200


def test_the_upstream_sees_its_own_session_and_its_end(
    shared_daemon: Daemon, server: Upstream, key: str
) -> None:
    """Never the client's token."""
    session = begin(shared_daemon, "http", key)
    use(shared_daemon, "http", key, session)
    assert server.of("tools/call")[-1].header("Mcp-Session-Id") == SESSION
    end(shared_daemon, "http", key, session)
    assert server.of("DELETE")[-1].header("Mcp-Session-Id") == SESSION
    assert session not in str([seen.headers for seen in server.seen])


@pytest.mark.parametrize("asked", ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"])
def test_every_version_of_the_era_is_spoken(shared_daemon: Daemon, key: str, asked: str) -> None:
    """A stdio server's client gets the version that it asks for."""
    params = HELLO | {"protocolVersion": asked}
    answered = shared_daemon.rpc("stdio", "initialize", params, key=key)
    assert answered.json()["result"]["protocolVersion"] == asked
    session = answered.headers["mcp-session-id"]
    got = shared_daemon.tcp(
        "POST", "/mcp/stdio", {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, key=key,
        Mcp_Session_Id=session, Mcp_Protocol_Version=asked,
    )  # fmt: skip
    assert got.status == 200


def test_a_session_survives_a_restart(daemon: Daemon) -> None:
    """Of both transports; and the upstream is asked under the same session as before."""
    with upstream() as server:
        key = connected(daemon, server)
        sessions = {connection: begin(daemon, connection, key) for connection in CONNECTIONS}
        assert daemon.stop() == 0
        daemon.start()
        for connection, session in sessions.items():
            assert use(daemon, connection, key, session).status == 200
        assert server.of("tools/call")[-1].header("Mcp-Session-Id") == SESSION


def test_a_session_of_another_home_is_404(shared_daemon: Daemon, key: str) -> None:
    """Names and connections may be alike; the daemon is another."""
    session = begin(shared_daemon, "stdio", key)
    other = Daemon.fresh().start()
    try:
        other.connect("stdio", *stdio_server.command())
        assert use(other, "stdio", other.add_key("client"), session).status == 404
    finally:
        other.remove()
