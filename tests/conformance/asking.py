"""How the fixture asks its client, in either era: as requests, or as a result that wants input."""

import base64
import hmac
import json
import os
from typing import Any

import mcp_types as t
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata

KEY = os.urandom(32)
MODERN = "2026-07-28"

Answers = dict[str, dict[str, Any]]


def form(message: str, **props: str) -> t.ElicitRequest:
    """A form with fields of these types."""
    properties = {name: {"type": kind} for name, kind in props.items()}
    return form_of(message, {"type": "object", "properties": properties, "required": list(props)})


def form_of(message: str, schema: dict[str, Any]) -> t.ElicitRequest:
    """A form of this schema."""
    return t.ElicitRequest(
        params=t.ElicitRequestFormParams(message=message, requested_schema=schema)
    )


def sample(prompt: str, limit: int = 100) -> t.CreateMessageRequest:
    """A question to the client's model."""
    message = t.SamplingMessage(role="user", content=t.TextContent(type="text", text=prompt))
    return t.CreateMessageRequest(
        params=t.CreateMessageRequestParams(messages=[message], max_tokens=limit)
    )


def wanting(state: str | None = None, **requests: Any) -> t.InputRequiredResult:
    """The result that wants these answered."""
    return t.InputRequiredResult(input_requests=requests or None, request_state=state)


def given(params: Any) -> Answers:
    """What the client answered with this request."""
    return {
        name: value.model_dump(by_alias=True, exclude_none=True)
        if hasattr(value, "model_dump")
        else dict(value)
        for name, value in (params.input_responses or {}).items()
    }


def is_modern(ctx: Any) -> bool:
    """Whether this request is of the stateless era."""
    return bool(ctx.protocol_version == MODERN)


async def asked(ctx: Any, params: Any, **requests: Any) -> Answers | t.InputRequiredResult:
    """The client's answers; in the stateless era first the result that wants them."""
    if is_modern(ctx):
        got = given(params)
        return got if requests.keys() <= got.keys() else wanting(**requests)
    answers: Answers = {}
    for name, request in requests.items():
        kind: Any = {
            "elicitation/create": t.ElicitResult,
            "sampling/createMessage": t.CreateMessageResult,
            "roots/list": t.ListRootsResult,
        }[request.method]
        about = ServerMessageMetadata(related_request_id=ctx.request_id)
        result: Any = await ctx.session.send_request(request, kind, metadata=about)
        answers[name] = result.model_dump(by_alias=True, exclude_none=True)
    return answers


def _seal_of(body: bytes) -> bytes:
    return hmac.digest(KEY, body, "sha256").hex().encode()


def seal(payload: dict[str, Any]) -> str:
    """A state that nobody else can make."""
    body = base64.urlsafe_b64encode(json.dumps(payload).encode())
    return b".".join((_seal_of(body), body)).decode()


def unseal(token: str) -> dict[str, Any]:
    """What such a state holds; an error for any other."""
    mark, _, body = token.encode().partition(b".")
    if hmac.compare_digest(mark, _seal_of(body)):
        payload: dict[str, Any] = json.loads(base64.urlsafe_b64decode(body))
        return payload
    raise MCPError(t.INVALID_PARAMS, "requestState failed its integrity check")
