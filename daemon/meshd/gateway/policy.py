"""What a message wants, put to the one authorization function."""

from dataclasses import dataclass

from msgspec import Raw

from meshd.protocol import jsonrpc
from meshd.protocol.jsonrpc import BadMessage, Message
from meshd.protocol.members import members
from meshd.protocol.strict import check_members
from meshd.services.access import Decision, Kind, decide
from meshd.services.directory import ConnectionRow
from meshd.services.principal import Principal
from meshd.services.tools import Tools

LISTS: dict[str, tuple[str, Kind, str]] = {
    "tools/list": ("tools", "tool", "name"),
    "resources/list": ("resources", "resource", "uri"),
    "resources/templates/list": ("resourceTemplates", "resource", "uriTemplate"),
    "prompts/list": ("prompts", "prompt", "name"),
}
"""Listing methods: the member that holds the entries, their kind, the member that names one."""

FREE = frozenset({"initialize", "ping", "logging/setLevel", *LISTS})
"""Methods that anybody with some grant on the connection may use; lists are filtered."""

STATELESS_FREE = frozenset({"server/discover", "subscriptions/listen"})
"""The same in the stateless era; what is subscribed to is filtered."""

DECIDING = frozenset(
    {"name", "uri", "ref", "arguments", "cursor", "_meta", "inputResponses", "requestState",
     "notifications"}
)  # fmt: skip
"""Members of params that a decision rests on."""

_BY_URI = frozenset({"resources/read", "resources/subscribe", "resources/unsubscribe"})
ALLOWED = Decision(True, "open to every holder of a grant")


@dataclass(frozen=True, slots=True)
class Wish:
    """What a message is about. `arguments` are a tool call's."""

    kind: Kind
    name: str
    arguments: Raw


def wish(message: Message, *, stateless: bool = False) -> Wish | None:
    """What has to be decided about a request; None for what is free.

    Raises:
        BadMessage: the params do not say what it is about.
    """
    method = message.method
    if method in FREE or (stateless and method in STATELESS_FREE):
        return None
    if method == "tools/call":
        named = jsonrpc.named(message.params)
        return Wish("tool", named.name, named.arguments)
    if method in _BY_URI:
        return Wish("resource", jsonrpc.named(message.params).uri, Raw())
    if method == "prompts/get":
        return Wish("prompt", jsonrpc.named(message.params).name, Raw())
    if method == "completion/complete":
        ref = jsonrpc.completed(message.params)
        check_members(bytes(ref), DECIDING)
        if {"name", "uri"} <= members(ref).keys():  # a server might complete the other one
            raise BadMessage(jsonrpc.INVALID_PARAMS, "ref names a prompt or a resource, not both")
        named = jsonrpc.named(ref)
        return (
            Wish("prompt", named.name, Raw()) if named.name else Wish("resource", named.uri, Raw())
        )
    return Wish("other", method, Raw())


async def judge(who: Principal, row: ConnectionRow, wanted: Wish | None, tools: Tools) -> Decision:
    """The decision about a request.

    Raises:
        UpstreamFailed and the like: a read-only key's call needs the list, which cannot be had.
    """
    if wanted is None:
        return ALLOWED
    if wanted.kind == "tool":
        return await tools.decide(who, row, wanted.name)
    return decide(who, row.id, wanted.kind, wanted.name, reads_only=lambda: False)
