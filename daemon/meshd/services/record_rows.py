"""From a record as it was taken to a row: outcome read, bodies redacted and cut. Pure."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import msgspec
from msgspec import Struct

from meshd.core.redact import redact_json, redact_text
from meshd.protocol.stdio_lines import whole_utf8
from meshd.protocol.surrogates import mend_surrogates

KEEP = 16 * 1024
"""Bytes of arguments and of result that are kept."""

READ = 1024 * 1024
"""Bodies over this size are not read for keeping; only that they were cut is noted."""

READ_ERROR = 4096
"""Characters of an error that are looked at."""

Kind = Literal["ok", "tool_error", "refused", "denied", "cancelled", "failed", "unread"]
"""How a call went: the tool's own error, the server's JSON-RPC error, a decision, a client that
went away, no answer; `unread` is a call whose record was dropped."""

DENIED = "denied: "
"""What the error of a denied call begins with."""
CANCELLED = frozenset({"cancelled by the client", "the client went away"})


@dataclass(slots=True)
class Stopwatch:
    """Marks the end of each stage of one call, in monotonic seconds; `at` in microseconds."""

    at: int
    started: float
    received: float = 0.0
    decided: float = 0.0
    upstream: float = 0.0
    answered: float = 0.0

    def stages_us(self) -> tuple[int, int, int, int]:
        """Microseconds of receive, decide, upstream and answer; a stage not reached took none."""
        marks = [self.started, self.received, self.decided, self.upstream, self.answered]
        for index in range(1, 5):
            marks[index] = max(marks[index], marks[index - 1])
        first, second, third, fourth = (
            round((end - begin) * 1_000_000) for begin, end in pairwise(marks)
        )
        return first, second, third, fourth


@dataclass(slots=True)
class Taken:
    """One call as the hot path saw it. `response` is a JSON-RPC message."""

    id: str
    org: str
    connection_id: str
    connection: str
    bodies: str
    tool: str
    principal_id: str
    principal: str
    watch: Stopwatch
    arguments: bytes
    response: bytes | None
    error: str | None
    client: str | None
    traceparent: str | None = None
    """What the caller said of its trace, as it was sent."""

    @property
    def size(self) -> int:
        """Bytes of bodies that the queue holds for it."""
        return len(self.arguments) + len(self.response or b"")


class _Error(Struct):
    message: str = ""


class _Content(Struct):
    type: str = ""
    text: str = ""


class _Result(Struct, rename="camel"):
    is_error: bool = False
    content: list[_Content] = []


class _Outcome(Struct):
    result: msgspec.Raw = msgspec.Raw(b"")
    error: _Error | None = None


_decode_outcome = msgspec.json.Decoder(_Outcome).decode
_decode_result = msgspec.json.Decoder(_Result).decode


def outcome(response: bytes | None) -> tuple[str | None, bytes]:
    """What went wrong, if anything, and the raw result. A tool's own error counts as wrong."""
    if response is None:
        return "no answer", b""
    try:
        message = _decode_outcome(response)
        if message.error is not None:
            return message.error.message or "error", b""
        result = bytes(message.result)
        if b'"isError"' not in result:
            return None, result
        decoded = _decode_result(result)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        mended = mend_surrogates(response)
        if mended != response:
            return outcome(mended)
        return "the answer could not be read", b""
    if not decoded.is_error:
        return None, result
    texts = [c.text for c in decoded.content if c.type == "text"]
    return (texts[0] if texts else "") or "tool error", result


@dataclass(frozen=True, slots=True)
class Ended:
    """A call, how it went and how long, and its row: the parameters of `call.add`."""

    taken: Taken
    kind: Kind
    stages_us: tuple[int, int, int, int]
    row: dict[str, Any]


def ended(taken: Taken) -> Ended:
    """What is known of a call once its answer is read."""
    error, result = taken.error, b""
    if error is None or taken.response is not None:
        found, result = outcome(taken.response)
        error = error or found
    stages = taken.watch.stages_us()
    return Ended(taken, _kind(taken, error, result), stages, _row(taken, error, result, stages))


def _kind(taken: Taken, error: str | None, result: bytes) -> Kind:
    if error is None:
        return "ok"
    if error.startswith(DENIED) and taken.error is not None:
        return "denied"
    if result:
        return "tool_error"
    if taken.response is not None:
        return "refused"
    return "cancelled" if error in CANCELLED else "failed"


def _row(
    taken: Taken, error: str | None, result: bytes, stages: tuple[int, int, int, int]
) -> dict[str, Any]:
    arguments, cut_in = kept(taken.arguments, taken.bodies)
    answer, cut_out = kept(result, taken.bodies)
    receive, decide, upstream, answering = stages
    return {
        "id": taken.id, "org_id": taken.org, "at": taken.watch.at,
        "connection_id": taken.connection_id, "connection": taken.connection,
        "tool": taken.tool[:200], "principal_id": taken.principal_id,
        "principal": taken.principal, "ok": int(error is None),
        "error": redact_text(error[:READ_ERROR])[:500] if error else None,
        "receive_us": receive, "decide_us": decide, "upstream_us": upstream,
        "answer_us": answering, "arguments": arguments, "result": answer,
        "cut": int(cut_in or cut_out), "client": redact_text((taken.client or "")[:100]) or None,
    }  # fmt: skip


def kept(body: bytes, mode: str) -> tuple[bytes | None, bool]:
    """What is kept of a body, as JSON, and whether it was cut.

    A cut body is kept as a JSON string of its beginning.
    """
    if mode == "off" or not body:
        return None, False
    if len(body) > READ:
        return None, True
    text = redact_json(body) if mode == "redacted" else whole_utf8(body)
    if len(text) <= KEEP:
        return text, False
    return msgspec.json.encode(text[:KEEP].decode("utf-8", "ignore")), True
