"""The JSON-RPC messages of one HTTP answer, whether it is JSON or an event stream."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import msgspec

from meshd.protocol import jsonrpc, sse
from meshd.protocol.envelope import STATELESS_CODES
from meshd.protocol.jsonrpc import Message, Reply
from meshd.protocol.members import members
from meshd.protocol.translation import code_of
from meshd.proxy.http import MAX_BODY, Response
from meshd.wire.errors import NeedsLogin, UpstreamFailed

EVENT_STREAM = "text/event-stream"
JSON = "application/json"
TELLING = frozenset({401, 403, 404})
"""Statuses that mean the same whatever the body says: about credentials, and about the session."""
MAX_WAIT_DIGITS = 6
"""Digits of the seconds after which a server may ask to be asked again."""


async def messages(
    response: Response, shown: str, note: Callable[[bytes], None] | None = None
) -> AsyncGenerator[tuple[Message, bytes], None]:
    """Each message, read and raw, as it comes; `note` is shown every event of a stream.

    Events with another name than `message` are passed over, as clients do: some servers keep a
    stream open with events named `ping`.

    Raises:
        UpstreamFailed, UpstreamTimeout: it breaks off, or what comes is no JSON-RPC.
    """
    if response.content_type != EVENT_STREAM:
        yield read(await response.read(MAX_BODY), shown)
        return
    async with aclosing(events(response, shown)) as found:
        async for event in found:
            if note is not None:
                note(event)
            if (data := sse.data_of(event)) and sse.name_of(event) == "message":
                yield read(data, shown)


async def events(response: Response, shown: str) -> AsyncGenerator[bytes, None]:
    """Each event of a stream, as it comes. Raises as `messages`."""
    splitter = sse.Splitter()
    async for chunk in response.chunks():
        try:
            whole = splitter.feed(chunk)
        except sse.EventTooLarge:
            raise UpstreamFailed(f"{shown} sent an event that is too large") from None
        for event in whole:
            yield event


def reply_of(message: Message) -> Reply:
    """The answer that a response holds."""
    result = bytes(message.result)
    return Reply(result, None) if result else Reply(None, bytes(message.error) or b"null")


def answers(message: Message, ident: int) -> bool:
    """Whether it answers the request of that id, to which it came as the response.

    Servers write a number as text, too. An error without an id answers as well: the server did not
    get as far as to read one.
    """
    given = bytes(message.id)
    return not message.method and (
        given.strip(b'"') == b"%d" % ident
        or (given == b"null" and bytes(message.error) not in {b"", b"null"})
    )


async def error_in(response: Response, ident: bytes) -> bytes | None:
    """The error that a refusal holds, where it bears the raw id of the request that it answers.

    None where the status says all, or the error is one that only a server of another era gives.
    """
    if response.status < 400 or response.status in TELLING or response.content_type != JSON:
        return None
    found = members(await response.read(MAX_BODY))
    error = bytes(found.get("error", b""))
    if not error or bytes(found.get("id", b"")) != ident or code_of(error) in STATELESS_CODES:
        return None
    return error


def refused(response: Response, shown: str) -> UpstreamFailed:
    """What it means that a server answered with an HTTP status that tells of no success."""
    status, wait = response.status, response.headers.get("Retry-After") or ""
    if status in {401, 403}:
        return NeedsLogin(f"{shown} refused the credentials (HTTP {status})")
    facts = {"retry_after_s": wait} if wait.isdecimal() and len(wait) < MAX_WAIT_DIGITS else {}
    return UpstreamFailed(f"{shown} answered HTTP {status}", facts=facts)


def sentence_of(error: bytes | None) -> str:
    """What an error says, cut."""
    try:
        return str(msgspec.json.decode(error or b"{}").get("message", "no reason given"))[:200]
    except (msgspec.DecodeError, AttributeError):
        return "no reason given"


def read(data: bytes, shown: str) -> tuple[Message, bytes]:
    """One message, read and raw. Raises as `messages`."""
    try:
        return jsonrpc.parse(data), data
    except jsonrpc.BadMessage as error:
        raise UpstreamFailed(f"{shown} answered no JSON-RPC: {error}") from None
