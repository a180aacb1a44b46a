"""One MCP session with an HTTP+SSE server: opened on first use, and again when it was lost."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from meshd.core.tasks import TaskGroup
from meshd.protocol import jsonrpc
from meshd.protocol.envelope import may_be_asked
from meshd.protocol.jsonrpc import Reply
from meshd.proxy.http import HttpUpstream
from meshd.proxy.http_aside import Attend
from meshd.proxy.http_session import CALL_DEADLINE, LEVELING, agreed, introducing, leveled
from meshd.proxy.sse_stream import Lost, SseStream
from meshd.proxy.sse_talk import Heard, SseTalk
from meshd.proxy.tries import TRIES, beforehand
from meshd.wire.errors import MeshError, UpstreamFailed, UpstreamTimeout


class SseSession:
    """As `HttpSession`, for a server of the transport before. `tasks` hold its stream."""

    def __init__(
        self, upstream: HttpUpstream, shown: str, tasks: TaskGroup, capabilities: bytes = b"{}", *,
        log_level: str | None = None,
    ) -> None:  # fmt: skip
        self._upstream = upstream
        self._shown = shown
        self._tasks = tasks
        self._capabilities = capabilities
        self._log_level = log_level
        self._opening = asyncio.Lock()
        self._talk: SseTalk | None = None

    @property
    def confuses(self) -> bool:
        """Always, unless the server may ask nothing anyhow."""
        return may_be_asked(self._capabilities)

    async def open(self) -> bytes:
        """The raw result of `initialize`, asked for if there is no session. Raises as `request`."""
        return (await self._present()).said

    async def request(
        self,
        method: str,
        params: bytes = b"",
        *,
        deadline: float = CALL_DEADLINE,
        attend: Attend | None = None,
    ) -> Reply:
        """Ask and wait for the answer; see `HttpSession.request`."""
        try:
            async with asyncio.timeout(deadline):
                for _ in range(TRIES):
                    talk = await self._present()
                    try:
                        return await talk.request(method, params, deadline=deadline, attend=attend)
                    except Lost:
                        talk.end(UpstreamFailed.gone(f"{self._shown} forgot the session"))
        except TimeoutError:
            raise UpstreamTimeout(f"{self._shown} did not answer within {deadline:g} s") from None
        raise UpstreamFailed(f"{self._shown} forgets its sessions at once")

    async def tell(self, message: bytes) -> None:
        """Send a notification, or an answer to what the server asked. Raises as `request`."""
        try:
            await (await self._present()).tell(message)
        except Lost:
            raise UpstreamFailed(f"{self._shown} does not know the session any more") from None

    async def heard(self) -> AsyncGenerator[Heard, None]:
        """What the server says by itself, until the stream ends. Raises as `request`."""
        async with aclosing((await self._present()).heard()) as heard:
            async for message in heard:
                yield message

    async def close(self) -> None:
        """End the session."""
        talk, self._talk = self._talk, None
        if talk is not None:
            talk.end(UpstreamFailed(f"the session with {self._shown} was closed"))

    async def _present(self) -> SseTalk:
        async with self._opening:
            if self._talk is None or self._talk.reason is not None:
                with beforehand():
                    self._talk = await self._begin()
            return self._talk

    async def _begin(self) -> SseTalk:
        talk = SseTalk(await SseStream.open(self._upstream, self._shown), self._shown)
        self._tasks.start("stream", talk.run())
        try:
            params = introducing(self._capabilities)
            reply = await talk.request("initialize", params, deadline=CALL_DEADLINE)
            agreed(reply, self._shown)
            talk.said = reply.result or b""
            await talk.tell(jsonrpc.notification("notifications/initialized"))
            if self._log_level is not None:
                with suppress(MeshError):  # a server without logs is none the worse
                    level = leveled(self._log_level)
                    await talk.request("logging/setLevel", level, deadline=LEVELING)
        except Lost:
            lost = UpstreamFailed.gone(f"{self._shown} forgot the session as it began")
            talk.end(lost)
            raise lost from None
        except BaseException:
            talk.end(UpstreamFailed(f"the session with {self._shown} did not begin"))
            raise
        return talk
