"""What stands behind the gate: the open house, or, while the vault is locked, what says so."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from aiohttp import web

from meshd.gateway.answers import rpc_error
from meshd.gateway.bearer import authenticate
from meshd.gateway.endpoint import Endpoint
from meshd.gateway.streams import OpenStreams
from meshd.services.keys import Keys
from meshd.services.principal import Principal
from meshd.services.rate_limit import RateLimit
from meshd.wire.errors import Locked, MeshError, NotFound, Unavailable

DOCUMENT = "/openapi.json"
"""What the control calls are, for who does not know them; served like one of them."""

Control = Callable[[web.BaseRequest, Principal], Awaitable[web.StreamResponse]]
Ready = Callable[[], Awaitable[bool]]
Trust = Callable[[web.BaseRequest], None]
Hooks = Callable[[web.BaseRequest, Trust], Awaitable[web.StreamResponse]]


class Inside(Protocol):
    """Answers what passed the gate, but for `/health`."""

    async def check_ready(self) -> None:
        """Whether calls can be served, not only answered. Raises MeshError."""
        ...

    async def answer(
        self, request: web.BaseRequest, started: float, trust: Trust
    ) -> web.StreamResponse:
        """Answer one request; `trust` is told of each that showed a key.

        Raises:
            MeshError: what to answer instead.
        """
        ...

    async def answer_mcp(
        self, request: web.BaseRequest, principal: Principal
    ) -> web.StreamResponse:
        """MCP on the Unix socket."""
        ...

    def end_streams(self) -> None:
        """End what is followed: the site closes."""
        ...


def _locked() -> Locked:
    return Locked("the vault is locked", next="meshctl vault unlock")


class LockedHouse:
    """Says why, to everybody: without the vault's key nothing upstream can be reached."""

    def __init__(self, why: Callable[[], MeshError]) -> None:
        self._why = why

    async def check_ready(self) -> None:
        """Never."""
        raise _locked()

    async def answer(
        self, request: web.BaseRequest, started: float, trust: Trust
    ) -> web.StreamResponse:
        """That it is so, without where the key is looked for: nobody has shown who asks."""
        del request, started, trust
        raise _locked()

    async def answer_mcp(
        self, request: web.BaseRequest, principal: Principal
    ) -> web.StreamResponse:
        """The reason, as a JSON-RPC error."""
        del request, principal
        return rpc_error(self._why())

    def end_streams(self) -> None:
        """There are none."""


class OpenHouse:
    """MCP and control calls, for who shows a key; what services send, for who signs it."""

    def __init__(
        self,
        keys: Keys,
        endpoint: Endpoint,
        control: Control,
        events: Control,
        hooks: Hooks,
        ready: Ready,
        limit: RateLimit,
    ) -> None:
        self._limit = limit
        self._keys = keys
        self._endpoint = endpoint
        self._control = control
        self._events = events
        self._hooks = hooks
        self._ready = ready
        self._streams = OpenStreams()

    async def check_ready(self) -> None:
        """Whether the databases answer."""
        if not await self._ready():
            raise Unavailable("the daemon is not ready")

    async def answer(
        self, request: web.BaseRequest, started: float, trust: Trust
    ) -> web.StreamResponse:
        """Authenticate, and lead to MCP or to the control calls; webhooks verify for themselves."""
        path = request.rel_url.raw_path
        if path.startswith("/hooks/"):
            return await self._hooks(request, trust)
        is_mcp = path == "/mcp" or path.startswith("/mcp/")
        served = is_mcp or path == DOCUMENT or path.startswith(("/v1/", "/events/"))
        if not served or "/.well-known" in path:
            raise NotFound("nothing is here")
        principal = authenticate(self._keys, request.headers)
        trust(request)
        if path.startswith("/events/"):
            return await self._events(request, principal)
        if not is_mcp:
            self._limit.check(principal)  # a tool is called there as well
            return await self._control(request, principal)
        if request.method != "GET":
            return await self._endpoint.handle(request, principal, path[5:], started)
        with self._streams.one(principal.id):
            return await self._endpoint.handle(request, principal, path[5:], started)

    async def answer_mcp(
        self, request: web.BaseRequest, principal: Principal
    ) -> web.StreamResponse:
        """MCP on the Unix socket, whose caller is known."""
        return await self._endpoint.handle_local(request, principal)

    @property
    def open_streams(self) -> int:
        """Event streams that clients hold open."""
        return len(self._streams) + self._endpoint.open_streams

    def end_streams(self) -> None:
        """End them at once."""
        self._streams.end()
        self._endpoint.end_streams()
