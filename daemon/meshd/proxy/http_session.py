"""One MCP session of the handshake era with an HTTP upstream, of the daemon's own making.

Handshake clients' sessions are their own and pass through byte for byte; this one serves the daemon
itself, and clients of the other era.
"""

import asyncio
import itertools
from collections.abc import AsyncGenerator
from contextlib import aclosing, nullcontext, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import msgspec
from msgspec import Raw

from meshd.core.tasks import TaskGroup
from meshd.protocol import jsonrpc, versions
from meshd.protocol.envelope import may_be_asked
from meshd.protocol.jsonrpc import Message, Reply
from meshd.proxy.adapter import OURSELVES
from meshd.proxy.http import SESSION, HttpUpstream, Response
from meshd.proxy.http_aside import Aside, Attend, Habit
from meshd.proxy.http_messages import (
    EVENT_STREAM,
    answers,
    error_in,
    messages,
    refused,
    reply_of,
    sentence_of,
)
from meshd.proxy.http_resume import Place
from meshd.proxy.tries import TRIES, beforehand
from meshd.wire.errors import MeshError, UpstreamFailed, UpstreamTimeout

CALL_DEADLINE = 300.0
LEVELING = 10.0
"""Seconds for setting the log level of a session that begins."""
PARTING = 2.0
"""Seconds for what is said at the end of a call or a session, which nobody waits for."""


class _Lost(Exception):
    """The upstream does not know our session any more."""


@dataclass(frozen=True, slots=True)
class _Opened:
    """A session: its id (None where the upstream keeps none), and how the upstream began it."""

    session: str | None
    version: str | None
    said: bytes


_NONE_YET = _Opened(None, None, b"")


class HandshakeSession(Protocol):
    """A session of the handshake era, over whichever HTTP transport."""

    @property
    def confuses(self) -> bool:
        """Whether what the server asks does not tell which of the calls under way it is about."""

    async def open(self) -> bytes:
        """The raw result of `initialize`, asked for if there is no session yet."""

    async def request(
        self,
        method: str,
        params: bytes = b"",
        *,
        deadline: float = CALL_DEADLINE,
        attend: Attend | None = None,
    ) -> Reply:
        """Ask and wait for the answer, at most `deadline` seconds; see `HttpSession`."""

    async def tell(self, message: bytes) -> None:
        """Send a notification, or an answer to what the upstream asked."""

    def heard(self) -> AsyncGenerator[tuple[Message, bytes], None]:
        """What the upstream says by itself, until it ends the stream."""

    async def close(self) -> None:
        """End the session."""


def introducing(capabilities: bytes, version: str = versions.LATEST_HANDSHAKE) -> bytes:
    """The params of an `initialize` of ours. `capabilities` is JSON."""
    return msgspec.json.encode(
        {
            "protocolVersion": version,
            "capabilities": Raw(capabilities),
            "clientInfo": OURSELVES,
        }
    )


def leveled(log_level: str) -> bytes:
    """The params of a `logging/setLevel`."""
    return msgspec.json.encode({"level": log_level})


def agreed(reply: Reply, shown: str) -> str:
    """The version that an answer to `initialize` agrees to.

    Raises:
        UpstreamFailed: it refuses, or speaks none that is known.
    """
    if reply.result is None:
        raise UpstreamFailed(f"{shown} refused to initialize: {sentence_of(reply.error)}")
    try:
        version = str(msgspec.json.decode(reply.result)["protocolVersion"])
    except (msgspec.DecodeError, KeyError, TypeError):
        raise UpstreamFailed(f"{shown} answered initialize without a version") from None
    if version not in versions.HANDSHAKE:
        raise UpstreamFailed(f"{shown} speaks {version[:20]!r}, which is not known")
    return version


class HttpSession:
    """Initializes on first use, again when the upstream forgot the session, and asks.

    `capabilities` are those that it declares, as JSON; `version` is what it offers to speak;
    `log_level` is set whenever it begins. With `tasks` it also hears, where it declares any
    capabilities, what the upstream asks beside its answers.
    """

    def __init__(
        self,
        upstream: HttpUpstream,
        shown: str,
        capabilities: bytes = b"{}",
        version: str = versions.LATEST_HANDSHAKE,
        *,
        log_level: str | None = None,
        tasks: TaskGroup | None = None,
        habit: Habit | None = None,
    ) -> None:
        self._upstream = upstream
        self._shown = shown
        self._introduction = introducing(capabilities, version)
        self._log_level = log_level
        self._ids = itertools.count(1)
        self._opening = asyncio.Lock()
        self._opened = _NONE_YET
        self._tasks = tasks if may_be_asked(capabilities) else None
        self._habit = habit or Habit()
        self._aside: Aside | None = None

    @property
    def confuses(self) -> bool:
        """Where the server was seen to ask beside its answers, and may ask this client."""
        return self._tasks is not None and self._habit.asks

    @property
    def present(self) -> str | None:
        """The upstream's name for the session that was begun last, where it has one."""
        return self._opened.session

    async def open(self) -> bytes:
        """The raw result of `initialize`, asked for if there is no session yet.

        Raises:
            UpstreamFailed, NeedsLogin, UpstreamTimeout: as `request`.
        """
        return (await self._present()).said

    async def begin(self) -> str | None:
        """Open it; the upstream's name for it, where it has one. Raises as `request`."""
        return (await self._present()).session

    async def request(
        self,
        method: str,
        params: bytes = b"",
        *,
        deadline: float = CALL_DEADLINE,
        attend: Attend | None = None,
    ) -> Reply:
        """Ask and wait for the answer, at most `deadline` seconds.

        A forgotten session is opened anew: the upstream refused the request unprocessed. What the
        upstream asks back is declined, unless `attend` deals with it. A caller that is cancelled
        and attended cancels the request.

        Raises:
            UpstreamFailed: the server cannot be reached, broke off, or answered nonsense.
            NeedsLogin: it refused our credentials.
            UpstreamTimeout: no answer in time.
        """
        try:
            async with asyncio.timeout(deadline):
                lost = _NONE_YET
                for _ in range(TRIES):
                    opened = await self._present(lost)
                    try:
                        return (await self._ask(method, params, opened, attend))[0]
                    except _Lost:
                        lost = opened
        except TimeoutError:
            raise UpstreamTimeout(f"{self._shown} did not answer within {deadline:g} s") from None
        raise UpstreamFailed(f"{self._shown} forgets its sessions at once")

    async def tell(self, message: bytes) -> None:
        """Send a notification, or an answer to what the upstream asked. Raises as `request`."""
        await self._tell(message, await self._present())

    async def heard(self) -> AsyncGenerator[tuple[Message, bytes], None]:
        """What the upstream says by itself, until it ends the stream. Raises as `request`."""
        opened = await self._present()
        response = await self._upstream.get(
            session=opened.session, version=opened.version, last_event=None
        )
        try:
            if response.status == 200 and response.content_type == EVENT_STREAM:
                async with aclosing(messages(response, self._shown)) as found:
                    async for message, raw in found:
                        yield message, raw
        finally:
            response.release()

    async def close(self) -> None:
        """End the session at the upstream, if it will hear it."""
        opened, self._opened = self._opened, _NONE_YET
        self._listen_anew(_NONE_YET)
        if opened.session is not None:
            with suppress(MeshError, TimeoutError):  # the session is the upstream's to forget
                async with asyncio.timeout(PARTING):
                    await self._upstream.delete(session=opened.session, version=opened.version)

    async def _present(self, lost: _Opened = _NONE_YET) -> _Opened:
        """The session; another one than `lost`, however many lost that one at a time."""
        async with self._opening:
            if self._opened is _NONE_YET or self._opened is lost:
                with beforehand():
                    self._opened = await self._initialize()
                self._listen_anew(self._opened)
            return self._opened

    def _listen_anew(self, opened: _Opened) -> None:
        """Hear what is asked in this session, and no more in the one before."""
        if self._aside is not None:
            self._aside.close()
        if self._tasks is None or opened is _NONE_YET:
            self._aside = None
            return
        self._aside = Aside(
            self._upstream, self._shown, self._tasks, self._habit,
            opened.session, opened.version, partial(self._decline, opened=opened),
        )  # fmt: skip

    async def _initialize(self) -> _Opened:
        reply, session = await self._ask("initialize", self._introduction, _NONE_YET, None)
        opened = _Opened(session, agreed(reply, self._shown), reply.result or b"")
        await self._tell(jsonrpc.notification("notifications/initialized"), opened)
        if self._log_level is not None:
            # A server without logs is none the worse; one that forgot it says so again.
            with suppress(MeshError, TimeoutError, _Lost):
                async with asyncio.timeout(LEVELING):
                    await self._ask("logging/setLevel", leveled(self._log_level), opened, None)
        return opened

    async def _tell(self, body: bytes, opened: _Opened) -> None:
        response = await self._upstream.post(body, session=opened.session, version=opened.version)
        response.release()

    async def _ask(
        self, method: str, params: bytes, opened: _Opened, attend: Attend | None
    ) -> tuple[Reply, str | None]:
        """The answer, and the id of the session that it began."""
        ident = next(self._ids)
        aside = self._aside if attend is not None else None
        try:
            async with aside.heard_by(attend) if aside and attend else nullcontext():
                return await self._exchange(
                    ident, jsonrpc.request(ident, method, params), opened, attend
                )
        except asyncio.CancelledError:
            if attend is not None:
                about = b'{"requestId":%d}' % ident
                with suppress(MeshError, TimeoutError):
                    async with asyncio.timeout(PARTING):
                        cancelled = jsonrpc.notification("notifications/cancelled", about)
                        await self._tell(cancelled, opened)
            raise

    async def _exchange(
        self, ident: int, body: bytes, opened: _Opened, attend: Attend | None
    ) -> tuple[Reply, str | None]:
        response = await self._upstream.post(body, session=opened.session, version=opened.version)
        place = Place()
        try:
            if (error := await error_in(response, b"%d" % ident)) is not None:
                return Reply(None, error), None
            self._check(response, opened)
            given = self._given(response)
            asking = replace(opened, session=given) if opened is _NONE_YET else opened
            while True:
                async with aclosing(messages(response, self._shown, place.note)) as found:
                    async for message, raw in found:
                        if answers(message, ident):
                            return reply_of(message), given
                        dealt = attend is not None and await attend(message, raw)
                        if message.is_request and not dealt:
                            await self._decline(message, asking)
                if response.content_type != EVENT_STREAM:
                    raise UpstreamFailed(f"{self._shown} answered something else than was asked")
                response.release()
                response = await place.rest(
                    self._upstream, self._shown, asking.session, asking.version
                )
        finally:
            response.release()

    def _given(self, response: Response) -> str | None:
        session = response.headers.get(SESSION)
        if session is not None and not (session.isascii() and session.isprintable()):
            raise UpstreamFailed(f"{self._shown} gave a session id that is not visible ASCII")
        return session

    def _check(self, response: Response, opened: _Opened) -> None:
        if response.status == 404 and opened.session is not None:
            raise _Lost
        if not 200 <= response.status < 300:
            raise refused(response, self._shown)

    async def _decline(self, message: Message, opened: _Opened) -> None:
        refusal = jsonrpc.error_object(jsonrpc.METHOD_NOT_FOUND, "there is no client to ask")
        await self._tell(
            jsonrpc.success(bytes(message.id), b"{}")
            if message.method == "ping"
            else jsonrpc.failure(bytes(message.id), refusal),
            opened,
        )
