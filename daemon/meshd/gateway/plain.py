"""`POST /mcp/{connection}/call-tool/{tool}`: one tool call in plain HTTP, without a session.

The body is the arguments, a JSON object; the answer is the tool's result as it came, also one with
`isError`: the call was made, and only the result can say what became of it. Whoever accepts an
event stream gets one: notifications meanwhile, and last the result or the error. What is refused
has its HTTP status, as every control call.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from urllib.parse import unquote

import msgspec
from aiohttp import web
from msgspec import Raw

from meshd.core import trace_context
from meshd.core.answers import JSON, error_answer
from meshd.gateway import answers
from meshd.gateway.bearer import CHALLENGE
from meshd.protocol import sse
from meshd.protocol.jsonrpc import BadMessage, check_depth
from meshd.services.directory import ConnectionRow
from meshd.services.failures import failure
from meshd.services.grants import SELF
from meshd.services.management import Management
from meshd.services.principal import Principal
from meshd.services.rate_limit import RateLimit
from meshd.services.tool_calls import ToolCalls
from meshd.services.virtual_rows import VIRTUAL
from meshd.services.virtual_tools import VirtualTools
from meshd.wire.errors import (
    BadRequest,
    MeshError,
    MethodNotAllowed,
    NotFound,
    RateLimited,
    Unauthenticated,
    UnsupportedMedia,
)
from meshd.wire.tool import ToolCall, ToolResult

WORD = "/call-tool/"
"""Parts the connection from the tool in a path."""
GLANCE = 1.0
"""Seconds after which it is seen that a client went away."""
KEEP_ALIVE = 15
"""Glances after which a silent stream says something."""
MAX_WAITING = 1000
"""Notifications that wait for a slow reader; the oldest give way."""

_HEADERS = {"Content-Type": JSON, "Cache-Control": "no-store"}

Find = Callable[[Principal, str], ConnectionRow]
Hear = Callable[[bytes], None]
"""Takes a notification: one JSON-RPC message."""


def is_plain(path: str) -> bool:
    """Whether a raw path is one of these."""
    return path.startswith("/mcp/") and WORD in path


class PlainCalls:
    """Makes tool calls for who speaks HTTP and no MCP."""

    def __init__(
        self,
        find: Find,
        calls: ToolCalls,
        virtual: VirtualTools,
        management: Management,
        limit: RateLimit,
    ) -> None:
        """`find` gives the connection of a percent-encoded name, as at every endpoint."""
        self._virtual = virtual
        self._find = find
        self._calls = calls
        self._management = management
        self._limit = limit

    async def handle(
        self, request: web.BaseRequest, who: Principal, raw_path: str
    ) -> web.StreamResponse:
        """Answer one request to `{connection}/call-tool/{tool}`.

        Raises:
            ConnectionError: the client went away.
        """
        try:
            return await self._answer(request, who, raw_path)
        except ConnectionError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, it has an answer
            return _refused(failure(error, f"{request.method} {request.path}"))

    async def _answer(
        self, request: web.BaseRequest, who: Principal, raw_path: str
    ) -> web.StreamResponse:
        if request.method != "POST":
            raise MethodNotAllowed
        self._limit.check(who)
        raw_name, _, raw_tool = f"/{raw_path}".partition(WORD)
        row = self._find(who, raw_name.removeprefix("/"))
        asked = ToolCall(
            connection=row.id, tool=_tool(raw_tool), arguments=await _arguments(request)
        )
        if (present := who.present()) is None:
            raise Unauthenticated  # the body was long in coming
        client = request.headers.get("User-Agent")

        async def call(hear: Hear | None) -> ToolResult:
            if row.id == SELF:
                return await self._management.call_for(present, asked, client=client)
            calls = self._virtual if row.transport == VIRTUAL else self._calls
            parent = request.headers.get(trace_context.HEADER)
            return await calls.call(present, asked, client=client, traceparent=parent, hear=hear)

        made = _UnderWay(request, call)
        if row.id == SELF:  # a control call takes effect whole or not at all, whoever waits
            return await made.finish(await made.run())
        return await made.answer()


class _UnderWay:
    """A call and its answer."""

    def __init__(
        self, request: web.BaseRequest, call: Callable[[Hear | None], Awaitable[ToolResult]]
    ) -> None:
        self._request = request
        self._call = call
        self._streams = answers.EVENT_STREAM in request.headers.get("Accept", "")
        self._heard: deque[bytes] = deque(maxlen=MAX_WAITING)
        self._wake = asyncio.Event()
        self._answer = web.StreamResponse(headers=answers.SSE_HEADERS)

    async def answer(self) -> web.StreamResponse:
        """Make the call, which is cancelled when nobody waits for it any more; the whole answer.

        Raises:
            ConnectionError: the client went away.
        """
        calling = asyncio.create_task(self.run(), name="gateway.plain")
        try:
            while not calling.done():
                said = await self._next()
                if self._streams and (said or not calling.done()):
                    await self._write(said or [sse.COMMENT])
            return await self.finish(calling.result())
        finally:
            calling.cancel()
            await asyncio.gather(calling, return_exceptions=True)

    async def finish(self, outcome: ToolResult | MeshError) -> web.StreamResponse:
        """Answer with how it went. What fails before anything was written has its HTTP status."""
        if isinstance(outcome, MeshError) and not self._answer.prepared:
            return _refused(outcome)
        if isinstance(outcome, ToolResult) and not self._streams:
            return web.Response(body=bytes(outcome.result), headers=_HEADERS)
        await self._write([*self._taken(), _last(outcome)])
        await self._answer.write_eof()
        return self._answer

    async def run(self) -> ToolResult | MeshError:
        """Make the call; what fails is its outcome."""
        try:
            return await self._call(self._hear if self._streams else None)
        except Exception as error:  # noqa: BLE001 - whatever it is, it has an answer
            return failure(error, f"{self._request.method} {self._request.path}")
        finally:
            self._wake.set()

    def _hear(self, notification: bytes) -> None:
        self._heard.append(notification)
        self._wake.set()

    async def _next(self) -> list[bytes]:
        """The events that came; none once the call has ended, or nothing came for a while."""
        for _ in range(KEEP_ALIVE):
            with suppress(TimeoutError):
                async with asyncio.timeout(GLANCE):
                    await self._wake.wait()
                self._wake.clear()
                return self._taken()
            if self._request.transport is None:
                raise ConnectionResetError
        return []

    def _taken(self) -> list[bytes]:
        taken = [sse.message(said) for said in self._heard]
        self._heard.clear()
        return taken

    async def _write(self, events: list[bytes]) -> None:
        if not self._answer.prepared:
            await self._answer.prepare(self._request)
        for event in events:
            await self._answer.write(event)


def _last(outcome: ToolResult | MeshError) -> bytes:
    if isinstance(outcome, MeshError):
        return sse.event("error", msgspec.json.encode(outcome.body()))
    return sse.event("result", bytes(outcome.result))


def _refused(error: MeshError) -> web.Response:
    answer = error_answer(error)
    if isinstance(error, RateLimited):
        answer.headers["Retry-After"] = error.facts["retry_after_s"]
    if isinstance(error, Unauthenticated):
        answer.headers.update(CHALLENGE)
    return answer


def _tool(raw: str) -> str:
    """The tool's name, percent-decoded once; a `/` in it may stand as it is.

    Raises:
        NotFound: there is none.
        BadRequest: it is not UTF-8.
    """
    if not raw:
        raise NotFound("nothing is here")
    try:
        return unquote(raw, errors="strict")
    except UnicodeDecodeError:
        raise BadRequest("the name of the tool is not UTF-8") from None


async def _arguments(request: web.BaseRequest) -> Raw:
    """The body: one JSON object, inside which nothing is touched.

    Raises:
        UnsupportedMedia, TooSlow, TooLarge: it is not JSON by its type, or does not come.
        BadRequest: it is no JSON object, or nests too deep.
    """
    if request.content_type != JSON:
        raise UnsupportedMedia
    body = await request.read()
    try:
        check_depth(body)
        body.decode()  # raw members are not checked by the decoder
        msgspec.json.decode(body, type=dict[str, Raw])
    except BadMessage as error:
        raise BadRequest(f"the body is {error}") from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise BadRequest(
            "the body is not a JSON object, which the arguments are",
            facts={"no arguments are": "{}"},
        ) from None
    return Raw(body.strip())
