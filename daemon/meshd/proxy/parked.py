"""Calls at a handshake upstream that wait until their client has answered what the server asks.

The client is of the stateless era: it gets the questions as a result, and repeats its request with
the answers. In between the upstream's answer stays open here.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from secrets import token_urlsafe

from msgspec import Raw

from meshd.core.tasks import TaskGroup
from meshd.protocol import jsonrpc
from meshd.protocol.input_required import Question, asking, may_ask
from meshd.protocol.jsonrpc import Message, Reply
from meshd.proxy.adapter import Asker, Hear
from meshd.wire.errors import MeshError, TooMany, UpstreamFailed

EXPIRY = 300.0
"""Seconds for which a call waits for its client's answers."""
MAX_PARKED = 256
"""Calls that wait at one upstream."""
MAX_PARKED_EACH = 32
"""Calls of one principal among them."""
MAX_OPEN = 16
"""Questions that one call may have open."""

_PROGRESS, _LOG = "notifications/progress", "notifications/message"

Work = Callable[["Call"], Awaitable[Reply]]
"""Makes the request; the call attends to what comes before the answer."""


class Call:
    """One request under way. `hear` is None while no client waits for it."""

    def __init__(self, asker: Asker, answer: Callable[[bytes], Awaitable[None]]) -> None:
        """`answer` sends what the client answered to the server."""
        self.id = token_urlsafe(18)
        self.asker = asker
        self.hear: Hear | None = None
        self.done: asyncio.Task[Reply | MeshError] | None = None
        self.expiry: asyncio.TimerHandle | None = None
        self._answer = answer
        self._open: dict[str, tuple[bytes, Question]] = {}
        self._turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._numbers = 0

    async def attend(self, message: Message, raw: bytes) -> bool:
        """Take what the server sent before its answer; whether a request among it is dealt with."""
        if not message.is_request:
            logs = message.method == _LOG and self.asker.log_level is not None
            if self.hear is not None and (logs or message.method == _PROGRESS):
                self.hear(raw)
            return False
        question = Question(message.method, bytes(message.params))
        if len(self._open) >= MAX_OPEN or not may_ask(question, self.asker.capabilities):
            return False
        self._numbers += 1
        self._open[f"request-{self._numbers}"] = (bytes(message.id), question)
        self._wake()
        return True

    def run(self, done: "asyncio.Task[Reply | MeshError]") -> None:
        """It is under way; the outcome of the task is its answer."""
        self.done = done
        done.add_done_callback(lambda _: self._wake())

    @property
    def _ended(self) -> bool:
        return self.done is not None and self.done.done()

    def _wake(self) -> None:
        if not self._turn.done():
            self._turn.set_result(None)

    async def settle(self, answers: Mapping[str, Raw], errors: Mapping[str, Raw]) -> None:
        """Send the answers to the questions that are open; others are nobody's.

        Once the call has ended nobody asks any more: what was asked in a session that is lost would
        be answered in another one, where a question may bear the same id.
        """
        for said, as_message in ((answers, jsonrpc.success), (errors, jsonrpc.failure)):
            for name, value in said.items():
                if name in self._open and not self._ended:
                    ident, _ = self._open.pop(name)
                    await self._answer(as_message(ident, bytes(value)))

    async def next(self) -> Reply | None:
        """The answer; None when the server asks something first. Raises as the work does."""
        assert self.done is not None  # noqa: S101 - a call is run before it is waited for
        if not self._open and not self._ended:
            self._turn = asyncio.get_running_loop().create_future()
            await self._turn
        if not self._ended:
            return None
        if self.done.cancelled():
            raise UpstreamFailed("the connection was closed in the middle of the call")
        outcome = self.done.result()
        if isinstance(outcome, MeshError):
            raise outcome
        return outcome

    def questions(self) -> bytes:
        """The result that asks what is open."""
        return asking({name: asked for name, (_, asked) in self._open.items()}, self.id)


class Parking:
    """The calls of one upstream."""

    def __init__(self, tasks: TaskGroup, expiry: float = EXPIRY) -> None:
        self._tasks = tasks
        self._expiry = expiry
        self._parked: dict[str, Call] = {}

    def __len__(self) -> int:
        return len(self._parked)

    async def begin(self, call: Call, work: Work, hear: Hear) -> Reply:
        """Run a call up to its answer, or to the first question. Raises as `work`."""
        call.run(self._tasks.start("call", _outcome(work(call))))
        return await self._run(call, hear)

    def take(self, name: str | None, asker: Asker) -> Call | None:
        """The parked call of that name, if it is this principal's."""
        call = self._parked.get(name or "")
        if call is None or call.asker.principal != asker.principal:
            return None
        del self._parked[call.id]
        if call.expiry is not None:
            call.expiry.cancel()
        return call

    async def resume(
        self, call: Call, answers: Mapping[str, Raw], errors: Mapping[str, Raw], hear: Hear
    ) -> Reply:
        """Go on with a call that was taken. Raises as its work."""
        try:
            await call.settle(answers, errors)
        except BaseException:
            _give_up(call)
            raise
        return await self._run(call, hear)

    async def _run(self, call: Call, hear: Hear) -> Reply:
        call.hear = hear
        try:
            reply = await call.next()
            if reply is not None:
                return reply
            self._park(call)
            return Reply(call.questions(), None)
        except BaseException:
            _give_up(call)
            raise
        finally:
            call.hear = None

    def _park(self, call: Call) -> None:
        mine = sum(c.asker.principal == call.asker.principal for c in self._parked.values())
        if mine >= MAX_PARKED_EACH or len(self._parked) >= MAX_PARKED:
            raise TooMany("too many calls wait for their clients' answers")
        self._parked[call.id] = call
        loop = asyncio.get_running_loop()
        call.expiry = loop.call_later(self._expiry, self._expire, call)

    def _expire(self, call: Call) -> None:
        if self._parked.pop(call.id, None) is not None:
            _give_up(call)


async def _outcome(work: Awaitable[Reply]) -> Reply | MeshError:
    """How it went, as a value: the client may have left, and nobody would take an exception."""
    try:
        return await work
    except MeshError as error:
        return error


def _give_up(call: Call) -> None:
    """Cancel it at the upstream."""
    if call.done is not None:
        call.done.cancel()
