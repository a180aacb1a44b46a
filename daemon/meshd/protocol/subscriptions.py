"""`subscriptions/listen`: what a client wants to hear of, and what of it a server can tell.

Source: MCP 2026-07-28, basic/patterns, subscriptions.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
from msgspec import Raw

from meshd.protocol import jsonrpc
from meshd.protocol.envelope import SUBSCRIPTION
from meshd.protocol.members import UNREADABLE, joined, members, raw

ACKNOWLEDGED = "notifications/subscriptions/acknowledged"
UPDATED = "notifications/resources/updated"
CHANGES = {
    "notifications/tools/list_changed": "toolsListChanged",
    "notifications/prompts/list_changed": "promptsListChanged",
    "notifications/resources/list_changed": "resourcesListChanged",
}
"""Notifications that a list changed, and the member of a filter that asks for each."""
_RESOURCES = "resourceSubscriptions"
_NOUN = {"toolsListChanged": "tools", "promptsListChanged": "prompts",
         "resourcesListChanged": "resources"}  # fmt: skip
MAX_RESOURCES = 1000


@dataclass(slots=True)
class Filter:
    """The lists whose changes are told, by members of the filter, and the URIs of resources."""

    changes: set[str] = field(default_factory=set)
    resources: list[str] = field(default_factory=list)

    def as_members(self) -> dict[str, Raw]:
        """As it is on the wire."""
        found: dict[str, Raw] = {name: Raw(b"true") for name in sorted(self.changes)}
        if self.resources:
            found[_RESOURCES] = raw(self.resources)
        return found


def read_filter(wanted: Mapping[str, Raw]) -> Filter:
    """What is asked for and known here; of resources at most `MAX_RESOURCES`."""
    changes = {name for name in CHANGES.values() if bytes(wanted.get(name, b"")) == b"true"}
    try:
        uris = msgspec.json.decode(wanted.get(_RESOURCES, b"[]"), type=list[str])
    except UNREADABLE:
        uris = []
    return Filter(changes, list(dict.fromkeys(uris))[:MAX_RESOURCES])


def offered(wanted: Filter, capabilities: Raw | bytes) -> Filter:
    """What of it a server with these capabilities can tell."""
    found = members(capabilities)

    def can(noun: str, what: str) -> bool:
        return bytes(members(found.get(noun, b"")).get(what, b"")) == b"true"

    changes = {name for name in wanted.changes if can(_NOUN[name], "listChanged")}
    return Filter(changes, wanted.resources if can("resources", "subscribe") else [])


def all_changes(capabilities: Raw | bytes) -> Filter:
    """Every change of a list that a server with these capabilities tells."""
    return offered(Filter(set(CHANGES.values())), capabilities)


def acknowledgement(honoured: Filter) -> bytes:
    """The first message of a stream: what of the filter is honoured."""
    return jsonrpc.notification(ACKNOWLEDGED, joined({"notifications": honoured.as_members()}))


def labelled(notification: bytes, ident: bytes) -> bytes:
    """A notification that says which subscription it is for; `ident` is the request's raw id."""
    found = members(notification)
    params = members(found.get("params", b""))
    meta = {**members(params.get("_meta", b"")), SUBSCRIPTION: Raw(ident)}
    return joined({**found, "params": {**params, "_meta": meta}})


def unlabelled(notification: bytes) -> bytes:
    """A notification as the handshake era has it."""
    found = members(notification)
    params = members(found.get("params", b""))
    meta = members(params.pop("_meta", b""))
    meta.pop(SUBSCRIPTION, None)
    if meta:
        params["_meta"] = raw(meta)
    if params:
        found["params"] = raw(params)
    else:
        found.pop("params", None)
    return joined(found)


def subscription_of(params: bytes | Raw) -> bytes:
    """The raw id of the subscription that a notification is for; empty where it names none."""
    return bytes(members(members(params).get("_meta", b"")).get(SUBSCRIPTION, b""))
