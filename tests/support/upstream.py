"""An MCP server of ours over Streamable HTTP that records every byte and answers what is prepared.

It stands on plain sockets, so that a test can prepare any bytes, also wrong ones. Ways to answer
badly are in `fault`.
"""

import hashlib
import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from socket import SHUT_RDWR, socket
from typing import Any

SESSION = "upstream-session-7f3a"
"""The session id that this server gives at `initialize`."""


@dataclass(frozen=True)
class Seen:
    """One request as it arrived. Header names as they were sent."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()

    @property
    def message(self) -> dict[str, Any]:
        """The body as JSON; empty where it is none."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def kind(self) -> str:
        """The JSON-RPC method, or the HTTP method of a request without a body."""
        return str(self.message.get("method", "")) if self.body else self.method

    def header(self, name: str) -> str | None:
        """The first header of that name."""
        return next((v for n, v in self.headers if n.lower() == name.lower()), None)


Reply = Callable[[Seen, socket], None]
"""Writes a whole HTTP answer to the socket, which is closed afterwards."""


def answer(body: bytes, *headers: str, status: str = "200 OK") -> Reply:
    """A reply of prepared bytes with its length."""
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    raw = "\r\n".join([*head, "", ""]).encode() + body
    return lambda _, wire: wire.sendall(raw)


def json_body(body: bytes, *headers: str) -> Reply:
    """A JSON answer of prepared bytes."""
    return answer(body, "Content-Type: application/json", *headers)


def event_stream(body: bytes, *headers: str) -> Reply:
    """An event stream of prepared bytes, ended by the end of the connection."""
    head = ["HTTP/1.1 200 OK", "Content-Type: text/event-stream", "Connection: close", *headers]
    raw = "\r\n".join([*head, "", ""]).encode() + body
    return lambda _, wire: wire.sendall(raw)


def result(value: Any, *headers: str) -> Reply:
    """A JSON-RPC result for whatever id was asked with."""

    def reply(seen: Seen, wire: socket) -> None:
        message = {"jsonrpc": "2.0", "id": seen.message.get("id"), "result": value}
        json_body(json.dumps(message).encode(), *headers)(seen, wire)

    return reply


def tool(name: str, **annotations: bool) -> dict[str, Any]:
    """An entry of a tool list."""
    entry = {"name": name, "description": f"Does {name}.", "inputSchema": {"type": "object"}}
    return {**entry, "annotations": annotations} if annotations else entry


WELCOME = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"tools": {"listChanged": True}},
    "serverInfo": {"name": "recorder", "version": "1"},
}


def usual_replies() -> dict[str, Reply]:
    """What a small server answers, by kind of request."""
    return {
        "initialize": result(WELCOME, f"Mcp-Session-Id: {SESSION}"),
        "tools/list": result({"tools": [tool("echo", readOnlyHint=True), tool("write")]}),
        "tools/call": result({"content": [{"type": "text", "text": "done"}]}),
        "GET": event_stream(b": open\n\n"),
        "DELETE": answer(b"", status="204 No Content"),
    }


@dataclass
class Upstream:
    """The server while it runs. Tests change `replies` and read `seen`."""

    url: str
    seen: list[Seen] = field(default_factory=list)
    replies: dict[str, Reply] = field(default_factory=usual_replies)

    def of(self, kind: str) -> list[Seen]:
        """The requests of one kind, oldest first."""
        return [seen for seen in self.seen if seen.kind == kind]


class _Handler(socketserver.StreamRequestHandler):
    upstream: Upstream

    def handle(self) -> None:
        line = self.rfile.readline().decode("latin-1").split()
        if len(line) != 3:
            return
        headers = []
        while (raw := self.rfile.readline().strip()) != b"":
            name, _, value = raw.decode("latin-1").partition(":")
            headers.append((name, value.strip()))
        size = next((int(v) for n, v in headers if n.lower() == "content-length"), 0)
        seen = Seen(line[0], line[1], headers, self.rfile.read(size))
        self.upstream.seen.append(seen)
        reply = self.upstream.replies.get(seen.kind, answer(b"", status="202 Accepted"))
        try:
            reply(seen, self.connection)
            self.connection.shutdown(SHUT_RDWR)
        except OSError:
            pass  # the caller has gone, which some tests want


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256


@contextmanager
def upstream(port: int = 0) -> Iterator[Upstream]:
    """A running server on that port of the loopback, else on a free one."""
    with _Server(("127.0.0.1", port), _Handler, bind_and_activate=True) as server:
        made = Upstream(f"http://127.0.0.1:{server.server_address[1]}/mcp")
        server.RequestHandlerClass = type("Handler", (_Handler,), {"upstream": made})
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()
