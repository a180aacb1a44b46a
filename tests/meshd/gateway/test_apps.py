"""MCP Apps pass: both sides see that the other takes part, and no other extension does."""

from typing import Any

import pytest

from tests.support import virtuals
from tests.support.daemon import Daemon
from tests.support.upstream import Upstream, answer, result, tool, upstream
from tests.support.virtuals import ERAS, HANDSHAKE, VERSION, ask

UI = "io.modelcontextprotocol/ui"
APP = {UI: {"mimeTypes": ["text/html;profile=mcp-app"]}}
OFFER = {"tools": {}, "extensions": {UI: {"vendor": 1}, "io.modelcontextprotocol/tasks": {}}}
DECLARED = {"extensions": {**APP, "other": {}}}
SHOWN = {**tool("show"), "_meta": {"ui": {"resourceUri": "ui://chart/1"}}}
CAPABILITIES = "io.modelcontextprotocol/clientCapabilities"


def serve(server: Upstream) -> None:
    """Make it a stateless server with an app."""
    said = {"supportedVersions": [VERSION], "capabilities": OFFER, "cacheScope": "private"}
    done = {"resultType": "complete", "ttlMs": 0}
    server.replies |= {
        "server/discover": result(done | said),
        "initialize": answer(b"", status="400 Bad Request"),
        "tools/list": result({**done, "cacheScope": "private", "tools": [SHOWN]}),
        "tools/call": result({**done, "content": []}),
    }


def offered(daemon: Daemon, path: str, key: str, era: str) -> tuple[Any, str]:
    """The extensions that a client is offered, and its session."""
    if era == HANDSHAKE:
        hello = {"protocolVersion": "2025-11-25", "capabilities": DECLARED}
        found = ask(daemon, path, "initialize", hello, key=key)
    else:
        found = ask(daemon, path, "server/discover", key=key, era=era)
    session = found.headers.get("mcp-session-id", "")
    return found.json()["result"]["capabilities"].get("extensions"), session


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(("path", "name"), [("/charts", "show"), ("/team", "charts_show")])
def test_an_app_is_offered_and_declared(daemon: Daemon, path: str, name: str, era: str) -> None:
    with upstream() as server:
        serve(server)
        daemon.connect_http("charts", server.url)
        virtuals.make(daemon, "team", "charts")
        key = daemon.add_key("k")
        ask(daemon, path, "tools/list", key=key, era=era)  # from then on its offer is known
        extensions, session = offered(daemon, path, key, era)
        assert extensions == {UI: {"vendor": 1}}
        listed = ask(daemon, path, "tools/list", key=key, era=era).json()["result"]["tools"]
        assert listed[0]["_meta"] == SHOWN["_meta"]
        params: dict[str, Any] = {"name": name, "arguments": {}}
        headers = {"Mcp-Session-Id": session} if session else {}
        if era != HANDSHAKE:
            params["_meta"] = {CAPABILITIES: DECLARED}
        assert ask(daemon, path, "tools/call", params, key=key, era=era, **headers).status == 200
        seen = server.of("tools/call")[0].message["params"]["_meta"]
        assert seen[CAPABILITIES] == {"extensions": APP}
