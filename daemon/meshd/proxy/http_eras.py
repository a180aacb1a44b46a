"""Which era an HTTP upstream speaks, found out once and again when it says otherwise.

The stateless era is tried first: its servers say so, and those of the other era refuse. Source: MCP
2026-07-28, basic/versioning, backward compatibility.
"""

import asyncio
import itertools
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing, contextmanager, suppress
from functools import partial

from msgspec import Raw

from meshd.core.tasks import TaskGroup
from meshd.protocol import translation
from meshd.protocol.envelope import bare
from meshd.protocol.jsonrpc import Message, Reply
from meshd.protocol.progress import swap_token
from meshd.protocol.versions import LATEST_STATELESS
from meshd.proxy.adapter import Answer, Asker, Hear, unheard
from meshd.proxy.http import HttpUpstream
from meshd.proxy.http_aside import Habit
from meshd.proxy.http_handshake import HandshakeHttp
from meshd.proxy.http_session import CALL_DEADLINE, HttpSession
from meshd.proxy.http_stateless import NotStateless, ParamHeaders, StatelessHttp, discovered
from meshd.proxy.sse_session import SseSession
from meshd.proxy.tries import beforehand
from meshd.wire.errors import NeedsLogin, UpstreamFailed, UpstreamTimeout

PROBE = 5.0
"""Seconds for the answer to `server/discover`."""
OURS = Asker("")
"""The daemon itself, which cannot be asked for anything."""


class HttpEras:
    """The daemon's way to one HTTP upstream, in the era that it speaks."""

    def __init__(self, upstream: HttpUpstream, shown: str, param_headers: ParamHeaders) -> None:
        self._upstream = upstream
        self._shown = shown
        self._param_headers = param_headers
        self._tasks = TaskGroup(f"upstream {shown}")
        begin = partial(HttpSession, upstream, shown, tasks=self._tasks, habit=Habit())
        self._handshake = HandshakeHttp(begin, self._tasks)
        self._before = HandshakeHttp(partial(SseSession, upstream, shown, self._tasks), self._tasks)
        """Over the transport of the first revision."""
        self._tokens = itertools.count(1)
        self._finding = asyncio.Lock()
        self._found: StatelessHttp | HandshakeHttp | None = None
        self._welcome = b""
        self.refuses_handshake = False
        """Whether clients of the handshake era cannot be passed on: it speaks only otherwise."""

    @property
    def welcome(self) -> bytes:
        """What it said of itself, as an `initialize` result; empty until it was asked."""
        return self._welcome

    @property
    def takes_handshake(self) -> bool:
        """Whether it was found to speak the handshake era over Streamable HTTP."""
        return self._found is self._handshake

    async def adapter(self) -> StatelessHttp | HandshakeHttp:
        """The way to ask it.

        Raises:
            UpstreamFailed, NeedsLogin, UpstreamTimeout: it speaks neither era.
        """
        async with self._finding:
            if self._found is None:
                with beforehand():
                    self._found = await self._find()
            return self._found

    def doubt(self, found: object) -> None:
        """Find it out anew: what was found answered as no server of its era does."""
        if self._found is found:
            self._found = None
            self.refuses_handshake = False

    async def open(self) -> bytes:
        """What it says of itself, as an `initialize` result. Raises as `adapter`."""
        await self.adapter()
        return self._welcome

    async def request(
        self,
        method: str,
        params: bytes = b"",
        *,
        deadline: float = CALL_DEADLINE,
        hear: Hear | None = None,
    ) -> Reply:
        """Ask on the daemon's own behalf; `hear` gets what is told before the answer.

        A progress token in `params` is replaced: those that ask at once may choose equal ones.
        Cancelling it cancels the request upstream. Raises as `ask`.
        """
        params, _ = swap_token(params, b"%d" % next(self._tokens))
        told = hear or unheard
        try:
            async with asyncio.timeout(deadline):
                found = await self.adapter()
                if isinstance(found, HandshakeHttp):
                    with self._doubting(found):
                        return await found.own.request(
                            method, params, deadline=deadline, attend=partial(_attend, told)
                        )
                return (await self.ask(method, bare(params), OURS, told)).reply
        except TimeoutError:
            raise UpstreamTimeout(f"{self._shown} did not answer within {deadline:g} s") from None

    async def discover(self) -> bytes:
        """What it says of itself, as a `server/discover` result. Raises as `adapter`."""
        return await (await self.adapter()).discover()

    async def ask(self, method: str, params: Mapping[str, Raw], asker: Asker, hear: Hear) -> Answer:
        """Ask on a client's behalf; see `Adapter`."""
        found = await self.adapter()
        try:
            return await self._ask(found, method, params, asker, hear)
        except NotStateless as error:
            self.doubt(found)
            again = await self.adapter()
            if isinstance(again, HandshakeHttp):
                return await self._ask(again, method, params, asker, hear)
            raise UpstreamFailed(f"{self._shown} answered HTTP {error.status}") from None
        except UpstreamFailed as error:
            if error.sent or error.lost or isinstance(error, NeedsLogin):
                raise
            # It begins no session any more: nothing was sent of this, and it may be another server.
            return await self._ask(await self.adapter(), method, params, asker, hear)

    async def listen(self, wanted: Mapping[str, Raw]) -> AsyncGenerator[bytes, None]:
        """Hear it; see `Adapter`."""
        async with aclosing((await self.adapter()).listen(wanted)) as heard:
            async for notification in heard:
                yield notification

    async def close(self) -> None:
        """End what is under way, and the sessions at the upstream, if it will hear it."""
        await self._upstream.circuit.close()
        await asyncio.gather(self._handshake.close(), self._before.close())
        await self._tasks.stop()

    async def _ask(
        self,
        found: StatelessHttp | HandshakeHttp,
        method: str,
        params: Mapping[str, Raw],
        asker: Asker,
        hear: Hear,
    ) -> Answer:
        if isinstance(found, StatelessHttp):
            return Answer(await found.ask(method, params, asker, hear), "stateless")
        with self._doubting(found):
            return Answer(await found.ask(method, params, asker, hear), "handshake")

    @contextmanager
    def _doubting(self, found: HandshakeHttp) -> Iterator[None]:
        """A server that refuses may be another one by now; of one that is gone nobody knows."""
        try:
            yield
        except UpstreamFailed as error:
            if not error.lost:
                self.doubt(found)
            raise

    async def _find(self) -> StatelessHttp | HandshakeHttp:
        if self._upstream.path.endswith("/sse"):
            with suppress(UpstreamFailed):  # if it is gone, the next request says so as well
                if await self._is_before():
                    return self._before
        try:
            async with asyncio.timeout(PROBE):
                said = await discovered(self._upstream, self._shown)
        except (TimeoutError, UpstreamTimeout):
            said = None
        if said is None:
            try:
                self._welcome = await self._handshake.own.open()
            except UpstreamFailed as error:
                if error.lost or isinstance(error, NeedsLogin) or not await self._is_before():
                    raise
                return self._before
            return self._handshake
        self._welcome = translation.welcome(said, LATEST_STATELESS)
        return StatelessHttp(self._upstream, self._shown, said, self._param_headers)

    async def _is_before(self) -> bool:
        """Whether it is a server of HTTP+SSE (2025-11-25, Transports, backward compatibility).

        Raises:
            UpstreamFailed: the way to it broke, so that this is not known.
        """
        try:
            self._welcome = await self._before.own.open()
        except (UpstreamFailed, UpstreamTimeout) as error:
            if isinstance(error, UpstreamFailed) and error.lost:
                raise
            return False
        return True


async def _attend(hear: Hear, message: Message, raw: bytes) -> bool:
    """Pass notifications on; requests are left to be declined."""
    if not message.is_request:
        hear(raw)
    return False
