"""`POST /hooks/{id}`: what other services send without a key, because their signature is one.

Whoever cannot sign learns nothing: a webhook that is paused answers as one that is not there.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web
from msgspec import Raw

from meshd.bus.hook_signatures import identify
from meshd.core.answers import JSON, error_answer, json_answer
from meshd.gateway.events_in import is_json, json_data, read_body
from meshd.gateway.inside import Trust
from meshd.services.failures import failure
from meshd.services.forgeries import Forgeries
from meshd.services.webhooks import PATH, Webhooks
from meshd.wire.errors import BadRequest, NotFound, Unauthenticated

FORM = "application/x-www-form-urlencoded"
MAX_FIELDS = 200


class HooksIn:
    """Publishes what arrives, once its signature is found right."""

    def __init__(
        self, webhooks: Webhooks, forgeries: Forgeries, is_single: Callable[[str], bool]
    ) -> None:
        """`is_single` tells an address that one client has."""
        self._webhooks = webhooks
        self._forgeries = forgeries
        self._is_single = is_single

    async def handle(self, request: web.BaseRequest, trust: Trust) -> web.StreamResponse:
        """Answer one request. Never raises but for a connection that broke."""
        try:
            return await self._take(request, trust)
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it has an answer
            return error_answer(failure(error, f"{request.method} {PATH}"))

    async def _take(self, request: web.BaseRequest, trust: Trust) -> web.StreamResponse:
        if request.method != "POST":
            raise NotFound("nothing is here")
        name = request.rel_url.raw_path.removeprefix(PATH)
        self._webhooks.active(name)
        address = request.remote or ""
        counted = self._is_single(address)
        if counted:
            self._forgeries.check(address)
        body = await read_body(request)
        row = self._webhooks.active(name)  # a body may be long in coming
        try:
            self._webhooks.verify(row, request.headers, body)
        except Unauthenticated:
            if counted:
                self._forgeries.count(address)
            raise
        trust(request)
        data = _data(request, body)
        payload = msgspec.json.decode(bytes(data))
        if row.signature == "slack" and (challenge := _challenge(payload)) is not None:
            return json_answer({"challenge": challenge})
        sent = identify(row.signature, request.headers, body, payload)
        published = await self._webhooks.take(row, sent, JSON, data)
        answer = {"id": published.id, "duplicate": published.duplicate}
        return json_answer(answer, 202)


def _data(request: web.BaseRequest, body: bytes) -> Raw:
    """The body as JSON; a form becomes an object of its fields. Raises BadRequest."""
    if request.content_type != FORM:
        if body and not is_json(request.content_type):
            raise BadRequest("the body is neither JSON nor a form")
        return json_data(body)
    try:
        fields = parse_qsl(
            body.decode(), keep_blank_values=True, strict_parsing=bool(body),
            max_num_fields=MAX_FIELDS,
        )  # fmt: skip
    except ValueError:
        raise BadRequest("the body is no form") from None
    return Raw(msgspec.json.encode(dict(fields)))


def _challenge(payload: Any) -> str | None:
    """What Slack wants to hear back when it is told of the URL."""
    if isinstance(payload, dict) and payload.get("type") == "url_verification":
        challenge = payload.get("challenge")
        return challenge if isinstance(challenge, str) else ""
    return None
