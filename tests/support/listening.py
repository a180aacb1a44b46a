"""Streams of server messages of a real daemon, opened as clients of both eras do, and read."""

import json
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection, HTTPResponse
from typing import Any

from tests.support.daemon import Daemon
from tests.support.virtuals import HANDSHAKE, META, VERSION, ask


@contextmanager
def opened(
    daemon: Daemon, path: str, method: str, body: Any, **headers: str
) -> Iterator[HTTPResponse]:
    link = HTTPConnection(daemon.url.removeprefix("http://"), timeout=60)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    names |= {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
    with closing(link):
        link.request(method, f"/mcp{path}", json.dumps(body) if body else None, names)
        with link.getresponse() as stream:
            yield stream


def heard(stream: HTTPResponse) -> dict[str, Any]:
    """The next message; empty at the end."""
    while line := stream.readline():
        if line.startswith(b"data: "):
            return dict(json.loads(line[6:]))
    return {}


@contextmanager
def subscribed(daemon: Daemon, path: str, key: str, **wanted: Any) -> Iterator[HTTPResponse]:
    """The stream of a stateless client; its request has the id `mine`."""
    params = {"_meta": META, "notifications": wanted}
    body = {"jsonrpc": "2.0", "id": "mine", "method": "subscriptions/listen", "params": params}
    with opened(
        daemon, path, "POST", body, Authorization=f"Bearer {key}", MCP_Protocol_Version=VERSION,
        Mcp_Method="subscriptions/listen",
    ) as stream:  # fmt: skip
        yield stream


@contextmanager
def streaming(daemon: Daemon, path: str, key: str) -> Iterator[HTTPResponse]:
    """The stream of a handshake client's session."""
    asked = {"protocolVersion": "2025-11-25", "capabilities": {}}
    session = ask(daemon, path, "initialize", asked, key=key).headers["mcp-session-id"]
    with opened(
        daemon, path, "GET", None, Authorization=f"Bearer {key}", Mcp_Session_Id=session
    ) as stream:
        yield stream


@contextmanager
def hearing(daemon: Daemon, path: str, key: str, era: str) -> Iterator[HTTPResponse]:
    """A stream that tells of every list, in the words of an era, from its beginning on."""
    if era == HANDSHAKE:
        with streaming(daemon, path, key) as stream:
            yield stream
        return
    changes = {f"{what}ListChanged": True for what in ("tools", "prompts", "resources")}
    with subscribed(daemon, path, key, **changes) as stream:
        assert heard(stream)["method"] == "notifications/subscriptions/acknowledged"
        yield stream
