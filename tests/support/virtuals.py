"""Virtual MCPs of a real daemon: what they are made of, and clients of both eras that ask them."""

from typing import Any

from tests.support.daemon import Answer, Daemon
from tests.support.upstream import WELCOME, Reply, result, tool, usual_replies

VERSION = "2026-07-28"
META = {
    "io.modelcontextprotocol/protocolVersion": VERSION,
    "io.modelcontextprotocol/clientCapabilities": {},
}
_NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
HANDSHAKE, STATELESS = "handshake", "stateless"
ERAS = [HANDSHAKE, STATELESS]


def make(daemon: Daemon, name: str, *children: str, **more: Any) -> Any:
    """A virtual MCP of these children, made by the local owner."""
    made = daemon.control("POST", "/v1/virtuals", {"name": name, **more})
    for child in children:
        attach(daemon, name, child)
    return made


def attach(daemon: Daemon, name: str, child: str, **selected: Any) -> Any:
    """Put a child into one, or change what of it is selected."""
    asked = {"child": child, **selected}
    return daemon.control("POST", f"/v1/virtuals/{name}/children", asked)


def ask(
    daemon: Daemon, path: str, method: str, params: Any = None, *, key: str, era: str = HANDSHAKE,
    **headers: str,
) -> Answer:  # fmt: skip
    """One request to `/mcp{path}` in the words of an era."""
    params = dict(params or {})
    sent = {"Accept": "application/json, text/event-stream"}
    if era == STATELESS:
        params["_meta"] = {**META, **params.get("_meta", {})}
        sent |= {"MCP-Protocol-Version": VERSION, "Mcp-Method": method}
        if method in _NAMED:
            sent["Mcp-Name"] = params[_NAMED[method]]
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    return daemon.tcp("POST", f"/mcp{path}", body, key=key, **(sent | headers))


def listed(
    daemon: Daemon, path: str, *, key: str, era: str = HANDSHAKE, what: str = "tools"
) -> list[str]:
    """The names in a list, or the URIs."""
    method = {"resourceTemplates": "resources/templates"}.get(what, what) + "/list"
    found = ask(daemon, path, method, key=key, era=era).json()["result"][what]
    label = {"resources": "uri", "resourceTemplates": "uriTemplate"}.get(what, "name")
    return [entry[label] for entry in found]


def call(
    daemon: Daemon, path: str, name: str, arguments: Any = None, *, key: str, era: str = HANDSHAKE
) -> Any:
    """The JSON-RPC answer to a call."""
    params = {"name": name, "arguments": arguments or {}}
    return ask(daemon, path, "tools/call", params, key=key, era=era).json()


def full_replies(name: str) -> dict[str, Reply]:
    """A handshake server with something of every kind; texts say whose they are."""
    offer = {
        "tools": {"listChanged": True}, "prompts": {}, "resources": {"subscribe": True},
        "completions": {}, "logging": {},
    }  # fmt: skip
    text = {"type": "text", "text": f"of {name}"}
    return usual_replies() | {
        "initialize": result({**WELCOME, "capabilities": offer}, f"Mcp-Session-Id: {name}"),
        "tools/list": result({"tools": [tool("look", readOnlyHint=True), tool("change")]}),
        "tools/call": result({"content": [text]}),
        "prompts/list": result({"prompts": [{"name": "greet", "vendor": name}]}),
        "prompts/get": result({"messages": [{"role": "user", "content": text}]}),
        "resources/list": result({"resources": [{"uri": f"file:///{name}/a", "name": "a"}]}),
        "resources/templates/list": result(
            {"resourceTemplates": [{"uriTemplate": f"db://{name}/{{table}}", "name": "t"}]}
        ),
        "resources/read": result({"contents": [{"uri": "x", "text": f"of {name}"}]}),
        "resources/subscribe": result({}),
        "completion/complete": result({"completion": {"values": [name]}}),
    }
