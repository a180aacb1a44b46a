"""Control calls: who asks, may they, read the request, ask the service, write the answer."""

import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
from aiohttp import web

from meshd.api.routes import Routes
from meshd.api.stream import ndjson
from meshd.core.answers import JSON, error_answer, json_answer
from meshd.services.access import decide_call
from meshd.services.principal import Principal
from meshd.services.refusals import denied_call
from meshd.wire.calls.row import Call
from meshd.wire.errors import (
    BadRequest,
    Internal,
    MeshError,
    NotFound,
    TooLarge,
    UnsupportedMedia,
)

log = logging.getLogger(__name__)

Handler = Callable[[Principal, Any], Any]
"""Takes the principal and the request; gives the answer, an awaitable, or an async iterator."""

MAX_QUERY = 4096


class Dispatcher:
    """Serves every row of the call table that has a handler; a row without one is a mistake."""

    def __init__(
        self,
        calls: Iterable[Call],
        handlers: Mapping[str, Handler],
        org_of: Callable[[Principal, str], bool],
    ) -> None:
        """`org_of(principal, name)` says whether a `Meshctl-Org` header names the principal's org.

        Raises:
            ValueError: handlers and rows do not match one to one.
        """
        rows = {call.name: call for call in calls}
        if rows.keys() != handlers.keys():
            raise ValueError(f"calls without a partner: {sorted(rows.keys() ^ handlers.keys())}")
        self._handlers = handlers
        self._org_of = org_of
        self._routes = Routes(rows.values())

    async def handle(
        self, request: web.BaseRequest, principal: Principal, *, on_socket: bool
    ) -> web.StreamResponse:
        """Answer one control call. Never raises but for a connection that broke."""
        try:
            return await self._answer(request, principal, on_socket=on_socket)
        except MeshError as error:
            return error_answer(error)
        except web.HTTPRequestEntityTooLarge:
            return error_answer(TooLarge())
        except (ConnectionError, TimeoutError):
            raise
        except Exception:
            log.exception("%s %s failed", request.method, request.path)
            return error_answer(Internal(next="meshctl daemon logs"))

    async def _answer(
        self, request: web.BaseRequest, principal: Principal, *, on_socket: bool
    ) -> web.StreamResponse:
        call, fields = self._routes.find(request.method, request.rel_url.raw_path)
        if call.socket_only and not on_socket:
            raise NotFound("there is no such call")
        org = request.headers.get("Meshctl-Org")
        if org is not None and not self._org_of(principal, org):
            raise NotFound(f'there is no org "{ascii(org[:60])[1:-1]}"')
        decision = decide_call(principal, call)
        if not decision:
            raise denied_call(principal, call, decision)
        asked = await _read(request, call, fields)
        answer = self._handlers[call.name](principal, asked)
        if isinstance(answer, AsyncIterator):
            return await ndjson(request, answer)
        if hasattr(answer, "__await__"):
            answer = await answer
        return json_answer(answer)


async def _read(request: web.BaseRequest, call: Call, fields: dict[str, str]) -> Any:
    """The request in its wire type.

    Raises:
        BadRequest: a field is missing, unknown or of the wrong type.
        UnsupportedMedia: a body that is not JSON by its type.
    """
    try:
        if call.method in {"GET", "DELETE"}:
            given = {**_query(request, call.asks), **fields}
            return msgspec.convert(given, call.asks, strict=False)
        body = await request.read()
        if body and request.content_type != JSON:
            raise UnsupportedMedia
        given = msgspec.json.decode(body or b"{}", type=dict[str, msgspec.Raw])
        known = set(call.asks.__struct_fields__)
        if unknown := given.keys() - known:
            raise BadRequest(f"{call.name} knows no field {_listed(unknown)}")
        for name, value in fields.items():
            given[name] = msgspec.Raw(msgspec.json.encode(value))
        return msgspec.json.decode(msgspec.json.encode(given), type=call.asks)
    except msgspec.ValidationError as error:
        raise BadRequest(f"{call.name}: {error}") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise BadRequest("the body is not valid JSON") from None


def _query(request: web.BaseRequest, asks: type[Any]) -> dict[str, Any]:
    if len(request.rel_url.raw_query_string) > MAX_QUERY:
        raise BadRequest(f"the query is over {MAX_QUERY} characters")
    query = request.rel_url.query
    lists = {name for name, hint in get_type_hints(asks).items() if _is_list(hint)}
    if unknown := set(query) - set(asks.__struct_fields__):
        raise BadRequest(f"there is no field {_listed(unknown)}")
    return {name: query.getall(name) if name in lists else query[name] for name in query}


def _is_list(hint: Any) -> bool:
    return get_origin(hint) is list or any(get_origin(part) is list for part in get_args(hint))


def _listed(names: set[str]) -> str:
    return ", ".join(ascii(name[:40])[1:-1] for name in sorted(names)[:5])
