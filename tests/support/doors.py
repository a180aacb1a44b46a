"""The ways in which a client brings MCP messages to a daemon, each as one function that asks."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlsplit

from tests.support import virtuals
from tests.support.daemon import Answer, Daemon
from tests.support.virtuals import META, VERSION

Ask = Callable[[str, Any], dict[str, Any]]
"""A method and its params to the JSON-RPC answer; empty where there is none."""

HELLO = {
    "protocolVersion": "2025-11-25", "capabilities": {},
    "clientInfo": {"name": "guest", "version": "1"},
}  # fmt: skip
_BOTH = "application/json, text/event-stream"


@dataclass(frozen=True)
class Guest:
    """A key, as its holder knows it and as the socket's owner names it; `org` is not the first."""

    daemon: Daemon
    name: str
    secret: str
    org: str = ""

    @property
    def named(self) -> dict[str, str]:
        """The headers that make it the caller on the Unix socket."""
        return {"Meshctl_Key": self.name, **({"Meshctl_Org": self.org} if self.org else {})}


Door = Callable[[Guest, str], AbstractContextManager[Ask]]
"""Opens for a guest at a path, which is what follows `/mcp`."""


def _message(answer: Answer) -> dict[str, Any]:
    """The JSON-RPC message of an HTTP answer."""
    body = answer.body.decode()
    if "text/event-stream" in answer.headers.get("content-type", ""):
        body = body.rstrip().rpartition("data: ")[2]
    found = json.loads(body or "{}")
    return dict(found) if "jsonrpc" in found else {}


@contextmanager
def handshake(guest: Guest, path: str) -> Iterator[Ask]:
    """Streamable HTTP, in a session."""
    with _in_session(lambda body, **more: guest.daemon.tcp(
        "POST", f"/mcp{path}", body, key=guest.secret, **more
    )) as ask:  # fmt: skip
        yield ask


@contextmanager
def socket(guest: Guest, path: str) -> Iterator[Ask]:
    """The same on the Unix socket, where the stdio bridge comes in."""
    with _in_session(lambda body, **more: guest.daemon.ask(
        "POST", f"/mcp{path}", body, **guest.named, **more
    )) as ask:  # fmt: skip
        yield ask


@contextmanager
def _in_session(send: Callable[..., Answer]) -> Iterator[Ask]:
    def post(method: str, params: Any, **more: str) -> Answer:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}
        return send(body, Accept=_BOTH, **more)

    token = post("initialize", HELLO).headers.get("mcp-session-id")
    session = {"Mcp_Session_Id": token} if token else {}
    yield lambda method, params=None: _message(post(method, params, **session))


@contextmanager
def stateless(guest: Guest, path: str) -> Iterator[Ask]:
    """Streamable HTTP, every request by itself."""

    def ask(method: str, params: Any = None) -> dict[str, Any]:
        if method == "subscriptions/listen":
            return _first_heard(guest, path, params)
        answer = virtuals.ask(
            guest.daemon, path, method, params, key=guest.secret, era=virtuals.STATELESS
        )
        return _message(answer)

    yield ask


def _first_heard(guest: Guest, path: str, params: Any) -> dict[str, Any]:
    """What a stream begins with, that would never end."""
    headers = {
        "Authorization": f"Bearer {guest.secret}", "MCP-Protocol-Version": VERSION,
        "Mcp-Method": "subscriptions/listen", "Accept": _BOTH, "Content-Type": "application/json",
    }  # fmt: skip
    body = {"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen"}
    body["params"] = {"_meta": META, **params}
    link = HTTPConnection(urlsplit(guest.daemon.url).netloc, timeout=60)
    try:
        link.request("POST", f"/mcp{path}", json.dumps(body), headers)
        answer = link.getresponse()
        if answer.getheader("Content-Type") != "text/event-stream":
            found = Answer(answer.status, {}, answer.read())
            return _message(found)
        while line := answer.readline():
            if line.startswith(b"data: "):
                return dict(json.loads(line[6:]))
        return {}
    finally:
        link.close()


@contextmanager
def sse(guest: Guest, path: str) -> Iterator[Ask]:
    """The transport before: one stream for all answers."""
    place, _, query = path.partition("?")
    target = f"/mcp{place}/sse" + (f"?{query}" if query else "")
    key: Mapping[str, str] = {"Authorization": f"Bearer {guest.secret}"}
    link = HTTPConnection(urlsplit(guest.daemon.url).netloc, timeout=60)
    try:
        link.request("GET", target, headers=dict(key))
        stream = link.getresponse()
        if stream.status != 200:
            yield lambda _method, _params=None: {}
            return

        def heard() -> bytes:
            while not (line := stream.readline()).startswith(b"data: "):
                assert line, "the stream ended"
            return line[6:].strip()

        messages = heard().decode()

        def ask(method: str, params: Any = None) -> dict[str, Any]:
            body = {"jsonrpc": "2.0", "id": method, "method": method, "params": params or {}}
            taken = guest.daemon.tcp("POST", messages, body, key=guest.secret)
            if taken.status != 202:
                return {}
            while (found := json.loads(heard())).get("id") != method:
                pass
            return dict(found)

        ask("initialize", HELLO)
        yield ask
    finally:
        link.close()


DOORS: dict[str, Door] = {
    "handshake": handshake, "stateless": stateless, "sse": sse, "socket": socket,
}  # fmt: skip
