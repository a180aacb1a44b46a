"""What a stateless server asks, put to a client of the handshake era as requests of ours.

They go out on the stream of the client's own request; it answers each with a POST of its own.
Source: MCP 2025-11-25, basic/transports, "Sending messages to the server".
"""

import asyncio
from dataclasses import dataclass
from secrets import token_urlsafe

import msgspec
from msgspec import Raw

from meshd.gateway.exchange import Exchange
from meshd.gateway.progress import Voice
from meshd.protocol.input_required import Needed, Question, may_ask
from meshd.protocol.jsonrpc import Message
from meshd.protocol.members import joined
from meshd.services.directory import ConnectionRow
from meshd.services.principal import Principal
from meshd.wire.errors import TooMany, Unanswered

ROUNDS = 10
"""How often one call may ask; as many as the official clients take."""
PATIENCE = 3600.0
"""Seconds for an answer: there may be a person behind it."""
MAX_OPEN = 1000
"""Questions that are open at all clients together."""


@dataclass(frozen=True, slots=True)
class _Open:
    """Whom it was put to, and where the answer goes."""

    principal: str
    connection: str
    answer: asyncio.Future[Message]


class Questions:
    """Those that are open."""

    def __init__(self) -> None:
        self._open: dict[bytes, _Open] = {}

    async def ask(
        self, exchange: Exchange, progress: Voice, needed: Needed, capabilities: bytes
    ) -> dict[str, Message]:
        """The client's answers to everything that is needed; some may be errors.

        Raises:
            Unanswered: the client cannot be asked that, or did not answer.
            TooMany: too much is asked already.
        """
        name = exchange.row.name
        for question in needed.questions.values():
            if not progress.streams or not may_ask(question, capabilities):
                raise Unanswered(
                    f'"{name}" needs {question.method[:60]}, which this client does not offer'
                )
        if len(self._open) + len(needed.questions) > MAX_OPEN:
            raise TooMany("too many questions of servers are open")
        asked = {
            key: self._put(exchange, progress, question)
            for key, question in needed.questions.items()
        }
        try:
            async with asyncio.timeout(PATIENCE):
                return {key: await self._open[i].answer for key, i in asked.items()}
        except TimeoutError:
            raise Unanswered(f'what "{name}" asked was not answered') from None
        finally:
            for ident in asked.values():
                self._open.pop(ident, None)

    def settle(self, who: Principal, row: ConnectionRow, message: Message) -> None:
        """Take a client's answer, if it is one to a question that it was asked."""
        found = self._open.get(bytes(message.id))
        if (
            found is not None
            and (found.principal, found.connection) == (who.id, row.id)
            and not found.answer.done()
        ):
            found.answer.set_result(message)

    def _put(self, exchange: Exchange, progress: Voice, question: Question) -> bytes:
        ident = msgspec.json.encode(f"meshctl-{token_urlsafe(12)}")
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._open[ident] = _Open(exchange.who.id, exchange.row.id, answer)
        params = {"params": Raw(question.params)} if question.params else {}
        request = {"jsonrpc": "2.0", "id": Raw(ident), "method": question.method, **params}
        progress.hear(joined(request))
        return ident
