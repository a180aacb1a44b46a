"""Lists show only what is granted: filtering a listing answer, all other bytes kept."""

import msgspec
from msgspec import Raw

from meshd.gateway.exchange import Exchange
from meshd.gateway.policy import LISTS
from meshd.protocol.jsonrpc import Message
from meshd.protocol.members import members, text
from meshd.protocol.subscriptions import UPDATED
from meshd.services.access import Kind, decide, scope_at
from meshd.services.definitions import read_tool
from meshd.services.directory import ConnectionRow
from meshd.services.fingerprint import fingerprint
from meshd.services.principal import Principal
from meshd.services.virtual_rows import VIRTUAL
from meshd.wire.errors import UpstreamFailed

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode
_decode_array = msgspec.json.Decoder(list[Raw]).decode


def shaped(exchange: Exchange, body: bytes) -> bytes:
    """The answer as this principal may see it; untouched for all but filtered lists."""
    who, row, method = exchange.who, exchange.row, exchange.message.method
    if row.transport == VIRTUAL:  # what is composed was decided about then
        return body if exchange.finish is None else exchange.finish(body)
    if needs_filter(who, row, method):
        body = filtered(who, row, method, body)
    return body if exchange.finish is None else exchange.finish(body)


def needs_filter(who: Principal, row: ConnectionRow, method: str) -> bool:
    """Whether a listing answer has to be looked at for this principal."""
    if method not in LISTS:
        return False
    return not scope_at(who, row.id).all or (
        method == "tools/list" and (who.read_only or row.pinned)
    )


def filtered(who: Principal, row: ConnectionRow, method: str, body: bytes) -> bytes:
    """The JSON-RPC answer `body` with the entries that the principal may use.

    An error answer is kept. An answer that is no listing lists nothing.

    Raises:
        UpstreamFailed: it is not one JSON-RPC message.
    """
    try:
        answer = _decode_object(body)
        if "result" not in answer:
            return body
        result = _decode_object(answer["result"])
    except UNREADABLE:
        raise UpstreamFailed(f'"{row.name}" sent a list that cannot be read') from None
    _filter_member(who, row, result, LISTS[method])
    result.setdefault(LISTS[method][0], Raw(b"[]"))
    answer["result"] = Raw(msgspec.json.encode(result))
    return msgspec.json.encode(answer)


def filtered_event(who: Principal, row: ConnectionRow, data: bytes) -> bytes | None:
    """An event's data with every list in it filtered; None for what cannot be read.

    None as well for news of a resource that is not the principal's: its session may have subscribed
    when it was. On a stream of server messages a listing answer may come again (a resumed stream),
    and nothing tells which request it belongs to.
    """
    try:
        message = _decode_object(data)
        result = _decode_object(message["result"]) if "result" in message else {}
    except UNREADABLE:
        return None
    if text(message.get("method")) == UPDATED:
        uri = text(members(message.get("params", b"")).get("uri")) or ""
        may = decide(who, row.id, "resource", uri, reads_only=lambda: False)
        return data if may else None
    if not any(member in result for member, _, _ in LISTS.values()):
        return data
    for listing in LISTS.values():
        _filter_member(who, row, result, listing)
    message["result"] = Raw(msgspec.json.encode(result))
    return msgspec.json.encode(message)


def concerns(who: Principal, row: ConnectionRow, notification: bytes) -> bool:
    """Whether the principal may hear it: a server may tell of resources that nobody asked about."""
    return row.transport == VIRTUAL or filtered_event(who, row, notification) is not None


def _filter_member(
    who: Principal, row: ConnectionRow, result: dict[str, Raw], listing: tuple[str, Kind, str]
) -> None:
    member, kind, label = listing
    if member in result:
        try:
            entries = _decode_array(result[member])
        except UNREADABLE:
            entries = []
        kept = [entry for entry in entries if _may(who, row, kind, label, entry)]
        result[member] = Raw(msgspec.json.encode(kept))


def whole_tool_list(message: Message, body: bytes) -> list[Raw] | None:
    """The entries of a `tools/list` answer that was asked without and answered without a cursor."""
    try:
        if "cursor" in _decode_object(message.params or b"{}"):
            return None
        result = _decode_object(_decode_object(body)["result"])
        if "nextCursor" in result and bytes(result["nextCursor"]) != b"null":
            return None
        return _decode_array(result["tools"])
    except (*UNREADABLE, KeyError):
        return None


def _may(who: Principal, row: ConnectionRow, kind: Kind, label: str, entry: Raw) -> bool:
    try:
        name = msgspec.json.decode(_decode_object(entry)[label], type=str)
        tool = read_tool(entry) if kind == "tool" else None
    except (*UNREADABLE, KeyError):
        return False
    return bool(
        decide(
            who, row.id, kind, name,
            reads_only=lambda: tool is not None and tool.read_only,
            approved=lambda: not row.pinned or row.approves(name, fingerprint(bytes(entry))),
        )
    )  # fmt: skip
