"""An upstream MCP server over Streamable HTTP: one seam that sends bytes and gives a response.

Headers are built afresh for every request (nothing of the caller's travels on), redirects are not
followed, and what comes back is streamed, not parsed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urljoin, urlsplit

from meshd.core.secret import Secret
from meshd.proxy.http_head import SESSION, RequestHead
from meshd.proxy.http_pool import HttpPool
from meshd.proxy.http_response import Response
from meshd.wire.errors import UpstreamFailed

__all__ = ["MAX_BODY", "SESSION", "HttpUpstream", "Response", "Target"]

MAX_BODY = 16 * 1024 * 1024
"""Bytes of the longest answer that is read whole."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where an upstream is and what it is told. `shown` is the URL as it may be printed."""

    url: Secret
    shown: str
    headers: Mapping[str, Secret]


class HttpUpstream:
    """One connection's HTTP side. Sockets are pooled, and shared with others at the same place."""

    def __init__(self, pool: HttpPool, target: Target) -> None:
        """Prepare what it is always told.

        Raises:
            UpstreamFailed: the URL or a header cannot be sent.
        """
        own = {name: value.reveal() for name, value in target.headers.items()}
        self._pool, self._target = pool, target
        try:
            self._head = RequestHead(target.url.reveal(), own)
        except ValueError as error:
            raise UpstreamFailed(f"{target.shown} cannot be asked: {error}") from None
        self._origin = pool.origin(self._head.place)
        self._shown = target.shown

    def __repr__(self) -> str:
        return f"HttpUpstream({self._shown})"

    @property
    def path(self) -> str:
        """The path of its URL."""
        return urlsplit(self._target.url.reveal()).path

    def beside(self, reference: str) -> "HttpUpstream":
        """The same server at another path, which it named itself, with the same headers.

        Raises:
            UpstreamFailed: `reference` leads to another origin, or nowhere.
        """
        base = urlsplit(self._target.url.reveal())
        try:
            there = urlsplit(urljoin(base.geturl(), reference))
            url = base._replace(path=there.path, query=there.query)
            there = there._replace(netloc=there.netloc.rpartition("@")[2])
            same = RequestHead(there.geturl(), {}).place == self._head.place
        except ValueError:
            same = False
        if not same:
            raise UpstreamFailed(f"{self._shown} sends its messages to another place")
        found = replace(self._target, url=Secret(url.geturl()))
        return HttpUpstream(self._pool, found)

    async def post(
        self,
        body: bytes,
        *,
        session: str | None,
        version: str | None,
        more: Mapping[str, str] | None = None,
    ) -> Response:
        """Send one message, once, with `more` headers of its own. The caller releases the response.

        Raises:
            UpstreamFailed: it cannot be reached, or the connection broke before an answer.
            UpstreamTimeout: no answer began in time.
            Unavailable: too many requests to it are under way.
        """
        return await self._origin.ask(self._head.post(body, session, version, more), self._shown)

    async def get(
        self, *, session: str | None, version: str | None, last_event: str | None
    ) -> Response:
        """Open the stream of server messages. Raises as `post` does."""
        return await self._origin.ask(self._head.get(session, version, last_event), self._shown)

    async def delete(self, *, session: str, version: str | None) -> int:
        """End the upstream's session; its HTTP status. Raises as `post` does."""
        response = await self._origin.ask(self._head.delete(session, version), self._shown)
        response.release()
        return response.status
