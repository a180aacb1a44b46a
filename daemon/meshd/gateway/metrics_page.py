"""`GET /metrics` on TCP: who may scrape, and the page.

While the vault is locked no key lets anybody in; who needs none is served all the same.
"""

import asyncio
from collections.abc import Callable

from aiohttp import web

from meshd.core.config_values import Access
from meshd.core.exposition import CONTENT_TYPE, exposition
from meshd.core.http_peers import Peers
from meshd.gateway.bearer import authorize
from meshd.gateway.inside import Trust
from meshd.services.keys import Keys
from meshd.services.metrics import Metrics
from meshd.wire.calls.metrics import READ
from meshd.wire.errors import Locked, MethodNotAllowed

PATH = "/metrics"
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
_FORWARDED = frozenset({"forwarded", "via", "x-real-ip"})


class MetricsPage:
    """Answers scrapers. `access` may change while the daemon runs."""

    def __init__(
        self,
        metrics: Metrics,
        keys: Keys,
        peers: Peers,
        locked: Callable[[], bool],
        access: Access,
    ) -> None:
        self.access = access
        self._locked = locked
        self._metrics = metrics
        self._keys = keys
        self._peers = peers

    def serves(self, path: str) -> bool:
        """Whether a request is answered here."""
        return path == PATH and self.access != "off"

    async def answer(self, request: web.BaseRequest, trust: Trust) -> web.StreamResponse:
        """The page.

        Raises:
            Unauthenticated, Denied: a key is needed, or another one.
            Locked: the vault is, so that no key is known.
            MethodNotAllowed: it can only be read.
        """
        if not self._is_open_to(request):
            if self._locked():
                raise Locked("the vault is locked", next="meshctl vault unlock")
            authorize(self._keys, request.headers, READ)
            trust(request)
        if request.method not in {"GET", "HEAD"}:
            raise MethodNotAllowed
        page = await asyncio.to_thread(exposition, await self._metrics.read())
        headers = {"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"}
        return web.Response(body=page, headers=headers)

    def _is_open_to(self, request: web.BaseRequest) -> bool:
        """Whether whoever asks needs no key."""
        if self.access == "loopback":
            return self._is_of_this_machine(request)
        return self.access == "open"

    def _is_of_this_machine(self, request: web.BaseRequest) -> bool:
        """Whether it came from here straight, as far as can be seen.

        A proxy on this machine is seen by what it adds, by the name that it was asked under, or by
        standing in TRUSTED_PROXIES.
        """
        peer = request.transport.get_extra_info("peername") if request.transport else None
        address = peer[0] if isinstance(peer, tuple) else ""
        host = request.headers.get("Host", "").lower()
        asked = host if host in _LOOPBACK else host.rpartition(":")[0]
        names = (name.lower() for name in request.headers)
        return (
            self._peers.is_straight(address)
            and asked in _LOOPBACK
            and not any(name in _FORWARDED or name.startswith("x-forwarded-") for name in names)
        )
