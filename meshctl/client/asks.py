"""From a request type to the parts of an HTTP request. Pure; nothing is sent here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

if TYPE_CHECKING:
    from msgspec import Struct

    from meshd.wire.calls.row import Call


def split(row: Call, asks: Struct | None) -> tuple[str, dict[str, Any], bytes | None]:
    """Path, query and JSON body of a call.

    Fields named in the path travel there, the others in the query (GET, DELETE) or in the body. In
    a query, None and unset fields are left out; in a body None is said, since it means
    "remove".
    """
    import msgspec

    # Values stay raw JSON on their way into a body: bytes that somebody typed are not rewritten.
    encoded = msgspec.json.encode(asks if asks is not None else {})
    fields = msgspec.json.decode(encoded, type=dict[str, msgspec.Raw])
    path = row.path
    for name in list(fields):
        if f"{{{name}}}" in path:
            value = msgspec.json.decode(fields.pop(name))
            path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
    if row.method in {"GET", "DELETE"}:
        return path, {name: msgspec.json.decode(raw) for name, raw in fields.items()}, None
    return path, {}, msgspec.json.encode(fields)
