"""Control calls: who asks, may they, read the request, ask the service, write the answer."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from aiohttp import web
from msgspec import Struct

from meshd.api import openapi
from meshd.api.followed import Followed
from meshd.api.routes import Routes
from meshd.api.stream import ndjson
from meshd.core.answers import JSON, error_answer, json_answer
from meshd.protocol.jsonrpc import BadMessage, check_depth
from meshd.protocol.strict import check_members
from meshd.services.access import decide_call
from meshd.services.failures import failure
from meshd.services.principal import Principal
from meshd.services.refusals import denied_call
from meshd.wire.calls.row import Call
from meshd.wire.errors import (
    BadRequest,
    MethodNotAllowed,
    Unauthenticated,
    UnsupportedMedia,
)

T = TypeVar("T")
Handler = Callable[[Principal, Any], Any]
"""Takes the principal and the request; gives the answer, an awaitable, or an async iterator."""

MAX_QUERY = 4096


class Dispatcher:
    """Serves every row of the call table that has a handler; a row without one is a mistake."""

    def __init__(
        self,
        calls: Iterable[Call],
        handlers: Mapping[str, Handler],
        in_org: Callable[[Principal, str | None], Principal],
        *,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        """`in_org(principal, named)` gives the principal in the org that `Meshctl-Org` names.

        Streams are cut once `stopping` is true; who follows one resumes at the next daemon.

        Raises:
            ValueError: handlers and rows do not match one to one.
        """
        rows = {call.name: call for call in calls}
        if rows.keys() != handlers.keys():
            raise ValueError(f"calls without a partner: {sorted(rows.keys() ^ handlers.keys())}")
        self._rows = rows
        self._handlers = handlers
        self._in_org = in_org
        self._stopping = stopping
        self._routes = Routes(rows.values())
        self._tcp_routes = Routes(call for call in rows.values() if not call.socket_only)
        self._followed = Followed()

    @property
    def open_streams(self) -> int:
        """Streams that are followed."""
        return len(self._followed)

    async def handle(
        self, request: web.BaseRequest, principal: Principal, *, on_socket: bool
    ) -> web.StreamResponse:
        """Answer one control call. Never raises but for a connection that broke."""
        try:
            return await self._answer(request, principal, on_socket=on_socket)
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it has an answer
            return error_answer(failure(error, f"{request.method} {request.path}"))

    async def _answer(
        self, request: web.BaseRequest, principal: Principal, *, on_socket: bool
    ) -> web.StreamResponse:
        if request.rel_url.raw_path == openapi.PATH:
            if request.method != "GET":
                raise MethodNotAllowed
            return json_answer(openapi.document(self._rows.values(), on_socket=on_socket))
        routes = self._routes if on_socket else self._tcp_routes
        call, fields = routes.find(request.method, request.rel_url.raw_path)
        principal = self._within(principal, call, request.headers.get("Meshctl-Org"))

        async def read() -> Any:
            if call.method in {"GET", "DELETE"}:
                return _from_query(request, call, fields)
            return _from_body(call, await self._body(request), fields)

        answer = await self._perform(principal, call, read)
        if isinstance(answer, AsyncIterator):
            with self._followed.one(principal):
                return await ndjson(request, answer, partial(self._readmit, principal, call))
        return json_answer(answer)

    async def call(self, principal: Principal, name: str, arguments: bytes | Struct) -> Any:
        """Make the call of that name for who holds its arguments as one JSON object, or read.

        Raises:
            MeshError and the like: whatever `failure` makes an error of.
        """
        call = self._rows[name]

        async def read() -> Any:
            if isinstance(arguments, Struct):
                return arguments
            return _from_body(call, arguments, {})

        return await self._perform(self._within(principal, call, principal.org), call, read)

    async def under(
        self, principal: Principal, names: Iterable[str], work: Callable[[Principal], Awaitable[T]]
    ) -> T:
        """Do work that is several calls in one, for who may make each of those.

        Raises:
            MeshError and the like: whatever `failure` makes an error of.
        """
        calls = [self._rows[name] for name in names]
        for call in calls:
            principal = _admit(self._within(principal, call, principal.org), call)
        answer: T = await self._awaited(work(principal), principal, *calls)
        return answer

    def _within(self, principal: Principal, call: Call, org: str | None) -> Principal:
        if call.in_org or principal.kind != "local":
            return self._in_org(principal, org)
        return principal

    async def _perform(
        self, principal: Principal, call: Call, read: Callable[[], Awaitable[Any]]
    ) -> Any:
        """Make one call: under every face it is this that admits, and this that asks a handler."""
        admitted = _admit(principal, call)
        asked = await read()
        admitted = _admit(principal, call, admitted)  # a body may be long in coming
        answer = self._handlers[call.name](admitted, asked)
        if hasattr(answer, "__await__"):
            return await self._awaited(answer, admitted, call)
        return answer

    async def _awaited(self, answer: Awaitable[Any], principal: Principal, *calls: Call) -> Any:
        try:
            return await answer
        except Exception:
            if any(call.in_org for call in calls):
                self._in_org(principal, principal.org)  # if it is gone, that is the reason
            raise

    def _readmit(self, principal: Principal, call: Call) -> None:
        if self._stopping():
            raise ConnectionAbortedError
        _admit(principal, call)
        if call.in_org:
            self._in_org(principal, principal.org)  # it may be gone

    async def _body(self, request: web.BaseRequest) -> bytes:
        if request.body_exists and request.content_type != JSON:
            raise UnsupportedMedia
        return await request.read()


def _admit(principal: Principal, call: Call, admitted: Principal | None = None) -> Principal:
    """The principal as it stands now, if it may make the call.

    It is decided anew only where that is not who was `admitted` to the call before.

    Raises:
        Unauthenticated: its key was revoked or has expired.
        Denied: it may not.
    """
    present = principal.present()
    if present is None:
        raise Unauthenticated("the key was revoked or has expired")
    if present is not admitted:
        decision = decide_call(present, call)
        if not decision:
            raise denied_call(present, call, decision)
    return present


def _from_query(request: web.BaseRequest, call: Call, fields: dict[str, str]) -> Any:
    """The request in its wire type.

    Raises:
        BadRequest: a field is missing, unknown, repeated or of the wrong type.
    """
    try:
        return msgspec.convert({**_query(request, call.asks), **fields}, call.asks, strict=False)
    except msgspec.ValidationError as error:
        raise BadRequest(f"{call.name}: {error}") from None


def _from_body(call: Call, body: bytes, fields: dict[str, str]) -> Any:
    """The request in its wire type; what stands in the path counts, not what the body says.

    Raises:
        BadRequest: it is not JSON, or a field is missing, unknown or of the wrong type.
    """
    try:
        check_depth(body)
        body.decode()  # raw members are not checked by the decoder
        body = body or b"{}"
        known = call.asks.__struct_fields__
        given = check_members(body, known)
        if unknown := {name for name in given if name not in known}:
            raise BadRequest(f"{call.name} knows no field {_listed(unknown)}")
        if not fields:
            return msgspec.json.decode(body, type=call.asks)
        for name, value in fields.items():
            given[name] = msgspec.Raw(msgspec.json.encode(value))
        return msgspec.json.decode(msgspec.json.encode(given), type=call.asks)
    except msgspec.ValidationError as error:
        raise BadRequest(f"{call.name}: {error}") from None
    except BadMessage as error:
        raise BadRequest(f"the body is {error}") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise BadRequest("the body is not valid JSON") from None


def _query(request: web.BaseRequest, asks: type[Any]) -> dict[str, Any]:
    if len(request.rel_url.raw_query_string) > MAX_QUERY:
        raise BadRequest(f"the query is over {MAX_QUERY} characters")
    query = request.rel_url.query
    lists = {name for name, hint in get_type_hints(asks).items() if _is_list(hint)}
    if unknown := set(query) - set(asks.__struct_fields__):
        raise BadRequest(f"there is no field {_listed(unknown)}")
    if twice := {name for name in set(query) - lists if len(query.getall(name)) > 1}:
        raise BadRequest(f"{_listed(twice)} is given twice")
    return {name: query.getall(name) if name in lists else query[name] for name in query}


def _is_list(hint: Any) -> bool:
    return get_origin(hint) is list or any(get_origin(part) is list for part in get_args(hint))


def _listed(names: set[str]) -> str:
    return ", ".join(ascii(name[:40])[1:-1] for name in sorted(names)[:5])
