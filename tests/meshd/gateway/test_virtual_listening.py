"""What changes behind a virtual MCP reaches its clients, and what a child asks reaches one of them."""

from threading import Event
from typing import Any

import pytest

from tests.support import stdio_server, virtuals
from tests.support.daemon import Daemon
from tests.support.listening import heard, streaming, subscribed
from tests.support.upstream import Seen, result, upstream
from tests.support.virtuals import STATELESS, VERSION, ask, call, listed

TOOLS_CHANGED = "notifications/tools/list_changed"


@pytest.fixture
def house(daemon: Daemon) -> Daemon:
    """A stdio server in `team`; its tool `turn` changes the list."""
    daemon.connect("shared", *stdio_server.command())
    virtuals.make(daemon, "team", "shared")
    return daemon


def test_a_stateless_client_hears_of_a_childs_change(house: Daemon) -> None:
    """With the label of its own subscription; the list is another then."""
    key = house.add_key("k")
    listed(house, "/team", key=key)
    with subscribed(house, "/team", key, toolsListChanged=True) as stream:
        said = heard(stream)
        assert said["params"]["notifications"] == {"toolsListChanged": True}
        call(house, "/team", "shared_turn", {"read_only": True}, key=key)
        said = heard(stream)
        assert said["method"] == TOOLS_CHANGED
        assert said["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] == "mine"
    found = ask(house, "/team", "tools/list", key=key).json()["result"]["tools"]
    (write,) = [tool for tool in found if tool["name"] == "shared_write"]
    assert write["annotations"] == {"readOnlyHint": True}


def test_a_handshake_client_hears_of_it_too_and_of_children_that_come(house: Daemon) -> None:
    """On the stream of its session, which goes on when the tree is another one."""
    key = house.add_key("k")
    with streaming(house, "/team", key) as stream:
        call(house, "/team", "shared_turn", {"read_only": True}, key=key)
        assert heard(stream) == {"jsonrpc": "2.0", "method": TOOLS_CHANGED}
        house.connect("late", *stdio_server.command())
        virtuals.attach(house, "team", "late")
        assert heard(stream)["method"] == TOOLS_CHANGED
        assert "late_echo" in listed(house, "/team", key=key)


def test_a_stream_ends_with_the_virtual_mcp(house: Daemon) -> None:
    key = house.add_key("k")
    with subscribed(house, "/team", key, toolsListChanged=True) as stream:
        heard(stream)
        house.control("DELETE", "/v1/virtuals/team")
        while heard(stream):
            pass


def test_a_change_of_an_http_child_is_heard_once_for_all(daemon: Daemon) -> None:
    """It has one stream open for however many listen here."""
    change = b'data: {"jsonrpc":"2.0","method":"%b"}\n\n' % TOOLS_CHANGED.encode()

    def stream(seen: Seen, wire: Any) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: open\n\n"
        wire.sendall(head)
        server.replies["tools/list"] = result({"tools": [{"name": "new", "inputSchema": {}}]})
        wire.sendall(change)
        wire.recv(1)

    with upstream() as server:
        daemon.connect_http("child", server.url)
        virtuals.make(daemon, "team", "child")
        key = daemon.add_key("k")
        assert listed(daemon, "/team", key=key) == ["child_echo", "child_write"]
        server.replies["GET"] = stream
        with subscribed(daemon, "/team", key, toolsListChanged=True) as one:
            heard(one)
            with subscribed(daemon, "/team", key, toolsListChanged=True) as two:
                heard(two)
                assert heard(one)["method"] == TOOLS_CHANGED
                assert listed(daemon, "/team", key=key) == ["child_new"]
                assert len(server.of("GET")) == 1


def test_what_a_child_asks_is_put_to_the_caller_and_its_state_is_sealed(daemon: Daemon) -> None:
    """A stateless child's question reaches the client; the answers reach the child again."""
    needed = {
        "resultType": "input_required", "requestState": "the child's own",
        "inputRequests": {"q": {"method": "elicitation/create", "params": {"message": "Sure?"}}},
    }  # fmt: skip
    done = {"resultType": "complete", "content": [{"type": "text", "text": "sure"}]}
    can = {"io.modelcontextprotocol/clientCapabilities": {"elicitation": {}}}

    def reply(seen: Seen, wire: Any) -> None:
        asked = seen.message["params"]
        result(done if "inputResponses" in asked else needed)(seen, wire)

    with upstream() as server:
        server.replies |= {
            "server/discover": result(
                {"resultType": "complete", "supportedVersions": [VERSION], "ttlMs": 0,
                 "cacheScope": "private", "capabilities": {"tools": {}}}
            ),
            "tools/call": reply,
        }  # fmt: skip
        daemon.connect_http("child", server.url)
        virtuals.make(daemon, "team", "child")
        key = daemon.add_key("k")
        params: dict[str, Any] = {"name": "child_echo", "arguments": {}, "_meta": can}
        first = ask(daemon, "/team", "tools/call", params, key=key, era=STATELESS).json()["result"]
        assert first["inputRequests"]["q"]["method"] == "elicitation/create"
        assert first["requestState"] != "the child's own"
        params |= {"inputResponses": {"q": {"action": "accept"}}}
        params["requestState"] = first["requestState"]
        last = ask(daemon, "/team", "tools/call", params, key=key, era=STATELESS).json()["result"]
        assert last["content"] == done["content"]
        sent = server.of("tools/call")[-1].message["params"]
        assert (sent["name"], sent["requestState"]) == ("echo", "the child's own")
        other = daemon.add_key("other")
        stolen = ask(daemon, "/team", "tools/call", params, key=other, era=STATELESS)
        assert stolen.json()["error"]["code"] == -32602


@pytest.mark.parametrize(
    "change",
    [
        ("DELETE", "/v1/virtuals/team/children/child", None),
        ("PATCH", "/v1/connections/child", {"headers": {"X-Team": "blue"}}),
        ("DELETE", "/v1/keys/maker", None),
    ],
    ids=["detached", "edited", "maker"],
)
def test_a_subscription_ends_at_the_child_that_it_was_decided_for(
    daemon: Daemon, change: tuple[str, str, Any]
) -> None:
    """The client's own stream goes on; the child is not heard as it was."""
    opened_there, closed_there = Event(), Event()

    def stream(_: Seen, wire: Any) -> None:
        wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: open\n\n")
        opened_there.set()
        wire.recv(1)
        closed_there.set()

    with upstream() as server:
        server.replies |= virtuals.full_replies("child") | {"GET": stream}
        daemon.connect_http("child", server.url)
        maker = daemon.add_key("maker", "child", "self/virtual.*")
        daemon.tcp("POST", "/v1/virtuals", {"name": "team"}, key=maker)
        daemon.tcp("POST", "/v1/virtuals/team/children", {"child": "child"}, key=maker)
        key = daemon.add_key("k", "team")
        uri = "file:///child/a"
        assert uri in listed(daemon, "/team", key=key, what="resources")
        with subscribed(daemon, "/team", key, resourceSubscriptions=[uri]) as mine:
            said = heard(mine)["params"]["notifications"]
            assert said["resourceSubscriptions"] == [uri]
            assert opened_there.wait(60)
            daemon.control(*change)
            assert closed_there.wait(60)
