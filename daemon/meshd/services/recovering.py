"""Whether a request whose upstream went away may be sent once more, and what to say if not."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from meshd.protocol.jsonrpc import NOTIFICATION
from meshd.proxy.tries import TRIES
from meshd.services.definitions import Definitions
from meshd.wire.errors import UpstreamFailed

T = TypeVar("T")

TOOL = "tools/call"
HARMLESS = frozenset({
    "", "initialize", "ping", "server/discover", "tools/list", "resources/list",
    "resources/templates/list", "resources/read", "resources/subscribe", "resources/unsubscribe",
    "prompts/list", "prompts/get", "completion/complete", "logging/setLevel",
})  # fmt: skip
"""Methods whose second request does no more than the first; an answer has none."""


def may_repeat(method: str, tool: str, listed: Definitions | None) -> bool:
    """Whether sending it twice does no more than once.

    Of tools their own annotations decide; one that says nothing may not be called again.
    """
    if method != TOOL:
        return method in HARMLESS or method.startswith(NOTIFICATION)
    found = listed.tools.get(tool) if listed is not None else None
    return found is not None and found.repeatable


async def recovered(
    send: Callable[[], Awaitable[T]],
    returned: Callable[[UpstreamFailed], Awaitable[None]],
    *,
    repeatable: bool,
) -> T:
    """The outcome of `send`, tried again when the upstream has `returned`; `TRIES` times in all.

    Only what is `repeatable`, or was not sent at all.

    Raises:
        UpstreamFailed: it failed; where it may have run all the same, a fact says so.
    """
    sent, left = False, TRIES
    while True:
        left -= 1
        try:
            return await send()
        except UpstreamFailed as error:
            if not error.lost:
                raise
            sent |= error.sent
            if not left or (sent and not repeatable):
                raise (may_have_run(error) if sent else error) from None
            lost = error
        try:
            await returned(lost)
        except UpstreamFailed as still:
            raise (may_have_run(lost) if sent else still) from None


def may_have_run(error: UpstreamFailed) -> UpstreamFailed:
    """The same, with a fact that says so."""
    facts = error.facts | {"the call": "may have run: it was sent, and no answer came"}
    return UpstreamFailed.gone(error.message, next=error.next, facts=facts)
