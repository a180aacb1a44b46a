"""An upstream MCP server over Streamable HTTP: one seam that sends bytes and gives a response.

Headers are built afresh for every request (nothing of the caller's travels on), redirects are not
followed, and what comes back is streamed, not parsed.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import urljoin, urlsplit

from meshd.core.secret import Secret
from meshd.protocol import jsonrpc
from meshd.protocol.envelope import enveloped, headers_for
from meshd.protocol.versions import LATEST_STATELESS
from meshd.proxy.circuit import Circuit
from meshd.proxy.http_head import SESSION, RequestHead
from meshd.proxy.http_pool import HttpPool
from meshd.proxy.http_response import Response
from meshd.wire.errors import UpstreamFailed, UpstreamTimeout
from meshd.wire.version import VERSION

__all__ = ["MAX_BODY", "SESSION", "HttpUpstream", "Response", "Target"]

MAX_BODY = 16 * 1024 * 1024
"""Bytes of the longest answer that is read whole."""


PROBE = 5.0
"""Seconds for the answer to a probe."""
ABSENT = frozenset({502, 503, 504})
"""What is answered in the place of a server that is not there."""

_DISCOVER = "server/discover"
_HARMLESS = jsonrpc.request(0, _DISCOVER, enveloped({}, {"name": "meshctl", "version": VERSION}))


@dataclass(frozen=True, slots=True)
class Target:
    """Where an upstream is and what it is told.

    `shown` names it in errors, which reach clients that need not know the URL: paths of URLs hold
    secrets, too.
    """

    url: Secret
    shown: str
    headers: Mapping[str, Secret]


class HttpUpstream:
    """One connection's HTTP side. Sockets are pooled, and shared with others at the same place."""

    def __init__(self, pool: HttpPool, target: Target, circuit: Circuit) -> None:
        """Prepare what it is always told.

        Raises:
            UpstreamFailed: the URL or a header cannot be sent.
        """
        own = {name: value.reveal() for name, value in target.headers.items()}
        self._pool, self._target = pool, target
        self.circuit = circuit
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
        return HttpUpstream(self._pool, found, self.circuit)

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
        return await self._ask(self._head.post(body, session, version, more))

    async def get(
        self, *, session: str | None, version: str | None, last_event: str | None
    ) -> Response:
        """Open the stream of server messages. Raises as `post` does."""
        return await self._ask(self._head.get(session, version, last_event))

    async def delete(self, *, session: str, version: str | None) -> int:
        """End the upstream's session; its HTTP status. Raises as `post` does."""
        response = await self._ask(self._head.delete(session, version))
        response.release()
        return response.status

    async def returned(self, lost: UpstreamFailed) -> None:
        """Wait for it to be there again, after a request was `lost`. Raises as the circuit does."""
        if not self.circuit.failing:
            self.circuit.failed(lost, self.probe)
        await self.circuit.returned()

    async def probe(self) -> None:
        """Reach for it, with a request that any server answers, and none acts upon.

        Raises:
            UpstreamFailed, UpstreamTimeout: it is not there.
        """
        ask = self._head.post(_HARMLESS, None, LATEST_STATELESS, headers_for(_DISCOVER, {}))
        try:
            async with asyncio.timeout(PROBE):
                response = await self._origin.ask(ask, self._shown)
        except TimeoutError:
            raise UpstreamTimeout(f"{self._shown} did not answer within {PROBE:g} s") from None
        response.release()
        if response.status in ABSENT:
            raise self._absent(response.status)

    async def _ask(self, request: bytes) -> Response:
        circuit = self.circuit
        if circuit.failing:
            await circuit.admit()
        try:
            response = await self._origin.ask(request, self._shown)
        except (UpstreamFailed, UpstreamTimeout) as error:
            circuit.failed(error, self.probe)
            raise
        if response.status in ABSENT:
            circuit.failed(self._absent(response.status), self.probe)
        else:
            circuit.reached()
        return response

    def _absent(self, status: int) -> UpstreamFailed:
        return UpstreamFailed(f"{self._shown} answered HTTP {status}")
