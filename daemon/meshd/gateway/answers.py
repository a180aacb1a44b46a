"""Answers of the MCP endpoint: JSON-RPC messages and errors over HTTP."""

import msgspec
from aiohttp import web

from meshd.core.answers import JSON, hinted
from meshd.protocol import jsonrpc
from meshd.protocol.envelope import STATUS, Refused
from meshd.protocol.members import members
from meshd.protocol.translation import code_of
from meshd.services.access import Decision
from meshd.services.directory import ConnectionRow
from meshd.services.principal import Principal
from meshd.services.refusals import fix_for
from meshd.wire.errors import MeshError

_JSON_HEADERS = {"Content-Type": JSON}
EVENT_STREAM = "text/event-stream"
SSE_HEADERS = {
    "Content-Type": EVENT_STREAM,
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",
}


def message(body: bytes, headers: dict[str, str] | None = None, status: int = 200) -> web.Response:
    """One JSON-RPC message."""
    return web.Response(
        body=body, status=status, headers=_JSON_HEADERS if headers is None else headers
    )


def accepted() -> web.Response:
    """The answer to notifications and responses."""
    return web.Response(status=202)


def gone(request: web.BaseRequest) -> web.Response:
    """What the server wants to hear about a client that hung up; nobody reads it."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=400)


def rpc_error(
    error: MeshError, ident: bytes = b"", code: int = jsonrpc.INVALID_REQUEST
) -> web.Response:
    """A refusal with its HTTP status, its body a JSON-RPC error with code and next step."""
    return hinted(message(_failure(error, ident, code), status=error.status), error)


def rpc_failure(error: MeshError, ident: bytes) -> web.Response:
    """A request that was taken but failed: HTTP 200 and a typed JSON-RPC error."""
    return message(failed(error, ident))


def failed(error: MeshError, ident: bytes) -> bytes:
    """The JSON-RPC message of a request that was taken but failed."""
    return _failure(error, ident, jsonrpc.INTERNAL_ERROR)


def bad_message(error: jsonrpc.BadMessage, ident: bytes = b"") -> web.Response:
    """A 4xx for what is not a JSON-RPC message, or breaks the rules of its era."""
    stateless = isinstance(error, Refused)
    data = error.data if isinstance(error, Refused) else None
    body = jsonrpc.failure(ident, jsonrpc.error_object(error.code, str(error), data))
    return message(body, status=STATUS.get(error.code, 400) if stateless else 400)


def stateless(body: bytes) -> web.Response:
    """A JSON-RPC answer of the stateless era, where refusals have a status of their own."""
    error = bytes(members(body).get("error", b""))
    return message(body, status=STATUS.get(code_of(error) or 0, 200) if error else 200)


def _failure(error: MeshError, ident: bytes, code: int) -> bytes:
    data = {"code": error.code, **({"next": error.next} if error.next else {}), **error.facts}
    return jsonrpc.failure(ident, jsonrpc.error_object(code, error.message, data))


def denied_result(
    who: Principal, row: ConnectionRow, decision: Decision, ident: bytes, *, stateless: bool = False
) -> bytes:
    """A refused tool call: a result with `isError`, the rule, and the command that allows it."""
    fix = fix_for(who, row, decision)
    result = {
        **({"resultType": "complete"} if stateless else {}),
        "content": [{"type": "text", "text": f"denied: {decision.rule}\nnext: {fix}"}],
        "isError": True,
        "_meta": {"meshctl/denied": {"rule": decision.rule, "next": fix}},
    }
    return jsonrpc.success(ident, msgspec.json.encode(result))


def denied_error(who: Principal, row: ConnectionRow, decision: Decision, ident: bytes) -> bytes:
    """A refused resource, prompt or other method: a JSON-RPC error with the same facts."""
    fix = fix_for(who, row, decision)
    data = {"meshctl/denied": {"rule": decision.rule, "next": fix}}
    error = jsonrpc.error_object(jsonrpc.INVALID_PARAMS, f"denied: {decision.rule}", data)
    return jsonrpc.failure(ident, error)
