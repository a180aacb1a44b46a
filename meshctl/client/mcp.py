"""One MCP session over the daemon's socket, which outlives a restart of the daemon.

Messages are bytes here; only a message on its way out is looked into, for what its headers say.
Both eras: a handshake session (up to 2025-11-25), and requests that carry their version themselves
(2026-07-28), which have no session.
"""

from __future__ import annotations

import json
import threading

from meshctl.client.http import Broken, Cut
from meshctl.client.sse import events

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from meshctl.client.client import Client
    from meshctl.client.http import Response

    Opened = Callable[[socket], None]

ACCEPT = "application/json, text/event-stream"
EVENTS = "text/event-stream"

RESUMES = 5
"""How often a stream is resumed that brings nothing."""

RESUME_SECONDS = 1.0
"""Before a stream is resumed, where the server does not say."""

END_SECONDS = 2.0

INITIALIZED = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'

_VERSION = "io.modelcontextprotocol/protocolVersion"
_NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""Methods whose `Mcp-Name` header repeats a parameter (2026-07-28, Streamable HTTP)."""


class Session:
    """Posts messages to one connection. Threads may share it.

    `revive` is asked to bring the daemon back when nothing listens; it raises when it cannot.
    `renewed` is called after a session was opened again without the client's doing.
    """

    def __init__(
        self,
        client: Client,
        path: str,
        headers: Mapping[str, str],
        revive: Callable[[], None],
        renewed: Callable[[], None],
    ) -> None:
        self._client = client
        self._path = path
        self._headers = {**headers, "Content-Type": "application/json", "Accept": ACCEPT}
        self._revive = revive
        self._renewed = renewed
        self._lock = threading.Lock()
        self._hello: bytes | None = None
        self.id: str | None = None
        self.version: str | None = None

    def initialize(self, line: bytes) -> list[bytes]:
        """Open the session and give the messages of the answer; the line is kept for later.

        Raises:
            Refused: the daemon answered with an error.
            MeshError, Broken: no answer.
        """
        with self._lock:
            self._hello = line
            return self._open(line)

    def post(
        self, line: bytes, message: Mapping[str, Any], opened: Opened | None = None
    ) -> Response:
        """Send one message; if the session is gone, once more in another one.

        Raises:
            MeshError, Broken: no answer.
        """
        era = modern_headers(message)
        session = self.id
        response = self._send(line, era or self._session_headers(session), opened)
        if response.status == 404 and session is not None and not era:
            response.close()
            self.renew(session)
            response = self._send(line, self._session_headers(self.id), opened)
        return response

    def listen(self, last: str | None = None, opened: Opened | None = None) -> Response:
        """The stream of what the server says by itself, or of what came after the event `last`."""
        resume = {"Last-Event-ID": last} if last is not None else {}
        headers = {**self._headers, **self._session_headers(self.id), **resume}
        return self._client.raw("GET", self._path, headers, opened=opened)

    def answers(
        self, response: Response, pause: Callable[[float], object], opened: Opened | None = None
    ) -> Iterator[bytes]:
        """The messages of an answer up to its response.

        Where the server hangs up earlier, its stream is resumed (2025-11-25, Streamable HTTP,
        resumability). `pause` waits for so many seconds.

        Raises:
            Refused, Broken: as `messages`.
        """
        if not _streams(response):
            yield from messages(response)
            return
        left = RESUMES
        last: str | None = None
        while True:
            message, wait = b"", RESUME_SECONDS
            why = "the stream ended without a response"
            try:
                for event in events(response.chunks()):
                    last, wait = event.id or last, event.retry or wait
                    if event.data:
                        message, left = one_line(event.data), RESUMES
                        yield message
            except Cut as cut:
                why = str(cut)
            if message and _is_response(message):
                return
            if last is None or not left:
                raise Cut(why)
            left -= 1
            pause(wait)
            response = self.listen(last, opened)
            if not _streams(response):
                raise Refused(response.status, response.read())

    def end(self) -> None:
        """Tell the daemon that the session is over; it gets `END_SECONDS` to take note."""
        if self.id is not None:
            headers = {**self._headers, **self._session_headers(self.id)}
            self._client.raw(
                "DELETE", self._path, headers, opened=lambda peer: peer.settimeout(END_SECONDS)
            ).close()
            self.id = None

    def renew(self, stale: str) -> None:
        """Open the session again, unless another thread did since `stale` was its id.

        Raises:
            Refused, MeshError, Broken: it cannot be opened.
        """
        with self._lock:
            if self.id != stale or self._hello is None:
                return
            self._open(self._hello)
            self._send(INITIALIZED, self._session_headers(self.id), None).close()
        self._renewed()

    def _open(self, hello: bytes) -> list[bytes]:
        response = self._send(hello, {}, None)
        answer = list(messages(response))
        for message in answer:
            result = _result(message)
            if result is not None:
                self.id = response.headers.get("mcp-session-id")
                self.version = str(result.get("protocolVersion") or "") or None
        return answer

    def _send(self, line: bytes, headers: Mapping[str, str], opened: Opened | None) -> Response:
        from_here = {**self._headers, **headers}
        try:
            return self._client.raw("POST", self._path, from_here, line, opened=opened)
        except Exception as error:
            if getattr(error, "code", None) != "daemon_down":
                raise
        self._revive()  # nothing was sent: it may be sent again
        return self._client.raw("POST", self._path, from_here, line, opened=opened)

    def _session_headers(self, session: str | None) -> dict[str, str]:
        headers = {"Mcp-Session-Id": session} if session is not None else {}
        if self.version is not None:
            headers["MCP-Protocol-Version"] = self.version
        return headers


class Refused(Exception):
    """The daemon answered with an HTTP error; `body` is what it said."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


def messages(response: Response) -> Iterator[bytes]:
    """The JSON-RPC messages of an answer, each on one line; none for an accepted notification.

    Raises:
        Refused: the answer is an HTTP error.
        Broken: it is neither JSON nor an event stream.
    """
    with response:
        if response.status >= 400:
            raise Refused(response.status, response.read())
        kind = _kind(response)
        if kind == EVENTS:
            yield from (one_line(event.data) for event in events(response.chunks()) if event.data)
        elif body := response.read():
            if kind != "application/json":
                raise Broken(f"an answer of type {kind or 'none'}")
            yield one_line(body)


def _kind(response: Response) -> str:
    return response.headers.get("content-type", "").partition(";")[0].strip().lower()


def _streams(response: Response) -> bool:
    return response.status == 200 and _kind(response) == EVENTS


def one_line(message: bytes) -> bytes:
    """JSON without line breaks; inside of strings there are none (RFC 8259, section 7)."""
    return message.strip().replace(b"\r", b" ").replace(b"\n", b" ")


def modern_headers(message: Mapping[str, Any]) -> dict[str, str]:
    """The headers that a request of the stateless era repeats from its body; else nothing."""
    params = message.get("params")
    meta = params.get("_meta") if isinstance(params, dict) else None
    version = meta.get(_VERSION) if isinstance(meta, dict) else None
    if not isinstance(params, dict) or not isinstance(version, str):
        return {}
    method = str(message.get("method"))
    headers = {"MCP-Protocol-Version": _header(version), "Mcp-Method": _header(method)}
    name = params.get(_NAMED.get(method, ""))
    if isinstance(name, str):
        headers["Mcp-Name"] = _header(name)
    return headers


def _header(text: str) -> str:
    """A header's value; what would not survive there is encoded as the specification says."""
    if text.isascii() and text.isprintable() and text == text.strip():
        return text
    from base64 import b64encode

    return f"=?base64?{b64encode(text.encode('utf-8', 'surrogatepass')).decode()}?="


def _is_response(message: bytes) -> bool:
    try:
        return "method" not in json.loads(message)
    except (ValueError, TypeError):
        return False


def _result(message: bytes) -> dict[str, Any] | None:
    try:
        result = json.loads(message).get("result")
    except (ValueError, AttributeError):
        return None
    return result if isinstance(result, dict) else None
