"""One era's answers in the other era's words. The rest of each answer keeps its bytes.

Source: MCP 2025-11-25 and 2026-07-28, the schemas of both.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from meshd.protocol import jsonrpc
from meshd.protocol.envelope import EXTENSIONS, SERVER, STATELESS_CODES, UI
from meshd.protocol.members import UNREADABLE, joined, members, raw, text
from meshd.protocol.versions import STATELESS

NOT_FOUND = -32002
"""The handshake era's code for a resource that is not there; -32602 in the stateless era."""
URL_NEEDED = -32042
"""The handshake era's code for a call that needs its user to visit a URL first."""

CACHEABLE = frozenset({
    "server/discover", "tools/list", "resources/list", "resources/templates/list", "prompts/list",
    "resources/read",
})  # fmt: skip
"""Methods whose results say for how long, and for whom, they may be kept."""

_EXPERIMENTAL = ("tasks", "experimental")
"""Capabilities of the handshake era that have another wire, or none, in the stateless era."""
_STAMPS = ("resultType", "ttlMs", "cacheScope")


class _Typed(msgspec.Struct, rename="camel"):
    result_type: Raw = Raw(b"")


_decode_typed = msgspec.json.Decoder(_Typed).decode


def result_type(result: bytes) -> str:
    """What kind of result it is; `complete` where it does not say."""
    try:
        said = bytes(_decode_typed(result).result_type)
    except UNREADABLE:
        return "complete"
    return (text(said) or "") if said else "complete"


def stateless_result(method: str, result: bytes) -> bytes:
    """A handshake server's result as the stateless era has it: complete, and not to be kept."""
    found = members(result)
    stamps: dict[str, object] = {"resultType": "complete"}
    if method in CACHEABLE:
        stamps |= {"ttlMs": 0, "cacheScope": "private"}
    return joined({**found, **stamps})


def private_result(result: bytes) -> bytes:
    """A result that only its own caller may keep."""
    found = members(result)
    if text(found.get("cacheScope")) != "public":
        return result
    return joined({**found, "cacheScope": "private"})


def handshake_result(method: str, result: bytes) -> bytes:
    """A stateless server's result as the handshake era has it.

    There a structured result, and the schema of one, is an object. Others are left out: the text
    says it too.
    """
    found = members(result)
    for stamp in _STAMPS:
        found.pop(stamp, None)
    if method == "tools/call" and not _is_object(found.get("structuredContent")):
        found.pop("structuredContent", None)
    if method == "tools/list" and b"outputSchema" in result:
        found["tools"] = _with_object_schemas(found.get("tools", Raw(b"[]")))
    return joined(found)


def _with_object_schemas(tools: Raw) -> Raw:
    try:
        entries = [members(entry) for entry in msgspec.json.decode(tools, type=list[Raw])]
    except UNREADABLE:
        return tools
    for entry in entries:
        schema = entry.get("outputSchema")
        if schema is not None and text(members(schema).get("type")) != "object":
            del entry["outputSchema"]
    return raw(entries)


def _is_object(value: Raw | None) -> bool:
    return value is not None and bytes(value).lstrip().startswith(b"{")


def discovery(welcome: bytes) -> bytes:
    """A `server/discover` result made of a handshake server's answer to `initialize`."""
    said = members(welcome)
    capabilities = members(said.get("capabilities", b"{}"))
    for name in _EXPERIMENTAL:
        capabilities.pop(name, None)
    found: dict[str, object] = {
        "resultType": "complete", "supportedVersions": STATELESS, "capabilities": capabilities,
        "ttlMs": 0, "cacheScope": "private",
    }  # fmt: skip
    if "instructions" in said:
        found["instructions"] = said["instructions"]
    if "serverInfo" in said:
        found["_meta"] = {SERVER: said["serverInfo"]}
    return joined(found)


def served_discovery(said: bytes) -> bytes:
    """A stateless server's own discovery as we serve it: our versions, of extensions `UI` alone."""
    found = members(said)
    capabilities = _offered(found)
    defaults: dict[str, object] = {"resultType": "complete", "ttlMs": 0}
    ours = {"supportedVersions": STATELESS, "capabilities": capabilities, "cacheScope": "private"}
    return joined({**defaults, **found, **ours})


def speaks_ours(said: bytes, member: str = "supportedVersions") -> bool:
    """Whether a `server/discover` result, or another object, lists a version that is known here."""
    try:
        spoken = msgspec.json.decode(members(said).get(member, b"[]"), type=list[str])
    except UNREADABLE:
        return False
    return any(version in STATELESS for version in spoken)


def welcome(said: bytes, version: str) -> bytes:
    """An `initialize` result made of a stateless server's discovery."""
    found = members(said)
    capabilities = _offered(found)
    server = members(found.get("_meta", b"")).get(SERVER)
    made: dict[str, object] = {
        "protocolVersion": version,
        "capabilities": capabilities,
        "serverInfo": server or {"name": "unnamed", "version": "0"},
    }
    if "instructions" in found:
        made["instructions"] = found["instructions"]
    return joined(made)


def _offered(said: Mapping[str, Raw]) -> dict[str, Raw]:
    """The capabilities that a server says, as they are passed on."""
    capabilities = members(said.get("capabilities", b"{}"))
    ui = members(capabilities.pop(EXTENSIONS, b"")).get(UI)
    if ui is not None:
        capabilities[EXTENSIONS] = raw({UI: ui})
    return capabilities


def stateless_error(error: bytes) -> bytes:
    """A handshake server's error with the stateless era's code."""
    return _recoded(error, {NOT_FOUND: jsonrpc.INVALID_PARAMS})


def handshake_error(method: str, error: bytes) -> bytes:
    """A stateless server's error with the handshake era's code.

    Codes of the stateless era would make a client take us for a server of that era alone.
    """
    codes = dict.fromkeys(STATELESS_CODES, jsonrpc.INVALID_REQUEST)
    if method == "resources/read" and "uri" in members(members(error).get("data", b"")):
        codes[jsonrpc.INVALID_PARAMS] = NOT_FOUND
    return _recoded(error, codes)


def is_refused_for_era(body: bytes) -> bool:
    """Whether a JSON-RPC message is a refusal that only a server of the stateless era gives."""
    return code_of(bytes(members(body).get("error", b""))) in STATELESS_CODES


def code_of(error: bytes) -> int | None:
    """An error's code; None where it has none."""
    try:
        return msgspec.json.decode(members(error).get("code", b"null"), type=int | None)
    except UNREADABLE:
        return None


def _recoded(error: bytes, codes: dict[int, int]) -> bytes:
    code = code_of(error)
    if code not in codes:
        return error
    return joined({**members(error), "code": codes[code]})
