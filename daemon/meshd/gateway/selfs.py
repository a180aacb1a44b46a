"""`/mcp/self`: the control plane as an MCP server of its own, for clients of both eras.

Source: MCP 2025-11-25, Lifecycle and Server Features, Tools; MCP 2026-07-28, the same.
"""

import asyncio

import msgspec
from aiohttp import web
from msgspec import Raw

from meshd.gateway import answers
from meshd.gateway.departure import while_connected
from meshd.gateway.exchange import Exchange
from meshd.gateway.sessions import Sessions
from meshd.gateway.under_way import UnderWay
from meshd.protocol import jsonrpc, versions
from meshd.protocol.envelope import SERVER
from meshd.protocol.jsonrpc import Message, Named
from meshd.protocol.members import joined, members
from meshd.protocol.translation import stateless_result
from meshd.proxy.http import SESSION
from meshd.services.grants import SELF
from meshd.services.management import Management, error_result, tool_name
from meshd.wire.calls.tool import CALL as TOOL_CALL
from meshd.wire.errors import Denied, NotFound
from meshd.wire.version import VERSION

INSTRUCTIONS = (
    "Tools that manage meshctl itself: its connections, keys and call records. "
    "A refusal names the command that would allow the call."
)


INFO = {"name": "meshctl", "title": "meshctl", "version": VERSION}
CAPABILITIES: dict[str, object] = {"tools": {}}
DISCOVERY_TTL = 3_600_000
"""Milliseconds for which what is said of meshctl itself may be kept, by anybody."""
LONG = tool_name(TOOL_CALL)
"""The tool that calls other servers' tools."""
LIST_TTL = 60_000
"""Milliseconds for which a list of tools may be kept, by its own caller alone."""


class SelfServing:
    """Answers exchanges from the call table. Nothing here says anything by itself.

    A call is not cancelled half-way: it takes effect whole or not at all. Only a call of another
    server's tool is, since that may take long.
    """

    def __init__(self, sessions: Sessions, management: Management) -> None:
        self._sessions = sessions
        self._management = management
        self._under_way = UnderWay()

    async def answer(self, exchange: Exchange) -> web.StreamResponse:
        """Answer one message."""
        message = exchange.message
        if not message.is_request:
            if message.method == "notifications/cancelled":
                self._under_way.cancel(exchange)
            return answers.accepted()
        stateless = exchange.envelope is not None
        whole = answers.stateless if stateless else answers.message
        try:
            if not stateless and message.method == "initialize":
                return self._initialize(exchange)
            result = await (self._stateless if stateless else self._handshake)(exchange)
        except jsonrpc.BadMessage as error:
            refusal = jsonrpc.error_object(error.code, str(error))
            return whole(jsonrpc.failure(bytes(message.id), refusal))
        if result is None:
            return answers.accepted()  # withdrawn: the client expects no answer any more
        return whole(jsonrpc.success(bytes(message.id), result))

    async def _handshake(self, exchange: Exchange) -> bytes | None:
        match exchange.message.method:
            case "ping":
                return b"{}"
            case "tools/list":
                return self._list(exchange)
            case "tools/call":
                return await self._call(exchange)
            case other:
                raise _no_method(other)

    async def _stateless(self, exchange: Exchange) -> bytes | None:
        match exchange.message.method:
            case "server/discover":
                return msgspec.json.encode({
                    "resultType": "complete", "supportedVersions": versions.STATELESS,
                    "capabilities": CAPABILITIES, "instructions": INSTRUCTIONS,
                    "ttlMs": DISCOVERY_TTL, "cacheScope": "public", "_meta": {SERVER: INFO},
                })  # fmt: skip
            case "tools/list":
                kept = {"resultType": "complete", "ttlMs": LIST_TTL, "cacheScope": "private"}
                return joined({**members(self._list(exchange)), **kept})
            case "tools/call":
                result = await self._call(exchange)
                return result and stateless_result("tools/call", result)
            case other:
                raise _no_method(other)

    def _initialize(self, exchange: Exchange) -> web.Response:
        asked = _members(exchange.message).get("protocolVersion", Raw(b"null"))
        try:
            version = versions.negotiate(msgspec.json.decode(asked, type=str))
        except msgspec.DecodeError:
            version = versions.negotiate(None)
        result = {
            "protocolVersion": version,
            "capabilities": CAPABILITIES,
            "serverInfo": INFO,
            "instructions": INSTRUCTIONS,
        }
        body = jsonrpc.success(bytes(exchange.message.id), msgspec.json.encode(result))
        token = self._sessions.issue(exchange.who, exchange.row, None, version)
        return answers.message(body, {"Content-Type": "application/json", SESSION: token})

    def _list(self, exchange: Exchange) -> bytes:
        """The whole list: the table is a page.

        Raises:
            BadMessage: it is asked for a page that nobody was told of.
        """
        if bytes(_members(exchange.message).get("cursor", Raw(b"null"))) != b"null":
            raise jsonrpc.BadMessage(jsonrpc.INVALID_PARAMS, "there is no such cursor")
        return b'{"tools":[%b]}' % b",".join(self._management.entries(exchange.who))

    async def _call(self, exchange: Exchange) -> bytes | None:
        """The result, also of what was refused; None for what its client withdrew.

        Raises:
            BadMessage: there is no such tool.
        """
        wanted = jsonrpc.named(exchange.message.params)
        work = self._called(exchange, wanted)
        if wanted.name != LONG:
            return await work
        if exchange.envelope is not None:
            return await while_connected(exchange.request, work)
        with self._under_way.one(exchange) as mine:
            try:
                return await work
            except asyncio.CancelledError:
                if not mine.withdrawn:
                    raise
                return None

    async def _called(self, exchange: Exchange, wanted: Named) -> bytes:
        try:
            answer = await self._management.call(
                exchange.who, wanted.name, bytes(wanted.arguments) or b"{}",
                watch=exchange.watch, client=exchange.request.headers.get("User-Agent"),
            )  # fmt: skip
        except NotFound:
            known = f"Unknown tool: {ascii(wanted.name[:60])[1:-1]}"
            raise jsonrpc.BadMessage(jsonrpc.INVALID_PARAMS, known) from None
        except Denied as error:
            return error_result(error)
        return bytes(answer.result)


def _no_method(method: str) -> jsonrpc.BadMessage:
    shown = ascii(method[:80])[1:-1]
    return jsonrpc.BadMessage(jsonrpc.METHOD_NOT_FOUND, f'"{SELF}" has no method {shown}')


def _members(message: Message) -> dict[str, Raw]:
    """The members of params.

    Raises:
        BadMessage: params is no object.
    """
    try:
        return msgspec.json.decode(message.params or b"{}", type=dict[str, Raw])
    except msgspec.DecodeError as error:
        raise jsonrpc.BadMessage(jsonrpc.INVALID_PARAMS, f"params: {error}") from None
