"""`POST /events/{org}`: CloudEvents 1.0 over HTTP, in structured, batched and binary mode."""

import base64
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any
from urllib.parse import unquote

import msgspec
from aiohttp import web
from msgspec import Raw

from meshd.core.answers import error_answer, json_answer
from meshd.protocol.jsonrpc import BadMessage, check_depth
from meshd.protocol.strict import check_members
from meshd.services.cloud_event import CORE, MAX_DATA
from meshd.services.directory import Directory
from meshd.services.failures import failure
from meshd.services.org_choice import find_org
from meshd.services.principal import Principal
from meshd.services.publishing import at_index, own_source
from meshd.wire.calls.event import PUBLISH, PUBLISH_AS
from meshd.wire.errors import (
    BadRequest,
    MethodNotAllowed,
    NotFound,
    TooLarge,
    UnsupportedMedia,
)
from meshd.wire.event import EventPublish, Published

Perform = Callable[[Principal, str, EventPublish], Awaitable[Any]]
PerformBatch = Callable[
    [Principal, Iterable[str], Sequence[EventPublish]], Awaitable[list[Published]]
]
STRUCTURED = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
MOST = 100
"""Events in a batch."""
PREFIX = "/events/"
MAX_BODY = 2 * MAX_DATA
"""Bytes, of a batch too; base64 and the attributes take their part."""


class EventsIn:
    """Publishes what arrives, under the key that it arrives with."""

    def __init__(self, directory: Directory, perform: Perform, perform_batch: PerformBatch) -> None:
        """`perform` makes a control call, and decides whether it may be made.

        `perform_batch` publishes events at once for who may make each of some calls.
        """
        self._directory = directory
        self._perform = perform
        self._perform_batch = perform_batch

    async def handle(self, request: web.BaseRequest, principal: Principal) -> web.StreamResponse:
        """Answer one request. Never raises but for a connection that broke."""
        try:
            return json_answer(await self._publish(request, principal))
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it has an answer
            return error_answer(failure(error, f"{request.method} {PREFIX}"))

    async def _publish(self, request: web.BaseRequest, principal: Principal) -> Any:
        name = unquote(request.rel_url.raw_path.removeprefix(PREFIX))
        if not name or "/" in name:
            raise NotFound("nothing is here")
        org = find_org(self._directory.view, principal, name)
        if request.method != "POST":
            raise MethodNotAllowed
        body = await read_body(request)
        if request.content_type == BATCH:
            batch = _read_batch(body)
            calls = dict.fromkeys(_call(principal, one) for one in batch) or (PUBLISH.name,)
            find_org(self._directory.view, principal, org)  # it may be gone by now
            return await self._perform_batch(principal, calls, batch)
        asked = _read(request, body)
        find_org(self._directory.view, principal, org)
        return await self._perform(principal, _call(principal, asked), asked)


def _call(principal: Principal, asked: EventPublish) -> str:
    """The call that publishes an event."""
    own = asked.source in {None, own_source(principal)}
    return (PUBLISH if own else PUBLISH_AS).name


async def read_body(request: web.BaseRequest) -> bytes:
    """The body of one event. Raises TooLarge, TooSlow."""
    if (request.content_length or 0) > MAX_BODY:
        raise TooLarge
    body = await request.read()
    if len(body) > MAX_BODY:
        raise TooLarge
    return body


def _read(request: web.BaseRequest, body: bytes) -> EventPublish:
    """The event of a request (CloudEvents HTTP binding 1.0.2, sections 3.1 and 3.2).

    Raises:
        BadRequest, UnsupportedMedia: it is none.
    """
    if request.content_type == STRUCTURED:
        return _structured(body)
    if request.content_type.startswith("application/cloudevents"):
        raise UnsupportedMedia(f"events are taken as {STRUCTURED}, as {BATCH}, or in binary mode")
    return _binary(request, body)


def _read_batch(body: bytes) -> list[EventPublish]:
    """The events of a request (CloudEvents HTTP binding 1.0.2, section 3.3).

    Raises:
        BadRequest: one of them is none; `facts` has its index.
        TooLarge: they are too many.
    """
    try:
        check_depth(body)
        found = msgspec.json.decode(body, type=list[Raw])
    except msgspec.ValidationError:
        raise BadRequest("a batch is a JSON array of events") from None
    except BadMessage as error:
        raise BadRequest(f"the body is {error}") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise BadRequest("the body is not valid JSON") from None
    if len(found) > MOST:
        raise TooLarge(f"a batch has at most {MOST} events")
    asked = []
    for index, one in enumerate(found):
        with at_index(index, None):
            asked.append(_structured(bytes(one)))
    return asked


def _structured(body: bytes) -> EventPublish:
    try:
        check_depth(body)
        body.decode()
        given = msgspec.json.decode(body, type=dict[str, Raw])
        check_members(body, tuple(given))
        own = {name: given.pop(name) for name in given.keys() - CORE}
        if msgspec.json.decode(given.pop("specversion", Raw(b"null"))) != "1.0":
            raise BadRequest("the specversion of the event must be 1.0")
        given["extensions"] = Raw(msgspec.json.encode(own))
        return msgspec.json.decode(msgspec.json.encode(given), type=EventPublish)
    except msgspec.ValidationError as error:
        raise BadRequest(f"this is no CloudEvent: {error}") from None
    except BadMessage as error:
        raise BadRequest(f"the body is {error}") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise BadRequest("the body is not valid JSON") from None


def _binary(request: web.BaseRequest, body: bytes) -> EventPublish:
    given: dict[str, str] = {}
    for name, value in request.headers.items():
        if name.lower().startswith("ce-"):
            word = name.lower().removeprefix("ce-")
            if word in given:
                raise BadRequest(f"the header ce-{word} is given twice")
            given[word] = unquote(value)
    if given.pop("specversion", None) != "1.0":
        raise BadRequest(
            "this is no CloudEvent",
            facts={"send": f"{STRUCTURED}, or the headers ce-specversion: 1.0, ce-type, …"},
        )
    if "type" not in given:
        raise BadRequest("the header ce-type is missing")
    core = {name: given.pop(name) for name in given.keys() & CORE - {"data", "data_base64"}}
    media = request.headers.get("Content-Type")
    asked = msgspec.convert({**core, "datacontenttype": media, "extensions": given}, EventPublish)
    if media is not None and is_json(request.content_type):
        asked.data = json_data(body)
    elif body:
        asked.data_base64 = base64.b64encode(body).decode()
    return asked


def json_data(body: bytes) -> Raw:
    """A body of JSON, byte for byte; none is null. Raises BadRequest."""
    try:
        check_depth(body)
        body.decode()
        data = msgspec.json.decode(body, type=Raw) if body else Raw(b"null")
        msgspec.json.decode(body or b"null")
    except BadMessage as error:
        raise BadRequest(f"the body is {error}") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise BadRequest("the body is not valid JSON") from None
    return data


def is_json(media: str) -> bool:
    """Whether a media type says JSON."""
    return media in {"application/json", "text/json"} or media.endswith("+json")
