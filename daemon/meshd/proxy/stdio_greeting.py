"""How a conversation with a stdio server begins: which era it speaks is found out first.

`server/discover` is asked first. A server that says anything else, or nothing in a few seconds, is
initialized. One that ends or hangs at a method it does not know has to be started again, and must
not be asked that way any more. Source: MCP 2026-07-28, basic/versioning, backward compatibility.
"""

import asyncio
from dataclasses import dataclass

import msgspec

from meshd.core.tasks import TaskGroup
from meshd.protocol import translation
from meshd.protocol.envelope import UNSUPPORTED_VERSION, enveloped
from meshd.protocol.jsonrpc import Reply
from meshd.protocol.members import members, text
from meshd.protocol.versions import HANDSHAKE, LATEST_HANDSHAKE, LATEST_STATELESS, Era
from meshd.proxy.adapter import OURSELVES
from meshd.proxy.stderr_tail import visible
from meshd.proxy.stdio_talk import StdioTalk
from meshd.wire.errors import MeshError, UpstreamTimeout

PROBE_WAIT = 3.0
"""Seconds for the answer to `server/discover` before `initialize` is sent as well."""
HANG_WAIT = 12.0
"""Seconds for either answer then, before the server is taken to hang at the first."""

_HELLO = msgspec.json.encode(
    {"protocolVersion": LATEST_HANDSHAKE, "capabilities": {}, "clientInfo": OURSELVES}
)


Outcome = Reply | MeshError


class Unfit(Exception):
    """The server has to be started again, and asked to initialize alone."""


class Failed(Exception):
    """It does not speak MCP; the text goes on from the server's name."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """What a server said of itself: as an `initialize` result, and as a `server/discover` result.

    What it did not say in its own era is made of what it did.
    """

    era: Era
    welcome: bytes
    discovery: bytes


async def greet(talk: StdioTalk, deadline: float, *, probe: bool) -> Greeting:
    """Begin the conversation; with `probe`, find out the era first.

    Raises:
        Unfit: it ended or hung while it was probed.
        Failed: it does not speak MCP, or not in time.
        UpstreamFailed: it ended.
    """

    async def initialized() -> Outcome:
        return await _outcome(talk, "initialize", _HELLO, deadline)

    if not probe:
        return _welcomed(await initialized(), talk, deadline)
    async with TaskGroup("greeting") as tasks:
        hello = enveloped({}, OURSELVES)
        asked = tasks.start("discover", _outcome(talk, "server/discover", hello, deadline))
        await asyncio.wait({asked}, timeout=min(PROBE_WAIT, deadline))
        if asked.done():
            if (said := _discovered(asked.result())) is not None:
                return said
            outcome = await initialized()
            if talk.reason is not None:
                raise Unfit
            return _welcomed(outcome, talk, deadline)
        both = {asked, tasks.start("initialize", initialized())}
        return await _first_of(both, asked, talk, deadline)


async def _first_of(
    both: set[asyncio.Task[Outcome]],
    asked: asyncio.Task[Outcome],
    talk: StdioTalk,
    deadline: float,
) -> Greeting:
    """What a slow server says: to `asked`, or to `initialize`, which was sent as well."""
    (hello,) = both - {asked}
    await asyncio.wait(both, timeout=HANG_WAIT, return_when=asyncio.FIRST_COMPLETED)
    if asked.done() and (said := _discovered(asked.result())) is not None:
        return said
    if talk.reason is not None or not (asked.done() or hello.done()):
        raise Unfit
    outcome = await hello
    if talk.reason is not None:
        raise Unfit
    if _is_refused_for_era(outcome):
        # It took to the stateless era at the question that it was slow to answer.
        if (said := _discovered(await asked)) is not None:
            return said
        raise Failed("speaks neither era of MCP")
    return _welcomed(outcome, talk, deadline)


async def _outcome(talk: StdioTalk, method: str, params: bytes, deadline: float) -> Outcome:
    try:
        return await talk.request(method, params, ceiling=deadline)
    except MeshError as error:
        return error


def _is_refused_for_era(outcome: Outcome) -> bool:
    if isinstance(outcome, MeshError) or outcome.error is None:
        return False
    return translation.code_of(outcome.error) == UNSUPPORTED_VERSION


def _discovered(outcome: Outcome) -> Greeting | None:
    if isinstance(outcome, MeshError) or outcome.result is None:
        return None
    if not translation.speaks_ours(outcome.result):
        return None
    welcome = translation.welcome(outcome.result, LATEST_STATELESS)
    return Greeting("stateless", welcome, outcome.result)


def _welcomed(outcome: Outcome, talk: StdioTalk, deadline: float) -> Greeting:
    if isinstance(outcome, UpstreamTimeout):
        raise Failed(f"did not answer initialize within {deadline:g} s")
    if isinstance(outcome, MeshError):
        raise outcome
    if outcome.result is None:
        said = text(members(outcome.error or b"").get("message")) or "no reason given"
        raise Failed(f"refused initialize: {visible(said[:500])}")
    version = text(members(outcome.result).get("protocolVersion"))
    if version is None:
        raise Failed("answered initialize without a protocolVersion")
    if version not in HANDSHAKE:
        raise Failed(f"speaks MCP {visible(version[:40])}, which is not supported here")
    talk.notify("notifications/initialized")
    return Greeting("handshake", outcome.result, translation.discovery(outcome.result))
