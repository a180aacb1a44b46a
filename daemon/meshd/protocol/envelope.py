"""The stateless era's envelope: what every request says of itself, and whether its headers agree.

A request carries its version and its client's capabilities in `params._meta`; over HTTP some of its
members are repeated in headers. Source: MCP 2026-07-28, basic, "Per-request protocol fields", and
basic/transports, Streamable HTTP.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from msgspec import Raw

from meshd.protocol import jsonrpc
from meshd.protocol.header_values import decoded, encoded
from meshd.protocol.jsonrpc import BadMessage, Message
from meshd.protocol.members import joined, members, raw, text
from meshd.protocol.strict import check_members
from meshd.protocol.versions import LATEST_STATELESS, STATELESS

HEADER_MISMATCH = -32020
MISSING_CAPABILITY = -32021
UNSUPPORTED_VERSION = -32022
STATELESS_CODES = frozenset({HEADER_MISMATCH, MISSING_CAPABILITY, UNSUPPORTED_VERSION})
"""Error codes that only a server of the stateless era gives."""

STATUS = {
    jsonrpc.PARSE_ERROR: 400,
    jsonrpc.INVALID_REQUEST: 400,
    jsonrpc.INVALID_PARAMS: 400,
    jsonrpc.METHOD_NOT_FOUND: 404,
    **dict.fromkeys(STATELESS_CODES, 400),
}
"""The HTTP status of a refusal; 200 for other codes."""

_OURS = "io.modelcontextprotocol/"
VERSION = _OURS + "protocolVersion"
CAPABILITIES = _OURS + "clientCapabilities"
CLIENT = _OURS + "clientInfo"
LOG_LEVEL = _OURS + "logLevel"
SERVER = _OURS + "serverInfo"
SUBSCRIPTION = _OURS + "subscriptionId"
FIELDS = frozenset({VERSION, CAPABILITIES, CLIENT, LOG_LEVEL})
"""What the envelope holds; every other member of `_meta` is the request's own."""

NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""Methods whose `Mcp-Name` header repeats a parameter."""

REMOVED = frozenset({
    "initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe",
})  # fmt: skip
"""Methods of the handshake era that the stateless era has no more."""

RELAYED = {"elicitation": ("form", "url"), "sampling": ("tools", "context"), "roots": ()}
"""Client capabilities that reach a server through us, and their kinds that are known."""

EXTENSIONS = "extensions"
UI = "io.modelcontextprotocol/ui"
"""The one extension that passes, MCP Apps: it adds to what tools and resources say, and no methods.

Methods bring handles that belong to one caller alone; whose they are is not known here.
"""
_APP = {"mimeTypes": ["text/html;profile=mcp-app"]}

LEVELS = frozenset(
    {"debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"}
)
"""Log levels (RFC 5424, section 6.2.1)."""

Headers = Callable[[str], Sequence[str]]
"""All values of a header."""


class Refused(BadMessage):
    """A request that the envelope's rules refuse; `data` is the error's."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(code, message)
        self.data = data


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a request says of itself. `params` are its own, `_meta` without the envelope."""

    version: str
    capabilities: bytes
    """Those of the client that are relayed, as JSON."""
    log_level: str | None
    params: Mapping[str, Raw]


def opened(message: Message, headers: Headers) -> Envelope:
    """Take a request out of its envelope.

    Raises:
        Refused: the envelope is not whole, a header does not agree with it, or its version is not
            served. In this order, so that a client that contradicts itself is told so.
        BadMessage: a member is repeated.
    """
    params = members(message.params)
    if "_meta" in params:
        check_members(bytes(params["_meta"]), FIELDS)
    meta = members(params.get("_meta", b""))
    version, capabilities = text(meta.get(VERSION)), bytes(meta.get(CAPABILITIES, b""))
    if version is None or not capabilities.startswith(b"{"):
        raise Refused(jsonrpc.INVALID_PARAMS, f"params._meta needs {VERSION} and {CAPABILITIES}")
    check_members(capabilities, {*RELAYED, EXTENSIONS})
    _agree("MCP-Protocol-Version", headers, version)
    _agree("Mcp-Method", headers, message.method)
    if message.method in NAMED:
        _agree("Mcp-Name", headers, text(params.get(NAMED[message.method])), coded=True)
    check_version(version)
    if message.method in REMOVED:
        raise Refused(jsonrpc.METHOD_NOT_FOUND, f"there is no {message.method} in {version}")
    log_level = text(meta.get(LOG_LEVEL))
    if LOG_LEVEL in meta and log_level not in LEVELS:
        raise Refused(jsonrpc.INVALID_PARAMS, f"{LOG_LEVEL} is no log level")
    own = {name: value for name, value in meta.items() if name not in FIELDS}
    if own:
        params["_meta"] = raw(own)
    else:
        params.pop("_meta")
    return Envelope(version, relayed(capabilities), log_level, params)


def check_version(version: str) -> None:
    """Pass a version of the stateless era that is served.

    Raises:
        Refused: it is not.
    """
    if version not in STATELESS:
        known = {"supported": list(STATELESS), "requested": version[:100]}
        raise Refused(UNSUPPORTED_VERSION, "this protocol version is not served", known)


def _agree(name: str, headers: Headers, wanted: str | None, *, coded: bool = False) -> None:
    found = headers(name)
    if len(found) != 1 or wanted is None or (decoded(found[0]) if coded else found[0]) != wanted:
        raise Refused(HEADER_MISMATCH, f"the header {name} does not agree with the body")


def relayed(capabilities: bytes) -> bytes:
    """What of a client's capabilities reaches a server: what it can be asked through us, and `UI`.

    In one spelling, and never long: sessions are kept for each.
    """
    found = members(capabilities)
    kept: dict[str, object] = {}
    for name, kinds in RELAYED.items():
        if name in found:
            said = members(found[name])
            kept[name] = {kind: {} for kind in kinds if bytes(said.get(kind, b"")).startswith(b"{")}
    if UI in members(found.get(EXTENSIONS, b"")):
        kept[EXTENSIONS] = {UI: _APP}
    return joined(kept)


def may_be_asked(capabilities: bytes) -> bool:
    """Whether a client that declares these can be asked for anything."""
    return not members(capabilities).keys().isdisjoint(RELAYED)


def enveloped(
    params: Mapping[str, Raw],
    client: Mapping[str, str],
    capabilities: bytes = b"{}",
    log_level: str | None = None,
    version: str = LATEST_STATELESS,
) -> bytes:
    """Put a request of ours, or one that is passed on, into an envelope of our own."""
    meta: dict[str, object] = dict(members(params.get("_meta", b"")))
    meta |= {VERSION: version, CAPABILITIES: Raw(capabilities), CLIENT: dict(client)}
    meta.pop(LOG_LEVEL, None)
    if log_level is not None:
        meta[LOG_LEVEL] = log_level
    return joined({**params, "_meta": meta})


def headers_for(method: str, params: Mapping[str, Raw]) -> dict[str, str]:
    """The headers that repeat members of a request."""
    lines = {"Mcp-Method": method}
    if method in NAMED and (name := text(params.get(NAMED[method]))) is not None:
        lines["Mcp-Name"] = encoded(name)
    return lines


def bare(params: bytes) -> dict[str, Raw]:
    """The params of a request of any era without envelope fields."""
    found = members(params)
    if "_meta" in found:
        meta = members(found["_meta"])
        own = {name: value for name, value in meta.items() if name not in FIELDS}
        found["_meta"] = raw(own)
        if not own:
            del found["_meta"]
    return found
