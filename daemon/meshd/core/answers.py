"""What both HTTP servers share: answers in JSON, errors included, and limits on bodies."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from meshd.wire.errors import MeshError, TooLarge, TooSlow, UnsupportedMedia
from meshd.wire.version import VERSION

JSON = "application/json"
BODY_DEADLINE = 30.0
"""Seconds in which a body has to arrive."""
_HEADERS = {"Content-Type": JSON, "Meshctl-Version": VERSION, "Cache-Control": "no-store"}


def json_answer(body: Any, status: int = 200) -> web.Response:
    """`body` as JSON; a wire type, or anything msgspec can write."""
    return web.Response(body=msgspec.json.encode(body), status=status, headers=_HEADERS)


def error_answer(error: MeshError) -> web.Response:
    """The error with its own HTTP status."""
    return hinted(json_answer(error.body(), error.status), error)


def hinted(answer: web.Response, error: MeshError) -> web.Response:
    """The answer to an error, with when to try again where that helps (RFC 9110, 10.2.3)."""
    if wait := error.facts.get("retry_after_s", "1" if error.status == 503 else ""):
        answer.headers["Retry-After"] = wait
    return answer


class Request(web.BaseRequest):
    """Reads bodies up to a size and a time. `parting` asks its answer to end the connection."""

    parting = False
    body_deadline = BODY_DEADLINE

    @property
    def keep_alive(self) -> bool:
        """Whether the connection outlives the answer."""
        return super().keep_alive and not self.parting

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        """What aiohttp asks before it writes a head: nobody is told its version and Python's."""
        response.headers.popall("Server", None)

    async def read(self) -> bytes:
        """The body; to be read once.

        Raises:
            TooLarge: it is larger than allowed, or says that it will be.
            TooSlow: it did not arrive in time.
            UnsupportedMedia: it is compressed; a small one could grow to any size.
        """
        if self.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise UnsupportedMedia("compressed bodies are not taken")
        if (self.content_length or 0) > self._client_max_size:
            raise TooLarge
        if self.content.is_eof():
            body = self.content.read_nowait()  # all of it is there
            if len(body) > self._client_max_size:
                raise TooLarge
            return body
        try:
            async with asyncio.timeout(self.body_deadline):
                return await super().read()
        except TimeoutError:
            raise TooSlow from None
        except web.HTTPRequestEntityTooLarge:
            raise TooLarge from None


def requests_up_to(
    max_body: int, *, body_deadline: float = BODY_DEADLINE
) -> Callable[..., web.BaseRequest]:
    """A request factory for `web.Server`: reading a larger, slower or compressed body fails."""

    def make(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
        loop = task.get_loop()
        made = Request(message, payload, protocol, writer, task, loop, client_max_size=max_body)
        made.body_deadline = body_deadline
        return made

    return make
