"""One MCP session over HTTP, and the bytes of the requests that are sent in it again and again."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from tests.bench.upstream import SESSION, TOOLS, VERSION

MARK = "bench-ok"
BASE = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
ECHO = {"name": "echo", "arguments": {"text": MARK}}
HELLO = {
    "protocolVersion": VERSION,
    "capabilities": {},
    "clientInfo": {"name": "bench", "version": "1"},
}


@dataclass(frozen=True)
class Asked:
    """A request that is sent again and again. A good answer is 200 and holds `mark`."""

    url: str
    headers: dict[str, str]
    body: bytes
    mark: bytes

    def sent(self, method: str = "POST") -> bytes:
        """The request as it stands on the wire."""
        parts = urlsplit(self.url)
        lines = [f"{method} {parts.path} HTTP/1.1", f"Host: {parts.netloc}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        head = "\r\n".join([*lines, f"Content-Length: {len(self.body)}", "", ""])
        return head.encode() + self.body


class Client:
    """A session with the server at a URL."""

    def __init__(self, url: str, key: str | None = None) -> None:
        self._url = url
        self._headers = dict(BASE)
        if key is not None:
            self._headers["Authorization"] = f"Bearer {key}"
        self.hello = Asked(url, dict(self._headers), message("initialize", HELLO), b"serverInfo")
        asked = Request(url, self.hello.body, self._headers)
        with urlopen(asked, timeout=30) as answer:
            session = answer.headers[SESSION]
        self._headers |= {SESSION: session, "MCP-Protocol-Version": VERSION}

    def call(self) -> Asked:
        """A call of the echo tool."""
        return Asked(self._url, self._headers, message("tools/call", ECHO), MARK.encode())

    def list(self, tools: int = TOOLS) -> Asked:
        """The list of so many tools."""
        mark = f'"lookup_{tools - 1}"'.encode()
        return Asked(self._url, self._headers, message("tools/list", {}), mark)

    def stream(self, events: int) -> Asked:
        """A call that is answered by a stream of so many notifications, and then its result."""
        given = {"name": "stream", "arguments": {"events": events, "text": MARK}}
        body = message("tools/call", given | {"_meta": {"progressToken": "p"}})
        return Asked(self._url, self._headers, body, MARK.encode())

    def once(self, asked: Asked) -> None:
        """Send it once.

        Raises:
            RuntimeError: it is not answered as it must be.
        """
        with urlopen(Request(asked.url, asked.body, asked.headers), timeout=30) as answer:
            if asked.mark not in (body := answer.read()):
                raise RuntimeError(f"{self._url} answered {body[:200]!r}")


def message(method: str, params: dict[str, Any], ident: int = 1) -> bytes:
    """A JSON-RPC request."""
    body = {"jsonrpc": "2.0", "id": ident, "method": method, "params": params}
    return json.dumps(body, separators=(",", ":")).encode()
