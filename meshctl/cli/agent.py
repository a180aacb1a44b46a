"""MCP over TCP as an agent speaks it: one handshake-era session on the daemon's gateway.

Streamable HTTP, revision 2025-11-25, as much of it as a short session needs. The quickstart uses
it to show the way that real clients take; nothing here knows the Unix socket.
"""

import json
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from meshd.wire.errors import DaemonDown, UpstreamFailed
from meshd.wire.version import VERSION

PROTOCOL = "2025-11-25"


class Agent:
    """A session: `initialize` on entry, `DELETE` on exit.

    Raises:
        DaemonDown: nothing answers at the URL.
        UpstreamFailed: what answers does not answer as an MCP server does.
    """

    def __init__(self, url: str, key: str, timeout: float = 30.0) -> None:
        self.url = url
        parts = urlsplit(url)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._http = kind(parts.hostname or "", parts.port, timeout=timeout)
        self._path = parts.path
        self._headers = {
            "Authorization": f"Bearer {key}",
            "Accept": "application/json, text/event-stream",
            "Content-Type": "application/json",
        }
        self._last = 0

    def __enter__(self) -> Self:
        try:
            about = {"name": "meshctl-quickstart", "version": VERSION}
            params = {"protocolVersion": PROTOCOL, "capabilities": {}, "clientInfo": about}
            agreed = self.ask("initialize", params).get("protocolVersion", PROTOCOL)
            self._headers["MCP-Protocol-Version"] = str(agreed)
            note = {"jsonrpc": "2.0", "method": "notifications/initialized"}
            self._send("POST", note).read()
        except BaseException:
            self._http.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is None and "Mcp-Session-Id" in self._headers:
                self._send("DELETE", None).read()
        finally:
            self._http.close()

    def ask(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """One request; the `result` of its response."""
        self._last += 1
        message = {"jsonrpc": "2.0", "id": self._last, "method": method, "params": params or {}}
        answer = self._send("POST", message)
        if session := answer.headers.get("Mcp-Session-Id"):
            self._headers["Mcp-Session-Id"] = session
        response = self._response(answer)
        if not isinstance(response.get("result"), dict):
            problem = response.get("error")
            text = problem.get("message") if isinstance(problem, dict) else "no result"
            raise UpstreamFailed(f"{method} at {self.url} failed: {text}")
        result: dict[str, Any] = response["result"]
        return result

    def _send(self, method: str, message: dict[str, Any] | None) -> HTTPResponse:
        body = None if message is None else json.dumps(message).encode()
        try:
            self._http.request(method, self._path, body, self._headers)
            answer = self._http.getresponse()
        except (OSError, HTTPException) as error:
            raise DaemonDown(
                f"nothing answers at {self.url}",
                facts={"reason": str(error) or type(error).__name__},
                next="meshctl daemon logs",
            ) from error
        if answer.status >= 400:
            raise UpstreamFailed(
                f"{self.url} answered HTTP {answer.status}",
                facts={"answer": answer.read(500).decode("utf-8", "replace")},
                next="meshctl daemon logs",
            )
        return answer

    def _response(self, answer: HTTPResponse) -> dict[str, Any]:
        """The JSON-RPC response with the id of the last request, from JSON or from a stream."""
        try:
            for message in _messages(answer):
                if isinstance(message, dict) and message.get("id") == self._last:
                    answer.read()  # the connection serves the next request only when it is drained
                    return message
        except (ValueError, OSError, HTTPException) as error:
            raise UpstreamFailed(
                f"{self.url} did not answer in JSON-RPC", facts={"reason": str(error)}
            ) from error
        raise UpstreamFailed(f"{self.url} ended its answer without a response")


def _messages(answer: HTTPResponse) -> Iterator[Any]:
    if answer.headers.get_content_type() != "text/event-stream":
        yield json.loads(answer.read())
        return
    data: list[bytes] = []
    for line in answer:
        if line.startswith(b"data:"):
            data.append(line[5:].strip())
        elif not line.strip() and data:
            yield json.loads(b"\n".join(data))
            data.clear()
