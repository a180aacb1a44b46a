"""What both HTTP servers share: answers in JSON, errors included, and a limit on bodies."""

from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from meshd.wire.errors import MeshError, TooLarge, UnsupportedMedia
from meshd.wire.version import VERSION

JSON = "application/json"
_HEADERS = {"Content-Type": JSON, "Meshctl-Version": VERSION, "Cache-Control": "no-store"}


def json_answer(body: Any, status: int = 200) -> web.Response:
    """`body` as JSON; a wire type, or anything msgspec can write."""
    return web.Response(body=msgspec.json.encode(body), status=status, headers=_HEADERS)


def error_answer(error: MeshError) -> web.Response:
    """The error with its own HTTP status, and when to come again where it says so."""
    answer = json_answer(error.body(), error.status)
    if "retry_after_s" in error.facts:
        answer.headers["Retry-After"] = error.facts["retry_after_s"]
    return answer


class Request(web.BaseRequest):
    """Reads bodies up to a size. `parting` asks its answer to end the connection."""

    parting = False

    @property
    def keep_alive(self) -> bool:
        """Whether the connection outlives the answer."""
        return super().keep_alive and not self.parting

    async def read(self) -> bytes:
        """The body.

        Raises:
            TooLarge: it is larger than allowed, or says that it will be.
            UnsupportedMedia: it is compressed; a small one could grow to any size.
        """
        if self.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise UnsupportedMedia("compressed bodies are not taken")
        if (self.content_length or 0) > self._client_max_size:
            raise TooLarge
        try:
            return await super().read()
        except web.HTTPRequestEntityTooLarge:
            raise TooLarge from None


def requests_up_to(max_body: int) -> Callable[..., web.BaseRequest]:
    """A request factory for `web.Server`: reading a larger or a compressed body fails."""

    def make(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
        loop = task.get_loop()
        return Request(message, payload, protocol, writer, task, loop, client_max_size=max_body)

    return make
