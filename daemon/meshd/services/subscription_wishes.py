"""What may be asked of a subscription: types, filters, templates, URLs, and an order. Pure."""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Raw

from meshd.bus.match import BadFilter, read_filters
from meshd.bus.order import BadOrder, check_order
from meshd.bus.template import BadTemplate, check_template
from meshd.proxy.http_head import RequestHead
from meshd.wire.errors import BadRequest

MAX_TYPES = 50
MAX_TEXT = 255
MAX_TEMPLATE = 64 * 1024
MAX_URL = 2000


def check_webhook(url: str) -> None:
    """Pass a URL that can be sent to. Raises BadRequest."""
    if len(url) > MAX_URL:
        raise BadRequest(f"the webhook is over {MAX_URL} characters")
    try:
        RequestHead(url, {})
    except ValueError as error:
        raise BadRequest("the webhook is no http or https URL", facts={"why": str(error)}) from None


def read_order(text: str | None) -> str | None:
    """What of an event is the key of its order. Raises BadRequest."""
    try:
        return None if text is None else check_order(text)
    except BadOrder as error:
        raise BadRequest(str(error)) from None


def read_types(patterns: Sequence[str]) -> list[str]:
    """Patterns of types, each once. Raises BadRequest."""
    valid = all(0 < len(one) <= MAX_TEXT and one.isprintable() for one in patterns)
    if not 0 < len(patterns) <= MAX_TYPES or not valid:
        raise BadRequest(
            "say which types of events",
            facts={"types are": f"1 to {MAX_TYPES} of 1 to {MAX_TEXT} characters; * is any run"},
        )
    return list(dict.fromkeys(patterns))


def read_filter(texts: Sequence[str]) -> str | None:
    """CloudEvents filters as JSON; `attribute=value` is short for the simple ones.

    Raises:
        BadRequest: there is one that is none.
    """
    filters: list[Any] = []
    for text in texts:
        if text.lstrip().startswith(("{", "[")):
            try:
                given = msgspec.json.decode(text)
            except (msgspec.DecodeError, RecursionError):
                raise BadRequest("the filter is no JSON") from None
            filters += given if isinstance(given, list) else [given]
            continue
        name, equals, value = text.partition("=")
        if not equals or "*" in value[1:-1]:
            raise BadRequest(
                f'"{ascii(text[:60])[1:-1]}" is not a filter',
                facts={"filters are": "JSON, or attribute=value with a * at one end"},
            )
        if value.endswith("*"):
            filters.append({"prefix": {name: value[:-1]}})
        elif value.startswith("*"):
            filters.append({"suffix": {name: value[1:]}})
        else:
            filters.append({"exact": {name: value}})
    try:
        read_filters(filters)
    except BadFilter as error:
        raise BadRequest(f"the filter is not valid: {error}") from None
    return msgspec.json.encode(filters).decode() if filters else None


def read_template(arguments: Raw) -> Any:
    """A template of a tool's arguments. Raises BadRequest."""
    raw = bytes(arguments)
    if len(raw) > MAX_TEMPLATE:
        raise BadRequest(f"the arguments are over {MAX_TEMPLATE >> 10} KiB")
    try:
        template = {} if raw == b"null" else msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadRequest("the arguments are not valid JSON") from None
    if not isinstance(template, dict):
        raise BadRequest("the arguments of a tool are a JSON object")
    try:
        check_template(template)
    except BadTemplate as error:
        raise BadRequest(f"the arguments are no template: {error}") from None
    return template
