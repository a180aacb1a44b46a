"""Stdio connections: many clients share one child; each request is answered to its own asker."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from secrets import token_bytes

import msgspec
from aiohttp import web
from msgspec import Raw

from meshd.gateway import answers
from meshd.gateway.exchange import Exchange, Record
from meshd.gateway.lists import filtered, needs_filter, shaped, stale_tools
from meshd.gateway.sessions import Sessions
from meshd.protocol import jsonrpc, sse, versions
from meshd.protocol.jsonrpc import Reply
from meshd.proxy.http import SESSION
from meshd.proxy.stdio import StdioUpstream
from meshd.services.access import scope_at
from meshd.services.directory import ConnectionRow
from meshd.services.health import Health
from meshd.services.tools import Tools
from meshd.services.upstreams import CALL_CEILING, IDLE_DEADLINE, TOOLS_CHANGED, Upstreams
from meshd.wire.errors import MeshError, UpstreamFailed

KEEP_ALIVE = 15.0
NOT_SHARED = frozenset({"logging/setLevel", "resources/subscribe", "resources/unsubscribe"})
"""Methods that would set something for every client of a shared child."""
MAX_WAITING = 1000
FIRST = frozenset({"initialize", "tools/list"})
"""What a client asks at its own start, and does not wait for very long."""


class StdioServing:
    """Answers exchanges from the pool of children."""

    def __init__(
        self, upstreams: Upstreams, sessions: Sessions, health: Health, tools: Tools
    ) -> None:
        self._upstreams = upstreams
        self._sessions = sessions
        self._health = health
        self._tools = tools
        self._under_way: dict[tuple[str, bytes, bytes], _UnderWay] = {}

    async def answer(self, exchange: Exchange, record: Record) -> web.StreamResponse:
        """Answer one message."""
        message = exchange.message
        if not message.is_request:
            if message.method == "notifications/cancelled":
                self._cancel(exchange)
            return answers.accepted()
        if message.method == "ping":
            return answers.message(jsonrpc.success(bytes(message.id), b"{}"))
        if message.method in NOT_SHARED:
            refusal = jsonrpc.error_object(
                jsonrpc.METHOD_NOT_FOUND, f"{message.method} is not offered: the server is shared"
            )
            return answers.message(jsonrpc.failure(bytes(message.id), refusal))
        try:
            if message.method in FIRST and self._upstreams.asleep(exchange.row):
                known = self._from_memory(exchange)
                if known is not None:
                    self._upstreams.warm(exchange.row, partial(self._relist, exchange.row))
                    return known
            child = await self._upstreams.stdio(exchange.row)
            if message.method == "initialize":
                return self._initialize(exchange, child.initialize_result)
            return await self._ask(exchange, child, record)
        except MeshError as error:
            self._failed(exchange, error, record)
            return answers.rpc_failure(error, bytes(message.id))

    async def stream(
        self, request: web.BaseRequest, row: ConnectionRow, admitted: Callable[[], bool]
    ) -> web.StreamResponse:
        """The stream of server messages: that lists changed, and a comment to stay open.

        It ends when it is no longer `admitted`.

        What a shared child says about somebody's call goes to that call alone.

        Raises:
            UpstreamFailed: the child cannot be started.
        """
        child = await self._upstreams.stdio(row)
        answer = web.StreamResponse(headers=answers.SSE_HEADERS)
        waiting: asyncio.Queue[bytes] = asyncio.Queue(MAX_WAITING)

        def hear(method: str, notification: bytes) -> None:
            if method.endswith("/list_changed") and not waiting.full():
                waiting.put_nowait(notification)

        unsubscribe = child.listen(hear)
        try:
            await answer.prepare(request)
            await answer.write(sse.COMMENT)
            while request.transport is not None and child.alive:
                said = sse.COMMENT
                with suppress(TimeoutError):
                    async with asyncio.timeout(KEEP_ALIVE):
                        said = sse.message(await waiting.get())
                if not admitted():
                    break
                await answer.write(said)
        finally:
            unsubscribe()
        return answer

    def _from_memory(self, exchange: Exchange) -> web.Response | None:
        """What needs no child: a cold start may take longer than a client waits at its own start.

        One that fails is not covered up: its error is the answer, as for every other message.
        """
        message, row = exchange.message, exchange.row
        if message.method == "initialize" and (welcome := self._upstreams.welcome(row)):
            return self._initialize(exchange, welcome)
        if message.method == "tools/list" and b'"cursor"' not in bytes(message.params):
            listed = self._tools.known(row)
            if listed is not None:
                body = stale_tools(message, row, listed, "starting", now=exchange.watch.at)
                who = exchange.who
                if needs_filter(who, message.method, everything=scope_at(who, row.id).all):
                    body = filtered(who, row, message.method, body)
                return answers.message(body)
        return None

    async def _relist(self, row: ConnectionRow) -> None:
        """Tell open streams when the list that was shown meanwhile turns out to be another now."""
        before = self._tools.known(row)
        after = await self._tools.refresh(row)
        if before is not None and before.raw != after.raw:
            child = await self._upstreams.stdio(row)
            child.talk.announce(TOOLS_CHANGED, jsonrpc.notification(TOOLS_CHANGED))

    def _initialize(self, exchange: Exchange, welcome: bytes) -> web.Response:
        """The child's own answer, with the version this client asked for."""
        try:
            asked = msgspec.json.decode(exchange.message.params or b"{}").get("protocolVersion")
        except (msgspec.DecodeError, AttributeError):
            asked = None
        version = versions.negotiate(asked if isinstance(asked, str) else None)
        result = msgspec.json.decode(welcome, type=dict[str, Raw])
        result["protocolVersion"] = Raw(msgspec.json.encode(version))
        result["capabilities"] = _shareable(result.get("capabilities", Raw(b"{}")))
        body = jsonrpc.success(bytes(exchange.message.id), msgspec.json.encode(result))
        token = self._sessions.issue(exchange.who, exchange.row, None, version)
        return answers.message(body, {"Content-Type": "application/json", SESSION: token})

    async def _ask(
        self, exchange: Exchange, child: StdioUpstream, record: Record
    ) -> web.StreamResponse:
        message = exchange.message
        key = self._key(exchange, bytes(message.id))
        progress = _Progress(exchange.request)
        mine = self._under_way[key] = _UnderWay(asyncio.current_task())
        try:
            reply = await child.request(
                message.method,
                bytes(message.params) or b"{}",
                on_notification=progress.hear,
                deadline=IDLE_DEADLINE,
                ceiling=CALL_CEILING,
            )
        except asyncio.CancelledError:
            exchange.watch.upstream = exchange.watch.answered = time.perf_counter()
            record(exchange, None, "cancelled by the client")
            if not mine.withdrawn:
                raise  # the daemon stops
            return await progress.end(b"")  # the client expects no answer any more
        except MeshError as error:
            self._failed(exchange, error, record)
            return await progress.end(answers.failed(error, bytes(message.id)))
        else:
            exchange.watch.upstream = time.perf_counter()
            answer = await progress.end(await self._answered(exchange, reply, record))
            exchange.watch.answered = time.perf_counter()
            return answer
        finally:
            await progress.stop()
            if self._under_way.get(key) is mine:
                del self._under_way[key]

    async def _answered(self, exchange: Exchange, reply: Reply, record: Record) -> bytes:
        ident = bytes(exchange.message.id)
        if reply.result is not None:
            body = jsonrpc.success(ident, reply.result)
        else:
            body = jsonrpc.failure(ident, reply.error or b"null")
        body = await shaped(exchange, self._tools, body)
        record(exchange, body, None)
        return body

    def _failed(self, exchange: Exchange, error: MeshError, record: Record) -> None:
        exchange.watch.upstream = exchange.watch.answered = time.perf_counter()
        if isinstance(error, UpstreamFailed):
            self._health.failed(exchange.row, error)
        record(exchange, None, error.message)

    def _cancel(self, exchange: Exchange) -> None:
        try:
            params = msgspec.json.decode(exchange.message.params or b"{}", type=dict[str, Raw])
        except msgspec.DecodeError:
            return
        call = self._under_way.get(self._key(exchange, bytes(params.get("requestId", Raw()))))
        if call is not None:
            call.withdraw()

    def _key(self, exchange: Exchange, ident: bytes) -> tuple[str, bytes, bytes]:
        """Request ids are the client's own: they count within its session only."""
        session = exchange.session
        # Without a session nobody else can name the request, so nobody else can withdraw it.
        return exchange.who.id, session.id if session is not None else token_bytes(16), ident


def _shareable(capabilities: Raw) -> Raw:
    """What many clients of one child can have: not its log level, nor subscriptions.

    What the child says about those reaches nobody, since it does not say whom it is for.
    """
    try:
        offered = msgspec.json.decode(capabilities, type=dict[str, Raw])
        offered.pop("logging", None)
        if "resources" in offered:
            resources = msgspec.json.decode(offered["resources"], type=dict[str, Raw])
            resources.pop("subscribe", None)
            offered["resources"] = Raw(msgspec.json.encode(resources))
    except msgspec.DecodeError:
        return Raw(b"{}")
    return Raw(msgspec.json.encode(offered))


class _UnderWay:
    """A request that waits for its answer, until its client withdraws it."""

    def __init__(self, task: asyncio.Task[object] | None) -> None:
        self._task = task
        self.withdrawn = False

    def withdraw(self) -> None:
        """Stop waiting; the upstream is told."""
        if self._task is not None and not self.withdrawn:
            self.withdrawn = True
            self._task.cancel()
            self._task.uncancel()


class _Progress:
    """Turns the answer into an event stream when the first notification comes before it."""

    def __init__(self, request: web.BaseRequest) -> None:
        self._request = request
        self._streams = "text/event-stream" in request.headers.get("Accept", "")
        self._waiting: deque[bytes] = deque(maxlen=MAX_WAITING)
        self._wake = asyncio.Event()
        self._answer: web.StreamResponse | None = None
        self._writer: asyncio.Task[None] | None = None

    def hear(self, notification: bytes) -> None:
        """A notification of this call."""
        if not self._streams:
            return
        self._waiting.append(notification)
        self._wake.set()
        if self._writer is None:
            self._writer = asyncio.create_task(self._write(), name="gateway.progress")

    async def _write(self) -> None:
        self._answer = web.StreamResponse(headers=answers.SSE_HEADERS)
        await self._answer.prepare(self._request)
        while True:
            await self._drain(self._answer)
            await self._wake.wait()
            self._wake.clear()

    async def _drain(self, answer: web.StreamResponse) -> None:
        while self._waiting:
            await answer.write(sse.message(self._waiting.popleft()))

    async def stop(self) -> None:
        """End the writer, so that one hand writes the rest."""
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)

    async def end(self, body: bytes) -> web.StreamResponse:
        """Write the answer itself; nothing for an empty body."""
        await self.stop()
        if self._answer is None and not self._waiting:
            answer = answers.message(body) if body else answers.accepted()
            await answer.prepare(self._request)
            await answer.write_eof()
            return answer
        if self._answer is None or not self._answer.prepared:
            self._answer = web.StreamResponse(headers=answers.SSE_HEADERS)
            await self._answer.prepare(self._request)
        await self._drain(self._answer)
        if body:
            await self._answer.write(sse.message(body))
        await self._answer.write_eof()
        return self._answer
