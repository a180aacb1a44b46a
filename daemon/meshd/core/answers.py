"""What both HTTP servers share: answers in JSON, errors included, and a limit on bodies."""

from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from meshd.wire.errors import MeshError
from meshd.wire.version import VERSION

JSON = "application/json"
_HEADERS = {"Content-Type": JSON, "Meshctl-Version": VERSION, "Cache-Control": "no-store"}


def json_answer(body: Any, status: int = 200) -> web.Response:
    """`body` as JSON; a wire type, or anything msgspec can write."""
    return web.Response(body=msgspec.json.encode(body), status=status, headers=_HEADERS)


def error_answer(error: MeshError) -> web.Response:
    """The error with its own HTTP status."""
    return json_answer(error.body(), error.status)


def requests_up_to(max_body: int) -> Callable[..., web.BaseRequest]:
    """A request factory for `web.Server`: reading a larger body raises 413."""

    def make(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
        loop = task.get_loop()
        return web.BaseRequest(
            message, payload, protocol, writer, task, loop, client_max_size=max_body
        )

    return make
