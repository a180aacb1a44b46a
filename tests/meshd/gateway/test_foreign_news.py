"""A server that tells of resources nobody asked about: each client hears of what it may read."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPResponse
from socket import socket
from typing import Any

from tests.support.daemon import Daemon
from tests.support.upstream import Seen, answer, event_stream, result, upstream
from tests.support.virtuals import META, VERSION

MINE, FOREIGN = "file:///mine", "file:///payroll"


def tell(seen: Seen, wire: socket) -> None:
    """Tell of every resource, whatever the filter says."""
    said: list[dict[str, Any]] = [
        {"method": "notifications/subscriptions/acknowledged", "params": {"notifications": {}}},
        *(
            {"method": "notifications/resources/updated", "params": {"uri": uri}}
            for uri in (FOREIGN, MINE)
        ),
    ]
    told = [json.dumps({"jsonrpc": "2.0", **one}).encode() for one in said]
    event_stream(b"".join(b"data: %b\n\n" % one for one in told))(seen, wire)


@contextmanager
def stream(daemon: Daemon, key: str, body: Any, **headers: str) -> Iterator[HTTPResponse]:
    """The stream that a request opens; that of server messages where there is no body."""
    names = {
        "Authorization": f"Bearer {key}", "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }  # fmt: skip
    link = HTTPConnection(daemon.url.removeprefix("http://"), timeout=60)
    with closing(link):
        method = "POST" if body else "GET"
        link.request(method, "/mcp/a", json.dumps(body) if body else None, names)
        with link.getresponse() as answered:
            yield answered


def updated(found: HTTPResponse) -> str:
    """The resource that the first update on a stream is about."""
    while line := found.readline():
        if line.startswith(b"data: ") and b"resources/updated" in line:
            return str(json.loads(line[6:])["params"]["uri"])
    return "nothing"


def test_news_of_what_one_may_not_read_are_not_heard(daemon: Daemon) -> None:
    """In either era."""
    with upstream() as server:
        offer = {"resources": {"subscribe": True}}
        server.replies |= {
            "server/discover": result({"supportedVersions": [VERSION], "capabilities": offer}),
            "initialize": answer(b"", status="400 Bad Request"),
            "subscriptions/listen": tell,
        }
        daemon.connect_http("a", server.url)
        key = daemon.add_key("k", f"a/resource:{MINE}")

        params = {"_meta": META, "notifications": {"resourceSubscriptions": [MINE]}}
        asked = {"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": params}
        named = {"MCP_Protocol_Version": VERSION, "Mcp_Method": "subscriptions/listen"}
        with stream(daemon, key, asked, **named) as found:
            assert updated(found) == MINE

        hello = daemon.rpc("a", "initialize", {"protocolVersion": "2025-11-25"}, key=key)
        session = hello.headers["mcp-session-id"]
        daemon.rpc("a", "resources/subscribe", {"uri": MINE}, key=key, session=session)
        with stream(daemon, key, None, Mcp_Session_Id=session) as found:
            assert updated(found) == MINE
