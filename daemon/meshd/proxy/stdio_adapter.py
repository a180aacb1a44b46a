"""A stdio server asked in the stateless shape, whichever era it speaks. Many callers share it."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping

from msgspec import Raw

from meshd.protocol.envelope import enveloped
from meshd.protocol.input_required import RETRIED
from meshd.protocol.members import joined, members, raw
from meshd.protocol.subscriptions import CHANGES, acknowledgement, offered, read_filter
from meshd.proxy.adapter import OURSELVES, Answer, Asker, Hear
from meshd.proxy.stdio_greeting import Greeting
from meshd.proxy.stdio_talk import StdioTalk
from meshd.wire.errors import UpstreamFailed

IDLE_DEADLINE = 300.0
"""Seconds without a sign of life after which a call is given up."""
CALL_CEILING = 3600.0
MAX_WAITING = 1000
"""Notifications kept for a listener that is behind; later ones are lost to it."""


class StdioAdapter:
    """Asks over one conversation, once it was begun."""

    def __init__(self, talk: StdioTalk, greeting: Greeting) -> None:
        self._talk = talk
        self._greeting = greeting

    async def discover(self) -> bytes:
        """What it says of itself; see `Adapter`."""
        return self._greeting.discovery

    async def ask(self, method: str, params: Mapping[str, Raw], asker: Asker, hear: Hear) -> Answer:
        """Ask; see `Adapter`. What a handshake server asks back is declined: it is shared."""
        if self._greeting.era == "stateless":
            body = enveloped(params, OURSELVES, asker.capabilities, asker.log_level)
        else:
            body = joined({k: v for k, v in params.items() if k not in RETRIED})
        reply = await self._talk.request(
            method, body, on_notification=hear, deadline=IDLE_DEADLINE, ceiling=CALL_CEILING
        )
        return Answer(reply, self._greeting.era)

    async def listen(self, wanted: Mapping[str, Raw]) -> AsyncGenerator[bytes, None]:
        """Hear it; see `Adapter`.

        A handshake server tells no changes of resources: its subscriptions are everybody's.
        """
        waiting: asyncio.Queue[bytes | None] = asyncio.Queue(MAX_WAITING + 1)
        stop = self._subscribe(wanted, waiting)
        end = self._talk.at_end(lambda: waiting.put_nowait(None))
        try:
            while (heard := await waiting.get()) is not None:
                yield heard
        finally:
            end()
            stop()

    def _subscribe(
        self, wanted: Mapping[str, Raw], waiting: "asyncio.Queue[bytes | None]"
    ) -> Callable[[], None]:
        def take(notification: bytes) -> None:
            if waiting.qsize() < MAX_WAITING:
                waiting.put_nowait(notification)

        if self._greeting.era == "stateless":
            params = enveloped({"notifications": raw(wanted)}, OURSELVES)
            return self._talk.subscribe(params, take)
        if (reason := self._talk.reason) is not None:
            raise UpstreamFailed(reason.message)
        honoured = offered(read_filter(wanted), capabilities_of(self._greeting))
        honoured.resources.clear()
        waiting.put_nowait(acknowledgement(honoured))

        def hear(method: str, notification: bytes) -> None:
            if CHANGES.get(method) in honoured.changes:
                take(notification)

        return self._talk.listen(hear)


def capabilities_of(greeting: Greeting) -> Raw:
    """What the server offers."""
    return members(greeting.welcome).get("capabilities", Raw(b"{}"))
