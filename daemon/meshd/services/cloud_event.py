"""CloudEvents 1.0: what may be published, and stored events in their JSON form. Pure."""

import base64
import binascii
import hashlib
import re
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Raw, structs

from meshd.core.clock import iso
from meshd.store.db import Row
from meshd.wire.errors import BadRequest, TooLarge
from meshd.wire.event import Event, EventPublish

JSON = "application/json"
MAX_TEXT = 255
MAX_DATA = 256 * 1024
"""Bytes of an event's data."""
MAX_EXTENSIONS = 20
OURS = "mesh"
"""Types and extensions that begin so are given by meshctl alone."""

CORE = frozenset({
    "specversion", "id", "type", "source", "subject", "time", "datacontenttype", "dataschema",
    "data", "data_base64",
})  # fmt: skip
_ATTRIBUTE = re.compile(r"[a-z0-9]{1,20}")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")
_URI = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]{1,255}")
_MEDIA = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,60}/[A-Za-z0-9!#$&^_.+-]{1,60}( *;[ -~]{0,100})?")
_MAX_INTEGER = 2**31 - 1


def check_event(asked: EventPublish) -> None:
    """Pass an event that may be published (CloudEvents 1.0.2, sections 3.1 and 3.2).

    Raises:
        BadRequest: an attribute is not valid, or is ours to give.
        TooLarge: its data is.
    """
    _text("type", asked.type)
    if asked.type == OURS or asked.type.startswith(f"{OURS}."):
        raise BadRequest("types that begin with mesh. are given by meshctl alone")
    for name, value in (("id", asked.id), ("subject", asked.subject)):
        if value is not None:
            _text(name, value)
    for name, value in (("source", asked.source), ("dataschema", asked.dataschema)):
        if value is not None and not _URI.fullmatch(value):
            raise _wrong(name, f"a URI reference of 1 to {MAX_TEXT} characters")
    if asked.time is not None:
        check_time(asked.time)
    kind = asked.datacontenttype
    if kind is not None and not _MEDIA.fullmatch(kind):
        raise _wrong("datacontenttype", "a media type")
    _check_extensions(asked.extensions)
    _check_data(asked)


def check_time(text: str) -> None:
    """Pass a timestamp of RFC 3339. Raises BadRequest."""
    try:
        if _TIME.fullmatch(text):
            datetime.fromisoformat(text.upper())
            return
    except ValueError:
        pass
    raise _wrong("time", "an instant such as 2026-11-23T14:00:00Z")


def _text(name: str, value: str) -> None:
    if not 0 < len(value) <= MAX_TEXT or not value.isprintable():
        raise _wrong(name, f"1 to {MAX_TEXT} printable characters")


def _check_extensions(extensions: dict[str, str | int | bool]) -> None:
    if len(extensions) > MAX_EXTENSIONS:
        raise BadRequest(f"an event has at most {MAX_EXTENSIONS} extensions")
    for name, value in extensions.items():
        if not _ATTRIBUTE.fullmatch(name) or name in CORE or name.startswith(OURS):
            raise BadRequest(
                f'"{ascii(name[:40])[1:-1]}" is not a name for an extension',
                facts={"names are": "1 to 20 of a-z and 0-9, not beginning with mesh"},
            )
        if isinstance(value, str):
            _text(name, value)
        elif abs(value) > _MAX_INTEGER:
            raise _wrong(name, "a text, a boolean, or an integer of 32 bits")


def _check_data(asked: EventPublish) -> None:
    size = len(bytes(asked.data))
    if asked.data_base64 is not None:
        if bytes(asked.data) != b"null":
            raise BadRequest("data and data_base64 exclude each other")
        try:
            size = len(base64.b64decode(asked.data_base64, validate=True))
        except (binascii.Error, ValueError):
            raise _wrong("data_base64", "base64") from None
    if size > MAX_DATA:
        raise TooLarge(f"the data of an event has at most {MAX_DATA >> 10} KiB")
    try:
        msgspec.json.decode(bytes(asked.data))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # Grammar allows them; nobody behind us could be told of them.
        raise _wrong("data", "JSON without half characters and numbers out of range") from None


def _wrong(name: str, form: str) -> BadRequest:
    return BadRequest(f"the {name} of the event is not valid", facts={f"{name} is": form})


def content_digest(asked: EventPublish) -> bytes:
    """What tells an event that is published again from another of the same id."""
    parts = structs.asdict(asked)
    parts["data"] = msgspec.json.decode(bytes(asked.data))
    parts["source"] = parts["id"] = None
    del parts["deliver_at"]  # when it is delivered is nothing that it says
    return hashlib.sha256(msgspec.json.encode(parts, order="sorted")).digest()


def shown_event(row: Row) -> Event | dict[str, Any]:
    """A stored event; a mapping where it has extensions, which stand beside the attributes."""
    event = Event(
        id=row["id"],
        type=row["type"],
        source=row["source"],
        subject=row["subject"],
        time=row["said_time"] or iso(row["time"]),
        datacontenttype=row["content_type"] or JSON,
        meshseq=row["seq"],
    )
    if row["encoded"]:
        event.data_base64 = row["data"]
    else:
        event.data = Raw(row["data"].encode())
    if row["data_schema"]:
        event.dataschema = row["data_schema"]
    if row["own_id"]:
        event.meshid = row["own_id"]
    if not row["extensions"]:
        return event
    known: dict[str, Any] = msgspec.to_builtins(event, builtin_types=(Raw,))
    return known | dict(msgspec.json.decode(row["extensions"]))


def cloud_event(row: Row) -> dict[str, Any]:
    """A stored event in the JSON form in which it is delivered; what it has not is left out."""
    event: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(shown_event(row)))
    return {name: value for name, value in event.items() if name == "data" or value is not None}


def attributes(row: Row) -> dict[str, str]:
    """What filters see of an event that is about to be stored: every attribute as text."""
    extensions: dict[str, Any] = msgspec.json.decode(row.get("extensions") or "{}")
    given = {
        "specversion": "1.0", "id": row["id"], "type": row["type"], "source": row["source"],
        "subject": row["subject"], "time": row.get("said_time") or iso(row["time"]),
        "datacontenttype": row.get("content_type") or JSON, "dataschema": row.get("data_schema"),
        **extensions,
    }  # fmt: skip
    return {
        name: value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for name, value in given.items()
        if value is not None
    }
