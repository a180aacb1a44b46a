"""`/mcp/self`: the control plane as an MCP server of its own, for handshake-era clients.

Source: MCP 2025-11-25, Lifecycle and Server Features, Tools.
"""

import msgspec
from aiohttp import web
from msgspec import Raw

from meshd.gateway import answers
from meshd.gateway.exchange import Exchange
from meshd.gateway.sessions import Sessions
from meshd.protocol import jsonrpc, versions
from meshd.protocol.jsonrpc import Message
from meshd.proxy.http import SESSION
from meshd.services.grants import SELF
from meshd.services.management import Management, error_result
from meshd.wire.errors import Denied, NotFound
from meshd.wire.version import VERSION

INSTRUCTIONS = (
    "Tools that manage meshctl itself: its connections, keys and call records. "
    "A refusal names the command that would allow the call."
)


class SelfServing:
    """Answers exchanges from the call table. Nothing here says anything by itself.

    A call is not cancelled half-way: it takes effect whole or not at all.
    """

    def __init__(self, sessions: Sessions, management: Management) -> None:
        self._sessions = sessions
        self._management = management

    async def answer(self, exchange: Exchange) -> web.StreamResponse:
        """Answer one message."""
        message = exchange.message
        if not message.is_request:
            return answers.accepted()
        try:
            match message.method:
                case "initialize":
                    return self._initialize(exchange)
                case "ping":
                    return _success(message, b"{}")
                case "tools/list":
                    return _success(message, self._list(exchange))
                case "tools/call":
                    return _success(message, await self._call(exchange))
                case other:
                    raise _no_method(other)
        except jsonrpc.BadMessage as error:
            refusal = jsonrpc.error_object(error.code, str(error))
            return answers.message(jsonrpc.failure(bytes(message.id), refusal))

    def _initialize(self, exchange: Exchange) -> web.Response:
        asked = _members(exchange.message).get("protocolVersion", Raw(b"null"))
        try:
            version = versions.negotiate(msgspec.json.decode(asked, type=str))
        except msgspec.DecodeError:
            version = versions.negotiate(None)
        result = {
            "protocolVersion": version,
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "meshctl", "title": "meshctl", "version": VERSION},
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

    async def _call(self, exchange: Exchange) -> bytes:
        """The result, also of what was refused.

        Raises:
            BadMessage: there is no such tool.
        """
        wanted = jsonrpc.named(exchange.message.params)
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


def _success(message: Message, result: bytes) -> web.Response:
    return answers.message(jsonrpc.success(bytes(message.id), result))


def _members(message: Message) -> dict[str, Raw]:
    """The members of params.

    Raises:
        BadMessage: params is no object.
    """
    try:
        return msgspec.json.decode(message.params or b"{}", type=dict[str, Raw])
    except msgspec.DecodeError as error:
        raise jsonrpc.BadMessage(jsonrpc.INVALID_PARAMS, f"params: {error}") from None
