"""A tool as a virtual MCP shows it otherwise, and a call put back into the child's words. Pure."""

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from meshd.protocol.jsonrpc import INVALID_PARAMS, BadMessage
from meshd.protocol.members import UNREADABLE, joined, members, raw
from meshd.protocol.strict import check_members
from meshd.services.virtual_rows import Override


def shown(entry: Mapping[str, Raw], name: str, override: Override | None) -> dict[str, Raw]:
    """The members of a list's entry under another name, and as `override` has them.

    A tool without a description gets its name for one: there are clients that refuse none.
    """
    found = {**entry, "name": raw(name)}
    if override is not None and override.description is not None:
        found["description"] = raw(override.description)
    elif "description" not in found:
        found["description"] = entry.get("title", found["name"])
    taken = _taken(override)
    if taken:
        found["inputSchema"] = _without(entry.get("inputSchema", Raw(b"{}")), taken)
    return found


def filled(arguments: bytes, override: Override | None) -> bytes:
    """The arguments as the child takes them; untouched where there is nothing to keep from callers.

    An argument that is hidden or pinned is no part of the tool that the caller sees, so one that
    is sent all the same is refused, and never quietly dropped.

    Raises:
        BadMessage: one is sent, or a member is repeated.
    """
    taken = _taken(override)
    if override is None or not taken:
        return arguments
    check_members(arguments or b"{}", taken)
    found = members(arguments or b"{}")
    for name in found:
        if name in taken:
            known = ascii(name[:60])[1:-1]
            raise BadMessage(INVALID_PARAMS, f'the tool takes no argument "{known}"')
    pinned = {name: Raw(value) for name, value in override.pinned.items()}
    return joined({**found, **pinned})


def _taken(override: Override | None) -> frozenset[str]:
    """The arguments that callers neither see nor set."""
    return frozenset() if override is None else frozenset((*override.hidden, *override.pinned))


def _without(schema: Raw, taken: frozenset[str]) -> Raw:
    found = members(schema)
    if "properties" in found:
        kept = {n: v for n, v in members(found["properties"]).items() if n not in taken}
        found["properties"] = raw(kept)
    if "required" in found:
        try:
            required = msgspec.json.decode(found["required"], type=list[str])
        except UNREADABLE:
            required = []
        found["required"] = raw([name for name in required if name not in taken])
    return raw(found)
