"""What subscribers answer: results of tools, of `ON_EVENTS`, and HTTP statuses. Pure."""

from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import msgspec

from meshd.bus.retry import Outcome
from meshd.core.clock import MICROSECONDS

MAX_AFTER = 24 * 3600.0
"""Seconds; who asks for more is tried again then."""
_LATER = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}


def tool_error(result: Any) -> str | None:
    """Why a tool's result is no success; None for one."""
    if not isinstance(result, dict):
        return "the tool's result is no object"
    if result.get("isError") is not True:
        return None
    return _text(result) or "the tool answered with an error"


def events_answer(result: Any, ids: Sequence[str]) -> Sequence[Outcome]:
    """An outcome for each event, by what `ON_EVENTS` answered.

    `{success?, error?, retryAfter?, results?: {id: {success?, error?, retryAfter?}}}`, `retryAfter`
    in milliseconds. An event without a result of its own has that of the batch; an answer that
    says nothing of it is a success, as any other tool's would be.
    """
    error = tool_error(result)
    if error is not None:
        return [Outcome("failed", error)] * len(ids)
    said = result.get("structuredContent")
    if not isinstance(said, dict):
        said = _decoded(_text(result))
    results = said.get("results")
    by_id = results if isinstance(results, dict) else {}
    silent = not by_id and not said.keys() & {"success", "error", "retryAfter"}
    rest = {"success": True} if silent else said
    return [_one(by_id[one] if isinstance(by_id.get(one), dict) else rest) for one in ids]


def _one(said: Mapping[str, Any]) -> Outcome:
    if said.get("success") is True:
        return Outcome("delivered")
    text = said.get("error")
    error = text if isinstance(text, str) else "the subscriber did not say success"
    after = said.get("retryAfter")
    if isinstance(after, int | float) and not isinstance(after, bool) and after > 0:
        return Outcome("deferred", error, after=min(after / 1000, MAX_AFTER))
    return Outcome("failed", error)


def http_outcome(status: int, retry_after: str | None, now: int) -> Outcome:
    """What a receiver's status means; redirects are failures."""
    if 200 <= status < 300:
        return Outcome("delivered", status=status)
    error = f"HTTP {status}"
    if status == HTTPStatus.GONE:
        return Outcome("gone", error, status)
    after = _seconds(retry_after, now) if status in _LATER else None
    if after is not None:
        return Outcome("deferred", error, status, after)
    return Outcome("failed", error, status)


def _seconds(text: str | None, now: int) -> float | None:
    """`Retry-After` (RFC 9110 section 10.2.3): seconds or a date."""
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) < 10:
        return min(float(text), MAX_AFTER)
    try:
        moment = parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError):
        return None
    return min(max(moment - now / MICROSECONDS, 0.0), MAX_AFTER)


def _text(result: Mapping[str, Any]) -> str:
    content = result.get("content")
    parts = content if isinstance(content, list) else []
    return "\n".join(
        part["text"]
        for part in parts
        if isinstance(part, dict) and isinstance(part.get("text"), str)
    )


def _decoded(text: str) -> Mapping[str, Any]:
    try:
        body = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return {}
    return body if isinstance(body, dict) else {}
