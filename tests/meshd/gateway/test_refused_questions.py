"""A client refuses what a server asks: a handshake server hears so, and its tool has the last word."""

import json
import queue
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse
from socket import socket
from typing import Any

from tests.support import virtuals
from tests.support.daemon import Daemon
from tests.support.upstream import Seen, answer, result, tool, upstream
from tests.support.virtuals import ask

QUESTION = {"jsonrpc": "2.0", "id": "q", "method": "sampling/createMessage", "params": {}}
REFUSAL = {"code": -1, "message": "User rejected sampling request"}


def heard(stream: HTTPResponse) -> dict[str, Any]:
    """The next message of a stream."""
    while line := stream.readline():
        if line.startswith(b"data: "):
            return dict(json.loads(line[6:]))
    return {}


def test_a_handshake_server_hears_that_a_client_refuses(daemon: Daemon) -> None:
    """Behind a virtual MCP as in front of it (2025-11-25, Sampling, error handling)."""
    told: queue.Queue[dict[str, Any]] = queue.Queue()

    def hear(seen: Seen, wire: socket) -> None:
        told.put(seen.message)
        answer(b"", status="202 Accepted")(seen, wire)

    def work(seen: Seen, wire: socket) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
        wire.sendall(head + b"data: %b\n\n" % json.dumps(QUESTION).encode())
        content = [{"type": "text", "text": told.get(timeout=30)["error"]["message"]}]
        done = {"jsonrpc": "2.0", "id": seen.message["id"], "result": {"content": content}}
        wire.sendall(b"data: %b\n\n" % json.dumps(done).encode())

    with upstream() as server:
        server.replies |= {
            "tools/list": result({"tools": [tool("act")]}), "tools/call": work, "": hear,
        }  # fmt: skip
        daemon.connect_http("a", server.url)
        virtuals.make(daemon, "team", "a")
        key = daemon.add_key("k")
        hello = {"protocolVersion": "2025-11-25", "capabilities": {"sampling": {}}}
        session = ask(daemon, "/team", "initialize", hello, key=key).headers["mcp-session-id"]
        names = {
            "Authorization": f"Bearer {key}", "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream", "Mcp-Session-Id": session,
        }  # fmt: skip
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "a_act"}}
        link = HTTPConnection(daemon.url.removeprefix("http://"), timeout=60)
        with closing(link):
            link.request("POST", "/mcp/team", json.dumps(call), names)
            with link.getresponse() as stream:
                asked = heard(stream)
                refusal = {"jsonrpc": "2.0", "id": asked["id"], "error": REFUSAL}
                daemon.tcp("POST", "/mcp/team", refusal, key=key, Mcp_Session_Id=session)
                said = heard(stream)
        assert said["result"]["content"][0]["text"] == REFUSAL["message"]
